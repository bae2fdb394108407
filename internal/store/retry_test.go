package store

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

func TestWhatIsTriedAgain(t *testing.T) {
	part := func(s *Store) error { return uploadPart(t.Context(), s, bytes.NewReader(pattern(100))) }
	finish := func(s *Store) error { return complete(t.Context(), s) }
	list := func(s *Store) error { return listParts(t.Context(), s) }
	look := func(s *Store) error { return head(t.Context(), s) }
	for _, tt := range []struct {
		call   func(*Store) error
		status int
		code   string
		again  bool
		temp   bool
	}{
		{part, 500, "InternalError", true, true},
		{part, 500, "", true, true},
		{part, 502, "", true, true},
		{part, 503, "SlowDown", true, true},
		{part, 503, "", true, true},
		{part, 504, "", true, true},
		{part, 520, "", true, true},
		{part, 522, "", true, true},
		{part, 524, "", true, true},
		{part, 499, "", true, true},
		{part, 429, "", true, true},
		{part, 408, "", true, true},
		{part, 409, "OperationAborted", true, true},
		{part, 400, "IncompleteBody", true, true},
		{part, 400, "RequestTimeout", true, true},
		{part, 400, "Throttling", true, true},
		{part, 400, "ExpiredToken", false, false}, // these keys cannot be renewed
		{part, 400, "BadDigest", false, false},
		{part, 400, "XAmzContentSHA256Mismatch", false, false},
		{part, 400, "InvalidRequest", false, false},
		{part, 403, "AccessDenied", false, false},
		{part, 403, "SignatureDoesNotMatch", false, false},
		{part, 404, "NoSuchUpload", false, false},
		{part, 409, "ConditionalRequestConflict", false, false},
		{part, 412, "PreconditionFailed", false, false},
		{part, 501, "NotImplemented", false, false},
		{part, 507, "XMinioStorageFull", false, false},
		{part, 301, "PermanentRedirect", false, false},
		{look, 404, "", false, false},
		{look, 403, "", false, false},
		{look, 503, "", true, true},
		{finish, 200, "InternalError", true, true},
		{finish, 200, "SlowDown", true, true},
		{finish, 200, "NoSuchUpload", false, false},
		{finish, 200, "InvalidPart", false, false},
		{finish, 400, "MalformedXML", true, false}, // a bit of it was lost
		{finish, 400, "XAmzContentSHA256Mismatch", true, false},
		{finish, 400, "InvalidPart", false, false},
		{finish, 400, "BadDigest", false, false},
		{list, 400, "MalformedXML", false, false},
		{list, 500, "InternalError", true, true},
	} {
		t.Run(fmt.Sprint(tt.status, tt.code), func(t *testing.T) {
			var n atomic.Int32
			srv := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
				drain(r)
				if n.Add(1) == 1 {
					refuse(w, tt.status, tt.code)
					return
				}
				ok(w, r)
			})
			s, log := open(t, srv.URL)
			err := tt.call(s)
			a := log.all()
			if again := len(a) == 2; again != tt.again || (err == nil) != tt.again {
				t.Fatalf("%d attempts, %v", len(a), err)
			}
			if got := IsTemporary(a[0].Err); got != tt.temp {
				t.Errorf("IsTemporary(%v) = %v", a[0].Err, got)
			}
			if tt.status != 200 && a[0].Status != tt.status {
				t.Errorf("status %d, want %d", a[0].Status, tt.status)
			}
			if tt.code != "" && (a[0].Code != tt.code || Code(a[0].Err) != tt.code) {
				t.Errorf("code %q, want %q", a[0].Code, tt.code)
			}
			if a[0].RequestID != "REQ1" || RequestID(a[0].Err) != "REQ1" {
				t.Errorf("request id %q", a[0].RequestID)
			}
		})
	}
}

// hijack takes the connection over.
func hijack(w http.ResponseWriter) (net.Conn, io.Writer) {
	c, rw, err := w.(http.Hijacker).Hijack()
	if err != nil {
		panic(err)
	}
	return c, rw.Writer
}

