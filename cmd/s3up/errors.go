package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"net/http"
	"time"

	"github.com/aws/smithy-go"

	"s3up/internal/store"
	"s3up/internal/upload"
)

// Exit codes.
const (
	exitOK            = 0
	exitFailed        = 1
	exitUsage         = 2
	exitPartial       = 3
	exitIntegrity     = 4
	exitTemporary     = 5
	exitConflict      = 6
	exitAccess        = 7
	exitNotFound      = 8
	exitUnverifiable  = 9
	exitNotMD5        = 10
	exitSourceChanged = 11
	exitLocked        = 12
)

// codeNames name exit codes in the error_code of --json, where the store gave no
// code of its own.
var codeNames = map[int]string{
	exitFailed:        "failed",
	exitUsage:         "usage",
	exitIntegrity:     "integrity",
	exitTemporary:     "temporary",
	exitConflict:      "conflict",
	exitAccess:        "access",
	exitNotFound:      "not-found",
	exitUnverifiable:  "unverifiable",
	exitNotMD5:        "not-md5",
	exitSourceChanged: "source-changed",
	exitLocked:        "locked",
}

// kindCodes are the exit codes of what the engine tells apart.
var kindCodes = map[upload.Kind]int{
	upload.Other:         exitFailed,
	upload.Usage:         exitUsage,
	upload.Integrity:     exitIntegrity,
	upload.Temporary:     exitTemporary,
	upload.Conflict:      exitConflict,
	upload.Access:        exitAccess,
	upload.NotFound:      exitNotFound,
	upload.TooShort:      exitNotFound,
	upload.SourceChanged: exitSourceChanged,
	upload.Interrupted:   exitFailed, // by a signal: see stopped
	upload.Unprotected:   exitFailed,
	upload.Unpublished:   exitFailed,
	upload.Unmet:         exitConflict,
}

// interruptedCode is the error_code of what a signal ended.
const interruptedCode = "interrupted"

// A problem is an error in words for people.
type problem struct {
	why, hint string
	goesOn    bool // the hint says already how to go on
	exit      int
	code      string // of the store, or the name of the exit code
	requestID string
}

// facts are what the words of a problem may name.
type facts struct {
	bucket     string
	region     string            // that requests are signed for
	profile    string            // of the AWS configuration, if one was named
	given      map[string]string // flags by what a store.ConfigError calls their values
	properties upload.Properties // that objects were to have
	owner      string            // that the bucket was to have
	signed     bool              // bodies are
	unsigned   bool              // requests are, by --no-sign-request
	locks      bool              // Object Lock was asked for
	asked      []string          // flags for what not every store does
	again      string            // the command line that was typed
	resumable  bool              // what was sent is kept
}

// explain says what an error means, and what to do about it.
func explain(err error, f facts) problem {
	p := inWords(err, f)
	if f.resumable && !p.goesOn {
		p.hint = sentence(p.hint, goOn(f))
	}
	if code := store.Code(err); code != "" {
		p.code = clip(code)
	}
	if p.code == "" {
		p.code = codeNames[p.exit]
	}
	p.requestID = clip(store.RequestID(err))
	return p
}

// inWords asks who may know an error, in turn.
func inWords(err error, f facts) problem {
	for _, know := range []func(error, facts) (problem, bool){aboutRun, aboutSetup, aboutConnection, aboutVerify, aboutAnswer, aboutTree, aboutSource} {
		if p, ok := know(err, f); ok {
			return p
		}
	}
	return aboutUpload(err, f)
}

// aboutRun knows what the user did, in this run or in another.
func aboutRun(err error, f facts) (problem, bool) {
	var stop stopped
	if errors.As(err, &stop) {
		return problem{why: "interrupted", hint: goOn(f), goesOn: true, exit: stop.code(), code: interruptedCode}, true
	}
	var locked *lockedError
	if errors.As(err, &locked) {
		return problem{why: locked.Error(), hint: "wait for it to end", exit: exitLocked}, true
	}
	return problem{}, false
}

// aboutSetup knows what is wrong before anything is sent.
func aboutSetup(err error, f facts) (problem, bool) {
	var config *store.ConfigError
	var usage *usageError
	var none *store.CredentialsError
	switch {
	case errors.As(err, &usage):
		return problem{why: usage.Msg, hint: usage.Hint, exit: exitUsage}, true
	case errors.As(err, &config) && f.given[config.What] != "" && config.Value != "":
		return problem{why: fmt.Sprintf("%s %s: %v", f.given[config.What], quoted(config.Value), config.Err), exit: exitUsage}, true
	case errors.As(err, &config) && f.given[config.What] != "":
		return problem{why: fmt.Sprintf("%s %v", f.given[config.What], config.Err), exit: exitUsage}, true
	case errors.As(err, &config):
		return problem{why: config.Error(), hint: configHints[config.What], exit: exitUsage}, true
	case errors.As(err, &none):
		return aboutCredentials(none, f), true
	}
	return problem{}, false
}

