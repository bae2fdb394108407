package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"s3up/internal/store"
	"s3up/internal/upload"
)

// fileWorkers is how many files are open at once, where no more slots are asked for.
// What is in flight is bounded by the uploader's slots.
const fileWorkers = 64

// readAhead is how many small files are under way beyond those that may be sent, at
// least.
const readAhead = 8

// A copying is one run that uploads.
type copying struct {
	*link
	o       cpOptions
	several bool    // files may be uploaded: each note and line needs a name
	known   bool    // all of them are, from the beginning
	terse   bool    // there may be very many that are unchanged: no line for each
	records records // on disk, of what became of it

	uploader *upload.Uploader
	workers  int // how many files are open at once
	show     progress
	halt     atomic.Pointer[halt] // nil: what comes is begun
	short    bool                 // a signal ended the search for files

	// stored is told of what is stored, and when its upload began; may be nil.
	stored    func(*task, *upload.Result, time.Time)
	elsewhere int // files that were found, of which nothing is told: they are of other shares, most often
	refused   int // the exit code of something that was not done, though no file failed; 0: none

	mu      sync.Mutex
	summary summaryLine
	tally   outcomes
	seen    int  // files that were named or found
	kept    bool // one of those that a signal ended can be gone on with
	unnamed int  // objects in place whose MD5 is not known
}

// A halt ends a run before all is begun: why, of each file that is known by then, and
// a line about the run.
type halt struct{ why, line string }

// newCopying prepares a run. several says that more than one file may be uploaded.
func (p *program) newCopying(o cpOptions, several bool) *copying {
	c := &copying{
		link: p.newLink(o.connection), o: o, several: several, show: silence{},
	}
	c.facts.bucket, c.facts.asked, c.facts.properties = o.bucket, o.askedFor(), o.properties
	c.facts.locks = o.properties.LockMode != "" || o.properties.LegalHold
	for _, text := range o.notes {
		c.note(text)
	}
	return c
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
	known := !slices.ContainsFunc(tasks, (*task).standsForMany)
	c := p.newCopying(o, len(tasks) > 1 || !known)
	c.known = known
	unlock := func() {}
	if !o.dryRun {
		unlock, err = lock(o.lock)
	}
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		return 0, err
	case err != nil: // before anything of the run that holds it is touched
		c.refuse(tasks, err)
		return c.finish(context.Background()), nil
	}
	defer unlock()
	if c.records, err = o.openRecords(tasks); err != nil {
		return 0, err
	}
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
	tasks, c.elsewhere = o.ownShare(tasks)
	if o.dryRun {
		ctx := context.Background()
		if err := c.rehearse(ctx, c.files(ctx, tasks)); err != nil {
			c.refuse(tasks, err)
		}
		return c.finish(ctx), nil
	}
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
	files := unlimited
	if c.known {
		files = max(len(tasks), 1)
	}
	if err := c.connect(ctx, files); err != nil {
		return err
	}
	if c.o.upload.ReadOnce || slices.ContainsFunc(tasks, (*task).isStream) {
		keepTo(c.o.upload.MaxMemory)
	}
	return c.send(ctx, c.files(ctx, tasks))
}

// connect opens the store, and prepares to upload at most so many files.
func (c *copying) connect(ctx context.Context, most int) error {
	files, slots := shareOut(min(most, max(fileWorkers, c.o.upload.MostSlots)), c.o.store.Connections, descriptors())
	if slots < c.o.store.Connections && c.o.verbose {
		c.out.talk("only %d files may be open (ulimit -n): %s at once, %s", descriptors(), plural(files, "file"), plural(slots, "slot"))
	}
	_, most = shareOut(files, c.o.upload.MostSlots, descriptors())
	c.how.store.Connections = max(slots, most)
	if err := c.open(ctx, c.o.bucket, func() { c.uploader.Throttled() }); err != nil {
		return err
	}
	s := c.store
	if err := c.o.suits(s); err != nil {
		return err
	}
	options := c.o.optionsFor(s)
	options.Slots, options.MostSlots = slots, most
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
			c.noted(e)
		}
		c.show.event(e)
	}
	var err error
	c.uploader, err = upload.New(s.Client, options)
	c.workers = files
	return err
}

