package main

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"

	"github.com/vbauerster/mpb/v8"
	"github.com/vbauerster/mpb/v8/decor"

	"s3up/internal/upload"
)

// maxBars is how many files have a bar at once, beside the total.
const maxBars = 8

// bars draws a bar for each large file in flight and one for all, on a terminal. Of
// a single file there is one bar.
type bars struct {
	out     *output
	p       *mpb.Progress
	total   *fileBar
	several bool

	mu      sync.Mutex // guards what follows, and all positions; never held while mpb is called
	flying  map[*upload.Job]*fileBar
	waiting []*fileBar // in flight without a bar
	shown   int
	files   int // that were found
	ended   int
	all     bool // no more are found
	unknown int  // files whose size is not known yet
	pace    meter
}

// A fileBar is a bar and what it shows.
type fileBar struct {
	position
	rate meter
	bar  *mpb.Bar // nil: not shown
	gone bool
}

func newBars(out *output, several bool) *bars {
	b := &bars{
		out: out, several: several, flying: make(map[*upload.Job]*fileBar),
		p:     mpb.New(mpb.WithOutput(out.stderr)),
		total: &fileBar{rate: newMeter()},
		pace:  newMeter(),
	}
	b.total.bar = b.add(b.total, math.MaxInt)
	out.printAbove(b.p)
	return b
}

func (b *bars) found(t *task) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.files++
	if !b.several {
		b.total.name = oneLine(t.name())
	}
	b.count(t, 1)
}

func (b *bars) foundAll() {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.all = true
}

func (b *bars) left(t *task) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.ended++
	b.count(t, -1)
}

// count adds a file to the total, or takes it away. The caller holds b.mu.
func (b *bars) count(t *task, n int) {
	switch {
	case t.err != nil:
	case t.isStream():
		b.unknown = max(b.unknown+n, 0)
	default:
		b.total.size += int64(n) * t.info.Size()
	}
}

// add draws a bar from now on. It returns nil if there is nothing to draw on.
func (b *bars) add(f *fileBar, priority int) *mpb.Bar {
	line := decor.Any(func(s decor.Statistics) string {
		b.mu.Lock()
		defer b.mu.Unlock()
		return b.line(f, s.AvailableWidth, time.Now())
	})
	bar, err := b.p.Add(0, mpb.NopStyle().Build(), mpb.BarFillerTrim(), mpb.PrependDecorators(line), mpb.BarPriority(priority))
	if err != nil {
		return nil // the terminal is gone
	}
	return bar
}

// line draws a bar. The caller holds b.mu.
func (b *bars) line(f *fileBar, width int, now time.Time) string {
	p := f.position
	if f == b.total {
		if b.several {
			p.name = totalName(b.ended, b.files, b.all, b.pace.speed(now, int64(b.ended)))
		}
		if b.unknown > 0 || !b.all {
			p.size = -1
		}
	}
	return barLine(p, f.rate.speed(now, f.sent), width)
}

func (b *bars) event(e upload.Event) {
	b.mu.Lock()
	f := b.flying[e.Job]
	if f == nil && e.Kind != upload.Started {
		b.mu.Unlock()
		return
	}
	var appear *fileBar
	var disappear *mpb.Bar
	switch e.Kind {
	case upload.Started:
		f = &fileBar{position: *startPosition(e), rate: newMeter()}
		b.flying[e.Job] = f
		if b.several && (f.size < 0 || f.size >= minShown) {
			b.waiting = append(b.waiting, f)
		}
	case upload.Finished:
		delete(b.flying, e.Job)
		f.gone = true
		b.ended++
		if f.size >= 0 {
			b.total.size -= f.size - f.done // what will never come
		} else {
			b.unknown = max(b.unknown-1, 0)
			b.total.size += f.done
		}
		if disappear = f.bar; disappear != nil {
			b.shown--
		}
	default:
		before := f.size
		f.take(e)
		switch e.Kind {
		case upload.Sized:
			if before < 0 {
				b.unknown, before = max(b.unknown-1, 0), 0
			}
			b.total.size += e.Size - before
		case upload.Stage:
			if !b.several {
				b.total.take(e)
			}
		default:
			b.total.take(e)
		}
	}
	if appear = b.nextShown(); appear != nil {
		b.shown++
	}
	b.mu.Unlock()

	if disappear != nil {
		disappear.Abort(true)
	}
	if appear != nil {
		b.show(appear)
	}
}

