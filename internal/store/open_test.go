package store

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// address is where a HEAD of bucket would go.
func address(t *testing.T, s *Store, bucket string) string {
	t.Helper()
	var url string
	stop := errors.New("stop")
	_, err := s.Client.HeadBucket(t.Context(), &s3.HeadBucketInput{Bucket: &bucket}, func(o *s3.Options) {
		o.HTTPClient = httpFunc(func(r *http.Request) (*http.Response, error) {
			url = r.URL.String()
			return nil, &BodyError{stop} // which is not tried again
		})
		o.ExpressCredentials = noSession{}
	})
	if !errors.Is(err, stop) {
		t.Fatal(err)
	}
	return url
}

// noSession signs what goes to directory buckets, and asks nobody.
type noSession struct{}

func (noSession) Retrieve(context.Context, string) (aws.Credentials, error) {
	return aws.Credentials{AccessKeyID: "ASIA", SecretAccessKey: "secret", SessionToken: "token"}, nil
}

type httpFunc func(*http.Request) (*http.Response, error)

func (f httpFunc) Do(r *http.Request) (*http.Response, error) { return f(r) }

func TestAddressing(t *testing.T) {
	for _, tt := range []struct{ style, endpoint, bucket, want string }{
		{"auto", "", "bucket", "https://bucket.s3.us-east-1.amazonaws.com/"},
		{"", "", "bucket", "https://bucket.s3.us-east-1.amazonaws.com/"},
		{"auto", "", "with.dots", "https://s3.us-east-1.amazonaws.com/with.dots"},
		{"path", "", "bucket", "https://s3.us-east-1.amazonaws.com/bucket"},
		{"auto", "https://s3.eu-west-1.amazonaws.com", "bucket", "https://bucket.s3.eu-west-1.amazonaws.com/"},
		{"auto", "http://127.0.0.1:9000", "bucket", "http://127.0.0.1:9000/bucket"},
		{"auto", "http://[::1]:9000", "bucket", "http://[::1]:9000/bucket"},
		{"virtual", "http://127.0.0.1:9000", "bucket", "http://127.0.0.1:9000/bucket"},
		{"auto", "http://localhost:9000", "bucket", "http://localhost:9000/bucket"},
		{"virtual", "http://localhost:9000", "bucket", "http://bucket.localhost:9000/"},
		{"auto", "http://minio:9000", "bucket", "http://minio:9000/bucket"},
		{"auto", "https://s3.example.com/", "bucket", "https://s3.example.com/bucket"},
		{"auto", "https://example.com/s3", "bucket", "https://example.com/s3/bucket"},
		{"virtual", "https://s3.example.com", "bucket", "https://bucket.s3.example.com/"},
		{"virtual", "https://s3.example.com", "with.dots", "https://s3.example.com/with.dots"},
		{"virtual", "http://s3.example.com", "with.dots", "http://with.dots.s3.example.com/"},
		{"auto", "https://oss-cn-hangzhou.aliyuncs.com", "bucket", "https://bucket.oss-cn-hangzhou.aliyuncs.com/"},
		{"auto", "https://cos.ap-guangzhou.myqcloud.com", "bucket", "https://bucket.cos.ap-guangzhou.myqcloud.com/"},
		{"auto", "https://notamazonaws.com", "bucket", "https://notamazonaws.com/bucket"},
	} {
		s, err := Open(t.Context(), Config{Endpoint: tt.endpoint, Addressing: tt.style})
		if err != nil {
			t.Errorf("%+v: %v", tt, err)
			continue
		}
		if got := address(t, s, tt.bucket); got != tt.want {
			t.Errorf("%q %q: %s, want %s", tt.style, tt.endpoint, got, tt.want)
		}
		if s.Endpoint != tt.endpoint {
			t.Errorf("Endpoint %q, want %q", s.Endpoint, tt.endpoint)
		}
		if want := tt.endpoint == "" || strings.Contains(tt.endpoint, ".amazonaws."); s.AWS != want {
			t.Errorf("%q: AWS = %v", tt.endpoint, s.AWS)
		}
	}
}

