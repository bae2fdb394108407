package upload

import (
	"context"
	"fmt"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/etag"
)

// A verdict says what an object is that HEAD shows under the key.
type verdict int

const (
	foreign     verdict = iota // somebody else's, or none
	isMD5                      // ours: its ETag is the MD5 of the bytes
	isComposite                // ours: its ETag is the composite of our parts
	isOpaque                   // ours as far as anybody can tell: its ETag means nothing
	isWrong                    // ours: its ETag shows that it is made of other bytes
)

// head looks at the object under the key.
func (t *transfer) head(ctx context.Context) (*s3.HeadObjectOutput, error) {
	t.u.greeted.Store(true)
	return t.headOf(ctx, t.key)
}

// headOf looks at an object. An answer without an ETag does not come from the
// store, and says nothing about the object.
func (t *transfer) headOf(ctx context.Context, key string) (*s3.HeadObjectOutput, error) {
	return t.headWith(ctx, key, t.props.CustomerKey)
}

// headWith looks at an object that may be encrypted with a key of one's own.
func (t *transfer) headWith(ctx context.Context, key string, customerKey []byte) (*s3.HeadObjectOutput, error) {
	in := &s3.HeadObjectInput{Bucket: &t.job.Bucket, Key: &key}
	in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = Properties{CustomerKey: customerKey}.customer()
	if t.looksAtSums() {
		in.ChecksumMode = types.ChecksumModeEnabled
	}
	without := false
	for try := 1; ; try++ {
		out, err := t.u.client.HeadObject(ctx, in, t.with)
		if s := status(err); in.ChecksumMode != "" && (s == http.StatusForbidden || s == http.StatusBadRequest || s == http.StatusNotImplemented) {
			// Under KMS, only those who may decrypt see checksums, and there are stores that
			// take no such header.
			without, in.ChecksumMode = true, ""
			continue
		}
		t.hidden = t.hidden || without && err == nil
		if err != nil || aws.ToString(out.ETag) != "" {
			return out, err
		}
		if try == tries {
			return nil, errNoETag
		}
	}
}

func seen(out *s3.HeadObjectOutput) answer {
	return answer{etag: etag.Trim(aws.ToString(out.ETag)), version: aws.ToString(out.VersionId), modified: aws.ToTime(out.LastModified)}
}

// same says whether two looks saw one object.
func (a answer) same(b answer) bool {
	return a.etag == b.etag && a.version == b.version && a.modified.Equal(b.modified)
}

// made says whether an object that HEAD shows is the one that a call answered
// to have made. Where versioning was suspended, "null" is the version of whatever
// is written.
func (a answer) made(seen answer) bool {
	return a.etag != "" && a.etag == seen.etag || a.version != "" && a.version != "null" && a.version == seen.version
}

// judge compares what HEAD shows with what was read, and with what the call that
// made the object answered. The shape of an ETag proves nothing, only comparing
// does; but an ETag of the shape that this store's ETags have when they are MD5s
// and that is another one proves that the bytes are others (DESIGN §5.6).
func (t *transfer) judge(out *s3.HeadObjectOutput, call answer) verdict {
	t.encryption(out.ServerSideEncryption, out.SSECustomerAlgorithm)
	if t.existing != nil {
		return t.judgeExisting(out, call)
	}
	now := seen(out)
	ours := call.made(now)
	switch sized := aws.ToInt64(out.ContentLength) == t.size; {
	case sized && now.etag == t.whole.String():
		return isMD5
	case sized && t.composite != "" && now.etag == t.composite:
		return isComposite
	case ours && !sized:
		return isWrong
	case ours && !t.hidesMD5() && t.u.knowsMD5(t.job.Bucket) &&
		(etag.IsMD5(now.etag) || t.res.Parts > 0 && etag.Parts(now.etag) == t.res.Parts):
		return isWrong
	case ours:
		return isOpaque
	case sized && t.crc != "" && shownSums(out).crc == t.crc && (t.hidesMD5() || !t.u.knowsMD5(t.job.Bucket)):
		return isOpaque
	case sized && now.etag != "" && now.etag == t.partTags && (t.hidesMD5() || !t.u.knowsMD5(t.job.Bucket)):
		return isOpaque
	}
	return foreign
}

