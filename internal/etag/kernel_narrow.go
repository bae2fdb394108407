//go:build !amd64 || purego

package etag

// widest is how many lanes the widest kernel has.
const widest = 2

// advanceWide is advance in a kernel of more than two lanes, where there is one.
func advanceWide(_ int, lanes []*lane, size int) { advance(widest, lanes, size) }
