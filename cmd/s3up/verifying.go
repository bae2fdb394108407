package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"s3up/internal/store"
	"s3up/internal/tree"
	"s3up/internal/verify"
)

// fresh is for how long an object of many need not be looked at again after its file
// was read.
const fresh = 10 * time.Second

// A check is one object and what it is compared with.
type check struct {
	source string // "": there is nothing, it is extra
	key    string
	local  verify.Local   // where it is Sums
	listed *verify.Object // what a listing told; nil: nothing
	err    error          // that was there before
}

// name is what it is compared with, as messages name it.
func (c *check) name() string {
	switch {
	case c.source == stdinName:
		return "stdin"
	case len(c.source) > tree.MaxKey: // of a file of sums, it may be anything
		return clip(c.source)
	}
	return c.source
}

// A verifying is one run of verify.
type verifying struct {
	*link
	o       verifyOptions
	op      string
	v       *verify.Verifier
	show    *reading
	reads   chan struct{} // bounds the files that are read at once
	several bool
	missing sync.Once // something was, and it was asked what
	away    error     // if it is more than an object

	mu      sync.Mutex
	summary verifySummary
	exits   []int // of what failed
}

func newVerifying(p *program, o verifyOptions, op string) *verifying {
	c := &verifying{link: p.newLink(o.connection), o: o, op: op, reads: make(chan struct{}, runtime.GOMAXPROCS(0))}
	c.facts.bucket = o.bucket
	return c
}

// run verifies all. The error is one that concerns all of them.
func (c *verifying) run(ctx context.Context, sums []*check) error {
	if !c.o.takesNames() && len(c.o.sources) == 1 && c.o.sources[0] != stdinName {
		if _, err := os.Stat(c.o.sources[0]); err != nil {
			check := c.o.fileCheck(c.o.sources[0])
			c.report(check, nil, err) // no store is needed for that
			return nil
		}
	}
	files, slots := shareOut(fileWorkers, c.o.store.Connections, descriptors())
	c.how.store.Connections = slots
	if err := c.open(ctx, c.o.bucket, func() {}); err != nil {
		return err
	}
	if err := checkKeyIsSafe(c.o.customerKey, c.store.Endpoint); err != nil {
		return err
	}
	folder := len(c.o.sources) == 1 && isFolder(c.o.sources[0])
	c.several = folder || len(c.o.sources) > 1 || len(sums) > 1
	how := c.o.engine()
	if c.several {
		how.Fresh = fresh
	}
	c.v = verify.New(c.store.Client, how)
	c.show = newReading(c.o.progress, c.o.quiet, c.out)
	defer c.show.stop()

	var workers errgroup.Group
	workers.SetLimit(min(files, slots))
	give := func(k *check) {
		workers.Go(func() error {
			r, err := c.one(ctx, k)
			c.report(k, r, causeOf(ctx, err))
			return nil
		})
	}
	var err error
	if folder {
		err = c.folder(ctx, c.o.sources[0], give)
	} else {
		checks := sums
		for _, source := range c.o.sources {
			checks = append(checks, c.o.fileCheck(source))
		}
		for _, k := range checks {
			if ctx.Err() == nil {
				give(k)
			}
		}
		if c.o.exact && c.o.takesNames() {
			err = c.beside(ctx, checks)
		}
	}
	workers.Wait()
	return cmp.Or(err, context.Cause(ctx))
}

// folder verifies all files below a folder. What is there, and what is listed, come
// in the order of keys: neither is held.
func (c *verifying) folder(ctx context.Context, root string, give func(*check)) error {
	walk := tree.Walk(ctx, root, c.o.key, tree.Options{Skipped: c.passedBy})
	age := aging{begun: []time.Time{time.Now()}}
	var unread string // a folder that could not be read: what is below it is not known
	mangled := 0
	err := sideBySide(walk, tree.List(ctx, c.store.Client, c.o.bucket, c.o.key), func(f *tree.File, o *tree.Object) bool {
		var at time.Time
		if o != nil {
			at = age.row()
		}
		switch {
		case f != nil && f.Err != nil && strings.HasSuffix(f.Key, "/"):
			unread = f.Key
			c.report(&check{source: f.Path, key: f.Key}, nil, f.Err)
		case f == nil && unread != "" && strings.HasPrefix(o.Key, unread):
		case o != nil && o.Mangled:
			mangled++
		case o == nil && f.Err == nil && !tree.IsPlainText(f.Key): // its object may be one of the mangled
			give(&check{source: f.Path, key: f.Key})
		case o == nil:
			c.report(&check{source: f.Path, key: f.Key}, &verify.Result{Status: verify.Missing, Size: sizeOf(f)}, f.Err)
		case f == nil:
			c.extra(o)
		default:
			give(&check{source: f.Path, key: f.Key, listed: c.listed(o, at), err: f.Err})
		}
		return ctx.Err() == nil
	})
	c.noteMangled(mangled)
	if err == nil || store.StatusCode(err) != http.StatusForbidden || c.o.exact {
		return err
	}
	c.note("the bucket may not be listed (that needs s3:ListBucket): each object is looked at, and what is there beside cannot be told")
	for f := range walk {
		if ctx.Err() != nil {
			break
		}
		give(&check{source: f.Path, key: f.Key, err: f.Err})
	}
	return nil
}

