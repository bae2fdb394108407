//go:build !linux

package upload

// isFarAway is not known here.
func isFarAway(File) bool { return false }

// isWritable is not known here.
func isWritable(File) bool { return false }