func TestCutConnectionsAreTriedAgain(t *testing.T) {
	list := func(s *Store) error { return listParts(t.Context(), s) }
	finish := func(s *Store) error { return complete(t.Context(), s) }
	part := func(s *Store) error { return uploadPart(t.Context(), s, bytes.NewReader(pattern(1<<20))) }
	raw := func(answer string) func(net.Conn) {
		return func(c net.Conn) { io.WriteString(c, answer) }
	}
	reset := func(c net.Conn) { c.(*net.TCPConn).SetLinger(0) }
	for name, tt := range map[string]struct {
		call func(*Store) error
		do   func(net.Conn)
	}{
		"closed without an answer": {part, func(net.Conn) {}},
		"reset":                    {part, reset},
		"cut in the head":          {part, raw("HTTP/1.1 200 OK\r\nETag: \"e")},
		"cut by length":            {list, raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n<ListPartsResult><Upl")},
		"cut by chunk":             {finish, raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n20\r\n<CompleteMul")},
		"cut between chunks":       {finish, raw("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n<Complet\r\n")},
		"cut by close":             {list, raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<ListPartsResult><Upl")},
		"cut refusal":              {list, raw("HTTP/1.1 400 Bad Request\r\nContent-Length: 100\r\n\r\n<Error><Code>Req")},
		"a portal's page":          {list, raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<!DOCTYPE html><html><body><br>Log in</body></html>")},
		"a page that is XML":       {list, raw("HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n<html><body>Log in</body></html>")},
		"a list that is empty":     {list, raw("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")},
	} {
		t.Run(name, func(t *testing.T) {
			var n atomic.Int32
			srv := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
				drain(r)
				if n.Add(1) == 1 {
					c, _ := hijack(w)
					tt.do(c)
					c.Close()
					return
				}
				ok(w, r)
			})
			s, log := open(t, srv.URL)
			if err := tt.call(s); err != nil {
				t.Error(err)
			}
			a := log.all()
			if len(a) != 2 {
				t.Fatalf("%d attempts, want 2", len(a))
			}
			if !IsTemporary(a[0].Err) {
				t.Errorf("not temporary: %v", a[0].Err)
			}
		})
	}
}

// An answer that names a key which XML cannot hold is asked for again a few times
// only: it may have been cut, but is most often the same.
func TestKeysThatXMLCannotHold(t *testing.T) {
	for key, tries := range map[string]int{"a\x01b": 3, "\uFFFF": 3, "a\tb\u0085": 5} {
		var n atomic.Int32
		srv := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
			drain(r)
			if n.Add(1) == 5 {
				ok(w, r)
				return
			}
			io.WriteString(w, "<ListPartsResult><Key>a\x01b</Key></ListPartsResult>")
		})
		s, _ := open(t, srv.URL)
		_, err := s.Client.ListParts(t.Context(), &s3.ListPartsInput{Bucket: aws.String("bucket"), Key: &key, UploadId: aws.String("u")})
		if (err == nil) != (tries == 5) || n.Load() != int32(tries) {
			t.Errorf("%q: %d attempts, want %d: %v", key, n.Load(), tries, err)
		}
	}
}

// A list that arrives otherwise than it was sent is sent again a few times only: the
// store may mean something else.
func TestGarbledLists(t *testing.T) {
	var n atomic.Int32
	srv := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
		drain(r)
		n.Add(1)
		refuse(w, 400, "MalformedXML")
	})
	s, _ := open(t, srv.URL)
	if err := complete(t.Context(), s); Code(err) != "MalformedXML" || n.Load() != 3 {
		t.Errorf("%d attempts, want 3: %v", n.Load(), err)
	}
}

func TestNoSuchHostMayBeALostNetwork(t *testing.T) {
	err := &smithyhttp.RequestSendError{Err: &net.OpError{Op: "dial", Err: &net.DNSError{Err: "no such host", IsNotFound: true}}}
	if !retryable(err) || !IsTemporary(err) {
		t.Error("not tried again")
	}
}

