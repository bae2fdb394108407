package s3test

import (
	"bytes"
	"cmp"
	"context"
	"crypto/rand"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A Server is a running S3 server. All its methods may be called at once, and
// while requests run.
type Server struct {
	o    Options
	http *http.Server
	ln   net.Listener
	ca   *CA           // that issued the server's certificate; nil if it is from elsewhere
	dir  string        // for bodies and certificates; "" if neither is wanted
	done chan struct{} // closed by Close: whoever waits lets go
	wg   sync.WaitGroup
	once sync.Once

	mu       sync.Mutex
	token    string          // that requests must carry
	expired  map[string]bool // tokens that were good once
	quirks   Quirks
	closed   bool
	buckets  map[string]*bucket
	sessions map[string]session // of directory buckets, by access key
	opaque   int                // counts the opaque ETags, so that no two are alike
	created  int                // counts the uploads, so that their ids sort

	conns   atomic.Int64
	faults  Faults
	journal journal
}

// New starts a server that closes at the end of the test.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	s, err := Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

// Start starts a server on a free port of 127.0.0.1. The caller closes it.
func Start(o Options) (*Server, error) { return Listen("127.0.0.1:0", o) }

// Listen is Start on an address of one's choice.
func Listen(addr string, o Options) (*Server, error) {
	o.AccessKey = cmp.Or(o.AccessKey, "AKIAS3TEST")
	o.SecretKey = cmp.Or(o.SecretKey, "s3test-secret")
	o.Region = cmp.Or(o.Region, "us-east-1")
	o.Domain = cmp.Or(o.Domain, "s3test.local")
	o.MinPartSize = cmp.Or(o.MinPartSize, 5<<20)
	o.MaxCopySize = cmp.Or(o.MaxCopySize, 5<<30)
	o.MaxPutSize = cmp.Or(o.MaxPutSize, 5<<30)
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{o: o, token: o.SessionToken, quirks: o.Quirks, buckets: map[string]*bucket{}, done: make(chan struct{})}
	s.journal.reset()

	ln, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	s.ln = line{ln, o.ConnRate}
	if o.Dir != "" || o.TLS {
		if s.dir, err = os.MkdirTemp(o.Dir, "s3test-"); err != nil {
			ln.Close()
			return nil, err
		}
	}
	s.http = &http.Server{Handler: s, Protocols: new(http.Protocols), ConnContext: s.numberConn,
		ErrorLog: log.New(io.Discard, "", 0)} // of handshakes that clients gave up
	s.http.Protocols.SetHTTP1(true)
	s.http.Protocols.SetHTTP2(o.HTTP2)
	if o.TLS {
		if err = s.setUpTLS(); err != nil {
			ln.Close()
			os.RemoveAll(s.dir)
			return nil, err
		}
	}
	s.wg.Go(func() {
		if o.TLS {
			s.http.ServeTLS(s.ln, "", "")
		} else {
			s.http.Serve(s.ln)
		}
	})
	return s, nil
}

// Close ends the server: connections are cut, held requests let go. It returns
// when no request runs any more, and removes what the server kept on disk.
func (s *Server) Close() {
	s.once.Do(func() {
		s.mu.Lock()
		s.closed = true
		s.mu.Unlock()
		close(s.done)
		s.http.Close()
		s.wg.Wait()
		if s.dir != "" {
			os.RemoveAll(s.dir)
		}
	})
}

// URL is the server's endpoint, http://127.0.0.1:PORT.
func (s *Server) URL() string {
	scheme := "http://"
	if s.o.TLS {
		scheme = "https://"
	}
	return scheme + s.Addr()
}

// Addr is the server's host and port.
func (s *Server) Addr() string { return s.ln.Addr().String() }

// SetQuirks changes the quirks for the requests that begin afterwards.
func (s *Server) SetQuirks(change func(*Quirks)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.quirks.Deny = slices.Clone(s.quirks.Deny) // requests hold the old one
	change(&s.quirks)
}

type connKey struct{}

func (s *Server) numberConn(ctx context.Context, _ net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, int(s.conns.Add(1)))
}

// A call is one request on its way.
type call struct {
	s      *Server
	w      http.ResponseWriter
	r      *http.Request
	q      Quirks
	query  url.Values
	h      http.Header // of the request
	op     string
	bucket string
	key    string
	part   int
	upload string
	do     Action      // of the fault that hit this request, or None
	extra  http.Header // what that fault adds to the answer
	wire   *wireReader // the body as it comes in
	body   io.Reader   // the same, or the bytes of it that were read ahead
	rec    Record
	slot   *Record // in the journal
}

