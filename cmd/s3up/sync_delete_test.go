package main

import (
	"context"
	"path/filepath"
	"syscall"
	"testing"

	"s3up/internal/tree"
)

// TestSignalBeforeDeletion has a signal come when all files are stored and nothing is
// deleted yet: the run was not done.
func TestSignalBeforeDeletion(t *testing.T) {
	for name, c := range map[string]struct {
		delete     bool
		gone       int
		want, left int
	}{
		"there is something to delete": {true, 3, 143, 3},
		"there is nothing":             {true, 0, exitOK, 0},
		"nothing is to be":             {false, 3, exitOK, 0},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			p := &program{argv: []string{"s3up", "sync"}, stdout: create(t, filepath.Join(dir, "out")), stderr: create(t, filepath.Join(dir, "err"))}
			s := &syncing{copying: p.newCopying(cpOptions{bucket: "b", key: "p/"}, true), root: dir,
				o: syncOptions{delete: c.delete}, comparer: &tree.Comparer{WalkedFiles: 1, ListedObjects: 4}}
			s.seen = 1
			for i := range c.gone {
				s.gone.Add("p/" + string(rune('a'+i)))
			}
			ctx, cancel := context.WithCancelCause(t.Context())
			cancel(stopped{syscall.SIGTERM})
			s.deleteGone(ctx)
			if code := s.finish(ctx); code != c.want || s.summary.NotDeleted != c.left {
				t.Errorf("exit %d, %d not deleted; want %d, %d", code, s.summary.NotDeleted, c.want, c.left)
			}
		})
	}
}
