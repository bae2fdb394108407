package tree

import (
	"io/fs"
	"syscall"
	"time"
)

// statOf returns what a file's bytes cannot change without, beside size and time
// of the last write. Unlike the latter, nobody can set changed.
func statOf(info fs.FileInfo) (changed time.Time, inode, device uint64, ok bool) {
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok {
		return time.Time{}, 0, 0, false
	}
	return time.Unix(st.Ctim.Unix()), st.Ino, uint64(st.Dev), true
}
