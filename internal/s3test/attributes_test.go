package s3test_test

import (
	"fmt"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/s3test"
)

// Of an object of parts, the parts are listed where it has a checksum; of one
// without, only how many there are; of one in one piece, nothing.
func TestGetObjectAttributes(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	w.upload("plain", p1, p2, p3)
	must(w.put("single", "x"))(t)
	id := w.create("summed", func(in *s3.CreateMultipartUploadInput) { in.ChecksumAlgorithm = types.ChecksumAlgorithmSha256 })
	var parts []types.CompletedPart
	for i, body := range []string{p1, p2, p3} {
		p := must(w.part("summed", id, i+1, body, func(in *s3.UploadPartInput) { in.ChecksumAlgorithm = types.ChecksumAlgorithmSha256 }))(t)
		parts = append(parts, types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: p.ETag, ChecksumSHA256: p.ChecksumSHA256})
	}
	must(w.complete("summed", id, parts))(t)
	see := func(key string, change func(*s3.GetObjectAttributesInput)) string {
		in := &s3.GetObjectAttributesInput{Bucket: bucket, Key: &key, ObjectAttributes: types.ObjectAttributes("").Values()}
		change(in)
		out := must(w.Client().GetObjectAttributes(t.Context(), in))(t)
		text := fmt.Sprint(aws.ToString(out.ETag) != "", aws.ToInt64(out.ObjectSize))
		if out.ObjectParts == nil {
			return text
		}
		text += fmt.Sprint(" of ", aws.ToInt32(out.ObjectParts.TotalPartsCount), " more ", aws.ToBool(out.ObjectParts.IsTruncated))
		for _, p := range out.ObjectParts.Parts {
			n := *p.PartNumber
			text += fmt.Sprint(" ", n, ":", *p.Size, aws.ToString(p.ChecksumSHA256) == *parts[n-1].ChecksumSHA256)
		}
		return text
	}
	none := func(*s3.GetObjectAttributesInput) {}
	for _, tt := range []struct{ got, want string }{
		{see("single", none), "true 1"},
		{see("plain", none), "true 12 of 3 more false"},
		{see("summed", none), "true 12 of 3 more false 1:5 true 2:5 true 3:2 true"},
		{see("summed", func(in *s3.GetObjectAttributesInput) { in.MaxParts = aws.Int32(2) }), "true 12 of 3 more true 1:5 true 2:5 true"},
		{see("summed", func(in *s3.GetObjectAttributesInput) { in.PartNumberMarker = aws.String("2") }), "true 12 of 3 more false 3:2 true"},
	} {
		if tt.got != tt.want {
			t.Errorf("got %q, want %q", tt.got, tt.want)
		}
	}
	w.SetQuirks(func(q *s3test.Quirks) { q.Deny = []string{"s3:GetObjectAttributes"} })
	_, err := w.Client().GetObjectAttributes(t.Context(), &s3.GetObjectAttributesInput{Bucket: bucket, Key: aws.String("plain"),
		ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesEtag}})
	if code(err) != "AccessDenied" {
		t.Errorf("denied: got %v", err)
	}
}
