//go:build unix

package main

import (
	"bytes"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"s3up/internal/s3test"
)

// nobody is a user who owns nothing.
const nobody = 65534

// TestAnotherUser runs the program as a user who may do little: what is refused
// is one line with the right exit code, what is not is done.
func TestAnotherUser(t *testing.T) {
	if os.Getuid() != 0 {
		t.Skip("only root can run the program as another user")
	}
	dir, err := os.MkdirTemp("", "s3up-user-") // that of the test is closed to others
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	in := func(name string) string { return filepath.Join(dir, name) }
	data := bytes.Repeat([]byte("0123456789abcdef"), 6_000_000/16)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	must(copyProgram(in("s3up")))
	t.Parallel() // not before: a process begun meanwhile would have the copy open for writing
	must(os.WriteFile(in("file"), data, 0o644))
	must(os.WriteFile(in("secret"), data, 0o600))
	must(os.Mkdir(in("home"), 0o700))
	must(os.Mkdir(in("home/.aws"), 0o700))
	must(os.MkdirAll(in("tree/closed"), 0o755))
	must(os.WriteFile(in("tree/a"), data, 0o644))
	must(os.WriteFile(in("tree/closed/b"), data, 0o644))
	must(os.Chmod(in("tree/closed"), 0))
	must(os.Chmod(in("s3up"), 0o755)) // whatever the umask is
	must(os.Chmod(in("tree"), 0o755))
	must(os.Chmod(in("tree/a"), 0o644))
	must(os.Chmod(in("file"), 0o644))
	must(os.Chmod(dir, 0o555)) // read-only

	for _, test := range []struct {
		name   string
		args   []string
		home   string // "": none
		code   int
		stderr string   // its lines; "": none
		keys   []string // what is stored
	}{
		{name: "a file that may not be read", args: []string{"secret", "s3://b/secret"}, code: exitAccess,
			stderr: "s3up: upload secret to s3://b/secret: the file may not be read; check its permissions"},
		{name: "one of two that may not be read: none is begun", args: []string{"secret", "file", "s3://b/"}, code: exitAccess,
			stderr: "s3up: upload secret to s3://b/secret: the file may not be read; check its permissions\n" +
				"s3up: nothing was sent: 1 of 2 files cannot be uploaded"},
		{name: "a folder in a folder that may not be read", args: []string{"-q", "-r", "tree", "s3://b/"}, code: exitPartial,
			stderr: "s3up: upload tree/closed to s3://b/closed/: the folder may not be read; check its permissions", keys: []string{"a"}},
		{name: "a folder that may not be read: none is begun", args: []string{"-q", "-r", "tree/closed", "file", "s3://b/"}, code: exitAccess,
			stderr: "s3up: upload tree/closed to s3://b/: the folder may not be read; check its permissions\n" +
				"s3up: nothing was sent: 1 of 2 files cannot be uploaded"},
		{name: "a folder that may not be written to, and no HOME", args: []string{"file", "s3://b/file"}, keys: []string{"file"}},
		{name: "a lock that may not be made", args: []string{"--lock", "lock", "file", "s3://b/file"}, code: exitUsage,
			stderr: "s3up: --lock lock: permission denied; it must be a file that can be written"},
		{name: "a HOME that is not there", home: in("nowhere"), args: []string{"file", "s3://b/file"}, keys: []string{"file"}},
		{name: "a HOME of somebody else's", home: in("home"), args: []string{"file", "s3://b/file"}, keys: []string{"file"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			server := s3test.New(t, s3test.Options{})
			server.CreateBucket("b")
			cmd := exec.Command(in("s3up"), append([]string{"cp", "--multipart-threshold", "5MiB", "--part-size", "5MiB"}, test.args...)...)
			cmd.Dir = dir
			cmd.Env = []string{"AWS_ENDPOINT_URL=" + server.URL(), "AWS_REGION=" + server.Region(),
				"AWS_ACCESS_KEY_ID=" + server.AccessKey(), "AWS_SECRET_ACCESS_KEY=" + server.SecretKey(), "GORACE=atexit_sleep_ms=0"}
			if test.home != "" {
				cmd.Env = append(cmd.Env, "HOME="+test.home)
			}
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: nobody, Gid: nobody}}
			var stdout, stderr bytes.Buffer
			cmd.Stdout, cmd.Stderr = &stdout, &stderr
			var exit *exec.ExitError
			if err := cmd.Run(); err != nil && !errors.As(err, &exit) {
				t.Fatal(err)
			}
			if code := exitCode(cmd.ProcessState); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if got := strings.TrimSuffix(stderr.String(), "\n"); got != test.stderr {
				t.Errorf("stderr is %q, want %q", got, test.stderr)
			}
			wanted := len(test.keys)
			if slices.Contains(test.args, "-q") {
				wanted = 0
			}
			if lines := strings.Count(stdout.String(), "uploaded "); lines != wanted {
				t.Errorf("stdout is %q, want %d lines", stdout.String(), wanted)
			}
			if keys := server.Objects("b"); fmt.Sprint(keys) != fmt.Sprint(test.keys) {
				t.Errorf("the bucket has %q, want %q", keys, test.keys)
			}
			for _, key := range test.keys {
				if o, _ := server.Object("b", key); o.ETag != fmt.Sprintf("%x", md5.Sum(data)) || !bytes.Equal(o.Bytes(), data) {
					t.Errorf("%s is not what was sent: ETag %s", key, o.ETag)
				}
			}
			if left := server.Uploads("b"); len(left) > 0 {
				t.Errorf("%d unfinished uploads are left", len(left))
			}
		})
	}
}

// copyProgram copies the test binary, which is the program by its name, to where
// everybody may run it.
func copyProgram(to string) error {
	self, err := exec.LookPath("s3up")
	if err != nil {
		return err
	}
	from, err := os.Open(self)
	if err != nil {
		return err
	}
	defer from.Close()
	f, err := os.OpenFile(to, os.O_CREATE|os.O_WRONLY, 0o755)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, from)
	return errors.Join(err, f.Close())
}
