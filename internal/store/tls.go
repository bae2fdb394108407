package store

import (
	"bytes"
	"cmp"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"strings"
	"sync/atomic"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/config"

	"s3up/internal/smallfile"
)

const caBundleEnv = "AWS_CA_BUNDLE"

// tlsFiles are what the files for TLS hold.
type tlsFiles struct {
	authorities []byte           // PEM; nil: those of the profile, or of the system
	client      *tls.Certificate // nil: none
}

// readTLS reads the files that cfg and AWS_CA_BUNDLE name. The SDK would read
// the latter as well, but its error does not say which file it was.
func readTLS(cfg Config) (tlsFiles, error) {
	var files tlsFiles
	var err error
	if cfg.CABundle != "" {
		files.authorities, err = readAuthorities("CA bundle", cfg.CABundle)
	} else if file := os.Getenv(caBundleEnv); file != "" {
		files.authorities, err = readAuthorities(caBundleEnv, file)
	}
	if err == nil && cfg.ClientCert != "" {
		files.client, err = readClient(cfg.ClientCert, cfg.ClientKey)
	}
	return files, err
}

func readAuthorities(what, file string) ([]byte, error) {
	data, err := readSmall(what, file)
	if err == nil && !x509.NewCertPool().AppendCertsFromPEM(data) {
		err = &ConfigError{What: what, Value: file, Err: errors.New("no PEM certificate in it")}
	}
	return data, err
}

// readClient reads a certificate, and its key from the same file if keyFile is
// empty.
func readClient(certFile, keyFile string) (*tls.Certificate, error) {
	const cert, key = "client certificate", "client key"
	chain, err := readSmall(cert, certFile)
	if err != nil {
		return nil, err
	}
	leaf := firstPEM(chain, isCertificate)
	if leaf == nil {
		return nil, &ConfigError{What: cert, Value: certFile, Err: errors.New("no PEM certificate in it")}
	}
	if _, err := x509.ParseCertificate(leaf.Bytes); err != nil {
		return nil, &ConfigError{What: cert, Value: certFile, Err: bare(err)}
	}
	secret := chain
	if keyFile != "" {
		if secret, err = readSmall(key, keyFile); err != nil {
			return nil, err
		}
	}
	block := firstPEM(secret, isPrivateKey)
	switch {
	case block == nil && keyFile == "":
		return nil, &ConfigError{What: key, Err: errors.New("is needed, as the file of the certificate holds no key")}
	case block == nil:
		return nil, &ConfigError{What: key, Value: keyFile, Err: errors.New("no PEM private key in it")}
	case strings.HasPrefix(block.Type, "ENCRYPTED ") || block.Headers["DEK-Info"] != "":
		return nil, &ConfigError{What: key, Value: cmp.Or(keyFile, certFile), Err: errors.New("the key has a passphrase; it must have none")}
	}
	pair, err := tls.X509KeyPair(chain, secret)
	if err != nil {
		return nil, &ConfigError{What: key, Value: cmp.Or(keyFile, certFile), Err: bare(err)}
	}
	return &pair, nil
}

// firstPEM returns the first block of a kind.
func firstPEM(data []byte, isKind func(string) bool) *pem.Block {
	for {
		var block *pem.Block
		if block, data = pem.Decode(data); block == nil || isKind(block.Type) {
			return block
		}
	}
}

func isCertificate(kind string) bool { return kind == "CERTIFICATE" }

func isPrivateKey(kind string) bool { // "EC PRIVATE KEY", "ENCRYPTED PRIVATE KEY"
	return kind == "PRIVATE KEY" || strings.HasSuffix(kind, " PRIVATE KEY")
}

// readSmall reads a file. The error names it once.
func readSmall(what, file string) ([]byte, error) {
	data, err := smallfile.Read(file)
	var path *fs.PathError
	if errors.As(err, &path) {
		err = path.Err
	}
	if err != nil {
		return nil, &ConfigError{What: what, Value: file, Err: err}
	}
	return data, nil
}

// bare takes the name of its package from an error's text.
func bare(err error) error {
	_, text, _ := strings.Cut(err.Error(), ": ")
	return errors.New(cmp.Or(text, err.Error()))
}

// options hand the files to the SDK, which uses them for the services that give
// credentials too.
func (f tlsFiles) options() []func(*config.LoadOptions) error {
	var opts []func(*config.LoadOptions) error
	if f.authorities != nil {
		opts = append(opts, config.WithCustomCABundle(bytes.NewReader(f.authorities)))
	}
	return opts
}

