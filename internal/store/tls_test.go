package store

import (
	"bytes"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3up/internal/s3test"
)

// authority makes a CA; TestMain's AWS_CA_BUNDLE, which knows others, is unset.
func authority(t *testing.T) *s3test.CA {
	t.Helper()
	t.Setenv("AWS_CA_BUNDLE", "")
	ca, err := s3test.NewCA(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return ca
}

func issue(t *testing.T, ca *s3test.CA, name string, c s3test.Cert) *s3test.Pair {
	t.Helper()
	p, err := ca.Issue(name, c)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// join puts files into one.
func join(t *testing.T, files ...string) string {
	t.Helper()
	var all []byte
	for _, name := range files {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, data...)
	}
	joined := filepath.Join(t.TempDir(), "joined.pem")
	if err := os.WriteFile(joined, all, 0o600); err != nil {
		t.Fatal(err)
	}
	return joined
}

// tlsServer is a store with the bucket and the keys of the tests.
func tlsServer(t *testing.T, o s3test.Options) *s3test.Server {
	t.Helper()
	o.TLS, o.AccessKey, o.SecretKey = true, "AKIAEXAMPLE", "very-secret"
	s := s3test.New(t, o)
	s.CreateBucket("bucket")
	return s
}

func put(t *testing.T, s *Store, size int) error {
	t.Helper()
	_, err := s.Client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("bucket"), Key: aws.String("key"),
		Body: bytes.NewReader(pattern(size))})
	return err
}

var tlsVersions = map[string]uint16{"TLS 1.2": tls.VersionTLS12, "TLS 1.3": tls.VersionTLS13}

func TestServersAreVerified(t *testing.T) {
	ca, other := authority(t), authority(t)
	here := s3test.Cert{Hosts: []string{"127.0.0.1"}}
	elsewhere := s3test.Cert{Hosts: []string{"store.example", "10.0.0.1"}}
	expired := s3test.Cert{Hosts: here.Hosts, Until: time.Now().Add(-time.Hour)}
	future := s3test.Cert{Hosts: here.Hosts, From: time.Now().Add(time.Hour)}
	bundle := Config{CABundle: ca.File()}

	unknown := func(err error) bool { var e x509.UnknownAuthorityError; return errors.As(err, &e) }
	hostname := func(err error) bool { var e x509.HostnameError; return errors.As(err, &e) }
	dates := func(err error) bool {
		var e x509.CertificateInvalidError
		return errors.As(err, &e) && e.Reason == x509.Expired && e.Cert != nil
	}
	for name, tt := range map[string]struct {
		cert  s3test.Cert
		env   string // AWS_CA_BUNDLE
		cfg   Config
		wrong func(error) bool // nil: it works
	}{
		"by default":                  {here, "", Config{}, unknown},
		"CA bundle with an IP SAN":    {here, "", bundle, nil},
		"CA bundle of several":        {here, "", Config{CABundle: join(t, other.File(), ca.File())}, nil},
		"AWS_CA_BUNDLE":               {here, ca.File(), Config{}, nil},
		"CA bundle and AWS_CA_BUNDLE": {here, "/nonexistent", bundle, nil},
		"CA bundle of somebody else":  {here, ca.File(), Config{CABundle: other.File()}, unknown},
		"other host":                  {elsewhere, "", bundle, hostname},
		"expired":                     {expired, "", bundle, dates},
		"not yet valid":               {future, "", bundle, dates},
		"not verified":                {expired, "", Config{NoVerifyTLS: true}, nil},
		"not verified, other host":    {elsewhere, other.File(), Config{NoVerifyTLS: true}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_CA_BUNDLE", tt.env)
			srv := tlsServer(t, s3test.Options{Certificate: &issue(t, ca, "server", tt.cert).Certificate})
			s, log := open(t, srv.URL(), func(c *Config) {
				c.CABundle, c.NoVerifyTLS = tt.cfg.CABundle, tt.cfg.NoVerifyTLS
			})
			err := put(t, s, 100)
			if a := log.all(); len(a) != 1 {
				t.Errorf("%d attempts, want 1", len(a))
			}
			switch {
			case tt.wrong == nil && err != nil:
				t.Error(err)
			case tt.wrong != nil && (!tt.wrong(err) || IsTemporary(err)):
				t.Errorf("got %v", err)
			}
			if stored := srv.Count("PutObject"); (stored == 1) != (tt.wrong == nil) {
				t.Errorf("%d requests reached the server", stored)
			}
		})
	}
}

