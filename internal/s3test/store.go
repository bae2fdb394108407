package s3test

import (
	"crypto/md5"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"os"
	"runtime"
	"sort"
	"strings"
	"time"
)

// spillSize is the size up to which a body stays in memory even with Dir.
const spillSize = 64 << 10

// A segment is one body as it came in, never changed afterwards: in memory, in
// a file that goes when the segment is garbage, or (Options.Discard) nowhere.
type segment struct {
	size int64
	md5  [16]byte
	data []byte
	path string
	lost bool
}

// A blob is a body made of segments. Objects, parts and copies share them.
type blob []*segment

func (b blob) size() (n int64) {
	for _, s := range b {
		n += s.size
	}
	return n
}

func (b blob) lost() bool {
	for _, s := range b {
		if s.lost {
			return true
		}
	}
	return false
}

// md5 is the MD5 of the whole body; false if the bytes are not there any more.
func (v *version) md5() (sum [16]byte, ok bool) {
	if v.whole != nil {
		return *v.whole, true
	}
	return v.body.md5()
}

// md5 hashes the whole body; false if the bytes are not there any more.
func (b blob) md5() (sum [16]byte, ok bool) {
	if len(b) == 1 {
		return b[0].md5, true
	}
	if b.lost() {
		return sum, false
	}
	h := md5.New()
	if _, err := io.Copy(h, b.reader(0, b.size())); err != nil {
		return sum, false
	}
	h.Sum(sum[:0])
	return sum, true
}

func (b blob) reader(off, n int64) io.Reader {
	var rs []io.Reader
	for _, s := range b {
		if n <= 0 {
			break
		}
		if off >= s.size {
			off -= s.size
			continue
		}
		take := min(s.size-off, n)
		rs = append(rs, &segmentReader{s: s, off: off, left: take})
		off, n = 0, n-take
	}
	return io.MultiReader(rs...)
}

// flip returns the body with one bit of its middle changed.
func (b blob) flip() blob {
	if b.size() == 0 {
		return b
	}
	if b.lost() {
		s := *b[0]
		s.md5[0] ^= 1
		return append(blob{&s}, b[1:]...)
	}
	data, err := io.ReadAll(b.reader(0, b.size()))
	if err != nil {
		panic(err) // our own file
	}
	data[len(data)/2] ^= 1
	return blob{{size: int64(len(data)), data: data, md5: md5.Sum(data)}}
}

type segmentReader struct {
	s         *segment
	off, left int64
	f         *os.File
}

func (r *segmentReader) Read(p []byte) (int, error) {
	if r.left <= 0 {
		if r.f != nil {
			r.f.Close()
			r.f = nil
		}
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), r.left)]
	n := len(p)
	var err error
	switch {
	case r.s.lost:
		clear(p)
	case r.s.path != "":
		if r.f == nil {
			if r.f, err = os.Open(r.s.path); err != nil {
				return 0, err
			}
		}
		n, err = r.f.ReadAt(p, r.off)
		if err == io.EOF && n > 0 {
			err = nil
		}
	default:
		n = copy(p, r.s.data[r.off:])
	}
	r.off += int64(n)
	r.left -= int64(n)
	return n, err
}

// newSegment opens a place for a body of that size. The writer takes the bytes;
// finish makes the segment when all have come.
func (s *Server) newSegment(size int64, keep bool) (w io.Writer, finish func(sum [16]byte) (*segment, error), drop func(), err error) {
	seg := &segment{size: size}
	switch {
	case s.o.Discard && !keep:
		seg.lost = size > 0
		return io.Discard, func(sum [16]byte) (*segment, error) { seg.md5 = sum; return seg, nil }, func() {}, nil
	case s.o.Dir != "" && size > spillSize:
		f, err := os.CreateTemp(s.dir, "body-")
		if err != nil {
			return nil, nil, nil, err
		}
		drop := func() { f.Close(); os.Remove(f.Name()) }
		return f, func(sum [16]byte) (*segment, error) {
			seg.md5, seg.path = sum, f.Name()
			runtime.AddCleanup(seg, func(path string) { os.Remove(path) }, seg.path)
			return seg, f.Close()
		}, drop, nil
	}
	m := &memory{make([]byte, 0, size)}
	return m, func(sum [16]byte) (*segment, error) { seg.md5, seg.data = sum, m.b; return seg, nil }, func() {}, nil
}

// copySegment makes a segment of n bytes of its own.
func (s *Server) copySegment(r io.Reader, n int64) (*segment, error) {
	w, finish, drop, err := s.newSegment(n, true)
	if err != nil {
		return nil, err
	}
	h := md5.New()
	if _, err := io.CopyN(io.MultiWriter(w, h), r, n); err != nil {
		drop()
		return nil, err
	}
	return finish([16]byte(h.Sum(nil)))
}

