package upload

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"golang.org/x/sync/errgroup"

	"s3up/internal/etag"
)

// tries is how often a part is sent whose answer shows that something other
// than its bytes arrived. What the network does is retried by the Client.
const tries = 4

// A transfer is one upload under way. Its fields belong to the goroutine that
// runs it, but for those under mu and the atomic ones.
type transfer struct {
	u       *Uploader
	o       *Options
	job     *Job
	key     string // where the object is made: that of the job, or its staging key
	src     *Source
	props   Properties
	res     *Result
	counter *counter
	sums    *sums
	sent    atomic.Int64 // over all attempts
	told    atomic.Int64 // in events, as Sent or Resumed

	// What the object has to be, once all bytes were read.
	size      int64
	whole     etag.MD5
	composite string
	crc       string // in base64; "" where nobody wants it
	crcs      bool   // somebody does

	mu        sync.Mutex // guards res.Notes and what follows
	shield    shield     // of the object, as the last answer about it said
	encrypted bool       // KMS or SSE-C was asked for, or an answer said it: no ETag is an MD5

	before    answer       // what stood under the key when the upload began
	completed answer       // of PutObject or CompleteMultipartUpload
	named     bool         // the answer to CompleteMultipartUpload named the key
	blind     bool         // the object may not be looked at
	hidden    bool         // its checksums may not be
	compares  bool         // nothing is sent: a file is compared with what is there
	noCRC     bool         // the store refused one
	summed    answeredSums // by the last call that made the object
	gone      string       // the id of an upload that is no more, even if it is listed
	young     []string     // staged copies of other runs, which may be at work
	unlisted  bool         // there may be more of them than could be listed
	copied    bool         // the copy onto the key was answered: a later run does not know the object as its own
	partTags  string       // the composite of the ETags that the store gave the parts

	existing *existing // the object was there already, and there is no source; nil: it is uploaded

	looked   bool                 // the first look at the key, for a condition, got an answer
	first    *s3.HeadObjectOutput // what it saw; nil: nothing
	unmet    error                // the condition does not hold, unless a stream is made of the same bytes
	own      string               // the ETag of what was stored and is to be stored again
	unquoted bool                 // the store knows the ETag of If-Match without quotes only

	stated    Properties // of the request that began the upload, or would have
	inherited bool       // an earlier run began the upload, or left the object
	restated  bool       // a copy of this run stated all properties
	noResume  bool       // what earlier runs left is of no use

	original *s3.HeadObjectOutput // the object as HEAD showed it before any copy
	shown    *s3.HeadObjectOutput // the object as HEAD showed it in the end
	locked   bool                 // a lock was asked for, or is known: a copy leaves a locked version behind
}

// An answer is what a call said about the object that it made.
type answer struct {
	etag     string // unquoted
	version  string
	modified time.Time // HEAD only
	md5      string    // base64, of a copy that was asked for it only
}

// A part is a piece of the source, on its way. A part belongs to the one
// goroutine that sends it.
type part struct {
	number int
	size   int64
	md5    etag.MD5
	crc    string // in base64; "" where nobody wants it
	high   int64  // the farthest that any attempt to send it got
	// open returns the bytes from their beginning, for one reader.
	open func() io.ReadSeeker
	// held are the bytes, where a file is read once, until the part is stored.
	held []byte
	// once says that the bytes are gone when the part was sent.
	once bool
	// again returns the MD5 of the bytes as they are now.
	again func(context.Context) (etag.MD5, error)
}

func (t *transfer) filePart(number int, offset, size int64, md5 etag.MD5) *part {
	return &part{
		number: number, size: size, md5: md5,
		open:  func() io.ReadSeeker { return t.src.section(offset, size) },
		again: func(ctx context.Context) (etag.MD5, error) { return t.src.sum(ctx, offset, size) },
	}
}

