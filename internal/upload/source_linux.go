package upload

import (
	"io/fs"
	"syscall"
	"time"
)

// changeTime is when a file's bytes, names or rights were last changed. Unlike
// the time of the last write, nobody can set it.
func changeTime(info fs.FileInfo) time.Time {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return time.Unix(st.Ctim.Unix())
	}
	return time.Time{}
}
