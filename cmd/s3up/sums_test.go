package main

import (
	"encoding/hex"
	"fmt"
	"strings"
	"testing"
)

func TestReadSums(t *testing.T) {
	const (
		m  = "d41d8cd98f00b204e9800998ecf8427e"
		s1 = "da39a3ee5e6b4b0d3255bfef95601890afd80709"
		s2 = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
	)
	for _, tt := range []struct{ line, want string }{
		{m + "  f", "MD5 f"},
		{m + " *f", "MD5 f"},
		{strings.ToUpper(m) + "  a b", "MD5 a b"},
		{m + "  f\r", "MD5 f"},
		{s1 + "  ./d/f", "SHA1 d/f"},
		{s2 + "  .//f", "SHA256 f"},
		{s2 + s2 + "  f", "SHA512 f"},
		{`\` + m + `  a\\b\nc`, "MD5 a\\b\nc"},
		{"MD5 (f) = " + m, "MD5 f"},
		{`\MD5 (a\nb) = ` + m + "\r", "MD5 a\nb"},
		{"\ufeff" + m + " *f", "MD5 f"},
		{"SHA256 (a (1) = b) = " + s2, "SHA256 a (1) = b"},
		{"SHA2-256(f)= " + s2, "SHA256 f"},
		{"SHA512-256 (f) = " + s2, "bad"},
		{"MD5 (f) = " + s2, "bad"},
		{"# comment", "none"},
		{"", "none"},
		{m, "bad"},
		{m + " f", "bad"},
		{m + "  ", "bad"},
		{m[1:] + "  f", "bad"},
		{"x" + m[1:] + "  f", "bad"},
		{`\` + m + `  a\x`, "bad"},
		{`\` + m + `  a\`, "bad"},
		{"hello world", "bad"},
		{m + "  ../f", "no key"},
		{m + "  d/../f", "no key"},
		{m + "  /etc/passwd", "no key"},
		{m + "  -", "no key"},
	} {
		got := ""
		all, err := readSums(strings.NewReader(tt.line + "\n"))
		switch {
		case err != nil:
			got = "bad"
		case len(all) == 0:
			got = "none"
		default:
			key, err := all[0].below()
			if got = fmt.Sprint(all[0].algorithm, " ", key); err != nil {
				got = "no key"
			} else if !strings.Contains(strings.ToLower(tt.line), hex.EncodeToString(all[0].digest)) {
				got = "another digest"
			}
		}
		if got != tt.want {
			t.Errorf("%q: got %q, want %q", tt.line, got, tt.want)
		}
	}
	_, err := readSums(strings.NewReader(m + "  f\n\n# x\nnonsense\n"))
	if err == nil || !strings.HasPrefix(err.Error(), "line 4 ") {
		t.Errorf("got %v", err)
	}
	if _, err := readSums(strings.NewReader(strings.Repeat("x", 1<<20))); err == nil {
		t.Error("a line without end: no error")
	}
}

// Lines about the same key are one, if they agree; the line that is wrong is named.
func TestBundles(t *testing.T) {
	m, other, s1 := strings.Repeat("00", 16), strings.Repeat("11", 16), strings.Repeat("22", 20)
	for _, tt := range []struct{ lines, want string }{
		{m + "  a\n" + m + "  b\n", "a 1, b 1"},
		{m + "  a\n" + s1 + "  ./a\n", "a 2"},
		{m + "  a\n" + m + "  ./a\n", "a 1"},
		{m + "  a\n# x\n" + other + "  ./a\n", "line 3: another line has another MD5 of ./a"},
		{m + "  a\n" + m + "  ../b\n", `line 2: the name ../b leads to no key below a prefix`},
		{m + "  a\n\n" + m + "  /etc/b\n", `line 3: the name /etc/b leads to no key below a prefix`},
	} {
		all, err := readSums(strings.NewReader(tt.lines))
		if err != nil {
			t.Fatal(err)
		}
		found, err := bundles(all, sum.below)
		var words []string
		for _, b := range found {
			words = append(words, fmt.Sprint(b.key, " ", len(b.sums)))
		}
		got := strings.Join(words, ", ")
		if err != nil {
			got = err.Error()
		}
		if got != tt.want {
			t.Errorf("%q: got %s, want %s", tt.lines, got, tt.want)
		}
	}
}

// What is printed is read again.
func TestMD5sumLine(t *testing.T) {
	const m = "d41d8cd98f00b204e9800998ecf8427e"
	for _, name := range []string{"f", " f", "*f", "a\nb", `a\b`, "a\rb", `\`, "(f) = x"} {
		if s, ok := parseSum(md5sumLine(m, name)); !ok || s.name != name {
			t.Errorf("%q is read as %q, %v", name, s.name, ok)
		}
	}
	if got, want := md5sumLine(m, "a\nb"), `\`+m+`  a\nb`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}