type memory struct{ b []byte }

func (m *memory) Write(p []byte) (int, error) { m.b = append(m.b, p...); return len(p), nil }

// props are what an object carries beside its body.
type props struct {
	header http.Header // as HEAD gives them back: Content-Type, Cache-Control…, X-Amz-Meta-*
	class  string
	tags   string // as in x-amz-tagging
	enc    encryption
	acl    acl
	lock   lock
}

type encryption struct {
	mode      string // AES256, aws:kms, aws:kms:dsse, or ""
	kmsKey    string
	context   string // of the KMS key, as in the header: base64 of JSON
	bucketKey bool
	algorithm string // of a customer's key (SSE-C)
	keyMD5    string
}

// opaque says that ETags of objects stored so are not MD5s.
func (e encryption) opaque() bool { return strings.HasPrefix(e.mode, "aws:kms") || e.algorithm != "" }

func (e encryption) answer(h http.Header) {
	if e.algorithm != "" {
		h.Set("x-amz-server-side-encryption-customer-algorithm", e.algorithm)
		h.Set("x-amz-server-side-encryption-customer-key-MD5", e.keyMD5)
		return
	}
	if e.mode == "" {
		return
	}
	h.Set("x-amz-server-side-encryption", e.mode)
	if e.kmsKey != "" {
		h.Set("x-amz-server-side-encryption-aws-kms-key-id", e.kmsKey)
	}
	if e.bucketKey {
		h.Set("x-amz-server-side-encryption-bucket-key-enabled", "true")
	}
}

// A version of an object, never changed once it is stored.
type version struct {
	props
	id       string // "null" if made while the bucket had no versioning
	deleted  bool   // a delete marker
	body     blob
	whole    *[16]byte // the body's MD5, where it is known already
	etag     string    // without quotes
	parts    []int64   // sizes; nil for an object made by one request
	partSums []checksum
	sum      checksum
	modified time.Time
}

type part struct {
	number   int
	seg      *segment
	etag     string
	sum      checksum
	modified time.Time
}

type upload struct {
	props
	id        string
	key       string
	initiated time.Time
	parts     map[int]*part
	algorithm string // of the additional checksum, or ""
	full      bool   // its type is FULL_OBJECT
	aborts    int

	// Set by Complete. The upload then answers only to a repeated Complete.
	done      *version
	doneETag  string
	doneParts string
}

func (u *upload) sorted() []*part {
	parts := make([]*part, 0, len(u.parts))
	for _, p := range u.parts {
		parts = append(parts, p)
	}
	sort.Slice(parts, func(i, j int) bool { return parts[i].number < parts[j].number })
	return parts
}

type bucket struct {
	name      string
	region    string
	created   time.Time
	versioned bool
	lock      *bucketLock           // nil: no Object Lock
	objects   map[string][]*version // oldest first
	uploads   map[string]*upload
	begun     bool // an upload, at any time
}

// latest is the current object of a key, nil if there is none.
func (b *bucket) latest(key string) *version {
	vs := b.objects[key]
	if len(vs) == 0 || vs[len(vs)-1].deleted {
		return nil
	}
	return vs[len(vs)-1]
}

func (b *bucket) version(key, id string) *version {
	for _, v := range b.objects[key] {
		if v.id == id {
			return v
		}
	}
	return nil
}

// put stores v as the current version and gives it its id.
func (b *bucket) put(key string, v *version, versioned bool) {
	v.id = "null"
	if versioned {
		v.id = rand.Text()
	} else {
		b.remove(key, "null")
	}
	b.objects[key] = append(b.objects[key], v)
}

func (b *bucket) remove(key, id string) {
	vs := b.objects[key]
	for i, v := range vs {
		if v.id == id {
			vs = append(append([]*version{}, vs[:i]...), vs[i+1:]...)
			break
		}
	}
	if b.objects[key] = vs; len(vs) == 0 {
		delete(b.objects, key)
	}
}

func (b *bucket) keys() []string {
	keys := make([]string, 0, len(b.objects))
	for k := range b.objects {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	return keys
}

// compositeETag is hex(MD5(the parts' MD5s)) and the number of parts. It goes
// by the parts' ETags, as they are all that a store with opaque ones shows.
func compositeETag(parts []*part) string {
	h := md5.New()
	for _, p := range parts {
		raw, err := hex.DecodeString(p.etag)
		if err != nil {
			raw = []byte(p.etag)
		}
		h.Write(raw)
	}
	return fmt.Sprintf("%x-%d", h.Sum(nil), len(parts))
}