// lookAhead recognizes the mark of a run that died between Complete and the end
// of its copy: an object of the same size whose ETag is composite with as many
// parts as would be sent now. The file is hashed ahead; if it is the same,
// nothing is left to send.
func (t *transfer) lookAhead(ctx context.Context, c cut) (bool, error) {
	out, err := t.firstLook(ctx)
	if err != nil {
		if KindOf(err) == Temporary || ctx.Err() != nil {
			return false, err
		}
		return false, nil // whatever it is, a call with an answer to read tells better
	}
	if out == nil {
		return false, nil
	}
	t.before = seen(out)
	t.encryption(out.ServerSideEncryption, out.SSECustomerAlgorithm)
	wasEncrypted := t.hidesMD5()
	t.encrypted = t.props.isOpaque() // and not by the key that was in use then
	if !t.publishes() {
		t.noteEarlyDeletion(out)
	}
	if wasEncrypted && shownSums(out).crc != "" && t.asksMD5() && t.props.CustomerKey == nil {
		return t.lookAheadBySum(ctx, out, c)
	}
	if wasEncrypted || t.encrypted || !t.copies(c.size) || aws.ToInt64(out.ContentLength) != c.size || etag.Parts(t.before.etag) != c.parts() {
		return false, nil
	}
	t.crcs = t.sendsCRC(c.size)
	if err := t.learn(ctx, c); err != nil {
		return false, err
	}
	if t.before.etag != t.composite {
		return false, nil
	}
	t.u.sawMD5(t.job.Bucket)
	t.takeMark(c)
	return true, nil
}

// takeMark goes on with the object that an earlier run has left.
func (t *transfer) takeMark(c cut) {
	t.completed = t.before
	t.inherited, t.stated = true, t.createProperties()
	t.res.PartsResumed = c.parts()
	t.tell(Resumed, c.size)
}

// lookAheadBySum is lookAhead where ETags tell nothing: the checksum does, and the
// copy that follows proves it.
func (t *transfer) lookAheadBySum(ctx context.Context, out *s3.HeadObjectOutput, c cut) (bool, error) {
	if !t.copies(c.size) || aws.ToInt64(out.ContentLength) != c.size || etag.Parts(t.before.etag) != c.parts() {
		return false, nil
	}
	t.crcs = true
	if err := t.learn(ctx, c); err != nil || shownSums(out).crc != t.crc {
		return false, err
	}
	t.encrypted = true
	t.takeMark(c)
	return true, nil
}

// copies says whether an object of this size that goes up in parts is copied
// onto itself afterwards, as far as that is known.
func (t *transfer) copies(size int64) bool {
	if t.publishes() {
		return size <= t.o.Limits.MaxCopy
	}
	return t.o.Normalize != NormalizeOff && size <= t.o.Limits.MaxCopy && (!t.hidesMD5() || t.asksMD5()) &&
		(!t.locked || t.o.Normalize != NormalizeAuto) && !t.u.copiesNothing(t.job.Bucket)
}

// createProperties are the properties of CreateMultipartUpload: without the
// storage class where a copy follows, because a class for rare access bills an
// object that is replaced early, and an archived one cannot be copied.
func (t *transfer) createProperties() Properties {
	size := t.src.size
	if size < 0 {
		size = t.o.ExpectedSize
	}
	if t.publishes() {
		return t.stagingProperties()
	}
	p := t.props
	if t.copies(size) {
		p.StorageClass = ""
	}
	return p
}

// attemptsBeforeLook is how often the Client tries to complete an upload before
// HEAD is asked: the first answer may be the one that got lost, and some stores
// answer every further attempt with a 500 (Ceph 16). If the object is not there,
// it is tried for as long as the Client has patience.
const attemptsBeforeLook = 3

