package s3test

import (
	"bytes"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

const expressBucket = "fast--use1-az4--x-s3"

// The SDK's own client gets on with a directory bucket, sessions and all, as long
// as it asks for what there is.
func TestDirectoryBucket(t *testing.T) {
	now := time.Now()
	s := New(t, Options{MinPartSize: 1 << 10, Now: func() time.Time { return now }})
	s.CreateBucket(expressBucket)
	client, bucket := s.Client(), aws.String(expressBucket)
	put := func(key string, change func(*s3.PutObjectInput)) (*s3.PutObjectOutput, error) {
		in := &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: bytes.NewReader([]byte("data")), ChecksumCRC32: aws.String("rfPzYw==")}
		if change != nil {
			change(in)
		}
		return client.PutObject(t.Context(), in)
	}
	first, err := put("a/b", nil)
	if err != nil {
		t.Fatal(err)
	}
	second, err := put("a/b", nil)
	if err != nil || *first.ETag == *second.ETag || aws.ToString(second.ChecksumCRC32) != "rfPzYw==" {
		t.Errorf("got the ETags %s and %s, checksum %q, error %v", *first.ETag, *second.ETag, aws.ToString(second.ChecksumCRC32), err)
	}
	if n := s.Count("CreateSession"); n != 1 {
		t.Errorf("got %d sessions, want 1", n)
	}
	for name, change := range map[string]func(*s3.PutObjectInput){
		"Content-MD5": func(in *s3.PutObjectInput) {
			in.ContentMD5, in.ChecksumCRC32 = aws.String("jXd/OF09/siBXSD3SWAm3A=="), nil
		},
		"tags":          func(in *s3.PutObjectInput) { in.Tagging = aws.String("a=b") },
		"an ACL":        func(in *s3.PutObjectInput) { in.ACL = types.ObjectCannedACLPrivate },
		"another class": func(in *s3.PutObjectInput) { in.StorageClass = types.StorageClassStandardIa },
		"DSSE":          func(in *s3.PutObjectInput) { in.ServerSideEncryption = types.ServerSideEncryptionAwsKmsDsse },
		"a redirect":    func(in *s3.PutObjectInput) { in.WebsiteRedirectLocation = aws.String("/x") },
	} {
		if _, err := put("a/b", change); err == nil {
			t.Errorf("%s: no error", name)
		}
	}

	for _, prefix := range []string{"", "a/"} {
		if out, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket, Prefix: &prefix}); err != nil || len(out.Contents) != 1 {
			t.Errorf("prefix %q: got %v, error %v", prefix, out, err)
		}
	}
	if _, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket, Prefix: aws.String("a/b")}); err == nil {
		t.Error("a prefix that does not end in a slash: no error")
	}

	var ids []string
	for range 3 {
		up, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: aws.String("a/c"), ChecksumAlgorithm: types.ChecksumAlgorithmCrc32})
		if err != nil {
			t.Fatal(err)
		}
		ids = append(ids, *up.UploadId)
	}
	seen := make(map[string]bool)
	in := &s3.ListMultipartUploadsInput{Bucket: bucket, Prefix: aws.String("a/"), MaxUploads: aws.Int32(1)}
	for {
		out, err := client.ListMultipartUploads(t.Context(), in)
		if err != nil || len(out.Uploads) != 1 || out.NextUploadIdMarker != nil {
			t.Fatalf("got %v, error %v", out, err)
		}
		seen[*out.Uploads[0].UploadId] = true
		if in.KeyMarker = out.NextKeyMarker; !*out.IsTruncated {
			break
		}
	}
	for _, id := range ids {
		if !seen[id] {
			t.Errorf("the upload %s is not listed", id)
		}
	}

	s.EndSessions()
	if _, err := put("a/b", nil); err == nil {
		t.Error("an expired session: no error")
	}
}
