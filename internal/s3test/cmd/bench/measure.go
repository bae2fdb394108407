//go:build linux

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
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"s3up/internal/s3test"
)

const bucket = "bench"

// A bench is one run of this program.
type bench struct {
	options
	dir     string
	clients []*client
	figures map[string]map[string]figures // by scenario and client

	md5 atomic.Pointer[[16]byte] // of the file that goes up
}

func (b *bench) bigFile() string   { return filepath.Join(b.dir, "big") }
func (b *bench) smallDir() string  { return filepath.Join(b.dir, "small") }
func (b *bench) streamEnd() string { return filepath.Join(b.dir, "stream") }

// A scenario is what all clients do in turn.
type scenario struct {
	name, title string
	server      s3test.Options
	what        kind
	onlyS3up    bool
	bytes       func(*bench) int64
}

type kind int

const (
	file   kind = iota
	folder      // of small files
	stream
	resume // of a file of which all parts are there
	sum    // of the file by md5sum, for comparison
)

const (
	farAway  = 30 * time.Millisecond
	narrowly = 60_000_000 // bytes a second
)

var scenarios = []scenario{
	{name: "md5sum", title: "`md5sum` of the big file, and of nothing else", what: sum, onlyS3up: true, bytes: (*bench).bigBytes},
	{name: "http", title: "One big file over http", bytes: (*bench).bigBytes},
	{name: "https", title: "One big file over https", server: s3test.Options{TLS: true}, bytes: (*bench).bigBytes},
	{name: "stream", title: "A stream over http", what: stream, bytes: (*bench).streamBytes},
	{name: "small", title: "Small files over http", what: folder, bytes: (*bench).smallBytes},
	{name: "small-https", title: "Small files over https", what: folder, server: s3test.Options{TLS: true}, bytes: (*bench).smallBytes},
	{name: "small-far", title: "Small files, 30 ms away", what: folder, server: s3test.Options{Latency: farAway}, bytes: (*bench).smallBytes},
	{name: "far", title: "One big file, 30 ms away, 60 MB/s a connection", server: s3test.Options{Latency: farAway, ConnRate: narrowly}, bytes: (*bench).bigBytes},
	{name: "resume", title: "A big file of which every part is there", what: resume, onlyS3up: true, bytes: (*bench).bigBytes},
}

func (b *bench) bigBytes() int64    { return b.big }
func (b *bench) streamBytes() int64 { return b.stream }
func (b *bench) smallBytes() int64  { return int64(b.many) * b.small }

// makeFiles makes what is uploaded: bytes that nothing can compress.
func (b *bench) makeFiles() error {
	b.figures = make(map[string]map[string]figures)
	r := rand.NewChaCha8([32]byte{1})
	write := func(path string, size int64) error {
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		if _, err := io.CopyN(f, r, size); err != nil {
			f.Close()
			return err
		}
		return f.Close()
	}
	if err := write(b.bigFile(), b.big); err != nil {
		return err
	}
	if err := write(b.streamEnd(), b.options.stream); err != nil {
		return err
	}
	if err := os.Mkdir(b.smallDir(), 0o700); err != nil {
		return err
	}
	for i := range b.many {
		if err := write(filepath.Join(b.smallDir(), fmt.Sprintf("%05d", i)), b.small); err != nil {
			return err
		}
	}
	return nil
}

// md5Of notes the MD5 that the store is to know of a copy: it keeps no bytes.
func (b *bench) md5Of(path string) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer f.Close()
	h := md5.New()
	if _, err := io.Copy(h, f); err != nil {
		return err
	}
	sum := [16]byte(h.Sum(nil))
	b.md5.Store(&sum)
	return nil
}

// figures are what the runs of a client cost, one element a round.
type figures struct {
	cpu, wall []float64 // seconds
	memory    []float64 // MiB, the most at any time
	reads     []float64 // bytes that were read, as a multiple of what there was
	requests  []float64
}

// measure runs a scenario.
func (b *bench) measure(ctx context.Context, s scenario) (map[string]figures, error) {
	switch s.what {
	case stream:
		if err := b.md5Of(b.streamEnd()); err != nil {
			return nil, err
		}
	default:
		if err := b.md5Of(b.bigFile()); err != nil {
			return nil, err
		}
	}
	rows := make(map[string]figures)
	for round := range b.rounds {
		for _, c := range b.clients {
			if s.onlyS3up && c.name != "s3up" || s.what == stream && c.stream == nil {
				continue
			}
			one, requests, err := b.once(ctx, s, c)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			f := rows[c.name]
			f.cpu = append(f.cpu, one.cpu.Seconds())
			f.wall = append(f.wall, one.wall.Seconds())
			f.memory = append(f.memory, float64(one.memory)/(1<<20))
			f.reads = append(f.reads, float64(one.read)/float64(s.bytes(b)))
			f.requests = append(f.requests, float64(requests))
			rows[c.name] = f
			fmt.Fprintf(os.Stderr, "%s, round %d: %s: %.2f s of CPU, %.2f s\n", s.name, round+1, c.name, one.cpu.Seconds(), one.wall.Seconds())
		}
	}
	b.figures[s.name] = rows
	return rows, nil
}

