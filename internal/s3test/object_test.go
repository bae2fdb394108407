package s3test_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"s3up/internal/s3test"
)

// What is put is what is stored, and what HEAD and GET give back.
func TestPutObject(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	out := must(w.put("k", "hello", func(in *s3.PutObjectInput) {
		in.ContentMD5 = md5Base64("hello")
		in.ContentType, in.CacheControl = aws.String("text/plain"), aws.String("no-cache")
		in.ContentDisposition, in.ContentEncoding = aws.String("attachment"), aws.String("gzip")
		in.ContentLanguage, in.Tagging = aws.String("de"), aws.String("a=1&b=x%20y")
		in.Expires = aws.Time(time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC))
		in.WebsiteRedirectLocation = aws.String("/there")
		in.Metadata = map[string]string{"One": "1", "two": "a  b"}
		in.StorageClass, in.ChecksumAlgorithm = "STANDARD_IA", "SHA256"
	}))(t)
	if kind(out.ETag, "hello") != "md5" || out.ServerSideEncryption != "AES256" || out.VersionId != nil {
		t.Errorf("answer: %+v", out)
	}
	got, _ := w.Object("b", "k")
	want := s3test.Object{Bucket: "b", Key: "k", Size: 5, ETag: md5Hex("hello"), MD5: md5Hex("hello"),
		ContentType: "text/plain", CacheControl: "no-cache", ContentDisposition: "attachment", ContentEncoding: "gzip",
		ContentLanguage: "de", Expires: "Tue, 01 Jan 2030 00:00:00 GMT", WebsiteRedirect: "/there",
		Metadata: map[string]string{"one": "1", "two": "a  b"}, Tags: map[string]string{"a": "1", "b": "x y"},
		StorageClass: "STANDARD_IA", SSE: "AES256", ChecksumAlgorithm: "SHA256",
		Checksum: "LPJNul+wow4m6DsqxbninhsWHlwfp0JecwQzYpOLmCQ=", ChecksumType: "FULL_OBJECT",
		VersionID: "null", LastModified: w.clock.now()}
	if diff := cmp.Diff(want, got, cmpopts.IgnoreUnexported(s3test.Object{})); diff != "" {
		t.Error(diff)
	}
	if string(got.Bytes()) != "hello" {
		t.Errorf("content: %q", got.Bytes())
	}

	head := must(w.head("k", func(in *s3.HeadObjectInput) { in.ChecksumMode = "ENABLED" }))(t)
	wantHead := &s3.HeadObjectOutput{AcceptRanges: aws.String("bytes"), ContentLength: aws.Int64(5), ETag: aws.String(`"` + md5Hex("hello") + `"`),
		ContentType: aws.String("text/plain"), CacheControl: aws.String("no-cache"), ContentDisposition: aws.String("attachment"),
		ContentEncoding: aws.String("gzip"), ContentLanguage: aws.String("de"), ExpiresString: aws.String("Tue, 01 Jan 2030 00:00:00 GMT"),
		WebsiteRedirectLocation: aws.String("/there"),
		Metadata:                map[string]string{"one": "1", "two": "a  b"}, StorageClass: "STANDARD_IA", ServerSideEncryption: "AES256",
		ChecksumSHA256: aws.String(want.Checksum), ChecksumType: "FULL_OBJECT", LastModified: aws.Time(w.clock.now()),
		TagCount: aws.Int32(2)}
	if diff := cmp.Diff(wantHead, head, cmpopts.IgnoreUnexported(s3.HeadObjectOutput{}), cmpopts.IgnoreFields(s3.HeadObjectOutput{}, "ResultMetadata", "Expires")); diff != "" {
		t.Error(diff)
	}
	if w.mustHead("k").ChecksumSHA256 != nil {
		t.Error("HEAD tells the checksum without being asked")
	}
	if got := must(w.get("k"))(t); got != "hello" {
		t.Errorf("GET: %q", got)
	}
	tags := must(w.c.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: bucket, Key: aws.String("k")}))(t)
	if len(tags.TagSet) != 2 || *tags.TagSet[1].Value != "x y" {
		t.Errorf("tags: %+v", tags.TagSet)
	}

	must(w.put("plain", ""))(t)
	if o, _ := w.Object("b", "plain"); o.Size != 0 || o.ETag != md5Hex("") || o.StorageClass != "STANDARD" || len(o.Metadata) != 0 {
		t.Errorf("empty object: %+v", o)
	}
}

