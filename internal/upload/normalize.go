package upload

import (
	"context"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/encoding/httpbinding"

	"s3up/internal/etag"
)

// finish gives the object that was completed its MD5 as ETag where that is
// possible, and makes sure that it is what it was to be.
func (t *transfer) finish(ctx context.Context) error {
	bring := t.normalize
	if t.publishes() {
		bring = t.publish
	}
	if err := bring(ctx); err != nil {
		return err
	}
	if err := t.verifyInherited(ctx); err != nil {
		return err
	}
	t.tellDifferences()
	if err := t.verifyChecksum(); err != nil {
		return err
	}
	if err := t.verifyProtection(ctx); err != nil {
		return err
	}
	t.compareUnshown(ctx)
	return nil
}

// normalize looks at the object that was completed, gives it the MD5 as ETag
// where that is possible, and looks again.
func (t *transfer) normalize(ctx context.Context) error {
	out, err := t.head(ctx)
	switch {
	case err == nil:
	case status(err) == http.StatusNotFound:
		return fail(Conflict, "the object was deleted by somebody else after it was completed")
	case cannotLook(err) && (t.completed.etag != "" || t.named):
		return t.unseen(err)
	case status(err) == http.StatusBadRequest:
		// The answer to HEAD cannot say more: most often, a token has expired.
		return &Error{Access, "the object cannot be looked at", err}
	default:
		return err
	}
	now := seen(out)
	t.original = out
	if err := t.findLock(ctx, out); err != nil {
		return err
	}
	switch t.judge(out, t.completed) {
	case foreign:
		return t.overwritten(now)
	case isWrong:
		return t.mismatch(now)
	case isMD5:
		return t.already(ctx, out)
	case isOpaque:
		if t.hidesMD5() && t.asksMD5() && t.copies(t.size) {
			return t.checksumCopy(ctx, out)
		}
		t.opaque(now)
		t.shows(out)
		return nil
	}
	t.result(now, ETagMultipart)
	switch {
	case t.hidesMD5():
		t.opaque(now)
	case t.o.Normalize == NormalizeOff:
		t.res.Normalized = Off
	case t.locked && t.o.Normalize == NormalizeAuto:
		t.res.Normalized, t.res.Locked = Off, true
		t.noteOnce("the bucket locks objects: a copy would leave the version that it replaces locked as well; --normalize self copies all the same")
	case t.size > t.o.Limits.MaxCopy:
		t.res.Normalized = TooLarge
		t.note("objects larger than %s cannot be copied in one piece: the ETag is the composite of %s",
			byteSize(t.o.Limits.MaxCopy), plural(t.res.Parts, "part"))
	case t.o.Normalize == NormalizeStaged:
		return t.staged(ctx, out)
	default:
		return t.selfCopy(ctx, out)
	}
	t.shows(out)
	return nil
}

// unseen is the end for credentials that may write but not read: the object was
// verified part by part, and by the answer to Complete.
func (t *transfer) unseen(cause error) error {
	t.u.sawNoCopy(t.job.Bucket)
	t.noteLeft()
	switch tag := t.completed.etag; {
	case tag == t.whole.String():
		t.res.Normalized = Already
		t.result(t.completed, ETagMD5)
		return nil
	case tag == t.composite && t.o.Normalize == NormalizeOff:
		t.res.Normalized = Off
		t.result(t.completed, ETagMultipart)
		return nil
	case tag == t.composite:
		t.result(t.completed, ETagMultipart)
	case !t.hidesMD5() && t.u.knowsMD5(t.job.Bucket) && (etag.IsMD5(tag) || etag.Parts(tag) == t.res.Parts):
		return t.mismatch(t.completed)
	default:
		t.result(t.completed, ETagOpaque)
	}
	t.res.Normalized = Refused
	t.note("the object may not be looked at (%s): it is verified by its parts, and its ETag stays what it is%s", reason(cause),
		lacking(cause, "s3:GetObject", "--normalize off"))
	return nil
}

// copySource names an object for CopyObject. Every byte but the unreserved ones
// is escaped: stores read what is not in different ways, and then copy another
// object (SERVERS.md, finding 11). The SDK sends the header as it is.
func copySource(bucket, key string) *string {
	if strings.HasPrefix(bucket, "arn:") { // of an access point
		return aws.String(httpbinding.EscapePath(bucket+"/object/"+key, false))
	}
	return aws.String(bucket + "/" + httpbinding.EscapePath(key, false))
}

// copyTries is how often a copy is made whose effect does not show.
const copyTries = 3

