package store

import (
	"bytes"
	"context"
	"crypto/sha1"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// An issuer is each of the services that give credentials. They carry the tokens
// T1, T2, and so on, as they are asked for.
type issuer struct {
	*testing.T
	url   string
	first time.Duration // how long those of T1 last; all others: an hour

	mu     sync.Mutex
	issued int
	end    time.Time // of the last ones
}

// newIssuer starts an issuer, and takes all other credentials away.
func newIssuer(t *testing.T, first time.Duration) *issuer {
	t.Helper()
	withoutKeys(t)
	i := &issuer{T: t, first: first}
	i.url = serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) { i.answer(w, r) }).URL
	return i
}

// issue returns the next token and its end.
func (i *issuer) issue() (token string, end time.Time) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.issued++
	lasts := time.Hour
	if i.issued == 1 {
		lasts = i.first
	}
	i.end = time.Now().Add(lasts).UTC().Truncate(time.Second)
	return fmt.Sprint("T", i.issued), i.end
}

func (i *issuer) answer(w http.ResponseWriter, r *http.Request) {
	switch path := r.URL.Path; {
	case r.Method == http.MethodPost && path == "/": // STS
		if r.FormValue("Action") != "AssumeRoleWithWebIdentity" || r.FormValue("WebIdentityToken") != "web" {
			i.Errorf("STS was asked for %v", r.Form)
		}
		token, end := i.issue()
		fmt.Fprintf(w, `<AssumeRoleWithWebIdentityResponse><AssumeRoleWithWebIdentityResult><Credentials><AccessKeyId>AK</AccessKeyId>
			<SecretAccessKey>SK</SecretAccessKey><SessionToken>%s</SessionToken><Expiration>%s</Expiration>
			</Credentials></AssumeRoleWithWebIdentityResult></AssumeRoleWithWebIdentityResponse>`, token, end.Format(time.RFC3339))
	case path == "/federation/credentials": // SSO
		if bearer := r.Header.Get("X-Amz-Sso_bearer_token"); bearer != "signed-on" {
			i.Errorf("SSO was shown the token %q", bearer)
		}
		token, end := i.issue()
		fmt.Fprintf(w, `{"roleCredentials":{"accessKeyId":"AK","secretAccessKey":"SK","sessionToken":%q,"expiration":%d}}`, token, end.UnixMilli())
	case path == "/token": // SSO, the sign-on itself
		fmt.Fprint(w, `{"accessToken":"signed-on","expiresIn":3600,"refreshToken":"refresh","tokenType":"Bearer"}`)
	case path == "/latest/api/token": // the instance
		w.Header().Set("X-Aws-Ec2-Metadata-Token-Ttl-Seconds", "21600")
		fmt.Fprint(w, "session")
	case path == "/latest/meta-data/iam/security-credentials/":
		fmt.Fprint(w, "role")
	case path == "/latest/meta-data/iam/security-credentials/role", path == "/container":
		token, end := i.issue()
		fmt.Fprintf(w, `{"Code":"Success","AccessKeyId":"AK","SecretAccessKey":"SK","Token":%q,"Expiration":%q}`, token, end.Format(time.RFC3339))
	default:
		i.Errorf("%s %s was asked for", r.Method, r.URL)
		http.NotFound(w, r)
	}
}

// credentialSources set up the environment of a source, at a URL.
var credentialSources = map[string]func(t *testing.T, url string){
	"web identity": func(t *testing.T, url string) {
		t.Setenv("AWS_ENDPOINT_URL_STS", url)
		t.Setenv("AWS_ROLE_ARN", "arn:aws:iam::1:role/r")
		t.Setenv("AWS_WEB_IDENTITY_TOKEN_FILE", writeFile(t, "token", "web"))
	},
	"container": func(t *testing.T, url string) { t.Setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", url+"/container") },
	"instance": func(t *testing.T, url string) {
		t.Setenv("AWS_EC2_METADATA_DISABLED", "false")
		t.Setenv("AWS_EC2_METADATA_SERVICE_ENDPOINT", url)
	},
	"SSO": func(t *testing.T, url string) {
		signOn(t, url, "https://example/start", map[string]any{"accessToken": "signed-on", "expiresAt": time.Now().Add(time.Hour).UTC()})
		t.Setenv("AWS_CONFIG_FILE", writeFile(t, "config", `[default]
sso_start_url = https://example/start
sso_region = us-east-1
sso_account_id = 123456789012
sso_role_name = r
`))
	},
	"SSO whose sign-on has ended": func(t *testing.T, url string) {
		signOn(t, url, "office", map[string]any{"accessToken": "old", "expiresAt": time.Now().Add(-time.Hour).UTC(),
			"refreshToken": "refresh", "clientId": "c", "clientSecret": "s", "registrationExpiresAt": time.Now().Add(time.Hour).UTC()})
		t.Setenv("AWS_CONFIG_FILE", writeFile(t, "config", `[default]
sso_session = office
sso_account_id = 123456789012
sso_role_name = r
[sso-session office]
sso_region = us-east-1
sso_start_url = https://example/start
`))
	},
}

// signOn leaves what aws sso login does, under the name that it has for a start
// URL or a session.
func signOn(t *testing.T, url, name string, token map[string]any) {
	t.Helper()
	t.Setenv("AWS_ENDPOINT_URL_SSO", url)
	t.Setenv("AWS_ENDPOINT_URL_SSO_OIDC", url)
	home := t.TempDir()
	t.Setenv("HOME", home)
	t.Setenv("USERPROFILE", home)
	text, err := json.Marshal(token)
	if err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(home, ".aws", "sso", "cache")
	if err := os.MkdirAll(cache, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(cache, fmt.Sprintf("%x.json", sha1.Sum([]byte(name)))), text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}

// Credentials end in the middle of an upload, wherever they are from: new ones are
// got when the store says that they have expired, and before that when they end
// within five minutes.
func TestCredentialsThatExpire(t *testing.T) {
	for source, setUp := range credentialSources {
		for name, test := range map[string]struct {
			first  time.Duration // how long the first ones last, as they say
			refuse bool          // the store takes them for one request only
			want   string        // tokens of the requests that the store got; Open has got T1
		}{
			"the store calls them expired": {time.Hour, true, "T1 T1 T2 T2"},
			"they end within the window":   {expiryWindow - time.Minute, false, "T2 T2 T2"},
			"they end beyond it":           {expiryWindow + time.Minute, false, "T1 T1 T1"},
		} {
			t.Run(source+"/"+name, func(t *testing.T) {
				if source == "instance" && test.first < expiryWindow {
					test.want = "T1 T1 T1" // the SDK spares the metadata service, which has no others so soon
				}
				i := newIssuer(t, test.first)
				setUp(t, i.url)
				var tokens []string
				srv := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
					drain(r)
					token := r.Header.Get("X-Amz-Security-Token")
					tokens = append(tokens, token)
					if test.refuse && token == "T1" && len(tokens) > 1 {
						refuse(w, 400, "ExpiredToken")
						return
					}
					ok(w, r)
				})
				s, _ := open(t, srv.URL)
				for range 3 {
					if err := uploadPart(t.Context(), s, bytes.NewReader(pattern(1000))); err != nil {
						t.Fatal(err)
					}
				}
				if got := strings.Join(tokens, " "); got != test.want {
					t.Errorf("requests were made with %s, want %s", got, test.want)
				}
			})
		}
	}
}