func TestPutObjectRefused(t *testing.T) {
	w := newWorld(t, s3test.Options{MaxPutSize: 10})
	w.Put("b", "there", []byte("x"))
	there := aws.String(`"` + md5Hex("x") + `"`)
	for _, tt := range []struct {
		name, key, want string
		change          func(*s3.PutObjectInput)
	}{
		{"wrong MD5", "k", "BadDigest", func(in *s3.PutObjectInput) { in.ContentMD5 = md5Base64("other") }},
		{"no MD5 at all", "k", "InvalidDigest", func(in *s3.PutObjectInput) { in.ContentMD5 = aws.String("xyz") }},
		{"MD5 too short", "k", "InvalidDigest", func(in *s3.PutObjectInput) { in.ContentMD5 = aws.String("AAAA") }},
		{"wrong checksum", "k", "BadDigest", func(in *s3.PutObjectInput) { in.ChecksumCRC32 = aws.String("AAAAAA==") }},
		{"right checksum", "k", "ok", func(in *s3.PutObjectInput) { in.ChecksumMD5 = md5Base64("hello") }},
		{"too large", "k", "EntityTooLarge", func(in *s3.PutObjectInput) { in.Body = strings.NewReader("12345678901") }},
		{"just fits", "k", "ok", func(in *s3.PutObjectInput) { in.Body = strings.NewReader("1234567890") }},
		{"no bucket", "k", "NoSuchBucket", func(in *s3.PutObjectInput) { in.Bucket = aws.String("nope") }},
		{"long key", strings.Repeat("k", 1025), "KeyTooLongError", nil},
		{"longest key", strings.Repeat("k", 1024), "ok", nil},
		{"much metadata", "k", "MetadataTooLarge", func(in *s3.PutObjectInput) { in.Metadata = map[string]string{"a": strings.Repeat("x", 2048)} }},
		{"most metadata", "k", "ok", func(in *s3.PutObjectInput) { in.Metadata = map[string]string{"a": strings.Repeat("x", 2047)} }},
		{"class", "k", "InvalidStorageClass", func(in *s3.PutObjectInput) { in.StorageClass = "NOPE" }},
		{"eleven tags", "k", "InvalidTag", func(in *s3.PutObjectInput) { in.Tagging = aws.String("a&b&c&d&e&f&g&h&i&j&k") }},
		{"encryption", "k", "InvalidArgument", func(in *s3.PutObjectInput) { in.ServerSideEncryption = "rot13" }},
		{"none match, new", "new", "ok", func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") }},
		{"none match, there", "there", "PreconditionFailed", func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") }},
		{"match, wrong", "there", "PreconditionFailed", func(in *s3.PutObjectInput) { in.IfMatch = aws.String("wrong") }},
		{"match, nothing there", "nothing", "NoSuchKey", func(in *s3.PutObjectInput) { in.IfMatch = there }},
		{"match", "there", "ok", func(in *s3.PutObjectInput) { in.IfMatch = there }},
	} {
		change := tt.change
		if change == nil {
			change = func(*s3.PutObjectInput) {}
		}
		_, err := w.put(tt.key, "hello", change)
		if got := code(err); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
		if _, stored := w.Object("b", tt.key); stored != (tt.want == "ok") && tt.key != "there" {
			t.Errorf("%s: stored: %t", tt.name, stored)
		}
		if tt.key != "there" {
			w.c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: &tt.key})
		}
	}
}

