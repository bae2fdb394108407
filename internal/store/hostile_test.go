package store

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// An endless text, in large pieces.
func endless(w io.Writer, text string) {
	piece := []byte(strings.Repeat(text, (64<<10)/len(text)))
	for {
		if _, err := w.Write(piece); err != nil {
			return
		}
		if f, ok := w.(http.Flusher); ok {
			f.Flush()
		}
	}
}

// Answers that no store gives end the call at once, with an error that says what
// it is: they are not read to their end, and not asked for again.
func TestAbsurdAnswers(t *testing.T) {
	t.Parallel()
	const listing = `<ListPartsResult><UploadId>u</UploadId>`
	list := func(s *Store) error { return listParts(t.Context(), s) }
	for name, tt := range map[string]struct {
		answer func(http.ResponseWriter)
		call   func(*Store) error
		want   string
	}{
		"a listing without end": {func(w http.ResponseWriter) {
			io.WriteString(w, listing)
			endless(w, "<Part><PartNumber>1</PartNumber></Part>")
		}, list, "has more than 400000 elements and attributes"},
		"a name without end": {func(w http.ResponseWriter) {
			io.WriteString(w, listing+"<Bucket>")
			endless(w, "b")
		}, list, "is larger than 16 MiB"},
		"elements without end": {func(w http.ResponseWriter) {
			io.WriteString(w, listing)
			endless(w, "<a>")
		}, list, "has more than 400000 elements and attributes"},
		"attributes without end": {func(w http.ResponseWriter) {
			io.WriteString(w, listing+"<a ")
			endless(w, "b='' ")
		}, list, "has more than 400000 elements and attributes"},
		"an error without end": {func(w http.ResponseWriter) {
			w.WriteHeader(400)
			io.WriteString(w, "<Error><Code>InvalidArgument</Code><Message>")
			endless(w, "no ")
		}, list, "is larger than 16 MiB"},
		"a page of a proxy without end": {func(w http.ResponseWriter) {
			w.WriteHeader(503)
			endless(w, "busy ")
		}, list, "is larger than 16 MiB"},
		"an object of spaces": {func(w http.ResponseWriter) { endless(w, " ") },
			func(s *Store) error { return complete(t.Context(), s) }, "is larger than 16 MiB"},
		"headers": {func(w http.ResponseWriter) {
			for i := range 100 {
				w.Header().Set(fmt.Sprintf("X-Amz-Meta-%d", i), strings.Repeat("v", 16<<10))
			}
		}, func(s *Store) error { return head(t.Context(), s) }, "begins with more than 1 MiB of headers"},
	} {
		for _, https := range []bool{false, true} {
			if https && name != "headers" && name != "a name without end" {
				continue // the bytes are counted where both are the same
			}
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				var n atomic.Int32
				srv := serve(t, https, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
					n.Add(1)
					drain(r)
					tt.answer(w)
				})
				s, _ := open(t, srv.URL)
				err := tt.call(s)
				var absurd *AnswerError
				if !errors.As(err, &absurd) || absurd.What != tt.want || absurd.Host != srv.Listener.Addr().String() {
					t.Errorf("got %v, want an AnswerError: %s", err, tt.want)
				}
				if !IsTemporary(err) {
					t.Error("it is not temporary")
				}
				if n.Load() != 1 {
					t.Errorf("%d requests", n.Load())
				}
			})
		}
	}
}

// The largest page that a store may answer with is not absurd: 1,000 uploads of
// keys of 1,024 bytes, of which each is escaped.
func TestLargestListing(t *testing.T) {
	t.Parallel()
	srv := serve(t, false, func(w http.ResponseWriter, _ *http.Request, _ <-chan struct{}) {
		io.WriteString(w, "<ListMultipartUploadsResult><EncodingType>url</EncodingType><IsTruncated>true</IsTruncated>")
		for range 1000 {
			fmt.Fprintf(w, `<Upload><ChecksumAlgorithm>CRC32</ChecksumAlgorithm><ChecksumType>COMPOSITE</ChecksumType><Key>%s</Key>
				<Initiator><ID>%[2]s</ID><DisplayName>%[2]s</DisplayName></Initiator><Owner><ID>%[2]s</ID></Owner>
				<Initiated>2026-01-01T00:00:00.000Z</Initiated><StorageClass>STANDARD</StorageClass><UploadId>%[2]s</UploadId></Upload>`,
				strings.Repeat("%0A", 1024), strings.Repeat("i", 200))
		}
		io.WriteString(w, "</ListMultipartUploadsResult>")
	})
	s, _ := open(t, srv.URL)
	out, err := s.Client.ListMultipartUploads(t.Context(), &s3.ListMultipartUploadsInput{Bucket: aws.String("bucket")})
	if err != nil {
		t.Fatal(err)
	}
	if len(out.Uploads) != 1000 {
		t.Errorf("%d uploads", len(out.Uploads))
	}
}