// An answer is what an operation has to say; xml or body or neither.
type answer struct {
	status int
	header http.Header
	xml    any
	body   io.Reader
	size   int64   // of body
	etag   *string // the ETag inside xml, for the faults that change it
}

func ok(xml any) *answer { return &answer{status: http.StatusOK, header: http.Header{}, xml: xml} }

// ServeHTTP takes no path apart and cleans none: keys are bytes.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	c := &call{s: s, w: w, r: r, h: r.Header, wire: &wireReader{r: r.Body}}
	c.body = c.wire
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.wg.Add(1)
	c.q = s.quirks
	s.mu.Unlock()
	defer s.wg.Done()
	routeErr := c.route()
	c.begin()
	defer c.end()

	f := s.faults.Take(c.target())
	if f != nil && c.before(f) {
		return
	}
	a, err := c.run(routeErr)
	if err != nil {
		a = c.refuse(err)
	}
	c.travel()
	if f != nil && c.after(f, a) {
		return
	}
	c.send(a)
}

type operation struct {
	run    func(*call) (*answer, error)
	action string // the permission it needs on its own bucket or key
}

// operations are named as in the SDK.
var operations = map[string]operation{
	"ListBuckets":                {listBuckets, ""},
	"CreateBucket":               {createBucket, "s3:CreateBucket"},
	"DeleteBucket":               {deleteBucket, "s3:DeleteBucket"},
	"HeadBucket":                 {headBucket, "s3:ListBucket"},
	"GetBucketLocation":          {getBucketLocation, "s3:GetBucketLocation"},
	"CreateSession":              {createSession, "s3express:CreateSession"},
	"GetBucketVersioning":        {getBucketVersioning, "s3:GetBucketVersioning"},
	"PutBucketVersioning":        {putBucketVersioning, "s3:PutBucketVersioning"},
	"GetObjectLockConfiguration": {getObjectLockConfiguration, "s3:GetBucketObjectLockConfiguration"},
	"GetBucketEncryption":        {getBucketEncryption, "s3:GetEncryptionConfiguration"},
	"ListObjectsV2":              {listObjects, "s3:ListBucket"},
	"ListObjectVersions":         {listObjectVersions, "s3:ListBucketVersions"},
	"ListMultipartUploads":       {listMultipartUploads, "s3:ListBucketMultipartUploads"},
	"DeleteObjects":              {deleteObjects, ""}, // of each key, see there
	"PutObject":                  {putObject, "s3:PutObject"},
	"GetObject":                  {getObject, "s3:GetObject"},
	"HeadObject":                 {getObject, "s3:GetObject"},
	"DeleteObject":               {deleteObject, "s3:DeleteObject"},
	"GetObjectAttributes":        {getObjectAttributes, "s3:GetObjectAttributes"},
	"GetObjectTagging":           {getObjectTagging, "s3:GetObjectTagging"},
	"GetObjectAcl":               {getObjectACL, "s3:GetObjectAcl"},
	"GetObjectRetention":         {getObjectRetention, "s3:GetObjectRetention"},
	"GetObjectLegalHold":         {getObjectLegalHold, "s3:GetObjectLegalHold"},
	"CopyObject":                 {copyObject, "s3:PutObject"},
	"CreateMultipartUpload":      {createMultipartUpload, "s3:PutObject"},
	"UploadPart":                 {uploadPart, "s3:PutObject"},
	"UploadPartCopy":             {uploadPartCopy, "s3:PutObject"},
	"CompleteMultipartUpload":    {completeMultipartUpload, "s3:PutObject"},
	"AbortMultipartUpload":       {abortMultipartUpload, "s3:AbortMultipartUpload"},
	"ListParts":                  {listParts, "s3:ListMultipartUploadParts"},
}

// route finds out what is asked for. The error is answered only after the
// faults and the signature, as the op name is known even where a key is bad.
func (c *call) route() error {
	path := c.r.URL.EscapedPath()
	query, err := url.ParseQuery(c.r.URL.RawQuery)
	c.query = query
	if err != nil {
		return fail("InvalidArgument", "query: %v", err)
	}
	rest := strings.TrimPrefix(path, "/")
	host, _, splitErr := net.SplitHostPort(c.r.Host)
	if splitErr != nil {
		host = c.r.Host
	}
	for _, domain := range []string{c.s.o.Domain, "localhost"} {
		if name, isVirtual := strings.CutSuffix(host, "."+domain); isVirtual {
			c.bucket = name
		}
	}
	if c.bucket == "" {
		c.bucket, rest, _ = strings.Cut(rest, "/")
	}
	if c.key, err = url.PathUnescape(rest); err != nil {
		return fail("InvalidArgument", "path: %v", err)
	}
	c.upload = query.Get("uploadId")
	c.op = c.opName()

	if len(c.key) > 1024 {
		return fail("KeyTooLongError").with("Size", len(c.key)).with("MaxSizeAllowed", 1024)
	}
	if query.Has("partNumber") {
		if c.part, err = strconv.Atoi(query.Get("partNumber")); err != nil || c.part < 1 || c.part > 10000 {
			return fail("InvalidArgument", "Part number must be an integer between 1 and 10000, inclusive").
				with("ArgumentName", "partNumber").with("ArgumentValue", query.Get("partNumber"))
		}
	}
	if c.op == "" {
		return fail("MethodNotAllowed")
	}
	return nil
}