func TestGetObject(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	w.Put("b", "k", []byte("0123456789"), func(o *s3test.Object) { o.Parts = []int64{5, 5} })
	w.Put("b", "cold", []byte("x"), func(o *s3test.Object) { o.StorageClass = "GLACIER" })
	if o, _ := w.Object("b", "k"); o.ETag != composite("01234", "56789") || o.MD5 != md5Hex("0123456789") {
		t.Errorf("seeded: %+v", o)
	}
	etag := aws.String(composite("01234", "56789"))
	for _, tt := range []struct {
		name   string
		change func(*s3.GetObjectInput)
		want   string
	}{
		{"all", func(*s3.GetObjectInput) {}, "0123456789"},
		{"range", func(in *s3.GetObjectInput) { in.Range = aws.String("bytes=3-4") }, "34 bytes 3-4/10"},
		{"open range", func(in *s3.GetObjectInput) { in.Range = aws.String("bytes=4-") }, "456789 bytes 4-9/10"},
		{"range over the end", func(in *s3.GetObjectInput) { in.Range = aws.String("bytes=4-99") }, "456789 bytes 4-9/10"},
		{"range across parts", func(in *s3.GetObjectInput) { in.Range = aws.String("bytes=4-5") }, "45 bytes 4-5/10"},
		{"last bytes", func(in *s3.GetObjectInput) { in.Range = aws.String("bytes=-3") }, "789 bytes 7-9/10"},
		{"range beyond", func(in *s3.GetObjectInput) { in.Range = aws.String("bytes=10-") }, "InvalidRange"},
		{"part", func(in *s3.GetObjectInput) { in.PartNumber = aws.Int32(2) }, "56789 bytes 5-9/10"},
		{"part beyond", func(in *s3.GetObjectInput) { in.PartNumber = aws.Int32(3) }, "InvalidPartNumber"},
		{"match", func(in *s3.GetObjectInput) { in.IfMatch = etag }, "0123456789"},
		{"no match", func(in *s3.GetObjectInput) { in.IfMatch = aws.String("x") }, "PreconditionFailed"},
		{"none match", func(in *s3.GetObjectInput) { in.IfNoneMatch = etag }, "NotModified"},
		{"no key", func(in *s3.GetObjectInput) { in.Key = aws.String("nope") }, "NoSuchKey"},
		{"no bucket", func(in *s3.GetObjectInput) { in.Bucket = aws.String("nope") }, "NoSuchBucket"},
		{"no version", func(in *s3.GetObjectInput) { in.VersionId = aws.String("nope") }, "NoSuchVersion"},
		{"cold", func(in *s3.GetObjectInput) { in.Key = aws.String("cold") }, "InvalidObjectState"},
	} {
		in := &s3.GetObjectInput{Bucket: bucket, Key: aws.String("k")}
		tt.change(in)
		out, err := w.c.GetObject(t.Context(), in)
		got := code(err)
		if err == nil {
			data := must(io.ReadAll(out.Body))(t)
			got = strings.TrimSpace(string(data) + " " + aws.ToString(out.ContentRange))
		}
		if got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
	head := must(w.head("k", func(in *s3.HeadObjectInput) { in.PartNumber = aws.Int32(1) }))(t)
	if *head.ContentLength != 5 || *head.PartsCount != 2 {
		t.Errorf("HEAD of part 1: %d bytes, %d parts", *head.ContentLength, *head.PartsCount)
	}
	_, err := w.head("nope")
	var notFound *types.NotFound
	if !errors.As(err, &notFound) {
		t.Errorf("HEAD of nothing: %v", err)
	}
	w.SetQuirks(func(q *s3test.Quirks) { q.Deny = []string{"s3:ListBucket"} })
	if _, err = w.head("nope"); code(err) != "Forbidden" {
		t.Errorf("HEAD of nothing without s3:ListBucket: %v", err)
	}
}

func TestEncryption(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	must(w.put("kms", "x", func(in *s3.PutObjectInput) {
		in.ServerSideEncryption, in.SSEKMSKeyId, in.BucketKeyEnabled = "aws:kms", aws.String("key"), aws.Bool(true)
	}))(t)
	head := w.mustHead("kms")
	if kind(head.ETag, "x") != "opaque" || head.ServerSideEncryption != "aws:kms" || *head.SSEKMSKeyId != "key" || !*head.BucketKeyEnabled {
		t.Errorf("kms: %+v", head)
	}
	out := must(w.selfCopy("kms", func(in *s3.CopyObjectInput) { in.ServerSideEncryption, in.ChecksumAlgorithm = "aws:kms", "MD5" }))(t)
	if r := out.CopyObjectResult; kind(r.ETag, "x") != "opaque" || *r.ChecksumMD5 != *md5Base64("x") || r.ChecksumType != "FULL_OBJECT" {
		t.Errorf("copy with its MD5 as a checksum: %+v", r)
	}
	must(w.selfCopy("kms"))(t)
	if head = w.mustHead("kms"); head.ServerSideEncryption != "AES256" || kind(head.ETag, "x") != "md5" {
		t.Errorf("copy without saying so goes by the bucket: %+v", head)
	}
	w.SetQuirks(func(q *s3test.Quirks) { q.KMSByDefault = true })
	if id := w.create("m"); kind(must(w.part("m", id, 1, p1))(t).ETag, p1) != "opaque" {
		t.Error("the ETag of a part under KMS is its MD5")
	}

	w = newWorld(t, s3test.Options{})
	context := base64.StdEncoding.EncodeToString([]byte(`{"app":"shop"}`))
	must(w.put("context", "x", func(in *s3.PutObjectInput) {
		in.ServerSideEncryption, in.SSEKMSEncryptionContext = "aws:kms:dsse", &context
	}))(t)
	if o, _ := w.Object("b", "context"); o.Context != context || o.SSE != "aws:kms:dsse" {
		t.Errorf("encryption context %q, mode %q", o.Context, o.SSE)
	}
	for _, change := range []func(*s3.PutObjectInput){
		func(in *s3.PutObjectInput) {
			in.ServerSideEncryption, in.SSEKMSEncryptionContext = "aws:kms", aws.String("{}")
		},
		func(in *s3.PutObjectInput) { in.SSEKMSEncryptionContext = &context },
		func(in *s3.PutObjectInput) { in.ServerSideEncryption, in.SSEKMSKeyId = "AES256", aws.String("key") },
	} {
		if _, err := w.put("k", "x", change); code(err) != "InvalidArgument" {
			t.Errorf("settings of a KMS key that make no sense: %v", err)
		}
	}

	// The SDK neither encodes a customer's key nor sums it.
	key, keyMD5 := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 32))), md5Base64(strings.Repeat("k", 32))
	custom := func(in *s3.PutObjectInput) {
		in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = aws.String("AES256"), &key, keyMD5
	}
	if _, err := w.put("c", "x", custom); code(err) != "InvalidRequest" {
		t.Errorf("a customer's key over plain http: %v", err)
	}
	w = newWorld(t, s3test.Options{TLS: true})
	must(w.put("c", "x", custom))(t)
	if _, err := w.head("c"); code(err) != "BadRequest" {
		t.Errorf("HEAD without the key: %v", err)
	}
	head = must(w.head("c", func(in *s3.HeadObjectInput) {
		in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = aws.String("AES256"), &key, keyMD5
	}))(t)
	if kind(head.ETag, "x") != "opaque" || *head.SSECustomerAlgorithm != "AES256" {
		t.Errorf("customer's key: %+v", head)
	}
	if _, err := w.head("c", func(in *s3.HeadObjectInput) {
		in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = aws.String("AES256"), aws.String("dw=="), md5Base64("w")
	}); code(err) != "Forbidden" {
		t.Errorf("HEAD with another key: %v", err)
	}
	if _, err := w.put("c", "x", custom, func(in *s3.PutObjectInput) { in.SSECustomerKeyMD5 = md5Base64("other") }); code(err) != "InvalidArgument" {
		t.Errorf("sum of another key: %v", err)
	}
}

