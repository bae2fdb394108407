package etag

import (
	"cmp"
	"slices"
)

//go:generate go run ./gen

// maxWidth is the most lanes that any kernel has.
const maxWidth = 16

// minWide is from how many lanes on a kernel of 8 or 16 is used, which takes as
// long for one as for all: up to four lanes are faster two by two.
const minWide = 5

// run makes every lane take its input, side by side as far as kernels of at most
// width lanes go. Lanes may stand within a block, each at another place, and
// their inputs may differ in length.
func run(width int, lanes []lane) {
	for i := range lanes {
		lanes[i].fillRest()
	}
	for {
		var room [maxWidth]*lane
		ready := room[:0]
		for i := range lanes {
			if len(lanes[i].in) >= blockSize && len(ready) < width {
				ready = append(ready, &lanes[i])
			}
		}
		if len(ready) == 0 {
			break
		}
		shortest := slices.MinFunc(ready, func(l, m *lane) int { return cmp.Compare(len(l.in), len(m.in)) })
		advance(width, ready, len(shortest.in)/blockSize*blockSize)
	}
	for i := range lanes {
		lanes[i].keepRest()
	}
}

// advance makes the lanes, at most width, take size bytes each, whole blocks.
func advance(width int, lanes []*lane, size int) {
	if width > 2 && len(lanes) >= minWide {
		advanceWide(width, lanes, size)
		return
	}
	for ; len(lanes) >= 2; lanes = lanes[2:] {
		l, m := lanes[0], lanes[1]
		block2(&l.state, &m.state, l.in[:size], m.in[:size])
		l.skip(size)
		m.skip(size)
	}
	if len(lanes) == 1 {
		l := lanes[0]
		block1(&l.state, l.in[:size])
		l.skip(size)
	}
}
