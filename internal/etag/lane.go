package etag

import (
	"crypto/md5"
	"encoding/binary"
)

const blockSize = md5.BlockSize

// state is the four words that MD5 carries from block to block, A to D in RFC
// 1321.
type state [4]uint32

var start = state{0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}

// A lane is an MD5 under way.
type lane struct {
	state state
	size  uint64          // of what it took
	rest  [blockSize]byte // the last size%blockSize bytes of that: they wait for the rest of their block
	in    []byte          // what it takes next
}

// sum returns the MD5 of what the lane took. The lane can go on.
func (l *lane) sum() MD5 {
	s := l.state
	n := l.size % blockSize
	var last [2 * blockSize]byte // the padding of RFC 1321, sections 3.1 and 3.2
	copy(last[:], l.rest[:n])
	last[n] = 0x80
	end := blockSize
	if n >= blockSize-8 {
		end = 2 * blockSize
	}
	binary.LittleEndian.PutUint64(last[end-8:], 8*l.size)
	block1(&s, last[:end])
	var m MD5
	for i, word := range s {
		binary.LittleEndian.PutUint32(m[4*i:], word)
	}
	return m
}

// fillRest completes the block that a lane waits for, as far as its input goes.
func (l *lane) fillRest() {
	n := l.size % blockSize
	if n == 0 {
		return
	}
	took := copy(l.rest[n:], l.in)
	l.size += uint64(took)
	l.in = l.in[took:]
	if l.size%blockSize == 0 {
		block1(&l.state, l.rest[:])
	}
}

// keepRest takes what is left of the input, less than a block.
func (l *lane) keepRest() {
	copy(l.rest[l.size%blockSize:], l.in)
	l.size += uint64(len(l.in))
	l.in = nil
}

// skip counts whole blocks of the input, which a kernel hashed.
func (l *lane) skip(size int) {
	l.size += uint64(size)
	l.in = l.in[size:]
}