// Whatever the source, credentials are taken to end five minutes before they do.
func TestExpiryWindow(t *testing.T) {
	for source, setUp := range credentialSources {
		t.Run(source, func(t *testing.T) {
			i := newIssuer(t, time.Hour)
			setUp(t, i.url)
			cfg, err := loadConfig(t.Context(), Config{}, tlsFiles{})
			if err != nil {
				t.Fatal(err)
			}
			creds, err := cfg.Credentials.Retrieve(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if want := i.end.Add(-expiryWindow); !creds.CanExpire || !creds.Expires.Equal(want) {
				t.Errorf("they are taken to end at %v, want %v", creds.Expires, want)
			}
		})
	}
}

// A service that gives credentials and goes silent in mid-upload is of no concern
// as long as those that there are hold, and is asked again; after their end, it is
// as if the network were gone.
func TestServiceGoesSilent(t *testing.T) {
	i := newIssuer(t, expiryWindow-time.Minute) // new ones are wanted for each request
	silent, done := make(chan bool, 1), make(chan struct{})
	var asked atomic.Int64
	silent <- true
	service := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
		now := <-silent
		silent <- now
		if asked.Add(1) > 1 && now {
			<-done
			return
		}
		i.answer(w, r)
	})
	defer close(done)
	credentialSources["container"](t, service.URL)
	var tokens []string
	srv := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
		drain(r)
		tokens = append(tokens, r.Header.Get("X-Amz-Security-Token"))
		ok(w, r)
	})
	s, _ := open(t, srv.URL, func(c *Config) { c.StallTimeout = 500 * time.Millisecond })
	put := func() {
		t.Helper()
		if err := uploadPart(t.Context(), s, bytes.NewReader(pattern(1000))); err != nil {
			t.Fatal(err)
		}
	}
	put()
	before := asked.Load()
	put() // at once: nobody waits for it a second time so soon
	if tokens[0] != "T1" || tokens[1] != "T1" || asked.Load() > before+1 {
		t.Errorf("requests were made with %q, the service was asked %d and %d times", tokens, before, asked.Load())
	}
	<-silent
	silent <- false
	for tokens[len(tokens)-1] == "T1" {
		put()
	}
	if last := tokens[len(tokens)-1]; !strings.HasPrefix(last, "T") {
		t.Errorf("after the silence, a request was made with the token %q", last)
	}
}

func TestSilentAfterTheEnd(t *testing.T) {
	now := time.Now()
	waits := make(chan time.Duration, 10)
	provider := &renewed{CredentialsProvider: aws.CredentialsProviderFunc(func(ctx context.Context) (aws.Credentials, error) {
		deadline, _ := ctx.Deadline()
		waits <- time.Until(deadline)
		<-ctx.Done()
		return aws.Credentials{}, ctx.Err()
	}), timeout: 2 * time.Second, wait: time.Millisecond, now: func() time.Time { return now }}
	last := aws.Credentials{AccessKeyID: "a", SecretAccessKey: "b", CanExpire: true, Expires: now.Add(-expiryWindow / 2)}
	provider.keep(last)
	for range 2 {
		if creds, err := provider.Retrieve(t.Context()); err != nil || creds != last {
			t.Errorf("while they hold: %v, %v", creds, err)
		}
	}
	if len(waits) != 1 {
		t.Errorf("waited %d times, want once", len(waits))
	}
	now = now.Add(expiryWindow)
	creds, err := provider.Retrieve(t.Context())
	if creds.HasKeys() || !IsTemporary(err) || !retryable(err) || errors.Is(err, ErrNoCredentials) {
		t.Errorf("after their end: %v, %v", creds, err)
	}
	if <-waits; <-waits < time.Second {
		t.Error("after their end, they are not waited for any longer")
	}
}