// attemptsWhileBusy is how often a store is asked to complete an upload that says
// InvalidPart and lists all parts as they are to be: rclone does until it has
// written the last one, if its sender gave the first one up and sent it again.
// It is a minute or two.
const attemptsWhileBusy = 10

// complete makes an object of the parts. It returns errGone if the upload is no
// more and the object is not ours.
func (t *transfer) complete(ctx context.Context, up *upload) error {
	t.stage(StageComplete)
	t.partTags = up.composite()
	in := &s3.CompleteMultipartUploadInput{
		Bucket: &t.job.Bucket, Key: &t.key, UploadId: &up.id,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: up.parts()},
		MpuObjectSize:   &t.size,
	}
	if up.sums {
		in.ChecksumCRC64NVME, in.ChecksumType = &t.crc, types.ChecksumTypeFullObject
	}
	in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = t.props.customer()
	if !t.publishes() {
		// A store that ignores the condition does not ignore this.
		if err := t.lookAgain(ctx); err != nil {
			return err
		}
		t.condition(&in.IfNoneMatch, &in.IfMatch)
	}
	attempts, busy, before := attemptsBeforeLook, false, t.counter.count("CompleteMultipartUpload")
	for {
		out, err := t.u.client.CompleteMultipartUpload(withAttempts(ctx, attempts), in, t.with)
		if err == nil {
			t.completed = answer{etag: etag.Trim(aws.ToString(out.ETag)), version: aws.ToString(out.VersionId)}
			t.encryption(out.ServerSideEncryption, nil)
			t.summed = wholeSums(out.ChecksumType, out.ChecksumCRC64NVME, out.ChecksumMD5)
			t.shield.sse, t.shield.kmsKey = out.ServerSideEncryption, aws.ToString(out.SSEKMSKeyId)
			if t.completed.etag != "" {
				return nil
			}
			t.named = aws.ToString(out.Key) == t.key
			if t.named && t.isOver(ctx, up) {
				return nil // Ceph 16: the answer to a success
			}
			err = errNoETag
		}
		if !t.publishes() && t.isUnmet(err) {
			mine, again, err := t.afterRefusal(ctx, err, t.counter.count("CompleteMultipartUpload")-before > 1)
			if again {
				t.condition(&in.IfNoneMatch, &in.IfMatch)
				continue
			}
			if mine {
				t.leaveNothing(ctx, up)
			}
			return err
		}
		if code(err) == conflictCode {
			return errRaced
		}
		gone := code(err) == "NoSuchUpload" || code(err) == "InvalidPart" && t.lostParts(ctx, up)
		if code(err) == "InvalidPart" && !gone && !busy {
			attempts, busy = attemptsWhileBusy, true
			ctx = withRetry(ctx, "InvalidPart")
			continue
		}
		if !gone && KindOf(err) != Temporary {
			return err
		}
		switch mine, herr := t.settle(ctx); {
		case herr != nil && gone:
			return herr // what became of the upload nobody can tell
		case herr != nil:
			return err
		case mine && code(err) == "NoSuchUpload":
			return nil
		case mine:
			// Complete may have done nothing, if somebody else stored the same.
			t.leaveNothing(ctx, up)
			return nil
		case t.blind && err == errNoETag && t.named:
			return nil // Ceph 16: an answer of the store's own, without an ETag
		case gone:
			return errGone
		case attempts == 0 || ctx.Err() != nil:
			return err
		}
		attempts = 0
	}
}

// isOver says whether an upload that had parts is known to be no more.
func (t *transfer) isOver(ctx context.Context, up *upload) bool {
	parts, err := t.listParts(ctx, up.id)
	return err == nil && len(parts) == 0 || err != nil && isGone(err)
}

// lostParts says whether the store no longer has the parts that it took: somebody
// else is aborting the upload, or has while a part was under way.
func (t *transfer) lostParts(ctx context.Context, up *upload) bool {
	stored, err := t.listParts(ctx, up.id)
	if err != nil {
		return isGone(err)
	}
	up.mu.Lock()
	defer up.mu.Unlock()
	for n, tag := range up.completed {
		if stored[n].etag != tag {
			return true
		}
	}
	return false
}

