package upload

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// stagingMark is the name of the metadata that marks a staged copy. Its value
// is the hash of the key that it is a copy of.
const stagingMark = "s3up-staging"

// maxKey is the longest key that S3 takes, in bytes.
const maxKey = 1024

// stagingPrefix begins the names of all staged copies of this key: they lie
// beside it, or as many folders above it as S3's limit on the length of a key
// makes necessary.
func (t *transfer) stagingPrefix() string {
	name := ".s3up-" + short(t.job.Key) + "-"
	dir := t.job.Key
	for {
		dir = dir[:strings.LastIndexByte(strings.TrimSuffix(dir, "/"), '/')+1]
		if len(dir)+len(name)+maxStagingSuffix <= maxKey {
			return dir + name
		}
	}
}

// maxStagingSuffix is how much follows stagingPrefix at most, in bytes: two
// hashes and a dash.
const maxStagingSuffix = 2*16 + 1

// newStagingKey is where this run's staged copy of the object lies: another name for
// every run. MinIO holds what it copies from while it waits for what it copies to, so that
// two runs wait for each other, for minutes, if one copies to a key while the other one
// copies back from it. A rerun finds what a killed run left in a listing; where none is to
// be had, the name is the same for every run with these bytes instead.
func (t *transfer) newStagingKey() string {
	if t.unlisted {
		return t.stagingTwins()
	}
	return t.stagingTwins() + "-" + short(rand.Text())
}

// stagingTwins begins the names of the staged copies that have these bytes.
func (t *transfer) stagingTwins() string { return t.stagingPrefix() + short(t.composite) }

// short is a hash that is long enough to name things by.
func short(s string) string {
	sum := sha256.Sum256([]byte(s))
	return hex.EncodeToString(sum[:8])
}

// mayStage finds out before anything is sent whether a staged copy could be
// removed again, and removes those that earlier runs left; of one that is to be
// published, also whether it may have what the object is to carry.
func (t *transfer) mayStage(ctx context.Context) error {
	if t.o.Normalize != NormalizeStaged && !t.publishes() {
		return nil
	}
	switch keeps, err := t.mayRemove(ctx); {
	case err != nil:
		return err
	case t.publishes():
		if keeps {
			if err := t.mayUnstage(ctx); err != nil {
				return err
			}
		}
		return t.mayCarry(ctx)
	case keeps:
		return fail(Usage, "the bucket %s keeps versions: a staged copy would leave its versions behind", t.job.Bucket)
	}
	t.clearStaged(ctx)
	return nil
}

// probeKey is where is tried what may be done beside the key.
func (t *transfer) probeKey() string { return t.stagingPrefix() + "probe" }

// mayRemove tries whether objects may be deleted, on one that is not there; and
// tells whether the bucket keeps versions.
func (t *transfer) mayRemove(ctx context.Context) (keeps bool, _ error) {
	probe, flag := t.probeKey(), "--normalize staged"
	if t.publishes() {
		flag = "--publish staged"
	}
	out, err := t.u.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &t.job.Bucket, Key: &probe}, t.with)
	if err != nil && ctx.Err() != nil {
		t.removeMarkers(ctx, probe, "") // of a probe whose answer nobody waited for
	}
	switch {
	case status(err) == http.StatusNotFound:
		return false, nil
	case err != nil && KindOf(err) == Access:
		return false, &Error{Access, "a staged copy could not be deleted again, and " + flag + " needs that", err}
	case err != nil:
		return false, err
	case !aws.ToBool(out.DeleteMarker) || out.VersionId == nil:
		return aws.ToBool(out.DeleteMarker), nil
	}
	if err := t.removeMarkers(ctx, probe, *out.VersionId); err != nil {
		t.note("the delete marker %s of %s could not be removed: %s", *out.VersionId, probe, reason(err))
		if t.publishes() && KindOf(err) == Access {
			return true, &Error{Access, "a staged copy could not be deleted again, version by version (s3:DeleteObjectVersion)", err}
		}
	}
	return true, nil
}

