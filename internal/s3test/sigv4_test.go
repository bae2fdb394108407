package s3test_test

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"s3up/internal/s3test"
)

// A tamperer changes requests that are signed already.
type tamperer func(*http.Request)

func (f tamperer) Do(r *http.Request) (*http.Response, error) {
	f(r)
	return http.DefaultClient.Do(r)
}

func TestSignatures(t *testing.T) {
	tamper := func(f func(*http.Request)) func(*s3.Options) {
		return func(o *s3.Options) { o.HTTPClient = tamperer(f) }
	}
	keys := func(access, secret, token string) func(*s3.Options) {
		return func(o *s3.Options) { o.Credentials = credentials.NewStaticCredentialsProvider(access, secret, token) }
	}
	unsigned := s3.WithAPIOptions(v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware)
	body := func(s string) func(*http.Request) {
		return func(r *http.Request) { r.Body = io.NopCloser(strings.NewReader(s)) }
	}
	for _, tt := range []struct {
		name   string
		server s3test.Options
		client []func(*s3.Options)
		want   string
	}{
		{"right", s3test.Options{}, nil, "ok"},
		{"own keys", s3test.Options{AccessKey: "A", SecretKey: "S", Region: "eu-central-1"}, nil, "ok"},
		{"token", s3test.Options{SessionToken: "T"}, nil, "ok"},
		{"wrong token", s3test.Options{SessionToken: "T"}, []func(*s3.Options){keys("AKIAS3TEST", "s3test-secret", "U")}, "InvalidToken"},
		{"no token", s3test.Options{SessionToken: "T"}, []func(*s3.Options){keys("AKIAS3TEST", "s3test-secret", "")}, "InvalidToken"},
		{"wrong secret", s3test.Options{}, []func(*s3.Options){keys("AKIAS3TEST", "wrong", "")}, "SignatureDoesNotMatch"},
		{"wrong id", s3test.Options{}, []func(*s3.Options){keys("WRONG", "s3test-secret", "")}, "InvalidAccessKeyId"},
		{"wrong region", s3test.Options{}, []func(*s3.Options){func(o *s3.Options) { o.Region = "eu-west-1" }}, "AuthorizationHeaderMalformed"},
		{"anonymous", s3test.Options{}, []func(*s3.Options){func(o *s3.Options) { o.Credentials = aws.AnonymousCredentials{} }}, "AccessDenied"},
		{"public", s3test.Options{Public: true}, []func(*s3.Options){func(o *s3.Options) { o.Credentials = aws.AnonymousCredentials{} }}, "ok"},
		{"server ahead", s3test.Options{Now: func() time.Time { return time.Now().Add(20 * time.Minute) }}, nil, "RequestTimeTooSkewed"},
		{"server behind", s3test.Options{Now: func() time.Time { return time.Now().Add(-20 * time.Minute) }}, nil, "RequestTimeTooSkewed"},
		{"a little ahead", s3test.Options{Now: func() time.Time { return time.Now().Add(10 * time.Minute) }}, nil, "ok"},
		{"ahead, but any date", s3test.Options{AnyDate: true, Now: func() time.Time { return time.Now().Add(20 * time.Minute) }}, nil, "ok"},
		{"other key", s3test.Options{}, []func(*s3.Options){tamper(func(r *http.Request) { r.URL.Path = "/b/other" })}, "SignatureDoesNotMatch"},
		{"other method", s3test.Options{}, []func(*s3.Options){tamper(func(r *http.Request) { r.Method = "GET" })}, "SignatureDoesNotMatch"},
		{"other query", s3test.Options{}, []func(*s3.Options){tamper(func(r *http.Request) { r.URL.RawQuery += "&a=b" })}, "SignatureDoesNotMatch"},
		{"other header", s3test.Options{}, []func(*s3.Options){tamper(func(r *http.Request) { r.Header.Set("x-amz-meta-a", "2") })}, "SignatureDoesNotMatch"},
		{"unsigned header", s3test.Options{}, []func(*s3.Options){tamper(func(r *http.Request) { r.Header.Set("x-amz-meta-b", "2") })}, "AccessDenied"},
		{"header of no interest", s3test.Options{}, []func(*s3.Options){tamper(func(r *http.Request) { r.Header.Set("x-b", "2") })}, "ok"},
		{"other body", s3test.Options{}, []func(*s3.Options){tamper(body("HELLO"))}, "XAmzContentSHA256Mismatch"},
		{"other body, unsigned", s3test.Options{}, []func(*s3.Options){unsigned, tamper(body("HELLO"))}, "ok"},
		{"no Authorization", s3test.Options{}, []func(*s3.Options){tamper(func(r *http.Request) { r.Header.Del("Authorization") })}, "AccessDenied"},
		{"an old one", s3test.Options{}, []func(*s3.Options){tamper(func(r *http.Request) { r.Header.Set("Authorization", "AWS a:b") })}, "AuthorizationHeaderMalformed"},
	} {
		if tt.server.Now == nil {
			tt.server.Now = time.Now
		}
		w := newWorld(t, tt.server)
		w.c = w.Client(tt.client...)
		if len(tt.client) == 0 { // the accessors are enough to make a client
			w.c = s3.New(s3.Options{BaseEndpoint: aws.String(w.URL()), Region: w.Region(), UsePathStyle: true, RetryMaxAttempts: 1,
				Credentials: credentials.NewStaticCredentialsProvider(w.AccessKey(), w.SecretKey(), w.SessionToken())})
		}
		_, err := w.put("k", "hello", func(in *s3.PutObjectInput) { in.Metadata = map[string]string{"a": "1  2"} })
		if got := code(err); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
		o, stored := w.Object("b", "k")
		if stored != (tt.want == "ok") || stored && o.Metadata["a"] != "1  2" {
			t.Errorf("%s: stored: %t %+v", tt.name, stored, o.Metadata)
		}
	}
}

