package etag

import "strings"

// IsDirectory says whether a bucket is a directory bucket (S3 Express One Zone), or
// an access point to one: their ETags are random, whatever their form. It is the
// name that makes a bucket one.
//
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-differences.html
func IsDirectory(bucket string) bool {
	return strings.HasSuffix(bucket, "--x-s3") || strings.HasSuffix(bucket, "--xa-s3")
}
