package upload_test

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

// serveFor makes the test's own binary a store that keeps no bytes, in a process
// of its own: what it allocates is nobody's business here.
const serveFor = "S3UP_TEST_SERVE"

func serve() {
	s, err := s3test.Start(s3test.Options{Discard: true, Forget: true, MinPartSize: KiB})
	if err != nil {
		fmt.Println(err)
		return
	}
	defer s.Close()
	s.CreateBucket("b")
	fmt.Println(s.URL())
	io.Copy(io.Discard, os.Stdin)
}

// newDistantStand opens a store in another process.
func newDistantStand(t testing.TB) *stand {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), os.Args[0])
	cmd.Env = append(os.Environ(), serveFor+"=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		stdin.Close()
		cmd.Wait()
	})
	url, _ := bufio.NewReader(stdout).ReadString('\n')
	return &stand{bucket: "b", part: KiB, store: openStore(t, strings.TrimSpace(url))}
}

// sparse makes a file of zeros.
func sparse(t testing.TB, size int64) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Truncate(size); err != nil {
		t.Fatal(err)
	}
	return path
}

// send uploads a file some times with one Uploader.
func (st *stand) send(t testing.TB, path string, part int64, times int) {
	t.Helper()
	o := st.options()
	o.PartSize, o.Threshold, o.Normalize, o.Limits.MinPart = part, part, upload.NormalizeOff, part
	u, err := upload.New(st.store.Client, o)
	if err != nil {
		t.Fatal(err)
	}
	for range times {
		src, err := upload.Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		r := u.Upload(t.Context(), &upload.Job{Source: src, Bucket: st.bucket, Key: "k"})
		src.Close()
		if r.Err != nil {
			t.Fatal(r.Err)
		}
	}
}

// TestAllocations bounds what is allocated: nothing for each block of a file, and
// as much for each part and each small file as a request of the SDK takes.
func TestAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("the race detector allocates too: make test runs this without it")
	}
	st := newDistantStand(t)
	// The least of some runs: the runtime allocates at times, and pools are emptied.
	allocations := func(size, part int64, times int) float64 {
		path := sparse(t, size)
		least := uint64(1 << 62)
		for range 3 {
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			st.send(t, path, part, times)
			runtime.ReadMemStats(&after)
			least = min(least, after.Mallocs-before.Mallocs)
		}
		return float64(least)
	}
	const block = 256 * KiB
	allocations(8*MiB, MiB, 1) // connections, and what is made once
	few, large, many := allocations(8*MiB, MiB, 1), allocations(8*8*MiB, 8*MiB, 1), allocations(40*MiB, MiB, 1)
	perBlock, perPart := (large-few)/(8*7*MiB/block), (many-few)/32
	perFile := (allocations(64*KiB, MiB, 100) - allocations(64*KiB, MiB, 20)) / 80
	t.Logf("%.2f a block, %.0f a part, %.0f a small file", perBlock, perPart, perFile)
	if perBlock > 0.5 {
		t.Errorf("%.2f allocations a block, want none", perBlock)
	}
	if perPart > 1000 {
		t.Errorf("%.0f allocations a part", perPart)
	}
	if perFile > 2000 {
		t.Errorf("%.0f allocations a small file", perFile)
	}
}

// Whole uploads to a store that keeps no bytes, in another process.
func BenchmarkUpload(b *testing.B) {
	for _, bench := range []struct {
		name       string
		size, part int64
	}{
		{"256 MiB in parts of 16", 256 * MiB, 16 * MiB},
		{"64 KiB", 64 * KiB, 16 * MiB},
	} {
		b.Run(bench.name, func(b *testing.B) {
			st := newDistantStand(b)
			path := sparse(b, bench.size)
			st.send(b, path, bench.part, 1)
			b.SetBytes(bench.size)
			b.ReportAllocs()
			b.ResetTimer()
			st.send(b, path, bench.part, b.N)
		})
	}
}
