package upload

import (
	"context"
	"crypto/md5"
	"io"
	"runtime"
	"sync"

	"s3up/internal/etag"
)

// blockSize is how much is read and hashed at a time: it stays in a core's cache
// in between.
const blockSize = 256 << 10

var blocks = sync.Pool{New: func() any { b := make([]byte, blockSize); return &b }}

// hashing is what files share that are read and hashed at the same time.
type hashing struct {
	turn  chan struct{} // held while a part is read and hashed, or a file that is large for one piece
	small chan struct{} // held while a file of at most a block is
	batch *etag.Batcher // of those
}

// newHashing bounds the files that are hashed at once by the cores there are. Of the
// small ones, there is room for those that are hashed, and for what each core reads
// meanwhile: more of them would leave the core's cache before it is their turn.
func newHashing() *hashing {
	cores := runtime.GOMAXPROCS(0)
	batch := etag.NewBatcher(cores)
	return &hashing{
		turn:  make(chan struct{}, max(2, cores)),
		small: make(chan struct{}, batch.Room()+cores),
		batch: batch,
	}
}

// sums are the MD5s of a regular file, part by part and of the whole, and its
// checksums where they are wanted, computed in order in one pass and kept: whoever asks for a part again, because the
// upload it went to is gone, does not make the file be read again.
type sums struct {
	src    *Source
	cut    cut
	hasher *etag.Hasher
	whole  *etag.MD5 // of all, where it is known and there is no hasher
	hashed int64     // bytes that hasher has: more than those of parts, if a read was interrupted
	parts  []etag.MD5
	crcs   crcParts
	keep   []byte        // what is read goes there too, as far as there is room
	turn   chan struct{} // bounds the files that are hashed at once
}

func newSums(src *Source, c cut, crcs bool, turn chan struct{}) *sums {
	return &sums{src: src, cut: c, hasher: etag.NewHasher(), crcs: newCRCParts(crcs), turn: turn}
}

// part returns the MD5 of part n, reading up to its end if it was not read yet.
func (s *sums) part(ctx context.Context, n int) (etag.MD5, error) {
	for len(s.parts) < n {
		if err := s.next(ctx); err != nil {
			return etag.MD5{}, err
		}
	}
	return s.parts[n-1], nil
}

func (s *sums) next(ctx context.Context) error {
	if err := take(ctx, s.turn); err != nil {
		return err
	}
	defer func() { <-s.turn }()
	offset, size := s.cut.at(len(s.parts) + 1)
	if err := s.src.read(ctx, s, s.hashed, offset+size-s.hashed); err != nil {
		return err
	}
	s.parts = append(s.parts, s.hasher.EndPart())
	s.crcs.endPart(size)
	if len(s.parts) == s.cut.parts() {
		return s.src.atEnd()
	}
	return nil
}

// Write takes what is read next.
func (s *sums) Write(p []byte) (int, error) {
	s.hashed += int64(len(p))
	s.crcs.write(p)
	keepTo(&s.keep, p)
	return s.hasher.Write(p)
}

// all returns the MD5 of every part and of the whole, reading what is left.
func (s *sums) all(ctx context.Context) ([]etag.MD5, etag.MD5, error) {
	if n := s.cut.parts(); n > 0 {
		if _, err := s.part(ctx, n); err != nil {
			return nil, etag.MD5{}, err
		}
	}
	if s.whole != nil {
		return s.parts, *s.whole, nil
	}
	return s.parts, s.hasher.Whole(), nil
}

