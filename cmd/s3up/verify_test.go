package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"s3up/internal/etag"
	"s3up/internal/s3test"
	"s3up/internal/verify"
)

// ran runs the program, and returns its exit code and all that it said.
func ran(t *testing.T, words ...string) (int, string) {
	t.Helper()
	said, err := os.Create(filepath.Join(t.TempDir(), "said"))
	if err != nil {
		t.Fatal(err)
	}
	defer said.Close()
	code := run(append([]string{"s3up"}, words...), os.Stdin, said, said)
	text, err := os.ReadFile(said.Name())
	if err != nil {
		t.Fatal(err)
	}
	return code, string(text)
}

// verify and etag work with exactly the policies that docs/permissions.md shows for
// them; of what is denied, they name what it is, or do without it.
func TestVerifyPermissions(t *testing.T) {
	shown := policies(t)
	const feature, listed = "verify and etag", "verify of a directory"
	dir := t.TempDir()
	data := []byte("the bytes of a file of several parts")
	for _, name := range []string{"same", "differs"} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	server := s3test.New(t, s3test.Options{})
	server.CreateBucket("b")
	other := []byte("the bytes of a file OF several parts")
	cut := func(o *s3test.Object) {
		o.Parts, o.ChecksumAlgorithm, o.ChecksumType = []int64{10, 10, 10, 6}, "SHA256", "COMPOSITE"
	}
	server.Put("b", "same", data, cut)
	server.Put("b", "differs", other, cut)
	server.Put("b", "extra", data)
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": server.AccessKey(), "AWS_SECRET_ACCESS_KEY": server.SecretKey(),
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_ENDPOINT_URL": server.URL(), "AWS_REGION": "us-east-1"} {
		t.Setenv(name, value)
	}
	same, differs := filepath.Join(dir, "same"), filepath.Join(dir, "differs")
	for _, tt := range []struct {
		name    string
		without string
		words   []string
		code    int
		says    string
		not     string
	}{
		{"a part that differs", "", []string{"verify", differs, "s3://b/differs"}, 4, "first part that differs is 3 of 4, bytes 20 to 29", "note"},
		{"the same", "", []string{"verify", same, "s3://b/same"}, 0, "parts of 10B", "note"},
		{"explained", "", []string{"etag", "s3://b/same"}, 0, "of 4 parts of 10B, as the store tells", "note"},
		{"no attributes", "s3:GetObjectAttributes", []string{"verify", differs, "s3://b/differs"}, 4, "its ETag is", "first part"},
		{"no look", "s3:GetObject", []string{"verify", same, "s3://b/same"}, 7, "s3:GetObject on b", "match"},
		{"no explanation", "s3:GetObject", []string{"etag", "s3://b/same"}, 7, "s3:GetObject on b", "parts"},
		{"a folder", "", []string{"verify", dir, "s3://b/"}, 4, "1 match, 1 differ, 1 extra", "note"},
		{"no listing", "s3:ListBucket", []string{"verify", dir, "s3://b/"}, 4, "s3:ListBucket", "extra s3"},
		{"no listing, and it is to tell what is beside", "s3:ListBucket", []string{"verify", "--exact", dir, "s3://b/"}, 7, "s3:ListBucket", "1 match"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			allowed := slices.Clone(shown[feature])
			if slices.Contains(tt.words, dir) {
				allowed = append(allowed, shown[listed]...)
			}
			server.SetQuirks(func(q *s3test.Quirks) {
				q.Deny = nil
				for _, action := range s3test.Permissions() {
					if !slices.Contains(allowed, action) || action == tt.without {
						q.Deny = append(q.Deny, action)
					}
				}
			})
			code, said := ran(t, tt.words...)
			if code != tt.code || !strings.Contains(said, tt.says) || strings.Contains(said, tt.not) {
				t.Errorf("exit %d, want %d; %q and not %q in: %s", code, tt.code, tt.says, tt.not, said)
			}
		})
	}
}