// selfCopy copies the object onto itself, so that it becomes one piece with the
// MD5 as ETag, and verifies that it did. The condition keeps the copy from
// restating somebody else's newer object with our properties.
func (t *transfer) selfCopy(ctx context.Context, out *s3.HeadObjectOutput) error {
	t.stage(StageNormalize)
	in := t.ontoItself(out)
	t.restate(in, out)
	t.askSum(in)
	if t.existing != nil {
		t.keepSum(in, out)
	}
	for try := 1; ; try++ {
		made, err := t.copy(ctx, in)
		if err != nil {
			return t.afterCopy(ctx, out, SelfCopy, err)
		}
		done, err := t.verifyCopy(ctx, made, SelfCopy, try)
		if done || err != nil {
			return err
		}
	}
}

// checksumCopy copies an encrypted object onto itself and has the store compute
// the MD5 of all its bytes on the way: its ETag never is one.
func (t *transfer) checksumCopy(ctx context.Context, out *s3.HeadObjectOutput) error {
	t.stage(StageNormalize)
	in := t.ontoItself(out)
	in.ChecksumAlgorithm = types.ChecksumAlgorithmMd5
	t.restate(in, out)
	made, err := t.copy(ctx, in)
	t.copied = made.etag != "" && made.etag != t.composite
	after, herr := t.head(ctx)
	if herr != nil {
		return herr
	}
	now, sum := seen(after), shownSums(after).md5
	if sum == "" && made.made(now) {
		sum = made.md5
	}
	switch {
	case sum == t.whole.Base64() && aws.ToInt64(after.ContentLength) == t.size:
		// Also after an answer that was lost, or a refusal because of the copy itself.
		t.opaque(now)
		t.res.Normalized, t.restated = ChecksumMD5, true
		t.summed = answeredSums{md5: sum}
	case err != nil && now.same(seen(out)):
		t.opaque(now)
		t.note("the copy that proves the MD5 of the whole was refused (%s): the object is verified by its parts%s", reason(err),
			lacking(err, t.copyNeeds(), "--normalize off"))
	case err != nil, !made.made(now):
		return t.overwritten(now)
	case sum == "":
		t.opaque(now)
		t.restated = true
	default:
		return fail(Integrity, "the store's MD5 of the object is %s, that of what was read is %s", clip(sum), t.whole.Base64())
	}
	t.shows(after)
	return nil
}

// copy makes a copy. A storage class that the store does not know is left out.
func (t *transfer) copy(ctx context.Context, in *s3.CopyObjectInput) (answer, error) {
	out, err := t.u.client.CopyObject(ctx, in, t.with)
	if code(err) == "InvalidStorageClass" && in.StorageClass != "" && t.existing == nil {
		t.note("the store does not know the storage class %s: the object is stored in its default class", in.StorageClass)
		t.res.Lacking = t.props.StorageClass != ""
		t.props.StorageClass, in.StorageClass = "", ""
		out, err = t.u.client.CopyObject(ctx, in, t.with)
	}
	if err != nil {
		return answer{}, err
	}
	made := answer{version: aws.ToString(out.VersionId)}
	if r := out.CopyObjectResult; r != nil {
		t.summed = wholeSums(r.ChecksumType, r.ChecksumCRC64NVME, r.ChecksumMD5)
		made.etag = etag.Trim(aws.ToString(out.CopyObjectResult.ETag))
		made.md5 = aws.ToString(out.CopyObjectResult.ChecksumMD5)
	}
	return made, nil
}

// ontoItself is a copy of an object onto itself, on condition that it is still the
// one that HEAD showed.
func (t *transfer) ontoItself(out *s3.HeadObjectOutput) *s3.CopyObjectInput {
	return &s3.CopyObjectInput{
		Bucket: &t.job.Bucket, Key: &t.job.Key,
		CopySource: copySource(t.job.Bucket, t.job.Key), CopySourceIfMatch: out.ETag,
	}
}

// copyOver makes a copy of an object onto itself that is to change nothing but its
// properties, and looks at it. refused is why it was not made.
func (t *transfer) copyOver(ctx context.Context, in *s3.CopyObjectInput) (out *s3.HeadObjectOutput, made answer, refused, _ error) {
	t.stage(StageNormalize)
	made, cause := t.copy(ctx, in)
	out, err := t.head(ctx)
	switch {
	case status(err) == http.StatusNotFound:
		return nil, made, nil, fail(Conflict, "the object was deleted by somebody else meanwhile")
	case err != nil:
		return nil, made, nil, err
	}
	switch t.judge(out, made) {
	case foreign:
		return nil, made, nil, t.overwritten(seen(out))
	case isWrong:
		return nil, made, nil, t.mismatch(seen(out))
	}
	if cause == nil {
		return out, made, nil, nil
	}
	// It may have been made all the same, and then be refused because of itself.
	switch has, err := t.hasProperties(ctx, out, t.props); {
	case err != nil:
		return nil, made, nil, err
	case has:
		return out, made, nil, nil
	case cannot(cause):
		return out, made, cause, nil
	}
	return nil, made, nil, cause
}

