package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"github.com/urfave/cli/v2"

	"s3up/internal/store"
	"s3up/internal/upload"
)

// call wraps an error as the SDK does.
func call(op string, status int, err error) error {
	response := &smithyhttp.Response{Response: &http.Response{StatusCode: status, Header: http.Header{}}}
	return &smithy.OperationError{ServiceID: "S3", OperationName: op, Err: &awshttp.ResponseError{
		RequestID: "ID", ResponseError: &smithyhttp.ResponseError{Response: response, Err: err}}}
}

func answer(op string, status int, code, message string) error {
	return call(op, status, &smithy.GenericAPIError{Code: code, Message: message})
}

// untrusted wraps what is wrong with a certificate as crypto/tls does.
func untrusted(err error) error { return &tls.CertificateVerificationError{Err: err} }

func TestExplain(t *testing.T) {
	refused := &url.Error{Op: "Put", URL: "http://h/", Err: &net.OpError{Op: "dial", Err: syscall.ECONNREFUSED}}
	for _, tt := range []struct {
		err       error
		resumable bool
		exit      int
		code      string
		why, hint string
	}{
		{err: &fs.PathError{Op: "open", Path: "f", Err: syscall.EACCES}, exit: 7, code: "access",
			why: "the file may not be read", hint: "check its permissions"},
		{err: &fs.PathError{Op: "read", Path: "f", Err: syscall.EIO}, exit: 1, code: "failed", why: "input/output error"},
		{err: answer("UploadPart", 403, "AccessDenied", "No."), exit: 7, code: "AccessDenied",
			why: "access denied (No)", hint: "the credentials need s3:PutObject on b; a policy of the bucket may want --sign-payload"},
		{err: answer("CopyObject", 403, "AccessDenied", ""), exit: 7, code: "AccessDenied",
			why: "access denied", hint: "the credentials need s3:PutObject and s3:GetObject on b"},
		{err: answer("UploadPart", 400, "ExpiredToken", "x"), resumable: true, exit: 7, code: "ExpiredToken",
			why:  "the credentials have expired",
			hint: "renew them (aws sso login, or a new AWS_SESSION_TOKEN) and run it again; what was sent is kept, go on with: s3up cp f s3://b/k"},
		{err: answer("PutObject", 400, "Strange", "It is Tuesday."), exit: 1, code: "Strange",
			why: "the store answered 400 Strange to PutObject (It is Tuesday)"},
		{err: answer("PutObject", 409, "ObjectParentIsFile", "Object parent already exists as a file."), exit: 6, code: "ObjectParentIsFile",
			why:  "there is an object whose key this one would be a folder below, and the store keeps keys as files (Object parent already exists as a file)",
			hint: "it cannot have both: delete that object first, or use another key"},
		{err: answer("PutObject", 400, "InvalidRequest", `Object name "q/a" is the name of a directory`), exit: 6, code: "InvalidRequest",
			why:  "there are objects below this key, and the store keeps keys as files (Object name \"q/a\" is the name of a directory)",
			hint: "it cannot have both: delete those objects first, or use another key"},
		{err: answer("PutObject", 400, "InvalidRequest", `Directory "q" is the name of an object`), exit: 6, code: "InvalidRequest",
			why:  "there is an object whose key this one would be a folder below, and the store keeps keys as files (Directory \"q\" is the name of an object)",
			hint: "it cannot have both: delete that object first, or use another key"},
		{err: call("PutObject", 502, errors.New("no XML")), exit: 5, code: "temporary",
			why: "the store answered 502 Bad Gateway to PutObject", hint: "start again with: s3up cp f s3://b/k"},
		{err: call("HeadObject", 0, &store.GaveUp{Host: "h", After: 15 * time.Second, Last: refused}), exit: 5, code: "temporary",
			why: "h has not answered in 15s: connection refused", hint: "check --endpoint-url and the network"},
		{err: call("HeadObject", 0, &store.GaveUp{Host: "h", After: 15 * time.Second, Last: &store.ProxyError{Host: "p:3128", Err: refused}}), exit: 5, code: "temporary",
			why: "the proxy p:3128 has led nowhere in 15s: connection refused", hint: "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"},
		{err: call("HeadObject", 0, &store.ProxyError{Host: "p:3128", Status: 407, Err: errors.New("it answered 407 Proxy Authentication Required")}), exit: 2, code: "usage",
			why: "the proxy p:3128 lets nobody through: it answered 407 Proxy Authentication Required", hint: "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"},
		{err: call("UploadPart", 0, &store.GaveUp{Host: "h", After: 5 * time.Minute, Answered: true, Last: answer("UploadPart", 503, "SlowDown", "")}),
			resumable: true, exit: 5, code: "SlowDown",
			why:  "no progress with h for 5m0s: the store answered 503 SlowDown to UploadPart",
			hint: "what was sent is kept, go on with: s3up cp f s3://b/k"},
		{err: call("PutObject", 0, &url.Error{Op: "Put", URL: "https://h/", Err: x509.UnknownAuthorityError{}}), exit: 2, code: "usage",
			why:  "the store's certificate is not trusted: x509: certificate signed by unknown authority",
			hint: "--ca-bundle FILE (or AWS_CA_BUNDLE) names a file with the certificate of its authority"},
		{err: call("PutObject", 0, &url.Error{Op: "Put", URL: "https://h/", Err: untrusted(x509.CertificateInvalidError{
			Reason: x509.Expired, Cert: &x509.Certificate{NotAfter: time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)}})}), exit: 2, code: "usage",
			why: "the store's certificate expired on 2020-01-02 03:04:05 UTC", hint: "have it renewed, or check this machine's clock"},
		{err: call("PutObject", 0, untrusted(x509.CertificateInvalidError{Reason: x509.Expired,
			Cert: &x509.Certificate{IsCA: true, NotBefore: time.Date(2220, 1, 2, 3, 4, 5, 0, time.UTC)}})), exit: 2, code: "usage",
			why:  "the certificate of the store's authority is not valid before 2220-01-02 03:04:05 UTC",
			hint: "have it renewed, or check this machine's clock"},
		{err: call("PutObject", 0, untrusted(errors.New("x509: it is on a list"))), exit: 2, code: "usage",
			why: "the store's certificate is not valid: x509: it is on a list", hint: "have it replaced"},
		{err: call("UploadPart", 0, &store.ClientCertError{Given: true, Reason: "expired certificate"}), resumable: true, exit: 2, code: "usage",
			why:  "the store does not accept the client certificate: expired certificate",
			hint: "check --client-cert; what was sent is kept, go on with: s3up cp f s3://b/k"},
		{err: call("HeadObject", 0, &store.GaveUp{Host: "h", After: 15 * time.Second, NoCert: true, Last: syscall.ECONNRESET}), exit: 5, code: "temporary",
			why: "h has not answered in 15s, and asks for a client certificate: connection reset by peer", hint: "add --client-cert FILE"},
		{err: call("PutObject", 0, &url.Error{Op: "Put", URL: "https://h/", Err: http.ErrSchemeMismatch}), exit: 2, code: "usage",
			why: "the endpoint does not speak https", hint: "use http:// in --endpoint-url"},
		{err: &store.CredentialsError{Err: answer("AssumeRole", 403, "AccessDenied", "Not you.")}, exit: 7, code: "AccessDenied",
			why:  "no credentials: AccessDenied (Not you)",
			hint: "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, name a --profile, or run aws configure"},
		{err: &upload.Error{Kind: upload.Interrupted, Msg: "interrupted", Err: stopped{syscall.SIGTERM}}, resumable: true, exit: 143, code: "interrupted",
			why: "interrupted", hint: "what was sent is kept, go on with: s3up cp f s3://b/k"},
		{err: &upload.Error{Kind: upload.SourceChanged, Msg: "f changed while it was read"}, exit: 11, code: "source-changed",
			why: "f changed while it was read", hint: "run it again when nobody writes to it, or with --on-change retry; --size-at-start is for files that only grow"},
		{err: &upload.Error{Kind: upload.Access, Msg: "a staged copy could not be deleted again", Err: answer("DeleteObject", 403, "AccessDenied", "")},
			exit: 7, code: "AccessDenied", hint: "the credentials need s3:DeleteObject on b",
			why: "a staged copy could not be deleted again: the store answered 403 AccessDenied to DeleteObject"},
		{err: call("ListParts", 200, &store.AnswerError{Host: "h", What: "is larger than 16 MiB"}), resumable: true, exit: 5, code: "temporary",
			why:  "ListParts: the answer from h is larger than 16 MiB: it may not come from an S3 store",
			hint: "check --endpoint-url and what is between; what was sent is kept, go on with: s3up cp f s3://b/k"},
		{err: call("HeadObject", 200, &smithy.DeserializationError{Err: errors.New("bad date")}), exit: 5, code: "temporary",
			why:  "the answer to HeadObject cannot be read (bad date): it may not come from an S3 store",
			hint: "start again with: s3up cp f s3://b/k"},
		{err: answer("PutObject", 307, "TemporaryRedirect", ""), exit: 2, code: "TemporaryRedirect",
			why: "the bucket b is at another endpoint", hint: "check --region and --endpoint-url"},
		{err: answer("PutObject", 501, "NotImplemented", ""), resumable: true, exit: 1, code: "NotImplemented",
			why: "the store does not do PutObject", hint: "what was sent is kept, go on with: s3up cp f s3://b/k"},
		{err: context.Canceled, exit: 1, code: "failed", why: "context canceled"},
	} {
		got := explain(tt.err, facts{bucket: "b", region: "us-east-1", again: "s3up cp f s3://b/k", resumable: tt.resumable})
		if got.exit != tt.exit || got.code != tt.code || got.why != tt.why || got.hint != tt.hint {
			t.Errorf("%v:\ngot  %d %s %q; %q\nwant %d %s %q; %q", tt.err, got.exit, got.code, got.why, got.hint, tt.exit, tt.code, tt.why, tt.hint)
		}
	}
}

