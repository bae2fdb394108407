package main

import (
	"context"
	"errors"
	"os"
	"sync"
	"time"

	"golang.org/x/sync/errgroup"

	"s3up/internal/upload"
)

// fileWorkers is how many files are open at once. What is in flight is bounded
// by the uploader's slots.
const fileWorkers = 64

// A copying is one run of cp.
type copying struct {
	*link
	o cpOptions

	mu      sync.Mutex
	summary summaryLine
	exits   map[int]int // how many files ended with a code
	done    int         // files of which nothing is left to do
	first   int         // the code of the first that failed
	cut     int         // files that a signal ended
	kept    bool        // one of them can be gone on with
}

// cp uploads. The error is one of usage; nothing was sent then.
func (p *program) cp(o cpOptions) (int, error) {
	tasks, err := o.tasks()
	if err != nil {
		return 0, err
	}
	wrong, err := o.checkAll(tasks)
	if err != nil {
		return 0, err
	}
	c := &copying{link: p.newLink(o.connection), o: o, exits: make(map[int]int)}
	c.facts.bucket, c.facts.asked, c.facts.properties = o.bucket, o.askedFor(), o.properties
	c.facts.locks = o.properties.LockMode != "" || o.properties.LegalHold
	c.facts.sums = o.upload.Checksum == upload.SumCRC64NVME
	if len(wrong) > 0 {
		for i, t := range tasks {
			if err := wrong[i]; err != nil {
				c.report(t, c.unsent(t, err))
			}
		}
		if c.summary.Skipped = len(tasks) - len(wrong); c.summary.Skipped > 0 {
			c.out.complain("nothing was sent: %d of %s cannot be uploaded", len(wrong), plural(len(tasks), "file"))
		}
		return c.finish(context.Background()), nil
	}
	if o.dryRun {
		if err := c.rehearse(context.Background(), tasks); err != nil {
			c.refuse(tasks, err)
		}
		return c.finish(context.Background()), nil
	}
	unlock, err := lock(o.lock)
	if err != nil {
		var wrong *usageError
		if errors.As(err, &wrong) {
			return 0, err
		}
		c.refuse(tasks, err)
		return c.finish(context.Background()), nil
	}
	defer unlock()
	ctx, release := onSignals(context.Background(), c.told, os.Exit)
	defer release()
	if err := c.upload(ctx, tasks); err != nil {
		c.refuse(tasks, causeOf(ctx, err))
	}
	return c.finish(ctx), nil
}

// upload connects to the store and uploads all. The error is one that concerns
// all of them: none was begun.
func (c *copying) upload(ctx context.Context, tasks []*task) error {
	var u *upload.Uploader
	files, slots := shareOut(min(len(tasks), fileWorkers), c.o.store.Connections, descriptors())
	if slots < c.o.store.Connections && c.o.verbose {
		c.out.talk("only %d files may be open (ulimit -n): %s at once, %s", descriptors(), plural(files, "file"), plural(slots, "slot"))
	}
	c.how.store.Connections = slots
	if err := c.open(ctx, c.o.bucket, func() { u.Throttled() }); err != nil {
		return err
	}
	s := c.store
	if err := checkKeyIsSafe(c.o.properties.CustomerKey, s.Endpoint); err != nil {
		return err
	}

	show := newProgress(c.o, c.out, tasks)
	defer show.stop()
	options := c.o.upload
	options.Slots = slots
	options.ServerMD5, options.CopyConditions = s.AWS, s.AWS
	options.Limits.EqualParts, options.Limits.MaxCopy = s.EqualParts, s.MaxCopy
	if options.Limits.Parts == 0 {
		options.Limits.Parts = s.MaxParts
	}
	options.Limit = func(limit int, lowered bool) {
		switch {
		case !c.o.verbose:
		case lowered:
			c.out.talk("the store asks for fewer requests: %s from now on", plural(limit, "slot"))
		default:
			c.out.talk("it goes well: %s again", plural(limit, "slot"))
		}
	}
	options.Event = func(e upload.Event) {
		if e.Kind == upload.Noted {
			c.noted(tasks, e)
		}
		show.event(e)
	}
	var err error
	if u, err = upload.New(s.Client, options); err != nil {
		return err
	}
	for _, t := range tasks {
		if t.isStream() {
			keepTo(options.MaxMemory)
			break
		}
	}
	var workers errgroup.Group
	workers.SetLimit(files)
	for _, t := range tasks {
		workers.Go(func() error {
			c.report(t, c.one(ctx, u, t))
			return nil
		})
	}
	return workers.Wait()
}

// one uploads one source.
func (c *copying) one(ctx context.Context, u *upload.Uploader, t *task) *upload.Result {
	if ctx.Err() != nil {
		return c.unsent(t, context.Cause(ctx))
	}
	source, err := t.open(ctx, c.stdin)
	if err != nil {
		return c.unsent(t, causeOf(ctx, err))
	}
	defer source.Close()
	return u.Upload(ctx, &upload.Job{Source: source, Bucket: c.o.bucket, Key: t.key, Properties: t.properties})
}

