package main

import (
	"fmt"
	"io/fs"

	"s3up/internal/tree"
)

// passedBy notes what a walk passes by.
func (l *link) passedBy(s tree.Skip) {
	switch s.Why {
	case tree.SkippedLink:
		l.noteAlike("link", "more links are passed by", "%s is a link, and passed by", s.Path)
	case tree.SkippedLoop:
		l.noteAlike("loop", "more links lead back to folders that they are in", "%s leads back to %s, which it is in: it is passed by", s.Path, s.To)
	default:
		l.noteAlike("special", "more that are no regular files are passed by", "%s is %s, and passed by", s.Path, kindOf(s.Mode))
	}
}

// kindOf names what is no regular file.
func kindOf(mode fs.FileMode) string {
	switch {
	case mode&fs.ModeSocket != 0:
		return "a socket"
	case mode&fs.ModeNamedPipe != 0:
		return "a pipe"
	case mode&fs.ModeDevice != 0:
		return "a device"
	}
	return "no regular file"
}

// maxAlike is how many notes of one kind are told; of the others, their number is.
const maxAlike = 10

// maxKinds is how many kinds of notes there are, at most.
const maxKinds = 100

// An alike is how many notes of one kind there were, and the words for those that
// were not told.
type alike struct {
	more string
	n    int
}

// noteAlike tells a note of a kind of which there may be very many.
func (l *link) noteAlike(kind, more, format string, args ...any) {
	if l.mayTell(kind, more) {
		l.note(oneLine(clip(fmt.Sprintf(format, args...))))
	}
}

// mayTell counts a note, and says whether it is one of the first of its kind.
func (l *link) mayTell(kind, more string) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.alike[kind] == nil && len(l.alike) >= maxKinds {
		kind, more = "", "more notes"
	}
	a := l.alike[kind]
	if a == nil {
		if l.alike == nil {
			l.alike = make(map[string]*alike)
		}
		a = &alike{more: more}
		l.alike[kind] = a
		l.kinds = append(l.kinds, kind)
	}
	a.n++
	return a.n <= maxAlike
}

// tellMore tells how many notes were not told.
func (l *link) tellMore() {
	for _, kind := range l.kinds {
		if a := l.alike[kind]; a.n > maxAlike {
			l.note(fmt.Sprintf("%d %s", a.n-maxAlike, a.more))
		}
	}
}
