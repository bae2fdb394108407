package verify_test

import (
	"bytes"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/etag"
	"s3up/internal/s3test"
	"s3up/internal/verify"
)

// An object under SSE-C is looked at with its key, and its ETag is no MD5.
func TestCustomerKey(t *testing.T) {
	s := s3test.New(t, s3test.Options{TLS: true})
	s.CreateBucket(bucket)
	data := random(5000, 12)
	key := []byte("0123456789abcdef0123456789abcdef")
	k := verify.CustomerKey{Algorithm: aws.String("AES256"), Key: aws.String("MDEyMzQ1Njc4OWFiY2RlZjAxMjM0NTY3ODlhYmNkZWY="), MD5: aws.String(etag.Sum(key).Base64())}
	for name, algorithm := range map[string]types.ChecksumAlgorithm{"bare": "", "summed": types.ChecksumAlgorithmSha256} {
		_, err := s.Client().PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String(bucket), Key: &name, Body: bytes.NewReader(data), ChecksumAlgorithm: algorithm,
			SSECustomerAlgorithm: k.Algorithm, SSECustomerKey: k.Key, SSECustomerKeyMD5: k.MD5})
		if err != nil {
			t.Fatal(err)
		}
	}
	v := verify.New(s.Client(), verify.Options{CustomerKey: k})
	for name, want := range map[string]string{"bare": "unverifiable no-evidence", "summed": "match checksum SHA256 proof"} {
		r, err := v.Verify(t.Context(), file(data), bucket, name, nil, nil)
		if err != nil || short(r) != want || r.Object.Encrypted != "SSE-C" {
			t.Errorf("%s: got %v, %v, want %q", name, r, err, want)
		}
	}
	if _, err := verify.New(s.Client(), verify.Options{}).Verify(t.Context(), file(data), bucket, "bare", nil, nil); err == nil {
		t.Error("without the key: no error")
	}
}