// causeOf returns the signal that made a call fail, if one did.
func causeOf(ctx context.Context, err error) error {
	if ctx.Err() != nil && errors.Is(err, context.Canceled) {
		return context.Cause(ctx)
	}
	return err
}

// unsent is the result of a source that was not begun.
func (c *copying) unsent(t *task, err error) *upload.Result {
	r := &upload.Result{Job: &upload.Job{Bucket: c.o.bucket, Key: t.key}, Status: upload.Failed, Size: -1, Err: err}
	if !t.isStream() {
		r.Size = t.info.Size()
	}
	return r
}

// noted tells a note of the engine's.
func (c *copying) noted(tasks []*task, e upload.Event) {
	if len(tasks) == 1 {
		c.out.talk("note: %s", e.Text)
		return
	}
	c.out.talk("note: %s: %s", e.Job.Source.Name(), e.Text)
}

// report tells what came of a source.
func (c *copying) report(t *task, r *upload.Result) {
	p := c.judge(r)
	c.mu.Lock()
	switch {
	case r.Status == upload.WouldUpload:
		c.summary.WouldUpload++
		c.summary.Bytes += max(r.Size, 0)
	case r.Err == nil:
		c.summary.add(r)
	default:
		c.summary.Failed++
	}
	if r.Err == nil {
		c.done++
	}
	c.summary.BytesSent += r.BytesSent
	if p != nil {
		if len(c.exits) == 0 {
			c.first = p.exit
		}
		c.exits[p.exit]++
	}
	interrupted := p != nil && p.code == interruptedCode
	if interrupted {
		c.cut++
		c.kept = c.kept || r.Resumable
	}
	c.mu.Unlock()

	switch {
	case c.o.json:
		c.out.result(jsonLine(newFileLine(t, r, p)))
	case r.Err == nil && !c.o.quiet:
		c.out.result(resultLine(t, r))
	}
	if p != nil && !(interrupted && len(c.o.sources) > 1) {
		c.complain(t, r, p)
	}
}

// judge returns what is wrong with a result, nil if nothing is.
func (c *copying) judge(r *upload.Result) *problem {
	f := c.facts
	f.resumable = r.Resumable
	if c.store != nil {
		f.region = c.store.RegionOf(c.o.bucket)
	}
	switch {
	case r.Err != nil:
		p := explain(r.Err, f)
		return &p
	case c.o.requireMD5 && isStored(r) && r.ETagKind != upload.ETagMD5:
		return &problem{
			why:  "stored and intact, but its ETag " + clip(r.ETag) + " is not its MD5: " + whyNotMD5(r),
			hint: md5Hint(r, c.o.upload.Normalize), exit: exitNotMD5, code: codeNames[exitNotMD5],
		}
	}
	return nil
}

// complain prints a problem with a source, in one line.
func (c *copying) complain(t *task, r *upload.Result, p *problem) {
	line := sentence(p.why, p.hint)
	if c.o.verbose && p.requestID != "" {
		line += " (request id " + p.requestID + ")"
	}
	c.out.complain("upload %s to s3://%s/%s: %s", t.name(), r.Job.Bucket, r.Job.Key, line)
}

// refuse tells of an error that concerns all sources, once.
func (c *copying) refuse(tasks []*task, err error) {
	p := explain(err, c.facts)
	c.out.complain("%s", sentence(p.why, p.hint))
	c.summary.Failed = len(tasks)
	c.exits[p.exit], c.first = len(tasks), p.exit
	if c.o.json {
		for _, t := range tasks {
			c.out.result(jsonLine(newFileLine(t, c.unsent(t, err), &p)))
		}
	}
}

// finish sums up and returns the exit code.
func (c *copying) finish(ctx context.Context) int {
	if c.cut > 0 && len(c.o.sources) > 1 {
		f := c.facts
		f.resumable = c.kept
		c.out.complain("interrupted: %d of %s are stored; %s", c.done-c.summary.Skipped, plural(len(c.o.sources), "file"), goOn(f))
	}
	code := c.exit(ctx)
	if c.o.json {
		c.summary.V, c.summary.Type = schema, "summary"
		c.summary.Notes = c.notes
		c.summary.DurationMS, c.summary.Exit = time.Since(c.start).Milliseconds(), code
		c.out.result(jsonLine(c.summary))
	}
	if err := c.out.failed; err != nil {
		c.out.complain("write the results to stdout: %s", rootCause(err))
		if code == exitOK {
			code = exitFailed
		}
	}
	return code
}

// exit returns the exit code for what became of all files.
func (c *copying) exit(ctx context.Context) int {
	var stop stopped
	switch {
	case c.cut > 0 && errors.As(context.Cause(ctx), &stop):
		return stop.code()
	case len(c.exits) == 0:
		return exitOK
	case c.summary.Failed == 0:
		return exitNotMD5
	case c.done > 0:
		return exitPartial
	case len(c.exits) == 1:
		return c.first
	}
	return exitFailed
}
