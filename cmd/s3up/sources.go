package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"s3up/internal/smallfile"
	"s3up/internal/tree"
	"s3up/internal/upload"
)

// stdinName is the argument that means standard input.
const stdinName = "-"

// A task is a source and where it goes.
type task struct {
	source     string // as it was typed, or to open it by
	rel        string // what patterns match: the path below the folder, or the base name
	key        string
	properties upload.Properties
	info       fs.FileInfo // nil for stdin
	more       bool        // a regular file that has bytes though its size is 0, as those in /proc do

	existing *tree.Decision // of an object that is the same, and is to get its MD5 as ETag

	found bool   // by a walk or in a list, and not named by itself
	err   error  // why it cannot be uploaded
	why   string // it goes up, or does not; may be empty

	// A source that stands for many: its key is the prefix of theirs.
	folder *folder
	list   *os.File // of names
}

// standsForMany says whether the files of the source are still to be found.
func (t *task) standsForMany() bool { return t.folder != nil || t.list != nil }

// name is the source as messages name it.
func (t *task) name() string {
	if t.source == stdinName {
		return "stdin"
	}
	return t.source
}

// isStream says whether the source's size is not known before its end.
func (t *task) isStream() bool {
	return !t.standsForMany() && (t.info == nil || !t.info.Mode().IsRegular() || t.more)
}

// open returns the source; close it after the upload.
func (t *task) open(ctx context.Context, stdin *os.File) (*upload.Source, error) {
	if t.source == stdinName {
		return upload.NewStream(t.name(), stdin), nil
	}
	if t.found {
		if err := t.stillThere(); err != nil {
			return nil, err
		}
	}
	return upload.Open(ctx, t.source)
}

// tasks finds out what is to be done. The error is one of usage.
func (o *cpOptions) tasks() ([]*task, error) {
	if o.filesFrom != "" {
		return o.listed()
	}
	var tasks []*task
	bySource := make(map[string]string)
	for _, source := range o.sources {
		f, err := o.folderOf(source)
		if err != nil {
			return nil, err
		}
		if f != nil {
			tasks = append(tasks, &task{source: source, key: o.key, folder: f})
			continue
		}
		t := &task{source: source, key: o.key}
		if o.takesNames() {
			if isDescriptor(source) {
				return nil, usagef("type: s3up cp "+shellWord(source)+" "+shellWord(o.destination+"NAME"),
					"%s has no name to end the key in: it needs a key of its own", t.name())
			}
			t.key += filepath.Base(source)
			if why := tree.BadKey(t.key); why != "" {
				return nil, usagef("", "%q: %s", clip(scheme+o.bucket+"/"+t.key), why)
			}
		}
		if t.rel = below(t.key); !o.selected.Takes(t.rel) {
			continue
		}
		if other, ok := bySource[t.key]; ok {
			return nil, o.oneKey(other, source, t.key)
		}
		bySource[t.key] = source
		if t.properties, err = o.propertiesOf(t.key); err != nil {
			return nil, err
		}
		tasks = append(tasks, t)
	}
	return tasks, o.checkKeys(tasks)
}

// listed is what a list of names makes of the command line: one source, which is the
// list.
func (o *cpOptions) listed() ([]*task, error) {
	if len(o.sources) == 1 {
		if info, err := os.Stat(o.sources[0]); err != nil || !info.IsDir() {
			return nil, usagef("leave it out, or name it in the list", "%s is no directory for the names of %s to be in", o.sources[0], o.listFlagName())
		}
	}
	return []*task{{source: o.filesFrom, key: o.key, list: os.Stdin}}, nil
}

// isDescriptor says whether a source is an open file of the process, whose name
// says nothing.
func isDescriptor(source string) bool {
	return source == stdinName || smallfile.IsDescriptor(source)
}

// check looks at the source before anything is sent, without opening what may
// wait for somebody. others are those that were checked before.
func (t *task) check(others []*task) error {
	if t.source == stdinName {
		return nil
	}
	if t.list != nil {
		return t.openList()
	}
	var err error
	if t.info, err = os.Stat(t.source); err != nil {
		return err
	}
	switch mode := t.info.Mode(); {
	case mode.IsDir():
		return tree.ErrFolder // since the command line was read
	case mode&fs.ModeSocket != 0:
		return usagef("", "is a socket: %s; cp uploads files and streams only", t.source)
	case mode.IsRegular():
		f, err := os.Open(t.source)
		if err != nil {
			return err
		}
		if t.info.Size() == 0 {
			n, _ := f.ReadAt(make([]byte, 1), 0)
			t.more = n > 0
		}
		return f.Close()
	}
	for _, other := range others {
		if other.info != nil && other != t && os.SameFile(t.info, other.info) {
			return usagef("", "%s is the same stream as %s: it can be read once only", t.source, other.source)
		}
	}
	return nil
}

// check looks at a source of any kind before anything is sent.
func (o *cpOptions) check(t *task, others []*task) error {
	if t.folder != nil {
		return o.checkFolder(t.folder)
	}
	return t.check(others)
}

// checkAll checks all sources and returns what is wrong with each, by index.
func (o *cpOptions) checkAll(tasks []*task) (wrong map[int]error, err error) {
	wrong = make(map[int]error)
	for i, t := range tasks {
		if err := o.check(t, tasks[:i]); err != nil {
			var usage *usageError
			if errors.As(err, &usage) {
				return nil, err
			}
			wrong[i] = err
			continue
		}
		if part := o.upload.PartSize; t.isStream() && part > upload.DefaultPartSize && 2*part > o.upload.MaxMemory {
			return nil, usagef(fmt.Sprintf("--max-memory %s allows it", unspaced(2*part)),
				"--part-size %s: a stream (%s) needs two parts in memory, and may take %s",
				unspaced(part), t.name(), unspaced(o.upload.MaxMemory))
		}
	}
	return wrong, nil
}
