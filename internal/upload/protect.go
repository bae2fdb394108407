package upload

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/etag"
)

// A shield is how an answer says that an object is encrypted.
type shield struct {
	sse      types.ServerSideEncryption
	kmsKey   string
	customer string // the MD5 of a key of one's own
}

func shieldOf(out *s3.HeadObjectOutput) shield {
	return shield{out.ServerSideEncryption, aws.ToString(out.SSEKMSKeyId), aws.ToString(out.SSECustomerKeyMD5)}
}

// unlike says in words how an object is not encrypted as was asked for, "" if it
// is.
func (p Properties) unlike(got shield) string {
	_, _, customer := p.customer()
	switch {
	case got.customer != aws.ToString(customer):
		return "not encrypted with the key that was given"
	case p.SSE != "" && got.sse == "":
		return fmt.Sprintf("not encrypted with %s: the store says nothing of encryption", p.SSE)
	case p.SSE != "" && got.sse != p.SSE:
		return fmt.Sprintf("encrypted with %s, not with %s", clip(string(got.sse)), p.SSE)
	case !isKey(got.kmsKey, p.KMSKeyID):
		return fmt.Sprintf("encrypted with the key %s, not with %s", clip(got.kmsKey), p.KMSKeyID)
	}
	return ""
}

// sawPlain notes how an object of the bucket is not encrypted as was asked for.
func (t *transfer) sawPlain(why string) {
	t.u.mu.Lock()
	defer t.u.mu.Unlock()
	if t.u.habits.plain == nil {
		t.u.habits.plain = make(map[string]string)
	}
	t.u.habits.plain[t.plainKey()] = why
}

func (t *transfer) plainKey() string {
	return strings.Join([]string{t.job.Bucket, string(t.props.SSE), t.props.KMSKeyID}, " ")
}

// mayEncrypt refuses what would replace an object after another one of the run was
// not encrypted as was asked for.
func (t *transfer) mayEncrypt() error {
	t.u.mu.Lock()
	defer t.u.mu.Unlock()
	why := t.u.habits.plain[t.plainKey()]
	if why == "" || t.props.SSE == "" && t.props.CustomerKey == nil {
		return nil
	}
	return fail(Unpublished, "not sent, because another object of this run is %s", why)
}

// isOpaque says whether ETags of objects that are encrypted so are no MD5s.
func (p Properties) isOpaque() bool {
	return strings.HasPrefix(string(p.SSE), "aws:kms") || p.CustomerKey != nil
}

// encryption returns the properties that say how to encrypt, and no other.
func (p Properties) encryption() Properties {
	return Properties{SSE: p.SSE, KMSKeyID: p.KMSKeyID, KMSContext: p.KMSContext, BucketKey: p.BucketKey, CustomerKey: p.CustomerKey}
}

func (p Properties) locks() bool { return p.LockMode != "" || p.LegalHold }

// areSecret says whether some properties cannot be seen in the end, or must not
// be missing for a moment: an upload of unknown properties becomes such an object
// only through a copy.
func (p Properties) areSecret() bool { return p.areHidden() || p.SSE != "" }

// areHidden says whether some properties are secret that no answer about a part
// tells.
func (p Properties) areHidden() bool {
	return p.ACL != "" || len(p.Grants.All()) > 0 || len(p.Tags) > 0 || p.locks()
}

// mayResume says whether an unfinished upload that was found may become the
// object. Nothing that can be listed tells its properties. Those that a copy
// restates do not matter; where none follows, headers are compared in the end,
// but protection and access are not left to chance. Parts under KMS or a key of
// one's own have no MD5s as ETags: one that fits is not encrypted.
//
// Under KMS parts are known by their checksums alone, and a part that is sent tells
// how the upload is encrypted, but for the context. What needs a key of one's own is
// begun anew: nobody can tell with which it was begun.
func (t *transfer) mayResume(f *found, size int64) bool {
	p := t.props
	switch {
	case t.o.NoResume, t.noResume, p.CustomerKey != nil, !t.takesSums(f):
		return false
	case !p.isOpaque():
		return t.copies(size) || !p.areSecret()
	}
	return f.algorithm == types.ChecksumAlgorithmCrc64nvme && (t.copies(size) || !p.areHidden() && len(p.KMSContext) == 0)
}

