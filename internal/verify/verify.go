package verify

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"s3up/internal/etag"
)

// Options are how objects are verified.
type Options struct {
	// PartSizes are tried first where the store does not tell that of an object.
	PartSizes []int64
	// Guesses is how many part sizes are tried at most, side by side; 0: DefaultGuesses.
	Guesses int
	// Least is the weakest evidence that is enough to say that something is the same.
	Least Strength
	// Workers hash parts at once; 0: one for each core.
	Workers int
	// Fresh is for how long an object need not be looked at again at the end, because
	// nobody had the time to replace it.
	Fresh time.Duration
	// OnlySame is for those who want to know what is the same: of the rest, no more is
	// asked and read to be sure.
	OnlySame bool

	CustomerKey CustomerKey
}

// DefaultGuesses are as many as the widest kernel hashes side by side, beside the
// MD5 of the whole.
const DefaultGuesses = 15

// A Verifier verifies objects. It may be used by many goroutines at once.
type Verifier struct {
	client  Client
	o       Options
	buckets *buckets
}

// buckets are those of which an object's ETag was no MD5.
type buckets struct {
	mu       sync.Mutex
	encrypts map[string]bool
}

// New returns a Verifier.
func New(c Client, o Options) *Verifier {
	if o.Guesses == 0 {
		o.Guesses = DefaultGuesses
	}
	return &Verifier{client: c, o: o, buckets: &buckets{encrypts: make(map[string]bool)}}
}

// With returns a Verifier with another Client and other Options, which knows what is
// known of buckets.
func (v *Verifier) With(c Client, change func(*Options)) *Verifier {
	w := *v
	w.client = c
	change(&w.o)
	return &w
}

// Status is what came of it.
type Status string

const (
	Match        Status = "match"
	Differs      Status = "differs"
	Missing      Status = "missing"      // there is no such object
	Unverifiable Status = "unverifiable" // nothing proves or refutes it, see Result.Reason
)

// EvidenceKind says what an evidence is.
type EvidenceKind string

const (
	BySize      EvidenceKind = "size"
	ByETag      EvidenceKind = "etag"           // the MD5 of the bytes
	ByPartsETag EvidenceKind = "etag-parts"     // composed of the MD5s of parts
	ByChecksum  EvidenceKind = "checksum"       // of the bytes
	ByPartsSum  EvidenceKind = "checksum-parts" // composed of those of parts
	ByClaim     EvidenceKind = "metadata"       // what the uploader wrote
)

// An Evidence is something that the store tells and that was compared.
type Evidence struct {
	Kind      EvidenceKind
	Algorithm Algorithm
	Claim     string // the name of the metadata
	Strength  Strength
	Equal     bool
	Stored    string // as the store has it
	Local     string // the same of the local bytes; "" if it is not known of which part size it is to be
	PartSize  int64  // that it is made with, 0: no parts, or they are of several sizes

	parts  int
	value  []byte
	needs  []need // of several, any may be what it is made of
	guess  bool   // and none of them need be it
	tested bool
}

// Reason says why nothing is proven.
type Reason string

const (
	NoEvidence      Reason = "no-evidence"       // the store tells nothing that is known to be of the bytes
	UnknownPartSize Reason = "unknown-part-size" // no usual one gives the ETag, or the checksum
	NoSuchSum       Reason = "no-such-sum"       // the sums that were given are of another sort than what the store tells
	TooWeak         Reason = "too-weak"          // it is the same by what is weaker than Options.Least
	Contradiction   Reason = "contradiction"     // what the store tells contradicts itself
)

// A Result is what came of one object.
type Result struct {
	Status Status
	Object *Object  // nil: Missing
	By     Evidence // that decided; of Unverifiable, the first that was looked at, if any
	All    []Evidence
	Reason Reason

	Parts    int   // of the object, 0: in one piece
	PartSize int64 // 0: not known, or they are of several sizes
	Told     bool  // by the store; else it was found

	BadPart       int    // the first that differs, 0: nobody can tell
	BadAt, BadLen int64  // where it is
	Size          int64  // of the local bytes; -1: not known
	MoreThan      bool   // they are more than Size: the stream was not read to its end
	MD5           string // of the local bytes, if it was computed

	m *meter
}

// Digests returns what Local.Beside asked for, or what was computed all the same; nil
// if nothing was read.
func (r *Result) Digests(d Digest) [][]byte {
	if r.m == nil {
		return nil
	}
	sums, _ := r.m.get(d.need(r.m.size))
	return sums
}

