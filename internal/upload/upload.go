package upload

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3up/internal/etag"
	"s3up/internal/verify"
)

// Normalize says how an object that was uploaded in parts gets the MD5 of its
// bytes as ETag.
type Normalize string

const (
	NormalizeAuto   Normalize = "auto"   // the way that costs least: a self-copy
	NormalizeSelf   Normalize = "self"   // a copy onto itself
	NormalizeStaged Normalize = "staged" // a copy to a second key and back, for stores whose self-copy keeps the ETag
	NormalizeOff    Normalize = "off"
)

// OnFailure says what becomes of the parts of an upload that failed.
type OnFailure string

const (
	OnFailureAuto  OnFailure = "auto"  // kept where a later run can go on with them
	OnFailureKeep  OnFailure = "keep"  // kept
	OnFailureAbort OnFailure = "abort" // dropped
)

// OnChange says what to do about a file that changes while it is read.
type OnChange string

const (
	OnChangeFail  OnChange = "fail"  // end with SourceChanged
	OnChangeRetry OnChange = "retry" // begin again with what it is now, a few times
)

// Publish says how an object that goes up in parts comes under its key.
type Publish string

const (
	PublishDirect Publish = "direct" // at once, when its parts are completed
	PublishStaged Publish = "staged" // by a copy from a second key, once it is verified there
)

// Options are what the uploads of an Uploader have in common. The zero value of
// a field is its default, but for NoResume and StaleAfter.
type Options struct {
	PartSize  int64 // bytes; default DefaultPartSize
	Threshold int64 // bytes; what is larger goes up in parts; default DefaultThreshold
	MaxMemory int64 // bytes that streams may hold; default DefaultMaxMemory
	// ReadOnce holds the parts of files in memory (MaxMemory, beside what streams
	// have) until they are stored, so that a file is read once only. Else each part is
	// read again when it is sent, unless the file is far away and PageCache, the bytes
	// that the kernel may keep of files, is too little for all that is in flight.
	ReadOnce  bool
	PageCache int64 // 0: enough

	ExpectedSize int64 // bytes that a stream will have
	MinSize      int64 // bytes that a source must have; default, of a stream, ExpectedSize
	Slots        int   // capacity; default DefaultSlots
	MostSlots    int   // to which the capacity is raised while that moves more bytes; default Slots

	OnChange OnChange // default OnChangeFail
	// SizeAtStart uploads the bytes that a file had when it was opened, however it
	// grows meanwhile.
	SizeAtStart bool

	AllowEmpty bool // an empty stream is an empty object, not a dead producer
	NoResume   bool // start anew, whatever unfinished uploads of the key there are
	// StaleAfter is how long an unfinished upload of the key must have shown no
	// life to be aborted; 0 is at once.
	StaleAfter time.Duration
	OnFailure  OnFailure
	Normalize  Normalize
	// PruneVersion deletes the version of parts that the copy leaves behind in a
	// bucket that keeps versions.
	PruneVersion bool
	Publish      Publish // default PublishDirect

	// On what condition an object is written, one at most.
	NoClobber bool   // there is none under the key: else Skipped
	IfMatch   string // the one there has this ETag, without quotes
	IfChanged bool   // the one there has other bytes: else Unchanged or Updated
	// CopyConditions says that the store honours conditions on what a copy replaces:
	// of those that were measured, almost none does (SERVERS.md, f).
	CopyConditions bool

	// ServerMD5 says that the store computes the MD5 of what it copies, if asked, and
	// verifies the CRC64NVME of whole objects: Amazon S3 does, since 2026-04 and
	// 2025-01 (S3-FACTS §1, §4). Other stores store nonsense then.
	ServerMD5 bool
	// KeepsProperties says that the store keeps all that is asked for an object, or
	// refuses it: Amazon S3 does, by its documentation. Others drop some in silence,
	// so that objects are looked at for it.
	KeepsProperties bool
	Checksum        Checksum // default SumAuto
	StoreMD5        bool     // in the metadata too, as md5chksum

	// CleanupTimeout bounds the aborting of a failed upload, which goes on when
	// the context has been cancelled; default 30 seconds.
	CleanupTimeout time.Duration

	Limits Limits
	// Event is told what happens; it is called from several goroutines at once
	// and must not block. May be nil.
	Event func(Event)
	// Limit is told the bound on the requests in flight, of which a part takes
	// four, when the store's complaints lowered it, and when it rises again. It
	// is called as Event is. May be nil.
	Limit func(limit int, lowered bool)
}

