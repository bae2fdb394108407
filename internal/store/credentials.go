package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// ErrNoCredentials says that no source of credentials had any. It comes wrapped
// in a [*CredentialsError].
var ErrNoCredentials = errors.New("no credentials")

// A CredentialsSource is where credentials are had from.
type CredentialsSource string

const (
	SourceProcess  CredentialsSource = "process"  // a profile's credential_process
	SourceSSO      CredentialsSource = "SSO"      // what aws sso login left
	SourceLogin    CredentialsSource = "login"    // what aws login left
	SourceMetadata CredentialsSource = "metadata" // of the machine, which all others failing are asked
	SourceOther    CredentialsSource = ""
)

// CredentialsError says why there are no credentials, or no more in the middle of
// the work. It is an [ErrNoCredentials].
type CredentialsError struct {
	Source CredentialsSource
	After  time.Duration // it was not done in this time; 0: it was
	Err    error
}

func (e *CredentialsError) Error() string {
	if e.After > 0 {
		return fmt.Sprintf("%v: nothing in %v: %v", ErrNoCredentials, e.After, e.Err)
	}
	return fmt.Sprintf("%v: %v", ErrNoCredentials, e.Err)
}

func (e *CredentialsError) Unwrap() []error { return []error{ErrNoCredentials, e.Err} }

// Unauthorized is true: only other credentials help.
func (e *CredentialsError) Unauthorized() bool { return true }

// sourceOf tells where a provider has credentials from.
func sourceOf(provider aws.CredentialsProvider) CredentialsSource {
	p, ok := provider.(aws.CredentialProviderSource)
	if !ok {
		return SourceOther
	}
	for _, source := range p.ProviderSources() {
		switch source {
		case aws.CredentialSourceProcess, aws.CredentialSourceProfileProcess:
			return SourceProcess
		case aws.CredentialSourceSSO, aws.CredentialSourceProfileSSO, aws.CredentialSourceSSOLegacy, aws.CredentialSourceProfileSSOLegacy:
			return SourceSSO
		case aws.CredentialSourceLogin, aws.CredentialSourceProfileLogin:
			return SourceLogin
		case aws.CredentialSourceIMDS:
			return SourceMetadata
		}
	}
	return SourceOther
}

// credentialsTimeout is how long the first credentials may take.
func (c Config) credentialsTimeout(provider aws.CredentialsProvider) time.Duration {
	switch {
	case c.CredentialsTimeout > 0:
		return c.CredentialsTimeout
	case sourceOf(provider) == SourceMetadata:
		return 5 * time.Second // it answers at once or is not there
	}
	return time.Minute // a process or a sign-on may ask somebody for a code
}

// renewed are the credentials of a client, which may have to be got anew in the
// middle of its work. That there are none is not to be taken for an answer of the
// store, though the error may hold one of the service that was to give them. A
// service that is silent, or fails, is of no concern as long as the last ones hold.
type renewed struct {
	aws.CredentialsProvider
	timeout time.Duration // for new ones, where there are no others
	wait    time.Duration // for new ones, where the last ones still hold
	now     func() time.Time

	mu    sync.Mutex
	last  aws.Credentials
	quiet time.Time // until then nobody waits for new ones
}

// silentCredentials says that new credentials were waited for in vain. It passes,
// as what a network does.
type silentCredentials struct{ after time.Duration }

func (e *silentCredentials) Error() string {
	return fmt.Sprintf("what gives the credentials has not answered in %v", e.after)
}
func (e *silentCredentials) Timeout() bool   { return true }
func (e *silentCredentials) Temporary() bool { return true }

const (
	// credentialsAttempt bounds one request to a service that gives credentials.
	credentialsAttempt = 10 * time.Second

	// lastMoment is how long before their end credentials are not used any more.
	lastMoment = 10 * time.Second

	// quietWaits is how many times as long as it was waited for in vain a service is
	// left alone.
	quietWaits = 3
)

func newRenewed(provider aws.CredentialsProvider, cfg Config, now func() time.Time) *renewed {
	return &renewed{CredentialsProvider: provider, timeout: cfg.credentialsTimeout(provider),
		wait: cfg.credentialsAttempt(), now: now}
}

// credentialsAttempt is how long one request to a service that gives credentials
// may take.
func (c Config) credentialsAttempt() time.Duration { return min(c.StallTimeout, credentialsAttempt) }

func (r *renewed) Retrieve(ctx context.Context) (aws.Credentials, error) {
	last, wait := r.holding()
	if wait == 0 {
		return last, nil
	}
	bounded, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	creds, err := r.CredentialsProvider.Retrieve(bounded)
	switch {
	case err == nil:
		r.keep(creds)
		return creds, nil
	case ctx.Err() != nil:
		return creds, err
	case last.HasKeys():
		r.rest()
		return last, nil
	case bounded.Err() != nil:
		return creds, &silentCredentials{wait}
	case IsTemporary(err):
		return creds, err
	}
	return creds, &CredentialsError{Source: sourceOf(r.CredentialsProvider), Err: err}
}

// holding returns the last credentials, if they hold, and how long to wait for new
// ones.
func (r *renewed) holding() (last aws.Credentials, wait time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	// The SDK calls them expired by a window before they are.
	if !r.last.CanExpire || r.now().After(r.last.Expires.Add(expiryWindow-lastMoment)) {
		return aws.Credentials{}, r.timeout
	}
	if r.now().Before(r.quiet) {
		return r.last, 0
	}
	return r.last, r.wait
}

func (r *renewed) keep(creds aws.Credentials) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last, r.quiet = creds, time.Time{}
}

func (r *renewed) rest() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.quiet = r.now().Add(quietWaits * r.wait)
}

// renew makes the next request get new credentials, because the store calls these
// expired; false if they are not of a kind that can be had anew.
func (r *renewed) renew(ctx context.Context) bool {
	cache, ok := r.CredentialsProvider.(*aws.CredentialsCache)
	if !ok {
		return false
	}
	creds, err := r.Retrieve(ctx)
	if err != nil || !creds.CanExpire {
		return false
	}
	r.keep(aws.Credentials{})
	cache.Invalidate()
	return true
}

// firstCredentials gets credentials before there is anything to do with them.
func firstCredentials(ctx context.Context, provider aws.CredentialsProvider, timeout time.Duration) (aws.Credentials, error) {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	creds, err := provider.Retrieve(bounded)
	switch {
	case err == nil:
		return creds, checkKeys(creds)
	case ctx.Err() != nil:
		return creds, ctx.Err()
	}
	none := &CredentialsError{Source: sourceOf(provider), Err: err}
	if bounded.Err() != nil {
		none.After = timeout
	}
	return creds, none
}

// checkKeys refuses credentials with something in them that copying has left
// there, most often a line break at the end. They are never shown.
func checkKeys(creds aws.Credentials) error {
	for _, key := range []struct{ what, value string }{
		{"access key id", creds.AccessKeyID},
		{"secret access key", creds.SecretAccessKey},
		{"session token", creds.SessionToken},
	} {
		bad := ""
		switch {
		case strings.TrimSpace(key.value) != key.value:
			bad = "begins or ends with a space or a line break"
		case !utf8.ValidString(key.value), strings.ContainsFunc(key.value, func(r rune) bool { return r != ' ' && !unicode.IsGraphic(r) }):
			bad = "has a character in it that cannot be seen"
		}
		if bad != "" {
			return &ConfigError{What: key.what, Err: errors.New(bad)}
		}
	}
	return nil
}