// A HEAD that is refused says nothing: what is wrong is named all the same.
func TestVerifyNamesTheCause(t *testing.T) {
	server := s3test.New(t, s3test.Options{})
	server.CreateBucket("b")
	file := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(file, []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": server.AccessKey(), "AWS_SECRET_ACCESS_KEY": server.SecretKey(),
		"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_ENDPOINT_URL": server.URL(), "AWS_REGION": "us-east-1"} {
		t.Setenv(name, value)
	}
	for _, tt := range []struct {
		url, name, value string // of the environment
		code             int
		says             string
	}{
		{"s3://b/f", "", "", 8, "there is no such object"},
		{"s3://nobucket/f", "", "", 8, "the bucket nobucket does not exist"},
		{"s3://b/f", "AWS_SECRET_ACCESS_KEY", "wrong", 7, "the secret key does not fit the access key"},
		{"s3://b/f", "AWS_ACCESS_KEY_ID", "AKIAUNKNOWN", 7, "the store does not know the access key"},
	} {
		t.Run(tt.says, func(t *testing.T) {
			if tt.name != "" {
				t.Setenv(tt.name, tt.value)
			}
			for _, words := range [][]string{{"verify", file, tt.url}, {"etag", tt.url}} {
				if code, said := ran(t, words...); code != tt.code || !strings.Contains(said, tt.says) {
					t.Errorf("%s: exit %d, want %d; %q in: %s", words[0], code, tt.code, tt.says, said)
				}
			}
		})
	}
}

// The help of etag names all that --like takes.
func TestLikeIsHelped(t *testing.T) {
	for _, tool := range etag.Tools() {
		if tool.Exact && !strings.Contains(etagHelp, tool.Name) {
			t.Errorf("the help does not name %s", tool.Name)
		}
	}
}

// Names of files, keys, and what stores say of objects, are not printed raw.
func TestVerifyPrintsNothingHostile(t *testing.T) {
	dir := t.TempDir()
	for i, text := range hostile {
		stdout, stderr := create(t, filepath.Join(dir, "out")), create(t, filepath.Join(dir, "err"))
		l := &link{program: &program{stdout: stdout}, out: &output{stdout: stdout, stderr: stderr}, facts: facts{bucket: "b"}}
		c := &verifying{link: l, op: "verify", o: verifyOptions{bucket: "b"}}
		e := &etagging{link: l}
		object := &verify.Object{Key: text, ETag: text, VersionID: text}
		key := text[:min(len(text), 1000)]
		k := &check{source: text, key: key}
		for _, json := range []bool{false, true} {
			c.o.json, e.o.json = json, json
			for _, status := range []verify.Status{verify.Match, verify.Differs, verify.Missing, verify.Unverifiable, extra} {
				c.report(k, &verify.Result{Status: status, Object: object, By: verify.Evidence{Kind: verify.BySize, Stored: "1", Local: "2"}}, nil)
			}
			c.report(k, nil, &verify.ChangedError{Name: key, How: "x"})
			c.report(k, nil, errors.New(text))
			e.reportFile(key, fileETags{etag: "x"}, errors.New(text))
			e.reportObject("b", key, &verify.Explanation{Object: object}, nil)
			e.reportObject("b", key, nil, errors.New(text))
		}
		for _, f := range []*os.File{stdout, stderr} {
			said, err := os.ReadFile(f.Name())
			if err != nil || len(said) == 0 {
				t.Fatal(err)
			}
			for line := range strings.Lines(string(said)) {
				line = strings.TrimSuffix(line, "\n")
				if strings.HasPrefix(line, "{") { // it holds names as they are
					if !isPlain(line) {
						t.Errorf("no plain JSON: %.300q", line)
					}
					continue
				}
				checkLine(t, fmt.Sprint("hostile text ", i), line)
			}
		}
	}
}