// nextShown returns a file that is to get a bar. The caller holds b.mu.
func (b *bars) nextShown() *fileBar {
	for b.shown < maxBars && len(b.waiting) > 0 {
		f := b.waiting[0]
		b.waiting = b.waiting[1:]
		if !f.gone {
			return f
		}
	}
	return nil
}

// show gives a file its bar, unless it has ended meanwhile.
func (b *bars) show(f *fileBar) {
	bar := b.add(f, 0)
	b.mu.Lock()
	gone := f.gone
	if gone {
		b.shown--
	} else {
		f.bar = bar
	}
	b.mu.Unlock()
	if gone && bar != nil {
		bar.Abort(true)
	}
}

// stop takes the bars away. What was printed above them stays.
func (b *bars) stop() {
	b.out.printAbove(nil)
	if bar := b.total.bar; bar != nil {
		bar.Abort(true)
	}
	b.p.Wait()
}

// barLine draws one line of at most width columns, as far as the name is of
// letters of one column.
func barLine(p position, speed float64, width int) string {
	var right string
	switch {
	case p.stage != "":
		right = fmt.Sprintf("%8s  %s", byteSize(p.done), p.stage)
	case p.size < 0:
		right = fmt.Sprintf("%8s  %10s", byteSize(p.done), rateText(speed))
	default:
		right = fmt.Sprintf("%3d%%  %8s of %-8s  %10s  %7s", p.percent(), byteSize(p.done), byteSize(p.size),
			rateText(speed), leftText(p.size-p.done, speed))
	}
	const minName, maxName, minBar, maxBar = 12, 32, 10, 40
	room := width - utf8.RuneCountInString(right) - 2
	name := min(max(room/2, minName), maxName)
	line := fit(p.name, name) + "  "
	if bar := min(room-name-2, maxBar); bar >= minBar && p.size >= 0 && p.stage == "" {
		filled := int(float64(bar-2) * float64(p.percent()) / 100)
		line += "[" + strings.Repeat("#", filled) + strings.Repeat(".", bar-2-filled) + "]  "
	}
	return line + right
}

// fit makes a name as wide as there is room: of a longer one, the end tells most.
func fit(name string, width int) string {
	runes := []rune(name)
	if len(runes) > width {
		return "…" + string(runes[len(runes)-width+1:])
	}
	return name + strings.Repeat(" ", width-len(runes))
}

// totalName says how many files there are, and how fast they go.
func totalName(ended, files int, all bool, pace float64) string {
	name := fmt.Sprintf("%d of %d", ended, files)
	if !all {
		name = strconv.Itoa(ended)
	}
	return fmt.Sprintf("%s files, %.0f/s", name, pace)
}

func rateText(speed float64) string { return byteSize(int64(speed)) + "/s" }

// leftText is how long it will take at this speed.
func leftText(bytes int64, speed float64) string {
	if speed < 1 {
		return "--:--"
	}
	seconds := int64(math.Ceil(float64(bytes) / speed))
	if seconds >= 3600 {
		return fmt.Sprintf("%d:%02d:%02d", seconds/3600, seconds/60%60, seconds%60)
	}
	return fmt.Sprintf("%d:%02d", seconds/60, seconds%60)
}

// window is over how long a speed is taken.
const window = 8 * time.Second

// A meter tells the speed from what it was told at the last draws.
type meter struct{ samples []sample }

type sample struct {
	at   time.Time
	sent int64
}

func newMeter() meter { return meter{[]sample{{at: time.Now()}}} }

// speed returns bytes per second over the last window.
func (m *meter) speed(now time.Time, sent int64) float64 {
	m.samples = append(m.samples, sample{now, sent})
	for len(m.samples) > 2 && now.Sub(m.samples[1].at) >= window {
		m.samples = m.samples[1:]
	}
	first := m.samples[0]
	if elapsed := now.Sub(first.at).Seconds(); elapsed > 0 {
		return float64(sent-first.sent) / elapsed
	}
	return 0
}