// What comes byte by byte is not a stall, and ends all the same.
func TestDrippingAnswers(t *testing.T) {
	t.Parallel()
	drip := func(end <-chan struct{}, c io.Writer, text string) {
		tick := time.NewTicker(window / 8)
		defer tick.Stop()
		for i := 0; ; i++ {
			select {
			case <-tick.C:
				if _, err := c.Write([]byte{text[i%len(text)]}); err != nil {
					return
				}
			case <-end:
				return
			}
		}
	}
	for name, text := range map[string]string{
		"head": "HTTP/1.1 200 OK\r\nX-Drip: ",
		"body": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n14\r\n<ListPartsResult><a>\r\n",
		"size": "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n14;",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := serveRaw(t, func(c net.Conn, _ *http.Request, end <-chan struct{}) {
				io.WriteString(c, text)
				drip(end, c, "1\r\n1\r\n"[:map[string]int{"head": 1, "body": 6, "size": 1}[name]])
			})
			s, _ := open(t, url, shortWindows)
			err := listParts(t.Context(), s)
			var absurd *AnswerError
			if !errors.As(err, &absurd) || !strings.Contains(absurd.What, "has not ended after") {
				t.Errorf("got %v, want an AnswerError", err)
			}
		})
	}
}

// serveRaw runs a server that answers each request as answer likes, and then
// closes the connection.
func serveRaw(t *testing.T, answer func(net.Conn, *http.Request, <-chan struct{})) (url string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	end := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				r, err := http.ReadRequest(bufio.NewReader(c))
				if err == nil {
					answer(c, r, end)
				}
			}()
		}
	}()
	t.Cleanup(func() {
		close(end)
		l.Close()
		<-ended
	})
	return "http://" + l.Addr().String()
}

// A redirect is an error, and is not followed: neither in a circle nor, with what
// was signed and the body, to another host.
func TestRedirectsAreNotFollowed(t *testing.T) {
	t.Parallel()
	var elsewhere atomic.Int32
	other := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
		elsewhere.Add(1)
		ok(w, r)
	})
	for _, status := range []int{300, 301, 302, 303, 305, 307, 308} {
		for where, location := range map[string]func(r *http.Request) string{
			"itself":      func(r *http.Request) string { return r.URL.String() },
			"elsewhere":   func(r *http.Request) string { return other.URL + r.URL.String() },
			"nowhere":     func(*http.Request) string { return "" },
			"nonsense":    func(*http.Request) string { return "http://[::bad%zz/" },
			"a file":      func(*http.Request) string { return "file:///etc/passwd" },
			"a new place": func(r *http.Request) string { return r.URL.Path + "/x" },
		} {
			t.Run(fmt.Sprint(status, " to ", where), func(t *testing.T) {
				t.Parallel()
				var n atomic.Int32
				srv := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
					n.Add(1)
					drain(r)
					if l := location(r); l != "" {
						w.Header()["Location"] = []string{l}
					}
					w.WriteHeader(status)
				})
				s, _ := open(t, srv.URL)
				calls := map[string]func() error{
					"HeadObject":              func() error { return head(t.Context(), s) },
					"UploadPart":              func() error { return uploadPart(t.Context(), s, bytes.NewReader(pattern(100))) },
					"ListParts":               func() error { return listParts(t.Context(), s) },
					"CompleteMultipartUpload": func() error { return complete(t.Context(), s) },
					"CopyObject":              func() error { return copyObject(t.Context(), s) },
				}
				for op, call := range calls {
					n.Store(0)
					err := call()
					to, ok := Redirect(err)
					if err == nil || StatusCode(err) != status || !ok || IsTemporary(err) {
						t.Errorf("%s: got %v", op, err)
					}
					if want := map[string]string{"elsewhere": other.URL}[where]; to != want {
						t.Errorf("%s: redirected to %q, want %q", op, to, want)
					}
					if n.Load() != 1 {
						t.Errorf("%s: %d requests", op, n.Load())
					}
				}
			})
		}
	}
	t.Cleanup(func() {
		if n := elsewhere.Load(); n != 0 {
			t.Errorf("%d requests went to another host", n)
		}
	})
}

