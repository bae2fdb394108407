package upload

import (
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3up/internal/crc"
	"s3up/internal/etag"
	"s3up/internal/verify"
)

// Proof is what showed that an object is made of a file's bytes, or not.
type Proof string

const (
	BySize     Proof = "size"
	ByMD5      Proof = "etag"       // it is the MD5 of the bytes, or of others
	ByParts    Proof = "etag-parts" // the same, of an object of parts
	ByChecksum Proof = "checksum"   // the store's, of all bytes or of those of parts
	ByMetadata Proof = "metadata"   // the MD5 that an uploader left there
	// BySeen: the ETag tells nothing of the bytes, but an object with this one was seen
	// to be made of them.
	BySeen Proof = "seen"
	// ByTime is no proof: the ETag is no MD5 of anything and there is nothing else
	// to go by; the file was last changed before the object was made, or it was not.
	ByTime Proof = "time"
	// ByLook: what is under the key is not what the listing showed, or may not be
	// looked at.
	ByLook Proof = "look"
)

// proofs are what package verify calls them.
var proofs = map[verify.EvidenceKind]Proof{
	verify.BySize:      BySize,
	verify.ByETag:      ByMD5,
	verify.ByPartsETag: ByParts,
	verify.ByChecksum:  ByChecksum,
	verify.ByPartsSum:  ByChecksum,
	verify.ByClaim:     ByMetadata,
}

// A Comparison is what came of comparing a file with an object.
type Comparison struct {
	Same bool
	By   Proof
	MD5  string   // of the file; "" if it was not read
	Kind ETagKind // of the object, if it is the same
}

// Compare finds out whether an object of which a listing shows size and ETag is made
// of the bytes of a job's file. known is their MD5, if somebody knows it;
// the file is read if that is not enough. The store is asked only where the listing
// cannot tell: about the size of the parts of an object, and about one with another
// ETag, for that may be encrypted. A file that changes meanwhile is not the same.
func (u *Uploader) Compare(ctx context.Context, job *Job, size int64, tag string, known *etag.MD5) (Comparison, error) {
	t := u.transfer(job)
	t.compares = true
	if size != t.src.size {
		return Comparison{By: BySize}, nil
	}
	c, err := t.cutAsUsual()
	if err != nil {
		return Comparison{By: BySize}, err
	}
	l := t.local(verify.Digest{Algorithm: verify.MD5})
	l.PartSize = c.part
	if known != nil {
		l.Sums = map[verify.Algorithm][]byte{verify.MD5: known[:]}
	}
	tag = etag.Trim(tag)
	listed := verify.Listed(job.Bucket, job.Key, tag, size, time.Time{}, time.Now())
	r, err := t.verifier(verify.Word).Verify(ctx, l, job.Bucket, job.Key, listed, nil)
	switch {
	case hasChanged(err):
		return Comparison{By: ByMD5}, nil
	case errors.Is(err, verify.ErrReplaced), status(err) != 0 && KindOf(err) != Temporary:
		return Comparison{By: ByLook}, nil // gone, replaced, or not to be looked at
	case err != nil:
		return Comparison{By: ByLook}, err
	case r.Status == verify.Missing, r.Object.ETag != tag || tag == "", r.Object.Size != size:
		return Comparison{By: ByLook, MD5: r.MD5}, nil
	}
	got := Comparison{By: proofs[r.By.Kind], MD5: r.MD5}
	switch {
	case r.Status == verify.Match:
		got.Same, got.Kind = true, ETagKind(r.Object.Kind())
	case r.Reason == verify.NoEvidence && t.src.isOlder(r.Object):
		got.Same, got.By, got.Kind = true, ByTime, ETagOpaque
	case r.Reason == verify.NoEvidence:
		got.By = ByTime
	}
	return got, nil
}

// isOlder says whether the file was last changed before an object was made, as far as
// times can tell. What was changed within the same second may have been changed
// after; a time that was put back says nothing, and if the store's clock is ahead,
// what it calls later may be earlier.
func (s *Source) isOlder(o *verify.Object) bool {
	changed := s.info.ModTime()
	if c := ChangeTime(s.info); c.After(changed) {
		changed = c
	}
	if o.Ahead > 0 {
		changed = changed.Add(o.Ahead + time.Second) // its Date has whole seconds
	}
	return changed.Before(o.Modified.Truncate(time.Second))
}

// hasChanged says whether an error is that of a file which changed.
func hasChanged(err error) bool {
	var changed *verify.ChangedError
	return errors.As(err, &changed) || err != nil && KindOf(err) == SourceChanged
}

// verifier returns what finds out whether an object is made of the file's bytes, by
// evidence of some strength.
func (t *transfer) verifier(least verify.Strength) *verify.Verifier {
	return t.u.verifier.With(looker{t}, func(o *verify.Options) {
		o.Least = least
		o.CustomerKey.Algorithm, o.CustomerKey.Key, o.CustomerKey.MD5 = t.props.customer()
	})
}

// newVerifier returns that of which the transfers make theirs.
func newVerifier(o *Options) *verify.Verifier {
	v := verify.Options{OnlySame: true, Fresh: math.MaxInt64}
	for shift := range 4 {
		v.PartSizes = append(v.PartSizes, o.PartSize<<shift, o.PartSize>>shift)
	}
	return verify.New(nil, v)
}

// A looker asks the store for package verify. It does not ask for what names the part
// that differs: what differs is sent.
type looker struct{ t *transfer }