func TestCertificates(t *testing.T) {
	trusted := serve(t, true, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) { ok(w, r) })
	t.Setenv("AWS_CA_BUNDLE", "") // no longer
	plain := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) { ok(w, r) })
	for name, url := range map[string]string{
		"unknown issuer":     trusted.URL,
		"no TLS on the port": strings.Replace(plain.URL, "http:", "https:", 1),
	} {
		t.Run(name, func(t *testing.T) {
			s, log := open(t, url)
			err := head(t.Context(), s)
			if err == nil || IsTemporary(err) || len(log.all()) != 1 {
				t.Errorf("%d attempts, temporary %v: %v", len(log.all()), IsTemporary(err), err)
			}
		})
	}
}

func TestTLSVersion(t *testing.T) {
	srv := serve(t, true, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) { ok(w, r) })
	srv.TLS.MaxVersion = tls.VersionTLS11
	s, _ := open(t, srv.URL, func(c *Config) { c.FirstAnswer = 50 * time.Millisecond })
	if err := head(t.Context(), s); err == nil {
		t.Error("TLS 1.1 was spoken")
	}
}

func TestOutageEnds(t *testing.T) {
	addr := closedPort(t)
	var n atomic.Int32
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		drain(r)
		n.Add(1)
		ok(w, r)
	}))
	defer srv.Close()
	s, log := open(t, "http://"+addr, func(c *Config) {
		c.Backoff = func(attempt int, _ error) time.Duration {
			if attempt == 5 {
				l, err := net.Listen("tcp", addr)
				if err != nil {
					t.Error(err)
				}
				srv.Listener.Close()
				srv.Listener = l
				srv.Start()
			}
			return 0
		}
	})
	if err := uploadPart(t.Context(), s, bytes.NewReader(pattern(1000))); err != nil {
		t.Fatal(err)
	}
	if a := log.all(); len(a) != 6 || n.Load() != 1 {
		t.Errorf("%d attempts, %d arrived", len(a), n.Load())
	}
}

func gaveUp(t *testing.T, err error, answered bool, after time.Duration, host string) *GaveUp {
	t.Helper()
	var g *GaveUp
	if !errors.As(err, &g) {
		t.Fatalf("got %v, want a GaveUp", err)
	}
	if g.Answered != answered || g.After != after || "http://"+g.Host != host || g.Last == nil || !IsTemporary(err) {
		t.Errorf("got %+v", g)
	}
	return g
}

func TestNobodyListens(t *testing.T) {
	const firstAnswer = 2 * time.Second
	url := "http://" + closedPort(t)
	s, log := open(t, url, func(c *Config) {
		c.FirstAnswer = firstAnswer
		c.Backoff = func(attempt int, _ error) time.Duration {
			if attempt < 3 {
				return 0
			}
			return time.Hour // must not be slept
		}
	})
	gaveUp(t, head(t.Context(), s), false, firstAnswer, url)
	if a := log.all(); len(a) != 4 || a[0].Status != 0 || a[3].Number != 4 {
		t.Errorf("attempts: %+v", a)
	}
	log.reset()
	gaveUp(t, head(t.Context(), s), false, firstAnswer, url)
	if a := log.all(); len(a) != 1 {
		t.Errorf("the next call made %d attempts", len(a))
	}
}

func TestNobodyAnswers(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0") // connects, and no more
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for _, scheme := range []string{"http", "https"} {
		s, log := open(t, scheme+"://"+l.Addr().String(), func(c *Config) { c.FirstAnswer = 200 * time.Millisecond })
		start := time.Now()
		err := complete(t.Context(), s)
		gaveUp(t, err, false, 200*time.Millisecond, "http://"+l.Addr().String())
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("%s: took %v", scheme, took)
		}
		if n := len(log.all()); n > 2 {
			t.Errorf("%s: %d attempts", scheme, n)
		}
	}
}