// A Target is what a request is for.
type Target struct {
	Op       string // as the SDK names it; "" if there is none such
	Bucket   string
	Key      string
	Part     int // 0: none
	UploadID string
}

// TargetOf reads a request in path style as the server does, for whoever stands
// between a client and a server.
func TargetOf(r *http.Request) Target {
	c := &call{s: new(Server), r: r, h: r.Header}
	c.route() // what is wrong with it is the server's to say
	return c.target()
}

func (c *call) target() Target {
	return Target{Op: c.op, Bucket: c.bucket, Key: c.key, Part: c.part, UploadID: c.upload}
}

// Names are those under which a request is counted, and which a Fault's Op may
// be: "*", "UploadPart", "UploadPart 3".
func (t Target) Names() []string {
	names := []string{"*", t.Op}
	if t.Part > 0 {
		names = append(names, t.Op+" "+strconv.Itoa(t.Part))
	}
	return names
}

func (c *call) opName() string {
	first := func(names ...string) string { // pairs of a query parameter and an op
		for i := 0; i < len(names); i += 2 {
			if names[i] == "" || c.query.Has(names[i]) {
				return names[i+1]
			}
		}
		return ""
	}
	copied := c.h.Get("x-amz-copy-source") != ""
	switch method := c.r.Method; {
	case c.bucket == "" && method == "GET":
		return "ListBuckets"
	case c.key == "":
		switch method {
		case "GET":
			return first("session", "CreateSession", "versioning", "GetBucketVersioning", "location", "GetBucketLocation", "uploads", "ListMultipartUploads",
				"object-lock", "GetObjectLockConfiguration", "encryption", "GetBucketEncryption",
				"versions", "ListObjectVersions", "list-type", "ListObjectsV2")
		case "PUT":
			return first("versioning", "PutBucketVersioning", "", "CreateBucket")
		case "HEAD":
			return "HeadBucket"
		case "POST":
			return first("delete", "DeleteObjects")
		case "DELETE":
			return "DeleteBucket"
		}
	default:
		switch method {
		case "GET":
			return first("uploadId", "ListParts", "tagging", "GetObjectTagging", "attributes", "GetObjectAttributes", "acl", "GetObjectAcl",
				"retention", "GetObjectRetention", "legal-hold", "GetObjectLegalHold", "", "GetObject")
		case "HEAD":
			return "HeadObject"
		case "PUT":
			switch {
			case copied && c.query.Has("partNumber"):
				return "UploadPartCopy"
			case copied:
				return "CopyObject"
			}
			return first("partNumber", "UploadPart", "tagging", "", "acl", "", "retention", "", "legal-hold", "", "", "PutObject")
		case "POST":
			return first("uploads", "CreateMultipartUpload", "uploadId", "CompleteMultipartUpload")
		case "DELETE":
			return first("uploadId", "AbortMultipartUpload", "tagging", "", "", "DeleteObject")
		}
	}
	return ""
}

// run does what the request asks for, if it may.
func (c *call) run(routeErr error) (*answer, error) {
	if err := c.authenticate(); err != nil {
		return nil, err
	}
	if routeErr != nil {
		return nil, routeErr
	}
	op := operations[c.op]
	deleteVersion := op.action == "s3:DeleteObject" && c.query.Get("versionId") != "" // needs a right of its own, and only that
	inSession := c.isDirectory() && c.op != "CreateSession"                           // which has all rights
	if c.q.denies(op.action) && !deleteVersion && !inSession || c.isStranger() {
		return nil, fail("AccessDenied")
	}
	if sha := c.h.Get("x-amz-content-sha256"); c.q.ChunkedRefused && strings.HasPrefix(sha, "STREAMING-") {
		return nil, fail("XAmzContentSHA256Mismatch")
	}
	if err := c.checkDirectory(); err != nil {
		return nil, err
	}
	return op.run(c)
}