func TestVersions(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	must(w.put("k", "0"))(t)
	must(w.c.PutBucketVersioning(t.Context(), &s3.PutBucketVersioningInput{Bucket: bucket,
		VersioningConfiguration: &types.VersioningConfiguration{Status: "Enabled"}}))(t)
	if out := must(w.c.GetBucketVersioning(t.Context(), &s3.GetBucketVersioningInput{Bucket: bucket}))(t); out.Status != "Enabled" {
		t.Errorf("status: %q", out.Status)
	}
	one := must(w.put("k", "1"))(t).VersionId
	id := w.create("k")
	two := must(w.complete("k", id, w.parts("k", id, "2")))(t).VersionId
	copied := must(w.copy("b/k?versionId="+*one, "k"))(t)
	three := copied.VersionId
	if *copied.CopySourceVersionId != *one {
		t.Errorf("copied from version %q", *copied.CopySourceVersionId)
	}
	remove := func(id *string) *s3.DeleteObjectOutput {
		t.Helper()
		return must(w.c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("k"), VersionId: id}))(t)
	}
	marker := remove(nil)
	if !aws.ToBool(marker.DeleteMarker) || marker.VersionId == nil {
		t.Errorf("delete: %+v", marker)
	}
	if _, err := w.get("k"); code(err) != "NoSuchKey" {
		t.Errorf("behind a delete marker: %v", err)
	}
	if keys := w.Objects("b"); len(keys) != 0 {
		t.Errorf("keys: %q", keys)
	}
	got := []string{}
	for _, v := range w.Versions("b", "k") {
		got = append(got, v.VersionID+fmt.Sprintf(" %s %t", v.Bytes(), v.DeleteMarker))
	}
	if diff := cmp.Diff([]string{"null 0 false", *one + " 1 false", *two + " 2 false", *three + " 1 false", *marker.VersionId + "  true"}, got); diff != "" {
		t.Error(diff)
	}
	listed := must(w.c.ListObjectVersions(t.Context(), &s3.ListObjectVersionsInput{Bucket: bucket}))(t)
	if len(listed.Versions) != 4 || len(listed.DeleteMarkers) != 1 || *listed.Versions[0].VersionId != *three || !*listed.DeleteMarkers[0].IsLatest {
		t.Errorf("listed: %+v", listed)
	}

	if _, err := w.head("k", func(in *s3.HeadObjectInput) { in.VersionId = marker.VersionId }); code(err) != "MethodNotAllowed" {
		t.Errorf("HEAD of a delete marker: %v", err)
	}
	if out := must(w.head("k", func(in *s3.HeadObjectInput) { in.VersionId = two }))(t); kind(out.ETag, "2") != "composite" || *out.VersionId != *two {
		t.Errorf("version two: %+v", out)
	}
	if out := remove(marker.VersionId); !aws.ToBool(out.DeleteMarker) {
		t.Errorf("delete of the marker: %+v", out)
	}
	remove(three)
	if got := must(w.get("k"))(t); got != "2" {
		t.Errorf("after the deletes: %q", got)
	}
	w.SetQuirks(func(q *s3test.Quirks) { q.Deny = []string{"s3:DeleteObjectVersion"} })
	if _, err := w.c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("k"), VersionId: two}); code(err) != "AccessDenied" {
		t.Errorf("without s3:DeleteObjectVersion: %v", err)
	}
}

