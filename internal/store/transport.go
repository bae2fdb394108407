package store

import (
	"bytes"
	"cmp"
	"context"
	"encoding/xml"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptrace"
	"sync"
	"sync/atomic"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

const (
	bucketRegionHeader = "X-Amz-Bucket-Region"

	// Requests without a slot of their own: listing, aborting.
	sparePool = 4

	// The answers to all calls are small. The largest is a page of a listing, of
	// 1,000 keys of 1,024 bytes, each of them escaped: 3 MB and what is around it.
	maxAnswer = 16 << 20
	maxHead   = 1 << 20

	// A parser keeps each element that is open, and each attribute, at many times
	// its size. The largest answer here has 10,000 parts of nine elements.
	maxMarkup = 400_000

	// net/http gathers the head of a request and the beginning of its body here
	// and hands the rest on in larger blocks.
	writeBuffer = 32 << 10
)

// transport sends single requests.
type transport struct {
	next     *http.Transport
	cfg      Config
	patience *patience
	identity *identity
	throttle *throttle // nil: none
}

// newTransport builds on the client that the SDK's configuration prepared, for
// the sake of the authorities that it trusts; there is none if nothing was to be
// prepared. Its transport is used without a client around it: that would follow
// redirects, those of 307 and 308 for ever, and take requests that were signed for
// one host to another.
func newTransport(prepared aws.HTTPClient, cfg Config, p *patience, id *identity) *transport {
	client, ok := prepared.(*awshttp.BuildableClient)
	if !ok {
		client = awshttp.NewBuildableClient()
	}
	dialer := client.GetDialer()
	dialer.Timeout = cfg.DialTimeout
	blocks := &sync.Pool{New: func() any { return new([block]byte) }}
	client = client.WithTransportOptions(func(t *http.Transport) {
		// With HTTP/2 all parts would share one connection, and its window.
		t.Protocols = new(http.Protocols)
		t.Protocols.SetHTTP1(true)
		t.ForceAttemptHTTP2 = false
		t.TLSClientConfig.NextProtos = []string{"http/1.1"} // cloning has put h2 there
		t.TLSClientConfig.GetClientCertificate = id.show
		t.TLSClientConfig.InsecureSkipVerify = cfg.NoVerifyTLS
		t.TLSNextProto = nil
		t.MaxIdleConns = cfg.Connections + sparePool
		t.MaxIdleConnsPerHost = cfg.Connections + sparePool
		t.MaxConnsPerHost = cfg.MaxConnections
		t.MaxResponseHeaderBytes = maxHead
		t.WriteBufferSize = writeBuffer
		t.OnProxyConnectResponse = tellRefusal
		t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			ctx, cancel := context.WithTimeout(ctx, p.within(cfg.DialTimeout))
			defer cancel()
			c, err := dialer.DialContext(ctx, network, addr)
			if err != nil {
				return nil, err
			}
			return newConn(c, p.within(cfg.StallTimeout), blocks), nil
		}
	})
	return &transport{next: client.GetTransport(), cfg: cfg, patience: p, identity: id, throttle: newThrottle(cfg)}
}

// Do sends one request and returns when the head of the answer is there.
func (t *transport) Do(req *http.Request) (*http.Response, error) {
	ctx := req.Context()
	wait := t.cfg.StallTimeout
	switch awsmiddleware.GetOperationName(ctx) {
	case "CompleteMultipartUpload", "CopyObject", "UploadPartCopy":
		wait = t.cfg.LongStallTimeout
	}
	x := &exchange{
		send:   t.patience.within(t.cfg.StallTimeout),
		wait:   t.patience.firstWait(wait),
		whole:  t.cfg.LongStallTimeout,
		host:   req.URL.Host,
		gather: req.URL.Scheme == "https" && req.ContentLength > record,
	}
	req = req.WithContext(httptrace.WithClientTrace(ctx, x.trace()))

	var b *body
	if req.Body != nil && req.Body != http.NoBody {
		b = &body{ReadCloser: req.Body, size: req.ContentLength}
		req.Body = b
		if t.throttle != nil {
			req.Body = &limited{ReadCloser: b, ctx: ctx, throttle: t.throttle, left: b.size}
		}
	}
	if c := callFrom(ctx); c != nil {
		c.host = req.URL.Host
		c.body = b
	}

	res, err := t.next.RoundTrip(req)
	if err != nil {
		if b != nil {
			if broken := b.broken.Load(); broken != nil {
				return res, broken
			}
		}
		var stall *StallError
		var absurd *AnswerError
		switch {
		case errors.As(err, &stall):
			return res, stall
		case errors.As(err, &absurd):
			return res, absurd
		case x.heard.Load() >= maxHead: // net/http gives up on it then
			return res, tooMuchHead(x.host)
		}
		return res, t.identity.verdict(x, t.blameProxy(req, err))
	}
	t.patience.answer()
	res.Body = &sparse{ReadCloser: res.Body, host: x.host}
	if err := cmp.Or(t.identity.page(req, res), wantsTLS(req, res)); err != nil {
		return nil, err
	}
	tellRegion(req, res)
	return res, nil
}

// sparse is the body of an answer that ends with an error where it has more
// markup than any answer of a store.
type sparse struct {
	io.ReadCloser
	host   string
	markup int
}

func (s *sparse) Read(p []byte) (int, error) {
	n, err := s.ReadCloser.Read(p)
	s.markup += bytes.Count(p[:n], []byte{'<'}) + bytes.Count(p[:n], []byte{'='})
	if s.markup > maxMarkup {
		return 0, tooMuchMarkup(s.host)
	}
	return n, err
}

// body counts what is read of a request's body, and tells a source that fails
// from a connection that does: net/http reports both as a failed request.
type body struct {
	io.ReadCloser
	size   int64
	read   atomic.Int64
	closed atomic.Bool
	broken atomic.Pointer[BodyError]
}

func (b *body) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	read := b.read.Add(int64(n))
	switch {
	case err == nil, b.closed.Load(): // it ends when it is closed
	case err != io.EOF:
		b.broken.Store(&BodyError{err})
	case read < b.size:
		b.broken.Store(&BodyError{io.ErrUnexpectedEOF})
	}
	return n, err
}

func (b *body) Close() error {
	b.closed.Store(true)
	return b.ReadCloser.Close()
}

// tellRegion puts the region that a refusal names in its body, as stores other
// than Amazon's do, where Amazon puts it too: into the header.
func tellRegion(req *http.Request, res *http.Response) {
	const enough = 64 << 10
	if req.Method == http.MethodHead || res.Header.Get(bucketRegionHeader) != "" {
		return
	}
	switch res.StatusCode {
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusBadRequest:
	default:
		return
	}
	var head bytes.Buffer
	var refusal struct {
		XMLName xml.Name `xml:"Error"`
		Region  string
	}
	err := xml.NewDecoder(io.TeeReader(io.LimitReader(res.Body, enough), &head)).Decode(&refusal)
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(&head, res.Body), res.Body}
	if err == nil && refusal.Region != "" {
		res.Header.Set(bucketRegionHeader, refusal.Region)
	}
}
