package upload

import (
	"context"
	"maps"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/etag"
)

// sameFile finds out whether the object is made of the file's bytes, and has the
// properties that an upload would give it. done is true if nothing is left to do.
func (t *transfer) sameFile(ctx context.Context, out *s3.HeadObjectOutput) (done bool, _ error) {
	same, err := t.sameContent(ctx, out)
	if err != nil || !same {
		return false, err
	}
	return t.keep(ctx, out)
}

// sameStream is sameFile for a stream that ended early enough to be held.
func (t *transfer) sameStream(ctx context.Context, p *part) (done bool, _ error) {
	out := t.first
	if !t.o.IfChanged || out == nil || aws.ToInt64(out.ContentLength) != p.size {
		return false, nil
	}
	if t.isDirectory() || hasOpaqueETag(out) {
		t.noteUnknown()
		return false, nil
	}
	if seen(out).etag != p.md5.String() {
		return false, nil
	}
	t.size, t.whole, t.crc = p.size, p.md5, p.crc
	t.res.MD5, t.res.Size, t.res.By = p.md5.String(), p.size, ByMD5
	t.storeMD5()
	return t.keep(ctx, out)
}

func (t *transfer) noteUnknown() {
	if !t.o.IfChanged {
		return
	}
	t.note("whether the object has the same content cannot be told, because its ETag is no MD5: it is uploaded")
}

// hasOpaqueETag says whether an object is encrypted so that no ETag is an MD5.
func hasOpaqueETag(out *s3.HeadObjectOutput) bool {
	return strings.HasPrefix(string(out.ServerSideEncryption), "aws:kms") || aws.ToString(out.SSECustomerAlgorithm) != ""
}

// keep ends an upload of bytes that are there already: as they are, or after a
// copy that sets the properties. done is false if that is not possible.
func (t *transfer) keep(ctx context.Context, out *s3.HeadObjectOutput) (done bool, _ error) {
	has, err := t.hasProperties(ctx, out, t.props)
	if err != nil {
		return false, err
	}
	if has && t.isUncopied(out) {
		t.tell(Resumed, t.size)
		return true, t.goOnAtCopy(ctx, out)
	}
	sum := t.hasSum(out)
	if has && (sum || !t.o.ServerMD5) {
		t.tell(Resumed, t.size)
		return true, t.leaveAsIs(out, sum)
	}
	if t.size > t.o.Limits.MaxCopy {
		t.note("the same content is there with other properties, and is too large to be given these by a copy: it is uploaded")
		return false, nil
	}
	locked, err := t.isLocked(ctx, out)
	if err != nil {
		return false, err
	}
	if locked && t.o.Normalize != NormalizeSelf {
		t.note("the same content is there with other properties, and is locked: it is uploaded, and what is there stays behind, locked as it is; " +
			"--normalize self copies all the same")
		return false, nil
	}
	done, err = t.update(ctx, out)
	if done && err == nil {
		t.tell(Resumed, t.size)
		if err = t.verifyChecksum(); err == nil {
			err = t.verifyProtection(ctx)
		}
		if err == nil {
			t.compareUnshown(ctx)
		}
	}
	if !done {
		t.original, t.shown, t.encrypted = nil, nil, t.props.isOpaque()
		t.composite, t.res.Parts, t.res.PartSize = "", 0, 0
	}
	return done, err
}

// leaveAsIs ends an upload of what is there already with all that was asked for,
// but for a checksum, maybe.
func (t *transfer) leaveAsIs(out *s3.HeadObjectOutput, sum bool) error {
	t.res.Status = Unchanged
	t.sameAs(out)
	if t.res.ETagKind == ETagMultipart && t.copies(t.size) && !t.publishes() {
		t.note("the ETag of the object that is there already is composite: the same command without the condition gives it its MD5, if the store can")
	}
	if !sum {
		t.note("the store shows no checksum of the object that is there already: the same command without --if-changed uploads it with one")
		return nil
	}
	t.summed = shownSums(out)
	return t.verifyChecksum()
}

// hasSum says whether the checksum that was asked for shows, or cannot.
func (t *transfer) hasSum(out *s3.HeadObjectOutput) bool {
	shown := shownSums(out)
	switch {
	case t.hidden:
		return true
	case t.o.Checksum == SumCRC64NVME:
		return shown.crc != ""
	case t.o.Checksum == SumMD5:
		return shown.md5 != ""
	}
	return true
}

// sameAs notes that the object is the one that is there.
func (t *transfer) sameAs(out *s3.HeadObjectOutput) {
	now := seen(out)
	switch {
	case now.etag == t.whole.String():
		t.res.Normalized = Already
		t.result(now, ETagMD5)
	case hasOpaqueETag(out) || etag.Parts(now.etag) == 0:
		t.res.Normalized = Opaque
		t.result(now, ETagOpaque)
	default:
		t.res.Normalized = Off
		t.result(now, ETagMultipart)
	}
}

