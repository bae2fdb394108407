package verify_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/iotest"
	"time"

	"s3up/internal/etag"
	"s3up/internal/s3test"
	"s3up/internal/verify"
)

const (
	bucket = "b"
	part   = 64 << 10 // small, so that tests are cheap: no rule of this package knows a least size
)

func random(n int, seed byte) []byte {
	data := make([]byte, n)
	rand.NewChaCha8([32]byte{seed}).Read(data)
	return data
}

func file(data []byte) verify.Local {
	return verify.Local{Name: "f", Size: int64(len(data)), File: bytes.NewReader(data)}
}

func stream(data []byte) verify.Local {
	return verify.Local{Name: "stdin", Size: -1, Stream: iotest.HalfReader(bytes.NewReader(data))}
}

func newStore(t *testing.T) *s3test.Server {
	s := s3test.New(t, s3test.Options{})
	s.CreateBucket(bucket)
	return s
}

// cut returns the sizes of parts of one size.
func cut(size, part int) []int64 {
	var sizes []int64
	for ; size > part; size -= part {
		sizes = append(sizes, int64(part))
	}
	return append(sizes, int64(size))
}

func flipped(data []byte, at int) []byte {
	data = bytes.Clone(data)
	data[at] ^= 1
	return data
}

func short(r *verify.Result) string {
	text := string(r.Status)
	switch {
	case r.Status == verify.Unverifiable:
		text += " " + string(r.Reason)
	case r.By.Kind != "":
		text += fmt.Sprintf(" %s %s %v", r.By.Kind, r.By.Algorithm, r.By.Strength)
	}
	if r.PartSize > 0 {
		text += fmt.Sprint(" parts of ", r.PartSize)
	}
	if r.BadPart > 0 {
		text += fmt.Sprintf(" bad %d at %d+%d", r.BadPart, r.BadAt, r.BadLen)
	}
	return text
}

