// S3testd runs an s3test server for the demo, for shell scripts and for clients
// that are not written in Go. Everything it holds is gone when it ends.
//
//	s3testd -bucket demo -store versitygw -fault 'UploadPart 3:lose:1'
//
// It prints the server's URL as its first line, and nothing else on stdout but
// the log of requests if -log is "-".
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"sync"
	"syscall"

	"s3up/internal/s3test"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Stdin, os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

type options struct {
	s3test.Options
	addr         string
	store        string
	buckets      []string
	quirks       []string
	faults       []s3test.Fault
	log          string
	endpointFile string
	stdinClose   bool
}

func parse(args []string, stderr io.Writer) (options, error) {
	var o options
	fs := flag.NewFlagSet("s3testd", flag.ContinueOnError)
	fs.SetOutput(stderr)
	fs.StringVar(&o.addr, "addr", "127.0.0.1:0", "listen on this `address`; port 0 takes a free one")
	fs.Func("bucket", "make these buckets, a,b; repeatable", func(v string) error {
		o.buckets = append(o.buckets, strings.Split(v, ",")...)
		return nil
	})
	fs.StringVar(&o.Dir, "dir", "", "hold large bodies in a `folder` below this one rather than in memory")
	fs.StringVar(&o.store, "store", "aws", "behave like this `store`: "+strings.Join(s3test.StoreNames(), ", "))
	fs.Func("quirk", "add one `quirk` to those of the store: NAME or NAME=VALUE; repeatable", func(v string) error {
		o.quirks = append(o.quirks, v)
		return new(s3test.Quirks).Set(v)
	})
	fs.Func("fault", "break requests: `OP[ PART]:ACTION[:TIMES]`; repeatable", func(v string) error {
		f, err := s3test.ParseFault(v)
		o.faults = append(o.faults, f)
		return err
	})
	fs.Int64Var(&o.MinPartSize, "min-part-size", 0, "smallest `size` of a part that is not the last, in bytes (default 5 MiB)")
	fs.Int64Var(&o.MaxCopySize, "max-copy-size", 0, "largest `size` of a copy's source, in bytes (default 5 GiB)")
	fs.Int64Var(&o.MaxPutSize, "max-put-size", 0, "largest `size` of one PutObject or part, in bytes (default 5 GiB)")
	fs.BoolVar(&o.Discard, "discard", false, "keep sizes and MD5s but no bodies")
	fs.BoolVar(&o.TLS, "tls", false, "speak https; the CA file is named on stderr")
	fs.StringVar(&o.log, "log", "", "write a line per request to this `file`, \"-\" for stdout: op key part status code bytes")
	fs.StringVar(&o.endpointFile, "endpoint-file", "", "write the URL to this `file` once the server listens")
	fs.BoolVar(&o.stdinClose, "stdin-close", false, "end when stdin is closed")
	fs.StringVar(&o.AccessKey, "access-key", "", "access key id (default AKIAS3TEST)")
	fs.StringVar(&o.SecretKey, "secret-key", "", "secret access key (default s3test-secret)")
	if err := fs.Parse(args); err != nil {
		return o, err
	}

	fail := func(format string, a ...any) (options, error) {
		err := fmt.Errorf(format, a...)
		fmt.Fprintln(stderr, "s3testd:", err)
		return o, err
	}
	if fs.NArg() > 0 {
		return fail("unexpected argument %q", fs.Arg(0))
	}
	known := false
	if o.Quirks, known = s3test.Store(o.store); !known {
		return fail("store %q is unknown; known are %s", o.store, strings.Join(s3test.StoreNames(), ", "))
	}
	for _, q := range o.quirks {
		if err := o.Quirks.Set(q); err != nil {
			return fail("%w", err)
		}
	}
	for _, b := range o.buckets {
		if !s3test.ValidBucketName(b) {
			return fail("bucket name %q is not valid", b)
		}
	}
	return o, nil
}

// run serves until ctx ends, or stdin if that is asked for. It returns the exit
// code: 2 for usage, 1 for what the machine refuses.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	o, err := parse(args, stderr)
	switch {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	}
	if err := serve(ctx, o, stdin, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "s3testd:", err)
		return 1
	}
	return 0
}

func serve(ctx context.Context, o options, stdin io.Reader, stdout, stderr io.Writer) (err error) {
	if o.Dir != "" {
		if err := os.MkdirAll(o.Dir, 0o700); err != nil {
			return err
		}
	}
	o.Forget = true
	var mu sync.Mutex // of the log
	if o.log != "" {
		w := stdout
		if o.log != "-" {
			f, err := os.OpenFile(o.log, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
			if err != nil {
				return err
			}
			defer f.Close()
			w = f
		}
		o.Log = func(r s3test.Record) {
			mu.Lock()
			defer mu.Unlock()
			fmt.Fprintf(w, "%s %q %d %d %s %d\n", dash(r.Op), r.Key, r.Part, r.Status, dash(r.Code), r.Bytes)
		}
	}

	mu.Lock() // the URL comes before the first line of the log
	srv, err := s3test.Listen(o.addr, o.Options)
	if err != nil {
		mu.Unlock()
		return err
	}
	defer srv.Close()
	for _, b := range o.buckets {
		srv.CreateBucket(b)
	}
	for _, f := range o.faults {
		srv.Fault(f)
	}
	fmt.Fprintln(stdout, srv.URL())
	mu.Unlock()
	if o.TLS {
		fmt.Fprintln(stderr, "CA file:", srv.CAFile())
	}
	if o.endpointFile != "" {
		if err := writeFile(o.endpointFile, srv.URL()+"\n"); err != nil {
			return err
		}
	}

	if o.stdinClose {
		var cancel context.CancelFunc
		ctx, cancel = context.WithCancel(ctx)
		defer cancel()
		go func() {
			io.Copy(io.Discard, stdin)
			cancel()
		}()
	}
	<-ctx.Done()
	return nil
}

func dash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// writeFile lets nobody see the file before it is whole.
func writeFile(path, text string) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".endpoint-*")
	if err != nil {
		return err
	}
	_, err = f.WriteString(text)
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		os.Remove(f.Name())
	}
	return err
}
