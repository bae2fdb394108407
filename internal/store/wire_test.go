package store

import (
	"bytes"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func TestBodiesAreSentAsTheyAre(t *testing.T) {
	t.Setenv("AWS_REQUEST_CHECKSUM_CALCULATION", "when_supported") // must not matter
	for _, scheme := range []string{"http", "https"} {
		var got *http.Request
		var body []byte
		srv := serve(t, scheme == "https", func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
			got = r
			body, _ = io.ReadAll(r.Body)
			ok(w, r)
		})
		s, log := open(t, srv.URL, func(c *Config) { c.UserAgent = "s3up/1.2" })
		data := pattern(3<<20 + 1)
		for _, op := range []string{"PutObject", "UploadPart"} {
			t.Run(scheme+"/"+op, func(t *testing.T) {
				log.reset()
				r := &counting{Reader: bytes.NewReader(data)}
				var err error
				if op == "PutObject" {
					_, err = s.Client.PutObject(t.Context(), &s3.PutObjectInput{
						Bucket: aws.String("bucket"), Key: aws.String("k"), Body: r, ContentMD5: contentMD5(data),
					})
				} else {
					_, err = s.Client.UploadPart(t.Context(), &s3.UploadPartInput{
						Bucket: aws.String("bucket"), Key: aws.String("k"), Body: r, ContentMD5: contentMD5(data),
						UploadId: aws.String("u"), PartNumber: aws.Int32(1),
					})
				}
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(body, data) {
					t.Errorf("the server got %d bytes that are not the %d sent", len(body), len(data))
				}
				if r.read != len(data) {
					t.Errorf("%d bytes were read of a body of %d", r.read, len(data))
				}
				if a := log.all(); len(a) != 1 || a[0].Sent != int64(len(data)) || a[0].Status != 200 {
					t.Errorf("attempts: %+v", a)
				}
				if got.Proto != "HTTP/1.1" {
					t.Errorf("protocol %s", got.Proto)
				}
				if got.ContentLength != int64(len(data)) {
					t.Errorf("Content-Length %d, want %d", got.ContentLength, len(data))
				}
				for name, want := range map[string]string{
					"Content-Md5":          *contentMD5(data),
					"X-Amz-Content-Sha256": "UNSIGNED-PAYLOAD",
					"Content-Encoding":     "",
					"X-Amz-Trailer":        "",
					"Expect":               "",
				} {
					if v := got.Header.Get(name); v != want {
						t.Errorf("%s: %q, want %q", name, v, want)
					}
				}
				for name := range got.Header {
					if strings.HasPrefix(name, "X-Amz-Checksum-") || strings.HasPrefix(name, "X-Amz-Sdk-Checksum") {
						t.Errorf("header %s was not asked for", name)
					}
				}
				if auth := got.Header.Get("Authorization"); !strings.Contains(auth, "content-md5") {
					t.Errorf("Content-MD5 is not signed: %s", auth)
				}
				if ua := got.Header.Get("User-Agent"); !strings.Contains(ua, "s3up/1.2") {
					t.Errorf("User-Agent: %s", ua)
				}
			})
		}
	}
}

func TestOtherBodiesAreSigned(t *testing.T) {
	var hash string
	srv := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
		drain(r)
		hash = r.Header.Get("X-Amz-Content-Sha256")
		ok(w, r)
	})
	s, _ := open(t, srv.URL)
	if err := complete(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if len(hash) != 64 {
		t.Errorf("x-amz-content-sha256 of the list of parts: %q", hash)
	}
}

func TestBodySizes(t *testing.T) {
	for _, https := range []bool{false, true} {
		var body []byte
		srv := serve(t, https, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
			body, _ = io.ReadAll(r.Body)
			ok(w, r)
		})
		s, _ := open(t, srv.URL)
		for _, size := range []int{0, 1, record, record + 1, writeBuffer, block - 1, block, block + 1, block + writeBuffer, 5*block + 7} {
			data := pattern(size)
			for _, r := range []io.Reader{bytes.NewReader(data), struct{ io.ReadSeeker }{bytes.NewReader(data)}} {
				if err := uploadPart(t.Context(), s, r); err != nil {
					t.Fatalf("%d bytes: %v", size, err)
				}
				if !bytes.Equal(body, data) {
					t.Errorf("https %v: %d bytes arrived as %d others", https, size, len(body))
				}
			}
		}
	}
}

// seekable makes a reader that fails look like a file.
type seekable struct {
	io.Reader
	size int64
}

func (s seekable) Seek(offset int64, whence int) (int64, error) {
	if whence == io.SeekEnd {
		return s.size, nil
	}
	return 0, nil
}

func TestSourceThatFails(t *testing.T) {
	broken := errors.New("bad sector")
	for _, https := range []bool{false, true} {
		srv := serve(t, https, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
			drain(r)
			ok(w, r)
		})
		s, log := open(t, srv.URL)
		for want, r := range map[error]io.Reader{
			broken:              io.MultiReader(bytes.NewReader(pattern(block*2)), iotest.ErrReader(broken)),
			io.ErrUnexpectedEOF: bytes.NewReader(pattern(block * 2)),
		} {
			log.reset()
			err := uploadPart(t.Context(), s, seekable{r, block * 3})
			var body *BodyError
			if !errors.As(err, &body) || !errors.Is(err, want) || IsTemporary(err) {
				t.Errorf("got %v, want a BodyError of %v", err, want)
			}
			if n := len(log.all()); n != 1 {
				t.Errorf("%v: %d attempts", want, n)
			}
		}
	}
}

// The transport closes the body of a request that fails while it is still being
// read: the connection is to blame, not the source.
func TestClosedBodyIsNotBroken(t *testing.T) {
	b := &body{ReadCloser: io.NopCloser(strings.NewReader("")), size: 1}
	b.Close()
	if _, err := b.Read(make([]byte, 1)); err != io.EOF || b.broken.Load() != nil {
		t.Errorf("read: %v, broken: %v", err, b.broken.Load())
	}
}
