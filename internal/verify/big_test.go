package verify_test

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"io"
	"net/http"
	"os"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/verify"
)

const gib = 1 << 30

// vast is 1 GiB that takes no memory: each MiB begins with its number. A bit of the
// byte at flip is flipped, unless that is -1.
type vast struct{ flip int64 }

func (v vast) ReadAt(p []byte, at int64) (int, error) {
	n := min(len(p), int(gib-at))
	p = p[:n]
	clear(p)
	var number [8]byte
	for block := at / mib; block*mib < at+int64(n); block++ {
		binary.LittleEndian.PutUint64(number[:], uint64(block))
		for i, b := range number {
			if to := block*mib + int64(i) - at; to >= 0 && to < int64(n) {
				p[to] = b
			}
		}
	}
	if to := v.flip - at; v.flip >= 0 && to >= 0 && to < int64(n) {
		p[to] ^= 1
	}
	if at+int64(n) == gib {
		return n, io.EOF
	}
	return n, nil
}

func (v vast) reader() *io.SectionReader { return io.NewSectionReader(v, 0, gib) }

func (v vast) local() verify.Local { return verify.Local{Name: "f", Size: gib, File: v} }

// A veil takes out of a store's answers what other stores do not tell.
type veil struct {
	parts, checksums bool   // are not told
	encrypted        bool   // the ETag is no MD5
	metadata         string // the only one that there is
}

func (v veil) RoundTrip(r *http.Request) (*http.Response, error) {
	if v.parts && r.URL.Query().Has("attributes") {
		return &http.Response{StatusCode: http.StatusNotImplemented, Header: http.Header{}, Body: http.NoBody, Request: r}, nil
	}
	res, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	for name := range res.Header {
		low := strings.ToLower(name)
		if v.parts && low == "x-amz-mp-parts-count" || v.checksums && strings.HasPrefix(low, "x-amz-checksum-") ||
			strings.HasPrefix(low, "x-amz-meta-") && low != "x-amz-meta-"+v.metadata {
			res.Header.Del(name)
		}
	}
	if v.encrypted {
		res.Header.Set("X-Amz-Server-Side-Encryption", "aws:kms")
	}
	return res, nil
}

// One bit in 1 GiB is found by every kind of evidence, with its part where the store
// keeps checksums of those.
func TestSuiteOneBit(t *testing.T) {
	switch {
	case os.Getenv("S3UP_TEST_STORE") != "minio":
		t.Skip("it is for a real store that keeps checksums of parts; one is enough for what takes so long")
	case os.Getenv("S3UP_TEST_SMALL") != "":
		t.Skip("*** NOT TESTED ***")
	}
	client, endpoint, access, secret, bucket := aStore(t)
	const part, at = 64 * mib, 9*64*mib + 12345 // in the tenth part
	same, bad := vast{-1}, vast{at}
	hash := md5.New()
	io.Copy(hash, same.reader())
	sum := hash.Sum(nil)
	claims := map[string]string{"md5chksum": base64.StdEncoding.EncodeToString(sum), "s3cmd-attrs": fmt.Sprintf("uid:0/md5:%x/mode:33188", sum)}

	inOne := func(key string) {
		if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: same.reader(), Metadata: claims,
			ChecksumAlgorithm: types.ChecksumAlgorithmSha256}); err != nil {
			t.Fatal(err)
		}
	}
	inParts := func(key string) {
		up, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &bucket, Key: &key,
			ChecksumAlgorithm: types.ChecksumAlgorithmSha256})
		if err != nil {
			t.Fatal(err)
		}
		var parts []types.CompletedPart
		for n := range int32(gib / part) {
			p, err := client.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: &bucket, Key: &key, UploadId: up.UploadId, PartNumber: aws.Int32(n + 1),
				Body: io.NewSectionReader(same, int64(n)*part, part), ChecksumAlgorithm: types.ChecksumAlgorithmSha256})
			if err != nil {
				t.Fatal(err)
			}
			parts = append(parts, types.CompletedPart{PartNumber: aws.Int32(n + 1), ETag: p.ETag, ChecksumSHA256: p.ChecksumSHA256})
		}
		if _, err := client.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: &bucket, Key: &key, UploadId: up.UploadId,
			MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}}); err != nil {
			t.Fatal(err)
		}
	}
	for _, object := range []struct {
		key   string
		store func(key string)
		looks []look
	}{
		{"plain", inOne, []look{
			{"its ETag", veil{}, "etag MD5 proof", ""},
			{"its SHA256", veil{encrypted: true}, "checksum SHA256 proof", ""},
			{"md5chksum", veil{encrypted: true, checksums: true, metadata: "md5chksum"}, "metadata MD5 claim", ""},
			{"s3cmd-attrs", veil{encrypted: true, checksums: true, metadata: "s3cmd-attrs"}, "metadata MD5 claim", ""},
		}},
		{"parts", inParts, []look{
			{"parts that are told", veil{checksums: true}, "etag-parts MD5 proof parts of 67108864", ""},
			{"parts that are guessed", veil{checksums: true, parts: true}, "etag-parts MD5 proof parts of 67108864", "unverifiable unknown-part-size"},
			{"SHA256 of parts", veil{encrypted: true}, "checksum-parts SHA256 proof parts of 67108864", fmt.Sprintf(" bad 10 at %d+%d", 9*part, part)},
			{"all that there is", veil{}, "etag-parts MD5 proof parts of 67108864", fmt.Sprintf(" bad 10 at %d+%d", 9*part, part)},
		}},
	} {
		object.store(object.key)
		for _, l := range object.looks {
			t.Run(l.name, func(t *testing.T) {
				v := verify.New(s3.New(s3.Options{BaseEndpoint: &endpoint, Region: "us-east-1", UsePathStyle: true, HTTPClient: &http.Client{Transport: l.veil},
					Credentials: credentials.NewStaticCredentialsProvider(access, secret, "")}), verify.Options{})
				for _, tt := range []struct {
					local verify.Local
					want  string
				}{{same.local(), "match " + l.by}, {bad.local(), l.differs()}} {
					r, err := v.Verify(t.Context(), tt.local, bucket, object.key, nil, nil)
					if err != nil {
						t.Fatal(err)
					}
					if got := short(r); got != tt.want {
						t.Errorf("got %s, want %s", got, tt.want)
					}
				}
			})
		}
		if object.key == "plain" {
			t.Run("sums", func(t *testing.T) {
				for local, want := range map[vast]string{same: "match checksum SHA256 proof", bad: "differs checksum SHA256 proof"} {
					hash := sha256.New()
					io.Copy(hash, local.reader())
					sums := verify.Local{Name: "f", Size: -1, Sums: map[verify.Algorithm][]byte{verify.SHA256: hash.Sum(nil)}}
					r, err := verify.New(client, verify.Options{}).Verify(t.Context(), sums, bucket, object.key, nil, nil)
					if err != nil || short(r) != want {
						t.Errorf("got %s, %v, want %s", short(r), err, want)
					}
				}
			})
		}
		client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: &object.key})
	}
}

// A look is what a store shows of an object, and by what that is then the same as a
// file, or differs from it.
type look struct {
	name string
	veil veil
	by   string
	// part is told in addition where they differ; or, of what proves nothing then,
	// unverifiable and why.
	part string
}

func (l look) differs() string {
	if strings.HasPrefix(l.part, "unverifiable") {
		return l.part
	}
	return "differs " + l.by + l.part
}
