package main

import (
	"context"
	"errors"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"
	"golang.org/x/term"

	"s3up/internal/etag"
	"s3up/internal/verify"
)

const etagHelp = `s3up etag: tell ETags before an upload, and explain those that are there

Usage:
  s3up etag [FLAG]... FILE...
  s3up etag [FLAG]... s3://BUCKET/KEY...
  s3up etag [FLAG]... FILE s3://BUCKET/KEY

Examples:
  s3up etag *.iso > MD5SUMS && md5sum -c MD5SUMS   as md5sum: what an upload by s3up has
  s3up etag --part-size 8MiB big.iso               as an object of parts of that size
  s3up etag --like rclone big.iso                  as rclone would have made it of this size
  s3up etag --json big.iso | jq .like              all of them, in one read
  s3up etag s3://backups/db.dump                   plain, of parts (which, who cuts so) or opaque
  s3up etag db.dump s3://backups/db.dump           whether they match, and by which part size
  tar c . | s3up etag -

An ETag is the MD5 of the bytes where an object was stored in one piece. Of one in parts it is the
MD5 of the parts' MD5s, a dash and their number; under SSE-KMS and SSE-C it is no MD5. --like takes
aws (also for boto3), rclone, mc (minio-go), s5cmd, s3cmd, go-sdk (manager, terraform),
transfermanager, crt, restic or s3up (with --normalize off), each as it is without options.
`

func etagFlags() []cli.Flag {
	return slices.Concat(connectionFlags(), []cli.Flag{
		textFlag(groupProof, "part-size", "SIZE", "the ETag of an object in parts of this size; of an object that is\nthere, the size to try first"),
		textFlag(groupProof, "like", "TOOL", "the ETag that this program makes of a file by default"),
		textFlag(groupOutput, "progress", "HOW", "bar, lines, none, or auto: bar on a terminal (default auto)"),
	}, customerKeyFlags())
}

// toolNames are those that --like takes.
func toolNames() []string {
	var names []string
	for _, t := range etag.Tools() {
		if t.Exact {
			names = append(names, t.Name)
		}
	}
	return names
}

// etagOptions are what the flags and arguments of etag say.
type etagOptions struct {
	connection
	files, urls []string
	partSize    int64
	like        *etag.Tool
	progress    string
	customerKey []byte
}

func newETagOptions(v *values) (etagOptions, error) {
	o := etagOptions{
		connection:  v.connection(),
		partSize:    v.size("part-size", 1, maxPart),
		progress:    v.choice("progress", "auto", "bar", "lines", "none"),
		customerKey: v.customerKey(),
	}
	if v.origins["part-size"] != "" {
		o.partSize = 0 // it is for uploads: the lines stay those of md5sum
	}
	if name := v.text("like", "the name of a program"); name != "" {
		if tool, ok := etag.FindTool(strings.ToLower(name)); ok && tool.Exact {
			o.like = &tool
		} else {
			v.refuse("like", "must be one of "+strings.Join(toolNames(), ", "))
		}
	}
	if v.err != nil {
		return o, v.err
	}
	for _, word := range v.c.Args().Slice() {
		if isURL(word) {
			o.urls = append(o.urls, word)
		} else {
			o.files = append(o.files, word)
		}
	}
	var err error
	if o.files, err = expand(o.files); err != nil {
		return o, err
	}
	switch {
	case len(o.files)+len(o.urls) == 0:
		return o, usagef("type: s3up etag FILE", "no file, and no object")
	case count(o.files, stdinName) > 1:
		return o, usagef("", "stdin is given twice")
	case o.partSize > 0 && o.like != nil:
		return o, usagef("leave one of them out", "--part-size and --like exclude each other")
	case len(o.urls) > 0 && o.like != nil:
		return o, usagef("leave it out", "--like is for files: of an object, etag tells by itself who cuts so")
	case len(o.urls) > 0 && len(o.files) > 0 && (len(o.urls) > 1 || len(o.files) > 1):
		return o, usagef("see s3up help verify", "one file is compared with one object; verify compares many")
	}
	return o, nil
}

// count tells how often a word is among others.
func count(words []string, word string) (n int) {
	for _, w := range words {
		if w == word {
			n++
		}
	}
	return n
}

func runETag(p *program, v *values) (int, error) {
	o, err := newETagOptions(v)
	if err != nil {
		return 0, err
	}
	switch {
	case len(o.urls) == 0:
		return p.etags(o), nil
	case len(o.files) == 1:
		pair := verifyOptions{connection: o.connection, partSize: o.partSize, progress: o.progress, customerKey: o.customerKey}
		if err := pair.arguments([]string{o.files[0], o.urls[0]}); err != nil {
			return 0, err
		}
		return p.verify(pair, "etag", nil), nil
	}
	return p.explainETags(o)
}

// An etagging is one run of etag.
type etagging struct {
	*link
	o     etagOptions
	show  *reading
	exits []int
	done  int
}

