//go:build unix

package main

import "golang.org/x/sys/unix"

// descriptors returns how many files the process may have open, sockets among
// them.
func descriptors() int {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return unlimited
	}
	return int(min(limit.Cur, unlimited))
}
