package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"
	"os"
	"path"
	"path/filepath"

	"s3up/internal/tree"
	"s3up/internal/upload"
)

// A folder is a source that stands for files below it.
type folder struct {
	root string
	glob string // which of them; "": all
}

// walk finds the files of a folder.
func (o *cpOptions) walk(ctx context.Context, f *folder, skipped func(tree.Skip)) iter.Seq[tree.File] {
	options := tree.Options{NoFollow: o.noFollow, Select: o.selected, Skipped: skipped}
	options.Select.Glob = f.glob
	return tree.Walk(ctx, f.root, o.key, options)
}

// folderOf returns the folder that a source stands for, nil if it is a file, a stream,
// or nothing. The error is one of usage.
func (o *cpOptions) folderOf(source string) (*folder, error) {
	if source == stdinName {
		return nil, nil
	}
	info, err := os.Stat(source)
	root, glob, isGlob := tree.Glob(filepath.ToSlash(source))
	f := &folder{root: source}
	switch {
	case err == nil && !info.IsDir():
		return nil, nil
	case err == nil && !o.recursive:
		return nil, usagef("add -r for all files below it", "is a directory: %s", source)
	case err != nil && (!isGlob || !errors.Is(err, fs.ErrNotExist)):
		return nil, nil // check says what is wrong
	case err != nil:
		f = &folder{root: filepath.FromSlash(root), glob: glob}
	}
	if o.upload.IfMatch != "" {
		return nil, errOneETag
	}
	if !o.takesNames() {
		return nil, usagef("end it in a slash: "+shellWord(o.destination+"/"), "%s may be many files: they need a destination that ends in a slash", source)
	}
	return f, nil
}

// checkFolder looks whether a folder can be read, or whether a pattern matches something.
func (o *cpOptions) checkFolder(f *folder) error {
	if f.glob != "" {
		for range o.walk(context.Background(), f, nil) {
			return nil
		}
		return &fs.PathError{Op: "glob", Path: f.glob, Err: fs.ErrNotExist}
	}
	dir, err := os.Open(f.root)
	if err != nil {
		return &tree.FolderError{Err: err}
	}
	defer dir.Close()
	if _, err := dir.Readdirnames(1); err != nil && err != io.EOF {
		return &tree.FolderError{Err: err}
	}
	return nil
}

// files hands out all that is to be uploaded: what was named file by file, and then
// what the folders and the list stand for, as it is found.
func (c *copying) files(ctx context.Context, tasks []*task) iter.Seq[*task] {
	return func(yield func(*task) bool) {
		named := make(map[string]string) // sources by their keys
		var walks []iter.Seq[tree.File]
		for _, t := range tasks {
			switch {
			case t.list != nil:
				walks = append(walks, c.names(t).Files(ctx))
			case t.folder != nil:
				walks = append(walks, c.o.walk(ctx, t.folder, c.passedBy))
			default:
				if named[t.key] = t.source; !yield(t) {
					return
				}
			}
		}
		if len(walks) == 0 {
			return
		}
		var before tree.File
		for f := range tree.Merge(walks...) {
			if f.Err == nil && !c.o.shard.Has(f.Key) {
				c.elsewhere++
				continue
			}
			if c.records.own(f.Info) {
				c.noteAlike("own", "", "%s is this run's own: it is passed by", f.Path)
				continue
			}
			if other, taken := named[f.Key]; taken && f.Err == nil {
				f.Err = c.collision(other, f)
			}
			if f.Err == nil && f.Key == before.Key {
				f.Err = c.collision(before.Path, f)
			}
			if f.Err == nil {
				before = f
			}
			if !yield(c.o.taskOf(f)) {
				return
			}
		}
	}
}

// collision is the error for a second file of one key.
func (c *copying) collision(other string, f tree.File) error {
	return usagef("upload one of them to another prefix", "%s has become s3://%s/%s in this run already", other, c.o.bucket, f.Key)
}

// taskOf returns what is to be done with a file that was found.
func (o *cpOptions) taskOf(f tree.File) *task {
	t := &task{source: f.Path, rel: f.Rel, key: f.Key, info: f.Info, err: f.Err, found: true}
	if t.err == nil {
		t.properties, t.err = o.propertiesOf(t.key)
	}
	switch t.source {
	case "":
		t.source = o.listFlagName() + " " + o.filesFrom
	case stdinName:
		t.source = "." + string(filepath.Separator) + stdinName // a file of that name
	}
	return t
}

// names are the files of a list.
func (c *copying) names(t *task) tree.Names {
	o := &c.o
	n := tree.Names{List: t.list, Zero: o.zero, Prefix: o.key, Recurse: o.recursive}
	n.Options = tree.Options{NoFollow: o.noFollow, Select: o.selected, Skipped: c.passedBy}
	if t.source == stdinName {
		n.List = c.stdin
	}
	if len(o.sources) == 1 {
		n.Base = o.sources[0]
	}
	return n
}

// aboutTree knows why a file that was found cannot be uploaded.
func aboutTree(err error, _ facts) (problem, bool) {
	var name *tree.NameError
	var folder *tree.FolderError
	switch {
	case errors.As(err, &folder) && errors.Is(err, fs.ErrPermission):
		return problem{why: "the folder may not be read", hint: "check its permissions", exit: exitAccess}, true
	case errors.As(err, &folder):
		return problem{why: "the folder cannot be read: " + rootCause(err), exit: exitFailed}, true
	case errors.As(err, &name):
		return problem{why: "its name makes no key: " + name.Why, hint: "rename it, or leave it out with --exclude", exit: exitUsage}, true
	case errors.Is(err, tree.ErrDangling):
		return problem{why: tree.ErrDangling.Error(), hint: "mend it, or use --no-follow-symlinks", exit: exitNotFound}, true
	case errors.Is(err, tree.ErrReplaced):
		return problem{why: tree.ErrReplaced.Error(), hint: "run it again", exit: exitSourceChanged}, true
	case errors.Is(err, tree.ErrFolder):
		return problem{why: tree.ErrFolder.Error(), hint: "add -r for all files below it", exit: exitUsage}, true
	case errors.Is(err, tree.ErrNotBelow):
		return problem{why: tree.ErrNotBelow.Error(), hint: "name that folder in front of the destination", exit: exitUsage}, true
	case errors.Is(err, tree.ErrSpecial):
		return problem{why: tree.ErrSpecial.Error(), hint: "upload it by itself", exit: exitUsage}, true
	}
	return problem{}, false
}

// stillThere looks once more at a file that was found, before it is opened: opening
// what has become a pipe would wait for somebody.
func (t *task) stillThere() error {
	info, err := os.Stat(t.source)
	if err == nil && !info.Mode().IsRegular() {
		err = tree.ErrReplaced
	}
	return err
}

// isLarge says whether a file goes up in parts, for all that is known.
func (c *copying) isLarge(t *task) bool {
	threshold := c.o.upload.Threshold
	if threshold == 0 {
		threshold = upload.DefaultThreshold
	}
	return t.err == nil && !t.isStream() && t.info.Size() > threshold
}

// sumName is the name of an object in --sums: its key below the destination.
func (o *cpOptions) sumName(key string) string {
	if o.takesNames() {
		return key[len(o.key):]
	}
	return path.Base(key)
}
