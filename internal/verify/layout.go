package verify

import (
	"fmt"

	"s3up/internal/etag"
)

// A layout is how the bytes of an object are divided: into parts of one size, the
// last of which may be smaller, or into parts of the sizes that the store told.
type layout struct {
	part  int64
	sizes []int64 // nil: all are of size part
}

// whole is the layout of an object in one piece.
func whole(size int64) layout { return layout{part: max(1, size)} }

// next returns the size of part n, counted from 1, of which there may be less.
func (l layout) next(n int) int64 {
	switch {
	case l.sizes == nil:
		return l.part
	case n <= len(l.sizes):
		return l.sizes[n-1]
	}
	return 1 << 62 // behind the last: a stream that is too long
}

// count returns how many parts size bytes make.
func (l layout) count(size int64) int {
	if l.sizes != nil {
		return len(l.sizes)
	}
	return etag.Count(size, l.part)
}

// at returns where part n begins, and how long it is.
func (l layout) at(n int, size int64) (offset, length int64) {
	if l.sizes == nil {
		offset = int64(n-1) * l.part
		return offset, min(l.part, size-offset)
	}
	for _, s := range l.sizes[:n-1] {
		offset += s
	}
	return offset, l.sizes[n-1]
}

// newLayout returns the layout of parts whose sizes are known.
func newLayout(sizes []int64) layout {
	l := layout{part: sizes[0]}
	for i, s := range sizes {
		if last := i == len(sizes)-1; s != l.part && !(last && s < l.part) || s < 0 {
			return layout{sizes: sizes}
		}
	}
	return l
}

// fits says whether parts of these sizes make an object of n parts.
func fits(sizes []int64, n int, size int64) bool {
	var sum int64
	for _, s := range sizes {
		if s < 0 || s > size {
			return false
		}
		sum += s
	}
	return len(sizes) == n && sum == size
}

// key tells layouts apart.
func (l layout) key(a Algorithm) string {
	if l.sizes == nil {
		return fmt.Sprint(a, " ", l.part)
	}
	return fmt.Sprint(a, " ", l.sizes)
}
