package store

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"
)

// throughProxy opens a store behind a proxy: the environment is read once only.
func throughProxy(t *testing.T, proxy string) (*Store, *log) {
	t.Helper()
	u, err := url.Parse(proxy)
	if err != nil {
		t.Fatal(err)
	}
	s, log := open(t, "https://store.example", func(c *Config) { c.FirstAnswer = 500 * time.Millisecond })
	s.Client.Options().HTTPClient.(*transport).next.Proxy = http.ProxyURL(u)
	return s, log
}

// Where there is no way through a proxy, it is the proxy that is named, without
// its password.
func TestProxyIsNamed(t *testing.T) {
	s, _ := throughProxy(t, "http://me:hush@127.0.0.1:1")
	var proxy *ProxyError
	var gaveUp *GaveUp
	err := put(t, s, 10)
	if !errors.As(err, &gaveUp) || !errors.As(gaveUp.Last, &proxy) || proxy.Host != "127.0.0.1:1" || proxy.Refuses() {
		t.Errorf("got %v", err)
	}
	if strings.Contains(err.Error(), "hush") {
		t.Errorf("a password is told: %v", err)
	}
}

// A proxy that refuses for good is asked once.
func TestProxyRefuses(t *testing.T) {
	for status, refuses := range map[int]bool{407: true, 403: true, 502: false} {
		srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { w.WriteHeader(status) }))
		s, log := throughProxy(t, strings.Replace(srv.URL, "://", "://me:hush@", 1))
		var proxy *ProxyError
		err := put(t, s, 10)
		if !errors.As(err, &proxy) || proxy.Status != status || proxy.Refuses() != refuses || strings.Contains(err.Error(), "hush") {
			t.Errorf("%d: %v", status, err)
		}
		var gaveUp *GaveUp
		if n := len(log.all()); errors.As(err, &gaveUp) == refuses || (n == 1) != refuses {
			t.Errorf("%d: %d attempts, %v", status, n, err)
		}
		srv.Close()
	}
}