// isStranger says whether the request is for a bucket of another owner, or by
// somebody who does not pay.
func (c *call) isStranger() bool {
	for _, name := range []string{"X-Amz-Expected-Bucket-Owner", "X-Amz-Source-Expected-Bucket-Owner"} {
		if owner := c.h.Get(name); owner != "" && c.q.Owner != "" && owner != c.q.Owner {
			return true
		}
	}
	return c.q.RequesterPays && c.h.Get("X-Amz-Request-Payer") != "requester"
}

// find looks the request's bucket up. The caller holds s.mu.
func (c *call) find() (*bucket, error) {
	if b := c.s.buckets[c.bucket]; b != nil {
		return b, nil
	}
	return nil, fail("NoSuchBucket").with("BucketName", c.bucket)
}

// refuse turns an error into an answer.
func (c *call) refuse(err error) *answer {
	var e *apiError
	if !errors.As(err, &e) {
		e = fail("InternalError", "%v", err)
	}
	c.rec.Code = e.code
	// A body that is on its way already is read, so that the client gets to see
	// the answer; one that waits for "100 Continue" never comes.
	if c.h.Get("Expect") == "" {
		io.CopyN(io.Discard, c.body, 64<<20)
	}
	return &answer{status: e.status, header: e.header, xml: &errorXML{
		Code: e.code, Message: e.message, Fields: e.fields, RequestID: c.rec.RequestID, HostID: hostID}}
}

type errorXML struct {
	XMLName   xml.Name `xml:"Error"`
	Code      string
	Message   string
	Fields    []xmlField
	RequestID string `xml:"RequestId"`
	HostID    string `xml:"HostId"`
}

const hostID = "s3test/host+id="

// send writes the answer. The record is there before the client can see it.
func (c *call) send(a *answer) {
	body := a.marshal()
	c.record(a.status)
	h := c.w.Header()
	c.headers(h, a)
	if c.r.Method == "HEAD" || a.status == http.StatusNoContent || a.status == http.StatusNotModified {
		c.w.WriteHeader(a.status)
		return
	}
	if a.body != nil {
		h.Set("Content-Length", strconv.FormatInt(a.size, 10))
		c.w.WriteHeader(a.status)
		io.Copy(c.w, a.body)
		return
	}
	h.Set("Content-Length", strconv.Itoa(len(body)))
	c.w.WriteHeader(a.status)
	c.w.Write(body)
}

func (c *call) headers(h http.Header, a *answer) {
	for name, values := range a.header {
		h[name] = values
	}
	h.Set("Date", c.s.o.Now().UTC().Format(http.TimeFormat))
	h.Set("Server", cmp.Or(c.q.Server, "AmazonS3"))
	h.Set("x-amz-request-id", c.rec.RequestID)
	h.Set("x-amz-id-2", hostID)
	if a.xml != nil {
		h.Set("Content-Type", "application/xml")
	}
	for name, values := range c.extra {
		h[http.CanonicalHeaderKey(name)] = values
	}
}

func (a *answer) marshal() []byte {
	if a.xml == nil {
		return nil
	}
	var b bytes.Buffer
	b.WriteString(xml.Header)
	if err := xml.NewEncoder(&b).Encode(a.xml); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// raw is the whole answer as HTTP/1.1 puts it on the wire, and where its body
// begins.
func (c *call) raw(a *answer, lengthKnown bool) (raw []byte, body int) {
	content := a.marshal()
	if a.body != nil {
		content, _ = io.ReadAll(a.body)
	}
	h := http.Header{}
	c.headers(h, a)
	if lengthKnown {
		if c.r.Method != "HEAD" {
			h.Set("Content-Length", strconv.Itoa(len(content)))
		}
	} else {
		h.Del("Content-Length")
		h.Set("Connection", "close")
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "HTTP/1.1 %d %s\r\n", a.status, http.StatusText(a.status))
	h.Write(&b)
	b.WriteString("\r\n")
	body = b.Len()
	if c.r.Method != "HEAD" {
		b.Write(content)
	}
	return b.Bytes(), body
}

// newRequestID looks like Amazon's.
func newRequestID() string { return rand.Text()[:16] }

// quote puts an ETag into quotes, unless the store at hand leaves them out.
func quote(etag string, bare bool) string {
	if bare || etag == "" {
		return etag
	}
	return `"` + etag + `"`
}

// etagMatches compares as If-Match does: quotes do not count, * is any.
func etagMatches(header, etag string) bool {
	for want := range strings.SplitSeq(header, ",") {
		want = strings.Trim(strings.TrimSpace(want), `"`)
		if want == "*" || want == etag {
			return true
		}
	}
	return false
}
