package upload

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"maps"
	"net/http"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/etag"
)

// A NormalizeJob is an object that is there already, and is to get the MD5 of its
// bytes as ETag.
type NormalizeJob struct {
	Bucket, Key string
	// AllowVersions copies in a bucket that keeps versions too: what the copy
	// replaces stays there as a noncurrent version, and is paid for.
	AllowVersions bool
	// IgnoreACL takes it that no object has an ACL of its own, and asks for none.
	IgnoreACL bool
	// DryRun only looks.
	DryRun bool
}

// What Normalize makes of an object, beside Unchanged, Skipped and Failed.
const (
	NowMD5         Status = "normalized"      // its ETag is the MD5 of its bytes now
	KeptParts      Status = "kept"            // the store kept the ETag of an object of parts through the copies
	WouldNormalize Status = "would-normalize" // a dry run
)

// A Skip says why Normalize leaves an object as it is.
type Skip string

const (
	SkipLarge    Skip = "too-large"
	SkipKMS      Skip = "kms"
	SkipCustomer Skip = "customer-key" // SSE-C
	SkipArchived Skip = "archived"
	SkipLocked   Skip = "locked"
	SkipVersions Skip = "versions"
	SkipStaging  Skip = "staging" // a copy of s3up's own, on its way
	SkipOpaque   Skip = "opaque"  // its ETag is none that is known
	SkipACL      Skip = "acl"
	SkipHeader   Skip = "header" // it has a property that no copy can restate
)

// IsStagingKey says whether a key is one that s3up gives its staged copies.
func IsStagingKey(key string) bool { return stagingName.MatchString(path.Base(key)) }

var stagingName = regexp.MustCompile(`^\.s3up-[0-9a-f]{16}-[0-9a-f]{16}(-[0-9a-f]{16})?$`)

// Foresee says of an object, as a listing shows it, whether Normalize would skip
// it. It is "" if only a look at the object can tell, or a copy.
func (l Limits) Foresee(key, tag string, size int64, class string) Skip {
	l = l.withDefaults()
	switch {
	case IsStagingKey(key):
		return SkipStaging
	case etag.Parts(etag.Trim(tag)) == 0 && !etag.IsMD5(etag.Trim(tag)):
		return SkipOpaque
	case size > l.MaxCopy:
		return SkipLarge
	case isArchive(types.StorageClass(class)):
		return SkipArchived
	}
	return ""
}

func isArchive(class types.StorageClass) bool {
	return class == types.StorageClassGlacier || class == types.StorageClassDeepArchive
}

// existing is what a transfer knows of an object that was there already. Of its
// bytes only the store knows the MD5: that of a copy that is as long, whose
// properties and checksums are the same, is believed.
type existing struct {
	*NormalizeJob
	grants []string // of its ACL, if that is not the default, as PERMISSION GRANTEE
	wrong  string   // how the copy differs, once it does
}

// Normalize gives an object of parts the MD5 of its bytes as ETag, by the copies
// that Upload makes: everything else of it stays as it is. The status of the
// Result is NowMD5, Unchanged, KeptParts, Skipped, WouldNormalize or Failed.
// It may be called for many objects at once: slots bound what is under way. In a
// directory bucket there is nothing to be done.
func (u *Uploader) Normalize(ctx context.Context, job *NormalizeJob) *Result {
	start := time.Now()
	t := u.transfer(&Job{Source: &Source{size: -1}, Bucket: job.Bucket, Key: job.Key})
	t.existing = &existing{NormalizeJob: job}
	r := t.res
	err := t.normalizeExisting(ctx)
	if err != nil {
		r.Status, r.Err = Failed, err
		if cause := context.Cause(ctx); ctx.Err() != nil && errors.Is(err, context.Canceled) && cause != nil {
			r.Err = &Error{Kind: Interrupted, Msg: "interrupted", Err: cause}
		}
	}
	r.Requests = t.counter.counts()
	r.ContentType = t.props.ContentType
	r.Duration = time.Since(start)
	return r
}

