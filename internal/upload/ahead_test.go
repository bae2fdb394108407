package upload_test

import (
	"context"
	"io"
	"sync"
	"testing"
	"time"

	"s3up/internal/s3test"
	"s3up/internal/store"
	"s3up/internal/upload"
)

// A watchedFile tells when its end is read.
type watchedFile struct {
	*memoryFile
	ended func()
}

func (f watchedFile) ReadAt(p []byte, offset int64) (int, error) {
	n, err := f.memoryFile.ReadAt(p, offset)
	if err == io.EOF || offset+int64(n) == int64(len(f.data)) {
		f.ended()
	}
	return n, err
}

// The hash goes on while the store answers nothing: it takes the longest.
func TestHashAhead(t *testing.T) {
	read := make(chan struct{})
	st := newStand(t, s3test.Options{}, patient)
	st.Fault(s3test.Fault{Op: "UploadPart", Times: -1, Do: s3test.None, Hold: read})
	data := random(100*st.part, "ahead")
	src, err := upload.NewFile("watched", watchedFile{newMemoryFile(data), sync.OnceFunc(func() { close(read) })})
	if err != nil {
		t.Fatal(err)
	}
	st.check(t, st.upload(t, src, "k.bin", hurried(t)), "k.bin", data)
}

// patient waits longer for an answer than any test takes.
func patient(c *store.Config) { c.StallTimeout = time.Hour }

// hurried ends a run that hangs.
func hurried(t *testing.T) func(*run) {
	return func(r *run) {
		var cancel context.CancelFunc
		r.ctx, cancel = context.WithTimeout(r.ctx, 20*time.Second)
		t.Cleanup(cancel)
	}
}
