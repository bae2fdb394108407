package upload

import (
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Properties are what an object carries beside its bytes. The same struct goes
// to PutObject or CreateMultipartUpload and, restated, to every copy: a copy
// with REPLACE loses what is not said again (S3-FACTS §3), and what a store reads
// back is not always what was said (SERVERS.md, findings 6 and 18). The zero
// value of a field says nothing about it.
type Properties struct {
	// ContentType of the object; empty: found out from the names and the first
	// bytes, see package contenttype.
	ContentType        string
	ContentEncoding    string
	ContentDisposition string
	ContentLanguage    string
	CacheControl       string
	Expires            time.Time // of the Expires header, to the second
	// WebsiteRedirect is where a bucket that is served as a website sends those
	// who ask for the object: a path, or a URL.
	WebsiteRedirect string
	Metadata        map[string]string
	// StorageClass; empty: the bucket's default.
	StorageClass types.StorageClass
	Tags         map[string]string

	// Who may do what, beside the owner: an ACL by its name, or grants. Nothing is
	// sent unless asked for: most buckets take none.
	ACL    types.ObjectCannedACL
	Grants Grants

	// SSE is what the store encrypts with; empty: the bucket's default. The others
	// are for KMS alone.
	SSE        types.ServerSideEncryption
	KMSKeyID   string
	KMSContext map[string]string
	BucketKey  bool // fewer calls to KMS, by a key of the bucket's
	// CustomerKey encrypts instead (SSE-C): 32 bytes, which the store does not keep.
	CustomerKey []byte

	// Object Lock: until then nobody deletes the version, or, on legal hold, until
	// that is taken off.
	LockMode  types.ObjectLockMode
	LockUntil time.Time // to the second
	LegalHold bool
}

// Grants are the grantees of each permission, as in id="…", uri="…" or
// emailAddress="…".
type Grants struct {
	Read, ReadACP, WriteACP, FullControl []string
}

func (p Properties) put(in *s3.PutObjectInput) {
	in.ContentType = optional(p.ContentType)
	in.ContentEncoding = optional(p.ContentEncoding)
	in.ContentDisposition = optional(p.ContentDisposition)
	in.ContentLanguage = optional(p.ContentLanguage)
	in.CacheControl = optional(p.CacheControl)
	in.Expires = optionalTime(p.Expires)
	in.WebsiteRedirectLocation = optional(p.WebsiteRedirect)
	in.Metadata = p.Metadata
	in.StorageClass = p.StorageClass
	in.Tagging = optional(p.tagging())
	in.ACL = p.ACL
	in.GrantRead = grantees(p.Grants.Read)
	in.GrantReadACP = grantees(p.Grants.ReadACP)
	in.GrantWriteACP = grantees(p.Grants.WriteACP)
	in.GrantFullControl = grantees(p.Grants.FullControl)
	in.ServerSideEncryption = p.SSE
	in.SSEKMSKeyId = optional(p.KMSKeyID)
	in.SSEKMSEncryptionContext = p.kmsContext()
	in.BucketKeyEnabled = flag(p.BucketKey)
	in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = p.customer()
	in.ObjectLockMode = p.LockMode
	in.ObjectLockRetainUntilDate = optionalTime(p.LockUntil)
	in.ObjectLockLegalHoldStatus = p.legalHold()
}

func (p Properties) create(in *s3.CreateMultipartUploadInput) {
	in.ContentType = optional(p.ContentType)
	in.ContentEncoding = optional(p.ContentEncoding)
	in.ContentDisposition = optional(p.ContentDisposition)
	in.ContentLanguage = optional(p.ContentLanguage)
	in.CacheControl = optional(p.CacheControl)
	in.Expires = optionalTime(p.Expires)
	in.WebsiteRedirectLocation = optional(p.WebsiteRedirect)
	in.Metadata = p.Metadata
	in.StorageClass = p.StorageClass
	in.Tagging = optional(p.tagging())
	in.ACL = p.ACL
	in.GrantRead = grantees(p.Grants.Read)
	in.GrantReadACP = grantees(p.Grants.ReadACP)
	in.GrantWriteACP = grantees(p.Grants.WriteACP)
	in.GrantFullControl = grantees(p.Grants.FullControl)
	in.ServerSideEncryption = p.SSE
	in.SSEKMSKeyId = optional(p.KMSKeyID)
	in.SSEKMSEncryptionContext = p.kmsContext()
	in.BucketKeyEnabled = flag(p.BucketKey)
	in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = p.customer()
	in.ObjectLockMode = p.LockMode
	in.ObjectLockRetainUntilDate = optionalTime(p.LockUntil)
	in.ObjectLockLegalHoldStatus = p.legalHold()
}

func (p Properties) copy(in *s3.CopyObjectInput) {
	in.MetadataDirective = types.MetadataDirectiveReplace
	in.ContentType = optional(p.ContentType)
	in.ContentEncoding = optional(p.ContentEncoding)
	in.ContentDisposition = optional(p.ContentDisposition)
	in.ContentLanguage = optional(p.ContentLanguage)
	in.CacheControl = optional(p.CacheControl)
	in.Expires = optionalTime(p.Expires)
	in.WebsiteRedirectLocation = optional(p.WebsiteRedirect)
	in.Metadata = p.Metadata
	in.StorageClass = p.StorageClass
	in.Tagging = optional(p.tagging())
	in.ACL = p.ACL
	in.GrantRead = grantees(p.Grants.Read)
	in.GrantReadACP = grantees(p.Grants.ReadACP)
	in.GrantWriteACP = grantees(p.Grants.WriteACP)
	in.GrantFullControl = grantees(p.Grants.FullControl)
	in.ServerSideEncryption = p.SSE
	in.SSEKMSKeyId = optional(p.KMSKeyID)
	in.SSEKMSEncryptionContext = p.kmsContext()
	in.BucketKeyEnabled = flag(p.BucketKey)
	in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = p.customer()
	in.ObjectLockMode = p.LockMode
	in.ObjectLockRetainUntilDate = optionalTime(p.LockUntil)
	in.ObjectLockLegalHoldStatus = p.legalHold()
	in.CopySourceSSECustomerAlgorithm, in.CopySourceSSECustomerKey, in.CopySourceSSECustomerKeyMD5 = p.customer()
	if len(p.Tags) > 0 { // else they would be copied, for which they have to be readable
		in.TaggingDirective = types.TaggingDirectiveReplace
	}
}

// optional is nil for an empty string: the SDK sends what is not nil.
func optional(s string) *string {
	if s == "" {
		return nil
	}
	return aws.String(s)
}

func optionalTime(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// system returns the headers that S3 counts as system metadata.
func (p Properties) system() map[string]string {
	return map[string]string{
		"Content-Type":                    p.ContentType,
		"Content-Encoding":                p.ContentEncoding,
		"Content-Disposition":             p.ContentDisposition,
		"Content-Language":                p.ContentLanguage,
		"Cache-Control":                   p.CacheControl,
		"Expires":                         httpTime(p.Expires),
		"x-amz-website-redirect-location": p.WebsiteRedirect,
	}
}

// httpTime is a time as headers have it, "" for none.
func httpTime(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(http.TimeFormat)
}
