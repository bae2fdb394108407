package s3test

import (
	"cmp"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"
)

// A Record is what the server knows of one request.
type Record struct {
	Time      time.Time // of its arrival, by the server's clock
	Op        string    // the operation as the SDK names it; "" if there is none such
	Bucket    string
	Key       string
	Part      int
	UploadID  string
	Method    string
	Proto     string
	Header    http.Header
	Query     url.Values
	Conn      int    // the connection it came by, counted from 1
	Status    int    // 0 as long as there is no answer; it stays 0 where a fault swallowed it
	Code      string // of the error in the answer
	Bytes     int64  // of the body that came in, as it was on the wire
	Chunked   bool   // the body was aws-chunked
	Fault     Action // what hit the request, or None
	RequestID string
}

// A journal keeps the records in the order in which the requests came.
type journal struct {
	mu      sync.Mutex
	records []*Record
	count   map[string]int
	running map[string]int
	peak    map[string]int
}

func (j *journal) reset() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.records, j.count, j.peak = nil, map[string]int{}, map[string]int{}
	if j.running == nil {
		j.running = map[string]int{}
	}
}

// begin enters the request into the journal.
func (c *call) begin() {
	conn, _ := c.r.Context().Value(connKey{}).(int)
	c.rec = Record{Time: c.s.o.Now(), Op: c.op, Bucket: c.bucket, Key: c.key, Part: c.part, UploadID: c.upload,
		Method: c.r.Method, Proto: c.r.Proto, Header: c.h.Clone(), Query: c.query, Conn: conn,
		Chunked:   strings.HasPrefix(c.h.Get("X-Amz-Content-Sha256"), "STREAMING-"),
		RequestID: newRequestID()}
	j := &c.s.journal
	j.mu.Lock()
	defer j.mu.Unlock()
	for _, name := range c.target().Names() {
		j.count[name]++
		j.running[name]++
		j.peak[name] = max(j.peak[name], j.running[name])
	}
	if !c.s.o.Forget {
		slot := c.rec
		c.slot = &slot
		j.records = append(j.records, c.slot)
	}
}

// record notes the answer, before the client can see it.
func (c *call) record(status int) {
	c.rec.Status, c.rec.Bytes = status, c.wire.n
	if c.slot != nil {
		c.s.journal.mu.Lock()
		*c.slot = c.rec
		c.s.journal.mu.Unlock()
	}
}

// end takes the request out of those that run.
func (c *call) end() {
	c.record(c.rec.Status)
	j := &c.s.journal
	j.mu.Lock()
	for _, name := range c.target().Names() {
		j.running[name]--
	}
	j.mu.Unlock()
	if c.s.o.Log != nil {
		c.s.o.Log(c.rec)
	}
}

// Requests are the records of all requests since the last ResetRequests, in the
// order in which they came. A request is among them as soon as it has come, and
// complete before its client can see the answer.
func (s *Server) Requests() []Record {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	records := make([]Record, len(s.journal.records))
	for i, r := range s.journal.records {
		records[i] = *r
	}
	return records
}

// Count is the number of requests for an operation since the last
// ResetRequests: "CopyObject", "UploadPart 3", "*" for all.
func (s *Server) Count(op string) int {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return s.journal.count[cmp.Or(op, "*")]
}

// Peak is the largest number of such requests that ran at the same time.
func (s *Server) Peak(op string) int {
	s.journal.mu.Lock()
	defer s.journal.mu.Unlock()
	return s.journal.peak[cmp.Or(op, "*")]
}

// ResetRequests forgets all records and counts.
func (s *Server) ResetRequests() { s.journal.reset() }
