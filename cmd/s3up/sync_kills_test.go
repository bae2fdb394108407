package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3up/internal/s3test"
)

// TestSyncKills kills a sync at each of its requests and runs the same command again:
// the bucket is what it is after a run that nobody disturbs.
func TestSyncKills(t *testing.T) {
	dir, cache := t.TempDir(), t.TempDir()
	for _, name := range []string{"a", "b", "c"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(name), 0o666); err != nil {
			t.Fatal(err)
		}
	}
	n := 0
	for killSyncAt(t, dir, cache, n) {
		n++
	}
	if n < 4 { // a page, two files, a deletion
		t.Errorf("only %d requests could be killed", n)
	}
}

// killSyncAt kills a sync at its request n, and repeats it. It returns false if it
// ended before.
func killSyncAt(t *testing.T, dir, cache string, n int) bool {
	t.Helper()
	server := s3test.New(t, s3test.Options{})
	server.CreateBucket("b")
	for key, body := range map[string]string{"p/a": "a", "p/b": "x", "p/gone": "gone", "p/gone2": "gone", "q": "q"} {
		if _, err := server.Client().PutObject(context.Background(), &s3.PutObjectInput{Bucket: new("b"), Key: &key, Body: strings.NewReader(body)}); err != nil {
			t.Fatal(err)
		}
	}
	run := func() *exec.Cmd {
		cmd := runOf(server, "", "auto")
		cmd.Args = []string{"s3up", "sync", "-q", "--delete", dir, "s3://b/p/"}
		cmd.Env = append(cmd.Env, "XDG_CACHE_HOME="+cache)
		return cmd
	}
	up := run()
	var said bytes.Buffer
	up.Stdout, up.Stderr = &said, &said
	started := make(chan struct{}) // up.Process is known
	server.Fault(s3test.Fault{Op: "*", After: n, Do: s3test.Block, Hold: make(chan struct{}), Hook: func() {
		<-started
		up.Process.Kill()
	}})
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	close(started)
	up.Wait()
	killed := up.ProcessState.Sys().(syscall.WaitStatus).Signaled()
	if !killed && !up.ProcessState.Success() {
		t.Errorf("a run that nobody kills: %v: %s", up.ProcessState, &said)
	}
	server.ClearFaults()
	if out, err := run().CombinedOutput(); err != nil {
		t.Fatalf("killed at request %d: the next run: %v: %s", n, err, out)
	}
	if keys := server.Objects("b"); !slices.Equal(keys, []string{"p/a", "p/b", "p/c", "q"}) {
		t.Errorf("killed at request %d: the bucket has %q", n, keys)
	}
	for _, name := range []string{"a", "b", "c"} {
		if o, ok := server.Object("b", "p/"+name); !ok || string(o.Bytes()) != name {
			t.Errorf("killed at request %d: p/%s is %q", n, name, o.Bytes())
		}
	}
	return killed
}
