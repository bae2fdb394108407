package s3test_test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"s3up/internal/s3test"
)

// A world is a server with the bucket b, and a client of it.
type world struct {
	*s3test.Server
	t     *testing.T
	c     *s3.Client
	clock *clock
}

// A clock stands until it is moved. It begins at noon.
type clock struct{ past atomic.Int64 }

func (c *clock) now() time.Time {
	return time.Date(2026, 11, 23, 12, 0, 0, 0, time.UTC).Add(time.Duration(c.past.Load()))
}

func (c *clock) move(d time.Duration) { c.past.Add(int64(d)) }

func newWorld(t *testing.T, o s3test.Options) *world {
	t.Helper()
	if o.MinPartSize == 0 {
		o.MinPartSize = 5
	}
	w := &world{t: t, clock: &clock{}}
	if o.Now == nil {
		o.Now, o.AnyDate = w.clock.now, true
	}
	w.Server = s3test.New(t, o)
	w.CreateBucket("b")
	w.c = w.Client()
	return w
}

var bucket = aws.String("b")

// code is the code of a refusal, "ok" where there is none.
func code(err error) string {
	var e smithy.APIError
	switch {
	case err == nil:
		return "ok"
	case errors.As(err, &e):
		return e.ErrorCode()
	}
	return err.Error()
}

// message is Amazon's text of a refusal.
func message(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorMessage()
	}
	return ""
}

// must ends the test on an error, as most calls of a test only prepare it:
// must(w.put("k", "x"))(t).
func must[T any](out T, err error) func(*testing.T) T {
	return func(t *testing.T) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return out
	}
}

func md5Hex(s string) string {
	sum := md5.Sum([]byte(s))
	return hex.EncodeToString(sum[:])
}

func md5Base64(s string) *string {
	sum := md5.Sum([]byte(s))
	return aws.String(base64.StdEncoding.EncodeToString(sum[:]))
}

// composite is written apart from the server's own arithmetic.
func composite(parts ...string) string {
	var sums []byte
	for _, p := range parts {
		sum := md5.Sum([]byte(p))
		sums = append(sums, sum[:]...)
	}
	return fmt.Sprintf("%x-%d", md5.Sum(sums), len(parts))
}

// kind says what an ETag is of an object of these parts.
func kind(etag *string, parts ...string) string {
	switch bare := strings.Trim(aws.ToString(etag), `"`); {
	case bare == "":
		return "none"
	case bare == md5Hex(strings.Join(parts, "")):
		return "md5"
	case bare == composite(parts...):
		return "composite"
	case strings.Contains(bare, "-"):
		return "other composite"
	}
	return "opaque"
}

func (w *world) put(key, body string, change ...func(*s3.PutObjectInput)) (*s3.PutObjectOutput, error) {
	in := &s3.PutObjectInput{Bucket: bucket, Key: &key, Body: strings.NewReader(body)}
	for _, f := range change {
		f(in)
	}
	return w.c.PutObject(w.t.Context(), in)
}

func (w *world) get(key string) (string, error) {
	out, err := w.c.GetObject(w.t.Context(), &s3.GetObjectInput{Bucket: bucket, Key: &key})
	if err != nil {
		return "", err
	}
	defer out.Body.Close()
	data, err := io.ReadAll(out.Body)
	return string(data), err
}

func (w *world) head(key string, change ...func(*s3.HeadObjectInput)) (*s3.HeadObjectOutput, error) {
	in := &s3.HeadObjectInput{Bucket: bucket, Key: &key}
	for _, f := range change {
		f(in)
	}
	return w.c.HeadObject(w.t.Context(), in)
}

func (w *world) mustHead(key string) *s3.HeadObjectOutput {
	w.t.Helper()
	out, err := w.head(key)
	return must(out, err)(w.t)
}

func (w *world) create(key string, change ...func(*s3.CreateMultipartUploadInput)) *string {
	w.t.Helper()
	in := &s3.CreateMultipartUploadInput{Bucket: bucket, Key: &key}
	for _, f := range change {
		f(in)
	}
	out, err := w.c.CreateMultipartUpload(w.t.Context(), in)
	return must(out, err)(w.t).UploadId
}

func (w *world) part(key string, id *string, n int, body string, change ...func(*s3.UploadPartInput)) (*s3.UploadPartOutput, error) {
	in := &s3.UploadPartInput{Bucket: bucket, Key: &key, UploadId: id, PartNumber: aws.Int32(int32(n)), Body: strings.NewReader(body)}
	for _, f := range change {
		f(in)
	}
	return w.c.UploadPart(w.t.Context(), in)
}

// parts uploads the parts, numbered from 1, and lists them for complete.
func (w *world) parts(key string, id *string, bodies ...string) []types.CompletedPart {
	w.t.Helper()
	var done []types.CompletedPart
	for i, body := range bodies {
		out, err := w.part(key, id, i+1, body)
		must(out, err)(w.t)
		done = append(done, types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: aws.String(md5Hex(body))})
		if out.ETag != nil {
			done[i].ETag = out.ETag
		}
	}
	return done
}

func (w *world) complete(key string, id *string, parts []types.CompletedPart, change ...func(*s3.CompleteMultipartUploadInput)) (*s3.CompleteMultipartUploadOutput, error) {
	in := &s3.CompleteMultipartUploadInput{Bucket: bucket, Key: &key, UploadId: id, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}}
	for _, f := range change {
		f(in)
	}
	return w.c.CompleteMultipartUpload(w.t.Context(), in)
}

// upload does a whole multipart upload.
func (w *world) upload(key string, bodies ...string) *s3.CompleteMultipartUploadOutput {
	w.t.Helper()
	id := w.create(key)
	out, err := w.complete(key, id, w.parts(key, id, bodies...))
	return must(out, err)(w.t)
}

func (w *world) copy(source, key string, change ...func(*s3.CopyObjectInput)) (*s3.CopyObjectOutput, error) {
	in := &s3.CopyObjectInput{Bucket: bucket, Key: &key, CopySource: &source}
	for _, f := range change {
		f(in)
	}
	return w.c.CopyObject(w.t.Context(), in)
}

func (w *world) selfCopy(key string, change ...func(*s3.CopyObjectInput)) (*s3.CopyObjectOutput, error) {
	change = append([]func(*s3.CopyObjectInput){func(in *s3.CopyObjectInput) { in.MetadataDirective = "REPLACE" }}, change...)
	return w.copy("b/"+key, key, change...)
}

func (w *world) abort(key string, id *string) error {
	_, err := w.c.AbortMultipartUpload(w.t.Context(), &s3.AbortMultipartUploadInput{Bucket: bucket, Key: &key, UploadId: id})
	return err
}

func (w *world) listParts(key string, id *string, change ...func(*s3.ListPartsInput)) (*s3.ListPartsOutput, error) {
	in := &s3.ListPartsInput{Bucket: bucket, Key: &key, UploadId: id}
	for _, f := range change {
		f(in)
	}
	return w.c.ListParts(w.t.Context(), in)
}

func (w *world) listUploads(change ...func(*s3.ListMultipartUploadsInput)) (*s3.ListMultipartUploadsOutput, error) {
	in := &s3.ListMultipartUploadsInput{Bucket: bucket}
	for _, f := range change {
		f(in)
	}
	return w.c.ListMultipartUploads(w.t.Context(), in)
}