// beside tells of what is below the prefix and none of the checks is about.
func (c *verifying) beside(ctx context.Context, checks []*check) error {
	asked := make(map[string]bool)
	for _, k := range checks {
		asked[k.key] = true
	}
	mangled := 0
	for o, err := range tree.List(ctx, c.store.Client, c.o.bucket, c.o.key) {
		if err != nil {
			return err
		}
		switch {
		case o.Mangled:
			mangled++
		case !asked[o.Key]:
			c.extra(o)
		}
	}
	c.noteMangled(mangled)
	return nil
}

// noteMangled tells of objects whose keys a listing does not know.
func (c *verifying) noteMangled(n int) {
	if n > 0 {
		c.note(fmt.Sprintf("%s listed with U+FFFD in the place of characters that the store cannot list: whether they have files is not known", wereWas(n, "object")))
	}
}

// extra tells of an object that nothing is compared with, but for one that stands
// for a folder.
func (c *verifying) extra(o *tree.Object) {
	if !strings.HasSuffix(o.Key, "/") || o.Size > 0 {
		c.report(&check{key: o.Key}, &verify.Result{Status: extra, Object: c.listed(o, time.Time{}), Size: -1}, nil)
	}
}

// listed is an object as a listing showed it at some time.
func (c *verifying) listed(o *tree.Object, at time.Time) *verify.Object {
	return verify.Listed(c.o.bucket, o.Key, o.ETag, o.Size, o.Modified, at)
}

// An aging tells how old the rows of a listing are, which come in pages that are
// fetched one ahead: not younger than when the page before the last began.
type aging struct {
	rows  int
	begun []time.Time // of the last pages
}

const rowsOfPage = 1000 // at most

// row returns when the next row was fetched at the earliest.
func (a *aging) row() time.Time {
	if a.rows%rowsOfPage == 0 {
		a.begun = append(a.begun[max(0, len(a.begun)-2):], time.Now())
	}
	a.rows++
	return a.begun[0]
}

func sizeOf(f *tree.File) int64 {
	if f.Info == nil {
		return -1
	}
	return f.Info.Size()
}

// one compares one object.
func (c *verifying) one(ctx context.Context, k *check) (*verify.Result, error) {
	if err := ctx.Err(); err != nil {
		return nil, context.Cause(ctx)
	}
	if k.err != nil {
		return nil, k.err
	}
	local := k.local
	if local.Sums == nil {
		f, err := openLocal(ctx, k.source, c.stdin)
		if err != nil {
			return nil, err
		}
		defer f.Close()
		local = f.local
	}
	read := &readingOf{show: c.show, name: k.name(), size: local.Size, turn: c.reads, ctx: ctx}
	defer read.end()
	r, err := c.v.Verify(ctx, read.local(local), c.o.bucket, k.key, k.listed, read.progress)
	switch {
	case err != nil:
		err = c.named(ctx, c.o.bucket, k.key, customerKeyHeaders(c.o.customerKey), err)
	case r.Status == verify.Missing:
		c.missing.Do(func() { c.away = c.notMissing(ctx, c.o.bucket, k.key) })
		err = c.away
	}
	return r, err
}

// extra is the status of an object that nothing is compared with.
const extra verify.Status = "extra"

// failed is the status of what came to no answer.
const failed verify.Status = "failed"

// report tells what came of an object.
func (c *verifying) report(k *check, r *verify.Result, err error) {
	var p *problem
	if err != nil {
		f := c.facts
		if c.store != nil {
			f.region = c.store.RegionOf(c.o.bucket)
		}
		explained := explain(err, f)
		p = &explained
		r = &verify.Result{Status: failed, Size: -1}
	}
	c.mu.Lock()
	c.summary.add(r)
	if p != nil {
		c.exits = append(c.exits, p.exit)
	}
	c.mu.Unlock()

	url := scheme + c.o.bucket + "/" + k.key
	interrupted := p != nil && p.code == interruptedCode
	switch {
	case c.o.json:
		c.out.result(jsonLine(newVerifyLine(c.op, c.o.bucket, k, r, p)))
	case p != nil:
	case c.o.quiet && (r.Status == verify.Match || r.Status == extra && !c.o.exact || r.Status == verify.Unverifiable && c.o.allow):
	case c.o.quiet:
		c.out.complain("%s", verifyWords(k, r, url))
	default:
		c.out.result(oneLine(verifyWords(k, r, url)))
	}
	if p != nil && !(interrupted && c.several) {
		line := sentence(p.why, p.hint)
		if c.o.verbose && p.requestID != "" {
			line += " (request id " + p.requestID + ")"
		}
		c.out.complain("verify %s and %s: %s", k.name(), url, line)
	}
}

