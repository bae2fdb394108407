package main

import (
	"os"
	"sync"

	"golang.org/x/term"

	"s3up/internal/upload"
)

// A progress shows how far the uploads are. All but stop may be called from many
// goroutines at once; stop, when all have ended.
type progress interface {
	found(*task) // a file that is to be uploaded
	foundAll()   // there are no more, for now
	left(*task)  // a file that was found, and whose upload will not begin
	event(upload.Event)
	stop()
}

// newProgress returns the progress that was asked for, or that suits stderr.
// several says that it may be of more than one file.
func newProgress(o cpOptions, out *output, several bool) progress {
	how := o.progress
	terminal := term.IsTerminal(int(out.stderr.Fd())) && os.Getenv("TERM") != "dumb"
	switch {
	case o.quiet, how == "auto" && !terminal:
		how = "none"
	case how == "auto":
		how = "bar"
	case how == "bar" && !terminal:
		how = "lines"
	}
	switch how {
	case "bar":
		return newBars(out, several)
	case "lines":
		return &progressLines{out: out, several: several, files: make(map[*upload.Job]*position)}
	}
	return silence{}
}

type silence struct{}

func (silence) found(*task)        {}
func (silence) foundAll()          {}
func (silence) left(*task)         {}
func (silence) event(upload.Event) {}
func (silence) stop()              {}

// minShown is the size of a file that is worth a bar, or lines, of its own when it
// is one of several.
const minShown = upload.MiB

// A position is how far one upload is.
type position struct {
	name  string
	size  int64 // -1: not known yet
	done  int64 // bytes that the store has, or that are on the way
	sent  int64 // of these, the ones that were sent now
	stage string
	told  int64 // by progressLines: quarters, or the size at which to tell again
}

func startPosition(e upload.Event) *position {
	return &position{name: oneLine(e.Job.Source.Name()), size: e.Size}
}

// take follows an event.
func (p *position) take(e upload.Event) {
	switch e.Kind {
	case upload.Sized:
		p.size = e.Size
	case upload.Sent:
		p.done += e.Bytes
		p.sent += e.Bytes
	case upload.Resumed:
		p.done += e.Bytes
	case upload.Undone:
		p.done -= e.Bytes
	case upload.Stage:
		p.stage = ""
		if e.Text != upload.StageHash {
			p.stage = e.Text
		}
	}
}

// percent is 100 only when all is done.
func (p *position) percent() int64 {
	switch {
	case p.size == 0:
		return 100
	case p.size < 0:
		return 0
	}
	return min(max(int64(float64(p.done)/float64(p.size)*100), 0), 100)
}

// progressLines tells of each quarter of a file, or of each doubling of a
// stream, and of what comes after the bytes.
type progressLines struct {
	out     *output
	several bool

	mu    sync.Mutex
	files map[*upload.Job]*position
}

// firstMark is how much of a stream is sent when it is first told.
const firstMark = 64 * upload.MiB

func (l *progressLines) event(e upload.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if e.Kind != upload.Started && l.files[e.Job] == nil {
		return
	}
	switch e.Kind {
	case upload.Started:
		if l.several && e.Size >= 0 && e.Size < minShown {
			return
		}
		p := startPosition(e)
		l.files[e.Job] = p
		if p.size < 0 {
			p.told = firstMark
			l.out.talk("%s: begun", p.name)
		} else {
			l.out.talk("%s: 0%% of %s", p.name, byteSize(p.size))
		}
	case upload.Sized:
		p := l.files[e.Job]
		p.take(e)
		p.told = p.percent() / 25
		l.out.talk("%s: %d%% of %s", p.name, p.percent(), byteSize(p.size))
	case upload.Sent, upload.Resumed, upload.Undone:
		p := l.files[e.Job]
		p.take(e)
		l.moved(p)
	case upload.Stage:
		p := l.files[e.Job]
		p.take(e)
		if p.stage != "" {
			l.out.talk("%s: %s", p.name, p.stage)
		}
	case upload.Finished:
		delete(l.files, e.Job)
	}
}

func (l *progressLines) moved(p *position) {
	switch {
	case p.size < 0 && p.done >= p.told:
		for p.done >= p.told {
			p.told *= 2
		}
		l.out.talk("%s: %s", p.name, byteSize(p.done))
	case p.size >= 0 && p.percent()/25 < p.told:
		p.told = p.percent() / 25 // some of it goes out again
	case p.size >= 0 && p.percent()/25 > p.told:
		p.told = p.percent() / 25
		l.out.talk("%s: %d%% of %s", p.name, p.told*25, byteSize(p.size))
	}
}

func (l *progressLines) found(*task) {}
func (l *progressLines) foundAll()   {}
func (l *progressLines) left(*task)  {}
func (l *progressLines) stop()       {}
