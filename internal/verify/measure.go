package verify

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"runtime"
	"slices"
	"sync"

	"s3up/internal/etag"
)

// Local is what objects are compared with: a file, a stream, or digests that
// somebody else computed.
type Local struct {
	Name string
	Size int64 // -1: not known before the end, as of a stream, or at all, as of Sums alone

	File   io.ReaderAt // read at any place, and more than once only where something differs
	Stream io.Reader   // read once
	// Read is how all bytes of a file are read, from the first to the last, where it is
	// not by File.
	Read func(context.Context, io.Writer) error
	Sums map[Algorithm][]byte // of all bytes, where they are known; of a file, not all need be

	// Changed is asked at the end of what was read of a file. The error says why it is
	// not what it was; unsure, that nothing but another read can tell. May be nil.
	Changed func() (unsure bool, _ error)

	// PartSize is that of the parts that the bytes are sent in by whoever asks: it is
	// tried before the store is asked how an object was cut.
	PartSize int64
	// Beside are computed too when a file is read; see Result.Digests.
	Beside []Digest
}

// A Digest is of all bytes, or those of their parts of one size.
type Digest struct {
	Algorithm Algorithm
	PartSize  int64 // 0: of all
}

func (d Digest) need(size int64) need {
	if d.PartSize == 0 {
		return need{d.Algorithm, whole(size)}
	}
	return need{d.Algorithm, layout{part: d.PartSize}}
}

// hasBytes says whether there is something to read.
func (l *Local) hasBytes() bool { return l.File != nil || l.Stream != nil || l.Read != nil }

// A ChangedError says that a file changed while it was read.
type ChangedError struct{ Name, How string }

func (e *ChangedError) Error() string {
	return fmt.Sprintf("%s changed while it was read: %s", e.Name, e.How)
}

// A need is a digest that is wanted: of each part of a layout.
type need struct {
	algorithm Algorithm
	layout    layout
}

// A meter computes digests of a Local, and keeps them.
type meter struct {
	local    Local
	size     int64 // that it is to have
	tooLong  bool  // a stream that has more
	streamed int64 // bytes of a stream that were read; -1: none yet
	read     bool  // something was
	progress func(int64)
	workers  int
	sums     map[string][][]byte
	done     []need // that sums has
}

func newMeter(l Local, size int64, workers int, progress func(int64)) *meter {
	m := &meter{local: l, size: size, streamed: -1, progress: progress, workers: workers, sums: make(map[string][][]byte)}
	if m.progress == nil {
		m.progress = func(int64) {}
	}
	if m.workers <= 0 {
		m.workers = runtime.GOMAXPROCS(0)
	}
	return m
}

// get returns the digests of the parts; false if they are not known.
func (m *meter) get(n need) ([][]byte, bool) {
	if sum, ok := m.local.Sums[n.algorithm]; ok && n.layout.count(m.size) == 1 {
		return [][]byte{sum}, true
	}
	sums, ok := m.sums[n.layout.key(n.algorithm)]
	return sums, ok
}

// hex returns the digest of the whole, if it was computed.
func (m *meter) hex(a Algorithm) string {
	if sums, ok := m.get(need{a, whole(m.size)}); ok {
		return hex.EncodeToString(sums[0])
	}
	return ""
}

// blockSize is how much is read and hashed at a time: it stays in a core's cache
// in between.
const blockSize = 256 << 10

var blocks = sync.Pool{New: func() any { b := make([]byte, blockSize); return &b }}

// compute computes what is not there yet, in one read. A stream is read by the
// first call alone: what that did not ask for stays unknown.
func (m *meter) compute(ctx context.Context, needs []need) error {
	if !m.local.hasBytes() {
		return nil
	}
	var open []need
	asked := make(map[string]bool)
	ask := func(n need) {
		key := n.layout.key(n.algorithm)
		if _, ok := m.get(n); !ok && !asked[key] {
			asked[key] = true
			open = append(open, n)
		}
	}
	for _, n := range needs {
		ask(n)
	}
	if m.local.Stream != nil {
		if m.streamed >= 0 {
			return nil
		}
		m.read = true
		h := newHashes(open)
		if err := m.readStream(ctx, h); err != nil {
			return err
		}
		h.end(m)
		return nil
	}
	if len(open) == 0 {
		return nil
	}
	for _, d := range m.local.Beside {
		ask(d.need(m.size))
	}
	m.read = true
	m.done = append(m.done, open...)
	return m.readFile(ctx, open)
}

// settle makes sure that the file is what it was before it was read. What may have
// changed and left no trace is read once more.
func (m *meter) settle(ctx context.Context) error {
	if !m.read || m.local.Changed == nil {
		return nil
	}
	unsure, err := m.local.Changed()
	if err != nil || !unsure {
		return err
	}
	again := newMeter(m.local, m.size, m.workers, nil)
	if err := again.readFile(ctx, m.done); err != nil {
		return err
	}
	for key, sums := range m.sums {
		if !slices.EqualFunc(sums, again.sums[key], bytes.Equal) {
			return &ChangedError{m.local.Name, "its bytes are not what they were"}
		}
	}
	return nil
}

