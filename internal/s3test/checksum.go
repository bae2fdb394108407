package s3test

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"crypto/sha512"
	"encoding/base64"
	"fmt"
	"hash"
	"hash/crc32"
	"hash/crc64"
	"io"
	"net/http"
	"strings"
)

// algorithms are the additional checksums, by the name that ends their header.
var algorithms = map[string]func() hash.Hash{
	"crc32":     func() hash.Hash { return crc32.NewIEEE() },
	"crc32c":    func() hash.Hash { return crc32.New(crc32.MakeTable(crc32.Castagnoli)) },
	"crc64nvme": func() hash.Hash { return crc64.New(crc64.MakeTable(0x9a6c9329ac4bc9b5)) },
	"sha1":      sha1.New,
	"sha256":    sha256.New,
	"sha512":    sha512.New,
	"md5":       md5.New,
}

// A checksum is an additional one, beside the ETag.
type checksum struct {
	algorithm string // "" for none
	value     string // base64, with -N if not full
	full      bool   // FULL_OBJECT rather than COMPOSITE
}

func (k checksum) kind() string {
	if k.full {
		return "FULL_OBJECT"
	}
	return "COMPOSITE"
}

func (k checksum) answer(h http.Header) {
	if k.algorithm != "" && k.value != "" {
		h.Set("x-amz-checksum-"+k.algorithm, k.value)
		h.Set("x-amz-checksum-type", k.kind())
	}
}

// checksumOf reads the checksum that a request gives in a header.
func checksumOf(h http.Header) (checksum, error) {
	var found checksum
	for name := range h {
		algorithm, isSum := strings.CutPrefix(strings.ToLower(name), "x-amz-checksum-")
		if !isSum || algorithms[algorithm] == nil {
			continue
		}
		if found.algorithm != "" {
			return found, fail("InvalidRequest", "Expecting a single x-amz-checksum- header. Multiple checksum Types are not allowed.")
		}
		found = checksum{algorithm: algorithm, value: h.Get(name), full: true}
	}
	return found, nil
}

// refuseChecksum is the answer of a store that knows no checksums.
func (c *call) refuseChecksum(asked bool) error {
	if !asked || c.q.ChecksumsRefused == 0 {
		return nil
	}
	return refusal(c.q.ChecksumsRefused)
}

// checkPartSum checks before a part's body is read that it brings the checksum
// for which its upload was created: a header, or a trailer.
func (c *call) checkPartSum(u *upload) error {
	given, err := checksumOf(c.h)
	if err != nil {
		return err
	}
	name := given.algorithm
	if trailer, ok := strings.CutPrefix(strings.ToLower(c.h.Get("X-Amz-Trailer")), "x-amz-checksum-"); ok && name == "" {
		name = trailer
	}
	if name == "" && u.algorithm != "" && !c.q.PartChecksumsNotOnComplete {
		return fail("InvalidRequest", "Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: null", u.algorithm)
	}
	return nil
}

// wholeChecksum computes the checksum of a body; empty if the bytes are gone.
func wholeChecksum(b blob, algorithm string) checksum {
	k := checksum{algorithm: algorithm, full: true}
	if b.lost() || algorithms[algorithm] == nil {
		return k
	}
	h := algorithms[algorithm]()
	io.Copy(h, b.reader(0, b.size()))
	k.value = base64.StdEncoding.EncodeToString(h.Sum(nil))
	return k
}

func compositeChecksum(parts []*part, algorithm string) checksum {
	h := algorithms[algorithm]()
	for _, p := range parts {
		raw, _ := base64.StdEncoding.DecodeString(p.sum.value)
		h.Write(raw)
	}
	return checksum{algorithm: algorithm, value: fmt.Sprintf("%s-%d", base64.StdEncoding.EncodeToString(h.Sum(nil)), len(parts))}
}

// sumXML is a checksum as results and parts carry it.
type sumXML struct {
	CRC32     string `xml:"ChecksumCRC32,omitempty"`
	CRC32C    string `xml:"ChecksumCRC32C,omitempty"`
	CRC64NVME string `xml:"ChecksumCRC64NVME,omitempty"`
	SHA1      string `xml:"ChecksumSHA1,omitempty"`
	SHA256    string `xml:"ChecksumSHA256,omitempty"`
	SHA512    string `xml:"ChecksumSHA512,omitempty"`
	MD5       string `xml:"ChecksumMD5,omitempty"`
	Type      string `xml:"ChecksumType,omitempty"`
}

func (x *sumXML) field(algorithm string) *string {
	return map[string]*string{"crc32": &x.CRC32, "crc32c": &x.CRC32C, "crc64nvme": &x.CRC64NVME,
		"sha1": &x.SHA1, "sha256": &x.SHA256, "sha512": &x.SHA512, "md5": &x.MD5}[algorithm]
}

func (k checksum) xml(withType bool) (x sumXML) {
	if k.value == "" {
		return x
	}
	*x.field(k.algorithm) = k.value
	if withType {
		x.Type = k.kind()
	}
	return x
}