func (l looker) HeadObject(ctx context.Context, in *s3.HeadObjectInput, options ...func(*s3.Options)) (out *s3.HeadObjectOutput, err error) {
	if l.t.compares {
		slot, err := l.t.u.slots.acquire(ctx, weightSmall)
		if err != nil {
			return nil, err
		}
		defer func() { slot.release(err == nil, 0) }()
	}
	return l.t.u.client.HeadObject(ctx, in, append(options, l.t.with)...)
}

func (looker) GetObjectAttributes(context.Context, *s3.GetObjectAttributesInput, ...func(*s3.Options)) (*s3.GetObjectAttributesOutput, error) {
	return nil, errors.ErrUnsupported
}

// local is the file as package verify takes it, with what is to be computed beside.
func (t *transfer) local(beside ...verify.Digest) verify.Local {
	return verify.Local{Name: t.src.name, Size: t.src.size, Changed: t.src.traces, Beside: beside,
		Read: func(ctx context.Context, w io.Writer) error {
			if err := take(ctx, t.u.hashing.turn); err != nil {
				return err
			}
			defer func() { <-t.u.hashing.turn }()
			if t.src.size > t.o.Threshold {
				t.stage(StageHash)
			}
			if err := t.src.read(ctx, w, 0, t.src.size); err != nil {
				return err
			}
			return t.src.atEnd()
		}}
}

// cutAsUsual is the cut in which the file would be sent; part is 0 if it would be in
// one piece.
func (t *transfer) cutAsUsual() (cut, error) {
	if t.src.size <= t.o.Threshold {
		return cut{}, nil
	}
	return t.o.Limits.plan(t.src.size, t.o.PartSize)
}

// sameContent says whether what the store tells proves that the object is made of the
// file's bytes, and that these did not change since: its ETag, or with IfChanged a
// checksum of the store's. What is hashed for it is not hashed again if they are sent.
func (t *transfer) sameContent(ctx context.Context, out *s3.HeadObjectOutput) (bool, error) {
	o := verify.Looked(t.job.Bucket, t.job.Key, out)
	least := verify.Proof
	if t.o.IfChanged {
		least = verify.Sum
	} else {
		o.Checksums = nil
	}
	switch {
	case o.Size != t.src.size:
		return false, nil
	case o.Kind() == verify.Opaque && len(o.Checksums) == 0:
		t.noteUnknown()
		return false, nil
	}
	c, err := t.cutAsUsual()
	if err != nil {
		return false, err
	}
	beside := []verify.Digest{{Algorithm: verify.MD5}}
	own := c.part > 0 && (o.Kind() == verify.Plain || o.Parts() == c.parts())
	if own {
		t.crcs = t.sendsCRC(c.size)
		beside = append(beside, verify.Digest{Algorithm: verify.MD5, PartSize: c.part})
	}
	if own && t.crcs || c.part == 0 && t.o.Checksum == SumCRC64NVME {
		beside = append(beside, verify.Digest{Algorithm: verify.CRC64NVME, PartSize: c.part})
	}
	l := t.local(beside...)
	l.PartSize = c.part
	r, err := t.verifier(least).Verify(ctx, l, t.job.Bucket, t.job.Key, o, nil)
	switch {
	case errors.Is(err, verify.ErrReplaced):
		return false, nil
	case hasChanged(err):
		return false, fail(SourceChanged, "%s", err)
	case err != nil:
		return false, err
	}
	t.computed(r, c)
	t.res.By = proofs[r.By.Kind]
	return r.Status == verify.Match, nil
}

// computed takes what was computed of the file, and how an object is cut that is the
// same.
func (t *transfer) computed(r *verify.Result, c cut) {
	md5s := func(part int64) (sums []etag.MD5) {
		for _, raw := range r.Digests(verify.Digest{Algorithm: verify.MD5, PartSize: part}) {
			sums = append(sums, etag.MD5(raw))
		}
		return sums
	}
	crcs := newCRCParts(true)
	for i, raw := range r.Digests(verify.Digest{Algorithm: verify.CRC64NVME, PartSize: c.part}) {
		size := t.src.size
		if c.part > 0 {
			_, size = c.at(i + 1)
		}
		crcs.add(crc.Sum(binary.BigEndian.Uint64(raw)), size)
	}
	if len(crcs.parts) == 0 {
		crcs = crcParts{}
	}
	all := md5s(0)
	if len(all) == 0 {
		return // nothing was read
	}
	whole, own := all[0], md5s(c.part)
	switch {
	case c.part == 0:
		t.size, t.whole, t.crc, t.res.MD5 = t.src.size, whole, crcs.all(), whole.String()
		t.storeMD5()
	case len(own) > 0:
		t.sums = &sums{src: t.src, cut: c, whole: &whole, hashed: c.size, parts: own, crcs: crcs, turn: t.u.hashing.turn}
		t.learned(c, own, whole, crcs.all())
	default:
		t.whole = whole
	}
	switch {
	case r.Status != verify.Match:
	case r.By.Kind == verify.ByETag:
		t.composite, t.res.Parts, t.res.PartSize = "", 0, 0 // it is in one piece
	case r.By.Kind != verify.ByPartsETag:
		t.size, t.composite, t.res.MD5 = t.src.size, "", whole.String()
		t.res.Parts, t.res.PartSize = r.Parts, r.PartSize
		t.storeMD5()
	case r.PartSize != c.part:
		t.learned(cut{t.src.size, r.PartSize}, md5s(r.PartSize), whole, crcs.all())
		t.composite, t.res.Parts = r.By.Stored, r.Parts
	}
}