// Each kind of evidence proves that a file and a stream are the same, and finds a
// byte that was flipped, with its part where the store can tell.
func TestEvidence(t *testing.T) {
	data := random(3*part+1000, 1)
	sum := md5.Sum(data)
	composed := func(algorithm, kind string, sizes []int64) func(*s3test.Object) {
		return func(o *s3test.Object) { o.ChecksumAlgorithm, o.ChecksumType, o.Parts = algorithm, kind, sizes }
	}
	opaque := func(change func(*s3test.Object)) func(*s3test.Object) {
		return func(o *s3test.Object) {
			o.SSE, o.ETag = "aws:kms", strings.Repeat("0", 32)
			change(o)
			if len(o.Parts) > 0 {
				o.ETag += fmt.Sprint("-", len(o.Parts))
			}
		}
	}
	meta := func(name, value string) func(*s3test.Object) {
		return opaque(func(o *s3test.Object) { o.Metadata[name] = value })
	}
	uniform, odd := cut(len(data), part), []int64{part, 2 * part, 1000}
	for _, tt := range []struct {
		name         string
		object       func(*s3test.Object)
		same, differ string
		stream       string // of a stream that differs, where that is not differ
	}{
		{"plain", func(*s3test.Object) {}, "match etag MD5 proof", "differs etag MD5 proof", ""},
		{"parts", func(o *s3test.Object) { o.Parts = uniform }, "match etag-parts MD5 proof parts of 65536", "differs etag-parts MD5 proof parts of 65536", ""},
		{"one part", func(o *s3test.Object) { o.Parts = []int64{int64(len(data))} }, "match etag-parts MD5 proof parts of 197608", "differs etag-parts MD5 proof parts of 197608", ""},
		{"parts of several sizes", func(o *s3test.Object) { o.Parts = odd }, "match etag-parts MD5 proof", "differs etag-parts MD5 proof", ""},
		{"parts with a checksum", composed("SHA256", "COMPOSITE", uniform), "match etag-parts MD5 proof parts of 65536",
			"differs etag-parts MD5 proof parts of 65536 bad 3 at 131072+65536", "differs etag-parts MD5 proof parts of 65536"},
		{"kms", opaque(func(*s3test.Object) {}), "unverifiable no-evidence", "unverifiable no-evidence", ""},
		{"no md5", func(o *s3test.Object) { o.ETag = "CKih16GjycICEAE=" }, "unverifiable no-evidence", "unverifiable no-evidence", ""},
		{"rclone", meta("md5chksum", base64.StdEncoding.EncodeToString(sum[:])), "match metadata MD5 claim", "differs metadata MD5 claim", ""},
		{"s3cmd", meta("s3cmd-attrs", fmt.Sprintf("atime:1/gid:0/md5:%x/mode:33188", sum)), "match metadata MD5 claim", "differs metadata MD5 claim", ""},
		{"md5", meta("md5", hex.EncodeToString(sum[:])), "match metadata MD5 claim", "differs metadata MD5 claim", ""},
		{"nonsense", meta("md5", "no"), "unverifiable no-evidence", "unverifiable no-evidence", ""},
		{"SHA256", opaque(composed("SHA256", "", nil)), "match checksum SHA256 proof", "differs checksum SHA256 proof", ""},
		{"SHA1", opaque(composed("SHA1", "", nil)), "match checksum SHA1 proof", "differs checksum SHA1 proof", ""},
		{"SHA512", opaque(composed("SHA512", "", nil)), "match checksum SHA512 proof", "differs checksum SHA512 proof", ""},
		{"MD5", opaque(composed("MD5", "", nil)), "match checksum MD5 proof", "differs checksum MD5 proof", ""},
		{"CRC32", opaque(composed("CRC32", "", nil)), "match checksum CRC32 checksum", "differs checksum CRC32 checksum", ""},
		{"CRC32C", opaque(composed("CRC32C", "", nil)), "match checksum CRC32C checksum", "differs checksum CRC32C checksum", ""},
		{"CRC64NVME", opaque(composed("CRC64NVME", "", nil)), "match checksum CRC64NVME checksum", "differs checksum CRC64NVME checksum", ""},
		{"CRC64NVME of parts", opaque(composed("CRC64NVME", "", uniform)), "match checksum CRC64NVME checksum",
			"differs checksum CRC64NVME checksum bad 3 at 131072+65536", "differs checksum CRC64NVME checksum"},
		{"composed SHA256", opaque(composed("SHA256", "COMPOSITE", uniform)), "match checksum-parts SHA256 proof parts of 65536",
			"differs checksum-parts SHA256 proof parts of 65536 bad 3 at 131072+65536", "differs checksum-parts SHA256 proof parts of 65536"},
		{"composed CRC32", opaque(composed("CRC32", "COMPOSITE", odd)), "match checksum-parts CRC32 checksum",
			"differs checksum-parts CRC32 checksum bad 2 at 65536+131072", "differs checksum-parts CRC32 checksum"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := newStore(t)
			s.Put(bucket, "k", data, tt.object)
			v := verify.New(s.Client(), verify.Options{})
			bad := flipped(data, 2*part+5)
			differ := tt.stream
			if differ == "" {
				differ = tt.differ
			}
			for _, look := range []struct {
				what  string
				local verify.Local
				want  string
			}{{"same file", file(data), tt.same}, {"same stream", stream(data), tt.same}, {"flipped file", file(bad), tt.differ}, {"flipped stream", stream(bad), differ}} {
				r, err := v.Verify(t.Context(), look.local, bucket, "k", nil, nil)
				if err != nil {
					t.Fatalf("%s: %v", look.what, err)
				}
				if got := short(r); got != look.want {
					t.Errorf("%s: got %q, want %q", look.what, got, look.want)
				}
			}
		})
	}
}