// What is no HTTP, or lies about its length, is an answer that got lost: it is
// tried again, and what comes next on that connection is not taken for an answer.
func TestBrokenHTTP(t *testing.T) {
	t.Parallel()
	const good = "HTTP/1.1 200 OK\r\nContent-Length: 57\r\nETag: \"e\"\r\n\r\n<ListPartsResult><UploadId>u</UploadId></ListPartsResult>"
	for name, raw := range map[string]string{
		"too long a length and cut": "HTTP/1.1 200 OK\r\nContent-Length: 5700\r\n\r\n<ListPartsResult><UploadId>u</UploadId>",
		"nothing":                   "",
		"no HTTP":                   "220 smtp.example.com ESMTP\r\n",
		"a status that is no":       "HTTP/1.1 abc OK\r\n\r\n",
		"a status of 9999":          "HTTP/1.1 9999 OK\r\n\r\n",
		"a cut head":                "HTTP/1.1 200 OK\r\nContent-Le",
		"too short a length":        strings.Replace(good, "57", "20", 1),
		"a length that is no":       strings.Replace(good, "57", "many", 1),
		"a negative length":         strings.Replace(good, "57", "-1", 1),
		"two lengths":               strings.Replace(good, "ETag", "Content-Length: 3\r\nETag", 1),
		"an unknown encoding":       strings.Replace(good, "ETag", "Transfer-Encoding: zip\r\nETag", 1),
		"no chunks":                 strings.Replace(good, "Content-Length: 57", "Transfer-Encoding: chunked", 1),
		"a flood of 1xx":            strings.Repeat("HTTP/1.1 102 Processing\r\nX: "+strings.Repeat("x", 1<<10)+"\r\n\r\n", 2000),
		"a header without a colon":  strings.Replace(good, "ETag:", "ETag", 1),
		"not the document":          "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n<a>&lol;<",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var n atomic.Int32
			url := serveRaw(t, func(c net.Conn, r *http.Request, _ <-chan struct{}) {
				drain(r)
				if n.Add(1) <= 2 {
					io.WriteString(c, raw)
				} else {
					io.WriteString(c, good)
				}
			})
			s, _ := open(t, url)
			err := listParts(t.Context(), s)
			switch name {
			case "a flood of 1xx":
				if err == nil || !IsTemporary(err) {
					t.Errorf("got %v", err)
				}
			default:
				if err != nil {
					t.Error(err)
				}
				if n.Load() != 3 {
					t.Errorf("%d requests, want 3", n.Load())
				}
			}
		})
	}
}

// A refusal that is told before the body was sent, with the connection closed
// behind it, either arrives or is a connection that broke and is tried again.
func TestAnswerBeforeTheBody(t *testing.T) {
	t.Parallel()
	var n atomic.Int32
	url := serveRaw(t, func(c net.Conn, r *http.Request, end <-chan struct{}) {
		if n.Add(1) == 1 {
			io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Length: 62\r\n\r\n<Error><Code>EntityTooLarge</Code><Message>m</Message></Error>")
			return
		}
		drain(r)
		io.WriteString(c, "HTTP/1.1 200 OK\r\nETag: \"e\"\r\nContent-Length: 0\r\n\r\n")
	})
	s, log := open(t, url)
	err := uploadPart(t.Context(), s, bytes.NewReader(pattern(8<<20)))
	if err != nil && Code(err) != "EntityTooLarge" {
		t.Errorf("got %v", err)
	}
	if a := log.all(); err == nil && len(a) < 2 || len(a) > 2 {
		t.Errorf("%d attempts", len(a))
	}
}
