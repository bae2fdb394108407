package upload

import (
	"bytes"
	"context"
	"crypto/md5"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/etag"
)

// Staged publishing: the parts go to a staging key, beside the key; what they
// become is verified there, and then copied to the key in one step, with its
// properties. Who reads the key never sees an object of parts, or one that was not
// verified. What goes up in one piece needs none of it: the store checks it
// against its MD5 before it is there.

func (t *transfer) publishes() bool { return t.o.Publish == PublishStaged }

// publishingKey is where the parts go: the same for every run that writes the
// key, so that a rerun goes on with what a killed run left.
func (t *transfer) publishingKey() string { return t.stagingPrefix() + short("publish") }

// toStaging makes the staging key the one that the object is made under.
func (t *transfer) toStaging() {
	if t.publishes() {
		t.key, t.before = t.publishingKey(), answer{}
	}
}

// mayPublish says what an object of this size cannot be published for, as far as
// that is known without the store. What may be deleted, mayStage tries.
func (t *transfer) mayPublish(size int64) error {
	switch {
	case !t.publishes():
		return nil
	case size > t.o.Limits.MaxCopy:
		return fail(Usage, "%s is more than the %s that can be copied in one piece: it cannot be published by a copy",
			byteSize(size), byteSize(t.o.Limits.MaxCopy))
	case len(t.job.Key) > maxKey:
		return fail(Usage, "a key of %d bytes is longer than the %d that S3 takes", len(t.job.Key), maxKey)
	}
	return nil
}

// mayUnstage makes sure that a bucket that keeps versions lets a staged one be
// deleted: one that locks what is put into it does not, and may keep it for years.
func (t *transfer) mayUnstage(ctx context.Context) error {
	locks, err := t.u.locksByDefault(ctx, t.job.Bucket, t.with)
	switch {
	case err != nil:
		return err
	case locks:
		return fail(Usage, "the bucket %s locks what is put into it: a staged object could not be deleted again", t.job.Bucket)
	}
	t.u.mu.Lock()
	defer t.u.mu.Unlock()
	if denied := t.u.unasked[t.job.Bucket]; denied != nil {
		return &Error{Access, "the bucket keeps versions, and whether it locks them may not be asked: a staged object might stay behind, locked (--publish direct does without)", denied}
	}
	return nil
}

// mayCarry tries, on an empty object beside the key, whether an object may have the
// tags and the access that were asked for: the copy that publishes would say so
// when all is sent. The staged object has neither, because nobody is to read it.
func (t *transfer) mayCarry(ctx context.Context) error {
	if len(t.props.Tags) == 0 && t.props.ACL == "" && len(t.props.Grants.All()) == 0 {
		return nil
	}
	p := t.props.encryption()
	p.Tags, p.ACL, p.Grants, p.Metadata = t.props.Tags, t.props.ACL, t.props.Grants, t.stagingProperties().Metadata
	probe := t.probeKey()
	in := &s3.PutObjectInput{
		Bucket: &t.job.Bucket, Key: &probe, Body: bytes.NewReader(nil), ContentLength: aws.Int64(0),
		ContentMD5: aws.String(etag.MD5(md5.Sum(nil)).Base64()),
	}
	p.put(in)
	out, err := t.u.client.PutObject(ctx, in, t.with)
	if err != nil {
		return err
	}
	t.unstage(ctx, probe, aws.ToString(out.VersionId))
	return nil
}

// publish verifies the staged object, copies it to its key and deletes it. Where
// the same upload may well succeed another time, it stays for that.
func (t *transfer) publish(ctx context.Context) error {
	staging, mine := t.key, t.completed
	out, err := t.head(ctx)
	switch {
	case status(err) == http.StatusNotFound:
		out, err := t.publishedByAnother(ctx, answer{})
		if err != nil {
			return err
		}
		t.key, t.completed, t.res.Published = t.job.Key, answer{}, true
		return t.normalized(ctx, out, answer{}, StagedCopy)
	case cannotLook(err), status(err) == http.StatusBadRequest:
		err = &Error{Access, "the staged object cannot be looked at", err}
	case err != nil:
	default:
		mine = seen(out)
		switch t.judge(out, t.completed) {
		case foreign:
			return t.stagingOverwritten(out)
		case isWrong:
			err = t.mismatch(seen(out))
		default:
			if err = t.verifyStaged(out); err == nil {
				err = t.publishFrom(ctx, staging, out)
			}
		}
	}
	if err == nil || t.src.size < 0 || ctx.Err() == nil && !passes(KindOf(err)) {
		t.clearStaging(ctx, staging, mine)
	}
	return err
}

