package upload

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// What an earlier run has done is not done again because a condition is in the
// way: the same command says that it is done, or goes on where that run stopped.

// isUncopied says whether an object that was seen to be made of the file's bytes is
// what a run leaves that dies between Complete and the end of its copy.
func (t *transfer) isUncopied(out *s3.HeadObjectOutput) bool {
	if !t.mayBeMark(out) || seen(out).etag != t.composite {
		return false
	}
	c, err := t.o.Limits.plan(t.src.size, t.o.PartSize)
	return err == nil && t.res.PartSize == c.part
}

// goOnAtCopy gives an object that has all but the MD5 as ETag the copy that it
// lacks. Where that changes nothing, the object is as it was.
func (t *transfer) goOnAtCopy(ctx context.Context, out *s3.HeadObjectOutput) error {
	if err := t.mayStage(ctx); err != nil {
		return err
	}
	t.before = seen(out)
	t.completed = t.before
	t.res.PartsResumed = t.res.Parts
	t.u.sawMD5(t.job.Bucket)
	if err := t.finishFile(ctx); err != nil {
		return err
	}
	t.res.Status = Uploaded
	if t.res.ETagKind != ETagMD5 {
		t.res.Status = Unchanged
	}
	return nil
}

// isDone is asked when the object is perhaps not the one that it was to be: it may
// be what this very upload was to make of that, and has made. What a stream is
// made of is known later, see isDoneStream.
func (t *transfer) isDone(ctx context.Context) (done bool, _ error) {
	unmet := t.holds(t.first)
	switch {
	case unmet == nil, t.first == nil:
		return false, unmet
	case t.src.size < 0 && aws.ToInt64(t.first.ContentLength) <= t.o.Threshold && !hasOpaqueETag(t.first):
		t.unmet = unmet
		return false, nil
	case t.src.size < 0:
		return false, unmet
	}
	same, err := t.sameContent(ctx, t.first)
	if err != nil {
		return false, err
	}
	if !same {
		return false, unmet
	}
	return t.isDoneAs(ctx, unmet)
}

// isDoneStream is isDone for a stream that ended early enough to be held.
func (t *transfer) isDoneStream(ctx context.Context, p *part) (done bool, _ error) {
	if t.unmet == nil {
		return false, nil
	}
	if aws.ToInt64(t.first.ContentLength) != p.size || seen(t.first).etag != p.md5.String() {
		return false, t.unmet
	}
	t.size, t.whole = p.size, p.md5
	t.res.MD5, t.res.Size, t.res.By = p.md5.String(), p.size, ByMD5
	t.storeMD5()
	return t.isDoneAs(ctx, t.unmet)
}

// isDoneAs ends an upload whose bytes are there: well, if they have the properties
// that they were to have.
func (t *transfer) isDoneAs(ctx context.Context, unmet error) (done bool, _ error) {
	has, err := t.hasProperties(ctx, t.first, t.props)
	if err != nil {
		return false, err
	}
	if !has {
		return false, &Error{Unmet, "the object has these very bytes already, but not all the properties that were asked for, as far as can be seen", unmet}
	}
	t.res.Found = nil
	return t.keep(ctx, t.first)
}