func TestConfigurationOfTheMachine(t *testing.T) {
	profile := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(profile, []byte(`
[default]
region = eu-north-1
[profile store]
region = eu-south-1
endpoint_url = http://localhost:9001
aws_access_key_id = a
aws_secret_access_key = b
[profile split]
services = mine
aws_access_key_id = a
aws_secret_access_key = b
[services mine]
s3 =
  endpoint_url = http://10.0.0.1:9002
`), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		env                      map[string]string
		cfg                      Config
		endpoint, region, bucket string
	}{
		"nothing":         {nil, Config{}, "", "us-east-1", "https://bkt.s3.us-east-1.amazonaws.com/"},
		"region":          {map[string]string{"AWS_REGION": "eu-west-3"}, Config{}, "", "eu-west-3", "https://bkt.s3.eu-west-3.amazonaws.com/"},
		"region given":    {map[string]string{"AWS_REGION": "eu-west-3"}, Config{Region: "eu-west-2"}, "", "eu-west-2", "https://bkt.s3.eu-west-2.amazonaws.com/"},
		"endpoint":        {map[string]string{"AWS_ENDPOINT_URL": "http://localhost:1"}, Config{}, "http://localhost:1", "us-east-1", "http://localhost:1/bkt"},
		"endpoint for s3": {map[string]string{"AWS_ENDPOINT_URL": "http://x:1", "AWS_ENDPOINT_URL_S3": "http://10.1.1.1:2"}, Config{}, "http://10.1.1.1:2", "us-east-1", "http://10.1.1.1:2/bkt"},
		"endpoint given":  {map[string]string{"AWS_ENDPOINT_URL": "http://x:1", "AWS_ENDPOINT_URL_S3": "http://x:2"}, Config{Endpoint: "http://localhost:3"}, "http://localhost:3", "us-east-1", "http://localhost:3/bkt"},
		"ignored":         {map[string]string{"AWS_ENDPOINT_URL": "http://x:1", "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS": "true"}, Config{}, "", "us-east-1", "https://bkt.s3.us-east-1.amazonaws.com/"},
		"default profile": {map[string]string{"AWS_CONFIG_FILE": profile}, Config{}, "", "eu-north-1", "https://bkt.s3.eu-north-1.amazonaws.com/"},
		"profile":         {map[string]string{"AWS_CONFIG_FILE": profile}, Config{Profile: "store"}, "http://localhost:9001", "eu-south-1", "http://localhost:9001/bkt"},
		"profile by env":  {map[string]string{"AWS_CONFIG_FILE": profile, "AWS_PROFILE": "split"}, Config{}, "http://10.0.0.1:9002", "us-east-1", "http://10.0.0.1:9002/bkt"},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			s, err := Open(t.Context(), tt.cfg)
			if err != nil {
				t.Fatal(err)
			}
			if s.Endpoint != tt.endpoint || s.Region != tt.region {
				t.Errorf("endpoint %q in %q, want %q in %q", s.Endpoint, s.Region, tt.endpoint, tt.region)
			}
			if got := address(t, s, "bkt"); got != tt.bucket {
				t.Errorf("address %s, want %s", got, tt.bucket)
			}
		})
	}
}

