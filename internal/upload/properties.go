package upload

import (
	"net/http"
	"strings"
	"time"
	"unicode"

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

// What S3 takes of headers with a request, in bytes of their names and values
// (S3-FACTS §2).
const (
	maxMetadata = 2 << 10 // x-amz-meta-*, names without that, in UTF-8
	maxSystem   = 2 << 10 // the headers that have a meaning of their own, in ASCII
)

// Check says what S3 would refuse in properties that are each well-formed by
// themselves, an error of kind Usage.
func (p Properties) Check() error {
	var user, system int
	for name, value := range p.Metadata {
		user += len(name) + len(value)
	}
	if user > maxMetadata {
		return fail(Usage, "%d bytes of metadata are more than the %d that an object can have", user, maxMetadata)
	}
	for name, value := range p.system() {
		if value == "" {
			continue
		}
		if strings.ContainsFunc(value, func(r rune) bool { return r > unicode.MaxASCII }) {
			return fail(Usage, "%s: %q is not ASCII, and S3 keeps nothing else in it", name, value)
		}
		system += len(name) + len(value)
	}
	if system > maxSystem {
		return fail(Usage, "%d bytes of headers are more than the %d that an object can have beside its metadata", system, maxSystem)
	}
	return nil
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