// Verify compares an object with local bytes. listed is what a listing told of it, or
// a look; nil: it is looked at first. progress is told of bytes that were read, from
// several goroutines at once; it may be nil. The error is one of a request or of
// reading, a *ChangedError, or ErrReplaced.
func (v *Verifier) Verify(ctx context.Context, l Local, bucket, key string, listed *Object, progress func(int64)) (*Result, error) {
	o := listed
	if o == nil || !o.headed && v.isEncrypted(bucket) && !differInSize(l, o) && !l.knows(o.ETag) {
		var err error
		if o, err = v.Look(ctx, bucket, key); err != nil {
			return nil, err
		}
	}
	if o == nil {
		return &Result{Status: Missing, Size: l.Size}, nil
	}
	c := &comparison{v: v, local: l, o: o, m: newMeter(l, o.Size, v.o.Workers, progress)}
	r, err := c.run(ctx)
	if err != nil {
		return nil, err
	}
	if r.Status == Match || !v.o.OnlySame {
		if err := c.m.settle(ctx); err != nil {
			return nil, err
		}
	}
	r.Object, r.MD5, r.m = c.o, c.m.hex(MD5), c.m
	if c.m.streamed >= 0 {
		r.Size, r.MoreThan = c.m.streamed, c.m.tooLong
	}
	if c.m.read && time.Since(c.o.looked) >= v.o.Fresh {
		if err := v.isStill(ctx, c.o); err != nil {
			return nil, err
		}
	}
	return r, nil
}

func differInSize(l Local, o *Object) bool { return l.Size >= 0 && l.Size != o.Size }

// knows says whether the bytes are known to have an MD5.
func (l *Local) knows(tag string) bool { return tag != "" && hex.EncodeToString(l.Sums[MD5]) == tag }

func (v *Verifier) isEncrypted(bucket string) bool {
	v.buckets.mu.Lock()
	defer v.buckets.mu.Unlock()
	return v.buckets.encrypts[bucket]
}

// Listed is what a listing told of an object at some time.
func Listed(bucket, key, tag string, size int64, modified, at time.Time) *Object {
	return &Object{Bucket: bucket, Key: key, ETag: etag.Trim(tag), Size: size, Modified: modified, looked: at}
}

// A comparison is of one object with local bytes.
type comparison struct {
	v     *Verifier
	local Local
	o     *Object
	m     *meter

	cut   layout // of its parts
	told  bool   // by the store
	sure  bool   // each of them
	asked bool
}

func (c *comparison) run(ctx context.Context) (*Result, error) {
	if differInSize(c.local, c.o) {
		return c.bySize(c.local.Size), nil
	}
	if r, err := c.byOwnParts(ctx); r != nil || err != nil {
		return r, err
	}
	if !c.o.headed {
		if r, err := c.byListing(ctx); r != nil || err != nil {
			return r, err
		}
		o, err := c.v.Look(ctx, c.o.Bucket, c.o.Key)
		if err != nil {
			return nil, err
		}
		if o == nil {
			return nil, ErrReplaced
		}
		if o.ETag != c.o.ETag {
			c.asked, c.told = false, false // another object
		}
		if c.o = o; differInSize(c.local, o) {
			return c.bySize(c.local.Size), nil
		}
	}
	all, err := c.evidence(ctx)
	if err != nil {
		return nil, err
	}
	first := all
	if len(all) > 0 && !all[0].guess && all[0].Kind != ByClaim && c.local.Stream == nil {
		first = all[:1] // what decides, if it is equal
	}
	if err := c.compare(ctx, first); err != nil {
		return nil, err
	}
	if n := c.m.streamed; n >= 0 && n != c.o.Size {
		return c.bySize(n), nil
	}
	if len(first) == 1 && first[0].Equal {
		return c.judge(first), nil
	}
	if c.told && !c.sure && !anyEqual(all) {
		if all, err = c.makeSure(ctx, all); err != nil {
			return nil, err
		}
	}
	if len(first) == 1 && first[0].decides() && first[0].Kind != ByETag {
		// No claim outweighs what the store tells.
		all = slices.DeleteFunc(all, func(e *Evidence) bool { return e.Kind == ByClaim })
	}
	if err := c.compare(ctx, all); err != nil {
		return nil, err
	}
	r := c.judge(all)
	if r.Status == Differs {
		err = c.findBad(ctx, r)
	}
	return r, err
}

// byOwnParts tries the size of parts that is known before anybody is asked. The result
// is nil if that proves nothing.
func (c *comparison) byOwnParts(ctx context.Context) (*Result, error) {
	part := c.local.PartSize
	if part == 0 || c.o.Kind() != Multipart || etag.Count(c.o.Size, part) != c.o.Parts() {
		return nil, nil
	}
	e := c.partsETag()
	e.guess, e.needs = true, []need{{MD5, layout{part: part}}}
	return c.ifEqual(ctx, []*Evidence{e})
}

