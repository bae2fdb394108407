//go:build !purego

package etag

import (
	"unsafe"

	"golang.org/x/sys/cpu"
)

// widest is how many lanes the widest kernel has that runs here.
var widest = func() int {
	switch {
	case cpu.X86.HasAVX512F:
		return 16
	case cpu.X86.HasAVX2:
		return 8
	}
	return 2
}()

// states8 and states16 are the words of many states: first all A, then all B, C
// and D.
type (
	states8  [4][8]uint32
	states16 [4][16]uint32
)

// block8 advances 8 MD5s by the n blocks that each of p points to. It needs AVX2.
//
//go:noescape
func block8(s *states8, p *[8]*byte, n int)

// block16 advances 16 MD5s by the n blocks that each of p points to. It needs
// AVX-512F.
//
//go:noescape
func block16(s *states16, p *[16]*byte, n int)

// advanceWide is advance in a kernel of width lanes. Those that it has no use for
// hash the first lane's input once more.
func advanceWide(width int, lanes []*lane, size int) {
	n := size / blockSize
	switch width {
	case 8:
		var s states8
		var p [8]*byte
		gather(lanes, p[:], s[0][:], s[1][:], s[2][:], s[3][:])
		block8(&s, &p, n)
		scatter(lanes, size, s[0][:], s[1][:], s[2][:], s[3][:])
	case 16:
		var s states16
		var p [16]*byte
		gather(lanes, p[:], s[0][:], s[1][:], s[2][:], s[3][:])
		block16(&s, &p, n)
		scatter(lanes, size, s[0][:], s[1][:], s[2][:], s[3][:])
	}
}

func gather(lanes []*lane, p []*byte, a, b, c, d []uint32) {
	for i := range p {
		p[i] = unsafe.SliceData(lanes[0].in)
	}
	for i, l := range lanes {
		p[i] = unsafe.SliceData(l.in)
		a[i], b[i], c[i], d[i] = l.state[0], l.state[1], l.state[2], l.state[3]
	}
}

func scatter(lanes []*lane, size int, a, b, c, d []uint32) {
	for i, l := range lanes {
		l.state = state{a[i], b[i], c[i], d[i]}
		l.skip(size)
	}
}