// A body of several MiB is still on its way when the server has judged.
func TestClientCertificates(t *testing.T) {
	ca, other := authority(t), authority(t)
	server := issue(t, ca, "server", s3test.Cert{Hosts: []string{"127.0.0.1"}})
	client := issue(t, ca, "client", s3test.Cert{})
	stranger := issue(t, other, "stranger", s3test.Cert{})
	expired := issue(t, ca, "expired", s3test.Cert{Until: time.Now().Add(-time.Hour)})
	for name, tt := range map[string]struct {
		cert, key string
		want      *ClientCertError // nil: it works; Reason "": that of TLS 1.2 or 1.3
	}{
		"accepted":    {client.CertFile, client.KeyFile, nil},
		"one file":    {join(t, client.KeyFile, client.CertFile), "", nil},
		"none":        {"", "", &ClientCertError{}},
		"another CA":  {stranger.CertFile, stranger.KeyFile, &ClientCertError{true, "unknown certificate authority"}},
		"out of date": {expired.CertFile, expired.KeyFile, &ClientCertError{true, "expired certificate"}},
	} {
		for version, number := range tlsVersions {
			t.Run(name+" "+version, func(t *testing.T) {
				srv := tlsServer(t, s3test.Options{Certificate: &server.Certificate, ClientCAs: ca.Pool(), MaxTLS: number, Discard: true})
				for _, size := range []int{0, 100, 4 << 20, 4 << 20, 4 << 20} {
					s, log := open(t, srv.URL(), func(c *Config) {
						c.CABundle, c.ClientCert, c.ClientKey = ca.File(), tt.cert, tt.key
					})
					err := put(t, s, size)
					if a := log.all(); len(a) != 1 {
						t.Errorf("%d bytes: %d attempts, want 1: %v", size, len(a), a[0].Err)
					}
					if tt.want == nil {
						if err != nil {
							t.Errorf("%d bytes: %v", size, err)
						}
						continue
					}
					var got *ClientCertError
					if !errors.As(err, &got) {
						t.Errorf("%d bytes: got %v, want a ClientCertError", size, err)
						continue
					}
					reasons := []string{tt.want.Reason}
					if tt.want.Reason == "" {
						reasons = []string{"certificate required", "handshake failure"}
					}
					if got.Given != tt.want.Given || !slices.Contains(reasons, got.Reason) || IsTemporary(err) {
						t.Errorf("%d bytes: got %+v (temporary: %v), want %+v", size, got, IsTemporary(err), tt.want)
					}
				}
			})
		}
	}
}

// Nothing but HTTP/1.1 is spoken, whatever the files for TLS.
func TestClientCertificatesKeepHTTP1(t *testing.T) {
	ca := authority(t)
	client := issue(t, ca, "client", s3test.Cert{})
	cert := issue(t, ca, "server", s3test.Cert{Hosts: []string{"127.0.0.1"}}).Certificate
	srv := tlsServer(t, s3test.Options{Certificate: &cert, ClientCAs: ca.Pool(), HTTP2: true})
	s, _ := open(t, srv.URL(), func(c *Config) {
		c.CABundle, c.ClientCert, c.ClientKey = ca.File(), client.CertFile, client.KeyFile
	})
	var proto string
	_, err := s.Client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: aws.String("bucket")}, func(o *s3.Options) {
		next := o.HTTPClient
		o.HTTPClient = httpFunc(func(r *http.Request) (*http.Response, error) {
			res, err := next.Do(r)
			if err == nil {
				proto = res.Proto
			}
			return res, err
		})
	})
	if err != nil || proto != "HTTP/1.1" {
		t.Errorf("%q, %v", proto, err)
	}
}