// send uploads what tasks hands out, and reports what comes of each; of what --last
// names, when all else has succeeded. tasks is called once, on this goroutine, no
// more than lookAhead files before they are begun, and has to end when the context
// does.
func (c *copying) send(ctx context.Context, tasks iter.Seq[*task]) error {
	if err := c.records.begin(); err != nil {
		return err
	}
	c.show = newProgress(c.o, c.out, c.several)
	defer c.show.stop()
	var last waiting
	c.round(ctx, func(yield func(*task) bool) {
		for t := range tasks {
			if t.err == nil && t.existing == nil && c.o.last.Match(t.rel) {
				if t.err = last.add(t); t.err == nil {
					continue
				}
			}
			if !yield(t) {
				return
			}
		}
	})
	c.round(ctx, c.released(&last))
	return nil
}

// round uploads tasks until there are no more.
func (c *copying) round(ctx context.Context, tasks iter.Seq[*task]) {
	s := newSchedule(c.isLarge, c.smallAtOnce)
	var workers sync.WaitGroup
	for range c.workers {
		workers.Go(func() {
			for t := s.take(); t != nil; t = s.take() {
				c.report(t, c.one(ctx, t))
				s.done(t)
			}
		})
	}
	for t := range tasks {
		if t.found && c.halt.Load() != nil {
			break
		}
		c.show.found(t)
		s.add(t)
	}
	c.short = c.short || !c.known && ctx.Err() != nil
	c.show.foundAll()
	s.end()
	workers.Wait()
}

// optionsFor are the engine's, for what is known of a store.
func (o *cpOptions) optionsFor(s *store.Store) upload.Options {
	options := o.upload
	options.ServerMD5, options.CopyConditions, options.KeepsProperties = s.AWS, s.AWS, s.AWS
	options.Limits.EqualParts, options.Limits.MaxCopy = s.EqualParts, s.MaxCopy
	if options.Limits.Parts == 0 {
		options.Limits.Parts = s.MaxParts
	}
	return options
}

// suits refuses what makes no sense at a store.
func (o *cpOptions) suits(s *store.Store) error {
	if err := checkKeyIsSafe(o.properties.CustomerKey, s.Endpoint); err != nil {
		return err
	}
	if !s.AWS {
		return nil // others have classes of their own
	}
	return checkClass(o.properties.StorageClass)
}

// smallAtOnce is how many small files are under way at once: as many as may be sent, and
// some that are read meanwhile, or wait, which is what more slots are tried for. Where each
// is looked at first, most of the time is spent with that.
func (c *copying) smallAtOnce() int {
	if o := &c.o.upload; o.NoClobber || o.IfMatch != "" || o.IfChanged {
		return c.workers
	}
	slots := c.uploader.Slots()
	return slots + max(readAhead, slots/4)
}

// one uploads one source.
func (c *copying) one(ctx context.Context, t *task) *upload.Result {
	switch {
	case t.err != nil:
		c.show.left(t)
		return c.unsent(t, t.err)
	case ctx.Err() != nil:
		c.show.left(t)
		return c.unsent(t, context.Cause(ctx))
	}
	if h := c.halt.Load(); h != nil {
		c.show.left(t)
		return c.passed(t, h.why)
	}
	if t.existing != nil {
		c.show.left(t)
		return c.normalizeExisting(ctx, t)
	}
	at := time.Now()
	source, err := t.open(ctx, c.stdin)
	if err != nil {
		c.show.left(t)
		return c.unsent(t, causeOf(ctx, err))
	}
	defer source.Close()
	r := c.uploader.Upload(ctx, &upload.Job{Source: source, Bucket: c.o.bucket, Key: t.key, Properties: t.properties})
	if c.stored != nil && r.Err == nil {
		c.stored(t, r, at)
	}
	return r
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
	if t.info != nil && !t.isStream() {
		r.Size = t.info.Size()
	}
	return r
}