func (t *transfer) normalizeExisting(ctx context.Context) error {
	s, err := t.u.slots.acquire(ctx, weightSmall)
	if err != nil {
		return err
	}
	out, err := t.head(ctx)
	s.release(err == nil, 0)
	if err != nil {
		return t.unseenExisting(ctx, err)
	}
	now := seen(out)
	t.original, t.completed, t.composite = out, now, now.etag
	t.size, t.res.Size, t.res.Was = aws.ToInt64(out.ContentLength), aws.ToInt64(out.ContentLength), now.etag
	t.res.Parts, t.res.StorageClass = etag.Parts(now.etag), string(cmp.Or(out.StorageClass, types.StorageClassStandard))
	t.res.Modified = aws.ToTime(out.LastModified)
	t.encryption(out.ServerSideEncryption, out.SSECustomerAlgorithm)
	t.result(now, ETagMultipart)
	if !t.hidesMD5() && etag.IsMD5(now.etag) {
		t.result(now, ETagMD5)
		t.res.Status, t.res.Normalized = Unchanged, Already
		return nil
	}
	if skip, err := t.skips(ctx, out); skip != "" || err != nil {
		return t.leaveAs(skip, err)
	}
	if t.existing.DryRun {
		t.res.Status = WouldNormalize
		t.noteEarlyDeletion(out)
		if now.version != "" && now.version != "null" && !t.o.PruneVersion {
			t.note("the bucket keeps versions: the version of parts would stay behind as a noncurrent one")
		}
		if t.existing.grants != nil {
			t.res.Custom = append(t.res.Custom, "an ACL of its own")
		}
		if t.props.WebsiteRedirect != "" {
			t.res.Custom = append(t.res.Custom, "a website redirect")
		}
		return nil
	}
	if s, err = t.u.slots.acquire(ctx, weightPart); err != nil {
		return err
	}
	if err = t.isStill(ctx, out); err == nil {
		err = t.copyExisting(withAgain(ctx, func() error { return t.isStill(ctx, out) }), out)
	}
	s.release(err == nil, 0)
	return err
}

// isStill looks whether the object is the one that was seen, right before a copy:
// its ACL and locks were read since, and some stores ignore the condition of a copy
// (SERVERS.md, finding 7). Once the copy was made, it is another one.
func (t *transfer) isStill(ctx context.Context, before *s3.HeadObjectOutput) error {
	out, err := t.head(ctx)
	switch {
	case status(err) == http.StatusNotFound:
		return fail(Conflict, "the object was deleted by somebody else meanwhile")
	case err != nil:
		return err
	case !seen(out).same(seen(before)), aws.ToInt64(out.ContentLength) != aws.ToInt64(before.ContentLength):
		return t.overwritten(seen(out))
	}
	return nil
}

// unseenExisting is the end for an object that cannot be looked at. Those that are
// encrypted with a key of somebody's own are shown to nobody else; an expired token
// is answered in the same way, but not to all calls.
func (t *transfer) unseenExisting(ctx context.Context, cause error) error {
	if status(cause) == http.StatusNotFound && code(cause) != "NoSuchBucket" {
		return &Error{NotFound, "there is no such object", cause}
	}
	if status(cause) != http.StatusBadRequest {
		return cause
	}
	_, err := t.u.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{Bucket: &t.job.Bucket, Prefix: &t.job.Key, MaxKeys: aws.Int32(1)}, t.with)
	if err != nil {
		return &Error{Access, "the object cannot be looked at", cause}
	}
	t.encrypted = true
	return t.leaveAs(SkipCustomer, nil)
}

// leaveAs notes that the object is left as it is.
func (t *transfer) leaveAs(why Skip, err error) error {
	if err != nil {
		return err
	}
	t.res.Status, t.res.Skip = Skipped, why
	if why == SkipKMS || why == SkipCustomer || why == SkipOpaque {
		t.res.ETagKind = ETagOpaque
	}
	return nil
}

