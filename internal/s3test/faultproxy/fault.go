package faultproxy

import (
	"bytes"
	"cmp"
	"fmt"
	"hash/fnv"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strconv"
	"time"

	"s3up/internal/s3test"
)

// A draw is what chance has for a request.
type draw struct {
	do            s3test.Action
	before, after time.Duration // it is held up
}

// draw decides by the seed, the name of the operation and its number.
func (p *Proxy) draw(t s3test.Target) draw {
	names := t.Names()
	name := names[len(names)-1]
	p.mu.Lock()
	p.drawn[name]++
	n, calm := p.drawn[name], p.calm
	p.mu.Unlock()
	var d draw
	if calm {
		return d
	}
	h := fnv.New64a()
	fmt.Fprintf(h, "%s\n%d", name, n)
	rng := rand.New(rand.NewPCG(p.o.Seed, h.Sum64()))
	if rng.Float64() < p.o.Rate {
		d.do = p.o.Actions[rng.IntN(len(p.o.Actions))]
	}
	if p.o.Pause > 0 && rng.IntN(2) == 0 {
		d.before = time.Duration(rng.Int64N(int64(p.o.Pause)))
		if rng.IntN(2) == 0 {
			d.before, d.after = 0, d.before
		}
	}
	return d
}

// serve takes the request through all that waits for it.
func (x *exchange) serve() {
	d := x.p.draw(x.rec.Target)
	f := x.p.faults.Take(x.rec.Target)
	if f == nil {
		f = &s3test.Fault{Do: d.do}
	}
	if f.Do != s3test.None {
		x.p.mu.Lock()
		x.rec.Fault = f.Do
		x.p.hits[f.Do.String()]++
		x.p.mu.Unlock()
	}
	if f.Hook != nil {
		f.Hook()
	}
	if f.Hold != nil && !x.wait(f.Hold, nil) || !x.pause(d.before) {
		x.hangUp()
		return
	}
	if x.before(f) {
		return
	}
	a, err := x.forward()
	if err != nil || !x.pause(d.after) {
		x.hangUp()
		return
	}
	x.after(f, a)
}

// before does what a fault does instead of the operation. It says whether the
// request is done with.
func (x *exchange) before(f *s3test.Fault) bool {
	switch f.Do {
	case s3test.Status:
		x.refuse(f, http.StatusInternalServerError, "InternalError")
	case s3test.Refuse:
		x.refuse(f, http.StatusForbidden, "AccessDenied")
	case s3test.SlowDown:
		x.refuse(f, http.StatusServiceUnavailable, "SlowDown")
	case s3test.LoseUnexecuted:
		x.hangUp()
	case s3test.Reset:
		s3test.ResetConn(x.hijack())
	case s3test.CutBody:
		io.CopyN(io.Discard, x.body, x.r.ContentLength/2)
		x.hangUp()
	case s3test.EmptyNoop:
		x.drain()
		x.send(&answer{status: http.StatusOK})
	case s3test.Error200:
		x.drain()
		x.send(error200(f))
	case s3test.HTML200:
		x.drain()
		x.send(&answer{http.StatusOK, http.Header{"Content-Type": {"text/html"}},
			[]byte("<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>Please sign in to use this network.</body></html>\n")})
	case s3test.Stall:
		x.drain()
		x.silence()
		x.hangUp()
	case s3test.StallBody:
		io.CopyN(io.Discard, x.body, x.r.ContentLength/2)
		x.p.count(&x.p.silent, 1) // nobody is told that the client of half a body is gone
		x.silence()
		x.p.count(&x.p.silent, -1)
		x.hangUp()
	case s3test.Corrupt:
		x.body = &corrupting{r: x.body, at: x.r.ContentLength / 2}
		return false
	default:
		return false
	}
	return true
}

// after does what a fault does to the answer.
func (x *exchange) after(f *s3test.Fault, a *answer) {
	switch f.Do {
	case s3test.Lose:
		x.hangUp()
	case s3test.Cut:
		x.sendHalf(a, true, false)
	case s3test.CutClose:
		x.sendHalf(a, false, false)
	case s3test.StallAnswer:
		x.sendHalf(a, true, true)
	case s3test.Empty200:
		x.send(&answer{status: http.StatusOK})
	case s3test.Error200Done:
		x.send(error200(f))
	default:
		x.note(func(r *Record) { r.Delivered = x.r.Context().Err() == nil })
		x.send(a)
	}
}