// What the tool would have made is found,
// whether the store tells the size of a part or not, in one read.
func TestTools(t *testing.T) {
	const scale = 1 << 20
	for _, hidden := range []bool{false, true} {
		s := newStore(t)
		s.SetQuirks(func(q *s3test.Quirks) { q.HeadIgnoresPartNumber = hidden })
		v := verify.New(s.Client(), verify.Options{})
		sizes := []int{0, 1, 5*scale + 1}
		if hidden {
			sizes = []int{8*scale + 1}
		}
		for _, size := range sizes {
			data := random(size, byte(size))
			seen := make(map[int64]bool)
			for _, tool := range etag.Tools() {
				p := tool.PartSize(int64(size))
				if !tool.Exact || seen[p] {
					continue
				}
				seen[p] = true
				s.Put(bucket, "k", data, func(o *s3test.Object) {
					if p > 0 {
						o.Parts = cut(size, int(p))
					}
				})
				var read atomic.Int64
				r, err := v.Verify(t.Context(), file(data), bucket, "k", nil, func(n int64) { read.Add(n) })
				if err != nil {
					t.Fatal(err)
				}
				if r.Status != verify.Match || r.PartSize != p || read.Load() != int64(size) || r.Told == hidden && r.Parts > 1 {
					t.Errorf("%s, %d bytes, hidden %v: %s, told %v, read %d", tool.Name, size, hidden, short(r), r.Told, read.Load())
				}
			}
			if size == 0 {
				continue
			}
			if r, err := v.Verify(t.Context(), file(flipped(data, size-1)), bucket, "k", nil, nil); err != nil || r.Status == verify.Match {
				t.Errorf("%d bytes with one flipped: %v, %v", size, r, err)
			}
		}
	}
}

