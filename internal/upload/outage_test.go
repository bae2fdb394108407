package upload_test

import (
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"s3up/internal/s3test"
	"s3up/internal/store"
	"s3up/internal/upload"
)

// outageBefore is how many parts are stored when an outage begins, and outageCut
// how many are in flight then, which is as many as ever are.
const (
	outageBefore = 4 + 8
	outageCut    = 16
)

// An outage is a stand whose store goes away when 16 parts are in flight, and
// comes back after so many attempts that failed.
type outage struct {
	*stand
	begin func()      // takes the store away
	end   func() bool // brings it back; false if it is to be tried again
	after int32       // attempts; 0: never

	u       *upload.Uploader
	down    atomic.Bool
	failed  atomic.Int32
	arrived atomic.Int32
	cut     map[int]bool // parts that were in flight

	mu     sync.Mutex
	limits []bool // of requests in flight, as they are told: lowered or not
}

// An outageKind is a way in which a store can be gone.
type outageKind struct {
	name    string
	parts   int64 // of the file
	streams bool  // tried with a stream as well
	status  int   // what the store answers; 0: nothing reaches it
	code    string
	takes   bool // connections are made all the same
	// prepare says where the client finds the store; nil: where it is.
	prepare func(t *testing.T, o *outage) (endpoint string)
}

var outageKinds = []outageKind{
	{name: "refused", parts: 40, streams: true, prepare: func(t *testing.T, o *outage) string { return o.behind(newDoor(t, o.host())) }},
	{name: "reset", parts: 40, takes: true, prepare: func(t *testing.T, o *outage) string {
		d := newDoor(t, o.host())
		d.reset = true
		return o.behind(d)
	}},
	{name: "500", parts: 40, status: http.StatusInternalServerError},
	{name: "503 SlowDown", parts: 100, streams: true, status: http.StatusServiceUnavailable}, // the limit rises slowly
	{name: "520", parts: 40, status: 520, code: "UnknownError"},                              // a proxy's
	{name: "no such name", parts: 40, prepare: nameless(noSuchName)},
	{name: "no name server", parts: 40, prepare: nameless(nameFails)},
}

func (o *outage) host() string { return o.URL()[len("http://"):] }

// behind has the store vanish behind a door.
func (o *outage) behind(d *door) string {
	o.begin, o.end = d.close, d.open
	return "http://" + d.addr
}

// nameless has the store lose its name, and all connections.
func nameless(code uint32) func(*testing.T, *outage) string {
	return func(t *testing.T, o *outage) string {
		names, d := newNames(t), newDoor(t, o.host())
		o.begin = func() {
			names.Store(code)
			d.close() // who has its address still is not to come in
		}
		o.end = func() bool {
			if !d.open() {
				return false
			}
			names.Store(nameFound)
			return true
		}
		_, port, err := net.SplitHostPort(d.addr)
		if err != nil {
			t.Fatal(err)
		}
		return "http://store.test:" + port
	}
}

// newOutage makes a stand for an outage.
func newOutage(t *testing.T, kind outageKind, after int32, retryFor time.Duration) *outage {
	t.Helper()
	o := &outage{stand: newStand(t, s3test.Options{}), after: after, cut: make(map[int]bool)}
	f := s3test.Fault{Op: "UploadPart", After: outageBefore, Times: outageCut}
	endpoint, answered := o.URL(), make(chan struct{})
	if kind.status == 0 {
		endpoint = kind.prepare(t, o)
		f.Do, f.Hold = s3test.None, make(chan struct{})
	} else {
		f.Do, f.Status, f.Code, f.Hold = s3test.Status, kind.status, kind.code, answered
		o.begin = func() {
			o.Fault(s3test.Fault{Op: "*", Times: -1, Do: s3test.Status, Status: kind.status, Code: kind.code})
			close(answered)
		}
		o.end = func() bool {
			o.ClearFaults()
			return true
		}
	}
	f.Hook = func() {
		if o.arrived.Add(1) != outageCut {
			return
		}
		if peak := o.Peak("UploadPart"); peak != outageCut {
			t.Errorf("%d parts are in flight, want %d", peak, outageCut)
		}
		for _, rec := range o.Requests() {
			if rec.Op == "UploadPart" && rec.Status == 0 {
				o.cut[rec.Part] = true
			}
		}
		o.down.Store(true)
		o.begin()
	}
	o.Fault(f)
	o.store = openStore(t, endpoint, func(c *store.Config) {
		c.RetryFor = retryFor
		c.Backoff = func(int, error) time.Duration { return time.Millisecond }
		c.OnAttempt = o.attempted
		c.OnThrottle = func() { o.u.Throttled() }
	})
	return o
}

