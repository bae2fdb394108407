// Withstore starts a real S3 server on loopback, runs a command against it, and
// ends it again:
//
//	withstore -bin .cache/bin minio go test ./internal/upload
//
// The command finds the server in S3UP_TEST_ENDPOINT, its name in
// S3UP_TEST_STORE and its keys in AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY.
// The server's data lie in a temporary folder and are gone afterwards. The exit
// code is the command's.
package main

import (
	"bytes"
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"
)

const (
	accessKey = "AKIAS3UPTEST"
	secretKey = "s3up-test-secret"

	startTimeout = 2 * time.Minute
)

// A server is how a store's program is called: what it listens on and where it
// may write. Each folder that it needs lies below dir.
type server struct {
	program string
	folders []string
	args    func(addr, dir string) []string
	env     []string
}

// servers are the stores that can be started, by the names that the tests know.
var servers = map[string]server{
	"minio": {
		program: "minio",
		folders: []string{"data"},
		args: func(addr, dir string) []string {
			return []string{"server", "--quiet", "--address", addr, filepath.Join(dir, "data")}
		},
		env: []string{"MINIO_ROOT_USER=" + accessKey, "MINIO_ROOT_PASSWORD=" + secretKey, "MINIO_BROWSER=off", "MINIO_UPDATE=off"},
	},
	"versitygw": {
		program: "versitygw",
		folders: []string{"data", "sidecar"}, // not every file system has the extended attributes that it would use
		args: func(addr, dir string) []string {
			return []string{"--port", addr, "--access", accessKey, "--secret", secretKey, "--region", "us-east-1", "--quiet",
				"posix", "--sidecar", filepath.Join(dir, "sidecar"), filepath.Join(dir, "data")}
		},
	},
	"rclone": {
		program: "rclone",
		folders: []string{"data", "cache"},
		args: func(addr, dir string) []string {
			return []string{"serve", "s3", "--config", os.DevNull, "--addr", addr, "--auth-key", accessKey + "," + secretKey,
				"--cache-dir", filepath.Join(dir, "cache"), filepath.Join(dir, "data")}
		},
	},
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code, err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "withstore:", err)
	}
	os.Exit(code)
}

// run returns the exit code: the command's, or 2 for usage and 1 for a server
// that does not start.
func run(ctx context.Context, args []string) (int, error) {
	fs := flag.NewFlagSet("withstore", flag.ExitOnError)
	bin := fs.String("bin", ".cache/bin", "the `folder` of the servers' programs")
	fs.Parse(args)
	if fs.NArg() < 2 {
		return 2, errors.New("usage: withstore [-bin FOLDER] STORE COMMAND")
	}
	name, command := fs.Arg(0), fs.Args()[1:]
	s, ok := servers[name]
	if !ok {
		return 2, fmt.Errorf("no store %q; there are minio, rclone and versitygw", name)
	}

	dir, err := os.MkdirTemp("", "s3up-"+name+"-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	addr, end, err := s.start(ctx, *bin, dir)
	if err != nil {
		return 1, err
	}
	defer end()

	cmd := exec.CommandContext(ctx, command[0], command[1:]...)
	cmd.Env = append(os.Environ(), "S3UP_TEST_ENDPOINT=http://"+addr, "S3UP_TEST_STORE="+name,
		"AWS_ACCESS_KEY_ID="+accessKey, "AWS_SECRET_ACCESS_KEY="+secretKey, "AWS_REGION=us-east-1")
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	err = cmd.Run()
	var exit *exec.ExitError
	if errors.As(err, &exit) && exit.ExitCode() > 0 {
		return exit.ExitCode(), nil
	}
	if err != nil {
		return 1, err
	}
	return 0, nil
}

// start starts the server on a free port and waits until it answers. end stops
// it, and waits until it has.
func (s server) start(ctx context.Context, bin, dir string) (addr string, end func(), err error) {
	for _, f := range s.folders {
		if err := os.Mkdir(filepath.Join(dir, f), 0o700); err != nil {
			return "", nil, err
		}
	}
	if addr, err = freeAddr(); err != nil {
		return "", nil, err
	}
	program, err := filepath.Abs(filepath.Join(bin, s.program))
	if err != nil {
		return "", nil, err
	}
	var log bytes.Buffer
	cmd := exec.Command(program, s.args(addr, dir)...)
	cmd.Env = append(without(os.Environ(), "AWS_", "MINIO_", "RCLONE_"), s.env...)
	cmd.Dir = dir
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return "", nil, fmt.Errorf("%w; make %s", err, filepath.Join(bin, s.program))
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	if err := waitFor(ctx, addr, ended); err != nil {
		cmd.Process.Kill()
		return "", nil, fmt.Errorf("%s does not start: %w\n%s", s.program, err, log.Bytes())
	}
	return addr, func() {
		cmd.Process.Kill() // what it has is thrown away
		<-ended
	}, nil
}

// waitFor returns when a server answers, whatever it says.
func waitFor(ctx context.Context, addr string, ended <-chan error) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+addr+"/", nil)
		if err != nil {
			return err
		}
		if res, err := http.DefaultClient.Do(req); err == nil {
			res.Body.Close()
			if res.StatusCode < 500 { // MinIO answers 503 until it is ready
				return nil
			}
		}
		select {
		case <-tick.C:
		case err := <-ended:
			return fmt.Errorf("it ended: %v", err)
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// freeAddr returns an address on loopback that nobody listens on.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

// without leaves out the variables with these prefixes: what is set for the
// user's own stores is not for these.
func without(env []string, prefixes ...string) []string {
	return slices.DeleteFunc(env, func(v string) bool {
		return slices.ContainsFunc(prefixes, func(p string) bool { return strings.HasPrefix(v, p) })
	})
}
