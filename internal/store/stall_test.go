package store

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const window = 500 * time.Millisecond

func shortWindow(c *Config) { c.StallTimeout = window }

func shortWindows(c *Config) { c.StallTimeout, c.LongStallTimeout = window, window }

// stalls runs call against a server that is known already, and whose next request
// is given to stall; the one after it succeeds.
func stalls(t *testing.T, https bool, stall func(http.ResponseWriter, *http.Request, <-chan struct{}), call func(*Store) error, change ...func(*Config)) []Attempt {
	t.Helper()
	var armed atomic.Bool
	srv := serve(t, https, func(w http.ResponseWriter, r *http.Request, end <-chan struct{}) {
		if armed.CompareAndSwap(true, false) {
			stall(w, r, end)
			return
		}
		drain(r)
		ok(w, r)
	})
	s, log := open(t, srv.URL, append([]func(*Config){shortWindow}, change...)...)
	if err := head(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	log.reset()
	armed.Store(true)
	if err := call(s); err != nil {
		t.Fatal(err)
	}
	return log.all()
}

func TestStalls(t *testing.T) {
	t.Parallel()
	data := pattern(16 << 20) // more than two sockets hold
	silent := func(w http.ResponseWriter, r *http.Request, end <-chan struct{}) {
		drain(r)
		<-end
	}
	for name, tt := range map[string]struct {
		stall func(http.ResponseWriter, *http.Request, <-chan struct{})
		call  func(*Store) error
	}{
		"before the answer": {silent, func(s *Store) error { return complete(t.Context(), s) }},
		"after the body":    {silent, func(s *Store) error { return uploadPart(t.Context(), s, bytes.NewReader(data[:1<<20])) }},
		"in the body": {
			func(w http.ResponseWriter, r *http.Request, end <-chan struct{}) {
				io.CopyN(io.Discard, r.Body, 1<<20)
				<-end
			},
			func(s *Store) error { return uploadPart(t.Context(), s, bytes.NewReader(data)) },
		},
		"in the answer": {
			func(w http.ResponseWriter, r *http.Request, end <-chan struct{}) {
				io.WriteString(w, "<ListPartsResult><UploadId>")
				w.(http.Flusher).Flush()
				<-end
			},
			func(s *Store) error { return listParts(t.Context(), s) },
		},
	} {
		for _, https := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				a := stalls(t, https, tt.stall, tt.call, shortWindows)
				// On a busy machine, more than one may stall.
				if len(a) < 2 || a[len(a)-1].Err != nil {
					t.Fatalf("attempts %v, want one that stalls and one that does not", a)
				}
				var stall *StallError
				if !errors.As(a[0].Err, &stall) || stall.For != window {
					t.Errorf("the first ended with %v", a[0].Err)
				}
				if a[0].Duration < window/2 || a[0].Duration > 4*time.Second {
					t.Errorf("the first was given up after %v", a[0].Duration)
				}
			})
		}
	}
}

// paced moves a step after each part of a window, for longer than a window.
func paced(end <-chan struct{}, steps int, step func()) {
	tick := time.NewTicker(window / 4)
	defer tick.Stop()
	for range steps {
		select {
		case <-tick.C:
			step()
		case <-end:
			return
		}
	}
}

func TestSlowIsNotStalled(t *testing.T) {
	t.Parallel()
	data := pattern(4 << 20)
	const steps = 7
	for name, tt := range map[string]struct {
		slow func(http.ResponseWriter, *http.Request, <-chan struct{})
		call func(*Store) error
	}{
		"server reads slowly": {
			func(w http.ResponseWriter, r *http.Request, end <-chan struct{}) {
				paced(end, steps, func() { io.CopyN(io.Discard, r.Body, int64(len(data)/steps)) })
				drain(r)
				ok(w, r)
			},
			func(s *Store) error { return uploadPart(t.Context(), s, bytes.NewReader(data)) },
		},
		"answer trickles": {
			func(w http.ResponseWriter, r *http.Request, end <-chan struct{}) {
				io.WriteString(w, "<?xml version=\"1.0\"?>")
				paced(end, steps, func() {
					io.WriteString(w, "\n")
					w.(http.Flusher).Flush()
				})
				ok(w, r)
			},
			func(s *Store) error { return listParts(t.Context(), s) },
		},
		"source is slow": {
			func(w http.ResponseWriter, r *http.Request, end <-chan struct{}) {
				drain(r)
				ok(w, r)
			},
			func(s *Store) error {
				return uploadPart(t.Context(), s, &slowReader{Reader: bytes.NewReader(data), pause: window * 3 / 2})
			},
		},
		"what goes out is held back": {
			func(w http.ResponseWriter, r *http.Request, end <-chan struct{}) {
				drain(r)
				ok(w, r)
			},
			func(s *Store) error {
				throttle := newThrottle(Config{Bandwidth: func(time.Time) int64 { return 100 << 20 }})
				var once sync.Once
				throttle.sleep = func(context.Context, time.Duration) error {
					once.Do(func() { <-time.After(window * 3 / 2) })
					return nil
				}
				s.Client.Options().HTTPClient.(*transport).throttle = throttle
				return uploadPart(t.Context(), s, bytes.NewReader(data))
			},
		},
	} {
		for _, https := range []bool{false, true} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				if a := stalls(t, https, tt.slow, tt.call); len(a) != 1 {
					t.Errorf("%d attempts: %v", len(a), a[0].Err)
				}
			})
		}
	}
}

// slowReader pauses once, in its middle.
type slowReader struct {
	*bytes.Reader
	pause  time.Duration
	paused bool
}