// update gives an object of the same bytes its properties, by a copy onto itself
// that is made on condition that it is still that object. What nobody asked for and
// a copy does not bring along by itself is restated or told.
func (t *transfer) update(ctx context.Context, before *s3.HeadObjectOutput) (done bool, _ error) {
	t.original = before
	readers, unseen, err := t.readersToLose(ctx)
	if err != nil {
		return false, err
	}
	in := t.ontoItself(before)
	t.props.copy(in)
	if in.StorageClass == "" {
		in.StorageClass = before.StorageClass
	}
	if t.askSum(in); t.o.Checksum == SumCRC64NVME && t.o.ServerMD5 {
		in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc64nvme
	}
	out, made, refused, err := t.copyOver(ctx, in)
	switch {
	case err != nil:
		return false, err
	case refused != nil:
		t.note("the same content is there with other properties, and the copy that would set these was refused (%s): it is uploaded", reason(refused))
		return false, nil
	}
	t.res.Status, t.restated = Updated, true
	if t.judge(out, made) == isOpaque {
		t.opaque(seen(out))
	} else {
		t.sameAs(out)
		if seen(before).etag != seen(out).etag {
			t.res.Normalized = SelfCopy
		} else if t.res.ETagKind == ETagMultipart {
			t.res.Normalized = Kept
		}
	}
	t.noteReplaced(before, out)
	t.noteLostACL(readers, unseen)
	t.shows(out)
	t.tellDifferences()
	return true, nil
}

// readersToLose returns to whom an ACL gives something that a copy is to take
// without having been asked to; unseen is why that cannot be told.
func (t *transfer) readersToLose(ctx context.Context) (readers []string, unseen, _ error) {
	if t.props.ACL != "" || len(t.props.Grants.All()) > 0 {
		return nil, nil, nil
	}
	return t.readers(ctx)
}

// noteLostACL tells of an ACL that a copy did not keep.
func (t *transfer) noteLostACL(readers []string, unseen error) {
	switch {
	case unseen != nil:
		t.note("the object's ACL cannot be looked at (%s), and a copy does not keep it%s", reason(unseen), lacking(unseen, "s3:GetObjectAcl", ""))
	case len(readers) > 0:
		t.note("the object's ACL gave something to others (%s), and the copy did not keep it: --acl or --grant states it again", clip(strings.Join(readers, ", ")))
	}
}

// noteReplaced tells what became of the object that a copy with other properties
// has replaced.
func (t *transfer) noteReplaced(before, out *s3.HeadObjectOutput) {
	old, now := seen(before).version, seen(out).version
	if old == "" || now == "" || old == now {
		t.noteEarlyDeletion(before)
		return
	}
	text := "the bucket keeps versions: the version " + clip(old) + ", with the properties that it had, stays behind as a noncurrent one"
	if t.o.PruneVersion {
		text += "; --prune-version deletes only versions of parts that the same run has sent"
	}
	t.note("%s", text)
	if isShownLocked(before) && !isShownLocked(out) {
		t.note("the lock of the object stays on that version: the one that is there now has none")
	}
}

// hasProperties says whether an object has these properties. What cannot be seen
// of those that were asked for counts as missing.
func (t *transfer) hasProperties(ctx context.Context, out *s3.HeadObjectOutput, p Properties) (bool, error) {
	for _, a := range p.attributes(out) {
		if a.got != a.want {
			return false, nil
		}
	}
	if p.ACL != "" || len(p.Grants.All()) > 0 {
		return false, nil // HEAD does not show who may do what
	}
	_, _, customer := p.customer()
	if p.SSE != "" && p.SSE != out.ServerSideEncryption || !isKey(aws.ToString(out.SSEKMSKeyId), p.KMSKeyID) ||
		aws.ToString(customer) != aws.ToString(out.SSECustomerKeyMD5) {
		return false, nil
	}
	if p.LockMode != "" && (p.LockMode != types.ObjectLockMode(out.ObjectLockMode) ||
		aws.ToTime(out.ObjectLockRetainUntilDate).Before(p.LockUntil.Truncate(time.Second))) {
		return false, nil
	}
	if p.LegalHold && out.ObjectLockLegalHoldStatus != types.ObjectLockLegalHoldStatusOn {
		return false, nil
	}
	return t.hasTags(ctx, out)
}

// hasTags says whether an object has the tags that were asked for; where none
// were, it may have any, which a copy leaves as they are.
func (t *transfer) hasTags(ctx context.Context, out *s3.HeadObjectOutput) (bool, error) {
	if len(t.props.Tags) == 0 {
		return true, nil
	}
	if n, known := tagCount(out); known && n != len(t.props.Tags) {
		return false, nil
	}
	got, err := t.u.client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{
		Bucket: &t.job.Bucket, Key: &t.job.Key, VersionId: out.VersionId}, t.with)
	if err != nil {
		if status(err) == 0 || KindOf(err) == Temporary {
			return false, err
		}
		t.note("the object's tags cannot be read (%s), and are set again%s", reason(err), lacking(err, "s3:GetObjectTagging", ""))
		return false, nil
	}
	tags := make(map[string]string)
	for _, tag := range got.TagSet {
		tags[aws.ToString(tag.Key)] = aws.ToString(tag.Value)
	}
	return maps.Equal(tags, t.props.Tags), nil
}