// once runs one client against a store of its own.
func (b *bench) once(ctx context.Context, s scenario, c *client) (cost, int, error) {
	if s.what == sum {
		path, err := exec.LookPath("md5sum")
		if err != nil {
			return cost{}, 0, err
		}
		one, err := run1(exec.CommandContext(ctx, path, b.bigFile()))
		return one, 0, err
	}
	o := s.server
	o.Discard, o.Forget = true, true
	o.WholeMD5 = func(string, string) ([16]byte, bool) { return *b.md5.Load(), true }
	server, err := s3test.Start(o)
	if err != nil {
		return cost{}, 0, err
	}
	defer server.Close()
	server.CreateBucket(bucket)
	home, err := os.MkdirTemp(b.dir, "home-")
	if err != nil {
		return cost{}, 0, err
	}
	defer os.RemoveAll(home)
	p := place{url: server.URL(), bucket: bucket, key: "big"}
	if o.TLS {
		p.ca = server.CAFile()
		trust := filepath.Join(home, "certs", "CAs") // where mc looks
		if err := errors.Join(os.MkdirAll(trust, 0o700), os.Symlink(p.ca, filepath.Join(trust, "ca.crt"))); err != nil {
			return cost{}, 0, err
		}
	}
	command := func(args []string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, c.path, args...)
		cmd.Env = c.env(p, home)
		cmd.Dir = home
		return cmd
	}
	var cmd *exec.Cmd
	switch s.what {
	case file:
		cmd = command(c.file(p, b.bigFile()))
	case folder:
		p.key = "small/"
		cmd = command(c.folder(p, b.smallDir()))
	case stream:
		f, err := os.Open(b.streamEnd())
		if err != nil {
			return cost{}, 0, err
		}
		defer f.Close()
		cmd = command(c.stream(p))
		if cmd.Stdin, err = pipe(f); err != nil {
			return cost{}, 0, err
		}
	case resume:
		server.Fault(s3test.Fault{Op: "CompleteMultipartUpload", Times: -1, Do: s3test.SlowDown})
		if out, err := command(append(c.file(p, b.bigFile()), "--retry-for", "1s")).CombinedOutput(); err == nil {
			return cost{}, 0, fmt.Errorf("was to be interrupted: %s", out)
		}
		server.ClearFaults()
		cmd = command(c.file(p, b.bigFile()))
	}
	server.ResetRequests()
	one, err := run1(cmd)
	return one, server.Count("*"), err
}

// pipe returns the end of a pipe into which a file is written.
func pipe(f *os.File) (io.Reader, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	go func() {
		io.Copy(w, f)
		w.Close()
	}()
	return r, nil
}

// cost is what one process used.
type cost struct {
	cpu, wall time.Duration
	memory    int64 // bytes
	read      int64 // bytes, from files and others
}

// run1 runs a program to its end.
func run1(cmd *exec.Cmd) (cost, error) {
	var out strings.Builder
	cmd.Stderr = &out
	if cmd.Stdout == nil {
		cmd.Stdout = &out
	}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return cost{}, err
	}
	if r, ok := cmd.Stdin.(*os.File); ok {
		r.Close() // it is the child's now
	}
	// What it read is known as long as nobody has taken note of its end.
	var end error
	for {
		end = unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if end != unix.EINTR {
			break
		}
	}
	c := cost{wall: time.Since(start), read: bytesRead(cmd.Process.Pid)}
	if err := errors.Join(end, cmd.Wait()); err != nil {
		return c, fmt.Errorf("%s: %w: %s", strings.Join(cmd.Args, " "), err, tail(out.String()))
	}
	c.cpu = cmd.ProcessState.UserTime() + cmd.ProcessState.SystemTime()
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		c.memory = usage.Maxrss << 10
	}
	return c, nil
}

// tail is the end of what a program said.
func tail(text string) string {
	const enough = 500
	text = strings.TrimSpace(text)
	return text[max(0, len(text)-enough):]
}

// bytesRead is how much a process has read, from wherever.
func bytesRead(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "rchar: "); ok {
			read, _ := strconv.ParseInt(strings.TrimSpace(n), 10, 64)
			return read
		}
	}
	return 0
}
