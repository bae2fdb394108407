package upload

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// What an upload leaves to the copy that follows it: the storage class, because one
// for rare access bills what is replaced early, and the MD5 in the metadata, which
// is known only once all was read. Where no copy follows after all, one is made for
// that, or it is told.

// sawNoCopy notes that no copy follows an upload to a bucket: the store refuses
// it, or the object has its MD5 as ETag already. What is uploaded there after that
// leaves nothing to a copy.
func (u *Uploader) sawNoCopy(bucket string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.uncopied[bucket] = true
}

func (u *Uploader) copiesNothing(bucket string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.uncopied[bucket]
}

// leftToCopy says whether the upload has not carried the storage class, or the MD5 in
// the metadata, because a copy was to follow.
func (t *transfer) leftToCopy() (class, md5 bool) {
	class = t.props.StorageClass != "" && t.stated.StorageClass == ""
	md5 = t.o.StoreMD5 && t.stated.Metadata[md5Key] == ""
	return class, md5
}

// noteLeft tells what no copy has set that was left to it, where the object does
// not show it.
func (t *transfer) noteLeft() {
	class, md5 := t.leftToCopy()
	t.res.Lacking = class || md5
	if class {
		t.note("the storage class %s is not set, because no copy followed that could do it%s", t.props.StorageClass, withoutCopy)
	}
	if md5 {
		t.note("%s", t.lateMD5())
	}
}

// withoutCopy ends a note about what was left to a copy.
const withoutCopy = "; --normalize off has the upload itself set it"

// lateMD5 says why the MD5 is not in the metadata.
func (t *transfer) lateMD5() string {
	const why = "the MD5 is not in the metadata: it was known too late, and no copy followed that could put it there"
	if t.src.size < 0 {
		return why
	}
	return why + "; with --normalize off the file is read for it before it is sent"
}

// already is the end for an object that has its MD5 as ETag without a copy, but
// for what was left to one: then it is copied for that.
func (t *transfer) already(ctx context.Context, out *s3.HeadObjectOutput) error {
	t.res.Normalized = Already
	t.result(seen(out), ETagMD5)
	t.shows(out)
	copies := t.copies(t.size)
	if t.completed.etag == t.whole.String() {
		t.u.sawNoCopy(t.job.Bucket)
	}
	if !copies {
		return nil
	}
	lacks, err := t.lacksCopy(ctx, out)
	if err != nil || !lacks {
		return err
	}
	in := t.ontoItself(out)
	t.restate(in, out)
	after, made, refused, err := t.copyOver(ctx, in)
	switch {
	case err != nil:
		return err
	case refused != nil:
		t.noteOnce("the copy that sets what the upload had left to it was refused (%s)%s", reason(refused), lacking(refused, t.copyNeeds(), "--normalize off"))
		return nil
	}
	t.restated = true
	t.result(seen(after), ETagMD5)
	t.oldVersion(ctx, after, made)
	t.shows(after)
	return nil
}

// lacksCopy says whether an object lacks what only a copy can give it.
func (t *transfer) lacksCopy(ctx context.Context, out *s3.HeadObjectOutput) (bool, error) {
	class, md5 := t.leftToCopy()
	for _, a := range t.props.attributes(out) {
		if a.got != a.want && (class && a.name == classAttribute || md5 && a.name == md5Attribute) {
			return true, nil
		}
	}
	if !t.inherited {
		return false, nil
	}
	same, _, err := t.isAsAsked(ctx, out, t.props)
	return !same, err
}