// corrupting flips one bit of a body.
type corrupting struct {
	r      io.Reader
	at, on int64
}

func (c *corrupting) Read(to []byte) (int, error) {
	n, err := c.r.Read(to)
	if c.at >= c.on && c.at < c.on+int64(n) {
		to[c.at-c.on] ^= 1
	}
	c.on += int64(n)
	return n, err
}

// refuse answers with an error, in the store's stead.
func (x *exchange) refuse(f *s3test.Fault, status int, code string) {
	x.drain()
	x.send(&answer{cmp.Or(f.Status, status), http.Header{"Content-Type": {"application/xml"}}, errorXML(f, code)})
}

// error200 is an error that looks like a success until its body is read.
func error200(f *s3test.Fault) *answer {
	return &answer{http.StatusOK, http.Header{"Content-Type": {"application/xml"}}, errorXML(f, "InternalError")}
}

func errorXML(f *s3test.Fault, code string) []byte {
	return fmt.Appendf(nil, "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>%s</Code><Message>%s</Message><RequestId>faultproxy</RequestId></Error>",
		cmp.Or(f.Code, code), cmp.Or(f.Message, "This answer is a proxy's."))
}

// drain takes the rest of the body, so that the client gets to see the answer.
func (x *exchange) drain() { io.Copy(io.Discard, x.body) }

// pause holds the request up. It is false if the proxy closes meanwhile.
func (x *exchange) pause(d time.Duration) bool {
	if d == 0 {
		return true
	}
	return x.wait(nil, time.After(d))
}

// wait is true if one of the two comes before the proxy closes.
func (x *exchange) wait(until <-chan struct{}, timer <-chan time.Time) bool {
	select {
	case <-until:
	case <-timer:
	case <-x.p.done:
		return false
	}
	return true
}

// limit ends a stall.
func (x *exchange) limit() <-chan time.Time {
	if x.p.o.Stall == nil {
		return nil
	}
	if d := x.p.o.Stall(x.rec.Op); d > 0 {
		return time.After(d)
	}
	return nil
}

// silence lasts until the client leaves, or Options.Stall is over.
func (x *exchange) silence() {
	select {
	case <-x.r.Context().Done():
	case <-x.limit():
	case <-x.p.done:
	}
}

// send writes an answer.
func (x *exchange) send(a *answer) {
	h := x.w.Header()
	for name, values := range a.header {
		h[name] = values
	}
	if x.r.Method != http.MethodHead && a.status != http.StatusNoContent && a.status != http.StatusNotModified {
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	x.w.WriteHeader(a.status)
	x.w.Write(a.body)
}

func (x *exchange) hijack() net.Conn {
	conn, _, err := http.NewResponseController(x.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return conn
}

// hangUp closes the connection without an answer.
func (x *exchange) hangUp() { x.hijack().Close() }

// sendHalf sends the answer up to the middle of its body, or of its headers if
// there is no body; then it closes the connection, or is silent before.
func (x *exchange) sendHalf(a *answer, lengthKnown, stall bool) {
	h := a.header.Clone()
	if lengthKnown && x.r.Method != http.MethodHead {
		h.Set("Content-Length", strconv.Itoa(len(a.body)))
	}
	if !lengthKnown {
		h.Del("Content-Length")
		h.Set("Connection", "close")
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", a.status, http.StatusText(a.status))
	h.Write(&b)
	b.WriteString("\r\n")
	half := b.Len() / 2
	if len(a.body) > 0 {
		half = b.Len() + len(a.body)/2
	}
	b.Write(a.body)
	conn := x.hijack()
	defer conn.Close()
	conn.Write(b.Bytes()[:half])
	if !stall {
		return
	}
	left := make(chan struct{})
	go func() {
		io.Copy(io.Discard, conn)
		close(left)
	}()
	select {
	case <-left:
		return
	case <-x.limit():
	case <-x.p.done:
	}
	conn.Close()
	<-left
}
