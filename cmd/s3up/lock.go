package main

import (
	"fmt"

	"github.com/gofrs/flock"
)

// A lockedError says that another run holds the lock.
type lockedError struct{ file string }

func (e *lockedError) Error() string { return fmt.Sprintf("another run holds the lock %s", e.file) }

// lock takes the lock file, so that a run that cron starts while the last one
// still goes on does nothing. The lock ends with the process, however that ends;
// the file stays, because whoever removed it could take it from under a third.
func lock(file string) (release func(), err error) {
	if file == "" {
		return func() {}, nil
	}
	l := flock.New(file)
	switch taken, err := l.TryLock(); {
	case err != nil:
		return nil, usagef("it must be a file that can be written", "--lock %s: %s", quoted(file), rootCause(err))
	case !taken:
		return nil, &lockedError{file}
	}
	return func() { l.Close() }, nil
}
