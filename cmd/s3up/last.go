package main

import (
	"fmt"
	"iter"
	"os"

	"s3up/internal/tree"
)

// maxWaiting is how many files --last holds back; of each, little more than its
// name is kept.
const maxWaiting = 100_000

// waiting are the files that go up when all others are stored.
type waiting struct {
	named []*task
	found []waitingFile
}

// A waitingFile is what is kept of a file that was found. It is looked at anew when
// its turn comes.
type waitingFile struct{ path, rel, key, why string }

// add holds a task back.
func (w *waiting) add(t *task) error {
	switch {
	case !t.found:
		w.named = append(w.named, t)
	case len(w.found) == maxWaiting:
		return usagef("upload them with a command of their own, after this one", "--last holds back %d files at most", maxWaiting)
	default:
		w.found = append(w.found, waitingFile{t.source, t.rel, t.key, t.why})
	}
	return nil
}

// all hands out the files that were held back, in their order.
func (w *waiting) all(o *cpOptions) iter.Seq[*task] {
	return func(yield func(*task) bool) {
		for _, t := range w.named {
			if !yield(t) {
				return
			}
		}
		for _, f := range w.found {
			info, err := os.Stat(f.path)
			t := o.taskOf(tree.File{Path: f.path, Rel: f.rel, Key: f.key, Info: info, Err: err})
			if t.why = f.why; !yield(t) {
				return
			}
		}
	}
}

// released hands out the files that were held back, if nothing has failed. Else it
// reports them as left out.
func (c *copying) released(w *waiting) iter.Seq[*task] {
	if !c.tally.failed() && c.halt.Load() == nil {
		return w.all(&c.o)
	}
	return func(func(*task) bool) {
		why := fmt.Sprintf("--last: it waits for all others, and %d failed", c.summary.Failed)
		if c.summary.Failed == 0 {
			why = "--last: it waits for all others, and not all of them were seen"
		}
		for t := range w.all(&c.o) {
			c.report(t, c.passed(t, why))
		}
	}
}
