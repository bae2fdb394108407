package etag

// A MultiHasher computes the MD5s of a file's parts for several part sizes in
// one pass, side by side: to find out which of them an ETag was made with. A part
// size that is not less than the file's gives the MD5 of the whole. It is for one
// goroutine at a time.
type MultiHasher struct {
	sizes []int64
	left  []int64 // until the current part is full
	lanes []lane
	sums  [][]MD5
}

// NewMultiHasher returns a MultiHasher at the start of the file, for part sizes
// of at least one byte.
func NewMultiHasher(partSizes ...int64) *MultiHasher {
	h := &MultiHasher{
		sizes: partSizes,
		left:  append([]int64(nil), partSizes...),
		lanes: make([]lane, len(partSizes)),
		sums:  make([][]MD5, len(partSizes)),
	}
	for i := range h.lanes {
		h.lanes[i].state = start
	}
	return h
}

// Write takes the next bytes of the file. It never fails.
func (h *MultiHasher) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		took := int64(len(p))
		for _, left := range h.left {
			took = min(took, left)
		}
		for i := range h.lanes {
			h.lanes[i].in = p[:took]
		}
		run(widest, h.lanes)
		p = p[took:]
		for i := range h.lanes {
			if h.left[i] -= took; h.left[i] == 0 {
				h.endPart(i)
			}
		}
	}
	return n, nil
}

func (h *MultiHasher) endPart(i int) {
	h.sums[i] = append(h.sums[i], h.lanes[i].sum())
	h.lanes[i] = lane{state: start}
	h.left[i] = h.sizes[i]
}

// Parts returns the MD5s of the parts for each part size, in the order in which
// the sizes were given. It is for the end of the file: the parts under way end
// here.
func (h *MultiHasher) Parts() [][]MD5 {
	for i := range h.lanes {
		if h.lanes[i].size > 0 {
			h.endPart(i)
		}
	}
	return h.sums
}
