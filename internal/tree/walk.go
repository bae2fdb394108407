package tree

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ErrDangling says that a link leads to nothing.
var ErrDangling = errors.New("the link leads nowhere")

// ErrReplaced says that something else stands under a name than when its folder was
// read.
var ErrReplaced = errors.New("it was replaced while its folder was walked")

// A FolderError says why a folder that a walk came to cannot be read, or not to its
// end.
type FolderError struct{ Err error }

func (e *FolderError) Error() string { return "read the folder: " + e.Err.Error() }
func (e *FolderError) Unwrap() error { return e.Err }

// A SkipReason says why a walk passes something by, which is no failure.
type SkipReason string

const (
	SkippedSpecial SkipReason = "special" // a socket, a device, a pipe: it has no bytes of its own
	SkippedLink    SkipReason = "link"    // links are not followed
	SkippedLoop    SkipReason = "loop"    // the link leads to a folder that it stands in
)

// A Skip is what a walk passes by.
type Skip struct {
	Path string
	Why  SkipReason
	Mode fs.FileMode // of what is special
	To   string      // where a loop leads
}

// Options say what a walk finds.
type Options struct {
	NoFollow bool // links are passed by; else they are what they lead to
	Select   Selection
	Skipped  func(Skip) // told what is passed by, on the goroutine of the walk; may be nil

	below string // what paths below the folder begin with: it is itself below another
}

// Walk returns the files below a folder in the order of their keys, which are the
// prefix and the path below the folder. The folder may be a link. What is not
// selected is not looked at; a folder that nothing can be selected of is not read.
//
// What cannot be read is handed out with its error, a folder with a slash at the end
// of its name, and the walk goes on: so is a name that makes no key.
//
// Of each folder on the way down the names that are still to come are in memory, and
// nothing else: a single huge folder costs about 50 bytes a file, beside its name. The
// walk ends early when the context does.
func Walk(ctx context.Context, root, prefix string, o Options) iter.Seq[File] {
	return func(yield func(File) bool) {
		if o.Skipped == nil {
			o.Skipped = func(Skip) {}
		}
		w := walk{ctx: ctx, prefix: prefix, o: o, yield: yield}
		w.folder(root, o.below)
	}
}

type walk struct {
	ctx    context.Context
	prefix string
	o      Options
	yield  func(File) bool
	above  []folder // that the walk is in
}

type folder struct {
	path string
	info fs.FileInfo
}

// An entry is a name in a folder. That of a folder ends in a slash, as in the keys
// of what is in it: "a-b" comes before "a/", and that before "a0".
type entry struct {
	name string
	mode fs.FileMode // its type; of what it leads to, if it is a link that is followed
	link bool
	err  error // the link cannot be followed
}

// folder walks a folder, whose path below the root is empty or ends in a slash. It
// returns false when the walk is to end.
func (w *walk) folder(path, rel string) bool {
	if w.ctx.Err() != nil {
		return false
	}
	info, err := os.Stat(path)
	if err != nil {
		return w.failed(path, rel, &FolderError{err})
	}
	for _, above := range w.above {
		if os.SameFile(above.info, info) {
			w.o.Skipped(Skip{Path: path, Why: SkippedLoop, To: above.path})
			return true
		}
	}
	entries, err := w.read(path)
	if err != nil && !w.failed(path, rel, &FolderError{err}) {
		return false
	}
	w.above = append(w.above, folder{path, info})
	defer func() { w.above = w.above[:len(w.above)-1] }()
	for i, e := range entries {
		entries[i] = entry{} // what is behind needs no memory
		if !w.entry(filepath.Join(path, filepath.FromSlash(e.name)), rel+e.name, e) {
			return false
		}
	}
	return true
}

// entry hands out a file, or walks a folder.
func (w *walk) entry(path, rel string, e entry) bool {
	if w.ctx.Err() != nil {
		return false
	}
	isFolder := e.mode.IsDir()
	if isFolder && !w.o.Select.Enters(rel) || !isFolder && !w.o.Select.Takes(rel) {
		return true
	}
	switch why := BadKey(w.prefix + rel); {
	case e.err != nil:
		return w.failed(path, rel, e.err)
	case e.mode&fs.ModeSymlink != 0:
		w.o.Skipped(Skip{Path: path, Why: SkippedLink})
		return true
	case !isFolder && !e.mode.IsRegular():
		w.o.Skipped(Skip{Path: path, Why: SkippedSpecial, Mode: e.mode})
		return true
	case why != "":
		return w.failed(path, rel, &NameError{why})
	case isFolder:
		return w.folder(path, rel)
	}
	look := os.Lstat
	if e.link {
		look = os.Stat
	}
	info, err := look(path)
	if err == nil && !info.Mode().IsRegular() {
		err = ErrReplaced
	}
	return w.yield(File{Path: path, Rel: rel, Key: w.prefix + rel, Info: info, Err: err})
}

func (w *walk) failed(path, rel string, err error) bool {
	return w.yield(File{Path: path, Rel: rel, Key: w.prefix + rel, Err: err})
}

// batch is how many names are read at once.
const batch = 1024

// read returns the names in a folder in the order of their keys. Where the folder
// cannot be read to its end there are an error and those up to there.
func (w *walk) read(path string) ([]entry, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var entries []entry
	for {
		found, err := f.ReadDir(batch)
		for _, d := range found {
			entries = append(entries, w.resolve(path, d))
		}
		if err != nil || len(found) == 0 {
			if err == io.EOF {
				err = nil
			}
			return inOrder(entries), err
		}
	}
}

// inOrder returns entries in the order of keys, each name once: of a folder that changes,
// NFS may list one twice (readdir(3) does not say that it may not).
func inOrder(entries []entry) []entry {
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.name, b.name) })
	return slices.CompactFunc(entries, func(a, b entry) bool { return a.name == b.name })
}

// resolve finds out what a name stands for.
func (w *walk) resolve(dir string, d fs.DirEntry) entry {
	e := entry{name: d.Name(), mode: d.Type()}
	if e.mode&fs.ModeSymlink != 0 && !w.o.NoFollow {
		e.link = true
		info, err := os.Stat(filepath.Join(dir, e.name))
		switch {
		case errors.Is(err, fs.ErrNotExist):
			e.err = ErrDangling
		case err != nil:
			e.err = err
		default:
			e.mode = info.Mode().Type()
		}
	}
	if e.mode.IsDir() {
		e.name += "/"
	}
	return e
}
