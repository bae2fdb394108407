package verify_test

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/etag"
	"s3up/internal/s3test"
	"s3up/internal/verify"
)

const mib = 1 << 20

// aStore is the store that S3UP_TEST_ENDPOINT names, with a bucket of the test's own,
// or an s3test server.
func aStore(t *testing.T) (client *s3.Client, endpoint, access, secret, bucket string) {
	endpoint = os.Getenv("S3UP_TEST_ENDPOINT")
	access, secret = os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
	if endpoint == "" {
		s := s3test.New(t, s3test.Options{})
		endpoint, access, secret = s.URL(), s.AccessKey(), s.SecretKey()
	}
	client = s3.New(s3.Options{BaseEndpoint: &endpoint, Region: "us-east-1", UsePathStyle: true,
		Credentials:                credentials.NewStaticCredentialsProvider(access, secret, ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired})
	bucket = fmt.Sprintf("s3up-%08x", rand.Uint32())
	if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
		t.Fatal(err)
	}
	return client, endpoint, access, secret, bucket
}

// What clients store with checksums, on any store: it is the same, or the part that
// differs is found where the store tells of parts.
func TestSuiteChecksums(t *testing.T) {
	client, _, _, _, bucket := aStore(t)
	store := cmp.Or(os.Getenv("S3UP_TEST_STORE"), "s3test")
	data := random(11*mib, 21)
	bad := flipped(data, 10*mib+3)
	v := verify.New(client, verify.Options{})
	for i, tt := range []struct {
		algorithm types.ChecksumAlgorithm
		kind      types.ChecksumType
	}{{"", ""}, {"SHA256", "COMPOSITE"}, {"CRC32C", "COMPOSITE"}, {"CRC64NVME", "FULL_OBJECT"}} {
		key := fmt.Sprint("k", i)
		in := &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key, ChecksumAlgorithm: tt.algorithm, ChecksumType: tt.kind}
		up, err := client.CreateMultipartUpload(t.Context(), in)
		if err != nil {
			t.Fatal(err)
		}
		var parts []types.CompletedPart
		for n := range 3 {
			body := bytes.NewReader(data[n*5*mib : min(len(data), (n+1)*5*mib)])
			p, err := client.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: &bucket, Key: &key, UploadId: up.UploadId,
				PartNumber: aws.Int32(int32(n + 1)), Body: body, ChecksumAlgorithm: tt.algorithm})
			if err != nil {
				t.Fatal(err)
			}
			done := types.CompletedPart{PartNumber: aws.Int32(int32(n + 1)), ETag: p.ETag}
			if tt.kind != "" {
				done.ChecksumSHA256, done.ChecksumCRC32C, done.ChecksumCRC64NVME = p.ChecksumSHA256, p.ChecksumCRC32C, p.ChecksumCRC64NVME
			}
			parts = append(parts, done)
		}
		if _, err := client.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: up.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}}); err != nil {
			t.Fatal(err)
		}
		for _, look := range []struct {
			data []byte
			want verify.Status
		}{{data, verify.Match}, {bad, verify.Differs}} {
			r, err := v.Verify(t.Context(), file(look.data), bucket, key, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%s %s: %s, checksums %v", tt.algorithm, tt.kind, short(r), r.Object.Checksums)
			if r.Status != look.want {
				t.Errorf("%s %s: got %s, want %s", tt.algorithm, tt.kind, short(r), look.want)
			}
			if tells := tt.kind == "COMPOSITE" && (store == "s3test" || store == "minio"); tells && look.want == verify.Differs && r.BadPart != 3 {
				t.Errorf("%s %s: part %d is told, want 3", tt.algorithm, tt.kind, r.BadPart)
			}
		}
	}
}

