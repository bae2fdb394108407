package upload

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// oldVersion sees to the version of parts that a copy onto it has left behind, in
// a bucket that keeps versions: a note, or its deletion. out shows the object that
// was verified, made is the copy's answer. versitygw copies in place, under the
// same version id: nothing is deleted unless the object is known to have another
// one (SERVERS.md, finding 12).
func (t *transfer) oldVersion(ctx context.Context, out *s3.HeadObjectOutput, made answer) {
	old, now := t.completed.version, aws.ToString(out.VersionId)
	if old == "" && t.original != nil && seen(t.original).etag == t.composite {
		old = seen(t.original).version // the answer to Complete was lost
	}
	if old == "" || now == "" || now == old {
		return
	}
	locked := ""
	if t.locked || out.ObjectLockMode != "" || t.props.locks() {
		locked = ", and is locked as the object is"
	}
	switch {
	case !t.o.PruneVersion:
		t.note("the bucket keeps versions: the multipart version %s stays behind as a noncurrent one%s", old, locked)
		return
	case made.version != "" && made.version != now:
		t.note("the multipart version %s stays behind: the copy answered with the version %s, and the object has %s", old, clip(made.version), clip(now))
		return
	}
	if err := t.remove(ctx, t.job.Key, old, t.hasVersion); err != nil {
		t.note("the multipart version %s could not be deleted (%s), and stays behind%s%s", old, reason(err), locked,
			lacking(err, "s3:DeleteObjectVersion", ""))
		return
	}
	t.res.Pruned = old
}

// hasVersion says whether a version of an object that is not the current one is
// seen.
func (t *transfer) hasVersion(ctx context.Context, key, version string) bool {
	in := &s3.HeadObjectInput{Bucket: &t.job.Bucket, Key: &key, VersionId: &version}
	in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = t.props.customer()
	_, err := t.u.client.HeadObject(ctx, in, t.with)
	return err == nil
}