// httpClient returns a client that shows the certificate, if there is one.
func (f tlsFiles) httpClient() *awshttp.BuildableClient {
	client := awshttp.NewBuildableClient()
	if f.client == nil {
		return client
	}
	return client.WithTransportOptions(func(t *http.Transport) { t.TLSClientConfig.GetClientCertificate = f.certificate })
}

// certificate answers a server that asks for one. It is shown whatever
// authorities the server names, so that the server can say what is wrong with it;
// crypto/tls by itself would keep it back and be told that none was shown.
func (f tlsFiles) certificate(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
	if f.client == nil {
		return new(tls.Certificate), nil
	}
	return f.client, nil
}

// identity is what a store wants to know, and is told, of who connects.
type identity struct {
	files tlsFiles
	asked atomic.Bool // some connection was asked for a client certificate
}

// show is a tls.Config's GetClientCertificate.
func (id *identity) show(info *tls.CertificateRequestInfo) (*tls.Certificate, error) {
	id.asked.Store(true)
	return id.files.certificate(info)
}

// missing says that the store asked for a client certificate and there is none.
func (id *identity) missing() bool { return id.asked.Load() && id.files.client == nil }

// verdict returns what the store said of the client certificate, if err, or what
// is left on x's connection, tells; else err. Under TLS 1.3 a client sends its
// request before the store has judged the certificate: what net/http meets then
// may be that the request could not be written, and the reason is unread.
func (id *identity) verdict(x *exchange, err error) error {
	if !id.asked.Load() {
		return err
	}
	for _, err := range []error{err, x.lastWord()} {
		if alert, ok := remoteAlert(err); ok && aboutCertificate[alert] {
			return &ClientCertError{Given: id.files.client != nil, Reason: strings.TrimPrefix(alert.Error(), "tls: ")}
		}
	}
	return err
}

// page returns the verdict of a proxy that lets every client connect and tells
// those without a certificate that it accepts in a page of its own, as nginx does
// (http://nginx.org/en/docs/http/ngx_http_ssl_module.html#errors); else nil. A
// page that answers HEAD has no words; what a store answers is not HTML.
func (id *identity) page(req *http.Request, res *http.Response) error {
	if !id.asked.Load() || res.StatusCode != http.StatusBadRequest || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/html") {
		return nil
	}
	if req.Method != http.MethodHead && !bytes.Contains(peek(res), []byte("SSL certificate")) {
		return nil
	}
	res.Body.Close()
	return &ClientCertError{Given: id.files.client != nil, Reason: "it answered " + res.Status}
}

// ErrWantsTLS says that what was talked to over http wants https.
var ErrWantsTLS = errors.New("the endpoint speaks https, and not http")

// wantsTLS returns ErrWantsTLS if that is what the answer says: servers in Go
// (MinIO, versitygw) do it in words of net/http's, nginx in a page of its own.
func wantsTLS(req *http.Request, res *http.Response) error {
	if req.URL.Scheme != "http" || res.StatusCode != http.StatusBadRequest || req.Method == http.MethodHead {
		return nil
	}
	head := peek(res)
	if !bytes.Contains(head, []byte("HTTP request to an HTTPS server")) && !bytes.Contains(head, []byte("plain HTTP request was sent to HTTPS port")) {
		return nil
	}
	res.Body.Close()
	return ErrWantsTLS
}

// peek returns the beginning of the body of an answer, which stays whole.
func peek(res *http.Response) []byte {
	head, _ := io.ReadAll(io.LimitReader(res.Body, 4<<10))
	res.Body = struct {
		io.Reader
		io.Closer
	}{io.MultiReader(bytes.NewReader(head), res.Body), res.Body}
	return head
}

// aboutCertificate are the alerts that are about the client certificate once a
// store has asked for one; the others are numbered in RFC 8446, 6.2. Before
// TLS 1.3 none says that it is missing: that is a handshake failure.
var aboutCertificate = map[tls.AlertError]bool{
	40:  true, // handshake_failure
	42:  true, // bad_certificate
	43:  true, // unsupported_certificate
	44:  true, // certificate_revoked
	45:  true, // certificate_expired
	46:  true, // certificate_unknown
	48:  true, // unknown_ca
	49:  true, // access_denied
	116: true, // certificate_required
}

// remoteAlert returns the alert with which the peer ended a connection. The type
// that crypto/tls has for it over TCP is its own; what it says is that of an
// AlertError.
func remoteAlert(err error) (tls.AlertError, bool) {
	var op *net.OpError
	if !errors.As(err, &op) || op.Op != "remote error" {
		return 0, false
	}
	for alert := range 256 {
		if a := tls.AlertError(alert); op.Err.Error() == a.Error() {
			return a, true
		}
	}
	return 0, false
}
