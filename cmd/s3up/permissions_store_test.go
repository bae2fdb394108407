package main

import (
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"s3up/internal/s3test"
)

// What is about objects and uploads that are there works with exactly the policy
// that the page shows for it, and without a note; and with each of the actions
// taken away, what is said names it.
func TestPermissionsOfWhatIsThere(t *testing.T) {
	shown := policies(t)
	parts := func(o *s3test.Object) { o.Parts = []int64{5, 5} }
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "new"), []byte("new"), 0o666); err != nil {
		t.Fatal(err)
	}
	for feature, test := range map[string]struct {
		with   []string // other features that it is one of
		there  func(*s3test.Server)
		argv   []string
		stdout string
	}{
		"normalize": {there: func(s *s3test.Server) { s.Put("b", "p/k", []byte("0123456789"), parts) },
			argv: []string{"normalize", "--yes", "s3://b/p/"}, stdout: "normalized s3://b/p/k"},
		"normalize, of objects that have tags": {with: []string{"normalize"}, there: func(s *s3test.Server) {
			s.Put("b", "p/k", []byte("0123456789"), parts, func(o *s3test.Object) { o.Tags = map[string]string{"team": "web"} })
		}, argv: []string{"normalize", "--yes", "s3://b/p/"}, stdout: "normalized s3://b/p/k"},
		"normalize, of objects that have an ACL": {with: []string{"normalize"}, there: func(s *s3test.Server) {
			s.Put("b", "p/k", []byte("0123456789"), parts, func(o *s3test.Object) { o.ACL = "public-read" })
		}, argv: []string{"normalize", "--yes", "s3://b/p/"}, stdout: "normalized s3://b/p/k"},
		"normalize --allow-versions": {with: []string{"normalize"}, there: func(s *s3test.Server) {
			s.SetObjectLock("b", "", 0)
			s.Put("b", "p/k", []byte("0123456789"), parts)
		}, argv: []string{"normalize", "--yes", "--allow-versions", "s3://b/p/"}, stdout: "normalized s3://b/p/k"},
		"sync": {with: []string{"Write"}, there: func(*s3test.Server) {},
			argv: []string{"sync", "--no-hash-cache", dir, "s3://b/p/"}, stdout: "to s3://b/p/new"},
		"sync --delete": {with: []string{"Write", "sync"}, there: func(s *s3test.Server) { s.Put("b", "p/gone", []byte("x")) },
			argv: []string{"sync", "--no-hash-cache", "--delete", dir, "s3://b/p/"}, stdout: "deleted s3://b/p/gone"},
		"uploads": {there: func(s *s3test.Server) { s.Begin("b", "k", time.Now().Add(-2*time.Hour), 5) },
			argv: []string{"uploads", "--abort", "--yes", "s3://b"}, stdout: "aborted s3://b/k"},
	} {
		if len(shown[feature]) == 0 {
			t.Errorf("the page has no policy for %s", feature)
		}
		run := func(t *testing.T, allowed []string) (code int, stdout, said string) {
			server := s3test.New(t, s3test.Options{})
			server.CreateBucket("b")
			test.there(server)
			server.SetQuirks(func(q *s3test.Quirks) {
				for _, action := range s3test.Permissions() {
					if !slices.Contains(allowed, action) {
						q.Deny = append(q.Deny, action)
					}
				}
			})
			for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": server.AccessKey(), "AWS_SECRET_ACCESS_KEY": server.SecretKey(),
				"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_ENDPOINT_URL": server.URL(), "AWS_REGION": "us-east-1"} {
				t.Setenv(name, value)
			}
			return inProcess(t, test.argv...)
		}
		policy := slices.Clone(shown[feature])
		for _, other := range test.with {
			policy = append(policy, shown[other]...)
		}
		t.Run(feature, func(t *testing.T) {
			code, stdout, said := run(t, policy)
			said = strings.ReplaceAll(said, "note: s3://b/p/k: the bucket keeps versions", "")
			if code != exitOK || !strings.Contains(stdout, test.stdout) || strings.Contains(said, "note:") {
				t.Errorf("exit %d, %s%s", code, stdout, said)
			}
		})
		for _, action := range shown[feature] {
			t.Run(feature+" without "+action, func(t *testing.T) {
				_, stdout, said := run(t, slices.DeleteFunc(slices.Clone(policy), func(a string) bool { return a == action }))
				if !strings.Contains(said, action) {
					t.Errorf("nothing names it: %s%s", stdout, said)
				}
			})
		}
	}
}

// inProcess runs the program without a process of its own.
func inProcess(t *testing.T, argv ...string) (code int, stdout, stderr string) {
	t.Helper()
	var files []*os.File
	for _, name := range []string{"stdin", "stdout", "stderr"} {
		f, err := os.Create(filepath.Join(t.TempDir(), name))
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		files = append(files, f)
	}
	code = run(append([]string{"s3up"}, argv...), files[0], files[1], files[2])
	text := func(f *os.File) string {
		f.Seek(0, io.SeekStart)
		all, err := io.ReadAll(f)
		if err != nil {
			t.Fatal(err)
		}
		return string(all)
	}
	return code, text(files[1]), text(files[2])
}