// An Uploader uploads files and streams. All its uploads share its slots and
// its memory; it is safe for use by several goroutines.
type Uploader struct {
	client  Client
	o       Options
	slots   *slots
	held    *held
	hashing *hashing
	stream  chan struct{} // held by the one stream that is under way
	asking  chan struct{} // held by who asks for a bucket's locks, and guards locks
	locks   map[string]bool
	greeted atomic.Bool // the store has been asked something

	verifier *verify.Verifier // see transfer.verifier

	mu       sync.Mutex
	opaque   map[string]bool  // buckets that have answered twice with another ETag
	uncopied map[string]bool  // buckets where no copy follows an upload
	kms      map[string]bool  // buckets that encrypt unasked so that no ETag is an MD5
	md5ETags map[string]bool  // buckets that have answered with an MD5 as ETag
	unasked  map[string]error // why buckets could not be asked for their locks
	memory   *memory          // of streams, once there is one

	habits habits // guarded by mu too
}

// New returns an Uploader. An error is of kind Usage.
func New(client Client, o Options) (*Uploader, error) {
	o.Limits = o.Limits.withDefaults()
	setDefault(&o.PartSize, max(DefaultPartSize, o.Limits.MinPart))
	setDefault(&o.Threshold, DefaultThreshold)
	setDefault(&o.MaxMemory, DefaultMaxMemory)
	setDefault(&o.Normalize, NormalizeAuto)
	setDefault(&o.Checksum, SumAuto)
	setDefault(&o.Publish, PublishDirect)
	setDefault(&o.OnFailure, OnFailureAuto)
	setDefault(&o.OnChange, OnChangeFail)
	setDefault(&o.CleanupTimeout, 30*time.Second)
	if o.Event == nil {
		o.Event = func(Event) {}
	}
	if o.Limit == nil {
		o.Limit = func(int, bool) {}
	}
	if err := o.Limits.checkPart(o.PartSize); err != nil {
		return nil, err
	}
	if o.Checksum == SumMD5 && !o.ServerMD5 {
		return nil, fail(Usage, "--checksum md5 is for Amazon S3: other stores compute no MD5 of what they copy, or a wrong one; --checksum crc64nvme is for any")
	}
	if err := o.checkConditions(); err != nil {
		return nil, err
	}
	if o.Threshold > o.Limits.MaxPut {
		return nil, fail(Usage, "a multipart threshold of %s is not possible: S3 takes at most %s in one piece",
			byteSize(o.Threshold), byteSize(o.Limits.MaxPut))
	}
	return &Uploader{
		client:   client,
		verifier: newVerifier(&o),
		o:        o,
		slots:    newSlots(o.Slots, o.MostSlots, o.Limit),
		held:     newHeld(o.MaxMemory),
		hashing:  newHashing(),
		stream:   make(chan struct{}, 1),
		asking:   make(chan struct{}, 1),
		locks:    make(map[string]bool),
		opaque:   make(map[string]bool),
		md5ETags: make(map[string]bool),
		kms:      make(map[string]bool),
		uncopied: make(map[string]bool),
		unasked:  make(map[string]error),
	}, nil
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}

// Throttled is to be called when the store says that it gets too many requests:
// it halves the number of those in flight. It returns the new bound.
func (u *Uploader) Throttled() (limit int) { return u.slots.throttled() }