// sumsFor returns the MD5s of the file in this cut, those that are known with
// it.
func (t *transfer) sumsFor(c cut) *sums {
	if t.sums == nil || t.sums.cut != c || t.crcs && t.sums.crcs.hash == nil {
		t.sums = newSums(t.src, c, t.crcs, t.u.hashing.turn)
	}
	return t.sums
}

// sendFile hashes a file in order and sends the parts that the upload does not
// have.
func (t *transfer) sendFile(ctx context.Context, up *upload) error {
	t.stage(StageHash)
	s := t.sumsFor(up.cut)
	g, gctx := errgroup.WithContext(ctx)
	once := t.readsOnce(up.cut.part)
	parts := make(chan *part, t.hashAhead(up.cut.part, once))
	g.Go(func() error {
		defer close(parts)
		for n := 1; n <= up.cut.parts(); n++ {
			p, err := t.hashPart(gctx, s, up, n, once)
			if err != nil {
				return err
			}
			if t.resume(up, p) {
				t.u.held.give(p.held)
				continue
			}
			select {
			case parts <- p:
			case <-gctx.Done():
				t.u.held.give(p.held)
				return gctx.Err()
			}
		}
		return nil
	})
	g.Go(func() error {
		for p := range parts {
			slot, err := t.u.slots.acquire(gctx, weightPart)
			if err != nil {
				t.u.held.give(p.held)
				return err
			}
			g.Go(func() error { return t.sendPart(gctx, up, p, slot) })
		}
		return nil
	})
	if err := g.Wait(); err != nil {
		return err
	}
	if err := t.learn(ctx, up.cut); err != nil {
		return err
	}
	return t.sendDoubtful(ctx, up)
}

// aheadOfSending is how many bytes the hash, which takes the longest, may be ahead of
// what is sent, so that it does not wait while the first requests are few, or when
// some are slow. They are read again from the kernel's cache.
const aheadOfSending = 128 * MiB

// hashAhead returns how many parts that makes; none where parts are held in memory.
func (t *transfer) hashAhead(part int64, once bool) int {
	if once {
		return 0
	}
	ahead := int64(aheadOfSending)
	if t.o.PageCache > 0 {
		ahead = min(ahead, t.o.PageCache/8)
	}
	return int(ahead / part)
}

// hashPart hashes a part, unless that was done before. Where the file is read once,
// its bytes are held, as long as there was no need to read them earlier.
func (t *transfer) hashPart(ctx context.Context, s *sums, up *upload, n int, once bool) (*part, error) {
	offset, size := up.cut.at(n)
	var keep []byte
	if once && s.hashed == offset {
		var err error
		if keep, err = t.u.held.take(ctx, size); err != nil {
			return nil, err
		}
	}
	s.keep = keep
	md5, err := s.part(ctx, n)
	keep, s.keep = s.keep, nil
	if err != nil {
		t.u.held.give(keep)
		return nil, err
	}
	p := t.filePart(n, offset, size, md5)
	p.crc, p.held = s.crcs.part(n), keep
	return p, nil
}

// resume takes a part that the upload has already, if it is the same.
func (t *transfer) resume(up *upload, p *part) bool {
	stored, ok := up.stored[p.number]
	if !ok || stored.size != p.size || p.number == up.proof || !t.isSame(stored, p) {
		return false
	}
	up.put(p, stored.etag)
	t.res.PartsResumed++
	t.tell(Resumed, p.size)
	return true
}

// sendPart sends a part until the store has it, and gives the slot back.
func (t *transfer) sendPart(ctx context.Context, up *upload, p *part, slot *slot) error {
	err := t.uploadPart(ctx, up, p)
	t.u.held.give(p.held)
	p.held = nil
	slot.release(err == nil, p.size)
	if err != nil && !errors.Is(err, errGone) && ctx.Err() == nil {
		return &partError{p.number, err}
	}
	return err
}

type partError struct {
	number int
	err    error
}

func (e *partError) Error() string { return fmt.Sprintf("part %d: %v", e.number, e.err) }
func (e *partError) Unwrap() error { return e.err }

