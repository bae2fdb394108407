package upload

import (
	"context"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// Two runs that publish one key share its staging key, and a run that was killed
// leaves its object there. Each deletes what is its own, or older.

// clearStaging deletes the staged object that this run has made, also when the
// context is cancelled. Without versions, one that another run has put in its place
// is left alone; with them, those of earlier runs, which are the current ones again
// by the deletion, are deleted too.
func (t *transfer) clearStaging(ctx context.Context, key string, mine answer) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.o.CleanupTimeout)
	defer cancel()
	if mine.version == "" {
		out, err := t.headOf(ctx, key)
		if status(err) == http.StatusNotFound || err == nil && !mine.stillIs(seen(out)) {
			return
		}
	}
	t.unstage(ctx, key, mine.version)
	for n := 0; mine.version != "" && n < t.o.Limits.Looks; n++ {
		out, err := t.headOf(ctx, key)
		if err != nil || !t.isStaged(out) || out.VersionId == nil || seen(out).modified.After(mine.modified) {
			return
		}
		t.unstage(ctx, key, *out.VersionId)
	}
}

// stillIs says whether a look sees the object that was seen before, or that a call
// has answered to have made.
func (a answer) stillIs(now answer) bool {
	if a.modified.IsZero() {
		return a.etag == "" || a.etag == now.etag
	}
	return a.same(now)
}

// leaveStaging deletes what became of an upload that failed, if its parts are a
// staged object all the same: the answer that said so may have got lost.
func (t *transfer) leaveStaging(ctx context.Context) {
	if !t.publishes() || t.counter.count("CompleteMultipartUpload") == 0 {
		return
	}
	out, err := t.head(ctx)
	switch {
	case status(err) == http.StatusNotFound:
	case err != nil:
		t.note("whether a staged copy %s is left cannot be told: %s", t.key, reason(err))
	case t.isStaged(out) && t.judge(out, t.completed) != foreign:
		t.clearStaging(ctx, t.key, seen(out))
	}
}

// publishedByAnother looks, once the staged object is gone, whether another run
// has published the same bytes: since before was seen, or with all the properties
// that they were to have. Else, or where one writer only may win, it is an error.
func (t *transfer) publishedByAnother(ctx context.Context, before answer) (*s3.HeadObjectOutput, error) {
	gone := fail(Conflict, "the staged object was deleted by somebody else")
	if t.o.conditional() {
		return nil, gone
	}
	out, err := t.headOf(ctx, t.job.Key)
	switch {
	case err != nil && (status(err) == 0 || KindOf(err) == Temporary):
		return nil, err
	case err != nil, t.judge(out, answer{}) != isMD5:
		return nil, gone
	}
	if before == (answer{}) || seen(out).same(before) {
		if has, err := t.hasProperties(ctx, out, t.props); err != nil {
			return nil, err
		} else if !has {
			return nil, gone
		}
	}
	t.note("somebody else published the same bytes meanwhile")
	return out, nil
}

// removeMarkers removes the delete marker that a probe has left in a bucket that
// keeps versions, and those that earlier ones have, also when the context is
// cancelled: an answer may have got lost, or a run been killed. The store names the
// current one in its answer that there is no object; who may not see that sees to
// none but the first. "" is no first one.
func (t *transfer) removeMarkers(ctx context.Context, key, version string) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.o.CleanupTimeout)
	defer cancel()
	for n := 0; ; n++ {
		if version != "" {
			if _, err := t.u.client.DeleteObject(ctx, &s3.DeleteObjectInput{
				Bucket: &t.job.Bucket, Key: &key, VersionId: &version}, t.with); err != nil {
				return err
			}
		}
		_, err := t.headOf(ctx, key)
		next := header(err, "x-amz-version-id")
		if header(err, "x-amz-delete-marker") != "true" || next == "" || next == version || n == t.o.Limits.Looks {
			return nil
		}
		version = next
	}
}
