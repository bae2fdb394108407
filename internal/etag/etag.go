package etag

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"strconv"
	"strings"
)

// MD5 is the digest of some bytes.
type MD5 [md5.Size]byte

// Sum returns the MD5 of data.
func Sum(data []byte) MD5 { return md5.Sum(data) }

// String returns the digest as md5sum prints it, and as the ETag of an object
// stored in one piece: 32 lower-case hex digits.
func (m MD5) String() string { return hex.EncodeToString(m[:]) }

// Base64 returns the digest as the Content-MD5 header wants it (RFC 1864).
func (m MD5) Base64() string { return base64.StdEncoding.EncodeToString(m[:]) }

// Trim takes the quotes, and the W/ of a weak ETag, off an ETag as a server
// sent it. Some stores send none: Ceph 16, SeaweedFS.
func Trim(s string) string {
	return strings.Trim(strings.TrimPrefix(strings.TrimSpace(s), "W/"), `"`)
}

// Composite returns the ETag of a multipart object with these parts, in the
// order of their numbers.
func Composite(parts []MD5) string {
	h := md5.New()
	for i := range parts {
		h.Write(parts[i][:])
	}
	return hex.EncodeToString(h.Sum(nil)) + "-" + strconv.Itoa(len(parts))
}

// IsMD5 reports whether an unquoted ETag has the shape of an MD5. That it is
// one, only the MD5 of the bytes can tell.
func IsMD5(s string) bool { return len(s) == 2*md5.Size && isHex(s) }

// Parts returns the number of parts that an unquoted composite ETag names, or 0
// if it is not composite.
func Parts(s string) int {
	digest, count, ok := strings.Cut(s, "-")
	if !ok || !IsMD5(digest) || strings.HasPrefix(count, "+") {
		return 0
	}
	n, err := strconv.Atoi(count)
	if err != nil || n < 1 {
		return 0
	}
	return n
}

func isHex(s string) bool {
	return strings.IndexFunc(s, func(r rune) bool {
		return !('0' <= r && r <= '9' || 'a' <= r && r <= 'f' || 'A' <= r && r <= 'F')
	}) < 0
}

// ParseMD5 reads a digest as String writes it.
func ParseMD5(s string) (m MD5, ok bool) {
	if len(s) != 2*len(m) {
		return m, false
	}
	_, err := hex.Decode(m[:], []byte(s))
	return m, err == nil
}
