package tree_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3up/internal/s3test"
	"s3up/internal/store"
	"s3up/internal/tree"
	"s3up/internal/upload"
)

// A stand is an s3test server, with the client that the program has, a folder and
// the uploader of a run.
type stand struct {
	*s3test.Server
	client *s3.Client
	plain  *s3.Client
	dir    string
	up     *upload.Uploader
}

func newStand(t testing.TB, o s3test.Options) *stand {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
			os.Unsetenv(name)
		}
	}
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIAS3TEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "s3test-secret")
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	o.MinPartSize = 1 << 10
	st := &stand{Server: s3test.New(t, o), dir: t.TempDir()}
	st.CreateBucket("b")
	s, err := store.Open(t.Context(), store.Config{Endpoint: st.URL(), Region: "us-east-1", Addressing: "path",
		Attempts: func(context.Context) int { return 2 }, Backoff: func(int, error) time.Duration { return 0 }})
	if err != nil {
		t.Fatal(err)
	}
	st.client, st.plain = s.Client, st.Server.Client()
	st.up, err = upload.New(s.Client, upload.Options{PartSize: 1 << 10, Threshold: 2 << 10, Limits: upload.Limits{MinPart: 1 << 10}})
	if err != nil {
		t.Fatal(err)
	}
	return st
}

// put stores an object as somebody else would.
func (st *stand) put(t testing.TB, key, body string) {
	t.Helper()
	if _, err := st.plain.PutObject(t.Context(), &s3.PutObjectInput{Bucket: new("b"), Key: &key, Body: strings.NewReader(body)}); err != nil {
		t.Fatal(err)
	}
}

// write makes a file in the folder.
func (st *stand) write(t testing.TB, rel, body string) {
	t.Helper()
	path := filepath.Join(st.dir, filepath.FromSlash(rel))
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(body), 0o600); err != nil {
		t.Fatal(err)
	}
}

// comparer compares the folder with the prefix p/.
func (st *stand) comparer(t testing.TB) *tree.Comparer {
	return &tree.Comparer{
		Files:    tree.Walk(t.Context(), st.dir, "p/", tree.Options{}),
		Objects:  tree.List(t.Context(), st.client, "b", "p/"),
		Prefix:   "p/",
		Uploader: st.up,
		Job: func(f *tree.File, src *upload.Source) *upload.Job {
			return &upload.Job{Source: src, Bucket: "b", Key: f.Key}
		},
	}
}

// decide returns what is to be done about each key, and why.
func decide(t testing.TB, c *tree.Comparer) (map[string]string, error) {
	t.Helper()
	got := make(map[string]string)
	for d, err := range c.Decide(t.Context()) {
		if err != nil {
			return got, err
		}
		key := ""
		if d.File != nil {
			key = d.File.Key
		} else {
			key = d.Object.Key
		}
		if got[key] != "" {
			t.Errorf("two decisions about %q", key)
		}
		got[key] = strings.TrimSpace(string(d.Action) + " " + string(d.By))
	}
	return got, nil
}