func TestConfigErrors(t *testing.T) {
	for name, tt := range map[string]struct {
		env  map[string]string
		cfg  Config
		want string
	}{
		"style":                 {nil, Config{Addressing: "dns"}, `addressing style "dns": must be auto, path or virtual`},
		"no scheme":             {nil, Config{Endpoint: "localhost:9000"}, `endpoint "localhost:9000": must be a URL that starts with https:// or http://`},
		"bare host":             {nil, Config{Endpoint: "minio"}, `endpoint "minio": must be a URL that starts with https:// or http://`},
		"other scheme":          {nil, Config{Endpoint: "s3://bucket"}, `endpoint "s3://bucket": must be a URL that starts with https:// or http://`},
		"no host":               {nil, Config{Endpoint: "http://:9000"}, `endpoint "http://:9000": has no host`},
		"password":              {nil, Config{Endpoint: "http://me:secret@h/x"}, `endpoint "http://h/x": must not carry a user or a password`},
		"query":                 {nil, Config{Endpoint: "http://h?x=1"}, `endpoint "http://h…": must end with the host or a path`},
		"not a URL":             {nil, Config{Endpoint: "http://h:port"}, `endpoint "http://h:port": must be a URL that starts with https:// or http://`},
		"password with a slash": {nil, Config{Endpoint: "http://me:se/cret@h/x"}, `endpoint "http://h/x": must be a URL`},
		"password and query":    {nil, Config{Endpoint: "http://me:se?cret@h/x#y"}, `endpoint "http://h/x…": must be a URL`},
		"password alone":        {nil, Config{Endpoint: "me:secret@h"}, `endpoint "h": must be a URL`},
		"line break":            {nil, Config{Endpoint: "http://h\n"}, `endpoint "http://h\n": must be a URL`},
		"region with a space":   {map[string]string{"AWS_REGION": "eu west"}, Config{}, `region "eu west": must be the name of a region, such as eu-central-1`},
		"region with a slash":   {map[string]string{"AWS_REGION": "evil.example.com/"}, Config{}, `region "evil.example.com/": must be the name of a region`},
		"region with a break":   {map[string]string{"AWS_REGION": "eu-west-1\n"}, Config{}, `region "eu-west-1\n": must be the name of a region`},
		"region with a query":   {nil, Config{Region: "eu?x#"}, `region "eu?x#": must be the name of a region`},
		"key with a break":      {map[string]string{"AWS_ACCESS_KEY_ID": "AKIA\n"}, Config{}, `access key id: begins or ends with a space or a line break`},
		"secret with a space":   {map[string]string{"AWS_SECRET_ACCESS_KEY": "very-secret "}, Config{}, `secret access key: begins or ends with a space or a line break`},
		"secret with a control": {map[string]string{"AWS_SECRET_ACCESS_KEY": "very\x01secret"}, Config{}, `secret access key: has a character in it that cannot be seen`},
		"secret with nothing":   {map[string]string{"AWS_SECRET_ACCESS_KEY": "very\u200bsecret"}, Config{}, `secret access key: has a character in it that cannot be seen`},
		"token with a break":    {map[string]string{"AWS_SESSION_TOKEN": "very\r\nsecret"}, Config{}, `session token: has a character in it that cannot be seen`},
		"attempts":              {map[string]string{"AWS_MAX_ATTEMPTS": "many"}, Config{}, `AWS configuration: `},
		"retry mode":            {map[string]string{"AWS_RETRY_MODE": "never"}, Config{}, `AWS configuration: `},
		"environment":           {map[string]string{"AWS_ENDPOINT_URL": "localhost:1"}, Config{}, `endpoint "localhost:1": must be a URL that starts with https:// or http://`},
		"profile":               {nil, Config{Profile: "nope"}, `profile "nope": not found in the AWS configuration files`},
		"AWS_PROFILE":           {map[string]string{"AWS_PROFILE": "nope"}, Config{}, `profile "nope": not found in the AWS configuration files`},
		"no CA bundle":          {map[string]string{"AWS_CA_BUNDLE": "/nonexistent"}, Config{}, `AWS_CA_BUNDLE "/nonexistent": no such file or directory`},
		"broken config":         {map[string]string{"AWS_CONFIG_FILE": "/"}, Config{}, `AWS configuration: `},
	} {
		t.Run(name, func(t *testing.T) {
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			_, err := Open(t.Context(), tt.cfg)
			var bad *ConfigError
			if !errors.As(err, &bad) || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want %s", err, tt.want)
			}
			for _, secret := range []string{"me:", "secret@", "se/cret", "se?cret", "very", "AKIA"} {
				if err != nil && strings.Contains(err.Error(), secret) {
					t.Errorf("%s is in %v", secret, err)
				}
			}
		})
	}
}

func TestNoCredentials(t *testing.T) {
	withoutKeys(t)
	_, err := Open(t.Context(), Config{Endpoint: "http://localhost:1"})
	if !errors.Is(err, ErrNoCredentials) || IsTemporary(err) {
		t.Fatalf("got %v, want ErrNoCredentials", err)
	}
	if len(err.Error()) < len("no credentials: why") {
		t.Errorf("the cause is lost: %v", err)
	}

	t.Run("canceled", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Open(ctx, Config{}); !errors.Is(err, context.Canceled) || errors.Is(err, ErrNoCredentials) {
			t.Errorf("got %v, want %v", err, context.Canceled)
		}
	})
}

