package upload

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/etag"
)

// Directory buckets (S3 Express One Zone) know no MD5. What they lack, and what is
// done instead, is said here; none of it could be tried against Amazon S3 itself.
//
//   - A Content-MD5 is refused (501): each body goes with its CRC64NVME, as with
//     --checksum crc64nvme anywhere, and the store refuses what does not have it. The
//     parts of an unfinished upload are known by it, and so is the whole object.
//   - ETags are random: none is compared with anything but itself.
//   - A copy would give nothing, so that none follows.
//   - Listings are of whole directories, and in no order.
//   - There are no versions, tags, ACLs, locks, website redirects, nor keys of one's
//     own; and one storage class.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-differences.html

func (t *transfer) isDirectory() bool { return etag.IsDirectory(t.job.Bucket) }

// inDirectory are the options as far as directory buckets can do with them.
func (o Options) inDirectory() *Options {
	o.Checksum, o.Normalize, o.PruneVersion = SumCRC64NVME, NormalizeOff, false
	return &o
}

// contentMD5 is the sum of a body as requests have it; nil where none is taken.
func (t *transfer) contentMD5(sum etag.MD5) *string {
	if t.isDirectory() {
		return nil
	}
	return aws.String(sum.Base64())
}

// listedPrefix is what to list for keys that begin with prefix: in a directory bucket,
// the whole directory that they are in.
func listedPrefix(bucket, prefix string) string {
	if etag.IsDirectory(bucket) {
		return prefix[:strings.LastIndexByte(prefix, '/')+1]
	}
	return prefix
}

// CheckBucket says what a bucket of this name cannot do of what is asked for, an
// error of kind Usage.
func (o Options) CheckBucket(bucket string) error {
	if !etag.IsDirectory(bucket) {
		return nil
	}
	switch {
	case o.Publish == PublishStaged:
		return notInDirectory(bucket, "--publish staged", "it knows no MD5, by which what is published is verified")
	case o.Checksum == SumNone:
		return notInDirectory(bucket, "--checksum none", "it knows no MD5, and nothing would tell that the bytes arrived")
	case o.Checksum == SumMD5:
		return notInDirectory(bucket, "--checksum md5", "it knows no MD5")
	}
	return nil
}

// CheckBucket is Options.CheckBucket for what an object is to carry.
func (p Properties) CheckBucket(bucket string) error {
	if !etag.IsDirectory(bucket) {
		return nil
	}
	for _, lacking := range []struct {
		asked     bool
		flag, why string
	}{
		{p.ACL != "", "--acl", "it has no ACLs"},
		{len(p.Grants.All()) > 0, "--grant", "it has no ACLs"},
		{len(p.Tags) > 0, "--tagging", "its objects have no tags"},
		{p.LockMode != "", "--object-lock-mode", "it locks nothing"},
		{p.LegalHold, "--legal-hold", "it locks nothing"},
		{p.CustomerKey != nil, "a key of your own (SSE-C)", "it has AES256 and aws:kms"},
		{p.SSE == types.ServerSideEncryptionAwsKmsDsse, "--sse aws:kms:dsse", "it has AES256 and aws:kms"},
		{p.WebsiteRedirect != "", "--website-redirect", "it is no website"},
		{!isDirectoryClass(p.StorageClass), "--storage-class " + string(p.StorageClass), "it has a class of its own, EXPRESS_ONEZONE"},
	} {
		if lacking.asked {
			return notInDirectory(bucket, lacking.flag, lacking.why)
		}
	}
	return nil
}

// isDirectoryClass: in zones of another kind, their class is the second one.
func isDirectoryClass(class types.StorageClass) bool {
	return class == "" || class == types.StorageClassExpressOnezone || class == types.StorageClassOnezoneIa
}

func notInDirectory(bucket, what, why string) error {
	return fail(Usage, "%s is not for %s, which is a directory bucket: %s", what, bucket, why)
}
