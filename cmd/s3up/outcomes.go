package main

import (
	"context"
	"errors"
)

// An endLine is what the summary of --json says of a problem that ended the run, and
// of which no line of an object tells.
type endLine struct {
	Error     string `json:"error,omitempty"`
	ErrorCode string `json:"error_code,omitempty"`
	Hint      string `json:"hint,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

func (l *endLine) end(p problem) {
	if p.code != interruptedCode { // which the exit code tells
		*l = endLine{p.why, p.code, p.hint, p.requestID}
	}
}

// outcomes are what became of many things, for the exit code. The zero value is
// ready.
type outcomes struct {
	done  int         // of which nothing is left to do
	exits map[int]int // how many ended with a code
	first int         // the code of the first that failed
	cut   int         // that a signal ended
}

// failed says whether something is not in place, or not seen to.
func (t *outcomes) failed() bool {
	return len(t.exits) > 1 || len(t.exits) == 1 && t.first != exitNotMD5
}

// fail counts what ended with a problem.
func (t *outcomes) fail(p problem) {
	if p.code == interruptedCode {
		t.cut++
	}
	if t.exits == nil {
		t.exits, t.first = make(map[int]int), p.exit
	}
	t.exits[p.exit]++
}

// exit returns the exit code for all. What only has to be run again says so, whatever
// else is done already.
func (t *outcomes) exit(ctx context.Context) int {
	var stop stopped
	switch {
	case t.cut > 0 && errors.As(context.Cause(ctx), &stop):
		return stop.code()
	case len(t.exits) == 0:
		return exitOK
	case len(t.exits) == 1 && (t.done == 0 || t.first == exitNotMD5 || t.first == exitTemporary):
		return t.first
	case t.done > 0:
		return exitPartial
	}
	return exitFailed
}

// written returns the exit code of a run whose results were to be written.
func (l *link) written(code int) int {
	err := l.out.failed
	if err == nil {
		return code
	}
	l.out.complain("write the results to stdout: %s", rootCause(err))
	if code == exitOK {
		return exitFailed
	}
	return code
}