func TestDelete(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	for _, key := range []string{"a", "b", "c&<>"} {
		must(w.put(key, "x"))(t)
	}
	if _, err := w.c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("a"), IfMatch: aws.String("wrong")}); code(err) != "PreconditionFailed" {
		t.Errorf("wrong If-Match: %v", err)
	}
	for range 2 { // what is not there can be deleted too
		must(w.c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: aws.String("a")}))(t)
	}
	if _, err := w.c.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: bucket}); code(err) != "BucketNotEmpty" {
		t.Errorf("a bucket with objects: %v", err)
	}
	out := must(w.c.DeleteObjects(t.Context(), &s3.DeleteObjectsInput{Bucket: bucket, Delete: &types.Delete{Objects: []types.ObjectIdentifier{
		{Key: aws.String("b")}, {Key: aws.String("c&<>")}, {Key: aws.String("nope")}}}}))(t)
	if len(out.Deleted) != 3 || *out.Deleted[1].Key != "c&<>" || len(out.Errors) != 0 {
		t.Errorf("deleted: %+v", out)
	}
	must(w.c.DeleteBucket(t.Context(), &s3.DeleteBucketInput{Bucket: bucket}))(t)
	if _, err := w.c.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: bucket}); code(err) != "NotFound" {
		t.Errorf("a deleted bucket: %v", err)
	}
}

