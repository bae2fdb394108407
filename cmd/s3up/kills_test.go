package main

import (
	"bytes"
	"crypto/md5"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"

	"s3up/internal/s3test"
)

// A killFlow is a way to upload, which is killed.
type killFlow struct {
	args      []string
	versioned bool
	old       bool // an object is there before
	share     int  // one in so many of its requests is killed at, unless S3UP_SOAK is set
	// skips says that what is an object already is left alone by the next run.
	skips bool
}

var killFlows = map[string]killFlow{
	"self":               {args: []string{"--normalize", "self"}, share: 1},
	"staged":             {args: []string{"--normalize", "staged"}, share: 4},
	"published":          {args: []string{"--publish", "staged"}, share: 4},
	"published, version": {args: []string{"--publish", "staged"}, versioned: true, old: true, share: 6},
	"if changed":         {args: []string{"--if-changed"}, old: true, share: 4},
	"if match":           {args: []string{"--if-match", fmt.Sprintf("%x", md5.Sum(killOld))}, old: true, share: 4},
	"no clobber":         {args: []string{"--no-clobber"}, skips: true, share: 6},
	"pruned":             {args: []string{"--prune-version"}, versioned: true, old: true, share: 6},
}

// killOld is what is there before.
var killOld = []byte("old")

// TestKills kills an upload at each of its requests, when all before have been
// done and this one has not, and runs the same command again: the object is
// right, nothing half-done is left, and no part is sent again that was stored:
// none at all where the parts are an object already, and only its copy is missing.
// Of most flows it is a share of the requests, which the seed chooses; with S3UP_SOAK
// all of them.
func TestKills(t *testing.T) {
	file := filepath.Join(t.TempDir(), "big")
	data := bytes.Repeat([]byte("0123456789abcdef"), 6_000_000/16)
	if err := os.WriteFile(file, data, 0o666); err != nil {
		t.Fatal(err)
	}
	seed := soakSeed(t)
	t.Logf("again: S3UP_SEED=%d go test -run TestKills ./cmd/s3up", seed)
	for name, f := range killFlows {
		if os.Getenv("S3UP_SOAK") != "" {
			f.share = 1
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			kills := 0
			for n := int(seed % uint64(f.share)); f.killAt(t, file, data, n); n += f.share {
				kills++
			}
			t.Logf("%d kills", kills)
			if kills < 8/f.share {
				t.Errorf("only %d requests could be killed", kills)
			}
		})
	}
}

// killAt kills an upload at its request n, counted from 0, and lets it go on. It
// returns false if the upload ended before.
func (f *killFlow) killAt(t *testing.T, file string, data []byte, n int) bool {
	t.Helper()
	server := s3test.New(t, s3test.Options{Quirks: s3test.Quirks{Versioned: f.versioned}})
	server.CreateBucket("b")
	if f.old {
		server.Put("b", "dir/big", killOld)
	}
	sum := sumsOf(data)
	up := runOf(server, file, f.args...)
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
	killed, _ := server.Object("b", "dir/big")
	again := runOf(server, file, f.args...)
	before := server.Count("*")
	if out, err := again.CombinedOutput(); err != nil {
		t.Fatalf("killed at request %d: the next run: %v: %s", n, err, out)
	}
	want := sum.md5
	if f.skips && killed.ETag == sum.composite {
		want = sum.composite
	}
	if o, ok := server.Object("b", "dir/big"); !ok || o.ETag != want || !bytes.Equal(o.Bytes(), data) {
		t.Errorf("killed at request %d: the object is %q, want %s", n, o.ETag, want)
	}
	if left := server.Uploads("b"); len(left) > 0 {
		t.Errorf("killed at request %d: %d unfinished uploads are left", n, len(left))
	}
	if keys := server.Objects("b"); !slices.Equal(keys, []string{"dir/big"}) {
		t.Errorf("killed at request %d: the bucket has %q", n, keys)
	}
	for i, rec := range server.Requests() {
		if i >= before && rec.Op == "UploadPart" && slices.Contains(stored, rec.Part) {
			t.Errorf("killed at request %d: part %d was stored and is sent again", n, rec.Part)
		}
		if vs := server.Versions("b", rec.Key); rec.Key != "" && rec.Key != "dir/big" && len(vs) > 0 {
			t.Errorf("killed at request %d: %q has versions: %v", n, rec.Key, vs)
		}
	}
	for _, v := range server.Versions("b", "dir/big") {
		// A run that dies after its copy leaves the version that it was to prune.
		if v.ETag == sum.composite && v.ETag != want && killed.ETag != sum.md5 {
			t.Errorf("killed at request %d: the version %s, of parts, is left", n, v.VersionID)
		}
	}
	return true
}

// runOf returns a run of the program that sends one part at a time.
func runOf(server *s3test.Server, file string, args ...string) *exec.Cmd {
	args = append([]string{"cp", "-q", "--stale-after", "0", "--concurrency", "4", "--multipart-threshold", "5MiB", "--part-size", "5MiB"}, args...)
	cmd := exec.Command("s3up", append(args, file, "s3://b/dir/big")...)
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
	for _, key := range server.Objects("b") { // a staged one too
		if o, ok := server.Object("b", key); ok && o.ETag == sum.composite {
			numbers = append(numbers, sum.parts()...)
		}
	}
	return numbers
}
