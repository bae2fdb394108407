package upload

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Who goes on with what an earlier run left inherits the properties that it was
// begun with, and no listing tells them: headers, metadata, tags, an ACL. The copy
// that gives the MD5 states all of them anew. Where none was made, the object is
// compared with what was asked for, and sent anew if it is another one.

// errInherited says that an object has the properties of the run that began it,
// and is to have others.
var errInherited = errors.New("the object has the properties of an earlier run")

// verifyInherited makes sure that an object which an earlier run began is not left
// with that run's properties: errInherited if it can be sent anew, else a note.
func (t *transfer) verifyInherited(ctx context.Context) error {
	if !t.inherited || t.restated {
		return nil // what a copy has not undone (versitygw keeps headers), sending anew does not either
	}
	if t.shown == nil {
		if t.props.areSecret() && t.canBeginAnew() {
			return errInherited
		}
		t.note("the upload was begun by an earlier run, and the object may not be looked at: what headers, metadata, tags and ACL " +
			"that run asked for, it has; that needs s3:GetObject, and --resume never does without")
		return nil
	}
	same, unseen, err := t.isAsAsked(ctx, t.shown, t.props)
	switch {
	case err != nil:
		return err
	case same && unseen != nil:
		t.noteOnce("the upload was begun by an earlier run, whose ACL the object may have: it cannot be looked at (%s)%s", reason(unseen),
			lacking(unseen, "s3:GetObjectAcl", "--resume never"))
		return nil
	case same:
		return nil
	case t.canBeginAnew():
		return errInherited
	}
	t.note("the upload was begun by an earlier run that asked for other headers, metadata, tags or another ACL, and no copy followed " +
		"that could set those of this one; --resume never begins anew")
	return nil
}

// canBeginAnew says whether the source is sent once more only because of what the
// object carries: a stream cannot be, and what is too large for a copy takes too
// long.
func (t *transfer) canBeginAnew() bool { return t.src.size >= 0 && t.src.size <= t.o.Limits.MaxCopy }

// beginAnew forgets what an earlier run left, and the object that it became: that
// one may be replaced, whatever the condition was.
func (t *transfer) beginAnew() {
	left, now := "", t.completed
	if t.shown != nil {
		now = seen(t.shown)
	}
	if now.version != "" {
		left = "; the version " + clip(now.version) + " stays behind"
	}
	t.note("what an earlier run left has other properties than were asked for, and no copy sets them: starting anew%s", left)
	t.own, t.before, t.completed = now.etag, now, answer{}
	t.shown, t.original, t.summed, t.shield = nil, nil, answeredSums{}, shield{}
	t.res.Normalized, t.res.Locked = "", false
	t.noResume = true
	t.startAnew()
}

// isAsAsked says whether an object has these properties, and no other; unseen is
// why its ACL could not be looked at.
func (t *transfer) isAsAsked(ctx context.Context, out *s3.HeadObjectOutput, p Properties) (same bool, unseen, _ error) {
	has, err := t.hasProperties(ctx, out, p)
	if err != nil || !has {
		return false, nil, err
	}
	if n, _ := tagCount(out); n > 0 && len(p.Tags) == 0 {
		return false, nil, nil
	}
	others, err := t.readers(ctx)
	if status(err) == http.StatusForbidden {
		return true, err, nil
	}
	return len(others) == 0, nil, err
}

// readers returns to whom the object's ACL gives something, beside its owner. A
// store that has no ACLs gives nobody anything by them.
func (t *transfer) readers(ctx context.Context) ([]string, error) {
	out, err := t.u.client.GetObjectAcl(ctx, &s3.GetObjectAclInput{Bucket: &t.job.Bucket, Key: &t.job.Key}, t.with)
	switch {
	case err == nil:
	case status(err) == 0, KindOf(err) == Temporary, status(err) == http.StatusForbidden:
		return nil, err
	default:
		return nil, nil
	}
	owner := ""
	if out.Owner != nil {
		owner = aws.ToString(out.Owner.ID)
	}
	var others []string
	for _, g := range out.Grants {
		if g.Grantee == nil {
			continue
		}
		id, uri, mail := aws.ToString(g.Grantee.ID), aws.ToString(g.Grantee.URI), aws.ToString(g.Grantee.EmailAddress)
		if who := uri + mail; who != "" || id != owner {
			others = append(others, string(g.Permission)+" "+clip(who[strings.LastIndexByte(who, '/')+1:]+id))
		}
	}
	return others, nil
}

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

// leftToCopy names what the upload did not carry because a copy was to follow, and
// whether the same upload without one would carry it.
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
