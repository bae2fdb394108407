//go:build linux

// Bench measures s3up beside other uploaders: each uploads the same files to the
// same store, an s3test server in this process that keeps no bytes, in turn, round
// by round. It prints what each cost as tables in Markdown, and whether s3up keeps
// the ratios that it is to keep.
//
//	bench -s3up bin/s3up -bin .cache/peers -rounds 3
//
// A peer is taken from the folder -bin, else from PATH; one that is at neither
// place is left out, and named. CPU seconds are those of the client process alone,
// user and system, and say more than wall time where others use the machine too.
package main

import (
	"context"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"syscall"

	"github.com/dustin/go-humanize"
)

type options struct {
	s3up   string
	bin    string // of the peers
	dir    string // for the files
	rounds int
	only   *regexp.Regexp // of the scenarios
	peers  *regexp.Regexp
	big    int64 // bytes of the big file
	stream int64
	many   int // small files
	small  int64
	tree   int // files of the one that is synced
}

func main() {
	if len(os.Args) > 2 && os.Args[1] == childCommand {
		if err := child(os.Args[2:]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (options, error) {
	o := options{only: regexp.MustCompile(""), peers: regexp.MustCompile(""), big: 4 << 30, stream: 1 << 30, many: 2000, small: 64 << 10, tree: 20_000}
	fs := flag.NewFlagSet("bench", flag.ContinueOnError)
	fs.StringVar(&o.s3up, "s3up", "bin/s3up", "the `program` to measure")
	fs.StringVar(&o.bin, "bin", ".cache/peers", "the `folder` of the peers")
	fs.StringVar(&o.dir, "dir", "", "make the files in this `folder` (default: the system's temporary one)")
	fs.IntVar(&o.rounds, "rounds", 3, "how often each is measured")
	pattern := func(p **regexp.Regexp) func(string) error {
		return func(text string) (err error) {
			*p, err = regexp.Compile(text)
			return err
		}
	}
	fs.Func("only", "the scenarios that match this `pattern`", pattern(&o.only))
	fs.Func("clients", "the clients that match this `pattern`", pattern(&o.peers))
	size := func(p *int64) func(string) error {
		return func(text string) error {
			n, err := humanize.ParseBytes(text)
			*p = int64(n)
			return err
		}
	}
	fs.Func("big", "`size` of the big file (default 4GiB)", size(&o.big))
	fs.Func("stream", "`size` of the stream (default 1GiB)", size(&o.stream))
	fs.IntVar(&o.many, "many", o.many, "how many small files")
	fs.IntVar(&o.tree, "tree", o.tree, "how many files are synced")
	if err := fs.Parse(args); err != nil {
		return o, err
	}
	if fs.NArg() > 0 || o.rounds < 1 {
		return o, fmt.Errorf("no such arguments: %q", args)
	}
	return o, nil
}

func run(ctx context.Context, args []string) error {
	o, err := parse(args)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp(o.dir, "bench-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := &bench{options: o, dir: dir, figures: make(map[string]map[string]figures), random: rand.NewChaCha8([32]byte{1})}
	if b.s3up, err = filepath.Abs(o.s3up); err != nil {
		return err
	}
	if err := b.findClients(ctx); err != nil {
		return err
	}
	b.printHead(os.Stdout)
	for _, s := range scenarios {
		if !o.only.MatchString(s.name) {
			continue
		}
		rows, err := b.measure(ctx, s)
		if err != nil {
			return fmt.Errorf("%s: %w", s.name, err)
		}
		b.print(os.Stdout, s, rows)
	}
	b.printGoals(os.Stdout)
	return nil
}
