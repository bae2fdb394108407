package upload

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/etag"
)

// A condition is kept by the store: If-None-Match or If-Match goes with the
// request that makes the object. Some stores ignore it (SERVERS.md, i), and a
// refusal at the end would come after all bytes were sent; so s3up looks as well:
// before anything is sent, and again right before parts become the object.

func (o *Options) conditional() bool { return o.NoClobber || o.IfMatch != "" }

// looksFirst says whether the key is looked at before anything is read.
func (o *Options) looksFirst() bool { return o.conditional() || o.IfChanged }

func (o *Options) checkConditions() error {
	n := 0
	for _, set := range []bool{o.NoClobber, o.IfMatch != "", o.IfChanged} {
		if set {
			n++
		}
	}
	switch {
	case n > 1:
		return fail(Usage, "only one condition is possible")
	case o.Publish != PublishStaged:
		return nil
	case o.conditional() && !o.CopyConditions:
		return fail(Usage, "--publish staged with a condition needs a store that checks conditions on what a copy replaces, and this one is not known to: leave one of them out")
	case o.Normalize != NormalizeAuto:
		return fail(Usage, "staged publishing is a copy that gives the object its MD5 as ETag: there is no other way to normalize it")
	}
	return nil
}

// lookFirst looks at the key, if a condition was asked for. done is true if
// nothing is to be sent.
func (t *transfer) lookFirst(ctx context.Context) (done bool, _ error) {
	if !t.o.looksFirst() {
		return false, nil
	}
	out, err := t.lookAt(ctx)
	switch {
	case err == nil:
		t.looked, t.first = true, out
		t.before = seen(out)
	case status(err) == http.StatusNotFound:
		t.looked = true
	case errors.Is(err, errNeedsKey):
		return t.needsKey()
	case cannotLook(err) && t.o.IfChanged:
		t.note("whether the object is the same cannot be told (%s): it may not be looked at, and is uploaded%s", reason(err), lookNeeds(err))
		return false, nil
	case cannotLook(err):
		t.note("the key may not be looked at (%s): the condition holds only if the store keeps it%s", reason(err), lookNeeds(err))
		return false, nil
	case status(err) == 0, KindOf(err) == Temporary, status(err) == http.StatusBadRequest:
		return false, err
	default:
		return false, nil // an answer that can be read tells better
	}
	switch {
	case t.o.NoClobber && t.first != nil:
		t.skip(t.first)
		return true, nil
	case t.o.IfMatch != "" && !t.mayBeMark(t.first):
		return t.isDone(ctx)
	case t.o.IfChanged && t.first != nil && t.src.size >= 0:
		return t.sameFile(ctx, t.first)
	}
	return false, nil
}

// errNeedsKey says that there is an object that nobody may look at without the key
// that it was encrypted with.
var errNeedsKey = fail(Unmet, "there is an object that cannot be looked at without the key it was encrypted with, and it is not replaced")

// lookAt looks at what stands under the key. The answer to HEAD has no body: what
// a status of 400 is about, an answer that has one tells, and one that needs no key.
func (t *transfer) lookAt(ctx context.Context) (*s3.HeadObjectOutput, error) {
	t.u.greeted.Store(true)
	out, err := t.headOf(ctx, t.job.Key)
	if status(err) == http.StatusBadRequest && t.props.CustomerKey != nil {
		out, err = t.headWith(ctx, t.job.Key, nil) // it may not be encrypted
	}
	if status(err) != http.StatusBadRequest {
		return out, err
	}
	_, cause := t.u.client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &t.job.Bucket, Key: &t.job.Key}, t.with)
	if cause == nil || cannotLook(cause) {
		return nil, errNeedsKey
	}
	return nil, cause // a token has expired, or there is nothing
}

// needsKey ends a look at an object that cannot be looked at without its key.
func (t *transfer) needsKey() (done bool, _ error) {
	if t.o.IfChanged {
		t.noteUnknown()
		return false, nil
	}
	return false, errNeedsKey
}

