package upload

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Kind is what a caller decides by: what sort of end an upload came to.
type Kind int

const (
	Other         Kind = iota // no finer kind
	Usage                     // the request makes no sense; nothing was sent
	Integrity                 // the object is not the bytes that were read
	Temporary                 // network, 5xx, throttling: run it again
	Conflict                  // somebody else wrote the key
	Access                    // credentials or permission
	NotFound                  // no such source or bucket, or an empty source where that is refused
	TooShort                  // the source has fewer bytes than it was to have
	SourceChanged             // the source changed while it was read
	Interrupted               // the context was cancelled
	Unprotected               // stored, without the encryption or the lock that was asked for
	Unpublished               // the encryption that was asked for is not to be had: nothing was replaced
	Unmet                     // a condition did not hold, see Result.Found
)

// Error is an end that the engine itself saw, of a kind that is not to be found
// in Err.
type Error struct {
	Kind Kind
	Msg  string
	Err  error // may be nil
}

func (e *Error) Error() string {
	if e.Err == nil {
		return e.Msg
	}
	return e.Msg + ": " + e.Err.Error()
}

func (e *Error) Unwrap() error { return e.Err }

func fail(kind Kind, format string, args ...any) *Error {
	err := fmt.Errorf(format, args...)
	return &Error{Kind: kind, Msg: err.Error()}
}

// errGone says that the upload that parts were sent to is no more: somebody
// completed it, or aborted it.
var errGone = errors.New("the multipart upload is gone")

// KindOf tells the kind of an error that the engine returned.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case err == nil:
		return Other
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.Canceled):
		return Interrupted
	}
	// A Client that gave up, or has no credentials any more, says so, whatever it
	// met last.
	var passing interface{ Temporary() bool }
	if errors.As(err, &passing) && passing.Temporary() {
		return Temporary
	}
	var denied interface{ Unauthorized() bool }
	if errors.As(err, &denied) && denied.Unauthorized() {
		return Access
	}
	if kind, ok := kindOfCode[code(err)]; ok {
		return kind
	}
	var certificate *tls.CertificateVerificationError
	if errors.As(err, &certificate) {
		return Usage
	}
	var path *fs.PathError
	if errors.As(err, &path) {
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return NotFound
		case errors.Is(err, fs.ErrPermission):
			return Access
		}
		return Other
	}
	switch status := status(err); {
	case status >= 300 && status <= 399 && status != http.StatusNotModified:
		return Usage // the bucket is somewhere else
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return Access
	case status == http.StatusNotFound:
		return NotFound
	case status == http.StatusPreconditionFailed, status == http.StatusConflict:
		return Conflict
	case status == http.StatusRequestTimeout, status == http.StatusTooManyRequests, status == 499,
		status >= 500 && status != http.StatusNotImplemented:
		return Temporary
	case status/100 == 2:
		return Temporary // an answer that nobody can read
	case status != 0:
		return Other
	}
	if isNetwork(err) {
		return Temporary
	}
	return Other
}

// kindOfCode holds the codes whose HTTP status says something else.
var kindOfCode = map[string]Kind{
	"NoSuchBucket":                       NotFound,
	"PermanentRedirect":                  Usage,
	"AuthorizationHeaderMalformed":       Usage, // the signature names another region
	"IllegalLocationConstraintException": Usage,
	"InvalidBucketName":                  Usage,
	"InvalidStorageClass":                Usage,
	"KeyTooLongError":                    Usage,
	"MetadataTooLarge":                   Usage,
	"EntityTooLarge":                     Usage,
	"AccessDenied":                       Access, // also of one of many keys, which has no status
	"InvalidAccessKeyId":                 Access,
	"InvalidToken":                       Access,
	"ExpiredToken":                       Access,
	"TokenRefreshRequired":               Access,
	"InvalidClientTokenId":               Access,
	"RequestTimeTooSkewed":               Access,
	"SlowDown":                           Temporary,
	"RequestTimeout":                     Temporary,
	"OperationAborted":                   Temporary,
	"BadDigest":                          Integrity,
	"InternalError":                      Temporary,
	"ServiceUnavailable":                 Temporary,
}

// isNetwork says whether no whole answer came: the connection failed, stalled
// or was cut.
func isNetwork(err error) bool {
	var send *smithyhttp.RequestSendError
	var op net.Error
	return errors.As(err, &send) || errors.As(err, &op) ||
		errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, io.EOF)
}

// code returns the S3 error code of an answer, "" if there was none.
func code(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		return e.ErrorCode()
	}
	return ""
}

// status returns the HTTP status of an answer, 0 if there was none.
func status(err error) int {
	var e *awshttp.ResponseError
	if errors.As(err, &e) && e.Response != nil && e.Response.Response != nil {
		return e.HTTPStatusCode()
	}
	return 0
}

// header returns a header of the answer that an error is, "" if there is none.
func header(err error, name string) string {
	var e *awshttp.ResponseError
	if errors.As(err, &e) && e.Response != nil && e.Response.Response != nil {
		return e.Response.Header.Get(name)
	}
	return ""
}

// cannotLook says whether HEAD was refused for good. Its answers have no body: a
// 400 may be an expired token as well.
func cannotLook(err error) bool {
	switch status(err) {
	case http.StatusForbidden, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return true
	}
	return false
}

// isGone says whether an upload id is no longer known. Ceph 16 answers
// NoSuchKey to ListParts (SERVERS.md, finding 10).
func isGone(err error) bool {
	c := code(err)
	return c == "NoSuchUpload" || c == "NoSuchKey"
}

// cannot says whether a request was refused for good: the store does not do
// such a thing, or not for these credentials. Anything that a retry or other
// credentials in general could mend is not of this sort.
func cannot(err error) bool {
	switch code(err) {
	case "InvalidAccessKeyId", "SignatureDoesNotMatch", "ExpiredToken", "InvalidToken", "TokenRefreshRequired",
		"RequestTimeTooSkewed", "AuthorizationHeaderMalformed", "NoSuchBucket", "RequestTimeout":
		return false
	}
	switch status(err) {
	case http.StatusBadRequest, http.StatusForbidden, http.StatusNotFound, http.StatusMethodNotAllowed,
		http.StatusNotImplemented, http.StatusLengthRequired, http.StatusRequestURITooLong, http.StatusRequestHeaderFieldsTooLarge:
		return true
	}
	return false
}
