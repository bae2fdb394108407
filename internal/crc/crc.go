// Package crc is CRC-64/NVME, the checksum that Amazon S3 keeps of whole objects
// (CRC64NVME). Other than an MD5, that of the whole follows from those of its
// parts, in whatever order they were computed.
package crc

import (
	"encoding/base64"
	"encoding/binary"
	"hash"
	"math/bits"

	"github.com/minio/crc64nvme"
)

// polynomial without x^64, in the reflected form that hash/crc64 has it in.
const polynomial = 0x9a6c9329ac4bc9b5

// A Sum is the checksum of some bytes; 0 is that of none.
type Sum uint64

// New returns a hash whose Sum64 is a Sum. The standard library's takes about half
// as long as MD5 for it, with this polynomial; this one a thirtieth.
func New() hash.Hash64 { return crc64nvme.New() }

// Then returns the checksum of the bytes of s, followed by size bytes whose
// checksum is next.
func (s Sum) Then(next Sum, size int64) Sum {
	return Sum(multiply(uint64(s), power(size))) ^ next
}

// Base64 is the sum as S3's headers have it.
func (s Sum) Base64() string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, uint64(s)))
}

// one is the polynomial 1: the highest bit is the lowest power.
const one = 1 << 63

// power returns x^(8 size) modulo the polynomial, which is what size bytes behind
// some others do to their checksum.
func power(size int64) uint64 {
	p, square := uint64(one), uint64(one>>8)
	for ; size > 0; size >>= 1 {
		if size&1 == 1 {
			p = multiply(p, square)
		}
		square = multiply(square, square)
	}
	return p
}

// multiply multiplies two polynomials modulo the polynomial.
func multiply(a, b uint64) (product uint64) {
	for a != 0 {
		n := bits.LeadingZeros64(a)
		b = shift(b, n)
		product ^= b
		if n == 63 {
			break
		}
		a <<= n + 1
		b = shift(b, 1)
	}
	return product
}

// shift multiplies by x^n.
func shift(b uint64, n int) uint64 {
	for range n {
		b = b>>1 ^ polynomial&-(b&1)
	}
	return b
}