// foresee finds out before anything is sent what decides on how it is sent: a
// lock keeps the object from being copied, so that all must be said at once.
func (t *transfer) foresee(ctx context.Context) error {
	if t.props.StorageClass == "" && !t.props.areSecret() {
		return nil
	}
	return t.askForLock(ctx)
}

// askForLock finds out whether the bucket locks what is put into it.
func (t *transfer) askForLock(ctx context.Context) error {
	if t.locked || t.o.Normalize != NormalizeAuto {
		return nil
	}
	locks, err := t.u.locksByDefault(ctx, t.job.Bucket, t.with)
	t.locked = locks
	return err
}

// locksByDefault asks once for each bucket. Who may not ask, or asks a store that
// knows no locks, learns from HEAD, if at all.
func (u *Uploader) locksByDefault(ctx context.Context, bucket string, with func(*s3.Options)) (bool, error) {
	if err := take(ctx, u.asking); err != nil {
		return false, err
	}
	defer func() { <-u.asking }()
	if locks, known := u.locks[bucket]; known {
		return locks, nil
	}
	out, err := u.client.GetObjectLockConfiguration(ctx, &s3.GetObjectLockConfigurationInput{Bucket: &bucket}, with)
	if err != nil && status(err) == 0 {
		return false, err
	}
	if status(err) == http.StatusForbidden {
		u.mu.Lock()
		u.unasked[bucket] = err
		u.mu.Unlock()
	}
	if err == nil && out.ObjectLockConfiguration != nil && out.ObjectLockConfiguration.Rule != nil {
		d := out.ObjectLockConfiguration.Rule.DefaultRetention
		u.locks[bucket] = d != nil && d.Mode != ""
	} else {
		u.locks[bucket] = false
	}
	return u.locks[bucket], nil
}

// isShownLocked says whether HEAD shows a lock on an object, as it does to those
// who may see it.
func isShownLocked(out *s3.HeadObjectOutput) bool {
	return out.ObjectLockMode != "" || out.ObjectLockLegalHoldStatus == types.ObjectLockLegalHoldStatusOn
}

// findLock notes whether the object is locked: where HEAD does not show it, the
// bucket's default must do. Where locks are, versions are.
func (t *transfer) findLock(ctx context.Context, out *s3.HeadObjectOutput) error {
	if isShownLocked(out) {
		t.locked = true
	}
	if aws.ToString(out.VersionId) == "" {
		return nil
	}
	if err := t.askForLock(ctx); err != nil {
		return err
	}
	t.noteUnasked(t.locked)
	return nil
}

// isLocked is findLock for an object that this run did not make, whatever lock it
// is to have.
func (t *transfer) isLocked(ctx context.Context, out *s3.HeadObjectOutput) (bool, error) {
	if isShownLocked(out) || aws.ToString(out.VersionId) == "" || t.o.Normalize == NormalizeSelf {
		return isShownLocked(out), nil
	}
	locks, err := t.u.locksByDefault(ctx, t.job.Bucket, t.with)
	if err != nil {
		return false, err
	}
	t.noteUnasked(locks)
	return locks, nil
}

// noteUnasked tells once that a bucket may not be asked for its default, unless its
// objects are known to be locked.
func (t *transfer) noteUnasked(locked bool) {
	t.u.mu.Lock()
	denied := t.u.unasked[t.job.Bucket]
	delete(t.u.unasked, t.job.Bucket) // once is enough
	t.u.mu.Unlock()
	if denied != nil && !locked {
		t.note("whether the bucket locks objects by default may not be asked%s", lacking(denied, "s3:GetBucketObjectLockConfiguration", "--normalize self or off"))
	}
}

// verifyProtection makes sure that the object is encrypted and locked as was
// asked for.
func (t *transfer) verifyProtection(ctx context.Context) error {
	p, got := t.props, t.shield
	if unknown := t.shown == nil && t.res.Normalized != SinglePut && got == (shield{}); unknown && (p.SSE != "" || p.CustomerKey != nil) {
		t.note("whether the object is encrypted cannot be told: it may not be looked at")
	} else if why := p.unlike(got); why != "" {
		t.sawPlain(why)
		return fail(Unprotected, "the object is stored, and %s", why)
	}
	if !p.locks() {
		return nil
	}
	out := t.shown
	if out == nil {
		var err error
		switch out, err = t.head(ctx); {
		case cannotLook(err):
			out = new(s3.HeadObjectOutput)
		case err != nil:
			return err
		case etag.Trim(aws.ToString(out.ETag)) != t.res.ETag:
			return t.overwritten(seen(out))
		}
	}
	if err := t.verifyRetention(ctx, out); err != nil {
		return err
	}
	return t.verifyHold(ctx, out)
}

