package etag

import (
	"crypto/md5"
	"hash"
)

// A Hasher computes the MD5 of a whole file and of its parts, one after the
// other, in one pass: each block is hashed into both while it is in the cache.
// It is for one goroutine at a time.
type Hasher struct {
	whole, part hash.Hash
}

// NewHasher returns a Hasher at the start of the first part.
func NewHasher() *Hasher { return &Hasher{whole: md5.New(), part: md5.New()} }

// Write advances both digests. It never fails. Blocks of at most 256 KiB stay
// in the cache between the two.
func (h *Hasher) Write(p []byte) (int, error) {
	h.whole.Write(p)
	return h.part.Write(p)
}

// EndPart returns the MD5 of the part that ends here, and starts the next.
func (h *Hasher) EndPart() MD5 {
	var m MD5
	h.part.Sum(m[:0])
	h.part.Reset()
	return m
}

// Whole returns the MD5 of everything written so far.
func (h *Hasher) Whole() MD5 {
	var m MD5
	h.whole.Sum(m[:0])
	return m
}
