package main

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strings"

	"s3up/internal/verify"
)

// A sum is a line of a file such as SHA256SUMS.
type sum struct {
	name      string // as the file has it, unescaped
	algorithm verify.Algorithm
	digest    []byte
}

// maxSums bounds what is held of a file of sums: it may be of any size.
const maxSums = 5_000_000

// readSums reads what md5sum, sha256sum and their like print, and BSD's and
// OpenSSL's "SHA256 (name) = digest", line by line; empty lines and comments are
// passed by. The error names the line.
func readSums(r io.Reader) ([]sum, error) {
	var all []sum
	lines := bufio.NewScanner(r)
	lines.Buffer(nil, 64<<10)
	n := 0
	for lines.Scan() {
		n++
		line := strings.TrimSuffix(lines.Text(), "\r")
		if line == "" || line[0] == '#' {
			continue
		}
		s, ok := parseSum(line)
		switch {
		case !ok:
			return nil, fmt.Errorf("line %d is no line of md5sum or sha256sum: %s", n, quoted(clip(line)))
		case len(all) == maxSums:
			return nil, fmt.Errorf("there are more than %d lines", maxSums)
		}
		all = append(all, s)
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("line %d is longer than 64 KiB: it is no line of md5sum or sha256sum", n+1)
	}
	if err := lines.Err(); err != nil {
		return nil, fmt.Errorf("line %d: %w", n+1, err)
	}
	return all, nil
}

// digests are the algorithms by the number of digits of their sums.
var digests = map[int]verify.Algorithm{32: verify.MD5, 40: verify.SHA1, 64: verify.SHA256, 128: verify.SHA512}

var bsdLine = regexp.MustCompile(`^([A-Z0-9-]+) ?\((.*)\) ?= ([0-9A-Fa-f]+)$`)

// parseSum reads a line. A backslash before it says that its name is escaped.
func parseSum(line string) (sum, bool) {
	line, escaped := strings.CutPrefix(line, `\`)
	digits, name, ok := strings.Cut(line, " ")
	switch m := bsdLine.FindStringSubmatch(line); {
	case m != nil:
		if a := digests[len(m[3])]; string(a) != bsdName(m[1]) {
			return sum{}, false
		}
		digits, name = m[3], m[2]
	case !ok || name == "" || name[0] != ' ' && name[0] != '*':
		return sum{}, false
	default:
		name = name[1:] // a space is text, a star is binary, to no effect
	}
	if escaped {
		if name, ok = unescape(name); !ok {
			return sum{}, false
		}
	}
	raw, err := hex.DecodeString(digits)
	a := digests[len(digits)]
	return sum{name, a, raw}, err == nil && a != "" && name != ""
}

// bsdName is S3's name for an algorithm; OpenSSL has SHA2-256 for SHA256.
func bsdName(name string) string { return strings.Replace(name, "SHA2-", "SHA", 1) }

// md5sumLine is a digest and a name as md5sum prints them.
func md5sumLine(digest, name string) string {
	if strings.ContainsAny(name, "\\\n\r") {
		return `\` + digest + "  " + strings.NewReplacer(`\`, `\\`, "\n", `\n`, "\r", `\r`).Replace(name)
	}
	return digest + "  " + name
}

// unescape is the reverse of what md5sumLine does to a name.
func unescape(name string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(name); i++ {
		if name[i] != '\\' {
			b.WriteByte(name[i])
			continue
		}
		i++
		if i == len(name) {
			return "", false
		}
		switch name[i] {
		case '\\':
			b.WriteByte('\\')
		case 'n':
			b.WriteByte('\n')
		case 'r':
			b.WriteByte('\r')
		default:
			return "", false
		}
	}
	return b.String(), true
}

// keyOf is what a name is below a prefix. Names that lead out of the folder that the
// sums are of are none.
func (s sum) keyOf() (string, error) {
	name := s.name
	for strings.HasPrefix(name, "./") {
		name = strings.TrimLeft(name[2:], "/")
	}
	if name == "" || name == "-" || strings.HasPrefix(name, "/") {
		return "", fmt.Errorf("the name %s leads to no key below a prefix", quoted(clip(s.name)))
	}
	for part := range strings.SplitSeq(name, "/") {
		if part == ".." {
			return "", fmt.Errorf("the name %s leads to no key below a prefix", quoted(clip(s.name)))
		}
	}
	return name, nil
}
