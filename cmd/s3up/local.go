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
	*os.File
	local verify.Local
}

// openLocal opens a file, or takes stdin. What is no regular file is a stream, and so
// is one of size 0 that has bytes all the same, as those in /proc do.
func openLocal(ctx context.Context, path string, stdin *os.File) (*localFile, error) {
	if path == stdinName {
		return &localFile{nil, verify.Local{Name: "stdin", Size: -1, Stream: tree.Interruptible(ctx, stdin)}}, nil
	}
	f, err := openFile(ctx, path)
	if err != nil {
		return nil, err
	}
	info, err := f.Stat()
	if err == nil && info.IsDir() {
		err = usagef("name its files, or give it alone", "%s is a directory", path)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	stream := &localFile{f, verify.Local{Name: path, Size: -1, Stream: tree.Interruptible(ctx, f)}}
	if !info.Mode().IsRegular() {
		return stream, nil
	}
	if info.Size() == 0 {
		if n, _ := f.ReadAt(make([]byte, 1), 0); n > 0 {
			return stream, nil
		}
	}
	changed := func() error {
		now, err := f.Stat()
		if err != nil {
			return err
		}
		named, err := os.Stat(path)
		switch {
		case now.Size() != info.Size(), !now.ModTime().Equal(info.ModTime()), !upload.ChangeTime(now).Equal(upload.ChangeTime(info)):
			return &verify.ChangedError{Name: path, How: "somebody wrote to it"}
		case err != nil, !os.SameFile(named, now):
			return &verify.ChangedError{Name: path, How: "another file has its name now"}
		}
		return nil
	}
	return &localFile{f, verify.Local{Name: path, Size: info.Size(), File: f, Changed: changed}}, nil
}

func (f *localFile) Close() {
	if f.File != nil {
		f.File.Close()
	}
}

// openFile opens a file. That of a FIFO waits for a writer, or for the context.
func openFile(ctx context.Context, path string) (*os.File, error) {
	type opened struct {
		f   *os.File
		err error
	}
	done := make(chan opened, 1)
	go func() {
		f, err := os.Open(path)
		done <- opened{f, err}
	}()
	select {
	case o := <-done:
		return o.f, o.err
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
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