// isKey says whether a KMS key is the one that was asked for, as far as that can
// be told: answers name it by its ARN, people by its id too. What stands behind
// an alias nobody knows.
func isKey(got, asked string) bool {
	return asked == "" || strings.HasPrefix(asked, "alias/") || strings.Contains(asked, ":alias/") ||
		got == asked || strings.HasSuffix(got, "/"+asked) || strings.HasSuffix(got, ":"+asked)
}

// verifyRetention asks of its own what HEAD does not show to all.
func (t *transfer) verifyRetention(ctx context.Context, out *s3.HeadObjectOutput) error {
	if t.props.LockMode == "" {
		return nil
	}
	mode, until := string(out.ObjectLockMode), aws.ToTime(out.ObjectLockRetainUntilDate)
	if mode == "" {
		r, err := t.u.client.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{
			Bucket: &t.job.Bucket, Key: &t.job.Key, VersionId: optional(t.res.VersionID)}, t.with)
		switch {
		case err != nil && (status(err) == 0 || status(err) >= 500 && status(err) != http.StatusNotImplemented):
			return err
		case status(err) == http.StatusForbidden:
			t.note("the lock was asked for; whether it is there may not be seen without s3:GetObjectRetention")
			return nil
		case err == nil && r.Retention != nil:
			mode, until = string(r.Retention.Mode), aws.ToTime(r.Retention.RetainUntilDate)
		}
	}
	switch {
	case mode == "":
		return fail(Unprotected, "the object is stored, and not locked")
	case mode != string(t.props.LockMode), until.Before(t.props.LockUntil.Truncate(time.Second)):
		return fail(Unprotected, "the object is stored, and locked as %s until %s, not as %s until %s", clip(mode),
			until.UTC().Format(time.RFC3339), t.props.LockMode, t.props.LockUntil.UTC().Format(time.RFC3339))
	}
	return nil
}

func (t *transfer) verifyHold(ctx context.Context, out *s3.HeadObjectOutput) error {
	if !t.props.LegalHold || out.ObjectLockLegalHoldStatus == types.ObjectLockLegalHoldStatusOn {
		return nil
	}
	h, err := t.u.client.GetObjectLegalHold(ctx, &s3.GetObjectLegalHoldInput{
		Bucket: &t.job.Bucket, Key: &t.job.Key, VersionId: optional(t.res.VersionID)}, t.with)
	switch {
	case err != nil && (status(err) == 0 || status(err) >= 500 && status(err) != http.StatusNotImplemented):
		return err
	case status(err) == http.StatusForbidden:
		t.note("the legal hold was asked for; whether it is there may not be seen without s3:GetObjectLegalHold")
		return nil
	case err == nil && h.LegalHold != nil && h.LegalHold.Status == types.ObjectLockLegalHoldStatusOn:
		return nil
	}
	return fail(Unprotected, "the object is stored, and not on legal hold")
}

// billed are the days that S3 bills of an object of a class, at least (S3-FACTS
// §3).
var billed = map[types.StorageClass]int{
	types.StorageClassStandardIa: 30, types.StorageClassOnezoneIa: 30, types.StorageClassGlacierIr: 90,
	types.StorageClassGlacier: 90, types.StorageClassDeepArchive: 180,
}

// BilledDays are the days that S3 bills of an object of a storage class at least,
// also if it is replaced before; 0 if there is no such bound.
func BilledDays(class string) int { return billed[types.StorageClass(class)] }

// noteEarlyDeletion tells what it costs to replace an object, where no way avoids
// it: one of a class for rare access is billed for longer than it was there. In
// a bucket that keeps versions it stays.
func (t *transfer) noteEarlyDeletion(out *s3.HeadObjectOutput) {
	age := serverTime(out.ResultMetadata).Sub(aws.ToTime(out.LastModified))
	days := billed[out.StorageClass]
	if days == 0 || aws.ToString(out.VersionId) != "" || age >= time.Duration(days)*24*time.Hour {
		return
	}
	t.note("the object that this replaces is of the class %s, and %s old: S3 bills it for %d days all the same",
		out.StorageClass, plural(int(age.Hours()/24), "day"), days)
}