// The SDK's own chunks: unsigned with a trailer over https.
func TestChunked(t *testing.T) {
	w := newWorld(t, s3test.Options{TLS: true})
	w.c = w.Client(func(o *s3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenSupported })
	big := strings.Repeat("0123456789", 30000)
	must(w.put("k", big, func(in *s3.PutObjectInput) { in.ContentEncoding = aws.String("gzip") }))(t)
	if o, _ := w.Object("b", "k"); string(o.Bytes()) != big || o.ChecksumAlgorithm != "CRC32" || o.ContentEncoding != "gzip" {
		t.Errorf("stored %d bytes: %+v", o.Size, o)
	}
	if r := w.Requests()[0]; !r.Chunked || r.Bytes <= int64(len(big)) {
		t.Errorf("record: %+v", r)
	}
	w.Fault(s3test.Fault{Op: "PutObject", Do: s3test.Corrupt})
	if _, err := w.put("k", "other"); code(err) != "BadDigest" {
		t.Errorf("a flipped bit against the trailer: %v", err)
	}
}

func TestRegions(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	w.CreateBucketIn("far", "eu-west-1")
	head := func(region string) (string, *http.Response) {
		c := w.Client(func(o *s3.Options) { o.Region = region })
		_, err := c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: aws.String("far")})
		var e *awshttp.ResponseError
		if errors.As(err, &e) {
			return code(err), e.Response.Response
		}
		return code(err), nil
	}
	if got, r := head("us-east-1"); got != "PermanentRedirect" || r.StatusCode != 301 || r.Header.Get("x-amz-bucket-region") != "eu-west-1" {
		t.Errorf("signed for the endpoint's region: %s %v", got, r)
	}
	if got, r := head("ap-south-1"); got != "AuthorizationHeaderMalformed" || r.StatusCode != 400 || r.Header.Get("x-amz-bucket-region") != "eu-west-1" {
		t.Errorf("signed for a third region: %s %v", got, r)
	}
	if got, _ := head("eu-west-1"); got != "ok" {
		t.Errorf("signed for the bucket's region: %s", got)
	}
	if out := must(w.Client(func(o *s3.Options) { o.Region = "eu-west-1" }).GetBucketLocation(t.Context(), &s3.GetBucketLocationInput{Bucket: aws.String("far")}))(t); out.LocationConstraint != "eu-west-1" {
		t.Errorf("GetBucketLocation: %+v", out)
	}
	if out := must(w.Client(func(o *s3.Options) { o.Region = "eu-west-1" }).HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("far")}))(t); *out.BucketRegion != "eu-west-1" {
		t.Errorf("HeadBucket: %+v", out)
	}
}

// What every answer carries, and a HEAD's lacks.
func TestAnswerHeaders(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	for _, method := range []string{"GET", "HEAD"} {
		req := must(http.NewRequest(method, w.URL()+"/b/k", nil))(t)
		r := must(http.DefaultClient.Do(req))(t)
		body := must(io.ReadAll(r.Body))(t)
		r.Body.Close()
		if r.StatusCode != 403 || (len(body) > 0) != (method == "GET") {
			t.Errorf("%s: %s %q", method, r.Status, body)
		}
		if r.Header.Get("Date") != "Mon, 23 Nov 2026 12:00:00 GMT" || r.Header.Get("X-Amz-Request-Id") == "" || r.Header.Get("X-Amz-Id-2") == "" ||
			r.Header.Get("Server") != "AmazonS3" {
			t.Errorf("%s: %v", method, r.Header)
		}
	}
	_, err := w.get("nope")
	var e *awshttp.ResponseError
	var api smithy.APIError
	if !errors.As(err, &e) || !errors.As(err, &api) || e.ServiceRequestID() == "" || e.ServiceRequestID() != w.Requests()[2].RequestID {
		t.Errorf("request id: %v", err)
	}
}