// Slots returns how many small objects may be on their way at once, for now.
func (u *Uploader) Slots() int { return u.slots.now() }

// A Job is one source and where it goes. The caller closes the source.
type Job struct {
	Source      *Source
	Bucket, Key string
	Properties  Properties
}

// A Status says what an upload did.
type Status string

const (
	Uploaded    Status = "uploaded"
	Unchanged   Status = "unchanged" // the same bytes were there already, with the same properties
	Updated     Status = "updated"   // the same bytes were there already, and got the properties by a copy
	Skipped     Status = "skipped"   // there is an object, and none was to be replaced
	Failed      Status = "failed"
	WouldUpload Status = "would-upload" // a dry run
)

// ETagKind says what the ETag of an object is.
type ETagKind string

const (
	ETagMD5       ETagKind = "md5"
	ETagMultipart ETagKind = "multipart"
	ETagOpaque    ETagKind = "opaque"
)

// Normalized says how an object came to the ETag that it has.
type Normalized string

const (
	SinglePut  Normalized = "single-put"  // one PutObject: the MD5 at once
	SelfCopy   Normalized = "self-copy"   // the copy onto itself gave the MD5
	StagedCopy Normalized = "staged-copy" // the copy to a second key and back did
	// ChecksumMD5: encrypted, so that no ETag is an MD5; the store's own MD5 of
	// the copy is the same as that of the bytes that were read.
	ChecksumMD5 Normalized = "checksum-md5"
	Already     Normalized = "already"   // the store gave the MD5 without a copy
	Kept        Normalized = "kept"      // the store kept -N through the copies that were tried
	TooLarge    Normalized = "too-large" // to be copied in one piece
	Opaque      Normalized = "opaque"    // encrypted: no ETag is an MD5
	Off         Normalized = "off"       // not asked for, or the object is locked
	Refused     Normalized = "refused"   // the copy, or the look at the object, was denied or is not implemented
)

// Found is an object that stands in the way of a condition.
type Found struct {
	ETag      string // without quotes
	Size      int64
	Modified  time.Time
	VersionID string
}

// A Result is what came of a Job. When Err is nil, and it was not skipped, the
// object was seen to be made of the bytes that were read.
type Result struct {
	Job            *Job
	Status         Status
	Size           int64 // -1 if a stream failed before its end
	MD5            string
	ETag           string // without quotes
	ETagKind       ETagKind
	Normalized     Normalized
	By             Proof // of what was there already: that it is the same
	VersionID      string
	ContentType    string
	Parts          int   // 0: one PutObject
	PartSize       int64 // 0: one PutObject
	PartsResumed   int
	BytesSent      int64          // of the object, over all attempts
	Requests       map[string]int // by operation, each attempt counted
	UploadsAborted int            // unfinished ones of others, or of earlier runs
	Published      bool           // by a copy from its staging key
	Pruned         string         // the version of parts that was deleted
	Found          *Found         // what was there, if a condition did not hold
	Locked         bool           // by the bucket's Object Lock, and not copied for that reason
	// The store's checksum of the whole object, in base64, which is that of the bytes
	// that were read; empty if it shows none.
	ChecksumAlgorithm, Checksum string
	// Of an object that was there already: its ETag before, its class, when it was
	// written, and why it was left as it is.
	Was, StorageClass string
	Modified          time.Time
	Skip              Skip
	Custom            []string // of a dry run: what it has that no copy takes along

	Lacking  bool // not all properties are as was asked for: Notes tell which
	Duration time.Duration
	Notes    []string
	Err      error
	// Resumable says that the parts which were sent are kept, and that the same
	// upload again goes on with them.
	Resumable bool
	// InTheWay says that the parts which were sent are the object that NoClobber keeps
	// from being touched: only an upload without it goes on with them.
	InTheWay bool
}

