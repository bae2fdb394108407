package upload_test

import (
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

// mapped makes a file and maps it for writing. Each of its pages was written to
// before, so that further writes change neither its size nor its times.
func mapped(t *testing.T, data []byte) (path string, bytes []byte) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "mapped")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	bytes, err = unix.Mmap(int(f.Fd()), 0, len(data), unix.PROT_READ|unix.PROT_WRITE, unix.MAP_SHARED)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Munmap(bytes) })
	copy(bytes, data)
	return path, bytes
}

// age waits until what is written to the file would get another time.
func age(t *testing.T, path string) {
	t.Helper()
	for {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		st := info.Sys().(*syscall.Stat_t)
		if time.Since(time.Unix(st.Ctim.Unix())) > 200*time.Millisecond {
			return
		}
	}
}

// A file is written to through memory, a part that was sent and one that was not
// read yet: it never was what was read of it.
func TestSourceChangesInMemory(t *testing.T) {
	st := newStand(t, s3test.Options{})
	path, bytes := mapped(t, random(16*KiB, "mapped"))
	age(t, path)
	st.when("UploadPart 4", 0, func() {
		bytes[0] ^= 1
		bytes[len(bytes)-1] ^= 1
	})
	r := st.upload(t, open(t, path), "k", oneAtATime)
	if upload.KindOf(r.Err) != upload.SourceChanged || r.Resumable {
		t.Errorf("error %v of kind %d, want %d", r.Err, upload.KindOf(r.Err), upload.SourceChanged)
	}
	if st.object(t, "k") != nil {
		t.Error("there is an object")
	}
	st.nothingLeft(t, "k")
}

// The same, by somebody who is gone when the upload ends.
func TestSourceChangedInMemory(t *testing.T) {
	st := newStand(t, s3test.Options{})
	path, bytes := mapped(t, random(16*KiB, "mapped"))
	age(t, path)
	st.when("UploadPart 4", 0, func() {
		bytes[0] ^= 1
		bytes[len(bytes)-1] ^= 1
		unix.Munmap(bytes)
	})
	if r := st.upload(t, open(t, path), "k", oneAtATime); upload.KindOf(r.Err) != upload.SourceChanged {
		t.Errorf("error %v of kind %d, want %d", r.Err, upload.KindOf(r.Err), upload.SourceChanged)
	}
}

// A file that somebody has open for writing, and leaves alone, is uploaded.
func TestSourceOpenForWriting(t *testing.T) {
	st := newStand(t, s3test.Options{})
	data := random(16*KiB, "mapped")
	path, _ := mapped(t, data)
	st.ends(t, st.upload(t, open(t, path), "k"), "k", data, upload.SelfCopy)
}
