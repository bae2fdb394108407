package etag

// A Hasher computes the MD5 of a whole file and of its parts, one after the
// other, in one pass. The two are computed side by side, which on most machines
// takes no longer than one. It is for one goroutine at a time.
type Hasher struct {
	lanes [2]lane // the whole, the part
}

// NewHasher returns a Hasher at the start of the first part.
func NewHasher() *Hasher {
	return &Hasher{[2]lane{{state: start}, {state: start}}}
}

// Write advances both digests. It never fails. Blocks of a few hundred KiB take
// the least time.
func (h *Hasher) Write(p []byte) (int, error) {
	h.lanes[0].in, h.lanes[1].in = p, p
	run(2, h.lanes[:])
	return len(p), nil
}

// EndPart returns the MD5 of the part that ends here, and starts the next.
func (h *Hasher) EndPart() MD5 {
	m := h.lanes[1].sum()
	h.lanes[1] = lane{state: start}
	return m
}

// Whole returns the MD5 of everything written so far.
func (h *Hasher) Whole() MD5 { return h.lanes[0].sum() }
