package main

import (
	"context"
	"io"
	"os"
	"sync"

	"s3up/internal/tree"
	"s3up/internal/upload"
	"s3up/internal/verify"
)

// A localFile is an open file that an object is compared with.
type localFile struct {
	*upload.Source
	local verify.Local
}

// openLocal opens a file, or takes stdin.
func openLocal(ctx context.Context, path string, stdin *os.File) (*localFile, error) {
	if path == stdinName {
		return newLocalFile(ctx, upload.NewStream("stdin", stdin)), nil
	}
	if isFolder(path) {
		return nil, usagef("name its files", "%s is a directory", path)
	}
	src, err := upload.Open(ctx, path)
	if err != nil {
		return nil, err
	}
	f := newLocalFile(ctx, src)
	if traces := f.local.Changed; traces != nil {
		// What is verified may be removed next, by its name.
		f.local.Changed = func() (unsure bool, _ error) {
			unsure, err := traces()
			switch {
			case err != nil && upload.KindOf(err) == upload.SourceChanged:
				err = &verify.ChangedError{Name: path, How: "somebody wrote to it"}
			case err == nil && !src.IsAt(path):
				err = &verify.ChangedError{Name: path, How: "another file has its name now"}
			}
			return unsure, err
		}
	}
	return f, nil
}

func newLocalFile(ctx context.Context, src *upload.Source) *localFile {
	f := &localFile{src, src.Local()}
	if s := f.local.Stream; s != nil {
		f.local.Stream = tree.Interruptible(ctx, s)
	}
	return f
}

// A readingOf is one file's part in what is shown, and in what is read at once.
type readingOf struct {
	show *reading
	name string
	size int64
	turn chan struct{}
	ctx  context.Context

	once sync.Once
	took bool
}

// local has the first read wait for its turn.
func (r *readingOf) local(l verify.Local) verify.Local {
	if l.File != nil {
		l.File = turnReader{l.File, r}
	}
	return l
}

type turnReader struct {
	io.ReaderAt
	r *readingOf
}

func (w turnReader) ReadAt(p []byte, offset int64) (int, error) {
	w.r.begin()
	if err := w.r.ctx.Err(); err != nil {
		return 0, context.Cause(w.r.ctx)
	}
	return w.ReaderAt.ReadAt(p, offset)
}

func (r *readingOf) begin() {
	r.once.Do(func() {
		select {
		case r.turn <- struct{}{}:
			r.took = true
		case <-r.ctx.Done():
		}
		r.show.begin(r.name, r.size)
	})
}

func (r *readingOf) progress(n int64) {
	r.begin()
	r.show.read(n)
}

func (r *readingOf) end() {
	if r.took {
		<-r.turn
	}
}