// clearStaged deletes the staged copies of this key that show no life, and remembers the
// others.
func (t *transfer) clearStaged(ctx context.Context) {
	prefix := t.stagingPrefix()
	in := &s3.ListObjectsV2Input{Bucket: &t.job.Bucket, Prefix: &prefix}
	looks := 0
	for page := 1; ; page++ {
		out, err := t.u.client.ListObjectsV2(ctx, in, t.with)
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			t.unlisted = KindOf(err) != Temporary
			t.note("staged copies of earlier runs cannot be listed: %s%s", reason(err), lacking(err, "s3:ListBucket", ""))
			return
		}
		now := serverTime(out.ResultMetadata)
		for _, o := range out.Contents {
			key := aws.ToString(o.Key)
			if !strings.HasPrefix(key, prefix) {
				continue
			}
			alive := t.o.StaleAfter > 0 && now.Sub(aws.ToTime(o.LastModified)) < t.o.StaleAfter // Date has no fractions
			if alive {
				if len(t.young) < t.o.Limits.Looks {
					t.young = append(t.young, key)
				}
				continue
			}
			if looks++; looks > t.o.Limits.Looks {
				t.unlisted = true
				t.note("more than %s are beside the key and begin like staged copies of it: the others were not looked at", plural(t.o.Limits.Looks, "object"))
				return
			}
			head, err := t.headOf(ctx, key)
			if err == nil && t.isStaged(head) {
				t.unstage(ctx, key, aws.ToString(head.VersionId))
			}
		}
		next := aws.ToString(out.NextContinuationToken)
		if !aws.ToBool(out.IsTruncated) || next == "" || next == aws.ToString(in.ContinuationToken) {
			return
		}
		if page == t.o.Limits.Pages {
			t.unlisted = true
			t.note("staged copies of earlier runs cannot all be listed: the listing does not end")
			return
		}
		in.ContinuationToken = &next
	}
}

// isStaged says whether an object is marked as a staged one of this key.
func (t *transfer) isStaged(out *s3.HeadObjectOutput) bool {
	return readable(out.Metadata)[stagingMark] == short(t.job.Key)
}

// stagingProperties are those of a staged object: the mark, and what its bytes
// need. Nobody is to read it.
func (t *transfer) stagingProperties() Properties {
	p := t.props.encryption()
	p.ContentType, p.Metadata = t.props.ContentType, map[string]string{stagingMark: short(t.job.Key)}
	return p
}

// unstage deletes a staged copy, or one version of it, also when the context is
// cancelled.
func (t *transfer) unstage(ctx context.Context, key, version string) {
	ctx, cancel := context.WithTimeout(withAgain(context.WithoutCancel(ctx), nothing), t.o.CleanupTimeout)
	defer cancel()
	switch err := t.remove(ctx, key, version, t.isThere); {
	case errors.Is(err, errStays):
		t.note("the staged copy %s is still there, though deleting it was answered with success", key)
	case err != nil:
		t.note("the staged copy %s could not be deleted: %s", key, reason(err))
	}
}

// errStays says that something is there still which, by the store's answers, is
// deleted.
var errStays = errors.New("it is still there, though deleting it was answered with success")

// remove deletes an object, or one version of it; that there is none is no error.
// What does not answer as S3 does, with status 204, may be a proxy: then a look
// tells whether it is gone.
func (t *transfer) remove(ctx context.Context, key, version string, isThere func(ctx context.Context, key, version string) bool) error {
	for range tries {
		out, err := t.u.client.DeleteObject(ctx, &s3.DeleteObjectInput{
			Bucket: &t.job.Bucket, Key: &key, VersionId: optional(version)}, t.with)
		switch {
		case status(err) == http.StatusNotFound:
			return nil
		case err != nil:
			return err
		case hasStatus(out.ResultMetadata, http.StatusNoContent), !isThere(ctx, key, version):
			return nil
		}
	}
	return errStays
}

// isThere says whether an object, or one version of it, is seen.
func (t *transfer) isThere(ctx context.Context, key, version string) bool {
	out, err := t.headOf(ctx, key)
	return err == nil && (version == "" || aws.ToString(out.VersionId) == version)
}

// staged copies the object to a second key and back, which gives it the MD5 as
// ETag on stores that only rewrite the properties of an object that is copied
// onto itself. Both copies name what they copy by its ETag, and a look at the
// key right before the second one keeps it from replacing a newer object.
func (t *transfer) staged(ctx context.Context, out *s3.HeadObjectOutput) error {
	t.stage(StageNormalize)
	key := t.newStagingKey()
	defer t.clearTwins(ctx)
	defer t.unstage(ctx, key, "")
	for try := 1; ; try++ {
		there, made, err := t.copyThere(ctx, key, out)
		if err != nil {
			return t.afterCopy(ctx, out, StagedCopy, err)
		}
		if t.judge(there, made) != isMD5 {
			t.kept(StagedCopy)
			t.shows(out)
			return nil
		}
		err = t.copyBack(ctx, key, there)
		if err == nil || code(err) != "NoSuchKey" {
			return err
		}
		// Another run has cleared it away: it found no sign of life, or was done.
		if try == copyTries {
			return t.afterCopy(ctx, out, StagedCopy, &Error{Conflict, "other runs deleted the staged copy", err})
		}
	}
}