// byListing compares with what a listing told, and asks for the size of parts only.
// The ETag of an encrypted object differs always: only what is equal is proof. The
// result is nil if nothing is.
func (c *comparison) byListing(ctx context.Context) (*Result, error) {
	if c.o.Kind() == Opaque {
		return nil, nil
	}
	all, err := c.evidence(ctx)
	if errors.Is(err, ErrReplaced) {
		return nil, nil // by what is looked at next
	}
	if err != nil || c.local.Stream != nil {
		return nil, err
	}
	return c.ifEqual(ctx, all)
}

func (c *comparison) ifEqual(ctx context.Context, all []*Evidence) (*Result, error) {
	if err := c.compare(ctx, all); err != nil || !all[0].Equal {
		return nil, err
	}
	return c.judge(all), nil
}

// decides says whether evidence of the store was compared that proves or refutes.
func (e *Evidence) decides() bool { return e.tested && !e.guess && e.Kind != ByClaim }

// makeSure asks how the object was cut in each of its parts: they may not be of one
// size, though the first looks like it. What then is not known to be made of the
// parts that were hashed, refutes nothing.
func (c *comparison) makeSure(ctx context.Context, all []*Evidence) ([]*Evidence, error) {
	var l layout
	ok := false
	var err error
	if !c.v.o.OnlySame {
		if l, ok, err = c.v.surely(ctx, c.o); err != nil {
			return nil, err
		}
	}
	same := ok && l.key(MD5) == c.cut.key(MD5)
	if ok && !same && c.local.Stream == nil {
		c.cut, same = l, true
		if all, err = c.evidence(ctx); err != nil {
			return nil, err
		}
	}
	c.sure, c.told = same, same
	for _, e := range all {
		if !same && e.parts > 1 {
			e.guess = true
		}
	}
	return all, nil
}

func (c *comparison) bySize(local int64) *Result {
	e := Evidence{Kind: BySize, Strength: Proof, Stored: fmt.Sprint(c.o.Size), Local: fmt.Sprint(local), tested: true}
	return &Result{Status: Differs, By: e, All: []Evidence{e}, Size: local, Parts: c.o.Parts()}
}

func anyEqual(all []*Evidence) bool {
	for _, e := range all {
		if e.tested && e.Equal {
			return true
		}
	}
	return false
}

// plain is the evidence of an ETag that may be the MD5 of the bytes.
func (c *comparison) plain() *Evidence {
	raw, _ := hex.DecodeString(c.o.ETag)
	return &Evidence{Kind: ByETag, Algorithm: MD5, Strength: Proof, Stored: c.o.ETag, value: raw, needs: []need{{MD5, whole(c.o.Size)}}}
}

// partsETag is the evidence of an ETag that is composed of the MD5s of parts.
func (c *comparison) partsETag() *Evidence {
	raw, _ := hex.DecodeString(c.o.ETag[:32])
	return &Evidence{Kind: ByPartsETag, Algorithm: MD5, Strength: Proof, Stored: c.o.ETag, parts: c.o.Parts(), value: raw}
}

// evidence lists what can be compared, in order.
func (c *comparison) evidence(ctx context.Context) ([]*Evidence, error) {
	var all []*Evidence
	o := c.o
	n := o.Parts()
	byParts := o.Kind() == Multipart
	for _, s := range o.Checksums {
		byParts = byParts || s.Parts > 0
	}
	if byParts && !c.asked && (c.local.hasBytes() || n == 1) {
		c.asked = true
		var err error
		if c.cut, c.told, err = c.v.layout(ctx, o); err != nil {
			return nil, err
		}
		c.sure = n <= 2 || c.cut.sizes != nil // the last of two is what is left
	}
	switch o.Kind() {
	case Plain:
		all = append(all, c.plain())
	case Multipart:
		all = append(all, c.ofParts(c.partsETag()))
	}
	for _, s := range o.Checksums {
		e := &Evidence{Kind: ByChecksum, Algorithm: s.Algorithm, Strength: s.Algorithm.strength(), Stored: s.String(), value: s.Value, parts: s.Parts}
		if s.Parts > 0 {
			e.Kind = ByPartsSum
			all = append(all, c.ofParts(e))
			continue
		}
		e.needs = []need{{s.Algorithm, whole(o.Size)}}
		all = append(all, e)
	}
	for _, claim := range o.Claims {
		all = append(all, &Evidence{Kind: ByClaim, Algorithm: MD5, Claim: claim.Name, Strength: Word, Stored: claim.MD5.String(),
			value: claim.MD5[:], needs: []need{{MD5, whole(o.Size)}}})
	}
	return all, nil
}

// ofParts adds to an evidence what it may be made of.
func (c *comparison) ofParts(e *Evidence) *Evidence {
	if c.told {
		e.needs = []need{{e.Algorithm, c.cut}}
		return e
	}
	e.guess = e.parts > 1
	for _, part := range etag.PartSizes(c.o.Size, e.parts, c.v.o.Guesses, c.v.o.PartSizes...) {
		e.needs = append(e.needs, need{e.Algorithm, layout{part: part}})
	}
	return e
}

