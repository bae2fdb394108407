package upload

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3up/internal/etag"
)

// Proof is what showed that an object is made of a file's bytes, or not.
type Proof string

const (
	BySize     Proof = "size"
	ByMD5      Proof = "md5"       // the ETag is the MD5 of the bytes, or of others
	ByParts    Proof = "composite" // the same, of an object of parts
	ByChecksum Proof = "checksum"  // the store's, of all bytes
	ByMetadata Proof = "metadata"  // the MD5 that an uploader left there
	// ByTime is no proof: the ETag is no MD5 of anything and there is nothing else
	// to go by; the file is not younger than the object, or it is.
	ByTime Proof = "time"
	// ByLook: what is under the key is not what the listing showed, or may not be
	// looked at.
	ByLook Proof = "look"
)

// A Comparison is what came of comparing a file with an object.
type Comparison struct {
	Same bool
	By   Proof
	MD5  string // of the file; "" if it was not read
}

// Compare finds out whether an object of which a listing shows size and ETag is made
// of the bytes of a job's file. known is their MD5, if somebody knows it;
// the file is read if that is not enough. The store is asked only where the listing
// cannot tell: about the size of the parts of an object, and about one with another
// ETag, for that may be encrypted. A file that changes meanwhile is not the same.
func (u *Uploader) Compare(ctx context.Context, job *Job, size int64, tag string, known *etag.MD5) (Comparison, error) {
	t := u.transfer(job)
	t.compares = true
	c, err := t.compareListed(ctx, size, etag.Trim(tag), known)
	if KindOf(err) == SourceChanged && err != nil {
		return Comparison{By: c.By}, nil
	}
	if t.whole != (etag.MD5{}) {
		c.MD5 = t.whole.String()
	}
	return c, err
}

func (t *transfer) compareListed(ctx context.Context, size int64, tag string, known *etag.MD5) (Comparison, error) {
	if size != t.src.size {
		return Comparison{By: BySize}, nil
	}
	if known != nil {
		t.whole = *known
	}
	var same bool
	by := ByMD5
	switch {
	case etag.IsMD5(tag) && known != nil:
		if same = known.String() == tag; same {
			return Comparison{Same: true, By: by}, nil // nothing was read that may have changed
		}
	case etag.IsMD5(tag), etag.Parts(tag) > 0:
		if !etag.IsMD5(tag) {
			by = ByParts
		}
		var err error
		if same, err = t.sameContent(ctx, &s3.HeadObjectOutput{ETag: &tag, ContentLength: &size}); err != nil {
			return Comparison{By: by}, err
		}
	}
	if !same {
		return t.compareLooked(ctx, tag, by)
	}
	return Comparison{Same: true, By: by}, t.src.changed(ctx, t.whole)
}

// compareLooked goes by what HEAD shows of an object whose ETag is not that of the
// file's bytes.
func (t *transfer) compareLooked(ctx context.Context, tag string, by Proof) (Comparison, error) {
	out, err := t.headOf(ctx, t.job.Key)
	switch {
	case err != nil && (status(err) == 0 || KindOf(err) == Temporary):
		return Comparison{By: ByLook}, err
	case err != nil, seen(out).etag != tag, aws.ToInt64(out.ContentLength) != t.src.size:
		return Comparison{By: ByLook}, nil // gone, replaced, or not to be looked at
	case !hasOpaqueETag(out) && (etag.IsMD5(tag) || etag.Parts(tag) > 0):
		return Comparison{By: by}, nil
	}
	sums, left := shownSums(out), readable(out.Metadata)[md5Key]
	if sums == (answeredSums{}) && left == "" {
		return Comparison{By: ByTime, Same: !t.src.info.ModTime().After(aws.ToTime(out.LastModified))}, nil
	}
	if t.whole == (etag.MD5{}) || sums.md5 == "" && sums.crc != "" {
		c := newCRCParts(true)
		if t.whole, err = t.src.sumWhole(ctx, t.u.hashing, &c); err != nil {
			return Comparison{By: ByChecksum}, err
		}
		t.crc = c.all()
	}
	c := Comparison{By: ByChecksum}
	switch {
	case sums.md5 != "":
		c.Same = sums.md5 == t.whole.Base64()
	case sums.crc != "":
		c.Same = sums.crc == t.crc
	default:
		c.By, c.Same = ByMetadata, left == t.whole.Base64()
	}
	return c, t.src.changed(ctx, t.whole)
}
