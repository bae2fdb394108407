package s3test_test

import (
	"encoding/base64"
	"encoding/binary"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3up/internal/s3test"
)

func base64Of(sum uint64) string {
	return base64.StdEncoding.EncodeToString(binary.BigEndian.AppendUint64(nil, sum))
}

// The source is decoded once; + is a space; a bare ? begins the version.
func TestCopySource(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	for _, key := range []string{"a b", "a+b", "a%2Bb", "a%20b", "ü", "q?x", "d/e", "/lead", "t/"} {
		w.Put("b", key, []byte("<"+key+">"))
	}
	for source, want := range map[string]string{
		"b/a%20b":               "<a b>",
		"/b/a%20b":              "<a b>",
		"b/a b":                 "<a b>",
		"b/a+b":                 "<a b>",
		"b/a%2Bb":               "<a+b>",
		"b/a%252Bb":             "<a%2Bb>",
		"b/a%2520b":             "<a%20b>",
		"b/%C3%BC":              "<ü>",
		"b/ü":                   "<ü>",
		"b/q%3Fx":               "<q?x>",
		"b/q?x":                 "InvalidArgument",
		"b/d/e":                 "<d/e>",
		"b/d%2Fe":               "<d/e>",
		"b%2Fd%2Fe":             "<d/e>",
		"b//lead":               "</lead>",
		"b/t/":                  "<t/>",
		"b/a%20b?versionId=no":  "NoSuchVersion",
		"b/ü?versionId=null":    "<ü>",
		"b/%zz":                 "InvalidArgument",
		"b/":                    "InvalidArgument",
		"b":                     "InvalidArgument",
		"b/nope":                "NoSuchKey",
		"nope/a%20b":            "NoSuchBucket",
		"b/a%20b?versionId=a=b": "NoSuchVersion",
	} {
		_, err := w.copy(source, "copy")
		got := code(err)
		if err == nil {
			got = must(w.get("copy"))(t)
		}
		if got != want {
			t.Errorf("%s: got %s, want %s", source, got, want)
		}
	}
}

func TestCopyConditions(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	w.Put("b", "from", []byte("x"))
	w.Put("b", "to", []byte("y"))
	etag, other := aws.String(`"`+md5Hex("x")+`"`), aws.String(`"`+md5Hex("y")+`"`)
	past, future := aws.Time(w.clock.now().Add(-time.Hour)), aws.Time(w.clock.now().Add(time.Hour))
	for _, tt := range []struct {
		name   string
		change func(*s3.CopyObjectInput)
		want   string
	}{
		{"match", func(in *s3.CopyObjectInput) { in.CopySourceIfMatch = etag }, "ok"},
		{"match, bare", func(in *s3.CopyObjectInput) { in.CopySourceIfMatch = aws.String(md5Hex("x")) }, "ok"},
		{"match, wrong", func(in *s3.CopyObjectInput) { in.CopySourceIfMatch = other }, "PreconditionFailed"},
		{"none match", func(in *s3.CopyObjectInput) { in.CopySourceIfNoneMatch = other }, "ok"},
		{"none match, hit", func(in *s3.CopyObjectInput) { in.CopySourceIfNoneMatch = etag }, "PreconditionFailed"},
		{"modified", func(in *s3.CopyObjectInput) { in.CopySourceIfModifiedSince = past }, "ok"},
		{"not modified", func(in *s3.CopyObjectInput) { in.CopySourceIfModifiedSince = future }, "PreconditionFailed"},
		{"unmodified", func(in *s3.CopyObjectInput) { in.CopySourceIfUnmodifiedSince = future }, "ok"},
		{"not unmodified", func(in *s3.CopyObjectInput) { in.CopySourceIfUnmodifiedSince = past }, "PreconditionFailed"},
		{"match outweighs the date", func(in *s3.CopyObjectInput) { in.CopySourceIfMatch, in.CopySourceIfUnmodifiedSince = etag, past }, "ok"},
		{"none match and a date", func(in *s3.CopyObjectInput) { in.CopySourceIfNoneMatch, in.CopySourceIfModifiedSince = etag, past }, "PreconditionFailed"},
		{"target matches", func(in *s3.CopyObjectInput) { in.IfMatch = other }, "ok"},
		{"target does not match", func(in *s3.CopyObjectInput) { in.IfMatch = etag }, "PreconditionFailed"},
		{"target is there", func(in *s3.CopyObjectInput) { in.IfNoneMatch = aws.String("*") }, "PreconditionFailed"},
		{"target is not there", func(in *s3.CopyObjectInput) { in.IfNoneMatch, in.Key = aws.String("*"), aws.String("new") }, "ok"},
	} {
		w.Put("b", "to", []byte("y"))
		_, err := w.copy("b/from", "to", tt.change)
		if got := code(err); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
		if o, _ := w.Object("b", "to"); tt.want != "ok" && string(o.Bytes()) != "y" {
			t.Errorf("%s: copied all the same", tt.name)
		}
	}
}

