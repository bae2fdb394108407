package main

import (
	"fmt"
	"os"
	"sync/atomic"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// A counting shows on a terminal how many things are done, of how many that were
// found. Its methods may be called from many goroutines at once, stop when nothing
// is found or done any more.
type counting struct {
	out          *output
	p            *mpb.Progress // nil: nothing is shown
	bar          *mpb.Bar
	all, ended   atomic.Int64
	bytes, moved atomic.Int64
}

func newCounting(out *output, thing string) *counting {
	c := &counting{out: out}
	if out.quiet || !term.IsTerminal(int(out.stderr.Fd())) || os.Getenv("TERM") == "dumb" {
		return c
	}
	c.p = mpb.New(mpb.WithOutput(out.stderr))
	line := decor.Any(func(decor.Statistics) string {
		line := fmt.Sprintf("%d of %s", c.ended.Load(), plural(int(c.all.Load()), thing))
		if bytes := c.bytes.Load(); bytes > 0 {
			line += fmt.Sprintf("  %s of %s", byteSize(c.moved.Load()), byteSize(bytes))
		}
		return line
	})
	bar, err := c.p.Add(0, mpb.NopStyle().Build(), mpb.BarFillerTrim(), mpb.BarRemoveOnComplete(), mpb.PrependDecorators(line))
	if err != nil { // the terminal is gone
		c.p = nil
		return c
	}
	c.bar = bar
	out.printAbove(c.p)
	return c
}

func (c *counting) found(size int64) {
	c.all.Add(1)
	c.bytes.Add(max(size, 0))
}

func (c *counting) done(size int64) {
	c.ended.Add(1)
	c.moved.Add(max(size, 0))
}

func (c *counting) stop() {
	if c.p == nil {
		return
	}
	c.bar.Abort(true)
	c.p.Wait()
	c.out.printAbove(nil)
}
