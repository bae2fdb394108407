//go:build linux

package main

import (
	"context"
	"crypto/md5"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"time"

	"s3up/internal/s3test"
)

const bucket = "bench"

// A bench is one run of this program.
type bench struct {
	options
	dir     string
	clients []*client
	figures map[string]map[string]figures // by scenario and client
	random  io.Reader

	md5 atomic.Pointer[[16]byte] // of the file that goes up
}

func (b *bench) bigFile() string   { return filepath.Join(b.dir, "big") }
func (b *bench) smallDir() string  { return filepath.Join(b.dir, "small") }
func (b *bench) streamEnd() string { return filepath.Join(b.dir, "stream") }
func (b *bench) treeDir() string   { return filepath.Join(b.dir, "tree") }

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
	again  // a sync of files that are there already
	sum    // of the file by md5sum, for comparison
)

const (
	farAway  = 30 * time.Millisecond
	narrowly = 60_000_000 // bytes a second

	treeFile   = 4 << 10 // bytes of a file of the tree
	treeFolder = 200     // files in each of its folders
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
	{name: "late", title: "The same, and one connection has 3 MB/s", server: s3test.Options{Latency: farAway, ConnRate: narrowly, SlowConn: 5}, bytes: (*bench).bigBytes},
	{name: "resume", title: "A big file of which every part is there", what: resume, onlyS3up: true, bytes: (*bench).bigBytes},
	{name: "sync", title: "A sync of files that are all there", what: again, bytes: (*bench).treeBytes},
}

func (b *bench) bigBytes() int64    { return b.big }
func (b *bench) streamBytes() int64 { return b.stream }
func (b *bench) smallBytes() int64  { return int64(b.many) * b.small }
func (b *bench) treeBytes() int64   { return int64(b.tree) * treeFile }

// makeFiles makes what a scenario uploads, unless it is there: bytes that nothing can
// compress.
func (b *bench) makeFiles(what kind) error {
	write := func(path string, size int64) error {
		f, err := os.Create(path)
		if err != nil {
			return err
		}
		if _, err := io.CopyN(f, b.random, size); err != nil {
			f.Close()
			return err
		}
		return f.Close()
	}
	missing := func(path string) bool {
		_, err := os.Stat(path)
		return err != nil
	}
	switch {
	case what == stream && missing(b.streamEnd()):
		return write(b.streamEnd(), b.options.stream)
	case what == folder && missing(b.smallDir()):
		return writeFolder(b.smallDir(), b.many, b.small, write)
	case what == again && missing(b.treeDir()):
		for first := 0; first < b.tree; first += treeFolder {
			sub := filepath.Join(b.treeDir(), fmt.Sprintf("%05d", first))
			if err := writeFolder(sub, min(treeFolder, b.tree-first), treeFile, write); err != nil {
				return err
			}
		}
		time.Sleep(3 * time.Second) // s3up remembers nothing of files as new as that
	case (what == file || what == resume || what == sum) && missing(b.bigFile()):
		return write(b.bigFile(), b.big)
	}
	return nil
}

func writeFolder(dir string, files int, size int64, write func(string, int64) error) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	for i := range files {
		if err := write(filepath.Join(dir, fmt.Sprintf("%05d", i)), size); err != nil {
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
	if err := b.makeFiles(s.what); err != nil {
		return nil, err
	}
	switch s.what {
	case stream:
		if err := b.md5Of(b.streamEnd()); err != nil {
			return nil, err
		}
	case file, resume:
		if err := b.md5Of(b.bigFile()); err != nil {
			return nil, err
		}
	}
	rows := make(map[string]figures)
	for round := range b.rounds {
		for _, c := range b.clients {
			if s.onlyS3up && c.name != "s3up" || s.what == stream && c.stream == nil || s.what == again && c.sync == nil {
				continue
			}
			one, requests, err := b.once(ctx, s, c)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", c.name, err)
			}
			f := rows[c.name]
			f.cpu = append(f.cpu, one.CPU.Seconds())
			f.wall = append(f.wall, one.Wall.Seconds())
			f.memory = append(f.memory, float64(one.Memory)/(1<<20))
			f.reads = append(f.reads, float64(one.Read)/float64(s.bytes(b)))
			f.requests = append(f.requests, float64(requests))
			rows[c.name] = f
			fmt.Fprintf(os.Stderr, "%s, round %d: %s: %.2f s of CPU, %.2f s\n", s.name, round+1, c.name, one.CPU.Seconds(), one.Wall.Seconds())
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
	o.WholeMD5 = func(string, string) (md5 [16]byte, ok bool) {
		if sum := b.md5.Load(); sum != nil {
			return *sum, true
		}
		return md5, false
	}
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
	case again:
		p.key = "tree/"
		by := c
		if !c.stamps {
			by = b.clients[0]
		}
		prime := exec.CommandContext(ctx, by.path, by.sync(p, b.treeDir())...)
		prime.Env, prime.Dir = by.env(p, home), home
		if out, err := prime.CombinedOutput(); err != nil {
			return cost{}, 0, fmt.Errorf("%w: %s", err, tail(string(out)))
		}
		cmd = command(c.sync(p, b.treeDir()))
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