// passed is the result of a source that is left out for a reason of the run's own.
func (c *copying) passed(t *task, why string) *upload.Result {
	t.why = why
	r := c.unsent(t, nil)
	r.Status = upload.Skipped
	return r
}

// noted tells a note of the engine's.
func (c *copying) noted(e upload.Event) {
	switch {
	case !c.several:
		c.out.talk("note: %s", e.Text)
	case c.mayTell(e.Text, "more files: "+e.Text):
		name := e.Job.Source.Name()
		if name == "" {
			name = scheme + clip(e.Job.Bucket+"/"+e.Job.Key)
		}
		c.out.talk("note: %s: %s", name, e.Text)
	}
}

// report tells what came of a source. Many goroutines may call it at once.
func (c *copying) report(t *task, r *upload.Result) {
	p := c.judge(r)
	left := r.Status == upload.Skipped && r.Found == nil
	c.mu.Lock()
	c.seen++
	switch {
	case r.Status == upload.WouldUpload:
		c.summary.WouldUpload++
		c.summary.Bytes += max(r.Size, 0)
		c.summary.wouldSend += max(r.Size, 0)
	case r.Err == nil:
		c.summary.add(r)
	default:
		c.summary.Failed++
	}
	if r.Err == nil && !left {
		c.tally.done++
	}
	c.summary.BytesSent += r.BytesSent
	if p != nil {
		c.tally.fail(*p)
		c.kept = c.kept || p.code == interruptedCode && r.Resumable
	}
	if isStored(r) && !hasSum(r) {
		c.unnamed++
	}
	c.mu.Unlock()
	told := c.ends(r, p)

	if hasSum(r) && c.records.sums != nil {
		c.records.sums.line(md5sumLine(r.MD5, c.o.sumName(r.Job.Key)))
	}
	if c.o.json || c.records.report != nil {
		c.line(jsonLine(newFileLine(t, r, p)))
	}
	if !c.o.json && r.Err == nil && !c.o.quiet && !(c.terse && r.Status == upload.Unchanged) {
		c.out.result(resultLine(t, r))
	}
	if p != nil && !told {
		c.complain(t, r, p)
	}
}

// ends ends the run after a file that failed, if nothing more is to be begun. told
// says that no line need be said of the file: it failed as others did.
func (c *copying) ends(r *upload.Result, p *problem) (told bool) {
	switch {
	case p == nil:
	case p.code == interruptedCode:
		return c.several
	case r.Err != nil && c.o.failFast:
		c.halt.CompareAndSwap(nil, &halt{"--fail-fast: another file failed before it was begun", "--fail-fast: a file failed, and nothing more was begun"})
	case !c.known && concernsAll(r.Err):
		return !c.halt.CompareAndSwap(nil, &halt{"another file failed before it was begun, for a reason that concerns all: " + p.why,
			"nothing more was begun: all would fail so; " + goOn(c.facts)})
	}
	return false
}

// line writes a line of JSON to where such lines are wanted.
func (c *copying) line(text string) {
	if c.o.json {
		c.out.result(text)
	}
	if c.records.report != nil {
		c.records.report.line(text)
	}
}