// Where nobody tells how an object was cut, no part size proves that it differs;
// one that is given is tried, and a checksum decides.
func TestUnknownPartSize(t *testing.T) {
	s := newStore(t)
	s.SetQuirks(func(q *s3test.Quirks) { q.HeadIgnoresPartNumber = true })
	data := random(100_003, 3)
	parts := cut(len(data), 777)
	verified := func(local []byte, o verify.Options, change func(*s3test.Object)) string {
		s.Put(bucket, "k", data, func(o *s3test.Object) { o.Parts = parts; change(o) })
		r, err := verify.New(s.Client(), o).Verify(t.Context(), file(local), bucket, "k", nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return short(r)
	}
	none := func(*s3test.Object) {}
	crc := func(o *s3test.Object) { o.ChecksumAlgorithm = "CRC32C" }
	denied := func(o *s3test.Object) { crc(o); s.SetQuirks(func(q *s3test.Quirks) { q.AttributesRefused = 403 }) }
	for _, tt := range []struct{ got, want string }{
		{verified(data, verify.Options{}, none), "unverifiable unknown-part-size"},
		{verified(data, verify.Options{PartSizes: []int64{777}}, none), "match etag-parts MD5 proof parts of 777"},
		{verified(flipped(data, 9), verify.Options{PartSizes: []int64{777}}, none), "unverifiable unknown-part-size"},
		{verified(data, verify.Options{}, crc), "match etag-parts MD5 proof parts of 777"}, // GetObjectAttributes tells the sizes
		{verified(data, verify.Options{}, denied), "match checksum CRC32C checksum"},
		{verified(data, verify.Options{Least: verify.Proof}, denied), "unverifiable too-weak"},
		{verified(flipped(data, 9), verify.Options{}, denied), "differs checksum CRC32C checksum"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
}

// Parts that are not of one size look so by the first alone: 6+5+5 has as many as
// 6+6+4. A stream, which is read but once, is not said to differ for that.
func TestUnequalParts(t *testing.T) {
	s := newStore(t)
	data := random(16_000, 4)
	s.Put(bucket, "k", data, func(o *s3test.Object) { o.Parts = []int64{6000, 5000, 5000} })
	v := verify.New(s.Client(), verify.Options{})
	for _, tt := range []struct {
		local []byte
		want  string
	}{{data, "match etag-parts MD5 proof"}, {flipped(data, 1), "differs etag-parts MD5 proof"}} {
		r, err := v.Verify(t.Context(), file(tt.local), bucket, "k", nil, nil)
		if err != nil || short(r) != tt.want {
			t.Errorf("got %q, %v, want %q", short(r), err, tt.want)
		}
		r, err = v.Verify(t.Context(), stream(tt.local), bucket, "k", nil, nil)
		if err != nil || r.Status != verify.Unverifiable || r.Reason != verify.UnknownPartSize {
			t.Errorf("a stream: got %q, %v", short(r), err)
		}
	}
}

func TestSize(t *testing.T) {
	s := newStore(t)
	data := random(5000, 5)
	s.Put(bucket, "k", data)
	v := verify.New(s.Client(), verify.Options{})
	unread := verify.Local{Name: "f", Size: 4999, File: unreadable{}}
	if r, err := v.Verify(t.Context(), unread, bucket, "k", nil, nil); err != nil || short(r) != "differs size  proof" {
		t.Errorf("a file of another size: %v, %v", r, err)
	}
	for _, tt := range []struct {
		data     []byte
		size     int64
		moreThan bool
	}{{data[:4999], 4999, false}, {append(bytes.Clone(data), 1), 5001, true}, {nil, 0, false}} {
		r, err := v.Verify(t.Context(), stream(tt.data), bucket, "k", nil, nil)
		if err != nil || r.Status != verify.Differs || r.By.Kind != verify.BySize || r.Size != tt.size || r.MoreThan != tt.moreThan {
			t.Errorf("a stream of %d bytes: %+v, %v", len(tt.data), r, err)
		}
	}
	if r, err := v.Verify(t.Context(), unread, bucket, "nowhere", nil, nil); err != nil || r.Status != verify.Missing {
		t.Errorf("missing: %v, %v", r, err)
	}
}

type unreadable struct{}

func (unreadable) ReadAt([]byte, int64) (int, error) { return 0, errors.New("it was read") }

// What a listing tells is enough for an object of one piece that is the same.
func TestListed(t *testing.T) {
	s := newStore(t)
	data := random(5000, 6)
	for _, tt := range []struct {
		name   string
		change func(*s3test.Object)
		local  []byte
		heads  int
		want   string
	}{
		{"same", func(*s3test.Object) {}, data, 0, "match etag MD5 proof"},
		{"flipped", func(*s3test.Object) {}, flipped(data, 7), 1, "differs etag MD5 proof"},
		{"other size", func(*s3test.Object) {}, data[1:], 0, "differs size  proof"},
		{"parts", func(o *s3test.Object) { o.Parts = cut(5000, 3000) }, data, 1, "match etag-parts MD5 proof parts of 3000"},
		{"kms", func(o *s3test.Object) {
			o.SSE, o.ETag, o.ChecksumAlgorithm = "aws:kms", strings.Repeat("1", 32), "SHA256"
		}, data, 1, "match checksum SHA256 proof"},
	} {
		o := s.Put(bucket, "k", data, tt.change)
		s.ResetRequests()
		v := verify.New(s.Client(), verify.Options{Fresh: time.Hour})
		listed := verify.Listed(bucket, "k", `"`+o.ETag+`"`, o.Size, o.LastModified, time.Now())
		r, err := v.Verify(t.Context(), file(tt.local), bucket, "k", listed, nil)
		if err != nil || short(r) != tt.want || s.Count("HeadObject") != tt.heads {
			t.Errorf("%s: got %q, %v, %d HEADs, want %q, %d", tt.name, short(r), err, s.Count("HeadObject"), tt.want, tt.heads)
		}
	}
}

// Of those who want to know what is the same, no more is asked of what is not; a part
// size of theirs is tried before anything is asked, and what they want to know beside
// comes of the same read.
func TestOnlySame(t *testing.T) {
	s := newStore(t)
	data := random(5000, 15)
	v := verify.New(s.Client(), verify.Options{Fresh: time.Hour, OnlySame: true})
	sum, parts := md5.Sum(data), func(o *s3test.Object) { o.Parts = cut(5000, 3000) }
	claimed := func(o *s3test.Object) {
		o.Parts, o.Metadata["md5"] = []int64{2000, 1000, 2000}, hex.EncodeToString(sum[:])
	}
	for _, tt := range []struct {
		name         string
		change       func(*s3test.Object)
		local        []byte
		own          int64
		known        bool
		heads, reads int
		want         string
	}{
		{"own parts", parts, data, 3000, false, 0, 1, "match etag-parts MD5 proof parts of 3000"},
		{"own parts, others", parts, flipped(data, 7), 3000, false, 2, 1, "differs etag-parts MD5 proof parts of 3000"},
		{"other parts", parts, data, 2600, false, 1, 2, "match etag-parts MD5 proof parts of 3000"},
		{"unequal parts", func(o *s3test.Object) { o.Parts = []int64{2000, 1000, 2000} }, data, 0, false, 2, 1, "unverifiable unknown-part-size"},
		{"unequal parts, and a claim", claimed, data, 0, false, 2, 1, "match metadata MD5 claim"},
		{"known", func(*s3test.Object) {}, data, 0, true, 0, 0, "match etag MD5 proof"},
		{"known, in parts", parts, data, 0, true, 1, 1, "match etag-parts MD5 proof parts of 3000"},
	} {
		o := s.Put(bucket, "k", data, tt.change)
		s.ResetRequests()
		reads := 0
		local := verify.Local{Name: "f", Size: int64(len(tt.local)), PartSize: tt.own,
			Read: func(_ context.Context, w io.Writer) error {
				reads++
				_, err := w.Write(tt.local)
				return err
			},
			Changed: func() (bool, error) { return false, nil },
			Beside:  []verify.Digest{{Algorithm: verify.MD5}, {Algorithm: verify.CRC32, PartSize: 1000}}}
		if tt.known {
			local.Sums = map[verify.Algorithm][]byte{verify.MD5: sum[:]}
		}
		listed := verify.Listed(bucket, "k", o.ETag, o.Size, o.LastModified, time.Now())
		r, err := v.Verify(t.Context(), local, bucket, "k", listed, nil)
		if err != nil || short(r) != tt.want || s.Count("HeadObject") != tt.heads || s.Count("GetObjectAttributes") != 0 || reads != tt.reads {
			t.Errorf("%s: got %q, %v, %d HEADs, read %d times; want %q, %d, %d", tt.name, short(r), err, s.Count("HeadObject"), reads, tt.want, tt.heads, tt.reads)
			continue
		}
		here := md5.Sum(tt.local)
		crcs := r.Digests(local.Beside[1])
		if got := r.Digests(local.Beside[0]); len(got) != 1 || !bytes.Equal(got[0], here[:]) || (len(crcs) == 5) != (reads > 0) {
			t.Errorf("%s: beside: %x, %d CRCs", tt.name, got, len(crcs))
		}
	}
}

// Sums take the place of the bytes: they prove what is of all bytes.
func TestSums(t *testing.T) {
	s := newStore(t)
	data := random(5000, 7)
	m, sha := md5.Sum(data), sha256.Sum256(data)
	v := verify.New(s.Client(), verify.Options{})
	md5s, shas := map[verify.Algorithm][]byte{verify.MD5: m[:]}, map[verify.Algorithm][]byte{verify.SHA256: sha[:]}
	other := map[verify.Algorithm][]byte{verify.MD5: sha[:16]}
	for _, tt := range []struct {
		name   string
		change func(*s3test.Object)
		sums   map[verify.Algorithm][]byte
		want   string
	}{
		{"md5", func(*s3test.Object) {}, md5s, "match etag MD5 proof"},
		{"other", func(*s3test.Object) {}, other, "differs etag MD5 proof"},
		{"sha", func(*s3test.Object) {}, shas, "unverifiable no-such-sum"},
		{"sha and checksum", func(o *s3test.Object) { o.ChecksumAlgorithm = "SHA256" }, shas, "match checksum SHA256 proof"},
		{"parts", func(o *s3test.Object) { o.Parts = cut(5000, 3000) }, md5s, "unverifiable no-such-sum"},
		{"one part", func(o *s3test.Object) { o.Parts = []int64{5000} }, md5s, "match etag-parts MD5 proof parts of 5000"},
		{"claim", func(o *s3test.Object) { o.Parts = cut(5000, 3000); o.Metadata["md5"] = hex.EncodeToString(m[:]) }, md5s, "match metadata MD5 claim"},
	} {
		s.Put(bucket, "k", data, tt.change)
		r, err := v.Verify(t.Context(), verify.Local{Name: "x", Size: -1, Sums: tt.sums}, bucket, "k", nil, nil)
		if err != nil || short(r) != tt.want {
			t.Errorf("%s: got %q, %v, want %q", tt.name, short(r), err, tt.want)
		}
	}
}

// Evidence that contradicts itself proves nothing; a claim does not outweigh a
// checksum that the store computed.
func TestContradiction(t *testing.T) {
	s := newStore(t)
	data := random(5000, 8)
	m := md5.Sum(data)
	v := verify.New(s.Client(), verify.Options{})
	wrong := strings.Repeat("2", 32)
	for _, tt := range []struct {
		change func(*s3test.Object)
		want   string
	}{
		{func(o *s3test.Object) { o.ETag, o.ChecksumAlgorithm = wrong, "SHA256" }, "unverifiable contradiction"},
		{func(o *s3test.Object) { o.ETag, o.Metadata["md5"] = wrong, hex.EncodeToString(m[:]) }, "unverifiable contradiction"},
		{func(o *s3test.Object) { o.ETag, o.Metadata["md5"] = wrong, wrong }, "differs etag MD5 proof"},
		{func(o *s3test.Object) {
			o.SSE, o.ETag, o.Metadata["md5"], o.Metadata["md5chksum"] = "aws:kms", wrong, hex.EncodeToString(m[:]), "AAAAAAAAAAAAAAAAAAAAAA=="
		}, "unverifiable contradiction"},
	} {
		s.Put(bucket, "k", data, tt.change)
		r, err := v.Verify(t.Context(), file(data), bucket, "k", nil, nil)
		if err != nil || short(r) != tt.want {
			t.Errorf("got %q, %v, want %q", short(r), err, tt.want)
		}
	}
	s.Put(bucket, "k", random(5000, 81), func(o *s3test.Object) { o.ChecksumAlgorithm, o.Metadata["md5"] = "SHA256", hex.EncodeToString(m[:]) })
	if r, err := v.Verify(t.Context(), file(data), bucket, "k", nil, nil); err != nil || short(r) != "differs etag MD5 proof" {
		t.Errorf("the SHA256 is another, too: got %q, %v", short(r), err)
	}
}

// Somebody replaces the object, or writes to the file, while it is read.
func TestMeanwhile(t *testing.T) {
	s := newStore(t)
	data := random(5000, 9)
	v := verify.New(s.Client(), verify.Options{})
	for _, parts := range [][]int64{nil, cut(5000, 3000)} {
		s.Put(bucket, "k", data, func(o *s3test.Object) { o.Parts = parts })
		replace := func(int64) { s.Put(bucket, "k", data[1:]) }
		if _, err := v.Verify(t.Context(), file(data), bucket, "k", nil, replace); !errors.Is(err, verify.ErrReplaced) {
			t.Errorf("replaced: %v", err)
		}
		s.Put(bucket, "k", data, func(o *s3test.Object) { o.Parts = parts })
		var changed *verify.ChangedError
		early := file(data[:4999])
		early.Size = 5000
		if _, err := v.Verify(t.Context(), early, bucket, "k", nil, nil); !errors.As(err, &changed) {
			t.Errorf("a file that ends early: %v", err)
		}
		told := file(data)
		told.Changed = func() (bool, error) { return false, &verify.ChangedError{Name: "f", How: "x"} }
		if _, err := v.Verify(t.Context(), told, bucket, "k", nil, nil); !errors.As(err, &changed) {
			t.Errorf("a file that changed: %v", err)
		}
		ctx, cancel := context.WithCancel(t.Context())
		if _, err := v.Verify(ctx, file(data), bucket, "k", nil, func(int64) { cancel() }); !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
}

// A file that may have changed and left no trace is read once more, whatever it was
// compared by.
func TestUnsure(t *testing.T) {
	s := newStore(t)
	data := random(5000, 14)
	v := verify.New(s.Client(), verify.Options{})
	for _, change := range []func(*s3test.Object){
		func(*s3test.Object) {},
		func(o *s3test.Object) { o.Parts = cut(5000, 3000) },
		func(o *s3test.Object) {
			o.SSE, o.ETag, o.ChecksumAlgorithm = "aws:kms", strings.Repeat("4", 32), "SHA1"
		},
	} {
		s.Put(bucket, "k", data, change)
		for _, flips := range []bool{false, true} {
			f := &flipping{data: bytes.Clone(data)}
			local := verify.Local{Name: "f", Size: 5000, File: f, Changed: func() (bool, error) {
				if flips {
					f.data[4000] ^= 1
				}
				return true, nil
			}}
			r, err := v.Verify(t.Context(), local, bucket, "k", nil, nil)
			var changed *verify.ChangedError
			if flips != errors.As(err, &changed) || !flips && (err != nil || r.Status != verify.Match) || f.read != 10_000 {
				t.Errorf("flips: %v: %v, %v, %d bytes were read", flips, r, err, f.read)
			}
		}
	}
}

type flipping struct {
	data []byte
	read int64
	mu   sync.Mutex
}

func (f *flipping) ReadAt(p []byte, offset int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	n, err := bytes.NewReader(f.data).ReadAt(p, offset)
	f.read += int64(n)
	return n, err
}

// Who may not decrypt sees no checksum, and all the rest.
func TestDenied(t *testing.T) {
	s := newStore(t)
	data := random(5000, 10)
	m := md5.Sum(data)
	s.Put(bucket, "k", data, func(o *s3test.Object) {
		o.SSE, o.ETag, o.ChecksumAlgorithm, o.Metadata["md5"] = "aws:kms", strings.Repeat("3", 32), "SHA256", hex.EncodeToString(m[:])
	})
	s.SetQuirks(func(q *s3test.Quirks) { q.Deny = []string{"kms:Decrypt"} })
	r, err := verify.New(s.Client(), verify.Options{}).Verify(t.Context(), file(data), bucket, "k", nil, nil)
	if err != nil || short(r) != "match metadata MD5 claim" || !r.Object.Hidden {
		t.Errorf("got %v, %v", r, err)
	}
	s.SetQuirks(func(q *s3test.Quirks) { q.Deny = []string{"s3:GetObject"} })
	if _, err := verify.New(s.Client(), verify.Options{}).Verify(t.Context(), file(data), bucket, "k", nil, nil); err == nil {
		t.Error("denied: no error")
	}
}

// Where GetObjectAttributes tells nothing of parts, HEAD may, part by part.
func TestPartByPart(t *testing.T) {
	for _, tells := range []bool{true, false} {
		s := newStore(t)
		s.SetQuirks(func(q *s3test.Quirks) { q.AttributesRefused, q.HeadTellsPartChecksum = 501, tells })
		data := random(50_000, 13)
		for _, kind := range []string{"COMPOSITE", "FULL_OBJECT"} {
			s.Put(bucket, "k", data, func(o *s3test.Object) {
				o.Parts, o.ChecksumAlgorithm, o.ChecksumType = cut(len(data), 9000), "CRC32", kind
			})
			r, err := verify.New(s.Client(), verify.Options{}).Verify(t.Context(), file(flipped(data, 20_005)), bucket, "k", nil, nil)
			want := "differs etag-parts MD5 proof parts of 9000"
			if tells {
				want += " bad 3 at 18000+9000"
			}
			if err != nil || short(r) != want {
				t.Errorf("%s: got %q, %v, want %q", kind, short(r), err, want)
			}
		}
	}
}

// Of many parts, the store tells page by page.
func TestManyParts(t *testing.T) {
	s := newStore(t)
	data := random(2100*10, 11)
	s.Put(bucket, "k", data, func(o *s3test.Object) {
		o.Parts, o.ChecksumAlgorithm, o.ChecksumType = cut(len(data), 10), "SHA1", "COMPOSITE"
	})
	r, err := verify.New(s.Client(), verify.Options{}).Verify(t.Context(), file(flipped(data, 20_005)), bucket, "k", nil, nil)
	if err != nil || r.BadPart != 2001 || r.BadAt != 20_000 || s.Count("GetObjectAttributes") < 3 {
		t.Errorf("got %q, %v", short(r), err)
	}
}
