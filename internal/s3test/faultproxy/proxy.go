// Package faultproxy is an HTTP proxy that breaks what passes through it, for
// tests of the real program against real stores:
//
//	p, err := faultproxy.Start(faultproxy.Options{Target: endpoint, Seed: 7, Rate: 0.1})
//	p.Fault(s3test.Fault{Op: "UploadPart 3", Do: s3test.Lose})
//	p.When(faultproxy.After{Bytes: 6 << 20}, kill)
//
// The way of a request:
//
//	client ─▶ counted ─▶ When, fault, pause ─▶ store ─▶ When, fault, pause ─▶ client
//	          proxy.go   not executed:                  executed: the answer
//	                     fault.go                       is lost, cut, empty…
//
// The signature of a request covers its Host, path, query and headers: all of
// them go on as they came. A request whose client is gone is answered to nobody,
// but the store has its say: Idle tells when it has had it.
//
// Faults have the names and the meaning that they have in s3test. Those that
// only a store itself can commit (corrupt-quiet, wrong-etag, wrong-object) are
// not to be had here.
//
// A random fault or pause is drawn by the seed, the operation and how many of
// that name came before, so that the order in which parts happen to be sent does
// not change what becomes of each.
package faultproxy

import (
	"context"
	"fmt"
	"io"
	"log"
	"maps"
	"net"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"time"

	"s3up/internal/s3test"
)

// Options are what a proxy is made of. The zero value of all but Target breaks
// nothing by itself.
type Options struct {
	Target string // the store's endpoint, http://HOST:PORT

	Seed    uint64          // of all that is random
	Rate    float64         // the share of requests that a random fault hits
	Actions []s3test.Action // those that it may be; default Harmful
	Pause   time.Duration   // half of the requests are held up for as long as this, on either way

	// Stall bounds how long a stalled request of an operation is silent; then the
	// connection is closed. Default, and 0: as long as the client stays.
	Stall func(op string) time.Duration
}

// Harmful are the actions that are drawn at random. Each is one after which a
// client can still get what it wants; but a 200 that says nothing is not drawn
// for a listing or a deletion, where it looks like the truth.
var Harmful = []s3test.Action{s3test.Status, s3test.SlowDown, s3test.Lose, s3test.LoseUnexecuted, s3test.Cut, s3test.CutClose,
	s3test.CutBody, s3test.Empty200, s3test.EmptyNoop, s3test.Error200, s3test.Error200Done, s3test.HTML200,
	s3test.Stall, s3test.StallBody, s3test.StallAnswer, s3test.Corrupt, s3test.Reset}

// A Proxy is a running proxy. All its methods may be called at once, and while
// requests run.
type Proxy struct {
	o      Options
	host   string // of the target
	addr   string // of the proxy
	client *http.Transport
	done   chan struct{}  // closed by Close
	wg     sync.WaitGroup // of all goroutines
	faults s3test.Faults

	mu      sync.Mutex
	idle    sync.Cond // running or silent changed
	running int
	silent  int // of running: the store will never hear of them
	calm    bool
	closed  bool
	server  *http.Server // nil while it is down, and once it is closed
	ln      net.Listener // of server
	drawn   map[string]int
	whens   []*when
	answers int
	records []*Record
	bytes   int64
	hits    map[string]int
	failure error
}

// A Record is what the proxy knows of one request.
type Record struct {
	s3test.Target
	Forwarded time.Time // when it went on to the store; zero: never
	Answered  time.Time // when the store had answered; zero: never
	Status    int       // of the store's answer
	ETag      string    // in the headers of that, without quotes
	VersionID string
	Delivered bool          // the answer went to the client as it was, and the client was there
	Fault     s3test.Action // what hit the request, or None
}

// OK says whether the store did what was asked for, as far as the status tells.
func (r *Record) OK() bool { return r.Status >= 200 && r.Status < 300 }

// After is a moment, counted from the call of When on: the request, answer or
// byte with this number. The fields that are 0 do not count.
type After struct {
	Requests int   // that came, before anything is done with the last of them
	Answers  int   // that the store gave, before the client has the last of them
	Bytes    int64 // of bodies
}

