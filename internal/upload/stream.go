package upload

import (
	"context"
	"crypto/md5"
	"errors"
	"io"
	"sync"

	"golang.org/x/sync/errgroup"

	"s3up/internal/etag"
)

// memory is what streams are buffered in: units of one size, made when they are
// first needed and used again, never more than the budget holds. A part of any
// size is some units, so that growing parts leave no garbage.
type memory struct {
	unit int64
	max  int

	mu   sync.Mutex
	made int
	free chan []byte
}

func newMemory(budget, unit int64) *memory {
	n := int(max(budget/unit, 1))
	return &memory{unit: unit, max: n, free: make(chan []byte, n)}
}

// take waits for a unit.
func (m *memory) take(ctx context.Context) ([]byte, error) {
	select {
	case b := <-m.free:
		return b, nil
	default:
	}
	m.mu.Lock()
	if m.made < m.max {
		m.made++
		m.mu.Unlock()
		return make([]byte, m.unit), nil
	}
	m.mu.Unlock()
	select {
	case b := <-m.free:
		return b, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (m *memory) give(units []unit) {
	for _, u := range units {
		m.free <- u.buf
	}
}

// A unit is a buffer and what the stream put into it: it is full, but for the
// stream's last.
type unit struct {
	buf []byte
	n   int
}

// length returns how many bytes some units hold.
func length(units []unit) (n int64) {
	for _, u := range units {
		n += int64(u.n)
	}
	return n
}

// unitsReader reads some units from the beginning.
type unitsReader struct {
	units []unit
	pos   int64
	size  int64
	unit  int64
}

func (r *unitsReader) Read(b []byte) (int, error) {
	if r.pos >= r.size {
		return 0, io.EOF
	}
	u := r.units[r.pos/r.unit]
	n := copy(b, u.buf[r.pos%r.unit:u.n])
	r.pos += int64(n)
	return n, nil
}

func (r *unitsReader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekCurrent:
		offset += r.pos
	case io.SeekEnd:
		offset += r.size
	}
	if offset < 0 {
		return 0, errors.New("seek before the beginning")
	}
	r.pos = offset
	return offset, nil
}

// A stream is a source of unknown size, unit by unit, with a look ahead.
type stream struct {
	src    *Source
	memory *memory
	units  chan unit
	err    error // why units was closed; nil at the end of the stream
	ahead  []unit
	ended  bool
}

// pump reads the stream. A read that nobody answers cannot be interrupted, so
// nobody waits for this goroutine: it ends with the read, or with the context.
func (s *stream) pump(ctx context.Context) {
	defer close(s.units)
	for {
		buf, err := s.memory.take(ctx)
		if err != nil {
			s.err = err
			return
		}
		n, err := io.ReadFull(s.src.stream, buf)
		if n > 0 {
			select {
			case s.units <- unit{buf, n}:
			case <-ctx.Done():
				s.err = ctx.Err()
				return
			}
		}
		if err == io.EOF || err == io.ErrUnexpectedEOF {
			if n == 0 {
				s.memory.give([]unit{{buf: buf}})
			}
			return
		}
		if err != nil {
			s.err = err
			return
		}
	}
}

// take returns the units that are held, as many as make n bytes.
func (s *stream) take(n int64) []unit {
	count := min(int((n+s.memory.unit-1)/s.memory.unit), len(s.ahead))
	units := s.ahead[:count:count]
	s.ahead = s.ahead[count:]
	return units
}

// receive returns the next unit; ok is false at the end of the stream.
func (s *stream) receive(ctx context.Context) (unit, bool, error) {
	if s.ended {
		return unit{}, false, nil
	}
	select {
	case u, ok := <-s.units:
		if !ok {
			s.ended = true
			return unit{}, false, s.err
		}
		return u, true, nil
	case <-ctx.Done():
		return unit{}, false, ctx.Err()
	}
}

// look makes sure that at least n bytes of the stream are held, unless it ends
// earlier.
func (s *stream) look(ctx context.Context, n int64) error {
	for length(s.ahead) < n {
		u, ok, err := s.receive(ctx)
		if err != nil || !ok {
			return err
		}
		s.ahead = append(s.ahead, u)
	}
	return nil
}

// streamCut says how large the parts of a stream are: equal for as long as that
// is known to do, and for the first four fifths of all part numbers where the
// size is not known; Cloudflare R2 refuses unequal ones. Then they grow, up to
// half of the memory.
type streamCut struct {
	part    int64
	equal   int // parts of the size that was planned
	step    int // parts between one doubling and the next
	largest int64
	parts   int // that there can be
}

func (c streamCut) size(n int) int64 {
	size := c.part
	for ; n > c.equal && size < c.largest; n -= c.step {
		size = min(2*size, c.largest)
	}
	return size
}

// reach returns how large a stream can become.
func (c streamCut) reach() int64 {
	var sum int64
	for n := 1; n <= c.parts; n++ {
		sum += c.size(n)
	}
	return sum
}

// streamPlan decides on the sizes of a stream's parts.
func (t *transfer) streamPlan(m *memory) (streamCut, error) {
	l := t.o.Limits
	wish := (t.o.PartSize + m.unit - 1) / m.unit * m.unit
	half := int64(m.max) * m.unit / 2 / m.unit * m.unit
	c := streamCut{part: wish, equal: l.Parts * 4 / 5, step: max(l.Parts/100, 1), parts: l.Parts}
	if wish == DefaultPartSize && half < wish {
		c.part = max(half, l.MinPart)
	}
	if l.EqualParts {
		c.equal = l.Parts
	}
	if t.o.ExpectedSize > 0 {
		planned, err := l.plan(t.o.ExpectedSize, c.part)
		if err != nil {
			return c, err
		}
		c.part = planned.part
		c.equal = max(c.equal, planned.parts())
	}
	if c.part > half {
		return c, fail(Usage, "a stream in parts of %s needs %s of memory, and may take %s",
			byteSize(c.part), byteSize(2*c.part), byteSize(t.o.MaxMemory))
	}
	c.largest = min(half, l.MaxPart)
	return c, nil
}

// runStream sends a stream: in one piece if it ends early enough, else in parts
// that are cut as it comes.
func (t *transfer) runStream(ctx context.Context) error {
	m := t.u.streamMemory()
	c, err := t.streamPlan(m)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	s := &stream{src: t.src, memory: m, units: make(chan unit)}
	go s.pump(ctx)
	threshold := max(min(t.o.Threshold, int64(m.max-1)*m.unit-c.part), 0)
	if err := s.look(ctx, threshold+1); err != nil {
		return err
	}
	var first []byte
	if len(s.ahead) > 0 {
		first = s.ahead[0].buf[:s.ahead[0].n]
	}
	t.findType(first)
	if size := length(s.ahead); s.ended && size <= threshold {
		if size == 0 && !t.o.AllowEmpty {
			return fail(NotFound, "%s is empty: nothing came before its end", t.src.name)
		}
		if err := t.tooShort(size); err != nil {
			return err
		}
		t.o.Event(Event{Kind: Sized, Job: t.job, Size: size})
		p := unitsPart(1, s.ahead, m.unit)
		p.md5, _ = p.again(ctx)
		if t.o.Checksum == SumCRC64NVME {
			p.crc = crcOf(p.open())
		}
		done, err := t.sameStream(ctx, p)
		if !done && err == nil {
			done, err = t.isDoneStream(ctx, p)
		}
		if !done && err == nil {
			err = t.put(ctx, p)
		}
		m.give(s.ahead)
		return err
	}
	return t.streamParts(ctx, s, c)
}

// streamMemory returns the memory that all streams share, one after the other. A
// stream that failed may have lost some of it, see forgetMemory.
func (u *Uploader) streamMemory() *memory {
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.memory == nil {
		u.memory = newMemory(u.o.MaxMemory, min(MiB, u.o.PartSize))
	}
	return u.memory
}

// forgetMemory makes the next stream begin with new memory: a read that nobody
// answers still holds a unit of the old one.
func (u *Uploader) forgetMemory() {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.memory = nil
}

// unitsPart returns a part that lies in memory.
func unitsPart(number int, units []unit, unitSize int64) *part {
	size := length(units)
	open := func() io.ReadSeeker { return &unitsReader{units: units, size: size, unit: unitSize} }
	return &part{
		number: number, size: size, open: open, once: true,
		again: func(context.Context) (etag.MD5, error) {
			h := md5.New()
			io.Copy(h, open())
			return etag.MD5(h.Sum(nil)), nil
		},
	}
}

// streamParts sends a stream as a multipart upload.
func (t *transfer) streamParts(ctx context.Context, s *stream, c streamCut) error {
	if t.unmet != nil {
		return t.unmet
	}
	if err := mayHaveParts(t.job.Key); err != nil {
		return err
	}
	if err := t.mayPublish(t.o.ExpectedSize); err != nil {
		return err
	}
	if err := t.mayStage(ctx); err != nil {
		return err
	}
	if err := t.foresee(ctx); err != nil {
		return err
	}
	if t.o.IfChanged && t.first != nil {
		t.note("a stream that goes up in parts cannot be compared with the object beforehand: it is uploaded")
	}
	t.toStaging()
	if out, err := t.firstLook(ctx); err == nil && out != nil {
		t.before = seen(out)
		if !t.publishes() {
			t.noteEarlyDeletion(out)
		}
	}
	up, err := t.beginStream(ctx, s, &c)
	if err != nil {
		return err
	}
	err = t.sendStream(ctx, s, up, c)
	if err == nil {
		err = t.complete(ctx, up)
	}
	if errors.Is(err, errRaced) {
		if herr := t.lookAgain(ctx); herr != nil {
			err = herr
		} else {
			err = fail(Conflict, "somebody else wrote the key at the same moment, and a stream cannot be sent again")
		}
	}
	if errors.Is(err, errGone) {
		t.leaveNothing(ctx, up) // as a file's
		mine, serr := t.settle(ctx)
		if serr != nil {
			return serr
		}
		if !mine && t.blind {
			return fail(Conflict, "the multipart upload is gone, and the object may not be looked at: whether it was completed cannot be told")
		}
		if !mine {
			return fail(Conflict, "the multipart upload was ended by somebody else, and a stream cannot be sent again")
		}
		t.note("somebody else completed an upload of the same bytes meanwhile")
		err = nil
	}
	if err != nil {
		t.leave(ctx, up, err)
		return err
	}
	return t.finish(ctx)
}

// beginStream finds an upload that begins as the stream does, or creates one. A
// stream cannot be looked at as a whole: that the first part is the same must
// do, the others are compared as they come.
func (t *transfer) beginStream(ctx context.Context, s *stream, c *streamCut) (*upload, error) {
	all, err := t.unfinished(ctx)
	if err != nil {
		return nil, err
	}
	var best *found
	var bestPart int64
	for _, f := range all {
		part, ok := inferStream(f.parts)
		may := t.mayResumeStream() && t.mayResume(f, t.o.ExpectedSize)
		if !ok || !may || !t.hasClass(f) || part%s.memory.unit != 0 || part < t.o.Limits.MinPart || part > c.largest ||
			best != nil && f.bytes() <= best.bytes() {
			continue
		}
		if err := s.look(ctx, part); err != nil {
			return nil, err
		}
		p := unitsPart(1, s.ahead[:min(int(part/s.memory.unit), len(s.ahead))], s.memory.unit)
		p.md5, _ = p.again(ctx)
		if f.algorithm != "" {
			p.crc = crcOf(p.open())
		}
		if p.size == part && t.fits(f, p, t.o.ExpectedSize) {
			best, bestPart = f, part
		}
	}
	var up *upload
	if best != nil {
		c.part = bestPart
		up = t.goOn(best, cut{})
	}
	t.clear(ctx, all, up)
	if up != nil {
		return up, nil
	}
	return t.create(ctx, cut{})
}

// mayResumeStream says whether a stream may go on with what an earlier run began.
// What that one asked for only a copy undoes, because a stream cannot be sent anew;
// but what is too large for a copy is worth a note instead.
func (t *transfer) mayResumeStream() bool {
	size := t.o.ExpectedSize
	return t.copies(size) || size > t.o.Limits.MaxCopy && !t.props.isOpaque()
}

// inferStream returns the one size that all these parts have, but for the last
// of them; the first must be there.
func inferStream(parts map[int]storedPart) (int64, bool) {
	part := parts[1].size
	last := 0
	for n := range parts {
		last = max(last, n)
	}
	for n, p := range parts {
		if p.size != part && (n != last || p.size > part) {
			return 0, false
		}
	}
	return part, part > 0
}

// sendStream cuts the stream, hashes it and sends the parts that the upload does
// not have.
func (t *transfer) sendStream(ctx context.Context, s *stream, up *upload, c streamCut) error {
	var (
		h     = etag.NewHasher()
		crcs  = newCRCParts(up.sums)
		parts []etag.MD5
		size  int64
	)
	// cutNext takes the next part; nil is the end of the stream.
	cutNext := func(ctx context.Context) (*part, []unit, error) {
		n := len(parts) + 1
		if err := s.look(ctx, c.size(n)); err != nil {
			return nil, nil, err // what came so far stays ahead
		}
		units := s.take(c.size(n))
		if len(units) == 0 {
			return nil, nil, nil
		}
		for _, u := range units {
			h.Write(u.buf[:u.n])
			crcs.write(u.buf[:u.n])
		}
		p := unitsPart(n, units, s.memory.unit)
		p.md5 = h.EndPart()
		crcs.endPart(p.size)
		p.crc = crcs.part(n)
		parts = append(parts, p.md5)
		size += p.size
		return p, units, nil
	}

	g, gctx := errgroup.WithContext(ctx)
	g.Go(func() error {
		for {
			p, units, err := cutNext(gctx)
			if err != nil || p == nil {
				return err
			}
			if p.number > c.parts {
				return fail(Other, "%s is longer than the %s that %s can hold: tell its size, or allow more memory",
					t.src.name, byteSize(c.reach()), plural(c.parts, "part"))
			}
			if t.publishes() && size > t.o.Limits.MaxCopy {
				return fail(Other, "%s is longer than the %s that can be published by a copy", t.src.name, byteSize(t.o.Limits.MaxCopy))
			}
			if p.number == c.equal+1 {
				t.note("after %s the parts of this stream grow; it can reach %s", byteSize(size-p.size), byteSize(c.reach()))
			}
			if t.resume(up, p) {
				s.memory.give(units)
				continue
			}
			slot, err := t.u.slots.acquire(gctx, weightPart)
			if err != nil {
				s.memory.give(units)
				return err
			}
			g.Go(func() error {
				defer s.memory.give(units)
				return t.sendPart(gctx, up, p, slot)
			})
		}
	})
	err := g.Wait()
	if err != nil && !errors.Is(err, errGone) {
		return err
	}
	if err != nil {
		// What is there may be the same bytes: to tell, all MD5s are needed.
		for {
			p, units, rerr := cutNext(ctx)
			s.memory.give(units)
			if rerr != nil {
				return rerr
			}
			if p == nil {
				break
			}
		}
	}
	t.learned(cut{size, c.part}, parts, h.Whole(), crcs.all())
	t.o.Event(Event{Kind: Sized, Job: t.job, Size: size})
	if short := t.tooShort(size); err == nil && short != nil {
		return short
	}
	if err == nil && len(t.doubtful(up)) > 0 {
		return fail(Integrity, "the ETags of some parts are not their MD5s, and a stream cannot be sent again")
	}
	return err
}
