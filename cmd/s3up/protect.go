package main

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/urfave/cli/v2"

	"s3up/internal/smallfile"
	"s3up/internal/upload"
)

func accessFlags() []cli.Flag {
	return append([]cli.Flag{
		listFlag(groupAccess, "tagging", "KEY=VALUE", "a tag, up to 10; repeatable"),
		textFlag(groupAccess, "acl", "NAME", "such as bucket-owner-full-control; most buckets take no other, and\nnone is sent unless asked for"),
		listFlag(groupAccess, "grant", "GRANT", "PERMISSION=TYPE=GRANTEE: read, readacl, writeacl or full to an id,\nuri or emailaddress, such as read=id=CANONICAL-ID; repeatable"),
		textFlag(groupAccess, "sse", "HOW", "AES256, aws:kms or aws:kms:dsse; else the bucket's default"),
		textFlag(groupAccess, "sse-kms-key-id", "KEY", "its ARN, id or alias; else Amazon's own key for S3"),
		textFlag(groupAccess, "sse-kms-encryption-context", "JSON", "such as '{\"app\":\"shop\"}'"),
		toggleFlag(groupAccess, "bucket-key", "a key of the bucket's spares calls to KMS (aws:kms)"),
		textFlag(groupAccess, "object-lock-mode", "MODE", "GOVERNANCE or COMPLIANCE, with the next; a locked object is not\ncopied, unless --normalize self insists"),
		textFlag(groupAccess, "object-lock-retain-until", "TIME", "until when nobody deletes it, such as 2027-01-31T12:00:00Z"),
		toggleFlag(groupAccess, "legal-hold", "nobody deletes it until that is taken off"),
	}, customerKeyFlags()...)
}

// customerKeyFlags are for objects that are encrypted with a key of one's own.
func customerKeyFlags() []cli.Flag {
	return []cli.Flag{
		textFlag(groupAccess, "sse-c-key-file", "FILE", "of a key of your own (SSE-C): 32 bytes, or those in base64 or hex"),
		textFlag(groupAccess, "sse-c-key-env", "NAME", "of a variable that holds it, in base64 or hex"),
	}
}

// protection reads the flags about access and protection.
func (v *values) protection(p *upload.Properties) {
	for _, pair := range v.c.StringSlice("tagging") {
		v.list("tagging", pair, addTag(p, pair))
	}
	p.ACL = types.ObjectCannedACL(v.oneOf("acl", names(types.ObjectCannedACL("").Values())...))
	for _, grant := range v.c.StringSlice("grant") {
		v.list("grant", grant, addGrant(&p.Grants, grant))
	}
	p.SSE = types.ServerSideEncryption(v.oneOf("sse", "AES256", "aws:kms", "aws:kms:dsse"))
	p.KMSKeyID = v.text("sse-kms-key-id", "the ARN, the id or the alias of a key")
	if err := isValue(p.KMSKeyID); err != nil {
		v.refuse("sse-kms-key-id", err.Error())
	}
	if text := v.text("sse-kms-encryption-context", "a JSON object of texts"); text != "" {
		if err := json.Unmarshal([]byte(text), &p.KMSContext); err != nil || len(p.KMSContext) == 0 {
			v.refuse("sse-kms-encryption-context", `must be a JSON object of texts, such as {"app":"shop"}`)
		}
	}
	p.BucketKey = v.c.Bool("bucket-key")
	p.CustomerKey = v.customerKey()
	p.LockMode = types.ObjectLockMode(v.oneOf("object-lock-mode", "GOVERNANCE", "COMPLIANCE"))
	if until := v.text("object-lock-retain-until", "a time"); until != "" {
		var err error
		if p.LockUntil, err = parseTime(until); err == nil && !p.LockUntil.After(time.Now()) {
			err = errors.New("must be in the future")
		}
		if err != nil {
			v.refuse("object-lock-retain-until", err.Error())
		}
	}
	p.LegalHold = v.c.Bool("legal-hold")
	v.together(*p)
}

// together refuses flags that need one another, or exclude each other, in the
// words of the command line.
func (v *values) together(p upload.Properties) {
	kms := strings.HasPrefix(string(p.SSE), "aws:kms")
	switch {
	case p.ACL != "" && len(p.Grants.All()) > 0:
		v.fail("--acl and --grant exclude each other; leave one of them out")
	case p.CustomerKey != nil && p.SSE != "":
		v.fail("--sse and a key of your own (SSE-C) exclude each other; leave one of them out")
	case !kms && p.KMSKeyID != "":
		v.fail("--sse-kms-key-id needs --sse aws:kms or aws:kms:dsse; add it")
	case !kms && p.KMSContext != nil:
		v.fail("--sse-kms-encryption-context needs --sse aws:kms or aws:kms:dsse; add it")
	case p.BucketKey && p.SSE != types.ServerSideEncryptionAwsKms:
		v.fail("--bucket-key needs --sse aws:kms; add it")
	case p.LockMode != "" && p.LockUntil.IsZero():
		v.fail("--object-lock-mode needs an end; add --object-lock-retain-until TIME")
	case p.LockMode == "" && !p.LockUntil.IsZero():
		v.fail("--object-lock-retain-until needs a mode; add --object-lock-mode GOVERNANCE or COMPLIANCE")
	}
}

// oneOf returns one of some words, or "" if the flag is not given.
func (v *values) oneOf(name string, words ...string) string {
	if !v.c.IsSet(name) {
		return ""
	}
	return v.choice(name, words...)
}