// when is something that is to be done once.
type when struct {
	at After // in absolute numbers
	do func()
}

// Start starts a proxy on a free port of 127.0.0.1. The caller closes it.
func Start(o Options) (*Proxy, error) {
	target, err := url.Parse(o.Target)
	if err != nil {
		return nil, err
	}
	if target.Scheme != "http" || target.Host == "" {
		return nil, fmt.Errorf("%q is not http://HOST:PORT", o.Target)
	}
	if o.Actions == nil {
		o.Actions = Harmful
	}
	p := &Proxy{o: o, host: target.Host, addr: "127.0.0.1:0", done: make(chan struct{}), drawn: map[string]int{}, hits: map[string]int{},
		client: &http.Transport{DisableCompression: true, MaxIdleConnsPerHost: 100, ExpectContinueTimeout: time.Second}}
	p.idle.L = &p.mu
	if err := p.up(); err != nil {
		return nil, err
	}
	return p, nil
}

// up begins to listen, on the port of the last time.
func (p *Proxy) up() error {
	ln, err := net.Listen("tcp", p.addr)
	if err != nil {
		return err
	}
	server := &http.Server{Handler: p, ErrorLog: log.New(io.Discard, "", 0)} // of clients that were killed
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return ln.Close()
	}
	p.addr, p.server, p.ln = ln.Addr().String(), server, ln
	p.wg.Go(func() { server.Serve(ln) })
	return nil
}

// portTries is how often a port is asked for again that somebody else may have
// taken as the local end of a connection, every portPause.
const (
	portTries = 500
	portPause = 20 * time.Millisecond
)

// Down cuts all connections and refuses new ones for a while. It returns at
// once.
func (p *Proxy) Down(d time.Duration) {
	p.mu.Lock()
	server, ln := p.server, p.ln
	if p.server = nil; server != nil {
		p.hits["down"]++
	}
	p.mu.Unlock()
	if server == nil {
		return
	}
	ln.Close() // the server may not know it yet
	server.Close()
	p.wg.Go(func() {
		for try := 1; ; try++ {
			select {
			case <-p.done:
				return
			case <-time.After(d):
			}
			err := p.up()
			if err == nil {
				return
			}
			if try == portTries {
				p.mu.Lock()
				p.failure = err
				p.mu.Unlock()
				return
			}
			d = portPause
		}
	})
}

// Close ends the proxy. It returns when nothing that it started runs any more;
// the error is that it could not come up again.
func (p *Proxy) Close() error {
	close(p.done)
	p.mu.Lock()
	server := p.server
	p.server, p.closed = nil, true
	p.mu.Unlock()
	if server != nil {
		server.Close()
	}
	p.wg.Wait()
	p.mu.Lock()
	for p.running > 0 {
		p.idle.Wait()
	}
	p.mu.Unlock()
	p.client.CloseIdleConnections()
	return p.failure
}

// URL is what a client takes for the store's endpoint.
func (p *Proxy) URL() string { return "http://" + p.addr }

// Fault arms a fault. It panics on an operation that does not exist, and on an
// action that a proxy cannot do.
func (p *Proxy) Fault(f s3test.Fault) {
	switch f.Do {
	case s3test.CorruptQuiet, s3test.WrongETag, s3test.WrongObject:
		panic("faultproxy: fault: " + f.Do.String() + " is for a store to do")
	}
	p.faults.Arm(f)
}

// Calm takes all faults away, those at random too, and whatever waits for its
// moment.
func (p *Proxy) Calm() {
	p.faults.Clear()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calm, p.whens = true, nil
}

// When has something done once, at a moment that is still to come. It runs on the
// goroutine of the request that brings the moment.
func (p *Proxy) When(at After, do func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if at.Requests > 0 {
		at.Requests += len(p.records)
	}
	if at.Answers > 0 {
		at.Answers += p.answers
	}
	if at.Bytes > 0 {
		at.Bytes += p.bytes
	}
	p.whens = append(p.whens, &when{at, do})
}

