package upload

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"time"

	"s3up/internal/contenttype"
	"s3up/internal/etag"
	"s3up/internal/verify"
)

// A File is what the engine needs of an open regular file: it is read at any
// place by several goroutines at once.
type File interface {
	io.ReaderAt
	Stat() (fs.FileInfo, error)
}

// A Source is what is uploaded: a regular file, whose size can be trusted, or a
// stream, which ends when it ends. It serves one upload.
type Source struct {
	name   string
	path   string // to open it again; "" if that is not possible
	grows  bool   // what is behind size does not count
	size   int64  // -1 for a stream
	file   File
	info   fs.FileInfo // before the first read
	unsure bool        // somebody could write to it and leave no trace in its times
	stream io.Reader
	closer io.Closer
}

// Open opens a path for upload. What is not a regular file (pipes, FIFOs,
// devices) is a stream, and so is a regular file of size 0 that has bytes all
// the same, as those in /proc do. Opening a FIFO waits for its writer, or for
// the context.
func Open(ctx context.Context, path string) (*Source, error) {
	type opened struct {
		f   *os.File
		err error
	}
	done := make(chan opened, 1)
	go func() {
		f, err := os.Open(path)
		done <- opened{f, err}
	}()
	var f *os.File
	select {
	case o := <-done:
		if o.err != nil {
			return nil, o.err
		}
		f = o.f
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	s, err := newSource(path, f)
	if err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

func newSource(path string, f *os.File) (*Source, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	switch {
	case info.IsDir():
		return nil, fail(Usage, "%s is a directory", path)
	case !info.Mode().IsRegular():
		return &Source{name: path, size: -1, stream: f, closer: f}, nil
	case info.Size() == 0:
		if n, err := f.ReadAt(make([]byte, 1), 0); n > 0 {
			return &Source{name: path, size: -1, stream: f, closer: f}, nil
		} else if err != nil && err != io.EOF {
			return nil, err
		}
	}
	s := &Source{name: path, path: path, size: info.Size(), file: f, info: info, closer: f}
	s.unsure = isFresh(info, time.Now()) || isWritable(f)
	return s, nil
}

const (
	// tick is the most by which two writes may be apart and get the same time: a
	// kernel looks at the clock 100 times a second or more. The rest is for luck.
	tick = 50 * time.Millisecond

	// coarseTick is the same where a file system keeps whole seconds (ext3, ext4 with
	// small inodes, HFS+) or every other one (FAT).
	coarseTick = 2*time.Second + 500*time.Millisecond
)

// isFresh says whether a file was changed so shortly before now that another change
// may leave its times as they are.
func isFresh(info fs.FileInfo, now time.Time) bool {
	changed, most := ChangeTime(info), tick
	if changed.IsZero() {
		changed = info.ModTime()
	}
	if changed.Nanosecond() == 0 && info.ModTime().Nanosecond() == 0 {
		most = coarseTick
	}
	return now.Sub(changed) < most
}

// reopen opens the file of that path as it is now, for another try.
func (s *Source) reopen(ctx context.Context) error {
	now, err := Open(ctx, s.path)
	if err != nil {
		return err
	}
	if now.size < 0 {
		now.Close()
		return fail(SourceChanged, "%s is no regular file any more", s.name)
	}
	s.Close()
	now.grows = s.grows
	*s = *now
	return nil
}

// NewFile returns a Source of a file that is open already.
func NewFile(name string, f File) (*Source, error) {
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	return &Source{name: name, size: info.Size(), file: f, info: info}, nil
}

// NewStream returns a Source of whatever r gives until it ends.
func NewStream(name string, r io.Reader) *Source { return &Source{name: name, size: -1, stream: r} }

// IsAt says whether the file is the one that a path leads to.
func (s *Source) IsAt(path string) bool {
	now, err := os.Stat(path)
	return err == nil && os.SameFile(now, s.info)
}

// Name returns what the user called it.
func (s *Source) Name() string { return s.name }

// Size returns the number of bytes, -1 for a stream.
func (s *Source) Size() int64 { return s.size }

// Close closes what Open opened. A read that waits for a FIFO ends with it.
func (s *Source) Close() error {
	if s.closer == nil {
		return nil
	}
	return s.closer.Close()
}

// section returns a part of the file, for one reader.
func (s *Source) section(offset, size int64) *io.SectionReader {
	return io.NewSectionReader(s.file, offset, size)
}

// changed says whether the file is not what it was before the first read, when
// whole was the MD5 of what was read. Where nothing else can tell, the bytes are read
// once more.
func (s *Source) changed(ctx context.Context, whole etag.MD5) error {
	unsure, err := s.traces()
	if err != nil || !unsure {
		return err
	}
	switch again, err := s.sum(ctx, 0, s.size); {
	case err != nil:
		return err
	case again != whole:
		return fail(SourceChanged, "%s changed while it was read: its bytes are not what they were", s.name)
	}
	return nil
}

// traces says whether size and times show that the file is not what it was before the
// first read. unsure is true where they cannot tell, because a file may grow, or was
// written a moment before, or its status changed and nothing else (a new name, other
// rights, or a time that was put back), or somebody has it open for writing: then the
// bytes are to be read once more.
func (s *Source) traces() (unsure bool, _ error) {
	unsure = s.unsure || isWritable(s.file)
	now, err := s.file.Stat()
	if err != nil {
		return false, err
	}
	shrunk, grown := now.Size() < s.info.Size(), now.Size() > s.info.Size()
	written := !now.ModTime().Equal(s.info.ModTime())
	switch {
	case shrunk, grown && !s.grows:
		return false, fail(SourceChanged, "%s changed while it was read: it had %d bytes, now it has %d", s.name, s.info.Size(), now.Size())
	case written && !s.grows:
		return false, fail(SourceChanged, "%s changed while it was read: it was written at %s", s.name, now.ModTime().Format("15:04:05.000"))
	}
	return unsure || grown || written || !ChangeTime(now).Equal(ChangeTime(s.info)), nil
}

// Local is the source as package verify takes it. It is the Source's: who closes
// that ends it.
func (s *Source) Local() verify.Local {
	if s.size < 0 {
		return verify.Local{Name: s.name, Size: -1, Stream: s.stream}
	}
	return verify.Local{Name: s.name, Size: s.size, File: s.file, Changed: s.traces}
}

// atEnd makes sure that the file ends where its size says.
func (s *Source) atEnd() error {
	if s.grows {
		return nil
	}
	if n, err := s.file.ReadAt(make([]byte, 1), s.size); n > 0 {
		return fail(SourceChanged, "%s changed while it was read: it has more than the %d bytes that it had", s.name, s.size)
	} else if err != nil && err != io.EOF {
		return err
	}
	return nil
}

// sample returns the first bytes of the file, to tell its type by.
func (s *Source) sample() ([]byte, error) {
	b := make([]byte, min(contenttype.SampleSize, s.size))
	n, err := s.file.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, err
	}
	return b[:n], nil
}
