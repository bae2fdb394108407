package upload

import (
	"io/fs"
	"syscall"
	"time"
)

// ChangeTime is when a file's bytes, names or rights were last changed. Unlike
// the time of the last write, nobody can set it.
func ChangeTime(info fs.FileInfo) time.Time {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Ctimespec.Unix())
	}
	return time.Time{}
}
