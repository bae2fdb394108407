package store

import (
	"context"
	"errors"
	"fmt"
	"strings"
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
// store, though the error may hold one of the service that was to give them.
type renewed struct{ aws.CredentialsProvider }

func (r renewed) Retrieve(ctx context.Context) (aws.Credentials, error) {
	creds, err := r.CredentialsProvider.Retrieve(ctx)
	if err == nil || ctx.Err() != nil || IsTemporary(err) {
		return creds, err
	}
	return creds, &CredentialsError{Source: sourceOf(r.CredentialsProvider), Err: err}
}

func checkCredentials(ctx context.Context, provider aws.CredentialsProvider, timeout time.Duration) error {
	bounded, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	creds, err := provider.Retrieve(bounded)
	switch {
	case err == nil:
		return checkKeys(creds)
	case ctx.Err() != nil:
		return ctx.Err()
	}
	none := &CredentialsError{Source: sourceOf(provider), Err: err}
	if bounded.Err() != nil {
		none.After = timeout
	}
	return none
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
