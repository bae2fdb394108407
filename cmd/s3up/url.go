package main

import (
	"regexp"
	"strings"

	"s3up/internal/etag"
	"s3up/internal/tree"
)

const scheme = "s3://"

// accessPoint is the ARN of an access point; one without a region is for several.
// Behind its name, a slash begins the key.
var accessPoint = regexp.MustCompile(`^arn:aws[a-z-]*:s3:[a-z0-9-]*:[0-9]{12}:accesspoint[/:][A-Za-z0-9._-]+`)

func isURL(word string) bool { return strings.HasPrefix(word, scheme) }

// parseURL takes s3://BUCKET/KEY apart. The key is the bytes that were typed:
// nothing in it is unescaped, and "?" begins nothing.
func parseURL(url string) (bucket, key string, err error) {
	rest, ok := strings.CutPrefix(url, scheme)
	if !ok {
		return "", "", usagef("", "%q: a destination is s3://BUCKET/KEY or s3://BUCKET/PREFIX/", clip(url))
	}
	bucket, key, _ = strings.Cut(rest, "/")
	if m := accessPoint.FindString(rest); m != "" {
		bucket, key = m, strings.TrimPrefix(rest[len(m):], "/")
	}
	if why := badBucket(bucket); why != "" {
		return "", "", usagef("", "%q: %s", clip(url), why)
	}
	if why := tree.BadKey(key); why != "" {
		return "", "", usagef("", "%q: %s", clip(url), why)
	}
	return bucket, key, nil
}

// badBucket says why no store has a bucket of this name. What old buckets and
// other stores allow beyond Amazon's rules of today passes.
func badBucket(name string) string {
	switch {
	case name == "":
		return "the name of the bucket is missing: s3://BUCKET/KEY"
	case accessPoint.MatchString(name):
		return ""
	case strings.HasPrefix(name, "arn:"):
		return "an ARN is no bucket, but for that of an access point: arn:aws:s3:REGION:ACCOUNT:accesspoint/NAME"
	case strings.HasSuffix(name, "--ol-s3"):
		return "an Object Lambda access point is for reading only: use the bucket's name"
	case len(name) > 255:
		return "the name of the bucket is longer than 255 letters"
	case etag.IsDirectory(name) && !directoryName.MatchString(name):
		return "the name of a directory bucket is BASE--ZONE--x-s3, as in fast--use1-az4--x-s3"
	case strings.Contains(name, ".."):
		return "the name of a bucket has no two dots in a row"
	case strings.Trim(name, ".-") != name:
		return "the name of a bucket begins and ends with a letter or a digit"
	}
	for _, r := range name {
		if !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("._-", r)) {
			return "the name of a bucket is letters, digits, dots and hyphens"
		}
	}
	return ""
}
