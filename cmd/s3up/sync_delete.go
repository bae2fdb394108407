package main

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"s3up/internal/tree"
	"s3up/internal/upload"
)

// ownNames are the files below the root that this run writes, or holds: some are not
// there at times, such as --sums of an earlier run while this one is under way.
func (s *syncing) ownNames() []string {
	var own []string
	for _, name := range []string{s.o.report, s.o.sums, partialSums(s.o.sums), s.o.lock} {
		if name == "" || name == partialSums("") {
			continue
		}
		switch dir := within(s.root, filepath.Dir(name)); dir {
		case "":
		case ".":
			own = append(own, filepath.Base(name))
		default:
			own = append(own, dir+"/"+filepath.Base(name))
		}
	}
	return own
}

// isOwn says whether a path below the root is that of a file that this run writes:
// the object of its name has a file, though that is not uploaded.
func (s *syncing) isOwn(rel string) bool { return slices.Contains(s.own, rel) || s.isCache(rel) }

// deleteGone deletes the objects that have no file, if all else went well, and they
// are not too many.
func (s *syncing) deleteGone(ctx context.Context) {
	n := s.gone.Len()
	allowed := s.o.maxDelete
	if allowed == 0 {
		allowed = max(leastDeletes, s.comparer.ListedObjects/10)
	}
	refuse := func(exit int, format string, args ...any) {
		s.refused = exit
		if s.o.delete {
			s.summary.NotDeleted = n
		}
		s.out.complain(format, args...)
	}
	where := scheme + s.o.bucket + "/" + s.o.key
	switch {
	case s.comparer.WalkedFiles == 0 && !s.tally.failed() && ctx.Err() == nil:
		refuse(exitNotFound, "no file was found in %s, or none is selected: nothing was changed below %s; check whether it is mounted", quoted(clip(s.root)), where)
	case !s.o.delete, n == 0:
	case ctx.Err() != nil, s.broken, s.tally.failed():
		s.short = s.short || ctx.Err() != nil
		s.summary.NotDeleted = n
		s.out.talk("note: nothing is deleted, because not all went well: %s", plural(n, "object")+" without a file")
	case n > allowed:
		refuse(exitConflict, "%d of the %d objects below %s have no file, and no more than %d may be deleted: nothing is deleted; --max-delete %d allows it",
			n, s.comparer.ListedObjects, where, allowed, n)
	default:
		s.deleteAll(ctx)
	}
}

// deleteAll deletes what has no file by now, either. Where one is not deleted the
// others are tried all the same, unless they would fail alike.
func (s *syncing) deleteAll(ctx context.Context) {
	left := s.gone.Len()
	still := func(yield func(string) bool) {
		for key := range s.gone.All() {
			path := filepath.Join(s.root, filepath.FromSlash(strings.TrimPrefix(key, s.o.key)))
			if info, err := os.Lstat(path); err == nil && !info.IsDir() || err != nil && !isGone(err) {
				left--
				s.noteAlike("there", "more objects are not deleted, because there are files of their names", "%s is there: the object of its name is not deleted", path)
				continue
			}
			if ctx.Err() != nil || s.halt.Load() != nil || !yield(key) {
				return
			}
		}
	}
	if s.o.dryRun {
		for key := range still {
			s.deleted(key, "would-delete", nil)
		}
		return
	}
	tree.DeleteAll(ctx, s.store.Client, s.o.bucket, still, func(key string, err error) {
		s.deleted(key, "deleted", causeOf(ctx, err))
	})
	s.summary.NotDeleted = left - s.summary.Deleted
	s.short = s.short || ctx.Err() != nil && s.summary.NotDeleted > 0
}

// isGone says whether there can be no file of a name.
func isGone(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ENOTDIR) || errors.Is(err, syscall.ENAMETOOLONG)
}

// deleted tells what came of a deletion.
func (s *syncing) deleted(key string, status upload.Status, err error) {
	l := deleteLine{V: schema, Type: "file", Op: "delete", Bucket: s.o.bucket, Key: key, Status: status}
	var p problem
	s.mu.Lock()
	switch {
	case err != nil:
		p = explain(err, s.facts)
		l.Status, l.ExitCode, l.Error, l.ErrorCode, l.Hint = upload.Failed, p.exit, p.why, p.code, p.hint
		s.tally.fail(p)
	case s.o.dryRun:
		s.summary.WouldDelete++
	default:
		s.summary.Deleted++
	}
	s.mu.Unlock()
	if concernsAll(err) {
		s.halt.CompareAndSwap(nil, &halt{line: "nothing more was deleted: all would fail so; " + goOn(s.facts)})
	}
	if s.o.json || s.records.report != nil {
		s.line(jsonLine(l))
	}
	url := scheme + s.o.bucket + "/" + key
	switch {
	case err != nil && p.code == interruptedCode: // that is said once
	case err != nil:
		if s.mayTell("delete "+p.why, "more objects are not deleted: "+p.why) {
			s.out.complain("delete %s: %s", url, sentence(p.why, p.hint))
		}
	case s.o.json || s.o.quiet:
	case s.o.dryRun:
		s.out.result(oneLine("would delete " + url))
	default:
		s.out.result(oneLine("deleted " + url))
	}
}

// A deleteLine is what --json says of an object that has no file.
type deleteLine struct {
	V      int           `json:"v"`
	Type   string        `json:"type"` // file
	Op     string        `json:"op"`   // delete
	Bucket string        `json:"bucket"`
	Key    string        `json:"key"`
	Status upload.Status `json:"status"` // deleted, would-delete, failed

	ExitCode  int    `json:"exit_code,omitempty"`
	Error     string `json:"error,omitempty"`
	ErrorCode string `json:"error_code,omitempty"`
	Hint      string `json:"hint,omitempty"`
}
