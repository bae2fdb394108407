package main

import (
	"regexp"

	"s3up/internal/etag"
)

// directoryName is the form of the name of a directory bucket, in which its zone
// stands.
var directoryName = regexp.MustCompile(`^[a-z0-9][a-z0-9-]*--[a-z0-9-]+--xa?-s3$`)

// notInDirectory refuses what needs more than a directory bucket can do: why, and what
// to type instead.
func notInDirectory(bucket, why, hint string) error {
	if !etag.IsDirectory(bucket) {
		return nil
	}
	return usagef(hint, "%s is a directory bucket: %s", bucket, why)
}

// Directory buckets are listed in no order, and so next to nothing that is in order.
const unordered = "its objects are listed in no order, in which a folder cannot be compared with them"

// checkBucket refuses flags that the bucket can do nothing with.
func (o *cpOptions) checkBucket() error {
	err := o.upload.CheckBucket(o.bucket)
	if err == nil {
		err = o.properties.CheckBucket(o.bucket)
	}
	if err != nil {
		return usagef("leave that out, or use a general purpose bucket", "%v", err)
	}
	return nil
}
