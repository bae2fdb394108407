package store

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
)

// ProxyError says that it is the proxy, and not the store, that there is no way
// through. The proxy's URL may hold a password: its host alone is told.
type ProxyError struct {
	Host   string
	Status int // of its answer, if it refuses to connect to the store; else 0
	Err    error
}

func (e *ProxyError) Error() string { return fmt.Sprintf("the proxy %s: %v", e.Host, e.Err) }
func (e *ProxyError) Unwrap() error { return e.Err }

// Refuses says whether the proxy lets nobody through to the store, or not with
// this name and password: no other try mends that.
func (e *ProxyError) Refuses() bool {
	return e.Status/100 == 4 && e.Status != http.StatusRequestTimeout && e.Status != http.StatusTooManyRequests
}

// tellRefusal keeps what a proxy answers to a request to connect.
func tellRefusal(_ context.Context, proxy *url.URL, _ *http.Request, res *http.Response) error {
	if res.StatusCode == http.StatusOK {
		return nil
	}
	text := fmt.Sprintf("it answered %d %s", res.StatusCode, http.StatusText(res.StatusCode))
	return &ProxyError{Host: proxy.Host, Status: res.StatusCode, Err: errors.New(text)}
}

// blameProxy names the proxy in an error that is about the way to it.
func (t *transport) blameProxy(req *http.Request, err error) error {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "proxyconnect" {
		return err
	}
	proxy, perr := t.next.Proxy(req)
	if perr != nil || proxy == nil {
		return err
	}
	return &ProxyError{Host: proxy.Host, Err: err}
}