func (t *transfer) uploadPart(ctx context.Context, up *upload, p *part) error {
	body := &counted{t: t, part: p, body: p.reader()}
	algorithm, key, keyMD5 := t.props.customer()
	for try := 1; ; try++ {
		body.rewind()
		out, err := t.u.client.UploadPart(ctx, &s3.UploadPartInput{
			Bucket: &t.job.Bucket, Key: &t.key, UploadId: &up.id,
			PartNumber: aws.Int32(int32(p.number)), Body: body, ContentLength: &p.size,
			ContentMD5:           t.contentMD5(p.md5),
			ChecksumCRC64NVME:    up.sum(p),
			SSECustomerAlgorithm: algorithm, SSECustomerKey: key, SSECustomerKeyMD5: keyMD5,
		}, t.with)
		if err == nil {
			t.encryption(out.ServerSideEncryption, out.SSECustomerAlgorithm)
			if up.proof != 0 && (out.ServerSideEncryption != t.props.SSE || !isKey(aws.ToString(out.SSEKMSKeyId), t.props.KMSKeyID)) {
				return errOtherwise
			}
			t.sawCustomerKey(aws.ToString(out.SSECustomerKeyMD5))
			tag := etag.Trim(aws.ToString(out.ETag))
			switch {
			case t.judgePart(up, p, tag, try):
				return nil
			case tag == "":
				err = errNoETag
			default:
				err = fail(Integrity, "the store answered with the ETag %s, and not with the MD5 %s of what was sent", clip(tag), p.md5)
			}
		}
		again, err := t.afterPart(ctx, up, p, err)
		if err == nil || !again || try == tries || KindOf(err) == SourceChanged {
			return err
		}
	}
}

// errNoETag is what a cut answer leads to, or one that does not come from the
// store at all.
var errNoETag = fail(Temporary, "the answer says nothing about what was stored: it has no ETag")

// errPartOnce says that an upload of an earlier run cannot be gone on with: a
// part of it differs, and the store takes no part a second time.
var errPartOnce = errors.New("the store has another part of this number, and takes no part twice")

// errOtherwise says that an upload of an earlier run cannot be gone on with: its
// parts are not encrypted as was asked for.
var errOtherwise = errors.New("the upload is encrypted otherwise")

// judgePart decides by the ETag in the answer whether the part is stored.
func (t *transfer) judgePart(up *upload, p *part, tag string, try int) bool {
	switch {
	case tag == p.md5.String():
		t.u.sawMD5(t.job.Bucket)
		up.put(p, tag)
		return true
	case tag == "":
		return false
	case t.hidesMD5():
		up.put(p, tag)
		return true
	case t.u.knowsMD5(t.job.Bucket):
		return false
	case p.once && !t.u.sawOther(t.job.Bucket, try > 1) && try == 1:
		return false
	}
	up.doubt(p, tag)
	return true
}

// afterPart looks into an error of a part. It says whether the part is to be
// sent again, and no error if it is stored after all.
func (t *transfer) afterPart(ctx context.Context, up *upload, p *part, err error) (again bool, _ error) {
	switch c := code(err); {
	case c == "NoSuchUpload":
		return false, errGone
	case err == errNoETag:
		err := t.lookForPart(ctx, up, p, err)
		return err != nil, err
	case isDigest(c), KindOf(err) == Integrity:
		// Either the way to the store changed the bytes, or the source did.
		return true, t.sameBytes(ctx, p, err)
	case status(err) == http.StatusNotImplemented:
		// rclone serve s3 refuses a part that it has already: the answer to an
		// earlier attempt was lost, or the part that an earlier run left differs.
		err := t.lookForPart(ctx, up, p, err)
		if _, there := up.stored[p.number]; there && err != nil {
			return false, fmt.Errorf("%w: %w", errPartOnce, err)
		}
		return false, err
	}
	return false, err
}