// A server may cut the connection before it has said why.
func TestCertificateIsAskedForAndTheConnectionCut(t *testing.T) {
	ca := authority(t)
	cert := issue(t, ca, "server", s3test.Cert{Hosts: []string{"127.0.0.1"}}).Certificate
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	go func() {
		for {
			c, err := ln.Accept()
			if err != nil {
				return
			}
			tls.Server(c, &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequestClientCert}).Handshake()
			c.(*net.TCPConn).SetLinger(0)
			c.Close()
		}
	}()
	s, _ := open(t, "https://"+ln.Addr().String(), func(c *Config) {
		c.CABundle, c.FirstAnswer = ca.File(), time.Second
	})
	var gaveUp *GaveUp
	if err := put(t, s, 100); !errors.As(err, &gaveUp) || !gaveUp.NoCert || gaveUp.Answered {
		t.Errorf("got %+v, want one that gave up and names the client certificate", err)
	}
}

// A proxy may let every client connect and answer those without a certificate
// in words of its own. Other pages of it are no such answer.
func TestCertificateIsAskedForByAProxy(t *testing.T) {
	ca := authority(t)
	cert := issue(t, ca, "server", s3test.Cert{Hosts: []string{"127.0.0.1"}}).Certificate
	page := ""
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		drain(r)
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusBadRequest)
		io.WriteString(w, page)
	}))
	srv.TLS = &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequestClientCert}
	srv.StartTLS()
	defer srv.Close()
	s, log := open(t, srv.URL, func(c *Config) { c.CABundle = ca.File() })
	for _, tt := range []struct {
		page string
		call func() error
		want bool
	}{
		{"<html><head><title>400 No required SSL certificate was sent</title></head></html>", func() error { return put(t, s, 100) }, true},
		{"", func() error { return head(t.Context(), s) }, true},
		{"<html><head><title>400 Request Header Or Cookie Too Large</title></head></html>", func() error { return put(t, s, 100) }, false},
	} {
		page = tt.page
		log.reset()
		err := tt.call()
		want := ClientCertError{Reason: "it answered 400 Bad Request"}
		var got *ClientCertError
		if errors.As(err, &got) != tt.want || tt.want && *got != want || len(log.all()) != 1 {
			t.Errorf("%q: got %v after %d attempts", tt.page, err, len(log.all()))
		}
	}
}

// Tokens go to the services that give credentials: these are verified even if
// the store is not, by the same authorities, and shown the same certificate.
func TestTLSOfTheServicesThatGiveCredentials(t *testing.T) {
	ca := authority(t)
	client := issue(t, ca, "client", s3test.Cert{})
	withoutKeys(t)
	sts := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			io.WriteString(w, `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials>
				<AccessKeyId>AK</AccessKeyId><SecretAccessKey>SK</SecretAccessKey><SessionToken>T</SessionToken>
				<Expiration>2100-01-01T00:00:00Z</Expiration></Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`)
		}),
		TLSConfig: &tls.Config{
			Certificates: []tls.Certificate{issue(t, ca, "sts", s3test.Cert{Hosts: []string{"127.0.0.1"}}).Certificate},
			ClientAuth:   tls.RequireAndVerifyClientCert, ClientCAs: ca.Pool(),
		},
		ErrorLog: discard,
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go sts.ServeTLS(ln, "", "")
	defer sts.Close()
	token := filepath.Join(t.TempDir(), "token")
	if err := os.WriteFile(token, []byte("token"), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/r")
	t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", token)
	t.Setenv("AWS_ENDPOINT_URL_STS", "https://"+ln.Addr().String())

	cfg := Config{Endpoint: "https://127.0.0.1:1", ClientCert: client.CertFile, ClientKey: client.KeyFile}
	cfg.CABundle = ca.File()
	if _, err := Open(t.Context(), cfg); err != nil {
		t.Error(err)
	}
	cfg.CABundle, cfg.NoVerifyTLS = "", true
	var unknown x509.UnknownAuthorityError
	if _, err := Open(t.Context(), cfg); !errors.Is(err, ErrNoCredentials) || !errors.As(err, &unknown) {
		t.Errorf("got %v, want a certificate that is not trusted", err)
	}
}