// attempted ends the outage when enough of it has been seen.
func (o *outage) attempted(a store.Attempt) {
	if a.Err != nil && o.down.Load() && o.failed.Add(1) >= o.after && o.after > 0 && o.end() {
		o.down.Store(false)
	}
}

// send uploads a file or a stream.
func (o *outage) send(t *testing.T, src *upload.Source) *upload.Result {
	t.Helper()
	options := o.options()
	options.MaxMemory = 4 * outageCut * KiB
	options.Limit = func(_ int, lowered bool) {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.limits = append(o.limits, lowered)
	}
	var err error
	if o.u, err = upload.New(o.store.Client, options); err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	return o.u.Upload(t.Context(), &upload.Job{Source: src, Bucket: o.bucket, Key: "k"})
}

// sentOnce makes sure that what was not in flight was sent once, or stored once.
func (o *outage) sentOnce(t *testing.T, parts int64, stored bool) {
	t.Helper()
	if len(o.cut) != outageCut {
		t.Errorf("the parts %v were in flight, want %d", o.cut, outageCut)
	}
	sent := make(map[int]int)
	for _, rec := range o.Requests() {
		if rec.Op == "UploadPart" && (!stored || rec.Status == http.StatusOK) {
			sent[rec.Part]++
		}
	}
	for n := 1; n <= int(parts); n++ {
		if !o.cut[n] && sent[n] != 1 || sent[n] == 0 {
			t.Errorf("part %d was sent %d times, in flight: %t", n, sent[n], o.cut[n])
		}
	}
}

// The store goes away in the middle of an upload, for as long as a good many
// attempts: the upload goes on afterwards, and sends again only what was cut.
func TestOutage(t *testing.T) {
	for _, kind := range outageKinds {
		data := random(kind.parts*KiB, "outage")
		for _, source := range sources {
			if source.name == aStream.name && !kind.streams {
				continue
			}
			t.Run(kind.name+"/"+source.name, func(t *testing.T) {
				o := newOutage(t, kind, 4*outageCut, 0)
				r := o.send(t, source.of(t, data))
				o.ends(t, r, "k", data, upload.SelfCopy)
				o.nothingLeft(t, "k")
				if n := o.failed.Load(); n < o.after {
					t.Errorf("the outage ended after %d attempts, want %d", n, o.after)
				}
				slowDown := kind.status == http.StatusServiceUnavailable
				if fell, rose := slices.Contains(o.limits, true), slices.Contains(o.limits, false); fell != slowDown || rose != slowDown {
					t.Errorf("the limit on requests in flight was lowered: %t, and raised: %t", fell, rose)
				}
				o.sentOnce(t, kind.parts, false)
				// Of what cannot reach the store, nothing is read: but a connection that
				// was just being made may take one part that it does not carry far.
				least := int64(len(data) + outageCut*KiB)
				if most := least + outageCut*KiB; r.BytesSent < least || kind.status == 0 && !kind.takes && r.BytesSent > most {
					t.Errorf("%d bytes sent, want %d to %d", r.BytesSent, least, most)
				}
			})
		}
	}
}

// An outage that outlasts patience ends the upload; the next run goes on with
// what was stored.
func TestOutageOutlastsPatience(t *testing.T) {
	for _, kind := range outageKinds {
		t.Run(kind.name, func(t *testing.T) {
			data := random(kind.parts*KiB, "outage")
			o := newOutage(t, kind, 0, 50*time.Millisecond)
			r := o.send(t, file(t, data))
			if upload.KindOf(r.Err) != upload.Temporary || !r.Resumable {
				t.Errorf("error %v of kind %d, resumable: %t, want kind %d", r.Err, upload.KindOf(r.Err), r.Resumable, upload.Temporary)
			}
			left := o.unfinished(t, "k")
			for _, parts := range left {
				if len(parts) != outageBefore {
					t.Errorf("%d parts are kept, want %d", len(parts), outageBefore)
				}
			}
			if len(left) != 1 || o.object(t, "k") != nil {
				t.Errorf("unfinished: %v, an object: %t", left, o.object(t, "k") != nil)
			}

			o.down.Store(false)
			for !o.end() {
			}
			r = o.send(t, file(t, data))
			o.ends(t, r, "k", data, upload.SelfCopy)
			o.nothingLeft(t, "k")
			// A run that gives up may begin another part, which the store refuses as well.
			o.sentOnce(t, kind.parts, true)
			// A request that the first run gave up may have come in after the outage.
			if want := int64(len(data)) - int64(r.PartsResumed)*KiB; r.PartsResumed < outageBefore || r.BytesSent != want {
				t.Errorf("%d parts resumed, want %d; %d bytes sent, want %d", r.PartsResumed, outageBefore, r.BytesSent, want)
			}
		})
	}
}