// isDigest says whether the store got other bytes than the request announced.
func isDigest(code string) bool {
	return code == "BadDigest" || code == "XAmzContentSHA256Mismatch" || code == "XAmzContentChecksumMismatch"
}

// sameBytes returns cause if the source is still what was hashed.
func (t *transfer) sameBytes(ctx context.Context, p *part, cause error) error {
	now, err := p.again(ctx)
	if err != nil {
		return err
	}
	if now != p.md5 {
		return fail(SourceChanged, "%s changed while it was read: its bytes are not what they were", t.src.name)
	}
	return cause
}

// lookForPart finds out from ListParts whether a part that was refused is
// stored. It returns cause if not.
func (t *transfer) lookForPart(ctx context.Context, up *upload, p *part, cause error) error {
	stored, err := t.listParts(ctx, up.id)
	if err != nil {
		return cause
	}
	if s, ok := stored[p.number]; ok && s.size == p.size && t.isSame(s, p) {
		up.put(p, s.etag)
		return nil
	}
	return cause
}

// doubtful returns the parts whose ETags are not their MD5s, once others have
// shown that this store's ETags are MD5s.
func (t *transfer) doubtful(up *upload) []*part {
	if t.hidesMD5() || !t.u.knowsMD5(t.job.Bucket) {
		return nil
	}
	return up.doubtful()
}

// sendDoubtful sends the doubtful parts again.
func (t *transfer) sendDoubtful(ctx context.Context, up *upload) error {
	doubtful := t.doubtful(up)
	g, gctx := errgroup.WithContext(ctx)
	for _, p := range doubtful {
		slot, err := t.u.slots.acquire(gctx, weightPart)
		if err != nil {
			break
		}
		g.Go(func() error { return t.sendPart(gctx, up, p, slot) })
	}
	if err := g.Wait(); err != nil {
		return err
	}
	return ctx.Err()
}

// put sends an object in one piece.
func (t *transfer) put(ctx context.Context, p *part) error {
	t.size, t.whole, t.crc = p.size, p.md5, p.crc
	t.storeMD5()
	t.res.MD5, t.res.Size = p.md5.String(), p.size
	if err := t.greet(ctx, p.size); err != nil {
		return err
	}
	if t.first != nil {
		t.noteEarlyDeletion(t.first)
	}
	weight := weightSmall
	if p.size > t.o.PartSize {
		weight = weightPart
	}
	slot, err := t.u.slots.acquire(ctx, weight)
	if err != nil {
		return err
	}
	err = t.putObject(ctx, p)
	slot.release(err == nil, p.size)
	if err != nil {
		return err
	}
	if err := t.lookBack(ctx); err != nil {
		return err
	}
	if err := t.verifyChecksum(); err != nil {
		return err
	}
	if err := t.verifyProtection(ctx); err != nil {
		return err
	}
	t.compareUnshown(ctx)
	return nil
}

// greetFrom is the size from which on an object is not sent to a store that was
// never heard of: a Client gives up on a store that does not answer, and a body
// may take longer than that on a slow line.
const greetFrom = 1 * MiB

// greet looks at the key, if nothing was asked of the store before, so that it
// has answered once when a large body is sent.
func (t *transfer) greet(ctx context.Context, size int64) error {
	if size < greetFrom || !t.u.greeted.CompareAndSwap(false, true) {
		return nil
	}
	if _, err := t.head(ctx); err != nil && status(err) == 0 {
		t.u.greeted.Store(false)
		return err
	}
	return nil // what it says does not matter
}