func TestStoreGoesAway(t *testing.T) {
	var n atomic.Int32
	srv := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
		if n.Add(1) == 1 {
			ok(w, r)
			return
		}
		refuse(w, 503, "SlowDown")
	})
	var throttled atomic.Int32
	s, log := open(t, srv.URL, func(c *Config) {
		c.RetryFor = 200 * time.Millisecond
		c.Backoff = func(int, error) time.Duration { return 10 * time.Millisecond }
		c.OnThrottle = func() { throttled.Add(1) }
	})
	if err := head(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	log.reset()
	err := complete(t.Context(), s)
	g := gaveUp(t, err, true, 200*time.Millisecond, srv.URL)
	if Code(err) != "SlowDown" || StatusCode(err) != 503 || Code(g.Last) != "SlowDown" {
		t.Errorf("the last error is lost: %v", err)
	}
	if a := len(log.all()); a < 2 || int(throttled.Load()) != a {
		t.Errorf("%d attempts, %d throttled", a, throttled.Load())
	}
}

// An attempt that takes longer than patience lasts is not lost for a connection
// that breaks, if it moved: a slow line is no outage.
func TestLongAttemptsAreNotTrouble(t *testing.T) {
	for _, tt := range []struct {
		read int64
		want int
	}{
		{1, 1 + slowAttempts},
		{0, 1},
	} {
		now := time.Now()
		p := newPatience(Config{FirstAnswer: time.Second, RetryFor: time.Minute}, func() time.Time { return now })
		p.answer()
		c := &call{calls: &calls{identity: new(identity), cfg: Config{Backoff: func(int, error) time.Duration { return 0 }}, patience: p}}
		again := 0
		for {
			c.begun, c.body = now, &body{}
			c.body.read.Store(tt.read)
			now = now.Add(time.Hour)
			if _, err := c.RetryDelay(again+1, io.ErrUnexpectedEOF); err != nil {
				if g, ok := err.(*GaveUp); !ok || !g.Answered || g.After != time.Minute {
					t.Errorf("got %v, want a GaveUp after a minute", err)
				}
				break
			}
			again++
		}
		if again != tt.want {
			t.Errorf("%d bytes moved: tried again %d times, want %d", tt.read, again, tt.want)
		}
	}
}

func TestAttemptsAreBounded(t *testing.T) {
	type key struct{}
	srv := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
		drain(r)
		refuse(w, 500, "InternalError")
	})
	s, log := open(t, srv.URL, func(c *Config) {
		c.Attempts = func(ctx context.Context) int { n, _ := ctx.Value(key{}).(int); return n }
	})
	if err := complete(context.WithValue(t.Context(), key{}, 2), s); Code(err) != "InternalError" {
		t.Errorf("got %v, want InternalError", err)
	}
	if n := len(log.all()); n != 2 {
		t.Errorf("%d attempts, want 2", n)
	}
}

func TestOtherCallsSuccessIsProgress(t *testing.T) {
	const retryFor = time.Second
	var refused atomic.Int32
	srv := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
		drain(r)
		if r.Method == http.MethodPut && refused.Add(1) <= 5 {
			refuse(w, 500, "InternalError")
			return
		}
		ok(w, r)
	})
	var s *Store
	s, _ = open(t, srv.URL, func(c *Config) {
		c.RetryFor = retryFor
		c.Backoff = func(int, error) time.Duration {
			if err := head(t.Context(), s); err != nil {
				t.Error(err)
			}
			return retryFor / 4
		}
	})
	if err := uploadPart(t.Context(), s, bytes.NewReader(pattern(9))); err != nil {
		t.Errorf("given up although other calls succeeded: %v", err)
	}
}

func TestPatience(t *testing.T) {
	base := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	now := base
	at := func(s int) time.Time { return base.Add(time.Duration(s) * time.Second) }
	p := newPatience(Config{}.withDefaults(), func() time.Time { return now })
	left := func() int {
		d, _, _ := p.left(base)
		return int(d / time.Second)
	}
	check := func(what string, got, want int) {
		t.Helper()
		if got != want {
			t.Errorf("%s: %d s left, want %d", what, got, want)
		}
	}
	p.begin()
	check("at first", left(), 15)
	now = at(10)
	p.begin()
	check("the first attempt counts", left(), 5)
	check("a dial", int(p.within(30*time.Second)/time.Second), 5)
	now = at(14)
	check("a late dial", int(p.within(30*time.Second)/time.Second), 3)
	check("an answer", int(p.firstWait(time.Minute)/time.Second), 15)
	now = at(16)
	check("never answered", left(), -1)
	p.answer()
	check("any answer", left(), 284)
	check("a dial afterwards", int(p.within(30*time.Second)/time.Second), 30)
	check("an answer afterwards", int(p.firstWait(time.Minute)/time.Second), 60)
	now = at(299)
	check("just before the end", left(), 1)
	now = at(250)
	p.advance()
	now = at(310)
	check("another call's success counts", left(), 240)
	d, _, _ := p.left(at(305))
	check("a call's own start counts", int(d/time.Second), 295)
	now = at(551)
	check("at last", left(), -1)
}

