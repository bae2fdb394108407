package upload

import (
	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// Properties are what an object carries beside its bytes. The same struct goes
// to PutObject or CreateMultipartUpload and, restated, to every copy: a copy
// with REPLACE loses what is not said again, and what a store reads back is not
// always what was said (SERVERS.md, findings 6 and 18).
type Properties struct {
	// ContentType of the object; empty: found out from the names and the first
	// bytes, see package contenttype.
	ContentType  string
	CacheControl string
	Metadata     map[string]string
	// StorageClass; empty: the bucket's default.
	StorageClass types.StorageClass
}

func (p Properties) put(in *s3.PutObjectInput) {
	in.ContentType = optional(p.ContentType)
	in.CacheControl = optional(p.CacheControl)
	in.Metadata = p.Metadata
	in.StorageClass = p.StorageClass
}

func (p Properties) create(in *s3.CreateMultipartUploadInput) {
	in.ContentType = optional(p.ContentType)
	in.CacheControl = optional(p.CacheControl)
	in.Metadata = p.Metadata
	in.StorageClass = p.StorageClass
}

func (p Properties) copy(in *s3.CopyObjectInput) {
	in.MetadataDirective = types.MetadataDirectiveReplace
	in.ContentType = optional(p.ContentType)
	in.CacheControl = optional(p.CacheControl)
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