func TestBadTLSFiles(t *testing.T) {
	ca := authority(t)
	client := issue(t, ca, "client", s3test.Cert{})
	file := func(name, content string) string {
		t.Helper()
		name = filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(name, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	block := func(kind string) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: []byte("x")}))
	}
	junk, missing := file("junk", "x"), "/nonexistent/file"
	dir := t.TempDir()
	for name, tt := range map[string]struct {
		cfg         Config
		env         string
		what, value string
		why         string // "": the system's or crypto's words
	}{
		"no CA bundle":           {Config{CABundle: missing}, "", "CA bundle", missing, "no such file or directory"},
		"a folder":               {Config{CABundle: dir}, "", "CA bundle", dir, "is a directory"},
		"junk":                   {Config{CABundle: junk}, "", "CA bundle", junk, "no PEM certificate in it"},
		"a key":                  {Config{CABundle: client.KeyFile}, "", "CA bundle", client.KeyFile, "no PEM certificate in it"},
		"a device":               {Config{CABundle: "/dev/zero"}, "", "CA bundle", "/dev/zero", "not a regular file"},
		"no AWS_CA_BUNDLE":       {Config{}, missing, "AWS_CA_BUNDLE", missing, "no such file or directory"},
		"junk AWS_CA_BUNDLE":     {Config{}, junk, "AWS_CA_BUNDLE", junk, "no PEM certificate in it"},
		"no certificate":         {Config{ClientCert: missing}, "", "client certificate", missing, "no such file or directory"},
		"junk certificate":       {Config{ClientCert: junk, ClientKey: client.KeyFile}, "", "client certificate", junk, "no PEM certificate in it"},
		"broken certificate":     {Config{ClientCert: file("c", block("CERTIFICATE"))}, "", "client certificate", "", ""},
		"no key":                 {Config{ClientCert: client.CertFile, ClientKey: missing}, "", "client key", missing, "no such file or directory"},
		"key not in certificate": {Config{ClientCert: client.CertFile}, "", "client key", "", "is needed, as the file of the certificate holds no key"},
		"junk key":               {Config{ClientCert: client.CertFile, ClientKey: junk}, "", "client key", junk, "no PEM private key in it"},
		"broken key":             {Config{ClientCert: client.CertFile, ClientKey: file("k", block("EC PRIVATE KEY"))}, "", "client key", "", ""},
		"passphrase":             {Config{ClientCert: client.CertFile, ClientKey: file("k", block("ENCRYPTED PRIVATE KEY"))}, "", "client key", "", "the key has a passphrase; it must have none"},
		"key of another": {Config{ClientCert: client.CertFile, ClientKey: issue(t, ca, "other", s3test.Cert{}).KeyFile}, "",
			"client key", "", "private key does not match public key"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_CA_BUNDLE", tt.env)
			_, err := Open(t.Context(), tt.cfg)
			var got *ConfigError
			if !errors.As(err, &got) || got.What != tt.what || tt.value != "" && got.Value != tt.value ||
				tt.why != "" && got.Err.Error() != tt.why {
				t.Errorf("got %v, want %s %q: %s", err, tt.what, tt.value, tt.why)
			}
		})
	}
}

// What a peer said before it reset the connection is there to be read, even if
// writing met the reset first and the connection was closed for it.
func TestWordsBeforeAResetAreKept(t *testing.T) {
	const words = "why it does so"
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	raw, err := net.Dial("tcp", ln.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	peer, err := ln.Accept()
	if err != nil {
		t.Fatal(err)
	}
	c := newConn(raw, time.Minute, testBlocks())
	io.WriteString(peer, words)
	peer.(*net.TCPConn).SetLinger(0)
	peer.Close()
	for err == nil {
		_, err = c.Write(pattern(block))
	}
	c.Close()
	buf := make([]byte, 100)
	n, err := c.Read(buf)
	if string(buf[:n]) != words {
		t.Errorf("got %q, %v, want %q", buf[:n], err, words)
	}
}