// What rclone has stored, in parts of several sizes, is found to be the same, whether
// the store tells the size of the parts or not.
func TestSuiteOtherClients(t *testing.T) {
	rclone, err := filepath.Abs(filepath.Join("..", "..", ".cache", "bin", "rclone"))
	if os.Getenv("S3UP_TEST_ENDPOINT") == "" {
		t.Skip("it is for real stores")
	}
	if _, missing := os.Stat(rclone); err != nil || missing != nil {
		t.Skip("*** NOT TESTED with rclone: it is not built ***")
	}
	client, endpoint, access, secret, bucket := aStore(t)
	dir := t.TempDir()
	v := verify.New(client, verify.Options{})
	blind := verify.New(withoutParts{client}, verify.Options{})
	for i, tt := range []struct {
		size  int
		chunk string
		part  int64
	}{{10 * mib, "5Mi", 5 * mib}, {10*mib + 1, "5Mi", 5 * mib}, {17*mib - 1, "8Mi", 8 * mib}, {14 * mib, "7Mi", 7 * mib}, {100, "5Mi", 0}, {0, "5Mi", 0}} {
		name := filepath.Join(dir, fmt.Sprint("f", i))
		data := random(tt.size, byte(30+i))
		if err := os.WriteFile(name, data, 0o600); err != nil {
			t.Fatal(err)
		}
		cmd := exec.CommandContext(t.Context(), rclone, "--config", os.DevNull, "copyto", name, fmt.Sprintf(":s3:%s/k%d", bucket, i),
			"--s3-provider", "Other", "--s3-endpoint", endpoint, "--s3-access-key-id", access, "--s3-secret-access-key", secret,
			"--s3-region", "us-east-1", "--s3-upload-cutoff", "5Mi", "--s3-chunk-size", tt.chunk, "--s3-no-check-bucket")
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("rclone: %v: %s", err, out)
		}
		for _, how := range []struct {
			v    *verify.Verifier
			told bool
		}{{v, true}, {blind, false}} {
			r, err := how.v.Verify(t.Context(), file(data), bucket, fmt.Sprint("k", i), nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d bytes in parts of %s: %s, ETag %s, claims %v", tt.size, tt.chunk, short(r), r.Object.ETag, r.Object.Claims)
			if r.Status != verify.Match || r.By.Strength != verify.Proof || r.Parts > 0 && r.PartSize != tt.part {
				t.Errorf("%d bytes in parts of %s: %s", tt.size, tt.chunk, short(r))
			}
			if tt.size == 0 {
				continue
			}
			if r, err := how.v.Verify(t.Context(), file(flipped(data, tt.size/2)), bucket, fmt.Sprint("k", i), nil, nil); err != nil || r.Status != verify.Differs {
				t.Errorf("%d bytes in parts of %s, one flipped: %s, %v", tt.size, tt.chunk, short(r), err)
			}
		}
	}
}

// What the AWS CLI has stored is what the table of tools says, at the edges of its
// parts, and is found to be the same, whether the store tells the size of the parts
// or not.
func TestSuiteAWSCLI(t *testing.T) {
	if os.Getenv("S3UP_TEST_ENDPOINT") == "" {
		t.Skip("it is for real stores")
	}
	cli, err := exec.LookPath("aws")
	if err != nil {
		t.Skip("*** NOT TESTED with the AWS CLI: it is not on PATH ***")
	}
	client, endpoint, access, secret, bucket := aStore(t)
	tool, _ := etag.FindTool("aws")
	v := verify.New(client, verify.Options{})
	blind := verify.New(withoutParts{client}, verify.Options{})
	dir := t.TempDir()
	sizes := []int{8*mib - 1, 8 * mib, 16*mib + 1}
	for i, size := range sizes {
		if err := os.WriteFile(filepath.Join(dir, fmt.Sprint("f", i)), random(size, byte(40+i)), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	cmd := exec.CommandContext(t.Context(), cli, "--endpoint-url", endpoint, "s3", "cp", "--recursive", dir, "s3://"+bucket+"/")
	cmd.Env = append(os.Environ(), "AWS_ACCESS_KEY_ID="+access, "AWS_SECRET_ACCESS_KEY="+secret, "AWS_REGION=us-east-1",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "AWS_EC2_METADATA_DISABLED=true")
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("aws: %v: %s", err, out)
	}
	for i, size := range sizes {
		data, key := random(size, byte(40+i)), fmt.Sprint("f", i)
		part := tool.PartSize(int64(size))
		if os.Getenv("S3UP_TEST_STORE") == "rclone" {
			part = 0 // its ETags are plain
		}
		want := etag.Sum(data).String()
		if part > 0 {
			sums, err := etag.SumParts(t.Context(), bytes.NewReader(data), int64(size), part, 1)
			if err != nil {
				t.Fatal(err)
			}
			want = etag.Composite(sums)
		}
		for _, v := range []*verify.Verifier{v, blind} {
			r, err := v.Verify(t.Context(), file(data), bucket, key, nil, nil)
			if err != nil {
				t.Fatal(err)
			}
			t.Logf("%d bytes: %s, ETag %s, checksums %v", size, short(r), r.Object.ETag, r.Object.Checksums)
			if r.Status != verify.Match || r.Object.ETag != want || r.PartSize != part {
				t.Errorf("%d bytes: %s, ETag %s, want %s", size, short(r), r.Object.ETag, want)
			}
		}
	}
}

// withoutParts is a client of a store that tells nothing of parts.
type withoutParts struct{ *s3.Client }

func (c withoutParts) HeadObject(ctx context.Context, in *s3.HeadObjectInput, o ...func(*s3.Options)) (*s3.HeadObjectOutput, error) {
	in.PartNumber = nil
	return c.Client.HeadObject(ctx, in, o...)
}