// verifyStaged makes sure that what is to replace an object is encrypted as was
// asked for.
func (t *transfer) verifyStaged(out *s3.HeadObjectOutput) error {
	if why := t.props.unlike(shieldOf(out)); why != "" {
		t.sawPlain(why)
		return fail(Unpublished, "the staged object is %s", why)
	}
	return nil
}

// stagingOverwritten is the error for a staged object that somebody else made.
func (t *transfer) stagingOverwritten(out *s3.HeadObjectOutput) error {
	return fail(Conflict, "somebody else wrote the staging key meanwhile: its ETag is %s", clip(seen(out).etag))
}

// publishFrom copies the staged object to the key, on condition that it is the
// one that was verified, and verifies the copy.
func (t *transfer) publishFrom(ctx context.Context, staging string, staged *s3.HeadObjectOutput) error {
	t.stage(StageNormalize)
	t.key, t.before = t.job.Key, answer{}
	switch there, err := t.head(ctx); {
	case err == nil:
		t.before = seen(there)
		t.noteEarlyDeletion(there)
	case status(err) == 0 || KindOf(err) == Temporary:
		return err
	}
	in := &s3.CopyObjectInput{
		Bucket: &t.job.Bucket, Key: &t.job.Key,
		CopySource: copySource(t.job.Bucket, staging), CopySourceIfMatch: staged.ETag,
	}
	t.restate(in, staged)
	t.askSum(in)
	if t.hidesMD5() && t.asksMD5() {
		in.ChecksumAlgorithm = types.ChecksumAlgorithmMd5
	}
	before := t.counter.count("CopyObject")
	for try := 1; ; try++ {
		t.condition(&in.IfNoneMatch, &in.IfMatch)
		made, err := t.copy(t.retryRaces(ctx), in)
		again := false
		if err != nil {
			if made, again, err = t.afterPublish(ctx, staging, staged, err, t.counter.count("CopyObject")-before > 1); err != nil {
				return err
			}
		}
		if !again {
			t.completed = answer{} // its version is gone with the staged object
			done, err := t.verifyPublished(ctx, made, try)
			if done || err != nil {
				return err
			}
		}
	}
}

// afterPublish settles a copy to the key that ended in an error: it may have been
// made all the same. again says that it is to be made once more.
func (t *transfer) afterPublish(ctx context.Context, staging string, staged *s3.HeadObjectOutput, cause error, repeated bool) (_ answer, again bool, _ error) {
	if status(cause) == http.StatusNotFound || status(cause) == http.StatusPreconditionFailed {
		now, err := t.headOf(ctx, staging)
		switch {
		case status(err) == http.StatusNotFound:
			_, err := t.publishedByAnother(ctx, t.before)
			return answer{}, false, err
		case err != nil:
			return answer{}, false, err
		case seen(now).etag != seen(staged).etag:
			return answer{}, false, t.stagingOverwritten(now)
		}
	}
	if t.isUnmet(cause) {
		_, again, err := t.afterRefusal(ctx, cause, repeated)
		return answer{}, again, err
	}
	out, err := t.head(ctx)
	if err == nil && t.judge(out, answer{}) == isMD5 && !seen(out).same(t.before) {
		return answer{}, false, nil
	}
	return answer{}, false, cause
}

// verifyPublished looks at what the copy to the key made. done is false if it is
// to be made again.
func (t *transfer) verifyPublished(ctx context.Context, made answer, try int) (done bool, _ error) {
	if made.etag == "" && try < copyTries {
		// An answer that may not be the store's.
		out, err := t.head(ctx)
		if status(err) == http.StatusNotFound || err == nil && seen(out).same(t.before) {
			return false, nil
		}
	}
	done, err := t.verifyCopy(ctx, made, StagedCopy, try)
	t.res.Published = done && err == nil
	return done, err
}
