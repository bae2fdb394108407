package store

import (
	"context"
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

func TestAmazonsEndpoints(t *testing.T) {
	const ap, many = "arn:aws:s3:eu-west-1:123456789012:accesspoint/mine", "arn:aws:s3::123456789012:accesspoint/m1.mrap"
	const express = "fast--use1-az4--x-s3"
	yes, no := aws.Bool(true), aws.Bool(false)
	for _, tt := range []struct {
		cfg          Config
		env          map[string]string
		bucket, want string // or the beginning of an error
	}{
		{cfg: Config{Accelerate: true}, bucket: "b01", want: "https://b01.s3-accelerate.amazonaws.com/"},
		{cfg: Config{Accelerate: true, DualStack: yes}, bucket: "b01", want: "https://b01.s3-accelerate.dualstack.amazonaws.com/"},
		{cfg: Config{DualStack: yes}, bucket: "b01", want: "https://b01.s3.dualstack.us-east-1.amazonaws.com/"},
		{cfg: Config{FIPS: yes, DualStack: yes}, bucket: "b01", want: "https://b01.s3-fips.dualstack.us-east-1.amazonaws.com/"},
		{cfg: Config{}, env: map[string]string{"AWS_USE_FIPS_ENDPOINT": "true"}, bucket: "b01", want: "https://b01.s3-fips.us-east-1.amazonaws.com/"},
		{cfg: Config{FIPS: no}, env: map[string]string{"AWS_USE_FIPS_ENDPOINT": "true"}, bucket: "b01", want: "https://b01.s3.us-east-1.amazonaws.com/"},
		{cfg: Config{}, bucket: ap, want: "https://mine-123456789012.s3-accesspoint.eu-west-1.amazonaws.com/"},
		{cfg: Config{}, bucket: many, want: "https://m1.mrap.accesspoint.s3-global.amazonaws.com/"},
		{cfg: Config{}, bucket: "mine-abcdefghijklmn-s3alias", want: "https://mine-abcdefghijklmn-s3alias.s3.us-east-1.amazonaws.com/"},
		{cfg: Config{Endpoint: "http://s3.example.com", Addressing: "virtual"}, bucket: ap, want: "http://mine-123456789012.s3.example.com/"},

		{cfg: Config{}, bucket: express, want: "https://" + express + ".s3express-use1-az4.us-east-1.amazonaws.com/"},
		{cfg: Config{FIPS: yes}, bucket: express, want: "https://" + express + ".s3express-fips-use1-az4.us-east-1.amazonaws.com/"},
		{cfg: Config{DualStack: yes}, bucket: express, want: "https://" + express + ".s3express-use1-az4.dualstack.us-east-1.amazonaws.com/"},
		{cfg: Config{Endpoint: "https://s3.example.com"}, bucket: express, want: "https://" + express + ".s3.example.com/"},
		{cfg: Config{Endpoint: "http://127.0.0.1:1", Addressing: "path"}, bucket: express, want: "http://127.0.0.1:1/" + express},

		{cfg: Config{Accelerate: true}, bucket: express, want: `bucket "` + express + `": S3Express does not support S3 Accelerate`},
		{cfg: Config{}, bucket: "b--x-s3", want: `bucket "b--x-s3": Unrecognized S3Express bucket name format`},
		{cfg: Config{NoSign: true}, bucket: express, want: `bucket "` + express + `": is a directory bucket, which takes no requests without a signature`},
		{cfg: Config{RequestPayer: true}, bucket: express, want: `bucket "` + express + `": is a directory bucket, for whose requests its owner pays`},
		{cfg: Config{Accelerate: true}, bucket: "with.dots", want: `bucket "with.dots": Path-style addressing cannot be used with S3 Accelerate`},
		{cfg: Config{Accelerate: true}, bucket: ap, want: `bucket "` + ap + `": Access Points do not support S3 Accelerate`},
		{cfg: Config{Endpoint: "http://127.0.0.1:1"}, bucket: ap, want: `bucket "` + ap + `": Path-style addressing cannot be used with ARN buckets`},
		{cfg: Config{Accelerate: true, Endpoint: "http://h:1"}, want: "accelerate endpoint: is one of Amazon's own, and the endpoint is http://h:1"},
		{cfg: Config{Accelerate: true}, env: map[string]string{"AWS_ENDPOINT_URL": "http://h:1"}, want: "accelerate endpoint: is one of Amazon's own, and"},
		{cfg: Config{DualStack: yes, Endpoint: "http://h:1"}, want: "dual-stack endpoint: is one of Amazon's own, and"},
		{cfg: Config{Endpoint: "http://h:1"}, env: map[string]string{"AWS_USE_FIPS_ENDPOINT": "true"}, want: "FIPS endpoint: is one of Amazon's own, and"},
		{cfg: Config{Accelerate: true, Addressing: "path"}, want: "accelerate endpoint: has the bucket in the host name, and the addressing style is path"},
		{cfg: Config{Accelerate: true, FIPS: yes}, want: "accelerate endpoint: is no FIPS endpoint"},
		{cfg: Config{Provider: "acme"}, want: `provider "acme": must be one of [alibaba`},
		{cfg: Config{Provider: "tencent", Endpoint: "https://cos.example.com"}, bucket: "b01", want: "https://b01.cos.example.com/"},
	} {
		t.Run(tt.want, func(t *testing.T) {
			for k, v := range tt.env {
				t.Setenv(k, v)
			}
			s, err := Open(t.Context(), tt.cfg)
			if err == nil {
				err = s.CheckBucket(t.Context(), tt.bucket)
			}
			var bad *ConfigError
			switch {
			case err != nil && (!errors.As(err, &bad) || !strings.HasPrefix(err.Error(), tt.want)):
				t.Errorf("got %v, want %s", err, tt.want)
			case err == nil:
				if got := address(t, s, tt.bucket); got != tt.want {
					t.Errorf("got %s, want %s", got, tt.want)
				}
			}
		})
	}
}

// A bucket that turns out to be elsewhere is found there, by as many calls at once
// as there are, and one that is nowhere is looked for once.
func TestBucketInAnotherRegion(t *testing.T) {
	var mu sync.Mutex
	scopes := make(map[string]int)
	home := func(string) string { return "eu-west-1" }
	srv := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
		drain(r)
		scope := strings.Split(r.Header.Get("Authorization"), "/")[2]
		mu.Lock()
		scopes[scope]++
		to := home(scope)
		mu.Unlock()
		if scope == to {
			ok(w, r)
			return
		}
		w.Header().Set("X-Amz-Bucket-Region", to)
		refuse(w, http.StatusMovedPermanently, "PermanentRedirect")
	})
	var told []string
	s, _ := open(t, srv.URL, func(c *Config) {
		c.OnRegion = func(bucket, region string) { told = append(told, bucket+" "+region) }
	})
	if err := head(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	var parts sync.WaitGroup
	for range 4 {
		parts.Go(func() {
			if err := uploadPart(t.Context(), s, strings.NewReader("x")); err != nil {
				t.Error(err)
			}
		})
	}
	parts.Wait()
	if scopes["us-east-1"] != 1 || scopes["eu-west-1"] != 5 || !slices.Equal(told, []string{"bucket eu-west-1"}) {
		t.Errorf("requests by region: %v; told %q", scopes, told)
	}
	if got := s.RegionOf("bucket"); got != "eu-west-1" || s.RegionOf("other") != "us-east-1" {
		t.Errorf("the bucket is in %s", got)
	}

	home = func(scope string) string { return scope + "x" }
	clear(scopes)
	if err := head(t.Context(), s); BucketRegion(err) == "" {
		t.Errorf("got %v", err)
	}
	if len(scopes) != 2 {
		t.Errorf("requests by region: %v", scopes)
	}

	home = func(string) string { return "evil.example.com/" } // no region
	clear(scopes)
	if err := head(t.Context(), s); BucketRegion(err) == "" || len(scopes) != 1 {
		t.Errorf("got %v, requests by region: %v", err, scopes)
	}
}