// skips says why an object is to be left as it is; "" if it is not. It reads the
// properties that a copy has to restate.
func (t *transfer) skips(ctx context.Context, out *s3.HeadObjectOutput) (Skip, error) {
	version := aws.ToString(out.VersionId) != ""
	switch {
	case IsStagingKey(t.job.Key) || readable(out.Metadata)[stagingMark] != "":
		return SkipStaging, nil
	case t.hidesMD5():
		return SkipKMS, nil
	case t.res.Parts == 0:
		return SkipOpaque, nil
	case t.size > t.o.Limits.MaxCopy:
		return SkipLarge, nil
	case isArchive(out.StorageClass), out.ArchiveStatus != "":
		return SkipArchived, nil
	case out.ObjectLockMode != "", out.ObjectLockLegalHoldStatus == types.ObjectLockLegalHoldStatusOn:
		return SkipLocked, nil
	case version && (!t.existing.AllowVersions || t.o.Normalize == NormalizeStaged):
		return SkipVersions, nil
	case aws.ToInt32(out.MissingMeta) > 0:
		t.note("it has metadata that HTTP cannot show, and that a copy would lose")
		return SkipHeader, nil
	}
	if version {
		if locked, err := t.wouldLock(ctx, out); locked || err != nil {
			return SkipLocked, err
		}
	}
	if expires := aws.ToString(out.ExpiresString); expires != "" {
		if _, err := http.ParseTime(expires); err != nil {
			t.note("its Expires header %q is no date, and a copy can only have one", clip(expires))
			return SkipHeader, nil
		}
	}
	t.props = shownProperties(out)
	if t.props.SSE == "" && t.o.ServerMD5 {
		// Amazon encrypts whatever is written, and what the bucket's default may be, KMS,
		// not all may read who could read the object.
		t.props.SSE = types.ServerSideEncryptionAes256
	}
	t.crc = shownSums(out).crc
	return t.readACL(ctx)
}

// wouldLock finds out whether an object in a bucket that keeps versions is locked, or
// its copy would be. HEAD tells only those who may see locks.
func (t *transfer) wouldLock(ctx context.Context, out *s3.HeadObjectOutput) (bool, error) {
	if err := t.findLock(ctx, out); t.locked || err != nil {
		return t.locked, err
	}
	r, err := t.u.client.GetObjectRetention(ctx, &s3.GetObjectRetentionInput{Bucket: &t.job.Bucket, Key: &t.job.Key}, t.with)
	if err == nil && r.Retention != nil && r.Retention.Mode != "" {
		return true, nil
	}
	if err == nil || status(err) != 0 && status(err) != http.StatusForbidden {
		var h *s3.GetObjectLegalHoldOutput
		h, err = t.u.client.GetObjectLegalHold(ctx, &s3.GetObjectLegalHoldInput{Bucket: &t.job.Bucket, Key: &t.job.Key}, t.with)
		if err == nil && h.LegalHold != nil && h.LegalHold.Status == types.ObjectLockLegalHoldStatusOn {
			return true, nil
		}
	}
	switch {
	case status(err) == http.StatusForbidden:
		t.note("whether it is locked may not be seen; that needs s3:GetObjectRetention and s3:GetObjectLegalHold")
		return true, nil
	case err != nil && (status(err) == 0 || KindOf(err) == Temporary):
		return false, err
	}
	return false, nil // the bucket has no Object Lock, or the store knows none
}

// shownProperties are the properties of an object, as HEAD shows them, in the form
// in which a request states them. Tags are not among them: a copy takes them along.
func shownProperties(out *s3.HeadObjectOutput) Properties {
	p := Properties{
		ContentType:        aws.ToString(out.ContentType),
		ContentEncoding:    aws.ToString(out.ContentEncoding),
		ContentDisposition: aws.ToString(out.ContentDisposition),
		ContentLanguage:    aws.ToString(out.ContentLanguage),
		CacheControl:       aws.ToString(out.CacheControl),
		WebsiteRedirect:    aws.ToString(out.WebsiteRedirectLocation),
		StorageClass:       out.StorageClass,
		SSE:                out.ServerSideEncryption,
	}
	if at, err := http.ParseTime(aws.ToString(out.ExpiresString)); err == nil {
		p.Expires = at
	}
	if len(out.Metadata) > 0 {
		p.Metadata = readable(out.Metadata)
	}
	return p
}

// readACL reads the ACL that the copy has to be given again: none is ever copied.
// A bucket that takes no ACLs shows that of its owner, which is the default.
func (t *transfer) readACL(ctx context.Context) (Skip, error) {
	if t.existing.IgnoreACL {
		return "", nil
	}
	out, err := t.u.client.GetObjectAcl(ctx, &s3.GetObjectAclInput{Bucket: &t.job.Bucket, Key: &t.job.Key}, t.with)
	switch {
	case err == nil:
	case status(err) == http.StatusForbidden:
		t.note("its ACL may not be read, and a copy would lose it; that needs s3:GetObjectAcl, and --ignore-acl does without")
		return SkipACL, nil
	case cannot(err), status(err)/100 == 2:
		return "", nil // a store without ACLs, or one that answers with the object
	default:
		return "", err
	}
	t.existing.grants = grantsOf(out)
	if !t.props.grant(out) {
		t.note("its ACL grants what no copy can grant: %s", clip(strings.Join(t.existing.grants, ", ")))
		return SkipACL, nil
	}
	return "", nil
}