// Upload does a Job. It does not return before everything that it started has
// ended, but for the read of a stream that nobody writes to.
func (u *Uploader) Upload(ctx context.Context, job *Job) *Result {
	start := time.Now()
	job.Source.grows = u.o.SizeAtStart
	t := u.transfer(job)
	u.o.Event(Event{Kind: Started, Job: job, Size: job.Source.size})
	err := t.run(ctx)
	for n := 1; n < changes && t.startsOver(ctx, err); n++ {
		if err = job.Source.reopen(ctx); err != nil {
			break
		}
		t = t.again()
		err = t.run(ctx)
	}
	r := t.res
	if err != nil {
		r.Status, r.Err = Failed, err
		if cause := context.Cause(ctx); ctx.Err() != nil && errors.Is(err, context.Canceled) && cause != nil {
			r.Err = &Error{Kind: Interrupted, Msg: "interrupted", Err: cause}
		}
	} else if r.Status == Failed {
		r.Status = Uploaded
	}
	r.BytesSent = t.sent.Load()
	r.Requests = t.counter.counts()
	r.ContentType = t.props.ContentType
	r.Duration = time.Since(start)
	u.o.Event(Event{Kind: Finished, Job: job, Size: r.Size, Result: r})
	return r
}

// changes is how often a file that changes while it is read is read, if that is
// wanted.
const changes = 5

func (u *Uploader) transfer(job *Job) *transfer {
	o := &u.o
	if etag.IsDirectory(job.Bucket) {
		o = o.inDirectory()
	}
	return &transfer{
		u: u, o: o, job: job, key: job.Key, src: job.Source, props: job.Properties, counter: new(counter),
		encrypted: job.Properties.isOpaque(), locked: job.Properties.locks(),
		res: &Result{Job: job, Size: job.Source.size, Status: Failed},
	}
}

// startsOver says whether an upload that ended so is to begin again with what the
// file is now.
func (t *transfer) startsOver(ctx context.Context, err error) bool {
	return t.o.OnChange == OnChangeRetry && KindOf(err) == SourceChanged && err != nil && ctx.Err() == nil && t.src.path != ""
}

// again returns a transfer of what the file is now, which goes on counting.
func (t *transfer) again() *transfer {
	t.note("%s changed while it was read: starting over", t.src.name)
	t.startAnew()
	next := t.u.transfer(t.job)
	next.counter = t.counter
	next.sent.Store(t.sent.Load())
	next.res.Notes, next.res.UploadsAborted = t.res.Notes, t.res.UploadsAborted
	t.o.Event(Event{Kind: Sized, Job: t.job, Size: t.src.size})
	return next
}

// run sends the source in one piece or in parts, and sees to the object's ETag.
func (t *transfer) run(ctx context.Context) error {
	if err := t.check(); err != nil {
		return err
	}
	if err := t.mayEncrypt(); err != nil {
		return err
	}
	if t.src.size >= 0 {
		later := t.src.size <= t.o.Threshold && !t.o.looksFirst()
		if err := t.lookAtSource(later); err != nil {
			return err
		}
	}
	if done, err := t.lookFirst(ctx); done || err != nil {
		mayBeStaged := t.src.size < 0 || t.src.size > t.o.Threshold
		if done && err == nil && mayBeStaged && (t.o.Normalize == NormalizeStaged || t.publishes()) {
			t.clearStaged(ctx) // of the run that did what is done
		}
		return err
	}
	if t.src.size < 0 {
		if err := take(ctx, t.u.stream); err != nil {
			return err
		}
		defer func() { <-t.u.stream }()
		err := t.runStream(ctx)
		if err != nil {
			t.u.forgetMemory()
		}
		return err
	}
	if t.src.size <= t.o.Threshold {
		return t.runPut(ctx)
	}
	if err := t.mayPublish(t.src.size); err != nil {
		return err
	}
	c, err := t.o.Limits.plan(t.src.size, t.o.PartSize)
	if err != nil {
		return err
	}
	return t.runParts(ctx, c)
}

