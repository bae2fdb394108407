package main

import (
	"bufio"
	"cmp"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/urfave/cli/v2"
)

// s3Keys are what the AWS CLI has under "s3 =" in a profile of its configuration
// file, and s3up too, with the flag that each is a default for. The SDK does not
// read them: https://docs.aws.amazon.com/cli/latest/topic/s3-config.html
var s3Keys = []struct {
	key, flag string
	// ahead is a variable of Amazon's that takes precedence.
	ahead string
	// value makes of what stands there what the flag takes.
	value func(text string) (string, error)
}{
	{key: "max_concurrent_requests", flag: maxRequests, value: awsCount},
	{key: "multipart_threshold", flag: "multipart-threshold", value: awsSize(1, maxPart)},
	{key: "multipart_chunksize", flag: "part-size", value: awsSize(minPart, maxPart)},
	{key: "max_bandwidth", flag: "bwlimit", value: awsRate},
	{key: "addressing_style", flag: "addressing-style", value: awsStyle},
	{key: "use_accelerate_endpoint", flag: "use-accelerate-endpoint", value: awsBool},
	{key: "use_dualstack_endpoint", flag: "use-dualstack-endpoint", ahead: "AWS_USE_DUALSTACK_ENDPOINT", value: awsBool},
	{key: "use_fips_endpoint", flag: "use-fips-endpoint", ahead: "AWS_USE_FIPS_ENDPOINT", value: awsBool},
	{key: "payload_signing_enabled", flag: "sign-payload", value: awsBool},
}

// maxRequests stands for the one key that no flag is the same as: it is the
// number of parts or files, and --concurrency one of slots.
const maxRequests = "concurrency"

const (
	minPart      = 5 << 20
	slotsForPart = 4
)

// awsFile gives the flags that have no value yet those of the profile in the AWS
// configuration file.
func (v *values) awsFile(flags []cli.Flag, getenv func(string) string) {
	profile := cmp.Or(v.c.String("profile"), getenv("AWS_PROFILE"), getenv("AWS_DEFAULT_PROFILE"), "default")
	name := cmp.Or(getenv("AWS_CONFIG_FILE"), config.DefaultSharedConfigFilename())
	f, err := os.Open(name)
	if err != nil {
		return // whoever needs it says so
	}
	defer f.Close()
	there := s3Section(f, profile)
	for _, k := range s3Keys {
		text, ok := there[k.key]
		if !ok || v.c.IsSet(k.flag) || k.ahead != "" && getenv(k.ahead) != "" {
			continue
		}
		from := fmt.Sprintf("%s, profile %s: %s", name, profile, k.key)
		value, err := k.value(text)
		if err != nil {
			v.fail("%s %s: %w", from, quoted(text), err)
			return
		}
		if k.flag == maxRequests {
			v.requests, _ = strconv.Atoi(value)
			value = strconv.Itoa(min(v.requests*slotsForPart, maxSlots))
		}
		for _, f := range flags {
			if f.Names()[0] == k.flag {
				v.give(f, value, from)
			}
		}
	}
}

// s3Section reads what stands indented under "s3 =" of a profile. What else there
// is in the file is the SDK's to read, and to complain of.
func s3Section(in io.Reader, profile string) map[string]string {
	found := make(map[string]string)
	lines := bufio.NewScanner(in)
	mine, below := false, false
	for lines.Scan() {
		line := lines.Text()
		text := strings.TrimSpace(line)
		switch indented := line != strings.TrimLeft(line, " \t"); {
		case text == "", strings.HasPrefix(text, "#"), strings.HasPrefix(text, ";"):
		case !indented && strings.HasPrefix(text, "["):
			mine, below = isProfile(text, profile), false
		case !mine:
		case !indented:
			key, value := property(text)
			below = key == "s3" && value == ""
		case below:
			key, value := property(text)
			found[key] = value
		}
	}
	return found
}

// isProfile says whether a line begins the section of a profile: [default], or
// [profile NAME].
func isProfile(line, profile string) bool {
	name, _, ok := strings.Cut(strings.TrimPrefix(line, "["), "]")
	name = strings.TrimSpace(name)
	if rest, long := strings.CutPrefix(name, "profile"); long && strings.TrimLeft(rest, " \t") != rest {
		name = strings.TrimSpace(rest)
	} else if name != "default" {
		return false
	}
	return ok && strings.Trim(name, `"'`) == profile
}

// property takes a line apart. A comment begins behind a space.
func property(line string) (key, value string) {
	key, value, _ = strings.Cut(line, "=")
	for _, comment := range []string{" #", " ;", "\t#", "\t;"} {
		value, _, _ = strings.Cut(value, comment)
	}
	return strings.ToLower(strings.TrimSpace(key)), strings.TrimSpace(value)
}

func awsCount(text string) (string, error) {
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 {
		return "", errors.New("must be a number from 1 on")
	}
	return strconv.Itoa(min(n, maxSlots)), nil
}

// awsSize reads sizes as the AWS CLI does, which moves what S3 does not take to
// what it does.
func awsSize(least, most int64) func(string) (string, error) {
	return func(text string) (string, error) {
		n, err := awsBytes(text)
		if err != nil {
			return "", errors.New("must be a size, such as 16MB or 16777216")
		}
		return strconv.FormatInt(min(max(n, least), most), 10), nil
	}
}

// awsBytes reads a size in which a KB has 1,024 bytes, as for the AWS CLI.
func awsBytes(text string) (int64, error) {
	number := strings.TrimRight(text, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
	units := map[string]int64{"": 1, "b": 1, "kb": 1 << 10, "mb": 1 << 20, "gb": 1 << 30, "tb": 1 << 40,
		"kib": 1 << 10, "mib": 1 << 20, "gib": 1 << 30, "tib": 1 << 40}
	unit, known := units[strings.ToLower(text[len(number):])]
	n, err := strconv.ParseInt(strings.TrimSpace(number), 10, 64)
	if err != nil || !known || n < 1 || n > math.MaxInt64/unit {
		return 0, errors.New("no size")
	}
	return n * unit, nil
}

// awsRate reads bytes a second (10MB/s), bits a second (10Mb/s), or a number of
// bytes.
func awsRate(text string) (string, error) {
	bad := errors.New("must be a rate, such as 10MB/s, 10Mb/s or 10485760")
	number, rate := strings.CutSuffix(text, "/s")
	if _, err := strconv.Atoi(text); err != nil && !rate {
		return "", bad
	}
	n, err := awsBytes(number)
	if err != nil {
		return "", bad
	}
	if strings.HasSuffix(number, "b") {
		n /= 8
	}
	return strconv.FormatInt(max(n, leastRate), 10) + "B", nil
}

func awsStyle(text string) (string, error) {
	switch text {
	case "auto", "path", "virtual":
		return text, nil
	}
	return "", errors.New("must be auto, path or virtual")
}

func awsBool(text string) (string, error) {
	switch strings.ToLower(text) {
	case "true", "false":
		return strings.ToLower(text), nil
	}
	return "", errors.New("must be true or false")
}