// settle finds out after a refused write whether the object is ours all the
// same, and not the one that was there before.
func (t *transfer) settle(ctx context.Context) (bool, error) {
	out, err := t.head(ctx)
	if err != nil {
		t.blind = cannotLook(err)
		if status(err) != 0 && KindOf(err) != Temporary {
			return false, nil
		}
		return false, err
	}
	v := t.judge(out, answer{})
	return (v == isMD5 || v == isComposite || v == isOpaque) && !seen(out).same(t.before), nil
}

// verifyPut looks whether a PutObject stored what was sent. done is false if it
// is to be sent again.
func (t *transfer) verifyPut(ctx context.Context, got answer, try int) (done bool, _ error) {
	t.completed = got
	t.res.Normalized, t.res.VersionID = SinglePut, got.version
	switch {
	case got.etag == t.whole.String():
		t.u.sawMD5(t.job.Bucket)
		t.result(got, ETagMD5)
		return true, nil
	case got.etag != "" && t.hidesMD5():
		t.opaque(got)
		return true, nil
	}
	out, err := t.head(ctx)
	if err != nil {
		if try < tries && got.etag == "" && status(err) == http.StatusNotFound {
			return false, nil
		}
		switch {
		case status(err) != http.StatusNotFound:
		case got.etag == "":
			return false, errNoETag
		default:
			return false, fail(Conflict, "the object is not there after it was stored")
		}
		return false, fmt.Errorf("the answer's ETag is %q and not the MD5 of what was sent, and the object cannot be looked at: %w", clip(got.etag), err)
	}
	switch now := seen(out); t.judge(out, got) {
	case isMD5:
		t.u.sawMD5(t.job.Bucket)
		t.result(now, ETagMD5)
		return true, nil
	case isOpaque:
		if !t.hidesMD5() && try == 1 {
			return false, nil // an answer by mistake, or one that is never an MD5?
		}
		t.opaque(now)
		return true, nil
	default:
		switch {
		case try < tries && (got.etag == "" || now.etag == got.etag):
			return false, nil
		case got.made(now):
			return false, t.mismatch(now)
		case got.etag == "":
			return false, errNoETag
		}
		return false, t.overwritten(now)
	}
}

// mismatch is the error for an object that is ours and not our bytes.
func (t *transfer) mismatch(now answer) error {
	if t.existing != nil {
		return fail(Integrity, "the copy that was made of the object is not what was there: %s", t.existing.wrong)
	}
	if t.composite != "" && etag.Parts(now.etag) > 0 {
		return fail(Integrity, "the object's ETag is %s, that of the parts which were sent is %s", clip(now.etag), t.composite)
	}
	return fail(Integrity, "the object's ETag is %s, the MD5 of what was read is %s", clip(now.etag), t.whole)
}

// overwritten is the error for an object that somebody else made.
func (t *transfer) overwritten(now answer) error {
	return fail(Conflict, "somebody else wrote the object meanwhile: its ETag is %s", clip(now.etag))
}

// result notes what the object is now.
func (t *transfer) result(now answer, kind ETagKind) {
	t.res.ETag, t.res.ETagKind = now.etag, kind
	if now.version != "" {
		t.res.VersionID = now.version
	}
}

func (t *transfer) opaque(now answer) {
	t.result(now, ETagOpaque)
	t.res.Normalized = Opaque
	if !t.hidesMD5() && t.existing == nil {
		t.note("this store's ETags are not MD5s: that it got the bytes is known from the Content-MD5 that it accepted")
	}
}

// leaveNothing aborts an upload that is not needed any more.
func (t *transfer) leaveNothing(ctx context.Context, up *upload) {
	if err := t.abort(ctx, up.id); err != nil {
		t.note("the multipart upload %s could not be aborted: %s%s", clip(up.id), reason(err), lacking(err, "s3:AbortMultipartUpload", ""))
	}
}