// grantsOf returns the grants of an ACL, in order; none if they are what an object
// has by itself: all to its owner.
func grantsOf(out *s3.GetObjectAclOutput) []string {
	if len(out.Grants) == 1 && out.Grants[0].Permission == types.PermissionFullControl && isOwner(out.Grants[0].Grantee, out.Owner) {
		return nil
	}
	var all []string
	for _, g := range out.Grants {
		all = append(all, string(g.Permission)+" "+granteeOf(g.Grantee))
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// isOwner says whether a grantee is the owner. Stores that know no ACLs name
// nobody.
func isOwner(g *types.Grantee, owner *types.Owner) bool {
	if g == nil || aws.ToString(g.URI) != "" || aws.ToString(g.EmailAddress) != "" {
		return false
	}
	id := aws.ToString(g.ID)
	return id == "" || owner != nil && id == aws.ToString(owner.ID)
}

// granteeOf is a grantee as headers name it.
func granteeOf(g *types.Grantee) string {
	switch {
	case g == nil:
		return ""
	case g.URI != nil:
		return `uri="` + *g.URI + `"`
	case g.EmailAddress != nil:
		return `emailAddress="` + *g.EmailAddress + `"`
	}
	return `id="` + aws.ToString(g.ID) + `"`
}

// grant makes the properties restate an ACL. It says whether they can: there is no
// header that grants to write an object, which means nothing, but the ACL
// public-read-write does.
func (p *Properties) grant(acl *s3.GetObjectAclOutput) bool {
	const everybody = "http://acs.amazonaws.com/groups/global/AllUsers"
	if grantsOf(acl) == nil {
		return true
	}
	var g Grants
	var writers []string
	for _, one := range acl.Grants {
		who := granteeOf(one.Grantee)
		if strings.Count(who, `"`) != 2 || strings.ContainsFunc(who, func(r rune) bool { return r < ' ' || r > '~' }) {
			return false
		}
		switch one.Permission {
		case types.PermissionRead:
			g.Read = append(g.Read, who)
		case types.PermissionReadAcp:
			g.ReadACP = append(g.ReadACP, who)
		case types.PermissionWriteAcp:
			g.WriteACP = append(g.WriteACP, who)
		case types.PermissionFullControl:
			g.FullControl = append(g.FullControl, who)
		default:
			writers = append(writers, who)
		}
	}
	if len(writers) == 0 {
		p.Grants = g
		return true
	}
	all := `uri="` + everybody + `"`
	if slices.Equal(writers, []string{all}) && slices.Equal(g.Read, []string{all}) && len(g.ReadACP)+len(g.WriteACP) == 0 && len(acl.Grants) == 3 {
		p.ACL = types.ObjectCannedACLPublicReadWrite
		return true
	}
	return false
}

// copyExisting makes the copy, and compares what it made with what was there.
func (t *transfer) copyExisting(ctx context.Context, out *s3.HeadObjectOutput) error {
	t.noteEarlyDeletion(out)
	var err error
	if t.o.Normalize == NormalizeStaged {
		if err = t.mayStage(ctx); err == nil {
			err = t.staged(ctx, out)
		}
	} else {
		err = t.selfCopy(ctx, out)
	}
	if err != nil {
		return err
	}
	switch {
	case t.res.ETagKind == ETagMD5:
		t.res.Status, t.res.MD5 = NowMD5, t.res.ETag
	case t.res.Normalized == Refused:
		return errors.New("the copy was refused")
	default:
		t.res.Status = KeptParts
	}
	t.tellDifferences()
	if err := t.verifyChecksum(); err != nil {
		return err
	}
	if err := t.verifyProtection(ctx); err != nil {
		return err
	}
	return t.compareACL(ctx)
}

// compareACL notes that grants are lost.
func (t *transfer) compareACL(ctx context.Context) error {
	if t.existing.grants == nil {
		return nil
	}
	out, err := t.u.client.GetObjectAcl(ctx, &s3.GetObjectAclInput{Bucket: &t.job.Bucket, Key: &t.job.Key}, t.with)
	if err != nil {
		t.note("whether the object has the grants that it had cannot be told: %s", reason(err))
		return nil
	}
	if got := grantsOf(out); !slices.Equal(got, t.existing.grants) {
		t.note("the copy changed the grants from %s to %s", clip(strings.Join(t.existing.grants, ", ")), cmp.Or(clip(strings.Join(got, ", ")), "none"))
	}
	return nil
}

// judgeExisting is judge for an object whose bytes were never here. Ours is what a
// copy answered to have made; where its answer was lost, what is in one piece, as
// long, and has all properties of the object.
func (t *transfer) judgeExisting(out *s3.HeadObjectOutput, call answer) verdict {
	now := seen(out)
	ours, sized := call.made(now), aws.ToInt64(out.ContentLength) == t.size
	if etag.IsMD5(call.etag) {
		t.whole = parseMD5(call.etag)
	}
	switch {
	case sized && now.etag == t.composite:
		return isComposite
	case ours && !sized:
		t.existing.wrong = "it has another size"
		return isWrong
	case ours && t.otherSum(out) != "":
		t.existing.wrong = t.otherSum(out)
		return isWrong
	case etag.IsMD5(now.etag) && !t.hidesMD5() && (ours || call == (answer{}) && sized && t.hasAll(out)):
		t.whole = parseMD5(now.etag)
		return isMD5
	case ours:
		return isOpaque
	}
	return foreign
}

// parseMD5 reads an ETag that has the shape of an MD5.
func parseMD5(tag string) (m etag.MD5) {
	hex.Decode(m[:], []byte(tag))
	return m
}

// otherSum says which checksum of the whole object is another one than it was, ""
// if none is.
func (t *transfer) otherSum(out *s3.HeadObjectOutput) string {
	if t.original.ChecksumType != types.ChecksumTypeFullObject || out.ChecksumType != types.ChecksumTypeFullObject {
		return ""
	}
	for _, sum := range []struct {
		name     string
		was, got *string
	}{
		{"CRC64NVME", t.original.ChecksumCRC64NVME, out.ChecksumCRC64NVME},
		{"CRC32", t.original.ChecksumCRC32, out.ChecksumCRC32},
		{"CRC32C", t.original.ChecksumCRC32C, out.ChecksumCRC32C},
	} {
		if sum.was != nil && sum.got != nil && *sum.was != *sum.got {
			return "its " + sum.name + " was " + clip(*sum.was) + ", and is " + clip(*sum.got)
		}
	}
	return ""
}

// hasAll says whether an object has all properties of the one that was there, as
// far as HEAD shows them, and none beside.
func (t *transfer) hasAll(out *s3.HeadObjectOutput) bool {
	for _, a := range t.props.attributes(out) {
		if a.got != a.want {
			return false
		}
	}
	return maps.Equal(readable(t.original.Metadata), readable(out.Metadata)) && t.otherSum(out) == ""
}

// refusedExisting is the end of a copy that was refused.
func (t *transfer) refusedExisting(cause error) error {
	if status(cause) == http.StatusForbidden {
		return &Error{Access, "the copy was denied; it needs " + t.copyNeeds() + ", and s3:GetObjectTagging and s3:PutObjectTagging where there are tags", cause}
	}
	return cause
}

// isMinIO says whether an answer comes from MinIO, which rewrites an object that
// has a checksum of the whole only if the copy asks for one (SERVERS.md, finding 4).
func isMinIO(out *s3.HeadObjectOutput) bool {
	return strings.HasPrefix(serverName(out.ResultMetadata), "MinIO")
}

// keepSum adds to a copy what keeps the checksum of the object, where the store
// needs to be told.
func (t *transfer) keepSum(in *s3.CopyObjectInput, out *s3.HeadObjectOutput) {
	if !isMinIO(out) || out.ChecksumType != types.ChecksumTypeFullObject {
		return
	}
	switch {
	case out.ChecksumCRC64NVME != nil:
		in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc64nvme
	case out.ChecksumCRC32 != nil:
		in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32
	case out.ChecksumCRC32C != nil:
		in.ChecksumAlgorithm = types.ChecksumAlgorithmCrc32c
	}
}