func TestPayloadIsSigned(t *testing.T) {
	for _, https := range []bool{false, true} {
		var sum string
		srv := serve(t, https, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
			drain(r)
			sum = r.Header.Get("X-Amz-Content-Sha256")
			ok(w, r)
		})
		s, _ := open(t, srv.URL, func(c *Config) { c.SignPayload = true })
		if err := uploadPart(t.Context(), s, strings.NewReader("x")); err != nil {
			t.Fatal(err)
		}
		if want := "2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881"; sum != want {
			t.Errorf("https %v: x-amz-content-sha256 %q, want %q", https, sum, want)
		}
	}
}

func TestNoSignature(t *testing.T) {
	withoutKeys(t)
	t.Setenv("AWS_CONFIG_FILE", filepath.Join(t.TempDir(), "config"))
	if err := os.WriteFile(os.Getenv("AWS_CONFIG_FILE"), []byte("[default]\ncredential_process = false\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	var signed []string
	srv := serve(t, true, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
		drain(r)
		signed = append(signed, r.Header.Get("Authorization")+r.Header.Get("X-Amz-Security-Token"))
		ok(w, r)
	})
	s, _ := open(t, srv.URL, func(c *Config) { c.NoSign = true })
	if err := uploadPart(t.Context(), s, strings.NewReader("x")); err != nil {
		t.Fatal(err)
	}
	if err := complete(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(signed, []string{"", ""}) {
		t.Errorf("signatures: %q", signed)
	}
}

func TestMaxConnections(t *testing.T) {
	s, _ := open(t, "http://127.0.0.1:1", func(c *Config) { c.MaxConnections = 3 })
	if got := s.Client.Options().HTTPClient.(*transport).next.MaxConnsPerHost; got != 3 {
		t.Errorf("%d connections at most, want 3", got)
	}
}

// A fakeClock moves when somebody sleeps, unless it stands.
type fakeClock struct {
	mu      sync.Mutex
	now     time.Time
	stands  bool
	longest time.Duration // that anybody slept
}

func (c *fakeClock) time() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *fakeClock) sleep(_ context.Context, d time.Duration) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.longest = max(c.longest, d)
	if !c.stands {
		c.now = c.now.Add(d)
	}
	return nil
}