// fileETags are the ETags of a file.
type fileETags struct {
	size  int64
	md5   etag.MD5 // where it was asked for
	etag  string
	parts int
	part  int64
	like  map[string]likeLine // by tool
}

// etags prints the ETags of files.
func (p *program) etags(o etagOptions) int {
	e := &etagging{link: p.newLink(o.connection), o: o}
	ctx, release := onSignals(context.Background(), e.told, os.Exit)
	defer release()
	e.show = newReading(o.progress, o.quiet, e.out)
	type answer struct {
		f   fileETags
		err error
	}
	// Lines come in the order of the files, which are hashed side by side.
	answers := make([]chan answer, len(o.files))
	for i := range answers {
		answers[i] = make(chan answer, 1)
	}
	var workers errgroup.Group
	workers.SetLimit(runtime.GOMAXPROCS(0))
	go func() {
		for i, name := range o.files {
			workers.Go(func() error {
				f, err := e.file(ctx, name)
				answers[i] <- answer{f, causeOf(ctx, err)}
				return nil
			})
		}
	}()
	for i, name := range o.files {
		a := <-answers[i]
		e.reportFile(name, a.f, a.err)
	}
	e.show.stop()
	return e.finish(ctx)
}

// wholeFile is a part size that no file reaches.
const wholeFile = 1 << 62

// file computes what was asked for of a file.
func (e *etagging) file(ctx context.Context, name string) (fileETags, error) {
	if ctx.Err() != nil {
		return fileETags{}, context.Cause(ctx)
	}
	f, err := openLocal(ctx, name, e.stdin)
	if err != nil {
		return fileETags{}, err
	}
	defer f.Close()
	size := f.local.Size
	read := &readingOf{show: e.show, name: f.local.Name, size: size, turn: make(chan struct{}, 1), ctx: ctx}
	defer read.end()

	part := e.o.partSize
	switch {
	case e.o.like != nil && size >= 0:
		part = e.o.like.PartSize(size)
	case e.o.like != nil:
		part = e.o.like.PartSize(maxPart) // the usual one: more is not known of a stream
	}
	if n := (size + part - 1) / max(part, 1); part > 0 && n > maxParts {
		return fileETags{}, usagef("--part-size "+unspaced((size+maxParts-1)/maxParts)+" or more makes no more than S3 takes",
			"--part-size %s: makes %d parts of %s, and S3 takes %d", unspaced(part), n, name, maxParts)
	}
	parts := []int64{}
	if part > 0 {
		parts = append(parts, part)
	}
	whole := part == 0 || e.o.json || size < 0
	if whole {
		parts = append(parts, wholeFile)
	}
	if e.o.json {
		for _, t := range etag.Tools() {
			p := t.PartSize(max(size, 0))
			if size < 0 {
				p = t.PartSize(maxPart)
			}
			if t.Exact && p > 0 && !slices.Contains(parts, p) {
				parts = append(parts, p)
			}
		}
	}
	var sums [][]etag.MD5
	if size > 0 && len(parts) == 1 && !whole && part < size {
		one, err := etag.SumParts(ctx, progressing{f.local.File, read.progress}, size, part, runtime.GOMAXPROCS(0))
		if err != nil {
			return fileETags{}, ended(name, err)
		}
		sums = [][]etag.MD5{one}
	} else {
		h := etag.NewMultiHasher(parts...)
		n, err := hashAll(ctx, f.local, h, read.progress)
		if err != nil {
			return fileETags{}, err
		}
		size, sums = n, h.Parts()
	}
	if f.local.Changed != nil {
		// It is a sum of what was read, as that of md5sum is: nothing is read twice.
		if _, err := f.local.Changed(); err != nil {
			return fileETags{}, err
		}
	}
	for i := range sums {
		if len(sums[i]) == 0 {
			sums[i] = []etag.MD5{etag.Sum(nil)}
		}
	}
	return e.chosen(size, part, parts, sums)
}

// ended says that a file ended before its end, if it did.
func ended(name string, err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return &verify.ChangedError{Name: name, How: "it ended early"}
	}
	return err
}

type progressing struct {
	io.ReaderAt
	progress func(int64)
}

func (p progressing) ReadAt(b []byte, offset int64) (int, error) {
	n, err := p.ReaderAt.ReadAt(b, offset)
	p.progress(int64(n))
	return n, err
}

// hashAll reads a file or a stream to its end.
func hashAll(ctx context.Context, l verify.Local, w io.Writer, progress func(int64)) (int64, error) {
	r := l.Stream
	if r == nil {
		r = io.NewSectionReader(l.File, 0, l.Size)
	}
	block := make([]byte, 256<<10)
	var size int64
	for {
		if err := ctx.Err(); err != nil {
			return size, context.Cause(ctx)
		}
		n, err := r.Read(block)
		w.Write(block[:n])
		size += int64(n)
		progress(int64(n))
		if err == io.EOF {
			if l.Size >= 0 && size < l.Size {
				return size, ended(l.Name, io.ErrUnexpectedEOF)
			}
			return size, nil
		}
		if err != nil {
			return size, err
		}
	}
}