// readFile computes digests of a file. The MD5s of parts alone need no order, and
// are left to all cores.
func (m *meter) readFile(ctx context.Context, needs []need) error {
	if m.local.Read != nil {
		h := newHashes(needs)
		if err := m.local.Read(ctx, counting{h, m.progress}); err != nil {
			return err
		}
		h.end(m)
		return nil
	}
	if n := needs[0]; len(needs) == 1 && n.algorithm == MD5 && n.layout.sizes == nil && n.layout.part < m.size {
		sums, err := etag.SumParts(ctx, counted{m.local.File, m.progress}, m.size, n.layout.part, m.workers)
		if err != nil {
			return m.inFile(err)
		}
		m.keep(n, sums)
		return nil
	}
	h := newHashes(needs)
	block := blocks.Get().(*[]byte)
	defer blocks.Put(block)
	for offset := int64(0); offset < m.size; {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		b := (*block)[:min(blockSize, m.size-offset)]
		n, err := m.local.File.ReadAt(b, offset)
		if n < len(b) {
			return m.inFile(err)
		}
		h.Write(b)
		m.progress(int64(n))
		offset += int64(n)
	}
	h.end(m)
	return nil
}

func (m *meter) inFile(err error) error {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return &ChangedError{m.local.Name, "it ended early"}
	}
	return err
}

// readStream reads a stream to its end, or as far as it is seen to be too long.
func (m *meter) readStream(ctx context.Context, h *hashes) error {
	block := blocks.Get().(*[]byte)
	defer blocks.Put(block)
	m.streamed = 0
	for {
		if err := ctx.Err(); err != nil {
			return context.Cause(ctx)
		}
		n, err := m.local.Stream.Read(*block)
		m.streamed += int64(n)
		m.progress(int64(n))
		if m.streamed > m.size {
			m.tooLong = true
			return nil
		}
		h.Write((*block)[:n])
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

func (m *meter) keep(n need, sums []etag.MD5) {
	if len(sums) == 0 {
		sums = []etag.MD5{etag.Sum(nil)}
	}
	raw := make([][]byte, len(sums))
	for i := range sums {
		raw[i] = sums[i][:]
	}
	m.sums[n.layout.key(n.algorithm)] = raw
}

type counted struct {
	io.ReaderAt
	progress func(int64)
}

func (c counted) ReadAt(p []byte, offset int64) (int, error) {
	n, err := c.ReaderAt.ReadAt(p, offset)
	c.progress(int64(n))
	return n, err
}

type counting struct {
	io.Writer
	progress func(int64)
}

func (c counting) Write(p []byte) (int, error) {
	n, err := c.Writer.Write(p)
	c.progress(int64(n))
	return n, err
}

// hashes compute several digests of the same bytes.
type hashes struct {
	multi  *etag.MultiHasher // nil: none is of its sort
	beside []need            // those that multi computes
	single []*partHash
}

func newHashes(needs []need) *hashes {
	h := new(hashes)
	var parts []int64
	for _, n := range needs {
		if n.algorithm == MD5 && n.layout.sizes == nil {
			h.beside = append(h.beside, n)
			parts = append(parts, n.layout.part)
			continue
		}
		h.single = append(h.single, &partHash{need: n, hash: n.algorithm.new(), left: n.layout.next(1)})
	}
	if len(parts) > 0 {
		h.multi = etag.NewMultiHasher(parts...)
	}
	return h
}

func (h *hashes) Write(p []byte) (int, error) {
	if h.multi != nil {
		h.multi.Write(p)
	}
	for _, s := range h.single {
		s.Write(p)
	}
	return len(p), nil
}

// end hands the digests to m.
func (h *hashes) end(m *meter) {
	if h.multi != nil {
		for i, sums := range h.multi.Parts() {
			m.keep(h.beside[i], sums)
		}
	}
	for _, s := range h.single {
		m.sums[s.layout.key(s.algorithm)] = s.end(m.size)
	}
}

// A partHash computes the digests of parts, one after the other.
type partHash struct {
	need
	hash hash.Hash
	left int64
	sums [][]byte
}

func (s *partHash) Write(p []byte) (int, error) {
	n := len(p)
	for len(p) > 0 {
		took := min(s.left, int64(len(p)))
		s.hash.Write(p[:took])
		p = p[took:]
		if s.left -= took; s.left == 0 {
			s.endPart()
		}
	}
	return n, nil
}

func (s *partHash) endPart() {
	s.sums = append(s.sums, s.hash.Sum(nil))
	s.hash.Reset()
	s.left = s.layout.next(len(s.sums) + 1)
}

// end ends the last part, or those at the end that are empty.
func (s *partHash) end(size int64) [][]byte {
	for len(s.sums) < s.layout.count(size) {
		s.endPart()
	}
	return s.sums
}

// composed is the digest of digests, as S3 composes those of parts.
func composed(a Algorithm, sums [][]byte) []byte {
	h := a.new()
	h.Write(bytes.Join(sums, nil))
	return h.Sum(nil)
}