func names[T ~string](values []T) []string {
	var all []string
	for _, v := range values {
		all = append(all, string(v))
	}
	return all
}

// list notes what is wrong with one value of a flag that repeats.
func (v *values) list(name, value string, err error) {
	if err != nil {
		v.fail("--%s %s: %w", name, quoted(clip(value)), err)
	}
}

func addTag(p *upload.Properties, pair string) error {
	key, value, ok := strings.Cut(pair, "=")
	if _, twice := p.Tags[key]; twice {
		return errors.New("the key is given twice")
	}
	if !ok {
		return errors.New("must be KEY=VALUE")
	}
	if p.Tags == nil {
		p.Tags = make(map[string]string)
	}
	p.Tags[key] = value
	return nil
}

// addGrant reads PERMISSION=TYPE=GRANTEE, as the AWS CLI has it.
func addGrant(g *upload.Grants, text string) error {
	permission, rest, _ := strings.Cut(text, "=")
	kind, who, ok := strings.Cut(rest, "=")
	if !ok || who == "" || strings.ContainsAny(who, `",`) || isValue(who) != nil {
		return errors.New("must be PERMISSION=TYPE=GRANTEE, such as read=id=CANONICAL-ID")
	}
	kinds := map[string]string{"id": "id", "uri": "uri", "emailaddress": "emailAddress"}
	if kinds[kind] == "" {
		return fmt.Errorf("%q is no type of a grantee: there are id, uri and emailaddress", kind)
	}
	lists := map[string]*[]string{"read": &g.Read, "readacl": &g.ReadACP, "writeacl": &g.WriteACP, "full": &g.FullControl}
	list := lists[permission]
	if list == nil {
		return fmt.Errorf("%q is no permission: there are read, readacl, writeacl and full", permission)
	}
	*list = append(*list, fmt.Sprintf("%s=%q", kinds[kind], who))
	return nil
}

var variable = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*$`)

// customerKey reads the key for SSE-C. Nothing that may be a key is ever shown.
func (v *values) customerKey() []byte {
	file, env := v.text("sse-c-key-file", "the name of a file"), v.text("sse-c-key-env", "the name of a variable")
	var raw []byte
	from := ""
	switch {
	case file != "" && env != "":
		v.fail("--sse-c-key-file and --sse-c-key-env exclude each other; leave one of them out")
		return nil
	case file != "":
		from = "--sse-c-key-file " + quoted(file)
		var err error
		if raw, err = smallfile.Read(file); err != nil {
			v.fail("%s: %s", from, rootCause(err))
			return nil
		}
	case env != "":
		from = "--sse-c-key-env"
		value, set := os.LookupEnv(env)
		if !variable.MatchString(env) || !set {
			v.fail("%s: there is no such variable; it takes the name of one, and never the key itself", from)
			return nil
		}
		raw = []byte(value)
	default:
		return nil
	}
	key := decodeKey(raw)
	if key == nil {
		v.fail("%s: must hold 32 bytes, or those in base64 or hex; head -c 32 /dev/urandom > FILE makes some", from)
	}
	return key
}

const keySize = 32

// decodeKey finds out how a key is written; nil if it is none.
func decodeKey(raw []byte) []byte {
	if len(raw) == keySize {
		return raw
	}
	text := string(bytes.TrimSpace(raw))
	for _, decode := range []func(string) ([]byte, error){hex.DecodeString, base64.StdEncoding.DecodeString} {
		if key, err := decode(text); err == nil && len(key) == keySize {
			return key
		}
	}
	return nil
}

// askedFor names the flags that were given for what not every store does.
func (o *cpOptions) askedFor() []string {
	var all []string
	p := o.properties
	for _, flag := range []struct {
		given bool
		name  string
	}{
		{len(p.Tags) > 0, "--tagging"},
		{p.ACL != "", "--acl"},
		{len(p.Grants.All()) > 0, "--grant"},
		{p.SSE != "", "--sse"},
		{p.CustomerKey != nil, "a key of your own (SSE-C)"},
		{p.LockMode != "", "--object-lock-mode"},
		{p.LegalHold, "--legal-hold"},
		{o.upload.Checksum == upload.SumCRC64NVME, "--checksum"},
	} {
		if flag.given {
			all = append(all, flag.name)
		}
	}
	return all
}

// checkClass refuses a storage class that Amazon S3 does not know: of an object of
// parts it would say so only when all is sent.
func checkClass(class types.StorageClass) error {
	if known := class.Values(); class == "" || slices.Contains(known, class) {
		return nil
	}
	return usagef(classHint(class), "--storage-class %s: there is no such class", class)
}

func classHint(class types.StorageClass) string {
	if near := nearest(strings.ToUpper(string(class)), names(class.Values())); near != "" {
		return "did you mean " + near + "?"
	}
	return "there are STANDARD, INTELLIGENT_TIERING, STANDARD_IA, ONEZONE_IA, GLACIER_IR, GLACIER and DEEP_ARCHIVE"
}

// checkKeyIsSafe keeps a key of one's own from being sent in the clear: Amazon
// refuses that too, but only when it has seen the key.
func checkKeyIsSafe(key []byte, endpoint string) error {
	if key == nil || !strings.HasPrefix(strings.ToLower(endpoint), "http://") {
		return nil
	}
	return usagef("use an endpoint with https://", "a key of your own (SSE-C) is not sent over plain http")
}
