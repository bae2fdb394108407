package upload_test

import (
	"io/fs"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

// A countedFile counts the bytes that are read of it.
type countedFile struct {
	*os.File
	read atomic.Int64
}

func (f *countedFile) ReadAt(p []byte, offset int64) (int, error) {
	n, err := f.File.ReadAt(p, offset)
	f.read.Add(int64(n))
	return n, err
}

func (f *countedFile) Stat() (fs.FileInfo, error) { return f.File.Stat() }

// What --if-changed has hashed is not hashed again when it turns out to be others'
// bytes, and is sent: it is read once for that, and once to be sent.
func TestIfChangedHashesOnce(t *testing.T) {
	const size = 6*KiB + 5
	data := random(size, "ours")
	for name, part := range map[string]int64{"in one piece": 0, "in our parts": KiB} {
		for _, sum := range []upload.Checksum{upload.SumNone, upload.SumCRC64NVME} {
			st := newStand(t, s3test.Options{})
			if part == 0 {
				st.Put(st.bucket, "k", random(size, "others"))
			} else {
				st.completed(t, "k", random(size, "others"), part)
			}
			path := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(path, data, 0o600); err != nil {
				t.Fatal(err)
			}
			f, err := os.Open(path)
			if err != nil {
				t.Fatal(err)
			}
			defer f.Close()
			counted := &countedFile{File: f}
			src, err := upload.NewFile("f", counted)
			if err != nil {
				t.Fatal(err)
			}
			r := st.upload(t, src, "k", ifChanged, checksum(sum))
			st.check(t, r, "k", data)
			if sum == upload.SumCRC64NVME && r.ChecksumAlgorithm != "CRC64NVME" {
				t.Errorf("%s: the checksum is %q %q", name, r.ChecksumAlgorithm, r.Notes)
			}
			if n := counted.read.Load(); n >= 3*size { // a sample of it tells its type
				t.Errorf("%s, checksum %s: %d bytes were read, of a file of %d", name, sum, n, size)
			}
		}
	}
}
