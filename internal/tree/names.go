package tree

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
)

// ErrFolder says that a name is that of a folder, where a file was to be.
var ErrFolder = errors.New("is a directory")

// ErrNotBelow says that a name leads out of the folder that it was to be below.
var ErrNotBelow = errors.New("is not below the folder that names are taken from")

// ErrSpecial says that a name is that of a socket, a device or a pipe.
var ErrSpecial = errors.New("is no regular file")

// maxName is more than any path has.
const maxName = 64 << 10

var errLongName = errors.New("it has a name of more than 64 KiB: it may be no list of names, or their ends may be others")

// A Names is a list of files: names that end in a newline or, if Zero is set, in a
// zero byte. They are relative to Base or absolute and below it, and keys are Prefix
// and the path below Base. The name of a folder is an error unless Recurse is set.
type Names struct {
	List    io.Reader
	Zero    bool
	Base    string // "": the folder that the process is in
	Prefix  string
	Recurse bool // a folder stands for all files below it
	Options Options
}

// Files returns the files in the order of the list, each key once: for that, eight
// bytes of each are kept. What of it cannot be read is handed out with its error. A
// list that cannot be read to its end ends with a File that has an error and no key.
// It ends early when the context does, though a read of the list may still wait then.
func (n Names) Files(ctx context.Context) iter.Seq[File] {
	return func(yield func(File) bool) {
		base, err := filepath.Abs(n.Base)
		if err != nil {
			yield(File{Err: err})
			return
		}
		seen, seed := make(map[uint64]struct{}), maphash.MakeSeed()
		once := func(f File) bool {
			sum := maphash.String(seed, f.Key)
			if _, again := seen[sum]; again {
				return true
			}
			seen[sum] = struct{}{}
			return yield(f)
		}
		names := bufio.NewScanner(Interruptible(ctx, n.List))
		names.Buffer(nil, maxName)
		names.Split(n.split)
		for ctx.Err() == nil && names.Scan() {
			if name := names.Text(); name != "" && !n.name(ctx, base, name, once) {
				return
			}
		}
		err = names.Err()
		if errors.Is(err, bufio.ErrTooLong) {
			err = errLongName
		}
		if err != nil && ctx.Err() == nil {
			yield(File{Err: fmt.Errorf("read the list: %w", err)})
		}
	}
}

// split cuts a list into names. A newline may be one of Windows.
func (n Names) split(data []byte, atEOF bool) (advance int, token []byte, err error) {
	if !n.Zero {
		return bufio.ScanLines(data, atEOF)
	}
	if i := bytes.IndexByte(data, 0); i >= 0 {
		return i + 1, data[:i], nil
	}
	if atEOF && len(data) > 0 {
		return len(data), data, nil
	}
	return 0, nil, nil
}

// name hands out what a name stands for. It returns false when the list is to end.
func (n Names) name(ctx context.Context, base, name string, yield func(File) bool) bool {
	rel, ok := Below(filepath.ToSlash(base), filepath.ToSlash(name))
	if !ok {
		if !n.Recurse || filepath.Clean(filepath.Join(n.Base, name)) != filepath.Clean(n.Base) && filepath.Clean(name) != base {
			return yield(File{Path: name, Key: n.Prefix + name, Err: ErrNotBelow})
		}
		rel = "" // the folder itself
	}
	f := File{Path: cmp.Or(filepath.Join(n.Base, filepath.FromSlash(rel)), "."), Rel: rel, Key: n.Prefix + rel}
	look := os.Stat
	if n.Options.NoFollow {
		look = os.Lstat
	}
	f.Info, f.Err = look(f.Path)
	var mode fs.FileMode
	if f.Err == nil {
		mode = f.Info.Mode()
	}
	switch why := BadKey(f.Key); {
	case !mode.IsDir() && !n.Options.Select.Takes(rel):
		return true
	case f.Err != nil:
	case mode&fs.ModeSymlink != 0:
		if n.Options.Skipped != nil {
			n.Options.Skipped(Skip{Path: f.Path, Why: SkippedLink})
		}
		return true
	case mode.IsDir() && n.Recurse:
		return n.folder(ctx, f, yield)
	case mode.IsDir():
		f.Err = ErrFolder
	case why != "":
		f.Err = &NameError{why}
	case !mode.IsRegular():
		f.Err = ErrSpecial
	}
	return yield(f)
}

// folder hands out the files below a folder of the list.
func (n Names) folder(ctx context.Context, dir File, yield func(File) bool) bool {
	rel := dir.Rel
	if rel != "" {
		rel += "/"
	}
	o := n.Options
	o.below = rel
	for f := range Walk(ctx, dir.Path, n.Prefix, o) {
		if !yield(f) {
			return false
		}
	}
	return true
}

// Interruptible returns a stream whose reads end with the context, with its cause. The
// one that is under way then goes on: nothing ends one of a pipe that nobody writes to.
func Interruptible(ctx context.Context, r io.Reader) io.Reader {
	return &interruptible{ctx: ctx, r: r}
}

type interruptible struct {
	ctx context.Context
	r   io.Reader
	buf []byte // what is read is the caller's only if the read has ended
}

func (i *interruptible) Read(p []byte) (int, error) {
	if i.buf == nil {
		i.buf = make([]byte, 256<<10)
	}
	type result struct {
		n   int
		err error
	}
	done := make(chan result, 1)
	b := i.buf[:min(len(p), len(i.buf))]
	go func() {
		n, err := i.r.Read(b)
		done <- result{n, err}
	}()
	select {
	case r := <-done:
		return copy(p, b[:r.n]), r.err
	case <-i.ctx.Done():
		return 0, context.Cause(i.ctx)
	}
}