// judge returns what is wrong with a result, nil if nothing is.
func (c *copying) judge(r *upload.Result) *problem {
	f := c.facts
	f.resumable = r.Resumable
	if r.InTheWay {
		f.resumable, f.again = true, strings.Replace(f.again, " --no-clobber", "", 1)
	}
	if c.store != nil {
		f.region = c.store.RegionOf(c.o.bucket)
	}
	switch {
	case r.Err != nil:
		p := explain(r.Err, f)
		return &p
	case c.o.requireMD5 && isStored(r) && r.ETagKind != upload.ETagMD5:
		known := "stored and intact"
		if r.By == upload.ByTime {
			known = "there, and the same by size and time"
		}
		return &problem{
			why:  known + ", but its ETag " + clip(r.ETag) + " is not its MD5: " + whyNotMD5(r),
			hint: md5Hint(r, &c.o.upload), exit: exitNotMD5, code: codeNames[exitNotMD5],
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
	for _, t := range tasks {
		c.tally.fail(p)
		c.line(jsonLine(newFileLine(t, c.unsent(t, err), &p)))
	}
}

// finish sums up and returns the exit code.
func (c *copying) finish(ctx context.Context) int {
	_, isCut := c.isCut(ctx)
	if isCut && c.several {
		f := c.facts
		f.resumable = c.kept
		n := c.inPlace()
		stored := plural(n, "file")
		if c.known {
			stored = fmt.Sprintf("%d of %s", n, plural(c.seen, "file"))
		}
		c.out.complain("interrupted: %s %s stored; %s", stored, isAre(n), goOn(f))
	}
	code := c.exit(ctx)
	if code == exitOK && c.seen+c.elsewhere == 0 && !c.o.upload.AllowEmpty {
		code = exitNotFound
		c.out.complain("nothing to upload: no file was found, or none is selected; check the path and the patterns, or --allow-empty")
	}
	if h := c.halt.Load(); h != nil {
		c.out.complain("%s", h.line)
	}
	if c.known && c.seen == 0 && c.elsewhere > 0 {
		c.note(fmt.Sprintf("nothing to upload: %s %s of other shares than %d/%d", plural(c.elsewhere, "file"), isAre(c.elsewhere), c.o.shard.Index, c.o.shard.Of))
	}
	c.tellMore()
	whole := !isCut && !c.short && c.halt.Load() == nil
	if s := c.records.sums; s != nil && c.records.begun && !whole {
		c.note(fmt.Sprintf("the run did not come to its end: the sums of what it saw in place stand in %s", quoted(partialSums(s.name))))
	}
	if c.unnamed > 0 && c.records.sums != nil {
		c.note(fmt.Sprintf("%s in place are not in --sums: their MD5 is not known", plural(c.unnamed, "object")))
	}
	c.summary.V, c.summary.Type = schema, "summary"
	c.summary.Notes = c.notes
	c.summary.DurationMS, c.summary.Exit = time.Since(c.start).Milliseconds(), code
	c.line(jsonLine(c.summary))
	if c.several && !c.o.json && (c.uploader != nil || c.o.dryRun) && (c.summary.Errors == 0 || c.seen > 0) {
		c.out.talk("%s", c.summary.words())
	}
	problems := c.records.end(whole)
	if err := c.out.failed; err != nil {
		problems = append(problems, "write the results to stdout: "+rootCause(err))
	}
	for _, problem := range problems {
		c.out.complain("%s", problem)
		if code == exitOK {
			code = exitFailed
		}
	}
	return code
}

// inPlace counts the objects that are in place.
func (c *copying) inPlace() int {
	return c.summary.Uploaded + c.summary.Unchanged + c.summary.Updated
}

// isCut says whether a signal ended the run before it was done, and which.
func (c *copying) isCut(ctx context.Context) (stop stopped, isCut bool) {
	isCut = (c.tally.cut > 0 || c.short) && errors.As(context.Cause(ctx), &stop)
	return stop, isCut
}

// exit returns the exit code for what became of all files.
func (c *copying) exit(ctx context.Context) int {
	stop, isCut := c.isCut(ctx)
	switch {
	case isCut:
		return stop.code()
	case c.refused != 0 && !c.tally.failed():
		return c.refused
	}
	return c.tally.exit(ctx)
}