var oddKeys = []string{"a", "/", "//", "/a", "a/", "a//b", ".", "..", "a/../b", "./a", "a b", "a+b", "a%2Fb", "a%b", "a?b", "a#b", "a&b=c",
	"ü/日本", "'\"<>&", "a;b", "~!*()", "$@:,", "a\\b", " a ", "%", "%25", "?versionId=x", "\u00a0", "emoji 😀"}

// A key is its bytes, through every door.
func TestKeys(t *testing.T) {
	for _, virtual := range []bool{false, true} {
		w := newWorld(t, s3test.Options{})
		if virtual {
			w.c = w.virtualClient()
		}
		for _, key := range oddKeys {
			must(w.put(key, key))(t)
			if got, err := w.get(key); got != key {
				t.Errorf("%q: got %q, %v", key, got, err)
			}
			id := w.create(key)
			if u := w.Uploads("b")[0]; u.Key != key {
				t.Errorf("upload of %q: got %q", key, u.Key)
			}
			done := must(w.complete(key, id, w.parts(key, id, key)))(t)
			if *done.Key != key {
				t.Errorf("Complete of %q answers %q", key, *done.Key)
			}
			must(w.copy("b/"+escape(key), key, func(in *s3.CopyObjectInput) { in.MetadataDirective, in.CopySourceIfMatch = "REPLACE", done.ETag }))(t)
			if o, _ := w.Object("b", key); o.ETag != md5Hex(key) || string(o.Bytes()) != key {
				t.Errorf("%q after the copy: %s %q", key, o.ETag, o.Bytes())
			}
			list := must(w.c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket}))(t)
			if len(list.Contents) != 1 || *list.Contents[0].Key != key {
				t.Errorf("%q is listed as %+v", key, list.Contents)
			}
			must(w.c.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: bucket, Key: &key}))(t)
		}
		if n := len(w.Objects("b")); n != 0 {
			t.Errorf("%d objects left", n)
		}
	}
}

// escape encodes all that a path does not need bare.
func escape(s string) string {
	var b strings.Builder
	for _, ch := range []byte(s) {
		if strings.IndexByte("-_.~/", ch) >= 0 || '0' <= ch && ch <= '9' || 'a' <= ch|0x20 && ch|0x20 <= 'z' {
			b.WriteByte(ch)
		} else {
			fmt.Fprintf(&b, "%%%02X", ch)
		}
	}
	return b.String()
}

// virtualClient puts the bucket into the host name.
func (w *world) virtualClient() *s3.Client {
	return w.Client(func(o *s3.Options) {
		o.UsePathStyle = false
		o.BaseEndpoint = aws.String("http://s3test.local")
		o.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
			tr.DialContext = func(ctx context.Context, network, _ string) (net.Conn, error) {
				return new(net.Dialer).DialContext(ctx, network, w.Addr())
			}
		})
	})
}