// read writes a range of the file to w, block by block. While w has one, the next
// is read, so that a hash does not wait for the disk. A file that ends early has
// changed.
func (s *Source) read(ctx context.Context, w io.Writer, offset, size int64) error {
	next := func() readBlock { return s.readBlock(offset, size) }
	if size > blockSize {
		ahead, stop := make(chan readBlock), make(chan struct{})
		start, length := offset, size
		var reading sync.WaitGroup
		reading.Go(func() { s.readAhead(ahead, stop, start, length) })
		defer reading.Wait()
		defer close(stop)
		next = func() readBlock { return <-ahead }
	}
	for size > 0 {
		if err := ctx.Err(); err != nil {
			return err
		}
		b := next()
		w.Write((*b.block)[:b.n])
		blocks.Put(b.block)
		offset += int64(b.n)
		size -= int64(b.n)
		switch {
		case size == 0:
		case b.err == io.EOF:
			return fail(SourceChanged, "%s changed while it was read: it ended after %d of %d bytes", s.name, offset, s.size)
		case b.err != nil:
			return b.err
		}
	}
	return nil
}

// A readBlock is what came of reading a block.
type readBlock struct {
	block *[]byte
	n     int
	err   error
}

// readAhead reads a range, block by block, until a block is not whole or nobody
// wants any more.
func (s *Source) readAhead(ahead chan<- readBlock, stop <-chan struct{}, offset, size int64) {
	for size > 0 {
		b := s.readBlock(offset, size)
		select {
		case ahead <- b:
		case <-stop:
			blocks.Put(b.block)
			return
		}
		if b.err != nil {
			return
		}
		offset += int64(b.n)
		size -= int64(b.n)
	}
}

// readBlock reads the first block of a range. It is whole unless there is an
// error.
func (s *Source) readBlock(offset, size int64) readBlock {
	block := blocks.Get().(*[]byte)
	n, err := s.file.ReadAt((*block)[:min(size, blockSize)], offset)
	return readBlock{block, n, err}
}

// sum returns the MD5 of a range of the file, outside the one pass: to find out
// whether a part that the store has is of this file, or whether the file changed.
func (s *Source) sum(ctx context.Context, offset, size int64) (etag.MD5, error) {
	h := md5.New()
	if err := s.read(ctx, h, offset, size); err != nil {
		return etag.MD5{}, err
	}
	var m etag.MD5
	h.Sum(m[:0])
	return m, nil
}

// sumWhole returns the MD5 of a file that goes up in one piece, and has took have
// the bytes as they are read.
func (s *Source) sumWhole(ctx context.Context, h *hashing, took func([]byte)) (m etag.MD5, err error) {
	if 0 < s.size && s.size <= blockSize {
		m, err = s.sumSmall(ctx, h, took)
	} else {
		m, err = s.sumLarge(ctx, h, took)
	}
	if err != nil {
		return etag.MD5{}, err
	}
	return m, s.atEnd()
}

// sumSmall is sumWhole for a file of at most a block, which is hashed with others.
func (s *Source) sumSmall(ctx context.Context, h *hashing, took func([]byte)) (m etag.MD5, err error) {
	if err := take(ctx, h.small); err != nil {
		return etag.MD5{}, err
	}
	defer func() { <-h.small }()
	err = s.read(ctx, writer(func(p []byte) {
		m = h.batch.Sum(p)
		took(p)
	}), 0, s.size)
	return m, err
}

func (s *Source) sumLarge(ctx context.Context, h *hashing, took func([]byte)) (etag.MD5, error) {
	if err := take(ctx, h.turn); err != nil {
		return etag.MD5{}, err
	}
	defer func() { <-h.turn }()
	whole := md5.New()
	err := s.read(ctx, writer(func(p []byte) {
		whole.Write(p)
		took(p)
	}), 0, s.size)
	return etag.MD5(whole.Sum(nil)), err
}

// keepTo adds to a buffer that has room.
func keepTo(buffer *[]byte, p []byte) {
	if len(*buffer)+len(p) <= cap(*buffer) {
		*buffer = append(*buffer, p...)
	}
}

// A writer writes to whatever the function does, which never fails.
type writer func([]byte)

func (w writer) Write(p []byte) (int, error) {
	w(p)
	return len(p), nil
}

// take puts one into a channel that is used as a semaphore.
func take(ctx context.Context, turn chan struct{}) error {
	select {
	case turn <- struct{}{}:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