func TestCancelEndsTheWait(t *testing.T) {
	srv := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) { refuse(w, 503, "") })
	ctx, cancel := context.WithCancel(t.Context())
	s, log := open(t, srv.URL, func(c *Config) {
		c.Backoff = func(int, error) time.Duration {
			cancel()
			return time.Hour
		}
	})
	err := head(ctx, s)
	if !errors.Is(err, context.Canceled) || IsTemporary(err) || len(log.all()) != 1 {
		t.Errorf("%d attempts: %v", len(log.all()), err)
	}
}

func TestCancelEndsTheAttempt(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	srv := serve(t, false, func(w http.ResponseWriter, r *http.Request, end <-chan struct{}) {
		cancel()
		<-end
	})
	s, log := open(t, srv.URL)
	err := head(ctx, s)
	if !errors.Is(err, context.Canceled) || IsTemporary(err) || len(log.all()) != 1 {
		t.Errorf("%d attempts: %v", len(log.all()), err)
	}
}

func TestCanceledCallIsNotTriedAgain(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	c := &call{ctx: ctx}
	cut := &smithyhttp.RequestSendError{Err: io.ErrUnexpectedEOF}
	if !c.IsErrorRetryable(cut) {
		t.Error("not tried again")
	}
	if cancel(); c.IsErrorRetryable(cut) {
		t.Error("tried again after it was canceled")
	}
}

func TestRetryAfter(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for v, want := range map[string]time.Duration{
		"":                              0,
		"3":                             3 * time.Second,
		"-3":                            0,
		"9000":                          30 * time.Second,
		"Thu, 01 Jan 2026 00:00:07 GMT": 7 * time.Second,
		"Wed, 31 Dec 2025 00:00:00 GMT": 0,
		"soon":                          0,
	} {
		res := &http.Response{StatusCode: 503, Header: http.Header{"Retry-After": {v}}}
		err := fmt.Errorf("operation: %w", &smithyhttp.ResponseError{Response: &smithyhttp.Response{Response: res}, Err: &smithy.GenericAPIError{}})
		if got := retryAfter(err, now); got != want {
			t.Errorf("Retry-After: %s: %v, want %v", v, got, want)
		}
		p := newPatience(Config{}.withDefaults(), func() time.Time { return now })
		p.begin()
		p.answer()
		c := &call{calls: &calls{identity: new(identity), cfg: Config{Backoff: func(int, error) time.Duration { return 2 * time.Second }}, patience: p}, trouble: now}
		if got, err := c.RetryDelay(1, err); got != max(want, 2*time.Second) || err != nil {
			t.Errorf("Retry-After: %s: waits %v, %v", v, got, err)
		}
	}
}

func TestFullJitter(t *testing.T) {
	for attempt, bound := range map[int]time.Duration{1: 500 * time.Millisecond, 2: time.Second, 6: 16 * time.Second, 7: 30 * time.Second, 1000: 30 * time.Second} {
		var longest time.Duration
		for range 1000 {
			longest = max(longest, fullJitter(attempt, nil))
		}
		if longest >= bound || longest < bound*9/10 {
			t.Errorf("after attempt %d the longest of 1000 is %v, want just under %v", attempt, longest, bound)
		}
	}
}

