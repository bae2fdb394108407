package store

import (
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// ConfigError is a mistake in the configuration; nothing was sent.
type ConfigError struct {
	// What is "endpoint", "accelerate endpoint", "dual-stack endpoint", "FIPS
	// endpoint", "provider", "addressing style", "profile", "region", "proxy", "CA
	// bundle", "AWS_CA_BUNDLE", "client certificate", "client key", "access key
	// id", "secret access key", "session token" or "AWS configuration".
	What  string
	Value string // what was given, if it is one value
	Err   error
}

func (e *ConfigError) Error() string {
	if e.Value == "" {
		return fmt.Sprintf("%s: %v", e.What, e.Err)
	}
	return fmt.Sprintf("%s %q: %v", e.What, e.Value, e.Err)
}

func (e *ConfigError) Unwrap() error { return e.Err }

// GaveUp is the end of a call that was tried until patience ran out.
type GaveUp struct {
	Host     string        // that was asked; "" if it did not come to that
	After    time.Duration // the patience there was
	Answered bool          // false: it has never answered anything
	NoCert   bool          // it asked for a client certificate, and there is none
	Last     error         // what the last attempt met
}

func (e *GaveUp) Error() string {
	host := cmp.Or(e.Host, "the store") // it may have failed before it had an address
	if !e.Answered {
		return fmt.Sprintf("no answer from %s in %v: %v", host, e.After, e.Last)
	}
	return fmt.Sprintf("no progress with %s for %v: %v", host, e.After, e.Last)
}

func (e *GaveUp) Unwrap() error { return e.Last }

// Temporary is true: another time there may be an answer.
func (e *GaveUp) Temporary() bool { return true }

// StallError ends an attempt on a connection where no byte moved.
type StallError struct{ For time.Duration }

func (e *StallError) Error() string   { return fmt.Sprintf("no byte moved for %v", e.For) }
func (e *StallError) Timeout() bool   { return true }
func (e *StallError) Temporary() bool { return true }

// ClientCertError ends a connection on which the store asked for a client
// certificate and did not accept what it got. It is not tried again.
type ClientCertError struct {
	Given  bool   // one was shown
	Reason string // the store's: "unknown certificate authority"
}

func (e *ClientCertError) Error() string {
	if !e.Given {
		return "the store asks for a client certificate: " + e.Reason
	}
	return "the store does not accept the client certificate: " + e.Reason
}

// AnswerError ends a call that was answered as no S3 store answers. It is not
// tried again: there is no telling how often it would be so.
type AnswerError struct {
	Host string
	What string // "is larger than 16 MiB"
}

func (e *AnswerError) Error() string { return fmt.Sprintf("the answer from %s %s", e.Host, e.What) }

// Temporary is true: something else than the store may have answered.
func (e *AnswerError) Temporary() bool { return true }

func tooLarge(host string) error {
	return &AnswerError{host, fmt.Sprintf("is larger than %d MiB", maxAnswer>>20)}
}

func tooMuchHead(host string) error {
	return &AnswerError{host, fmt.Sprintf("begins with more than %d MiB of headers", maxHead>>20)}
}

func tooMuchMarkup(host string) error {
	return &AnswerError{host, fmt.Sprintf("has more than %d elements and attributes", maxMarkup)}
}

func tooSlow(host string, d time.Duration) error {
	return &AnswerError{host, fmt.Sprintf("has not ended after %v", d)}
}

// BodyError says that the body of a request could not be read to its end: the
// trouble is with the source. It is not tried again.
type BodyError struct{ Err error }

func (e *BodyError) Error() string { return fmt.Sprintf("read the body: %v", e.Err) }
func (e *BodyError) Unwrap() error { return e.Err }

// StatusCode is the HTTP status of the answer that err came with, or 0.
func StatusCode(err error) int {
	var e interface{ HTTPStatusCode() int }
	if errors.As(err, &e) {
		return e.HTTPStatusCode()
	}
	return 0
}

// Code is the S3 error code that err came with, "NoSuchUpload" for one, or "".
// HEAD answers have no body: theirs are "NotFound", "Forbidden" and so on.
func Code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

// RequestID is the store's own name for the request that err came from, or "".
func RequestID(err error) string {
	var e interface{ ServiceRequestID() string }
	if errors.As(err, &e) {
		return e.ServiceRequestID()
	}
	return ""
}

// BucketRegion is where the store said the bucket is, when it refused a request
// that was meant for another region; else "".
func BucketRegion(err error) string {
	var e *smithyhttp.ResponseError
	if !errors.As(err, &e) || e.Response == nil || e.Response.Response == nil {
		return ""
	}
	switch e.HTTPStatusCode() {
	case http.StatusMovedPermanently, http.StatusTemporaryRedirect, http.StatusBadRequest, http.StatusForbidden:
		return e.Response.Header.Get(bucketRegionHeader)
	}
	return ""
}

// Redirect says whether a store sent a request elsewhere, and where to, as a
// scheme and a host, if it told so. Redirects are not followed.
func Redirect(err error) (to string, ok bool) {
	status := StatusCode(err)
	if status < 300 || status > 399 || status == http.StatusNotModified {
		return "", false
	}
	var e *smithyhttp.ResponseError
	if errors.As(err, &e) && e.Response != nil && e.Response.Response != nil {
		if u, err := url.Parse(e.Response.Header.Get("Location")); err == nil && u.Host != "" {
			return (&url.URL{Scheme: u.Scheme, Host: u.Host}).String(), true
		}
	}
	return "", true
}

// IsTemporary says whether the same call may well succeed later: the network,
// an overloaded or ailing store, throttling.
func IsTemporary(err error) bool {
	var gaveUp *GaveUp
	var absurd *AnswerError
	var body *BodyError
	var netErr net.Error
	var sendErr *smithyhttp.RequestSendError
	switch {
	case err == nil, errors.Is(err, context.Canceled), errors.Is(err, ErrNoCredentials),
		errors.As(err, &body), neverMends(err), isVerdict(Code(err)):
		return false
	case errors.As(err, &gaveUp), errors.As(err, &absurd):
		return true
	case isThrottle(err), isTemporaryAnswer(err), isCut(err):
		return true
	}
	return errors.As(err, &sendErr) || errors.As(err, &netErr)
}

// neverMends are failures to talk at all that waiting does not change.
func neverMends(err error) bool {
	var cert *tls.CertificateVerificationError
	var unknown x509.UnknownAuthorityError
	var host x509.HostnameError
	var invalid x509.CertificateInvalidError
	var record tls.RecordHeaderError
	var client *ClientCertError
	return errors.As(err, &cert) || errors.As(err, &unknown) || errors.As(err, &host) || errors.As(err, &invalid) ||
		errors.As(err, &record) || errors.As(err, &client) || errors.Is(err, http.ErrSchemeMismatch) || errors.Is(err, ErrWantsTLS)
}
