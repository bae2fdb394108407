package main

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"s3up/internal/store"
	"s3up/internal/upload"
)

// An uploadsSummary is the last line of --json.
type uploadsSummary struct {
	V          int      `json:"v"`
	Type       string   `json:"type"` // summary
	Op         string   `json:"op"`   // uploads
	Uploads    int      `json:"uploads"`
	Parts      int64    `json:"parts"`
	Bytes      int64    `json:"bytes"`
	Aborted    int      `json:"aborted"`
	WouldAbort int      `json:"would_abort,omitempty"` // a dry run
	Left       int      `json:"left"`                  // not aborted: they live
	Failed     int      `json:"failed"`
	Complete   bool     `json:"complete"` // the store listed all that there are
	DurationMS int64    `json:"duration_ms"`
	Exit       int      `json:"exit"`
	Notes      []string `json:"notes,omitempty"`
	endLine
}

// An uploadLine is what --json says of an unfinished upload. What the store does
// not tell is null.
type uploadLine struct {
	V            int        `json:"v"`
	Type         string     `json:"type"` // upload
	Bucket       string     `json:"bucket"`
	Key          string     `json:"key"`
	UploadID     string     `json:"upload_id"`
	Status       string     `json:"status"`
	Initiated    *time.Time `json:"initiated"`
	LastActivity *time.Time `json:"last_activity"`
	AgeSeconds   *int64     `json:"age_seconds"`
	IdleSeconds  *int64     `json:"idle_seconds"`
	Initiator    string     `json:"initiator"`
	StorageClass string     `json:"storage_class"`
	Parts        *int       `json:"parts"`
	Bytes        *int64     `json:"bytes"`
	Reason       string     `json:"reason,omitempty"` // why it was left, or its parts are unknown

	ExitCode  int    `json:"exit_code,omitempty"`
	Error     string `json:"error,omitempty"`
	ErrorCode string `json:"error_code,omitempty"`
	Hint      string `json:"hint,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

// What becomes of an upload, as the lines say it.
const (
	uploadUnfinished = "unfinished"
	uploadAborted    = "aborted"
	uploadWouldAbort = "would-abort"
	uploadLeft       = "left"
	uploadFailed     = "failed"
)

func urlOf(x *upload.Unfinished) string { return target{x.Bucket, x.Key}.String() }

// tell writes the line of an upload.
func (l *uploadsList) tell(x *upload.Unfinished, status, why string, p *problem) {
	switch {
	case l.o.json:
		l.out.result(jsonLine(newUploadLine(x, status, why, p)))
	case !l.o.quiet:
		l.out.result(uploadText(x, status, why))
	}
}

func newUploadLine(x *upload.Unfinished, status, why string, p *problem) uploadLine {
	line := uploadLine{V: schema, Type: "upload", Bucket: x.Bucket, Key: x.Key, UploadID: x.ID, Status: status,
		Initiated: orNull(x.Begun), LastActivity: orNull(x.LastSign), AgeSeconds: seconds(x.Age()), IdleSeconds: seconds(x.Idle()),
		Initiator: x.Initiator, StorageClass: x.StorageClass, Reason: why}
	if x.Parts >= 0 {
		line.Parts, line.Bytes = &x.Parts, &x.Bytes
	} else if why == "" && x.Err != nil {
		line.Reason = "its parts cannot be listed: " + reason(x.Err, operation(x.Err))
	}
	if p != nil {
		line.ExitCode, line.Error, line.ErrorCode, line.Hint, line.RequestID = p.exit, p.why, p.code, p.hint, p.requestID
	}
	return line
}

func orNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	t = t.UTC()
	return &t
}

func seconds(d time.Duration, known bool) *int64 {
	if !known {
		return nil
	}
	n := int64(d.Seconds())
	return &n
}

// uploadText is the line of an upload for people.
func uploadText(x *upload.Unfinished, status, why string) string {
	var b strings.Builder
	if status != uploadUnfinished {
		b.WriteString(strings.ReplaceAll(status, "-", " ") + " ")
	}
	b.WriteString(urlOf(x))
	switch {
	case x.Parts < 0:
		b.WriteString("  of unknown size")
	default:
		fmt.Fprintf(&b, "  %s in %s", byteSize(x.Bytes), plural(x.Parts, "part"))
	}
	if age, known := x.Age(); known {
		fmt.Fprintf(&b, ", begun %s ago", ago(age))
	} else {
		b.WriteString(", begun nobody knows when")
	}
	if idle, known := x.Idle(); known && x.LastSign.After(x.Begun) {
		fmt.Fprintf(&b, ", last moved %s ago", ago(idle))
	}
	if x.Initiator != "" {
		b.WriteString(", by " + clip(x.Initiator))
	}
	if x.StorageClass != "" && x.StorageClass != "STANDARD" {
		b.WriteString(", " + clip(x.StorageClass))
	}
	if why != "" {
		b.WriteString(": " + why)
	}
	return oneLine(b.String() + "  id " + clip(x.ID))
}

// ago is an age in words, in one unit or two.
func ago(d time.Duration) string {
	const day = 24 * time.Hour
	switch {
	case d >= 2*day:
		return plural(int(d/day), "day")
	case d >= 2*time.Hour:
		return plural(int(d/time.Hour), "hour")
	case d >= 2*time.Minute:
		return plural(int(d/time.Minute), "minute")
	}
	return plural(int(d/time.Second), "second")
}

// complain tells of a problem with an upload, in one line.
func (l *uploadsList) complain(do, what string, p problem) {
	l.mu.Lock()
	l.tally.fail(p)
	cut := p.code == interruptedCode
	l.mu.Unlock()
	if cut {
		return
	}
	line := sentence(p.why, p.hint)
	if l.o.verbose && p.requestID != "" {
		line += " (request id " + p.requestID + ")"
	}
	l.out.complain("%s %s: %s", do, what, line)
}

// refuse tells of an error that ended the whole.
func (l *uploadsList) refuse(err error) {
	f := l.facts
	if l.store != nil {
		f.region = l.store.RegionOf(f.bucket)
	}
	p := explain(err, f)
	l.tally.fail(p)
	l.summary.end(p)
	l.out.complain("%s", sentence(p.why, p.hint))
}

// finish sums up and returns the exit code.
func (l *uploadsList) finish(ctx context.Context) int {
	s := &l.summary
	code := l.tally.exit(ctx)
	if code == exitOK && !s.Complete {
		code = exitPartial
	}
	if l.blind != nil {
		needs := ""
		if store.StatusCode(l.blind) == http.StatusForbidden {
			needs = "; that needs " + permissions["ListParts"]
		}
		l.note("what some uploads hold cannot be told: " + reason(l.blind, operation(l.blind)) + needs)
	}
	if l.unaged > 0 {
		l.note("left out by --older-than, as nobody can tell when they last moved: " + plural(l.unaged, "upload"))
	}
	if l.live > 0 && l.o.id == "" {
		l.note("left alone, as somebody may be sending them: " + plural(l.live, "upload") + "; --force aborts them too")
	}
	switch {
	case l.o.json:
		s.V, s.Type, s.Op, s.Notes = schema, "summary", "uploads", l.notes
		s.DurationMS, s.Exit = time.Since(l.start).Milliseconds(), code
		l.out.result(jsonLine(*s))
	case s.Uploads > 0:
		l.out.talk("%s", l.total())
	case code == exitOK && l.o.olderThan > 0:
		l.out.talk("no unfinished upload without a sign of life for %s", ago(l.o.olderThan))
	case code == exitOK:
		l.out.talk("no unfinished uploads")
	}
	return l.written(code)
}

// total is all of them in words.
func (l *uploadsList) total() string {
	s := &l.summary
	line := fmt.Sprintf("%s, %s in %s", plural(s.Uploads, "unfinished upload"), byteSize(s.Bytes), plural(int(s.Parts), "part"))
	if l.oldest > 0 {
		line += ", the oldest begun " + ago(l.oldest) + " ago"
	}
	for _, n := range []struct {
		n    int
		what string
	}{{s.Aborted, "aborted"}, {s.WouldAbort, "would be aborted"}, {s.Left, "left alone"}, {s.Failed, "could not be aborted"}} {
		if n.n > 0 {
			line += fmt.Sprintf("; %d %s", n.n, n.what)
		}
	}
	return line
}