func TestVirtualHost(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	w.c = w.virtualClient()
	must(w.put("k", "x"))(t)
	if r := w.Requests()[0]; r.Bucket != "b" || r.Key != "k" {
		t.Errorf("record: %+v", r)
	}
}

func TestBucketNames(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	for name, want := range map[string]string{"b": "BucketAlreadyOwnedByYou", "abc": "ok", "a.b-c": "ok", "ab": "InvalidBucketName", "Abc": "InvalidBucketName",
		"a_b": "InvalidBucketName", "a..b": "InvalidBucketName", "192.168.1.1": "InvalidBucketName", "-abc": "InvalidBucketName",
		"abc-": "InvalidBucketName", strings.Repeat("a", 63): "ok", strings.Repeat("a", 64): "InvalidBucketName"} {
		_, err := w.c.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &name})
		if got := code(err); got != want {
			t.Errorf("%s: got %s, want %s", name, got, want)
		}
	}
	if out := must(w.c.ListBuckets(t.Context(), &s3.ListBucketsInput{}))(t); len(out.Buckets) != 4 || *out.Buckets[0].Name != "a.b-c" {
		t.Errorf("buckets: %+v", out.Buckets)
	}
	if _, err := w.c.GetObjectLockConfiguration(t.Context(), &s3.GetObjectLockConfigurationInput{Bucket: bucket}); code(err) != "ObjectLockConfigurationNotFoundError" {
		t.Errorf("object lock: %v", err)
	}
	if out := must(w.c.GetBucketEncryption(t.Context(), &s3.GetBucketEncryptionInput{Bucket: bucket}))(t); out.ServerSideEncryptionConfiguration.Rules[0].ApplyServerSideEncryptionByDefault.SSEAlgorithm != "AES256" {
		t.Errorf("encryption: %+v", out)
	}
}

// Discard knows sizes and MD5s, and of a copy what WholeMD5 says.
func TestDiscard(t *testing.T) {
	whole := map[string]string{"known": p1 + p2}
	w := newWorld(t, s3test.Options{Discard: true, WholeMD5: func(bucket, key string) (sum [16]byte, ok bool) {
		text, ok := whole[key]
		if ok {
			sum = md5.Sum([]byte(text))
		}
		return sum, ok
	}})
	must(w.put("one", "hello"))(t)
	if o, _ := w.Object("b", "one"); o.ETag != md5Hex("hello") || !bytes.Equal(o.Bytes(), make([]byte, 5)) {
		t.Errorf("one: %+v %q", o, o.Bytes())
	}
	// Content-MD5 is believed.
	must(w.put("believed", "hello", func(in *s3.PutObjectInput) { in.ContentMD5 = md5Base64("other") }))(t)
	if o, _ := w.Object("b", "believed"); o.ETag != md5Hex("other") {
		t.Errorf("believed: %+v", o)
	}
	for key, want := range map[string]string{"known": "md5", "unknown": "composite"} {
		if got := kind(w.upload(key, p1, p2).ETag, p1, p2); got != "composite" {
			t.Errorf("%s after Complete: %s", key, got)
		}
		must(w.selfCopy(key))(t)
		if got := kind(w.mustHead(key).ETag, p1, p2); got != want {
			t.Errorf("%s after the copy: %s, want %s", key, got, want)
		}
	}
	// Once known, it goes along with further copies.
	must(w.copy("b/known", "elsewhere"))(t)
	if got := kind(w.mustHead("elsewhere").ETag, p1, p2); got != "md5" {
		t.Errorf("the copy of the copy: %s", got)
	}
}