// configHints say where to look, by what a store.ConfigError is about.
var configHints = map[string]string{
	"endpoint":            "check AWS_ENDPOINT_URL and the profile's endpoint_url",
	"dual-stack endpoint": "check AWS_USE_DUALSTACK_ENDPOINT and the profile's use_dualstack_endpoint",
	"FIPS endpoint":       "check AWS_USE_FIPS_ENDPOINT and the profile's use_fips_endpoint",
	"bucket":              "check the destination, --addressing-style and --endpoint-url",
	"profile":             "check AWS_PROFILE and ~/.aws/config",
	"AWS_CA_BUNDLE":       "correct it, unset it, or use --ca-bundle FILE",
	"region":              "check AWS_REGION and the profile's region",
	"proxy":               "check HTTPS_PROXY and HTTP_PROXY",
	"access key id":       "check AWS_ACCESS_KEY_ID and ~/.aws/credentials",
	"secret access key":   "check AWS_SECRET_ACCESS_KEY and ~/.aws/credentials",
	"session token":       "check AWS_SESSION_TOKEN and ~/.aws/credentials",
	"AWS configuration":   "check the AWS_ variables and the file that AWS_CONFIG_FILE names, or ~/.aws/config",
}

// aboutConnection knows why no answer came.
func aboutConnection(err error, f facts) (problem, bool) {
	if p, ok := aboutTLS(err); ok {
		return p, true
	}
	var absurd *store.AnswerError
	if errors.As(err, &absurd) {
		return problem{why: fmt.Sprintf("%s: %v: it may not come from an S3 store", operation(err), absurd), exit: exitTemporary,
			hint: "check --endpoint-url and what is between"}, true
	}
	var gaveUp *store.GaveUp
	var proxy *store.ProxyError
	if errors.As(err, &proxy) && proxy.Refuses() {
		return problem{why: fmt.Sprintf("the proxy %s lets nobody through: %v", proxy.Host, proxy.Err), hint: proxyHint, exit: exitUsage}, true
	}
	if !errors.As(err, &gaveUp) {
		return problem{}, false
	}
	cause := reason(gaveUp.Last, operation(err))
	if !gaveUp.Answered && errors.As(gaveUp.Last, &proxy) {
		return problem{why: fmt.Sprintf("the proxy %s has led nowhere in %v: %s", proxy.Host, gaveUp.After, cause), hint: proxyHint, exit: exitTemporary}, true
	}
	if !gaveUp.Answered && gaveUp.NoCert {
		return problem{why: fmt.Sprintf("%s has not answered in %v, and asks for a client certificate: %s", gaveUp.Host, gaveUp.After, cause),
			hint: "add --client-cert FILE", exit: exitTemporary}, true
	}
	if !gaveUp.Answered {
		return problem{why: fmt.Sprintf("%s has not answered in %v: %s", gaveUp.Host, gaveUp.After, cause), exit: exitTemporary,
			hint: "check --endpoint-url and the network"}, true
	}
	return problem{why: fmt.Sprintf("no progress with %s for %v: %s", gaveUp.Host, gaveUp.After, cause), exit: exitTemporary,
		hint: goOn(f), goesOn: true}, true
}

// proxyHint names what says which proxy there is.
const proxyHint = "check HTTPS_PROXY, HTTP_PROXY and NO_PROXY"

// aboutTLS knows why the store and this machine do not trust each other. None of
// it is mended by trying again.
func aboutTLS(err error) (problem, bool) {
	var (
		verification *tls.CertificateVerificationError
		unknown      x509.UnknownAuthorityError
		invalid      x509.CertificateInvalidError
		hostname     x509.HostnameError
		client       *store.ClientCertError
		record       tls.RecordHeaderError
	)
	p := problem{exit: exitUsage}
	switch {
	case errors.As(err, &unknown):
		p.why = "the store's certificate is not trusted: " + rootCause(err)
		p.hint = "--ca-bundle FILE (or AWS_CA_BUNDLE) names a file with the certificate of its authority"
	case errors.As(err, &invalid) && invalid.Reason == x509.Expired && invalid.Cert != nil:
		p.why, p.hint = whenValid(invalid.Cert, time.Now()), "have it renewed, or check this machine's clock"
	case errors.As(err, &hostname):
		p.why = "the store's certificate is for another host: " + rootCause(err)
		p.hint = "check --endpoint-url, or use --addressing-style path"
	case errors.As(err, &invalid), errors.As(err, &verification):
		p.why, p.hint = "the store's certificate is not valid: "+rootCause(err), "have it replaced"
	case errors.As(err, &client) && client.Given:
		p.why, p.hint = client.Error(), "check --client-cert"
	case errors.As(err, &client):
		p.why, p.hint = client.Error(), "add --client-cert FILE"
	case errors.As(err, &record), errors.Is(err, http.ErrSchemeMismatch):
		p.why, p.hint = "the endpoint does not speak https", "use http:// in --endpoint-url"
	case errors.Is(err, store.ErrWantsTLS):
		p.why, p.hint = "the endpoint speaks https, and not http", "use https:// in --endpoint-url"
	default:
		return p, false
	}
	return p, true
}