const illegalSelfCopy = "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, " +
	"storage class, website redirect location or encryption attributes."

func TestSelfCopy(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*s3.CopyObjectInput)
		want   string
	}{
		{"nothing", func(*s3.CopyObjectInput) {}, illegalSelfCopy},
		{"COPY", func(in *s3.CopyObjectInput) { in.MetadataDirective = "COPY" }, illegalSelfCopy},
		{"metadata without REPLACE", func(in *s3.CopyObjectInput) { in.Metadata = map[string]string{"a": "1"} }, illegalSelfCopy},
		{"checksum", func(in *s3.CopyObjectInput) { in.ChecksumAlgorithm = "SHA256" }, illegalSelfCopy},
		{"same class", func(in *s3.CopyObjectInput) { in.StorageClass = "STANDARD" }, illegalSelfCopy},
		{"REPLACE", func(in *s3.CopyObjectInput) { in.MetadataDirective = "REPLACE" }, ""},
		{"class", func(in *s3.CopyObjectInput) { in.StorageClass = "STANDARD_IA" }, ""},
		{"redirect", func(in *s3.CopyObjectInput) { in.WebsiteRedirectLocation = aws.String("/x") }, ""},
		{"encryption", func(in *s3.CopyObjectInput) { in.ServerSideEncryption = "aws:kms" }, ""},
		{"another key", func(in *s3.CopyObjectInput) { in.Key = aws.String("k2") }, ""},
		{"another bucket", func(in *s3.CopyObjectInput) { in.Bucket = aws.String("bb2") }, ""},
	} {
		w := newWorld(t, s3test.Options{})
		w.CreateBucket("bb2")
		w.upload("k", p1, p2)
		out, err := w.copy("b/k", "k", tt.change)
		if got := message(err); got != tt.want || (err != nil) != (tt.want != "") {
			t.Errorf("%s: got %v, want %q", tt.name, err, tt.want)
		}
		if err == nil && tt.name != "encryption" && kind(out.CopyObjectResult.ETag, p1, p2) != "md5" {
			t.Errorf("%s: ETag %s", tt.name, *out.CopyObjectResult.ETag)
		}
	}
}

func TestCopyProperties(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	w.Put("b", "from", []byte("x"), func(o *s3test.Object) {
		o.ContentType, o.CacheControl, o.WebsiteRedirect, o.StorageClass = "text/plain", "no-cache", "/x", "STANDARD_IA"
		o.Metadata["a"], o.Tags["t"], o.SSE = "1", "1", "aws:kms"
	})
	must(w.copy("b/from", "copied"))(t)
	o, _ := w.Object("b", "copied")
	if o.ContentType != "text/plain" || o.CacheControl != "no-cache" || o.Metadata["a"] != "1" || o.Tags["t"] != "1" ||
		o.WebsiteRedirect != "" || o.StorageClass != "STANDARD" || o.SSE != "AES256" {
		t.Errorf("COPY: %+v", o)
	}
	must(w.copy("b/from", "replaced", func(in *s3.CopyObjectInput) {
		in.MetadataDirective, in.TaggingDirective = "REPLACE", "REPLACE"
		in.ContentType, in.Metadata, in.Tagging, in.StorageClass = aws.String("a/b"), map[string]string{"c": "2"}, aws.String("u=2"), "GLACIER"
	}))(t)
	o, _ = w.Object("b", "replaced")
	if o.ContentType != "a/b" || o.CacheControl != "" || o.Metadata["a"] != "" || o.Metadata["c"] != "2" || o.Tags["u"] != "2" ||
		len(o.Tags) != 1 || o.StorageClass != "GLACIER" {
		t.Errorf("REPLACE: %+v", o)
	}
	if _, err := w.copy("b/replaced", "k"); code(err) != "InvalidObjectState" {
		t.Errorf("from Glacier: %v", err)
	}
	w.SetQuirks(func(q *s3test.Quirks) { q.Deny = []string{"s3:GetObjectTagging"} })
	if _, err := w.copy("b/from", "k"); code(err) != "AccessDenied" {
		t.Errorf("tags without s3:GetObjectTagging: %v", err)
	}
}

func TestCopyTooLarge(t *testing.T) {
	w := newWorld(t, s3test.Options{MaxCopySize: 10})
	w.Put("b", "k", make([]byte, 10))
	must(w.selfCopy("k"))(t)
	w.Put("b", "k", make([]byte, 11))
	_, err := w.selfCopy("k")
	if want := "The specified copy source is larger than the maximum allowable size for a copy source: 10"; code(err) != "InvalidRequest" || message(err) != want {
		t.Errorf("got %v, want %q", err, want)
	}
}
