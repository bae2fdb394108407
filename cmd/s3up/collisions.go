package main

import (
	"context"
	"iter"
	"os"
	"path/filepath"

	"s3up/internal/tree"
)

// checkKeys refuses sources that have a key in common, before anything is sent. A file
// that is named by itself is looked for in each folder; several folders are walked side by side
// once more, which holds none of their names. The error is one of usage.
func (o *cpOptions) checkKeys(tasks []*task) error {
	var walks []iter.Seq[tree.File]
	for i, t := range tasks {
		if t.folder == nil {
			continue
		}
		selected := o.selected
		selected.Glob = t.folder.glob
		for _, other := range tasks {
			if other.standsForMany() {
				continue
			}
			twin := filepath.Join(t.folder.root, other.rel)
			if info, err := os.Stat(twin); err == nil && !info.IsDir() && selected.Takes(other.rel) {
				return o.oneKey(other.source, twin, other.key)
			}
		}
		for _, other := range tasks[:i] {
			if o.areOne(t.folder, other.folder) {
				return usagef("name it once", "%s and %s are one directory", other.source, t.source)
			}
		}
		walks = append(walks, o.walk(context.Background(), t.folder, nil))
	}
	if len(walks) < 2 {
		return nil
	}
	var before tree.File
	for f := range tree.Merge(walks...) {
		switch {
		case f.Err != nil:
		case f.Key == before.Key:
			return o.oneKey(before.Path, f.Path, f.Key)
		default:
			before = f
		}
	}
	return nil
}

// areOne says whether two folders are one, all of it.
func (o *cpOptions) areOne(a, b *folder) bool {
	if b == nil || a.glob != "" || b.glob != "" {
		return false
	}
	one, err := os.Stat(a.root)
	other, again := os.Stat(b.root)
	return err == nil && again == nil && os.SameFile(one, other)
}

func isOneFile(a, b string) bool {
	one, err := os.Stat(a)
	other, again := os.Stat(b)
	return filepath.Clean(a) == filepath.Clean(b) || err == nil && again == nil && os.SameFile(one, other)
}

// oneKey is the error for two sources of one key.
func (o *cpOptions) oneKey(a, b, key string) error {
	if isOneFile(a, b) {
		return usagef("name it once", "%s is meant twice: it would become s3://%s/%s two times", a, o.bucket, key)
	}
	return usagef("upload one of them to another prefix", "%s and %s would both become s3://%s/%s", a, b, o.bucket, key)
}