func (r *slowReader) Read(p []byte) (int, error) {
	if !r.paused && int64(r.Len()) < r.Size()/2 {
		r.paused = true
		<-time.After(r.pause)
	}
	return r.Reader.Read(p)
}

// A kernel that has taken the whole body sends it on for much longer than a
// window: nothing is written or read meanwhile, but bytes move.
func TestSlowLineBehindTheKernel(t *testing.T) {
	t.Parallel()
	if runtime.GOOS != "linux" {
		t.Skip("the kernel's queue is looked at on Linux only")
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	dialed, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer, err := l.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer peer.Close()
	peer.(*net.TCPConn).SetReadBuffer(128 << 10)

	c := newConn(dialed, window, testBlocks())
	defer c.Close()
	x := &exchange{send: window, wait: window}
	c.take(x)
	size := 4 << 20
	if _, err := c.Write(pattern(size)); err != nil {
		t.Fatal(err)
	}
	c.sent(x, nil)

	end := make(chan struct{})
	served := make(chan error, 1)
	go func() {
		const steps = 12
		paced(end, steps, func() { io.CopyN(io.Discard, peer, int64(size/steps)) })
		_, err := peer.Write([]byte("done"))
		served <- err
	}()
	b := make([]byte, 4)
	_, err = io.ReadFull(c, b)
	close(end)
	if err != nil || string(b) != "done" {
		t.Errorf("read %q, %v", b, err)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
}

func TestLongWindow(t *testing.T) {
	t.Parallel()
	quiet := func(w http.ResponseWriter, r *http.Request, end <-chan struct{}) {
		drain(r)
		select {
		case <-time.After(2 * window):
			ok(w, r)
		case <-end:
		}
	}
	for name, tt := range map[string]struct {
		call func(*Store) error
		want int
	}{
		"complete": {func(s *Store) error { return complete(t.Context(), s) }, 1},
		"copy":     {func(s *Store) error { return copyObject(t.Context(), s) }, 1},
		"part":     {func(s *Store) error { return uploadPart(t.Context(), s, bytes.NewReader(pattern(9))) }, 2},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if a := stalls(t, false, quiet, tt.call); len(a) != tt.want {
				t.Errorf("%d attempts, want %d: %v", len(a), tt.want, a[0].Err)
			}
		})
	}
	t.Run("has an end", func(t *testing.T) {
		t.Parallel()
		a := stalls(t, false, quiet, func(s *Store) error { return complete(t.Context(), s) },
			shortWindows)
		if len(a) != 2 {
			t.Errorf("%d attempts, want 2", len(a))
		}
	})
}

func TestIdleConnectionIsReused(t *testing.T) {
	t.Parallel()
	for _, https := range []bool{false, true} {
		peers := make(chan string, 100)
		srv := serve(t, https, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
			drain(r)
			peers <- r.RemoteAddr
			ok(w, r)
		})
		s, log := open(t, srv.URL, shortWindow)
		for i := range 3 {
			if i > 0 {
				<-time.After(window * 3 / 2)
			}
			if err := uploadPart(t.Context(), s, bytes.NewReader(pattern(1<<20))); err != nil {
				t.Fatal(err)
			}
		}
		if a, b, c := <-peers, <-peers, <-peers; a != b || b != c || len(log.all()) != 3 {
			t.Errorf("https %v: came from %s, %s, %s in %d attempts", https, a, b, c, len(log.all()))
		}
	}
}

// What arrives is a sign of life for what is being sent.
func TestReadingKeepsAWriteAlive(t *testing.T) {
	t.Parallel()
	ours, peer := net.Pipe()
	c := newConn(ours, window, testBlocks())
	defer c.Close()
	c.take(&exchange{send: window, wait: window})
	go io.Copy(io.Discard, c)
	end := make(chan struct{})
	defer close(end)
	go func() {
		paced(end, 8, func() { peer.Write([]byte(" ")) })
		io.Copy(io.Discard, peer)
	}()
	if _, err := c.Write([]byte("request")); err != nil {
		t.Error(err)
	}
}

// The end of a gathered body is written when the request has been handed over:
// who waits for the answer learns of its stall.
func TestStallAtTheEndOfAGatheredBody(t *testing.T) {
	t.Parallel()
	ours, peer := net.Pipe()
	defer peer.Close()
	c := newConn(ours, window, testBlocks())
	defer c.Close()
	x := &exchange{send: window, wait: window, gather: true}
	c.take(x)
	if _, err := c.Write([]byte("end of body")); err != nil {
		t.Fatal(err)
	}
	c.sent(x, nil)
	var stall *StallError
	if _, err := c.Read(make([]byte, 1)); !errors.As(err, &stall) {
		t.Errorf("read: %v, want a StallError", err)
	}
}

// What was gathered of a request that failed is not worth waiting for.
func TestGatheredBodyThatFailedIsDropped(t *testing.T) {
	ours, peer := net.Pipe() // writes wait for the peer
	defer peer.Close()
	c := newConn(ours, time.Hour, testBlocks())
	defer c.Close()
	x := &exchange{send: time.Hour, wait: time.Hour, gather: true}
	c.take(x)
	if _, err := c.Write([]byte("half a body")); err != nil {
		t.Fatal(err)
	}
	c.sent(x, errors.New("bad sector"))
	go c.Write([]byte("next"))
	b := make([]byte, 4)
	if _, err := io.ReadFull(peer, b); err != nil || string(b) != "next" {
		t.Errorf("the peer got %q, %v", b, err)
	}
}
