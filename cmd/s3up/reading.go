package main

import (
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"
	"golang.org/x/term"
)

// A reading shows how much was read of files: as a bar on a terminal, or in lines.
type reading struct {
	out *output
	p   *mpb.Progress // nil: no bar
	bar *mpb.Bar
	say bool // lines

	mu    sync.Mutex
	pos   position // of all files together
	rate  meter
	files int
}

// newReading returns the one that was asked for, or that suits stderr.
func newReading(how string, quiet bool, out *output) *reading {
	terminal := term.IsTerminal(int(out.stderr.Fd())) && os.Getenv("TERM") != "dumb"
	r := &reading{out: out, rate: newMeter()}
	switch {
	case quiet, how == "none", how == "auto" && !terminal:
	case how == "lines", !terminal:
		r.say = true
	default:
		r.p = mpb.New(mpb.WithOutput(out.stderr))
		line := decor.Any(func(s decor.Statistics) string {
			r.mu.Lock()
			defer r.mu.Unlock()
			return barLine(r.pos, r.rate.speed(time.Now(), r.pos.sent), s.AvailableWidth)
		})
		r.bar, _ = r.p.Add(0, mpb.NopStyle().Build(), mpb.BarFillerTrim(), mpb.PrependDecorators(line)) // nil: the terminal is gone
		out.printAbove(r.p)
	}
	return r
}

// begin tells of a file that is read from now on; its size may be -1.
func (r *reading) begin(name string, size int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.files++
	r.pos.name = oneLine(name)
	if r.files > 1 {
		r.pos.name = fmt.Sprintf("%d files", r.files)
	}
	switch {
	case size < 0 || r.pos.size < 0:
		r.pos.size, r.pos.told = -1, max(r.pos.told, firstMark)
	default:
		r.pos.size += size
	}
}

// read tells of bytes that were read.
func (r *reading) read(n int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pos.done += n
	r.pos.sent += n
	r.pos.done = min(r.pos.done, max(r.pos.size, 0)+r.unbounded()) // of a file that is read twice
	if !r.say {
		return
	}
	switch {
	case r.files > 1 || r.pos.size < 0:
		if r.pos.told == 0 {
			r.pos.told = firstMark
		}
		if r.pos.sent >= r.pos.told {
			for r.pos.sent >= r.pos.told {
				r.pos.told *= 2
			}
			r.out.talk("%s: %s read", r.pos.name, byteSize(r.pos.sent))
		}
	case r.pos.size >= firstMark && r.pos.percent()/25 > r.pos.told:
		r.pos.told = r.pos.percent() / 25
		r.out.talk("%s: %d%% of %s read", r.pos.name, r.pos.told*25, byteSize(r.pos.size))
	}
}

// unbounded is more than is ever read, where nobody knows how much there is.
func (r *reading) unbounded() int64 {
	if r.pos.size < 0 {
		return 1 << 62
	}
	return 0
}

// stop takes the bar away.
func (r *reading) stop() {
	if r.p == nil {
		return
	}
	r.out.printAbove(nil)
	if r.bar != nil {
		r.bar.Abort(true)
	}
	r.p.Wait()
}