// The limit holds over all bodies together, and follows the timetable.
func TestBandwidth(t *testing.T) {
	noon := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	clock := &fakeClock{now: noon}
	const slow, fast = 100 << 10, 1 << 20
	cfg := Config{Bandwidth: func(now time.Time) int64 {
		switch {
		case now.Before(noon.Add(10 * time.Second)):
			return slow
		case now.Before(noon.Add(20 * time.Second)):
			return fast
		}
		return 0
	}}
	throttle := newThrottle(cfg)
	throttle.now, throttle.sleep = clock.time, clock.sleep
	srv := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
		drain(r)
		ok(w, r)
	})
	s, _ := open(t, srv.URL, func(c *Config) {
		*c = Config{Endpoint: c.Endpoint, Bandwidth: cfg.Bandwidth, StallTimeout: time.Minute}
	})
	s.Client.Options().HTTPClient.(*transport).throttle = throttle

	send := func(bodies, size int) time.Duration {
		began := clock.time()
		var all sync.WaitGroup
		for range bodies {
			all.Go(func() {
				if err := uploadPart(t.Context(), s, strings.NewReader(strings.Repeat("x", size))); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		return clock.time().Sub(began)
	}
	// Of four at once, 800 KiB in all, the last chunk has to wait for all others.
	clock.stands = true
	if send(4, 200<<10); clock.longest < 7500*time.Millisecond || clock.longest > 8*time.Second {
		t.Errorf("the last chunk of 800 KiB at 100 KiB/s waited for %v", clock.longest)
	}
	clock.stands = false
	clock.sleep(t.Context(), noon.Add(11*time.Second).Sub(clock.time()))
	if took := send(1, 4<<20); took < 3500*time.Millisecond || took > 4100*time.Millisecond {
		t.Errorf("4 MiB at 1 MiB/s took %v", took)
	}
	clock.sleep(t.Context(), time.Minute)
	if took := send(1, 4<<20); took != 0 {
		t.Errorf("4 MiB without a limit took %v", took)
	}
	// What net/http reads behind the end of a body is not waited for.
	clock.now = noon
	throttle.reserve(1)
	clock.sleep(t.Context(), time.Second)
	if took := send(1, 1); took != 0 {
		t.Errorf("one byte took %v", took)
	}
}

// A body whose call is cancelled does not wait for its turn.
func TestBandwidthOfACancelledCall(t *testing.T) {
	srv := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
		drain(r)
		ok(w, r)
	})
	s, _ := open(t, srv.URL, func(c *Config) { c.Bandwidth = func(time.Time) int64 { return 10 << 10 } })
	ctx, cancel := context.WithCancel(t.Context())
	s.Client.Options().HTTPClient.(*transport).throttle.sleep = func(ctx context.Context, _ time.Duration) error {
		cancel()
		return sleep(ctx, time.Hour)
	}
	if err := uploadPart(ctx, s, strings.NewReader(strings.Repeat("x", 1<<20))); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestCheckHeader(t *testing.T) {
	for _, tt := range []struct{ name, value, want string }{
		{"X-Tenant", "web", ""},
		{"x-goog-user-project", "p", ""},
		{"X-Amz-Something-New", "1", ""},
		{"Authorization", "x", "--profile is the flag for it"},
		{"X-Amz-Meta-Owner", "me", "--metadata is the flag for it"},
		{"If-None-Match", "*", "s3up or HTTP sets it by itself"},
		{"Transfer-Encoding", "chunked", "s3up or HTTP sets it by itself"},
		{"X Y", "1", "the name of a header is letters, digits and hyphens"},
		{"", "1", "the name of a header is letters, digits and hyphens"},
		{"X-Y", "a\r\nb", "one line of ASCII"},
		{"X-Y", "grün", "one line of ASCII"},
		{"X-Y", " ", "has no value"},
	} {
		err := CheckHeader(tt.name, tt.value)
		if tt.want == "" && err != nil || tt.want != "" && (err == nil || !strings.Contains(err.Error(), tt.want)) {
			t.Errorf("%s: %q: got %v, want %q", tt.name, tt.value, err, tt.want)
		}
	}
}

// Google's front end changes what the SDK signs, and refuses what it adds.
func TestBareRequests(t *testing.T) {
	var got *http.Request
	srv := serve(t, false, func(w http.ResponseWriter, r *http.Request, _ <-chan struct{}) {
		drain(r)
		got = r
		ok(w, r)
	})
	for _, bare := range []bool{false, true} {
		s, _ := open(t, srv.URL, func(c *Config) {
			if bare {
				c.Provider = "google"
			}
		})
		if _, err := s.Client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: aws.String("b"), Key: aws.String("k"), Body: strings.NewReader("x")}); err != nil {
			t.Fatal(err)
		}
		auth := strings.ToLower(got.Header.Get("Authorization"))
		for _, name := range unsignedHeaders {
			if signed := strings.Contains(auth, strings.ToLower(name)); signed == bare || got.Header.Get(name) == "" {
				t.Errorf("bare %v: %s: %q, signed: %v", bare, name, got.Header.Get(name), signed)
			}
		}
		if got.URL.Query().Has("x-id") == bare {
			t.Errorf("bare %v: %s", bare, got.URL)
		}
	}
}