// What a store does not know may be refused as a request that makes no sense, as
// MinIO does aws:kms:dsse.
func TestExplainRefusedFlags(t *testing.T) {
	const said = "The encryption method is not supported"
	for _, tt := range []struct {
		asked []string
		op    string
		want  string
	}{
		{[]string{"--tagging", "--sse"}, "PutObject", "the store does not take PutObject with --sse (" + said + "); leave that out"},
		{[]string{"--sse"}, "UploadPart", "the store answered 400 InvalidArgument to UploadPart (" + said + ")"},
		{[]string{"--tagging"}, "PutObject", "the store answered 400 InvalidArgument to PutObject (" + said + ")"},
	} {
		p := explain(answer(tt.op, 400, "InvalidArgument", said), facts{bucket: "b", asked: tt.asked})
		if got := sentence(p.why, p.hint); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

// Who asks without credentials is not told what these lack.
func TestExplainUnsigned(t *testing.T) {
	f := facts{bucket: "b", region: "us-east-1", unsigned: true}
	for op, want := range map[string]string{
		"PutObject":  "leave out --no-sign-request, or have a policy of the bucket b allow everybody s3:PutObject; a policy of the bucket may want --sse",
		"HeadObject": "leave out --no-sign-request, or have a policy of the bucket b allow everybody s3:GetObject",
	} {
		for _, err := range []error{answer(op, 403, "AccessDenied", ""), answer(op, 403, "Forbidden", "")} {
			if p := explain(err, f); p.exit != exitAccess || p.hint != want {
				t.Errorf("%s: %d %q", op, p.exit, p.hint)
			}
		}
	}
	if p := explain(&upload.Error{Kind: upload.Access, Msg: "x", Err: answer("DeleteObject", 403, "", "")}, f); !strings.HasPrefix(p.hint, "leave out --no-sign-request") {
		t.Errorf("%q", p.hint)
	}
}

// Every kind of end has an exit code, and none is success.
func TestKindCodes(t *testing.T) {
	for kind := upload.Other; kind <= upload.Interrupted; kind++ {
		if kindCodes[kind] == exitOK {
			t.Errorf("kind %d ends with exit code 0", kind)
		}
	}
}

// Every flag is in the help, under a group that is shown.
func TestHelpHasAllFlags(t *testing.T) {
	text := flagHelp(cpFlags())
	for _, f := range cpFlags() {
		if name := f.Names()[0]; strings.Contains(text, "--"+name) != f.(cli.VisibleFlag).IsVisible() {
			t.Errorf("--%s is not in the help, or is to be hidden", name)
		}
	}
}