// compare computes what evidence is about, in one read, and compares it.
func (c *comparison) compare(ctx context.Context, all []*Evidence) error {
	var needs []need
	for _, e := range all {
		needs = append(needs, e.needs...)
	}
	if err := c.m.compute(ctx, needs); err != nil {
		return err
	}
	for _, e := range all {
		for _, n := range e.needs {
			sums, ok := c.m.get(n)
			if !ok {
				continue
			}
			e.tested = true
			sum := sums[0]
			if e.parts > 0 {
				sum = composed(e.Algorithm, sums)
			}
			if !e.guess || bytes.Equal(sum, e.value) {
				e.Local, e.Equal = e.text(sum), bytes.Equal(sum, e.value)
				if e.PartSize = 0; e.parts > 0 && n.layout.sizes == nil {
					e.PartSize = n.layout.part
				}
			}
		}
	}
	return nil
}

// text is a digest as the store would have it.
func (e *Evidence) text(sum []byte) string {
	text := hex.EncodeToString(sum)
	if e.Kind == ByChecksum || e.Kind == ByPartsSum {
		text = base64.StdEncoding.EncodeToString(sum)
	}
	if e.parts > 0 {
		text += fmt.Sprint("-", e.parts)
	}
	return text
}

// judge says what evidence proves.
func (c *comparison) judge(all []*Evidence) *Result {
	r := &Result{Status: Unverifiable, Reason: NoEvidence, Size: c.local.Size, Parts: c.o.Parts(), Told: c.told}
	if c.told && c.cut.sizes == nil && r.Parts > 0 {
		r.PartSize = c.cut.part
	}
	var same, other, said, denied *Evidence // by the store; by the uploader
	guessed, untested, byETag := false, false, true
	first := func(to **Evidence, e *Evidence) {
		if *to == nil {
			*to = e
		}
	}
	for _, e := range all {
		r.All = append(r.All, *e)
		switch {
		case !e.tested:
			untested = true
		case e.Kind == ByClaim && e.Equal:
			first(&said, e)
		case e.Kind == ByClaim:
			first(&denied, e)
		case e.Equal:
			first(&same, e)
			if e.PartSize > 0 {
				r.PartSize = e.PartSize
			}
		case e.guess:
			guessed = true
		default:
			first(&other, e)
			byETag = byETag && e.Kind == ByETag
		}
	}
	decide := func(s Status, e *Evidence) *Result {
		r.Status, r.Reason, r.By = s, "", *e
		if s == Match && e.Strength < c.v.o.Least {
			r.Status, r.Reason = Unverifiable, TooWeak
		}
		return r
	}
	switch {
	case same != nil && other != nil, same == nil && other == nil && said != nil && denied != nil,
		other != nil && byETag && said != nil: // there are stores whose ETags look like MD5s and are none
		r.Reason = Contradiction
	case same != nil:
		return decide(Match, same)
	case other != nil:
		return decide(Differs, other)
	case said != nil:
		return decide(Match, said)
	case denied != nil:
		return decide(Differs, denied)
	case guessed:
		r.Reason = UnknownPartSize
	case untested:
		r.Reason = NoSuchSum
	}
	if len(all) > 0 {
		r.By = *all[0]
	}
	return r
}

// findBad finds the first part that differs, where the store tells checksums of
// parts.
func (c *comparison) findBad(ctx context.Context, r *Result) error {
	if c.v.o.OnlySame || c.local.File == nil || r.By.Kind == BySize || r.Parts < 2 || len(c.o.Checksums) == 0 {
		return nil
	}
	parts, err := c.v.attributes(ctx, c.o)
	if err != nil {
		return err
	}
	if !haveSums(parts) {
		first, err := c.v.headPart(ctx, c.o, 1)
		if refused(err) || err == nil && len(c.o.ofPart(first)) == 0 {
			return nil // nor will it tell of the others
		}
		if err != nil {
			return err
		}
		if parts, err = c.v.headParts(ctx, c.o); err != nil {
			return err
		}
	}
	l, ok, err := fromParts(parts, c.o)
	if !ok || !haveSums(parts) {
		return err
	}
	a := parts[0].sums[0].Algorithm
	n := need{a, l}
	if err := c.m.compute(ctx, []need{n}); err != nil {
		return err
	}
	sums, _ := c.m.get(n)
	for i, p := range parts {
		if len(p.sums) > 0 && p.sums[0].Algorithm == a && !bytes.Equal(p.sums[0].Value, sums[i]) {
			r.BadPart = i + 1
			r.BadAt, r.BadLen = l.at(i+1, c.o.Size)
			return nil
		}
	}
	return nil
}

func haveSums(parts []storedPart) bool { return len(parts) > 0 && len(parts[0].sums) > 0 }
