package verify

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"hash"
	"hash/crc32"

	"s3up/internal/crc"
)

// An Algorithm is one that digests are computed with, by S3's name for it.
type Algorithm string

const (
	SHA512    Algorithm = "SHA512"
	SHA256    Algorithm = "SHA256"
	SHA1      Algorithm = "SHA1"
	MD5       Algorithm = "MD5"
	CRC64NVME Algorithm = "CRC64NVME"
	CRC32C    Algorithm = "CRC32C"
	CRC32     Algorithm = "CRC32"
)

// algorithms are all, the strongest first.
var algorithms = []Algorithm{SHA512, SHA256, SHA1, MD5, CRC64NVME, CRC32C, CRC32}

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func (a Algorithm) new() hash.Hash {
	switch a {
	case SHA512:
		return sha512.New()
	case SHA256:
		return sha256.New()
	case SHA1:
		return sha1.New()
	case CRC64NVME:
		return crc.New()
	case CRC32C:
		return crc32.New(castagnoli)
	case CRC32:
		return crc32.NewIEEE()
	}
	return md5.New()
}

func (a Algorithm) size() int { return a.new().Size() }

// strength is that of a digest that the store computed.
func (a Algorithm) strength() Strength {
	switch a {
	case CRC64NVME, CRC32C, CRC32:
		return Sum
	}
	return Proof
}

// Strength is how much an evidence proves.
type Strength int

const (
	// Word is what an uploader wrote into the metadata: it tells what was to be
	// stored.
	Word Strength = iota
	// Sum is a cyclic redundancy check that the store keeps of its bytes: damage does
	// not pass it but by a chance of 1 in 4 billion, or less.
	Sum
	// Proof is a digest that the store computed of its bytes and that nothing but
	// intent could make the same, or a size that differs.
	Proof
)

func (s Strength) String() string { return [...]string{"claim", "checksum", "proof"}[s] }

// Strengths are the names of all, the weakest first.
func Strengths() []string { return []string{Word.String(), Sum.String(), Proof.String()} }