// check says what is wrong with what is asked for, as far as that is known without
// the source and without the store.
func (t *transfer) check() error {
	if err := t.props.Check(); err != nil {
		return err
	}
	if err := t.u.o.CheckBucket(t.job.Bucket); err != nil {
		return err
	}
	if err := t.props.CheckBucket(t.job.Bucket); err != nil {
		return err
	}
	return t.checkMD5Key()
}

// tooShort is the error for a source of that size, if it is shorter than it was
// to be: its producer has died, most often.
func (t *transfer) tooShort(size int64) error {
	least := t.o.MinSize
	if least == 0 && t.src.size < 0 {
		least = t.o.ExpectedSize
	}
	if size >= least {
		return nil
	}
	return fail(TooShort, "%s has %d bytes, less than the %d that it was to have", t.src.name, size, least)
}

// runPut sends a small file as one object.
func (t *transfer) runPut(ctx context.Context) error {
	c := newCRCParts(t.o.Checksum == SumCRC64NVME)
	var keep []byte
	if t.readsOnce(t.src.size) {
		var err error
		if keep, err = t.u.held.take(ctx, t.src.size); err != nil {
			return err
		}
		defer t.u.held.give(keep)
	}
	whole, err := t.src.sumWhole(ctx, t.u.hashing, func(p []byte) {
		t.findType(p)
		c.write(p)
		keepTo(&keep, p)
	})
	if err != nil {
		return err
	}
	t.findType(nil) // nothing was read of an empty file
	c.endPart(t.src.size)
	if err := t.src.changed(ctx, whole); err != nil {
		return err
	}
	p := t.filePart(1, 0, t.src.size, whole)
	p.crc = c.part(1)
	p.held = keep
	return t.put(ctx, p)
}

// runParts sends a file as a multipart upload. An upload that somebody ended
// meanwhile is started anew once, unless that somebody stored the same bytes.
func (t *transfer) runParts(ctx context.Context, c cut) error {
	if err := mayHaveParts(t.job.Key); err != nil {
		return err
	}
	if err := t.mayStage(ctx); err != nil {
		return err
	}
	if err := t.foresee(ctx); err != nil {
		return err
	}
	t.toStaging()
	there, err := t.lookAhead(ctx, c)
	if err != nil {
		return err
	}
	if err := t.mayGoOn(ctx, there); err != nil {
		return err
	}
	if there {
		if err := t.finishFile(ctx); !errors.Is(err, errInherited) {
			return err
		}
		t.beginAnew()
	}
	races := 0
	for anew := false; ; anew = true {
		err := t.sendAll(ctx, c)
		if err == nil {
			if err = t.finishFile(ctx); !errors.Is(err, errInherited) {
				return err
			}
			t.beginAnew()
			continue
		}
		if errors.Is(err, errRaced) && races < maxRaces {
			// Amazon wants all parts anew; whether the condition holds is seen at once.
			races++
			if err := t.lookAgain(ctx); err != nil {
				return err
			}
			t.note("somebody else wrote the key at the same moment: starting anew")
			t.startAnew()
			continue
		}
		if why := outgrown(err); why != "" && !anew {
			t.note("%s: starting anew", why)
			t.startAnew()
			continue
		}
		if !errors.Is(err, errGone) {
			return err
		}
		switch mine, err := t.settle(ctx); {
		case err != nil:
			return err
		case mine:
			t.note("somebody else completed an upload of the same bytes meanwhile")
			return t.finishFile(ctx)
		case anew:
			return fail(Conflict, "the multipart upload was ended by somebody else, twice")
		}
		t.note("the multipart upload was ended by somebody else: starting anew")
		t.startAnew()
	}
}

// outgrown says why an upload that was refused cannot come to anything, though
// another one of the same parts can.
func outgrown(err error) string {
	switch {
	case errors.Is(err, errOtherwise):
		return "the upload that was found is not encrypted as was asked for"
	case errors.Is(err, errPartOnce):
		return "a part of the upload that was found differs, and the store takes no part twice"
	case code(err) == "InvalidPart":
		return "the store has lost a part that it took"
	}
	return ""
}

