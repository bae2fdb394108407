package s3test

import (
	"cmp"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"time"
)

// A CA issues certificates, and keeps them in a folder as PEM files.
type CA struct {
	dir  string
	cert *x509.Certificate
	key  *ecdsa.PrivateKey
}

// A Cert is what a certificate says. By the real clock, whatever a server's own
// says, it is valid from yesterday on for a year.
type Cert struct {
	Hosts       []string // names and IP addresses
	From, Until time.Time
}

// A Pair is a certificate with its key, for servers and clients alike.
type Pair struct {
	CertFile, KeyFile string
	Certificate       tls.Certificate
}

// NewCA makes an authority with a certificate of its own, which is ca.pem in dir.
func NewCA(dir string) (*CA, error) {
	ca := &CA{dir: dir}
	template := &x509.Certificate{
		Subject:               pkix.Name{CommonName: "s3test CA " + rand.Text()[:8]},
		IsCA:                  true,
		BasicConstraintsValid: true,
		KeyUsage:              x509.KeyUsageCertSign,
	}
	der, key, err := ca.sign(template, Cert{})
	if err != nil {
		return nil, err
	}
	ca.key = key
	if ca.cert, err = x509.ParseCertificate(der); err != nil {
		return nil, err
	}
	return ca, writePEM(ca.File(), "CERTIFICATE", der)
}

// File is the authority's certificate, for --ca-bundle and AWS_CA_BUNDLE.
func (ca *CA) File() string { return filepath.Join(ca.dir, "ca.pem") }

// Pool trusts the authority.
func (ca *CA) Pool() *x509.CertPool {
	pool := x509.NewCertPool()
	pool.AddCert(ca.cert)
	return pool
}

// Issue makes a certificate and its key, which are name.pem and name.key.
func (ca *CA) Issue(name string, c Cert) (*Pair, error) {
	template := &x509.Certificate{
		Subject:     pkix.Name{CommonName: name},
		KeyUsage:    x509.KeyUsageDigitalSignature,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth, x509.ExtKeyUsageClientAuth},
	}
	der, key, err := ca.sign(template, c)
	if err != nil {
		return nil, err
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		return nil, err
	}
	p := &Pair{CertFile: filepath.Join(ca.dir, name+".pem"), KeyFile: filepath.Join(ca.dir, name+".key")}
	if err := writePEM(p.CertFile, "CERTIFICATE", der); err != nil {
		return nil, err
	}
	if err := writePEM(p.KeyFile, "PRIVATE KEY", pkcs8); err != nil {
		return nil, err
	}
	p.Certificate, err = tls.LoadX509KeyPair(p.CertFile, p.KeyFile)
	return p, err
}

// sign makes a key and a certificate for it; one that signs itself as long as
// the authority has none.
func (ca *CA) sign(template *x509.Certificate, c Cert) ([]byte, *ecdsa.PrivateKey, error) {
	now := time.Now()
	template.SerialNumber = big.NewInt(now.UnixNano())
	template.NotBefore, template.NotAfter = now.Add(-24*time.Hour), now.Add(365*24*time.Hour)
	if !c.From.IsZero() {
		template.NotBefore = c.From
	}
	if !c.Until.IsZero() {
		template.NotAfter = c.Until
	}
	for _, host := range c.Hosts {
		if ip := net.ParseIP(host); ip != nil {
			template.IPAddresses = append(template.IPAddresses, ip)
		} else {
			template.DNSNames = append(template.DNSNames, host)
		}
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, nil, err
	}
	der, err := x509.CreateCertificate(rand.Reader, template, cmp.Or(ca.cert, template), &key.PublicKey, cmp.Or(ca.key, key))
	return der, key, err
}

func writePEM(file, kind string, der []byte) error {
	return os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}), 0o600)
}

// setUpTLS gives the server its certificate.
func (s *Server) setUpTLS() error {
	cert := s.o.Certificate
	if cert == nil {
		ca, err := NewCA(s.dir)
		if err != nil {
			return err
		}
		own, err := ca.Issue("server", Cert{Hosts: []string{"127.0.0.1", "::1", "localhost", "*.localhost", s.o.Domain, "*." + s.o.Domain}})
		if err != nil {
			return err
		}
		cert, s.ca = &own.Certificate, ca
	}
	c := &tls.Config{Certificates: []tls.Certificate{*cert}, MaxVersion: s.o.MaxTLS}
	if s.o.ClientCAs != nil {
		c.ClientAuth = tls.RequireAndVerifyClientCert
		c.ClientCAs = s.o.ClientCAs.Clone()
		c.ClientCAs.AddCert(cert.Leaf) // the server's own client shows it
	}
	s.http.TLSConfig = c
	return nil
}

// clientTLS is for the server's own client, which knows the server.
func (s *Server) clientTLS() *tls.Config {
	own := &s.http.TLSConfig.Certificates[0]
	return &tls.Config{
		RootCAs:            s.CertPool(),
		InsecureSkipVerify: s.ca == nil,
		GetClientCertificate: func(*tls.CertificateRequestInfo) (*tls.Certificate, error) {
			return own, nil
		},
	}
}

// CertPool trusts the server's certificate; nil without TLS, and with a
// Certificate from elsewhere.
func (s *Server) CertPool() *x509.CertPool {
	if s.ca == nil {
		return nil
	}
	return s.ca.Pool()
}

// CAFile is the certificate of the server's authority as a PEM file, for
// AWS_CA_BUNDLE; "" where CertPool is nil. It goes when the server closes.
func (s *Server) CAFile() string {
	if s.ca == nil {
		return ""
	}
	return s.ca.File()
}