// afterCopy settles a copy onto the key that ended in an error: it may have been
// made all the same, and then be refused because of itself.
func (t *transfer) afterCopy(ctx context.Context, before *s3.HeadObjectOutput, how Normalized, cause error) error {
	out, err := t.head(ctx)
	if err != nil {
		if status(err) == http.StatusNotFound {
			return fail(Conflict, "the object was deleted by somebody else after it was completed")
		}
		if KindOf(err) == Temporary || ctx.Err() != nil {
			return err // the copy may have been made, and then be refused because of itself
		}
		return cause
	}
	switch t.judge(out, answer{}) {
	case isMD5:
		return t.normalized(ctx, out, answer{}, how)
	case foreign:
		return t.overwritten(seen(out))
	}
	if t.existing != nil {
		return t.refusedExisting(cause)
	}
	if !cannot(cause) && status(cause) != http.StatusPreconditionFailed {
		return cause
	}
	if isAlways(cause) {
		t.u.sawNoCopy(t.job.Bucket)
	}
	t.res.Normalized = Refused
	t.noteOnce("the copy that gives the object its MD5 as ETag was refused (%s): the object is stored and verified, its ETag stays composite%s", reason(cause),
		lacking(cause, t.copyNeeds(), "--normalize off"))
	t.shows(before)
	return nil
}

// isAlways says whether a refused copy of one object tells of those of others.
func isAlways(cause error) bool {
	s := status(cause)
	return s == http.StatusNotImplemented || s == http.StatusMethodNotAllowed || code(cause) == "AccessDenied"
}

// restate has a copy state the object's properties, and drop tags that are there
// though nobody asked for any: an earlier run's. out shows the source. Those of an
// object that was there already stay.
func (t *transfer) restate(in *s3.CopyObjectInput, out *s3.HeadObjectOutput) {
	t.props.copy(in)
	if n, _ := tagCount(out); n > 0 && t.existing == nil {
		in.TaggingDirective = types.TaggingDirectiveReplace
	}
}

// verifyCopy looks at what a copy onto the key made. done is false if the copy
// is to be made again.
func (t *transfer) verifyCopy(ctx context.Context, made answer, how Normalized, try int) (done bool, _ error) {
	t.copied = made.etag != "" && made.etag != t.composite
	out, err := t.head(ctx)
	if err != nil {
		return false, err
	}
	now := seen(out)
	switch t.judge(out, made) {
	case isWrong:
		return false, t.mismatch(now)
	case isMD5:
		return true, t.normalized(ctx, out, made, how)
	case isOpaque:
		t.restated = true
		t.opaque(now)
		t.shows(out)
		return true, nil
	case isComposite:
		// A copy that gave the MD5 and is not there any more: somebody else has
		// completed an upload of the same bytes since.
		if (made.etag == "" || made.etag == t.whole.String()) && try < copyTries {
			return false, nil
		}
		t.restated = true
		if t.hidesMD5() {
			t.opaque(now)
		} else {
			t.kept(how)
			t.result(now, ETagMultipart)
			t.oldVersion(ctx, out, made)
		}
		t.shows(out)
		return true, nil
	}
	return false, t.overwritten(now)
}

func (t *transfer) kept(how Normalized) {
	t.res.Normalized = Kept
	advice := ""
	switch {
	case t.o.Checksum == SumCRC64NVME && how == SelfCopy:
		advice = " and has a checksum; without one, or with --normalize staged, it may give it the MD5"
	case how == SelfCopy:
		advice = "; --normalize staged may give it the MD5, at the cost of two full copies"
	}
	t.note("this store keeps the composite ETag of a multipart object when it is copied%s", advice)
}

// normalized notes that the object has its MD5 as ETag.
func (t *transfer) normalized(ctx context.Context, out *s3.HeadObjectOutput, made answer, how Normalized) error {
	t.res.Normalized, t.restated = how, true
	t.result(seen(out), ETagMD5)
	t.oldVersion(ctx, out, made)
	t.shows(out)
	return nil
}
