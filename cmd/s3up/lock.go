package main

import (
	"errors"
	"fmt"
	"io/fs"

	"github.com/gofrs/flock"

	"s3up/internal/smallfile"
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
	taken, err := false, smallfile.Check(file)
	if err == nil || errors.Is(err, fs.ErrNotExist) {
		taken, err = l.TryLock()
	}
	switch {
	case err != nil:
		return nil, usagef("it must be a file that can be written", "--lock %s: %s", quoted(file), rootCause(err))
	case !taken:
		return nil, &lockedError{file}
	}
	return func() { l.Close() }, nil
}