func (t *transfer) putObject(ctx context.Context, p *part) error {
	body := &counted{t: t, part: p, body: p.reader()}
	before := t.counter.count("PutObject")
	for try := 1; ; try++ {
		body.rewind()
		in := &s3.PutObjectInput{
			Bucket: &t.job.Bucket, Key: &t.job.Key,
			Body: body, ContentLength: &p.size, ContentMD5: t.contentMD5(p.md5),
		}
		t.stated = t.props
		t.stated.put(in)
		in.ChecksumCRC64NVME = optional(p.crc)
		if t.o.Checksum == SumMD5 {
			in.ChecksumMD5 = in.ContentMD5
		}
		t.condition(&in.IfNoneMatch, &in.IfMatch)
		out, err := t.u.client.PutObject(t.retryRaces(ctx), in, t.with)
		if err == nil {
			t.encryption(out.ServerSideEncryption, out.SSECustomerAlgorithm)
			t.summed = wholeSums(out.ChecksumType, out.ChecksumCRC64NVME, out.ChecksumMD5)
			t.shield = shield{out.ServerSideEncryption, aws.ToString(out.SSEKMSKeyId), aws.ToString(out.SSECustomerKeyMD5)}
			done, err := t.verifyPut(ctx, answer{etag: etag.Trim(aws.ToString(out.ETag)), version: aws.ToString(out.VersionId)}, try)
			if done || err != nil {
				return err
			}
			t.own = etag.Trim(aws.ToString(out.ETag))
			continue
		}
		if t.isUnmet(err) {
			mine, again, err := t.afterRefusal(ctx, err, t.counter.count("PutObject")-before > 1)
			if mine {
				_, err = t.verifyPut(ctx, answer{}, tries)
			}
			if !again {
				return err
			}
			try-- // nothing was stored
			continue
		}
		if isDigest(code(err)) {
			err = t.sameBytes(ctx, p, err)
		}
		if !isDigest(code(err)) || try == tries {
			return err
		}
	}
}

// encryption notes what an answer says about encryption.
func (t *transfer) encryption(sse types.ServerSideEncryption, customer *string) {
	if sse == types.ServerSideEncryptionAwsKms || sse == types.ServerSideEncryptionAwsKmsDsse || aws.ToString(customer) != "" {
		t.mu.Lock()
		t.encrypted = true
		t.mu.Unlock()
	}
}

// sawCustomerKey notes which key of one's own a part was encrypted with: the
// answer to Complete does not say it.
func (t *transfer) sawCustomerKey(sum string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.shield.customer = sum
}

// hidesMD5 says whether no ETag of the object is an MD5, for the way in which it is
// encrypted or for its bucket.
func (t *transfer) hidesMD5() bool {
	if t.isDirectory() {
		return true
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.encrypted
}

// counted is a body that counts what is read of it: BytesSent counts each
// attempt, progress only what was not read before.
type counted struct {
	t    *transfer
	part *part
	body io.ReadSeeker
	pos  int64
}

// Read fails where a file ends before the part does: it was cut off after it was
// hashed.
func (c *counted) Read(b []byte) (int, error) {
	n, err := c.body.Read(b)
	c.pos += int64(n)
	c.t.sent.Add(int64(n))
	if c.pos > c.part.high {
		c.t.tell(Sent, c.pos-c.part.high)
		c.part.high = c.pos
	}
	if err == io.EOF && c.pos < c.part.size {
		err = fail(SourceChanged, "%s changed while it was read: it is shorter than it was", c.t.src.name)
	}
	return n, err
}

func (c *counted) Seek(offset int64, whence int) (int64, error) {
	pos, err := c.body.Seek(offset, whence)
	if err == nil {
		c.pos = pos
	}
	return pos, err
}

func (c *counted) rewind() { c.Seek(0, io.SeekStart) }

// tell says that bytes are at the store, or on their way.
func (t *transfer) tell(kind EventKind, bytes int64) {
	t.told.Add(bytes)
	t.o.Event(Event{Kind: kind, Job: t.job, Bytes: bytes})
}

// startAnew takes back what was told: all of it goes out again.
func (t *transfer) startAnew() {
	t.res.PartsResumed, t.inherited = 0, false
	t.o.Event(Event{Kind: Undone, Job: t.job, Bytes: t.told.Swap(0)})
}