// silent is a source of credentials that connects and says no more, as the
// metadata service does in some networks.
type silent struct{ sources []aws.CredentialSource }

func (silent) Retrieve(ctx context.Context) (aws.Credentials, error) {
	<-ctx.Done()
	return aws.Credentials{}, ctx.Err()
}

func (s silent) ProviderSources() []aws.CredentialSource { return s.sources }

func TestSilentSourceOfCredentials(t *testing.T) {
	_, err := firstCredentials(t.Context(), silent{}, time.Millisecond)
	if !errors.Is(err, ErrNoCredentials) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v, want ErrNoCredentials", err)
	}
	metadata := aws.NewCredentialsCache(silent{[]aws.CredentialSource{aws.CredentialSourceIMDS}})
	if got := (Config{}).credentialsTimeout(metadata); got > 5*time.Second {
		t.Errorf("the metadata service has %v", got)
	}
	if got := (Config{}).credentialsTimeout(aws.NewCredentialsCache(silent{})); got < time.Minute {
		t.Errorf("others have %v", got)
	}
	if got := (Config{CredentialsTimeout: time.Second}).credentialsTimeout(metadata); got != time.Second {
		t.Errorf("of one second they have %v", got)
	}
}

// A store that answers no SYN is not waited for longer than one where no byte moves.
func TestDialTimeout(t *testing.T) {
	for _, tt := range []struct{ dial, stall, want time.Duration }{
		{0, 0, 30 * time.Second},
		{0, 5 * time.Second, 5 * time.Second},
		{10 * time.Second, time.Minute, 10 * time.Second},
		{0, time.Millisecond, leastDial},
		{time.Second, time.Millisecond, time.Second},
	} {
		s, err := Open(t.Context(), Config{Endpoint: "http://127.0.0.1:1", DialTimeout: tt.dial, StallTimeout: tt.stall})
		if err != nil {
			t.Fatal(err)
		}
		client, ok := s.Client.Options().HTTPClient.(*transport)
		if !ok || client.cfg.DialTimeout != tt.want {
			t.Errorf("%v of %v: got %v, want %v", tt.dial, tt.stall, client.cfg.DialTimeout, tt.want)
		}
	}
}

func TestTokensAreRenewedBeforeTheyEnd(t *testing.T) {
	if runtime.GOOS == "windows" {
		t.Skip("the source of credentials is a shell script")
	}
	withoutKeys(t)
	dir := t.TempDir()
	script := fmt.Sprintf(`echo x >> %s/issued
echo '{"Version":1,"AccessKeyId":"AK","SecretAccessKey":"SK","SessionToken":"T","Expiration":"%s"}'`,
		dir, time.Now().Add(4*time.Minute).UTC().Format(time.RFC3339))
	for name, content := range map[string]string{"script": script, "config": "[default]\ncredential_process = sh " + dir + "/script\n"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(dir, "config"))
	srv := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) { ok(w, r) })
	s, _ := open(t, srv.URL)
	if err := head(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	issued, err := os.ReadFile(filepath.Join(dir, "issued"))
	if err != nil {
		t.Fatal(err)
	}
	if n := strings.Count(string(issued), "x"); n != 2 {
		t.Errorf("%d tokens were got for one that ends within the window, want 2", n)
	}
}

func TestNoSecretsInErrors(t *testing.T) {
	t.Setenv("AWS_SESSION_TOKEN", "very-secret-token")
	srv := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) { refuse(w, 403, "AccessDenied") })
	s, log := open(t, srv.URL)
	err := head(t.Context(), s)
	text := fmt.Sprintf("%v %+v", err, log.all())
	for _, secret := range []string{"very-secret", "Signature", "AKIAEXAMPLE"} {
		if strings.Contains(text, secret) {
			t.Errorf("%q is in %s", secret, text)
		}
	}
}
