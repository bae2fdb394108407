//go:build !linux

package upload

import (
	"io/fs"
	"time"
)

// ChangeTime is not known here.
func ChangeTime(fs.FileInfo) time.Time { return time.Time{} }

// isFarAway is not known here.
func isFarAway(File) bool { return false }

// isWritable is not known here.
func isWritable(File) bool { return false }
