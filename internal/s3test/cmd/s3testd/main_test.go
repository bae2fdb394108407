package main

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// The test's own binary is the command, for the tests of signals.
func TestMain(m *testing.M) {
	if os.Getenv("S3TESTD_RUN") != "" {
		main()
	}
	os.Exit(m.Run())
}

// start runs the command until stop, which returns its exit code.
func start(t *testing.T, args ...string) (url string, stdout *bufio.Reader, stop func() int) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, w := io.Pipe()
	var stderr bytes.Buffer
	code := make(chan int, 1)
	go func() {
		code <- run(ctx, args, strings.NewReader(""), w, &stderr)
		w.Close()
	}()
	stdout = bufio.NewReader(r)
	line, err := stdout.ReadString('\n')
	if err != nil {
		t.Fatalf("%v: exit %d: %s", err, <-code, stderr.String())
	}
	stop = func() int {
		cancel()
		return <-code
	}
	return strings.TrimSpace(line), stdout, stop
}

func client(url, access, secret string) *s3.Client {
	return s3.New(s3.Options{BaseEndpoint: &url, Region: "us-east-1", UsePathStyle: true, RetryMaxAttempts: 1,
		Credentials: credentials.NewStaticCredentialsProvider(access, secret, "")})
}

func put(t *testing.T, c *s3.Client, bucket, key string) error {
	_, err := c.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader("hello")})
	return err
}

func TestServe(t *testing.T) {
	endpoint := filepath.Join(t.TempDir(), "endpoint")
	url, stdout, stop := start(t, "-bucket", "one,two", "-bucket", "three", "-endpoint-file", endpoint, "-log", "-",
		"-store", "minio", "-quirk", "server=Mine", "-fault", "PutObject:slow-down:1", "-access-key", "A", "-secret-key", "S",
		"-max-put-size", "5", "-discard", "-dir", filepath.Join(t.TempDir(), "new"))
	c := client(url, "A", "S")
	failed := make(chan error)
	go func() { failed <- put(t, c, "one", "a b") }()
	if line, _ := stdout.ReadString('\n'); line != "PutObject \"a b\" 0 503 SlowDown 5\n" {
		t.Errorf("log: %q", line)
	}
	if err := <-failed; err == nil {
		t.Error("the fault did not hit")
	}
	go func() { failed <- put(t, c, "three", "k") }()
	if line, _ := stdout.ReadString('\n'); line != "PutObject \"k\" 0 200 - 5\n" {
		t.Errorf("log: %q", line)
	}
	if err := <-failed; err != nil {
		t.Error(err)
	}
	go io.Copy(io.Discard, stdout)
	r, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	if got := r.Header.Get("Server"); got != "Mine" {
		t.Errorf("Server: %s", got)
	}
	if text, err := os.ReadFile(endpoint); string(text) != url+"\n" {
		t.Errorf("endpoint file: %q, %v", text, err)
	}
	if code := stop(); code != 0 {
		t.Errorf("exit %d", code)
	}
}

func TestLogFile(t *testing.T) {
	log := filepath.Join(t.TempDir(), "log")
	url, _, stop := start(t, "-bucket", "b", "-log", log)
	put(t, client(url, "AKIAS3TEST", "s3test-secret"), "b", "k")
	stop()
	if text, _ := os.ReadFile(log); string(text) != "PutObject \"k\" 0 200 - 5\n" {
		t.Errorf("log: %q", text)
	}
}

func TestTLS(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out, w := io.Pipe()
	errs, ew := io.Pipe()
	done := make(chan int)
	go func() { done <- run(ctx, []string{"-tls"}, nil, w, ew) }()
	url, _ := bufio.NewReader(out).ReadString('\n')
	said, _ := bufio.NewReader(errs).ReadString('\n')
	pem, err := os.ReadFile(strings.TrimSpace(strings.TrimPrefix(said, "CA file:")))
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	https := &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: pool}}}
	r, err := https.Get(strings.TrimSpace(url))
	if err != nil {
		t.Fatal(err)
	}
	r.Body.Close()
	cancel()
	if code := <-done; code != 0 {
		t.Errorf("exit %d", code)
	}
}

func TestUsage(t *testing.T) {
	for _, tt := range []struct {
		args string
		code int
		says string
	}{
		{"-h", 0, "-stdin-close"},
		{"-nope", 2, "-nope"},
		{"argument", 2, `"argument"`},
		{"-store nope", 2, "versitygw"},
		{"-quirk nope", 2, "plain-etag"},
		{"-fault UploadPart", 2, "UploadPart 3:lose:1"},
		{"-fault UploadPart:nope", 2, "lose-unexecuted"},
		{"-bucket UPPER", 2, `"UPPER"`},
		{"-addr 127.0.0.1:65536", 1, "65536"},
		{"-log /nope/log", 1, "/nope/log"},
		{"-endpoint-file /nope/url", 1, "/nope"},
	} {
		var stdout, stderr bytes.Buffer
		ctx, cancel := context.WithCancel(t.Context())
		cancel() // should it serve after all
		code := run(ctx, strings.Fields(tt.args), strings.NewReader(""), &stdout, &stderr)
		if code != tt.code || !strings.Contains(stderr.String(), tt.says) {
			t.Errorf("%s: exit %d, want %d: %s", tt.args, code, tt.code, stderr.String())
		}
	}
}

// A child ends cleanly by a signal, and when the pipe to its stdin is closed.
func TestEnd(t *testing.T) {
	for name, end := range map[string]func(*exec.Cmd, io.Closer) error{
		"stdin": func(_ *exec.Cmd, stdin io.Closer) error { return stdin.Close() },
		"TERM":  func(c *exec.Cmd, _ io.Closer) error { return c.Process.Signal(syscall.SIGTERM) },
		"INT":   func(c *exec.Cmd, _ io.Closer) error { return c.Process.Signal(os.Interrupt) },
	} {
		dir := t.TempDir()
		cmd := exec.CommandContext(t.Context(), os.Args[0], "-stdin-close", "-dir", dir)
		cmd.Env = append(os.Environ(), "S3TESTD_RUN=1", "GORACE=atexit_sleep_ms=0")
		stdin, err := cmd.StdinPipe()
		if err != nil {
			t.Fatal(err)
		}
		stdout, err := cmd.StdoutPipe()
		if err != nil {
			t.Fatal(err)
		}
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		line, _ := bufio.NewReader(stdout).ReadString('\n')
		if _, err := client(strings.TrimSpace(line), "AKIAS3TEST", "s3test-secret").CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: aws.String("bucket")}); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if err := end(cmd, stdin); err != nil {
			t.Fatal(err)
		}
		if err := cmd.Wait(); err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if left, _ := os.ReadDir(dir); len(left) != 0 {
			t.Errorf("%s: left %v", name, left)
		}
	}
}