// refuse tells of an error that concerns all.
func (c *verifying) refuse(err error) {
	p := explain(err, c.facts)
	c.mu.Lock()
	told := p.code == interruptedCode && slices.Contains(c.exits, p.exit) && !c.several
	c.exits = append(c.exits, p.exit)
	c.mu.Unlock()
	if !told {
		c.out.complain("%s", sentence(p.why, p.hint))
	}
}

// finish sums up and returns the exit code.
func (c *verifying) finish(ctx context.Context) int {
	s := &c.summary
	code := c.exit(ctx)
	c.tellMore()
	if s.compared() == 0 && len(c.exits) == 0 && ctx.Err() == nil && c.o.sums == "" {
		c.out.complain("no file was found in %s: check the path, and whether it is mounted", clip(strings.Join(c.o.sources, " ")))
	}
	if c.several {
		c.out.talk("%s", s.words(c.o.bucket, c.o.key))
	}
	if c.o.json {
		s.V, s.Type, s.Op, s.Notes = schema, "summary", c.op, c.notes
		s.DurationMS, s.Exit = time.Since(c.start).Milliseconds(), code
		c.out.result(jsonLine(s))
	}
	if err := c.out.failed; err != nil {
		c.out.complain("write the results to stdout: %s", rootCause(err))
		if code == exitOK {
			code = exitFailed
		}
	}
	return code
}

// exit returns the exit code: it answers whether what is stored is what is here.
func (c *verifying) exit(ctx context.Context) int {
	s := &c.summary
	var stop stopped
	switch {
	case errors.As(context.Cause(ctx), &stop) && slices.Contains(c.exits, stop.code()):
		return stop.code()
	case s.Missing == s.compared() && len(c.exits) == 0: // nothing of what was asked for is there, or nothing was asked for
		return exitNotFound
	case s.Differs > 0, s.Missing > 0, s.Extra > 0 && c.o.exact:
		return exitIntegrity
	case len(c.exits) > 0 && slices.Max(c.exits) == slices.Min(c.exits):
		return c.exits[0]
	case len(c.exits) > 0:
		return exitFailed
	case s.Unverifiable > 0 && !c.o.allow:
		return exitUnverifiable
	}
	return exitOK
}

// A verifySummary is the last line of --json.
type verifySummary struct {
	V            int      `json:"v"`
	Type         string   `json:"type"` // summary
	Op           string   `json:"op"`
	Match        int      `json:"match"`
	Differs      int      `json:"differs"`
	Missing      int      `json:"missing"`
	Extra        int      `json:"extra"`
	Unverifiable int      `json:"unverifiable"`
	Failed       int      `json:"failed"`
	Bytes        int64    `json:"bytes"` // of objects that match
	DurationMS   int64    `json:"duration_ms"`
	Exit         int      `json:"exit"`
	Notes        []string `json:"notes,omitempty"`
}

func (s *verifySummary) add(r *verify.Result) {
	switch r.Status {
	case verify.Match:
		s.Match++
		s.Bytes += r.Object.Size
	case verify.Differs:
		s.Differs++
	case verify.Missing:
		s.Missing++
	case extra:
		s.Extra++
	case verify.Unverifiable:
		s.Unverifiable++
	default:
		s.Failed++
	}
}

// compared is how many objects were to be compared with something.
func (s *verifySummary) compared() int {
	return s.Match + s.Differs + s.Missing + s.Unverifiable + s.Failed
}

// words tell of a run of several objects.
func (s *verifySummary) words(bucket, prefix string) string {
	var parts []string
	for _, n := range []struct {
		n    int
		what string
	}{{s.Match, "match"}, {s.Differs, "differ"}, {s.Missing, "missing"}, {s.Extra, "extra"}, {s.Unverifiable, "unverifiable"}, {s.Failed, "failed"}} {
		if n.n > 0 || n.what == "match" {
			parts = append(parts, fmt.Sprintf("%d %s", n.n, n.what))
		}
	}
	return fmt.Sprintf("%s%s/%s: %s", scheme, bucket, prefix, strings.Join(parts, ", "))
}