// clearTwins deletes the staged copies of the same bytes that were too young to be deleted
// at the start, once there is nothing left to do with them: a killed run has left them, or
// they are those of a run that has nothing to do any more.
func (t *transfer) clearTwins(ctx context.Context) {
	if t.res.ETagKind != ETagMD5 && t.res.Normalized != Kept && t.res.Normalized != Refused {
		return
	}
	ctx, cancel := context.WithTimeout(withAgain(ctx, nothing), t.o.CleanupTimeout)
	defer cancel()
	for _, key := range t.young {
		if !strings.HasPrefix(key, t.stagingTwins()) {
			continue
		}
		if head, err := t.headOf(ctx, key); err == nil && t.isStaged(head) {
			t.unstage(ctx, key, aws.ToString(head.VersionId))
		}
	}
}

// nothing is what is to be done before a call is made again that no look can spare.
func nothing() error { return nil }

// copyThere copies the object to the second key, and looks at what is there then.
func (t *transfer) copyThere(ctx context.Context, key string, out *s3.HeadObjectOutput) (*s3.HeadObjectOutput, answer, error) {
	in := &s3.CopyObjectInput{
		Bucket: &t.job.Bucket, Key: &key,
		CopySource: copySource(t.job.Bucket, t.job.Key), CopySourceIfMatch: out.ETag,
	}
	t.stagingProperties().copy(in)
	if n, _ := tagCount(out); t.existing == nil && n > 0 || len(t.props.Tags) > 0 {
		in.TaggingDirective = types.TaggingDirectiveReplace
	}
	for try := 1; ; try++ {
		made, err := t.copy(ctx, in)
		if err == nil {
			var there *s3.HeadObjectOutput
			if there, err = t.headOf(ctx, key); err == nil {
				return there, made, nil
			}
		}
		if status(err) != http.StatusNotFound || try == copyTries {
			return nil, answer{}, err
		}
	}
}

// copyBack copies what is under the second key onto the object of parts.
func (t *transfer) copyBack(ctx context.Context, key string, staged *s3.HeadObjectOutput) error {
	out, err := t.head(ctx)
	if err != nil {
		return err
	}
	switch t.judge(out, t.completed) {
	case isMD5:
		return t.normalized(ctx, out, answer{}, StagedCopy)
	case foreign:
		return t.overwritten(seen(out))
	}
	in := &s3.CopyObjectInput{
		Bucket: &t.job.Bucket, Key: &t.job.Key,
		CopySource: copySource(t.job.Bucket, key), CopySourceIfMatch: staged.ETag,
	}
	if t.o.CopyConditions {
		in.IfMatch = out.ETag
	}
	t.restate(in, staged)
	t.askSum(in)
	looking := withAgain(ctx, func() error { return t.isStillInParts(ctx) })
	for try := 1; ; try++ {
		if try > 1 {
			if err := t.isStillInParts(ctx); err != nil {
				return t.afterCopy(ctx, out, StagedCopy, err)
			}
		}
		made, err := t.copy(looking, in)
		switch {
		case code(err) == "NoSuchKey":
			return err
		case err != nil:
			return t.afterCopy(ctx, out, StagedCopy, err)
		}
		done, err := t.verifyCopy(ctx, made, StagedCopy, try)
		if done || err != nil {
			return err
		}
	}
}

// isStillInParts looks at the key once more before the copy back is made again:
// what it replaces must be the object of parts. An error says that it is not, or
// that nobody can tell.
func (t *transfer) isStillInParts(ctx context.Context) error {
	out, err := t.head(ctx)
	if err != nil {
		return err
	}
	switch t.judge(out, t.completed) {
	case isMD5, foreign:
		return errMoved
	}
	return nil
}

// errMoved says that the object is not the one of parts any more: the copy was
// made, or somebody else wrote the key.
var errMoved = fail(Conflict, "the object is another one by now")