// chosen picks what was asked for out of the MD5s of parts of several sizes.
func (e *etagging) chosen(size, part int64, parts []int64, sums [][]etag.MD5) (fileETags, error) {
	f := fileETags{size: size}
	of := func(p int64) (string, int) {
		all := sums[slices.Index(parts, p)]
		return etag.Composite(all), len(all)
	}
	if i := slices.Index(parts, wholeFile); i >= 0 {
		f.md5 = sums[i][0]
		f.etag = f.md5.String()
	}
	if e.o.like != nil {
		fits := e.o.like.PartSize(size)
		if fits != 0 && fits != part {
			return f, usagef("give the file itself", "how %s cuts a stream of this size is known only at its end", e.o.like.Name)
		}
		part = fits
	}
	if part > 0 {
		f.etag, f.parts = of(part)
		f.part = part
	}
	if !e.o.json {
		return f, nil
	}
	f.like = make(map[string]likeLine)
	for _, t := range etag.Tools() {
		p := t.PartSize(size)
		switch {
		case !t.Exact:
		case p == 0:
			f.like[t.Name] = likeLine{ETag: f.md5.String()}
		case slices.Contains(parts, p):
			tag, n := of(p)
			f.like[t.Name] = likeLine{ETag: tag, Parts: n, PartSize: p}
		}
	}
	return f, nil
}

// An etagLine is what --json says of a file.
type etagLine struct {
	V        int                 `json:"v"`
	Type     string              `json:"type"` // file
	Op       string              `json:"op"`   // etag
	Source   string              `json:"source"`
	Size     *int64              `json:"size"`
	MD5      string              `json:"md5"`
	ETag     string              `json:"etag"` // that was asked for
	ETagKind string              `json:"etag_kind"`
	Parts    int                 `json:"parts"`
	PartSize int64               `json:"part_size"`
	Like     map[string]likeLine `json:"like,omitempty"` // what programs make of it by default
	Status   string              `json:"status"`         // told, failed

	ExitCode  int    `json:"exit_code,omitempty"`
	Error     string `json:"error,omitempty"`
	ErrorCode string `json:"error_code,omitempty"`
	Hint      string `json:"hint,omitempty"`
}

type likeLine struct {
	ETag     string `json:"etag"`
	Parts    int    `json:"parts"`
	PartSize int64  `json:"part_size"`
}

func (e *etagging) reportFile(name string, f fileETags, err error) {
	l := etagLine{V: schema, Type: "file", Op: "etag", Source: name, Status: "told"}
	if err != nil {
		p := explain(err, e.facts)
		e.exits = append(e.exits, p.exit)
		l.Status, l.ExitCode, l.Error, l.ErrorCode, l.Hint = string(failed), p.exit, p.why, p.code, p.hint
		if e.o.json {
			e.out.result(jsonLine(l))
		}
		if p.code != interruptedCode || len(e.exits) == 1 {
			e.out.complain("%s: %s", name, sentence(p.why, p.hint))
		}
		return
	}
	e.done++
	if !e.o.json {
		line := md5sumLine(f.etag, name)
		if term.IsTerminal(int(e.stdout.Fd())) {
			line = oneLine(line)
		}
		e.out.result(line)
		return
	}
	l.Size, l.MD5, l.ETag, l.Parts, l.PartSize, l.Like, l.ETagKind = &f.size, f.md5.String(), f.etag, f.parts, f.part, f.like, string(verify.Plain)
	if f.parts > 0 {
		l.ETagKind = string(verify.Multipart)
	}
	e.out.result(jsonLine(l))
}

// An etagSummary is the last line of --json.
type etagSummary struct {
	V          int      `json:"v"`
	Type       string   `json:"type"` // summary
	Op         string   `json:"op"`
	Told       int      `json:"told"`
	Failed     int      `json:"failed"`
	DurationMS int64    `json:"duration_ms"`
	Exit       int      `json:"exit"`
	Notes      []string `json:"notes,omitempty"`
}

func (e *etagging) finish(ctx context.Context) int {
	code := exitOK
	var stop stopped
	switch {
	case errors.As(context.Cause(ctx), &stop) && len(e.exits) > 0:
		code = stop.code()
	case len(e.exits) > 0 && e.done > 0:
		code = exitPartial
	case len(e.exits) > 0 && slices.Max(e.exits) == slices.Min(e.exits):
		code = e.exits[0]
	case len(e.exits) > 0:
		code = exitFailed
	}
	if e.o.json {
		e.out.result(jsonLine(etagSummary{V: schema, Type: "summary", Op: "etag", Told: e.done, Failed: len(e.exits),
			DurationMS: time.Since(e.start).Milliseconds(), Exit: code, Notes: e.notes}))
	}
	if err := e.out.failed; err != nil {
		e.out.complain("write the results to stdout: %s", rootCause(err))
		if code == exitOK {
			code = exitFailed
		}
	}
	return code
}
