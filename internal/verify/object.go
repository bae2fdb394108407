package verify

import (
	"encoding/base64"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/etag"
)

// An Object is what the store told of one.
type Object struct {
	Bucket, Key string
	Size        int64
	ETag        string // unquoted
	VersionID   string
	Modified    time.Time
	// Encrypted is aws:kms, aws:kms:dsse or SSE-C where its ETag is no MD5 for that
	// reason; else "".
	Encrypted string
	Checksums []Checksum
	Claims    []Claim
	// Hidden says that its checksums may not be seen.
	Hidden bool

	// Ahead is by how much the store's clock was ahead of the one here, or less, when it
	// answered; not above 0 if nobody knows.
	Ahead time.Duration

	headed bool // all of this is known, not only what a listing tells
	looked time.Time
}

// IsLooked says whether it was looked at: a listing tells less, and not whether it is
// encrypted.
func (o *Object) IsLooked() bool { return o.headed }

// Kind says what an ETag is.
type Kind string

const (
	Plain     Kind = "md5"       // has the shape of an MD5, and may be that of the bytes
	Multipart Kind = "multipart" // composed of the MD5s of parts
	Opaque    Kind = "opaque"    // says nothing about the bytes
)

// Kind returns what the object's ETag is by its shape, its encryption and its bucket.
func (o *Object) Kind() Kind {
	switch {
	case o.Encrypted != "", etag.IsDirectory(o.Bucket):
		return Opaque
	case etag.IsMD5(o.ETag):
		return Plain
	case o.Parts() > 0:
		return Multipart
	}
	return Opaque
}

// Parts returns how many parts the object was uploaded in, 0 if in one piece. The
// number behind the dash of an ETag is right under encryption too, but not in a
// directory bucket.
func (o *Object) Parts() int {
	if n := etag.Parts(o.ETag); n > 0 && n <= maxParts && !etag.IsDirectory(o.Bucket) {
		return n
	}
	for _, c := range o.Checksums {
		if c.Parts > 0 {
			return c.Parts
		}
	}
	return 0
}

// maxParts is how many parts an object can have (S3-FACTS §2).
const maxParts = 10_000

// A Checksum is one that the store keeps beside the ETag.
type Checksum struct {
	Algorithm Algorithm
	Value     []byte
	Parts     int // that it is composed of; 0: it is of all bytes
}

// String is the checksum as S3's headers have it.
func (c Checksum) String() string {
	text := base64.StdEncoding.EncodeToString(c.Value)
	if c.Parts > 0 {
		text += "-" + strconv.Itoa(c.Parts)
	}
	return text
}

// A Claim is an MD5 that whoever uploaded the object left in its metadata.
type Claim struct {
	Name string // of the metadata
	MD5  etag.MD5
}

// Claimants says which programs write a claim.
var Claimants = map[string]string{
	"md5chksum":   "rclone, s3up --store-md5",
	"s3cmd-attrs": "s3cmd",
	"md5":         "scripts and backup programs",
}

// claims reads what uploaders left, by the name of the metadata.
func claims(metadata map[string]string) []Claim {
	var found []Claim
	for name, value := range metadata {
		name = strings.ToLower(name)
		var raw []byte
		switch name {
		case "md5chksum": // rclone backend/s3/s3.go: metaMD5Hash
			raw, _ = base64.StdEncoding.DecodeString(value)
		case "s3cmd-attrs": // uid:0/md5:…/mode:33188, s3cmd S3/S3.py: attr header
			for field := range strings.SplitSeq(value, "/") {
				if sum, ok := strings.CutPrefix(field, "md5:"); ok {
					raw, _ = hex.DecodeString(sum)
				}
			}
		case "md5":
			if raw, _ = hex.DecodeString(value); len(raw) != len(etag.MD5{}) {
				raw, _ = base64.StdEncoding.DecodeString(value)
			}
		}
		if len(raw) == len(etag.MD5{}) {
			found = append(found, Claim{name, etag.MD5(raw)})
		}
	}
	slices.SortFunc(found, func(a, b Claim) int { return strings.Compare(a.Name, b.Name) })
	return found
}

// Looked is what HEAD showed of an object just now.
func Looked(bucket, key string, out *s3.HeadObjectOutput) *Object {
	o := &Object{
		Bucket: bucket, Key: key, Size: aws.ToInt64(out.ContentLength), ETag: etag.Trim(aws.ToString(out.ETag)),
		VersionID: aws.ToString(out.VersionId), Modified: aws.ToTime(out.LastModified),
		Claims: claims(out.Metadata), headed: true, looked: time.Now(),
	}
	if date, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok {
		o.Ahead = date.Sub(o.looked)
	}
	switch sse := string(out.ServerSideEncryption); {
	case strings.HasPrefix(sse, "aws:kms"):
		o.Encrypted = sse
	case aws.ToString(out.SSECustomerAlgorithm) != "":
		o.Encrypted = "SSE-C"
	}
	o.Checksums = checksums(out.ChecksumType, out.ChecksumSHA512, out.ChecksumSHA256, out.ChecksumSHA1, out.ChecksumMD5,
		out.ChecksumCRC64NVME, out.ChecksumCRC32C, out.ChecksumCRC32)
	return o
}

// checksums reads those that an answer has, in the order of algorithms.
func checksums(kind types.ChecksumType, values ...*string) []Checksum {
	var all []Checksum
	for i, value := range values {
		text, count, composed := strings.Cut(aws.ToString(value), "-")
		raw, err := base64.StdEncoding.DecodeString(text)
		a := algorithms[i]
		if err != nil || len(raw) != a.size() {
			continue // there is none, or it is none
		}
		c := Checksum{Algorithm: a, Value: raw}
		if composed {
			if c.Parts, err = strconv.Atoi(count); err != nil || c.Parts < 1 || c.Parts > maxParts {
				continue
			}
		} else if kind == types.ChecksumTypeComposite {
			continue // of how many parts, nobody knows
		}
		all = append(all, c)
	}
	return all
}
