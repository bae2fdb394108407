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
		"that could set those of this one; --resume never does without")
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
	if now.version != "" && now.version != "null" {
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
	others, unseen, err := t.readers(ctx)
	return len(others) == 0, unseen, err
}

// readers returns to whom the object's ACL gives something, beside its owner;
// unseen is why the store does not tell. One that has no ACLs gives nobody anything
// by them.
func (t *transfer) readers(ctx context.Context) (others []string, unseen, _ error) {
	// The object is there already: this is not worth all patience.
	out, err := t.u.client.GetObjectAcl(withAttempts(ctx, attemptsBeforeLook), &s3.GetObjectAclInput{Bucket: &t.job.Bucket, Key: &t.job.Key}, t.with)
	switch s := status(err); {
	case err == nil:
	case s == 0:
		return nil, nil, err
	case s == http.StatusForbidden, isAnswer(err) && s != http.StatusNotImplemented:
		return nil, err, nil
	default:
		return nil, nil, nil
	}
	owner := ""
	if out.Owner != nil {
		owner = aws.ToString(out.Owner.ID)
	}
	for _, g := range out.Grants {
		if g.Grantee == nil {
			continue
		}
		id, uri, mail := aws.ToString(g.Grantee.ID), aws.ToString(g.Grantee.URI), aws.ToString(g.Grantee.EmailAddress)
		if who := uri + mail; who != "" || id != owner {
			others = append(others, string(g.Permission)+" "+clip(who[strings.LastIndexByte(who, '/')+1:]+id))
		}
	}
	return others, nil, nil
}
