// Demo shows s3up at work: it starts an s3test server on loopback, uploads a
// file in parts through the program itself, and compares md5sum with the ETag
// that another client sees. Then it kills an upload and lets the next run go on.
//
//	demo bin/s3up
package main

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3up/internal/s3test"
)

const (
	bucket   = "demo"
	fileName = "db.dump"
	fileSize = 128 << 20
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: demo PROGRAM")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "demo:", err)
		os.Exit(1)
	}
}

// A stage is what the demo plays on.
type stage struct {
	program, dir string
	server       *s3test.Server
}

func run(program string) error {
	program, err := filepath.Abs(program)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "s3up-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	server, err := s3test.Start(s3test.Options{Dir: dir})
	if err != nil {
		return err
	}
	defer server.Close()
	server.CreateBucket(bucket)
	s := &stage{program: program, dir: dir, server: server}
	if err := s.makeFile(); err != nil {
		return err
	}
	say("An S3 server listens on %s, and there is a file of %d MiB.", server.URL(), fileSize>>20)

	say("A file goes up in parts; a copy onto itself on the server then makes its ETag the MD5.")
	if err := s.upload("s3://demo/" + fileName); err != nil {
		return err
	}
	if err := s.compare(fileName); err != nil {
		return err
	}

	say("An upload that is killed when 5 of its parts are stored:")
	reached := make(chan struct{})
	server.Fault(s3test.Fault{Op: "UploadPart 6", Do: s3test.Block, Hook: func() { close(reached) }, Hold: make(chan struct{})})
	if err := s.killed("s3://demo/again", reached); err != nil {
		return err
	}
	server.ClearFaults()
	say("The same command again sends what is missing:")
	if err := s.upload("s3://demo/again"); err != nil {
		return err
	}
	if err := s.compare("again"); err != nil {
		return err
	}
	if left := server.Uploads(bucket); len(left) > 0 {
		return fmt.Errorf("%d unfinished uploads are left", len(left))
	}
	say("No unfinished upload is left.")
	return nil
}

func say(format string, args ...any) { fmt.Printf("\n# "+format+"\n", args...) }

// makeFile makes a file that nothing can compress or guess.
func (s *stage) makeFile() error {
	f, err := os.Create(filepath.Join(s.dir, fileName))
	if err != nil {
		return err
	}
	if _, err := io.CopyN(f, rand.NewChaCha8([32]byte{}), fileSize); err != nil {
		f.Close()
		return err
	}
	return f.Close()
}

// command prepares a run of the program, and prints what one would type.
func (s *stage) command(url string) *exec.Cmd {
	args := []string{"cp", "--progress", "bar", fileName, url}
	fmt.Println("$ s3up", strings.Join(args, " "))
	cmd := exec.Command(s.program, args...)
	cmd.Dir = s.dir
	cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+s.server.URL(), "AWS_REGION="+s.server.Region(),
		"AWS_ACCESS_KEY_ID="+s.server.AccessKey(), "AWS_SECRET_ACCESS_KEY="+s.server.SecretKey(), "AWS_SESSION_TOKEN=",
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	return cmd
}

func (s *stage) upload(url string) error { return s.command(url).Run() }

// killed runs the program and kills it when it has reached a point.
func (s *stage) killed(url string, reached <-chan struct{}) error {
	cmd := s.command(url)
	cmd.Args = append(cmd.Args, "--concurrency", "4") // one part at a time: the others are stored before
	if err := cmd.Start(); err != nil {
		return err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-reached:
		cmd.Process.Kill()
		<-ended
		fmt.Println("Killed")
		return nil
	case err := <-ended:
		return fmt.Errorf("it ended before it could be killed: %v", err)
	}
}

// compare holds the file's MD5 against the ETag that an SDK client sees.
func (s *stage) compare(key string) error {
	sum, err := s.md5sum()
	if err != nil {
		return err
	}
	head, err := s.server.Client().HeadObject(context.Background(), &s3.HeadObjectInput{Bucket: aws.String(bucket), Key: &key})
	if err != nil {
		return err
	}
	fmt.Printf("$ md5sum %s\n%s  %s\n", fileName, sum, fileName)
	fmt.Printf("$ aws s3api head-object --bucket %s --key %s --query ETag\n%s\n", bucket, key, *head.ETag)
	if strings.Trim(*head.ETag, `"`) != sum {
		return errors.New("they are not the same")
	}
	return nil
}

// md5sum is what the command of that name says, or would say if it were here.
func (s *stage) md5sum() (string, error) {
	name := filepath.Join(s.dir, fileName)
	if out, err := exec.Command("md5sum", name).Output(); err == nil {
		sum, _, _ := strings.Cut(string(out), " ")
		return sum, nil
	}
	f, err := os.Open(name)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := md5.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return fmt.Sprintf("%x", h.Sum(nil)), nil
}