// Forget takes away what waits for its moment.
func (p *Proxy) Forget() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.whens = nil
}

// moment does what is due. count changes the numbers.
func (p *Proxy) moment(count func()) {
	p.mu.Lock()
	count()
	var due []*when
	p.whens = slices.DeleteFunc(p.whens, func(w *when) bool {
		is := w.at.Requests > 0 && len(p.records) >= w.at.Requests || w.at.Answers > 0 && p.answers >= w.at.Answers ||
			w.at.Bytes > 0 && p.bytes >= w.at.Bytes
		if is {
			due = append(due, w)
		}
		return is
	})
	p.mu.Unlock()
	for _, w := range due {
		w.do()
	}
}

// Idle waits until no request runs, those of clients that are gone included, but
// for those that stall in the middle of their body.
func (p *Proxy) Idle() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for p.running > p.silent {
		p.idle.Wait()
	}
}

// count changes a number that Idle waits for.
func (p *Proxy) count(n *int, by int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	*n += by
	p.idle.Broadcast()
}

// Requests are the records of all requests, in the order in which they came.
func (p *Proxy) Requests() []Record {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]Record, len(p.records))
	for i, r := range p.records {
		all[i] = *r
	}
	return all
}

// Bytes is how much of requests' bodies came.
func (p *Proxy) Bytes() int64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.bytes
}

// Hits are how many requests each fault hit, by its name; "down" are outages.
func (p *Proxy) Hits() map[string]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return maps.Clone(p.hits)
}

// ServeHTTP takes no path apart and cleans none: signatures cover what came.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	x := &exchange{p: p, w: w, r: r, rec: &Record{Target: s3test.TargetOf(r)}}
	p.count(&p.running, 1)
	defer p.count(&p.running, -1)
	p.moment(func() { p.records = append(p.records, x.rec) })
	x.body = &passing{x: x}
	x.serve()
}

// An exchange is one request on its way.
type exchange struct {
	p    *Proxy
	w    http.ResponseWriter
	r    *http.Request
	rec  *Record // guarded by p.mu
	body io.Reader
}

// note changes the record.
func (x *exchange) note(change func(*Record)) {
	x.p.mu.Lock()
	defer x.p.mu.Unlock()
	change(x.rec)
}

// passing counts a request's body as it is read.
type passing struct{ x *exchange }

func (b *passing) Read(to []byte) (int, error) {
	n, err := b.x.r.Body.Read(to)
	if n > 0 {
		b.x.p.moment(func() { b.x.p.bytes += int64(n) })
	}
	return n, err
}

// An answer is the store's, read to its end.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// forward asks the store.
func (x *exchange) forward() (*answer, error) {
	path, query, _ := strings.Cut(x.r.RequestURI, "?")
	out := &http.Request{Method: x.r.Method, Host: x.r.Host, Header: x.r.Header.Clone(), ContentLength: x.r.ContentLength,
		URL: &url.URL{Scheme: "http", Host: x.p.host, Opaque: path, RawQuery: query}}
	out.Header.Del("Connection")
	if x.r.ContentLength != 0 {
		out.Body = io.NopCloser(x.body)
	}
	x.note(func(r *Record) { r.Forwarded = time.Now() })
	// The client may be gone, but what it has sent is sent.
	res, err := x.p.client.RoundTrip(out.WithContext(context.WithoutCancel(x.r.Context())))
	if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	if err != nil {
		return nil, err
	}
	res.Header.Del("Connection")
	x.p.moment(func() {
		x.p.answers++
		x.rec.Answered, x.rec.Status = time.Now(), res.StatusCode
		x.rec.ETag, x.rec.VersionID = trim(res.Header.Get("ETag")), res.Header.Get("x-amz-version-id")
	})
	return &answer{res.StatusCode, res.Header, body}, nil
}

// trim takes the quotes off an ETag.
func trim(tag string) string {
	if n := len(tag); n >= 2 && tag[0] == '"' && tag[n-1] == '"' {
		return tag[1 : n-1]
	}
	return tag
}