// finishFile finishes an object that was made of a file. When that fails for
// now, a later run recognizes the object, and has nothing to send; once it has its
// MD5 as ETag, nothing tells it from one that is to be replaced.
func (t *transfer) finishFile(ctx context.Context) error {
	err := t.finish(ctx)
	if err != nil && t.copies(t.size) && (!t.copied || t.publishes()) && (ctx.Err() != nil || passes(KindOf(err))) {
		t.res.Resumable = !t.o.NoClobber || t.publishes()
		t.res.InTheWay = !t.res.Resumable
	}
	return err
}

// passes says whether the same upload may well succeed another time.
func passes(kind Kind) bool { return kind == Temporary || kind == Access || kind == Interrupted }

// sendAll takes an upload from its beginning, or from where an earlier run left
// it, to its completion. On failure it has been left as it is to be left.
func (t *transfer) sendAll(ctx context.Context, c cut) error {
	up, err := t.begin(ctx, c)
	if err != nil {
		return err
	}
	err = t.sendFile(ctx, up)
	if err == nil {
		err = t.src.changed(ctx, t.whole)
	}
	if err == nil {
		err = t.complete(ctx, up)
	}
	if errors.Is(err, errGone) {
		// Parts that were under way may have come in after whoever ended it.
		t.leaveNothing(ctx, up)
		t.gone = up.id
		// What is there may be the same bytes: to tell, all MD5s are needed.
		if all := t.learn(ctx, up.cut); all != nil {
			return all
		}
		return err
	}
	if errors.Is(err, errPartOnce) || errors.Is(err, errOtherwise) {
		t.leaveNothing(ctx, up)
		return err
	}
	if err != nil {
		t.leave(ctx, up, err)
	}
	return err
}

// learn makes sure that the MD5s of the whole file are known.
func (t *transfer) learn(ctx context.Context, c cut) error {
	s := t.sumsFor(c)
	parts, whole, err := s.all(ctx)
	if err != nil {
		return err
	}
	t.learned(c, parts, whole, s.crcs.all())
	return nil
}

// learned notes what the object has to be.
func (t *transfer) learned(c cut, parts []etag.MD5, whole etag.MD5, crc string) {
	t.whole, t.composite, t.size, t.crc = whole, etag.Composite(parts), c.size, crc
	t.storeMD5()
	t.res.MD5, t.res.Size, t.res.Parts, t.res.PartSize = whole.String(), c.size, len(parts), c.part
}

// note tells something that is worth a line.
func (t *transfer) note(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	t.mu.Lock()
	t.res.Notes = append(t.res.Notes, text)
	t.mu.Unlock()
	t.o.Event(Event{Kind: Noted, Job: t.job, Text: text})
}

// noteOnce is note, for what comes up again when a file is sent anew.
func (t *transfer) noteOnce(format string, args ...any) {
	t.mu.Lock()
	told := slices.Contains(t.res.Notes, fmt.Sprintf(format, args...))
	t.mu.Unlock()
	if !told {
		t.note(format, args...)
	}
}

// stage tells what goes on.
func (t *transfer) stage(name string) { t.o.Event(Event{Kind: Stage, Job: t.job, Text: name}) }

// with counts a call's requests. It stands in each call of the Client.
func (t *transfer) with(o *s3.Options) { t.counter.option(o) }

// knowsMD5 remembers, or tells, that the ETags of this bucket are MD5s: one of
// them was seen to be.
func (u *Uploader) knowsMD5(bucket string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.md5ETags[bucket]
}

func (u *Uploader) sawMD5(bucket string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.md5ETags[bucket] = true
}

// sawOther notes that a bucket answered with an ETag that is no MD5 of what was
// sent, and again when it was sent again. It tells whether that was known.
func (u *Uploader) sawOther(bucket string, again bool) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	known := u.opaque[bucket]
	u.opaque[bucket] = known || again
	return known
}
