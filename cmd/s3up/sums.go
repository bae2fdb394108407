package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"

	"s3up/internal/verify"
)

// A sum is a line of a file such as SHA256SUMS.
type sum struct {
	name      string // as the file has it, unescaped
	algorithm verify.Algorithm
	digest    []byte
	line      int
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
		if n == 1 {
			line = strings.TrimPrefix(line, "\ufeff") // editors on Windows begin with it
		}
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
		s.line = n
		all = append(all, s)
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return nil, fmt.Errorf("line %d is no line of md5sum or sha256sum: it is too long", n+1)
	}
	return all, lines.Err()
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
	return sum{name: name, algorithm: a, digest: raw}, err == nil && a != "" && name != ""
}

// bsdName is S3's name for an algorithm; OpenSSL has SHA2-256 for SHA256.
func bsdName(name string) string { return strings.Replace(name, "SHA2-", "SHA", 1) }

// md5sumLine is a digest and a name as md5sum prints them, and md5sum -c wants them: odd
// names are escaped, and the line is marked for that.
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

// below is what a name is below a prefix. Names that lead out of the folder that the
// sums are of are none.
func (s sum) below() (string, error) {
	name := s.name
	for strings.HasPrefix(name, "./") {
		name = strings.TrimLeft(name[2:], "/")
	}
	if name == "" || name == "-" || strings.HasPrefix(name, "/") || slices.Contains(strings.Split(name, "/"), "..") {
		return "", fmt.Errorf("the name %s leads to no key below a prefix", quoted(clip(s.name)))
	}
	return name, nil
}

// A bundle is what is said of one key.
type bundle struct {
	name, key string
	sums      map[verify.Algorithm][]byte
}

// bundles gathers sums by the key that they are of: one that the name makes, below a
// prefix, or always the same. The error names the line.
func bundles(all []sum, keyOf func(sum) (string, error)) ([]*bundle, error) {
	var found []*bundle
	byKey := make(map[string]*bundle)
	for _, s := range all {
		key, err := keyOf(s)
		if err != nil {
			return nil, fmt.Errorf("line %d: %v", s.line, err)
		}
		b := byKey[key]
		if b == nil {
			b = &bundle{s.name, key, make(map[verify.Algorithm][]byte)}
			byKey[key] = b
			found = append(found, b)
		}
		if b.sums[s.algorithm] != nil && !bytes.Equal(b.sums[s.algorithm], s.digest) {
			return nil, fmt.Errorf("line %d: another line has another %s of %s", s.line, s.algorithm, quoted(clip(s.name)))
		}
		b.sums[s.algorithm] = s.digest
	}
	return found, nil
}