// With Dir, large bodies are files, and are gone when the server closes.
func TestDir(t *testing.T) {
	dir := t.TempDir()
	srv := must(s3test.Start(s3test.Options{Dir: dir, MinPartSize: 1}))(t)
	defer srv.Close()
	srv.CreateBucket("b")
	w := &world{Server: srv, t: t, c: srv.Client()}
	big := strings.Repeat("0123456789", 10000)
	w.upload("k", big, "x", big)
	must(w.selfCopy("k"))(t)
	if got := must(w.get("k"))(t); got != big+"x"+big {
		t.Error("the content is not what was uploaded")
	}
	if _, err := w.put("bad", big, func(in *s3.PutObjectInput) { in.ContentMD5 = md5Base64("") }); code(err) != "BadDigest" {
		t.Error(err)
	}
	if files, _ := filepath.Glob(filepath.Join(dir, "*", "body-*")); len(files) != 2 {
		t.Errorf("files: %q", files)
	}
	srv.Close()
	if left, _ := os.ReadDir(dir); len(left) != 0 {
		t.Errorf("left: %v", left)
	}
}

func TestResetStore(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	w.create("k")
	w.Put("b", "k", nil)
	w.ResetStore()
	if len(w.Objects("b")) != 0 || len(w.Uploads("b")) != 0 || len(w.Versions("b", "k")) != 0 {
		t.Error("something is left")
	}
	must(w.put("k", "x"))(t)
}

func TestRecords(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	id := w.create("k")
	w.part("k", id, 7, p1)
	w.get("nope")
	rs := w.Requests()
	if len(rs) != 3 || w.Count("*") != 3 || w.Count("UploadPart") != 1 || w.Count("UploadPart 7") != 1 || w.Count("UploadPart 1") != 0 {
		t.Fatalf("records: %+v", rs)
	}
	p := rs[1]
	if p.Op != "UploadPart" || p.Bucket != "b" || p.Key != "k" || p.Part != 7 || p.UploadID != *id || p.Status != 200 || p.Bytes != 5 ||
		p.Chunked || p.Query.Get("partNumber") != "7" || p.Header.Get("X-Amz-Content-Sha256") == "" || !p.Time.Equal(w.clock.now()) || p.Conn != 1 {
		t.Errorf("part: %+v", p)
	}
	if g := rs[2]; g.Status != 404 || g.Code != "NoSuchKey" {
		t.Errorf("get: %+v", g)
	}
	w.ResetRequests()
	if len(w.Requests()) != 0 || w.Count("*") != 0 {
		t.Error("records are left")
	}
	w = newWorld(t, s3test.Options{Forget: true})
	w.get("nope")
	if len(w.Requests()) != 0 || w.Count("GetObject") != 1 {
		t.Error("Forget keeps records, or does not count")
	}
}

// Streams over HTTP/2 break one by one.
func TestHTTP2(t *testing.T) {
	w := newWorld(t, s3test.Options{TLS: true, HTTP2: true})
	w.Put("b", "k", []byte("x"))
	w.c = w.Client(func(o *s3.Options) {
		o.HTTPClient = awshttp.NewBuildableClient().WithTransportOptions(func(tr *http.Transport) {
			tr.ForceAttemptHTTP2 = true
			tr.TLSClientConfig = &tls.Config{RootCAs: w.CertPool()}
		})
	})
	w.Fault(s3test.Fault{Op: "PutObject", Do: s3test.Lose})
	if _, err := w.put("k2", "x"); err == nil {
		t.Error("no error")
	}
	if _, stored := w.Object("b", "k2"); !stored {
		t.Error("not stored")
	}
	must(w.get("k"))(t)
	for _, r := range w.Requests() {
		if r.Proto != "HTTP/2.0" || r.Conn != 1 {
			t.Errorf("%s on connection %d", r.Proto, r.Conn)
		}
	}
	if pem := must(os.ReadFile(w.CAFile()))(t); !bytes.HasPrefix(pem, []byte("-----BEGIN CERTIFICATE")) {
		t.Errorf("CA file: %q", pem)
	}
}
