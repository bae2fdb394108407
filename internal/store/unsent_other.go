//go:build !linux

package store

import "net"

// unsent is how many bytes the kernel has taken and the peer has not yet
// acknowledged, or -1 if that cannot be told.
func unsent(net.Conn) int { return -1 }