// mayGoOn is the error if the condition does not hold of what is there; of what
// lookAhead has recognized, it holds if that is the object that was named, or just
// what the same command leaves when it dies before its copy.
func (t *transfer) mayGoOn(ctx context.Context, there bool) error {
	if !there || t.o.IfMatch == "" || t.before.etag == t.o.IfMatch {
		return t.holds(t.first)
	}
	mark, err := t.isMark(ctx, t.first)
	if err != nil {
		return err
	}
	if !mark {
		t.startAnew() // takes back what was told
		return t.holds(t.first)
	}
	t.own = t.before.etag
	return nil
}

// isMark says whether an object of the same bytes, in the same parts, has just what
// the same command has given it before its copy: the storage class and the MD5 in
// the metadata may have been left to that. An ACL that may not be seen is none.
func (t *transfer) isMark(ctx context.Context, out *s3.HeadObjectOutput) (bool, error) {
	p := t.props
	if c := cmp.Or(out.StorageClass, types.StorageClassStandard); c != types.StorageClassStandard && c != p.StorageClass {
		return false, nil
	}
	p.StorageClass = ""
	if readable(out.Metadata)[md5Key] == "" {
		p.Metadata = t.job.Properties.Metadata
	}
	same, _, err := t.isAsAsked(ctx, out, p)
	return same, err
}

// lookNeeds names the permissions for a look at a key: who may not list is not told
// that nothing is there.
func lookNeeds(err error) string { return lacking(err, "s3:GetObject and s3:ListBucket", "") }

// firstLook is the look at the key before anything is sent; nil is nothing there.
func (t *transfer) firstLook(ctx context.Context) (*s3.HeadObjectOutput, error) {
	if t.looked && t.key == t.job.Key {
		return t.first, nil
	}
	out, err := t.head(ctx)
	if err == nil && t.key == t.job.Key {
		t.looked, t.first = true, out
	}
	return out, err
}

// skip ends an upload that is not to replace what is there.
func (t *transfer) skip(out *s3.HeadObjectOutput) {
	t.res.Status = Skipped
	t.sawFound(out)
	t.result(seen(out), "")
	if t.mayBeMark(out) {
		t.note("what is there may be of a run that died before its copy: the same command without the condition goes on with it")
	}
}

// mayBeMark says whether an object looks like what a run leaves that dies between
// Complete and the end of its copy, see lookAhead.
func (t *transfer) mayBeMark(out *s3.HeadObjectOutput) bool {
	if out == nil || t.src.size <= t.o.Threshold || t.publishes() || !t.copies(t.src.size) || aws.ToInt64(out.ContentLength) != t.src.size {
		return false
	}
	c, err := t.o.Limits.plan(t.src.size, t.o.PartSize)
	return err == nil && etag.Parts(seen(out).etag) == c.parts()
}

func (t *transfer) sawFound(out *s3.HeadObjectOutput) {
	now := seen(out)
	t.res.Found = &Found{ETag: now.etag, Size: aws.ToInt64(out.ContentLength), Modified: now.modified, VersionID: now.version}
}

// words tells of an object what there is to know.
func (f *Found) words() string {
	return "an object of " + byteSize(f.Size) + ", written " + f.Modified.UTC().Format(time.DateTime) + " UTC, with the ETag " + clip(f.ETag)
}

// holds is the error if the condition does not hold of what a look saw: nil is
// nothing there.
func (t *transfer) holds(out *s3.HeadObjectOutput) error {
	if out != nil {
		t.sawFound(out)
	}
	switch {
	case !t.o.conditional() || t.o.IfMatch != "" && !t.looked:
	case out != nil && t.own != "" && seen(out).etag == t.own: // of this run, or of one like it
	case t.o.NoClobber && out != nil:
		return fail(Unmet, "there is an object by now, and it is not replaced: %s", t.res.Found.words())
	case t.o.IfMatch != "" && out == nil:
		return fail(Unmet, "there is no object, and it was to be one with the ETag %s", t.o.IfMatch)
	case t.o.IfMatch != "" && seen(out).etag != t.o.IfMatch:
		return fail(Unmet, "the object is not the one with the ETag %s, and is not replaced: it is %s", t.o.IfMatch, t.res.Found.words())
	}
	t.res.Found = nil
	return nil
}

