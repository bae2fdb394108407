package store

import (
	"bytes"
	"context"
	"crypto/md5"
	"crypto/tls"
	"encoding/base64"
	"encoding/pem"
	"fmt"
	"io"
	stdlog "log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// TestMain keeps the machine's own AWS configuration out of the tests, gives
// them keys, and has them trust the certificate that all test servers share.
func TestMain(m *testing.M) {
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "AWS_") || strings.HasSuffix(strings.ToLower(name), "_proxy") {
			os.Unsetenv(name)
		}
	}
	dir, err := os.MkdirTemp("", "store")
	if err != nil {
		panic(err)
	}
	srv := httptest.NewTLSServer(nil)
	bundle := filepath.Join(dir, "ca.pem")
	cert := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: srv.Certificate().Raw})
	if err := os.WriteFile(bundle, cert, 0o600); err != nil {
		panic(err)
	}
	srv.Close()
	for name, value := range map[string]string{
		"AWS_CONFIG_FILE":             "/dev/null",
		"AWS_SHARED_CREDENTIALS_FILE": "/dev/null",
		"AWS_EC2_METADATA_DISABLED":   "true",
		"AWS_ACCESS_KEY_ID":           "AKIAEXAMPLE",
		"AWS_SECRET_ACCESS_KEY":       "very-secret",
		"AWS_CA_BUNDLE":               bundle,
	} {
		os.Setenv(name, value)
	}
	code := m.Run()
	os.RemoveAll(dir)
	os.Exit(code)
}

// withoutKeys takes the credentials away.
func withoutKeys(t *testing.T) {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "")
}

// log collects the attempts of a store.
type log struct {
	mu       sync.Mutex
	attempts []Attempt
}

func (l *log) add(a Attempt) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempts = append(l.attempts, a)
}

func (l *log) all() []Attempt {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]Attempt(nil), l.attempts...)
}

func (l *log) reset() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.attempts = nil
}

// open opens a store at url that retries at once.
func open(t *testing.T, url string, change ...func(*Config)) (*Store, *log) {
	t.Helper()
	l := &log{}
	cfg := Config{
		Endpoint:  url,
		Backoff:   func(int, error) time.Duration { return 0 },
		OnAttempt: l.add,
	}
	for _, f := range change {
		f(&cfg)
	}
	s, err := Open(t.Context(), cfg)
	if err != nil {
		t.Fatal(err)
	}
	return s, l
}

// discard is for what servers say of clients that gave up.
var discard = stdlog.New(io.Discard, "", 0)

// serve runs a server for the test; over https it offers HTTP/2. Handlers that
// wait do so for the channel, which is closed when the test ends. The kernel takes in
// little that a handler does not read.
func serve(t *testing.T, https bool, handler func(w http.ResponseWriter, r *http.Request, end <-chan struct{})) *httptest.Server {
	t.Helper()
	end := make(chan struct{})
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { handler(w, r, end) }))
	srv.Config.ErrorLog = discard
	srv.Config.ConnState = func(c net.Conn, state http.ConnState) {
		if state != http.StateNew {
			return
		}
		if secure, ok := c.(*tls.Conn); ok {
			c = secure.NetConn()
		}
		c.(*net.TCPConn).SetReadBuffer(128 << 10)
	}
	if https {
		srv.EnableHTTP2 = true
		srv.StartTLS()
	} else {
		srv.Start()
	}
	t.Cleanup(func() {
		close(end)
		srv.CloseClientConnections()
		srv.Close()
	})
	return srv
}

func drain(r *http.Request) { io.Copy(io.Discard, r.Body) }

func refuse(w http.ResponseWriter, status int, code string) {
	w.Header().Set("X-Amz-Request-Id", "REQ1")
	w.WriteHeader(status)
	if code != "" {
		fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>m</Message></Error>`, code)
	}
}

// ok answers any of the calls that the tests make.
func ok(w http.ResponseWriter, r *http.Request) {
	q := r.URL.Query()
	switch {
	case r.Header.Get("X-Amz-Copy-Source") != "":
		io.WriteString(w, `<CopyObjectResult><ETag>"e"</ETag></CopyObjectResult>`)
	case r.Method == http.MethodPost && q.Has("uploadId"):
		io.WriteString(w, `<CompleteMultipartUploadResult><ETag>"e"</ETag></CompleteMultipartUploadResult>`)
	case r.Method == http.MethodGet && q.Has("uploadId"):
		io.WriteString(w, `<ListPartsResult><UploadId>u</UploadId></ListPartsResult>`)
	default:
		w.Header().Set("ETag", `"e"`)
	}
}

func head(ctx context.Context, s *Store) error {
	_, err := s.Client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: aws.String("bucket"), Key: aws.String("key")})
	return err
}

func uploadPart(ctx context.Context, s *Store, body io.Reader) error {
	_, err := s.Client.UploadPart(ctx, &s3.UploadPartInput{
		Bucket: aws.String("bucket"), Key: aws.String("a/key"), UploadId: aws.String("u"), PartNumber: aws.Int32(7), Body: body,
	})
	return err
}

func complete(ctx context.Context, s *Store) error {
	_, err := s.Client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{
		Bucket: aws.String("bucket"), Key: aws.String("key"), UploadId: aws.String("u"),
		MultipartUpload: &types.CompletedMultipartUpload{Parts: []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: aws.String("e")}}},
	})
	return err
}

func copyObject(ctx context.Context, s *Store) error {
	_, err := s.Client.CopyObject(ctx, &s3.CopyObjectInput{Bucket: aws.String("bucket"), Key: aws.String("key"), CopySource: aws.String("bucket/key")})
	return err
}

func listParts(ctx context.Context, s *Store) error {
	_, err := s.Client.ListParts(ctx, &s3.ListPartsInput{Bucket: aws.String("bucket"), Key: aws.String("key"), UploadId: aws.String("u")})
	return err
}

func pattern(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(i ^ i>>8 ^ i>>16)
	}
	return b
}

func contentMD5(b []byte) *string {
	sum := md5.Sum(b)
	return aws.String(base64.StdEncoding.EncodeToString(sum[:]))
}

// counting counts how often bytes are read.
type counting struct {
	*bytes.Reader
	mu   sync.Mutex
	read int
}

func (c *counting) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.read += n
	return n, err
}

// closedPort is an address where nobody listens.
func closedPort(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

func testBlocks() *sync.Pool {
	return &sync.Pool{New: func() any { return new([block]byte) }}
}
