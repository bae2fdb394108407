package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"s3up/internal/s3test"
)

// TestKills kills an upload at each of its requests, when all before have been
// done and this one has not, and runs the same command again: the object is
// right, nothing half-done is left, and no part is sent again that was stored:
// none at all where the parts are an object already, and only its copy is missing.
func TestKills(t *testing.T) {
	file := filepath.Join(t.TempDir(), "big")
	data := bytes.Repeat([]byte("0123456789abcdef"), 6_000_000/16)
	if err := os.WriteFile(file, data, 0o666); err != nil {
		t.Fatal(err)
	}
	for _, normalize := range []string{"self", "staged"} {
		t.Run(normalize, func(t *testing.T) {
			t.Parallel()
			n := 0
			for killAt(t, file, data, normalize, n) {
				n++
			}
			t.Logf("%d kills", n)
			if n < 8 {
				t.Errorf("only %d requests could be killed", n)
			}
		})
	}
}

// killAt kills an upload at its request n, counted from 0, and lets it go on. It
// returns false if the upload ended before.
func killAt(t *testing.T, file string, data []byte, normalize string, n int) bool {
	t.Helper()
	server := s3test.New(t, s3test.Options{})
	server.CreateBucket("b")
	sum := sumsOf(data)
	up := runOf(server, file, normalize)
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
	status := up.ProcessState.Sys().(syscall.WaitStatus)
	if !status.Signaled() {
		if !up.ProcessState.Success() {
			t.Errorf("a run that nobody kills: %v: %s", up.ProcessState, &said)
		}
		return false
	}

	server.ClearFaults()
	stored := storedParts(server, sum)
	server.ResetRequests()
	again := runOf(server, file, normalize)
	if out, err := again.CombinedOutput(); err != nil {
		t.Fatalf("killed at request %d: the next run: %v: %s", n, err, out)
	}
	if o, ok := server.Object("b", "dir/big"); !ok || o.ETag != sum.md5 || !bytes.Equal(o.Bytes(), data) {
		t.Errorf("killed at request %d: the object is %q, want %s", n, o.ETag, sum.md5)
	}
	if left := server.Uploads("b"); len(left) > 0 {
		t.Errorf("killed at request %d: %d unfinished uploads are left", n, len(left))
	}
	if keys := server.Objects("b"); !slices.Equal(keys, []string{"dir/big"}) {
		t.Errorf("killed at request %d: the bucket has %q", n, keys)
	}
	for _, part := range stored {
		if sent := server.Count(fmt.Sprintf("UploadPart %d", part)); sent > 0 {
			t.Errorf("killed at request %d: part %d was stored and is sent again", n, part)
		}
	}
	return true
}

// runOf returns a run of the program that sends one part at a time.
func runOf(server *s3test.Server, file, normalize string) *exec.Cmd {
	cmd := exec.Command("s3up", "cp", "-q", "--stale-after", "0", "--normalize", normalize, "--concurrency", "4",
		"--multipart-threshold", "5MiB", "--part-size", "5MiB", file, "s3://b/dir/big")
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+server.URL(), "AWS_REGION="+server.Region(), "AWS_SESSION_TOKEN=",
		"AWS_ACCESS_KEY_ID="+server.AccessKey(), "AWS_SECRET_ACCESS_KEY="+server.SecretKey(), "AWS_PROFILE=",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "GORACE=atexit_sleep_ms=0")
	return cmd
}

// storedParts returns the numbers of the parts that the next run may go on with:
// those of unfinished uploads, and all of them once they are the object.
func storedParts(server *s3test.Server, sum *sums) []int {
	var numbers []int
	for _, up := range server.Uploads("b") {
		for _, p := range up.Parts {
			numbers = append(numbers, p.Number)
		}
	}
	if o, ok := server.Object("b", "dir/big"); ok && o.ETag == sum.composite {
		numbers = append(numbers, sum.parts()...)
	}
	return numbers
}