// lookAgain looks whether the condition still holds.
func (t *transfer) lookAgain(ctx context.Context) error {
	if !t.o.conditional() || !t.looked {
		return nil
	}
	out, err := t.lookAt(ctx)
	switch {
	case status(err) == http.StatusNotFound:
		out = nil
	case err != nil:
		return err
	}
	return t.holds(out)
}

// condition puts the condition into a request. What a first try has stored is
// replaced, and nothing else.
func (t *transfer) condition(ifNoneMatch, ifMatch **string) {
	switch tag := t.replaces(); {
	case tag != "" && t.unquoted:
		*ifMatch = &tag
	case tag != "":
		*ifMatch = aws.String(`"` + tag + `"`)
	case t.o.NoClobber:
		*ifNoneMatch = aws.String("*")
	}
}

// replaces is the ETag of the one object that may be replaced.
func (t *transfer) replaces() string {
	if t.own != "" && t.o.conditional() {
		return t.own
	}
	return t.o.IfMatch
}

// conflictCode is the answer to a conditional write at the moment of another one:
// PutObject and CopyObject are to be made again, an upload in parts is to be begun
// anew.
const conflictCode = "ConditionalRequestConflict"

// errRaced says that a conditional Complete met another write.
var errRaced = fail(Conflict, "somebody else wrote the key at the same moment")

// maxRaces is how often a file is sent anew for that.
const maxRaces = 3

// retryRaces has the Client make a conditional request again that meets another
// write.
func (t *transfer) retryRaces(ctx context.Context) context.Context {
	if !t.o.conditional() {
		return ctx
	}
	return withRetry(ctx, conflictCode)
}

// isUnmet says whether a store refused a write because of its condition. One with
// If-Match of a key without an object is 404 (S3-FACTS §4).
func (t *transfer) isUnmet(err error) bool {
	return t.o.conditional() && (status(err) == http.StatusPreconditionFailed || t.o.IfMatch != "" && code(err) == "NoSuchKey")
}

// afterRefusal looks what is there after a write was refused because of its
// condition. repeated says that it was made more than once: then the first may
// have been done, and its answer lost. A write that was made once and refused is
// somebody else's success, even if that somebody wrote the same bytes. again says
// that it is to be made once more.
func (t *transfer) afterRefusal(ctx context.Context, cause error, repeated bool) (mine, again bool, _ error) {
	out, err := t.lookAt(ctx)
	switch {
	case err == nil:
	case status(err) == http.StatusNotFound && t.o.IfMatch != "":
		t.looked = true
		return false, false, t.holds(nil)
	case cannotLook(err):
		return false, false, &Error{Unmet, "the condition does not hold, and what is there may not be looked at", cause}
	case status(err) == 0 || KindOf(err) == Temporary:
		return false, false, err
	default:
		return false, false, cause
	}
	if repeated {
		if v := t.judge(out, answer{}); (v == isMD5 || v == isComposite || v == isOpaque) && !seen(out).same(t.before) {
			return true, false, nil
		}
	}
	if tag := t.replaces(); tag != "" && seen(out).etag == tag {
		if !t.unquoted { // Ceph 16 compares with the quotes (SERVERS.md, finding 13)
			t.unquoted = true
			return false, true, nil
		}
		t.sawFound(out)
		return false, false, fail(Unmet, "the store refuses the condition, though the object has the ETag %s", tag)
	}
	t.looked = true
	return false, false, t.holds(out)
}