func TestExpiredTokenIsRenewedOnce(t *testing.T) {
	withoutKeys(t)
	var issued atomic.Int32
	creds := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, `{"AccessKeyId":"AK","SecretAccessKey":"SK","Token":"T%d","Expiration":%q}`,
			issued.Add(1), time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	}))
	defer creds.Close()
	t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", creds.URL)
	for _, tt := range []struct{ valid, attempts int }{{2, 2}, {99, 2}} {
		issued.Store(0)
		srv := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
			drain(r)
			if r.Header.Get("X-Amz-Security-Token") != fmt.Sprint("T", tt.valid) {
				refuse(w, 400, "ExpiredToken")
				return
			}
			ok(w, r)
		})
		s, log := open(t, srv.URL)
		err := complete(t.Context(), s)
		if (err == nil) != (tt.valid == 2) || len(log.all()) != tt.attempts || int(issued.Load()) != 2 {
			t.Errorf("valid %d: %d attempts, %d tokens: %v", tt.valid, len(log.all()), issued.Load(), err)
		}
		if err != nil && (Code(err) != "ExpiredToken" || IsTemporary(err)) {
			t.Errorf("got %v", err)
		}
	}
}

// Many calls find their token expired at once; the first has it renewed.
func TestExpiredTokenIsRenewedForAll(t *testing.T) {
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	got := 0
	cache := aws.NewCredentialsCache(aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		got++
		return aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b", CanExpire: true, Expires: time.Now().Add(time.Hour)}, nil
	}))
	c := &calls{creds: newRenewed(cache, Config{StallTimeout: time.Minute}, time.Now), patience: newPatience(Config{}, func() time.Time { return now })}
	for range 3 {
		if !c.renew(t.Context(), now.Add(-time.Second)) {
			t.Error("not renewed")
		}
		if _, err := cache.Retrieve(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if got != 2 {
		t.Errorf("retrieved %d times, want 2", got)
	}
}

func TestAttemptsSayWhatTheyWereAbout(t *testing.T) {
	srv := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
		drain(r)
		w.Header().Set("X-Amz-Request-Id", "REQ2")
		ok(w, r)
	})
	s, log := open(t, srv.URL)
	if err := uploadPart(t.Context(), s, bytes.NewReader(pattern(500))); err != nil {
		t.Fatal(err)
	}
	got := log.all()[0]
	if got.Duration <= 0 {
		t.Error("no duration")
	}
	got.Duration = 0
	if want := (Attempt{Op: "UploadPart", Bucket: "bucket", Key: "a/key", Part: 7, Number: 1, Status: 200, RequestID: "REQ2", Sent: 500}); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

func TestRegionOfTheBucket(t *testing.T) {
	for name, tt := range map[string]struct {
		status int
		header string
		body   string
		want   string
	}{
		"header":         {301, "eu-west-1", "<Error><Code>PermanentRedirect</Code></Error>", "eu-west-1"},
		"header of 400":  {400, "eu-west-1", "", "eu-west-1"},
		"header of 403":  {403, "eu-west-1", "<Error><Code>AccessDenied</Code></Error>", "eu-west-1"},
		"body":           {400, "", "<Error><Code>AuthorizationHeaderMalformed</Code><Region>eu-west-2</Region></Error>", "eu-west-2"},
		"neither":        {400, "", "<Error><Code>InvalidRequest</Code></Error>", ""},
		"not XML":        {400, "", "nonsense", ""},
		"another answer": {404, "eu-west-1", "<Error><Code>NoSuchUpload</Code></Error>", ""},
	} {
		t.Run(name, func(t *testing.T) {
			srv := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
				if tt.header != "" {
					w.Header().Set("X-Amz-Bucket-Region", tt.header)
				}
				w.WriteHeader(tt.status)
				io.WriteString(w, tt.body)
			})
			s, _ := open(t, srv.URL)
			err := listParts(t.Context(), s)
			if got := BucketRegion(err); got != tt.want {
				t.Errorf("got %q, want %q: %v", got, tt.want, err)
			}
			if code := Code(err); strings.Contains(tt.body, "<Code>") && !strings.Contains(tt.body, code) {
				t.Errorf("code %q of %s", code, tt.body)
			}
		})
	}
}