// whenValid says what is wrong with the dates of a certificate.
func whenValid(c *x509.Certificate, now time.Time) string {
	whose := "the store's certificate"
	if c.IsCA {
		whose = "the certificate of the store's authority"
	}
	if now.Before(c.NotBefore) {
		return whose + " is not valid before " + c.NotBefore.UTC().Format(time.DateTime) + " UTC"
	}
	return whose + " expired on " + c.NotAfter.UTC().Format(time.DateTime) + " UTC"
}

// aboutSource knows what is wrong with a file.
func aboutSource(err error, _ facts) (problem, bool) {
	var path *fs.PathError
	switch {
	case !errors.As(err, &path):
		return problem{}, false
	case errors.Is(err, fs.ErrNotExist):
		return problem{why: "no such file", hint: "check the path", exit: exitNotFound}, true
	case errors.Is(err, fs.ErrPermission):
		return problem{why: "the file may not be read", hint: "check its permissions", exit: exitAccess}, true
	}
	return problem{}, false
}

// aboutUpload knows the kinds of ends that the engine tells apart.
func aboutUpload(err error, f facts) problem {
	kind := upload.KindOf(err)
	p := problem{why: reason(err, operation(err)), exit: kindCodes[kind]}
	var engine *upload.Error
	switch kind {
	case upload.Temporary:
		p.hint, p.goesOn = goOn(f), true
	case upload.Integrity:
		p.hint = "run it again; if it stays so, the network, the memory or the store changes bytes"
	case upload.Conflict:
		p.hint = "look who else writes there, and run it again"
	case upload.Access:
		p.hint = "check the credentials"
		if op := operation(err); store.StatusCode(err) == http.StatusForbidden && permissions[op] != "" {
			p.hint = rights(op, f)
		}
	case upload.SourceChanged:
		p.hint = "run it again when nobody writes to it, or with --on-change retry; --size-at-start is for files that only grow"
	case upload.TooShort:
		p.hint, p.code = "see whether what makes it has failed; --min-size says how many bytes are enough", "too-short"
	case upload.Unprotected:
		p.hint, p.code = "delete it, if it must not be so; the store, or the bucket, does not do what was asked", "unprotected"
	case upload.Unpublished:
		p.hint, p.code = "nothing was replaced; the store, or the bucket, does not do what was asked", "unprotected"
	case upload.Unmet:
		p.hint, p.code = "nothing was written; look at what is there before you replace it", "condition"
	case upload.NotFound:
		if errors.As(err, &engine) {
			p.hint = "--allow-empty uploads it all the same" // to the engine, nothing else is missing
		} else {
			p.hint = "check --endpoint-url: it may not be an S3 store that answers"
		}
	}
	return p
}

// goOn says which command goes on with what a failed run has left.
func goOn(f facts) string {
	if f.resumable {
		return "what was sent is kept, go on with: " + f.again
	}
	return "start again with: " + f.again
}

// reason says in few words what an error of a call is, without what the SDK puts
// around it.
func reason(err error, call string) string {
	var engine *upload.Error
	if errors.As(err, &engine) {
		if engine.Err == nil {
			return engine.Msg
		}
		return engine.Msg + ": " + reason(engine.Err, operation(engine.Err))
	}
	status := store.StatusCode(err)
	var answer smithy.APIError
	if errors.As(err, &answer) {
		text := clip(answer.ErrorCode())
		if status != 0 {
			text = fmt.Sprintf("%d %s", status, text)
		}
		return fmt.Sprintf("the store answered %s to %s", text, call) + saying(err)
	}
	var unreadable *smithy.DeserializationError
	switch {
	case status >= 300:
		return fmt.Sprintf("the store answered %d %s to %s", status, http.StatusText(status), call)
	case status != 0 && errors.As(err, &unreadable):
		return fmt.Sprintf("the answer to %s cannot be read (%s): it may not come from an S3 store", call, rootCause(err))
	}
	return rootCause(err)
}

// rootCause returns the words of the error that all others are wrapped around.
func rootCause(err error) string {
	var dns *net.DNSError
	if errors.As(err, &dns) {
		return fmt.Sprintf("%s: %s", dns.Name, dns.Err)
	}
	var stall *store.StallError
	if errors.As(err, &stall) {
		return stall.Error()
	}
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return clip(err.Error())
		}
		err = inner
	}
}

// operation returns the S3 call that an error came from.
func operation(err error) string {
	name := "a request"
	for call := (*smithy.OperationError)(nil); errors.As(err, &call); err = call.Err {
		name = call.Operation() // one may be made for the sake of another
	}
	return name
}
