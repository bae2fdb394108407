package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"s3up/internal/etag"
	"s3up/internal/tree"
	"s3up/internal/upload"
)

const normalizeHelp = `s3up normalize: give objects that are there their MD5 as ETag

Usage:
  s3up normalize [FLAG]... s3://BUCKET/KEY | s3://BUCKET/PREFIX/...

Examples:
  s3up normalize s3://backups/db.dump                       one object; asks first
  s3up normalize --dry-run s3://backups/2026/               tell what would be done
  s3up normalize --yes s3://backups/2026/ --include '*.iso' --min-size 100MiB
  s3up normalize --yes --json - < urls                      the URLs, one a line
  s3up normalize --batch-manifest m.csv --batch-job job.json s3://archive/
                                                            a job for S3 Batch Operations

An object that was sent in parts has an ETag like 9b2…-16, which is the MD5 of nothing. A copy onto itself
on the server gives it the MD5 of its bytes, as s3up cp does after an upload. What the object carries
stays: headers and metadata are restated as HEAD shows them, as are class, encryption and the ACL, and
its tags are copied. It costs a copy on the server for each object; nothing is downloaded.
Left alone, with the reason, is what is larger than 5 GiB, encrypted with KMS or a key of somebody's
own, archived, locked, or in a bucket that keeps versions without --allow-versions; and what somebody
writes meanwhile. It may be ended at any time and run again: what is done is found done.
A URL that ends in a slash, or is a bucket alone, is all that is below it. The store makes the new ETag
of the bytes that it has: that they are those that were once sent, s3up verify tells.
`

func normalizeFlags() []cli.Flag {
	return append(connectionFlags(),
		listFlag(groupWhich, "include", "PATTERN", "of what is below a prefix, only keys that it matches, by what follows\nthe prefix: * is any characters, / among them, and ? is one; repeatable"),
		listFlag(groupWhich, "exclude", "PATTERN", "no keys that it matches, whatever --include says; repeatable"),
		textFlag(groupWhich, "min-size", "SIZE", "of what is below a prefix, nothing that is smaller"),
		textFlag(groupWhich, "max-size", "SIZE", "and nothing that is larger"),
		toggleFlag(groupWhich, "allow-versions", "in buckets that keep versions too: the version of parts stays behind"),
		textFlag(groupDo, "normalize", "HOW", "self, a copy onto itself; staged, copies to a second key and back, for\nstores whose self-copy keeps the ETag; auto is self (default auto)"),
		toggleFlag(groupDo, "prune-version", "with --allow-versions, delete the version of parts that stays behind"),
		toggleFlag(groupDo, "ignore-acl", "take it that no object has an ACL of its own, and read none"),
		toggleFlag(groupDo, "yes", "do not ask", "y"),
		textFlag(groupDo, "batch-manifest", "FILE", "write a manifest for S3 Batch Operations instead, as CSV: of what would\nbe done, a file for each storage class"),
		textFlag(groupDo, "batch-job", "FILE", "and the CreateJob request for it, as JSON"),
		textFlag(groupDo, "batch-operation", "WHAT", "of that job: copy, or checksum: have the MD5s computed and reported, of\nobjects of any size, which stay as they are (default copy)"),
		toggleFlag(groupETag, "require-md5", "exit 10 also if an object was left alone that is in parts"),
		toggleFlag(groupOutput, "dry-run", "tell what would be done"),
	)
}

// normalizeOptions are what the flags and arguments of normalize say.
type normalizeOptions struct {
	connection
	targets       []target
	selected      tree.Selection
	min, max      int64
	how           upload.Normalize
	allowVersions bool
	pruneVersion  bool
	ignoreACL     bool
	requireMD5    bool
	yes, dryRun   bool
	batch         batchOptions
}

func runNormalize(p *program, v *values) (int, error) {
	c := v.c
	o := normalizeOptions{
		connection:    v.connection(),
		selected:      tree.Selection{Include: v.patterns("include"), Exclude: v.patterns("exclude")},
		min:           v.size("min-size", 1, maxObject),
		max:           v.size("max-size", 1, maxObject),
		how:           upload.Normalize(v.choice("normalize", "auto", "self", "staged")),
		allowVersions: c.Bool("allow-versions"),
		pruneVersion:  c.Bool("prune-version"),
		ignoreACL:     c.Bool("ignore-acl"),
		requireMD5:    c.Bool("require-md5"),
		yes:           c.Bool("yes"),
		dryRun:        c.Bool("dry-run"),
		batch: batchOptions{
			manifest:  v.text("batch-manifest", "the name of a file"),
			job:       v.text("batch-job", "the name of a file"),
			operation: v.choice("batch-operation", batchCopy, batchChecksum),
		},
	}
	if v.err != nil {
		return 0, v.err
	}
	var err error
	if o.targets, err = p.targets(c.Args().Slice(), "type: s3up normalize s3://BUCKET/KEY"); err != nil {
		return 0, err
	}
	switch {
	case o.max > 0 && o.max < o.min:
		return 0, usagef("", "--max-size is less than --min-size: no object is meant")
	case o.batch.job != "" && o.batch.manifest == "":
		return 0, usagef("add --batch-manifest FILE", "--batch-job needs its manifest")
	case o.batch.manifest == "" && c.IsSet("batch-operation"):
		return 0, usagef("add --batch-manifest FILE", "--batch-operation is for a job of S3 Batch Operations")
	case o.batch.manifest != "" && o.manyBuckets():
		return 0, usagef("write one for each", "a manifest of S3 Batch Operations is of one bucket")
	case o.batch.manifest == "" && !o.yes && !o.dryRun && !p.canAsk():
		return 0, p.mustAsk("to copy objects")
	}
	n := &normalizing{link: p.newLink(o.connection), o: o, noted: make(map[string]int)}
	n.facts.bucket = o.targets[0].bucket
	ctx, release := onSignals(context.Background(), n.told, os.Exit)
	defer release()
	if err := n.run(ctx); err != nil {
		n.refuse(causeOf(ctx, err))
	}
	return n.finish(ctx), nil
}

func (o *normalizeOptions) manyBuckets() bool {
	for _, t := range o.targets {
		if t.bucket != o.targets[0].bucket {
			return true
		}
	}
	return false
}

// A normalizing is one run of normalize.
type normalizing struct {
	*link
	o     normalizeOptions
	u     *upload.Uploader
	show  *counting
	batch *batch // nil: objects are copied

	mu      sync.Mutex
	tally   outcomes
	summary normalizeSummary
	noted   map[string]int // notes, and how often there was reason for them
}

// A normalizeSummary is the last line of --json.
type normalizeSummary struct {
	V              int      `json:"v"`
	Type           string   `json:"type"` // summary
	Normalized     int      `json:"normalized"`
	Unchanged      int      `json:"unchanged"` // they were plain already
	Skipped        int      `json:"skipped"`
	Kept           int      `json:"kept"` // by the store, through the copy
	Failed         int      `json:"failed"`
	WouldNormalize int      `json:"would_normalize,omitempty"` // a dry run, or a manifest
	Bytes          int64    `json:"bytes"`                     // copied on the server, or to be
	Requests       int64    `json:"requests"`
	DurationMS     int64    `json:"duration_ms"`
	Exit           int      `json:"exit"`
	Notes          []string `json:"notes,omitempty"`
}

// A normalizeLine is what --json says of an object.
type normalizeLine struct {
	V            int            `json:"v"`
	Type         string         `json:"type"` // file
	Op           string         `json:"op"`   // normalize
	Bucket       string         `json:"bucket"`
	Key          string         `json:"key"`
	Size         *int64         `json:"size"` // null: unknown
	Status       upload.Status  `json:"status"`
	Reason       upload.Skip    `json:"reason,omitempty"` // why it was skipped
	MD5          string         `json:"md5"`
	ETag         string         `json:"etag"`
	ETagKind     string         `json:"etag_kind"`
	ETagBefore   string         `json:"etag_before"`
	Normalized   string         `json:"normalized"`
	VersionID    string         `json:"version_id"`
	StorageClass string         `json:"storage_class"`
	ContentType  string         `json:"content_type"`
	Parts        int            `json:"parts"` // before
	Requests     map[string]int `json:"requests"`
	DurationMS   int64          `json:"duration_ms"`

	Checksum          string `json:"checksum,omitempty"`
	ChecksumAlgorithm string `json:"checksum_algorithm,omitempty"`
	Pruned            string `json:"pruned_version,omitempty"`

	Notes     []string `json:"notes,omitempty"`
	ExitCode  int      `json:"exit_code,omitempty"`
	Error     string   `json:"error,omitempty"`
	ErrorCode string   `json:"error_code,omitempty"`
	Hint      string   `json:"hint,omitempty"`
	RequestID string   `json:"request_id,omitempty"`
}

// A candidate is an object of parts that was found.
type candidate struct {
	target
	size int64 // -1: it was named, and not looked at
}

// objectWorkers is how many objects are seen to at once. What is in flight is
// bounded by the uploader's slots.
const objectWorkers = 64

func (n *normalizing) run(ctx context.Context) error {
	if err := n.open(ctx, n.o.targets[0].bucket, func() { n.u.Throttled() }); err != nil {
		return err
	}
	for _, t := range n.o.targets[1:] {
		if err := n.store.CheckBucket(ctx, t.bucket); err != nil {
			n.facts.bucket = t.bucket
			return err
		}
	}
	options := upload.Options{Slots: n.o.store.Connections, Normalize: n.o.how, PruneVersion: n.o.pruneVersion,
		ServerMD5: n.store.AWS, StaleAfter: defaultStale, Limits: upload.Limits{MaxCopy: n.store.MaxCopy}}
	var err error
	if n.u, err = upload.New(n.store.Client, options); err != nil {
		return err
	}
	if n.o.batch.manifest != "" {
		n.batch = newBatch(n.o.batch, n.o.targets[0].bucket)
		return n.find(ctx, n.toManifest)
	}
	if n.o.yes || n.o.dryRun {
		return n.find(ctx, n.one)
	}
	return n.ask(ctx)
}

// find finds what is of parts, and has do see to it, some at a time.
func (n *normalizing) find(ctx context.Context, do func(context.Context, candidate)) error {
	n.show = newCounting(n.out)
	defer n.show.stop()
	workers := new(errgroup.Group)
	workers.SetLimit(objectWorkers)
	defer workers.Wait()
	for _, t := range n.o.targets {
		n.facts.bucket = t.bucket
		if err := n.candidates(ctx, t, func(c candidate) {
			n.show.found(c.size)
			workers.Go(func() error {
				if ctx.Err() == nil {
					do(ctx, c)
				}
				n.show.done(c.size)
				return nil
			})
		}); err != nil {
			return err
		}
	}
	workers.Wait()
	return context.Cause(ctx)
}

// candidates tells of what is under one URL and may be of parts.
func (n *normalizing) candidates(ctx context.Context, t target, found func(candidate)) error {
	if t.key != "" && !strings.HasSuffix(t.key, "/") {
		found(candidate{t, -1})
		return nil
	}
	for o, err := range tree.List(ctx, n.store.Client, t.bucket, t.key) {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !n.o.selected.Takes(o.Key[len(t.key):]), o.Size < n.o.min, n.o.max > 0 && o.Size > n.o.max:
			continue
		case etag.IsMD5(o.ETag):
			n.mu.Lock()
			n.summary.Unchanged++
			n.tally.done++
			n.mu.Unlock()
			continue
		}
		if skip := (upload.Limits{MaxCopy: n.store.MaxCopy}).Foresee(o.Key, o.ETag, o.Size, o.Class); skip != "" && !n.batch.takes(skip) {
			n.report(&upload.Result{Job: &upload.Job{Bucket: t.bucket, Key: o.Key}, Status: upload.Skipped, Skip: skip, Size: o.Size,
				Was: o.ETag, ETag: o.ETag, ETagKind: upload.ETagMultipart, Parts: etag.Parts(o.ETag), StorageClass: o.Class})
			continue
		}
		found(candidate{target{t.bucket, o.Key}, o.Size})
	}
	return nil
}

// one sees to one object.
func (n *normalizing) one(ctx context.Context, c candidate) {
	r := n.u.Normalize(ctx, n.job(c, n.o.dryRun))
	if n.o.dryRun && r.Status == upload.WouldNormalize {
		r.Notes = append(r.Notes, n.foreseen(r)...)
	}
	n.report(r)
}

func (n *normalizing) job(c candidate, dry bool) *upload.NormalizeJob {
	return &upload.NormalizeJob{Bucket: c.bucket, Key: c.key, AllowVersions: n.o.allowVersions, IgnoreACL: n.o.ignoreACL, DryRun: dry}
}

// foreseen is what a dry run notes beside.
func (n *normalizing) foreseen(r *upload.Result) []string {
	if len(r.Custom) == 0 {
		return nil
	}
	return []string{"it has " + strings.Join(r.Custom, " and ") + ", which the copy is given again"}
}

// copiesOf is how many copies an object takes, and requests how many requests.
func (o *normalizeOptions) copiesOf() (copies int64, requests int) {
	copies, requests = 1, 3
	if o.how == upload.NormalizeStaged {
		copies, requests = 2, 9
	}
	if !o.ignoreACL {
		requests++
	}
	return copies, requests
}

// ask finds all first, tells what it will cost, and asks.
func (n *normalizing) ask(ctx context.Context) error {
	var mu sync.Mutex
	var all []candidate
	var bytes int64
	if err := n.find(ctx, func(ctx context.Context, c candidate) {
		if c.size < 0 { // nothing is known of it
			r := n.u.Normalize(ctx, n.job(c, true))
			if r.Status != upload.WouldNormalize {
				n.report(r)
				return
			}
			c.size = r.Size
		}
		mu.Lock()
		defer mu.Unlock()
		all, bytes = append(all, c), bytes+c.size
	}); err != nil || len(all) == 0 {
		return err
	}
	copies, requests := n.o.copiesOf()
	where := n.o.targets[0].String()
	if len(n.o.targets) > 1 {
		where = plural(len(n.o.targets), "URL")
	}
	yes, err := n.confirm(ctx, fmt.Sprintf("copy %s under %s on the server: %s in %d requests; go on?", plural(len(all), "object"), where,
		byteSize(bytes*copies), len(all)*requests))
	if err != nil {
		return err
	}
	if !yes {
		n.out.talk("nothing was copied")
		return nil
	}
	n.show = newCounting(n.out)
	defer n.show.stop()
	workers := new(errgroup.Group)
	workers.SetLimit(objectWorkers)
	for _, c := range all {
		n.show.found(c.size)
	}
	for _, c := range all {
		workers.Go(func() error {
			if ctx.Err() == nil {
				n.one(ctx, c)
			}
			n.show.done(c.size)
			return nil
		})
	}
	workers.Wait()
	return context.Cause(ctx)
}

// report tells what came of an object.
func (n *normalizing) report(r *upload.Result) {
	p := n.judge(r)
	copies, _ := n.o.copiesOf()
	n.mu.Lock()
	s := &n.summary
	switch r.Status {
	case upload.NowMD5:
		s.Normalized++
		s.Bytes += r.Size * copies
	case upload.WouldNormalize:
		s.WouldNormalize++
		s.Bytes += r.Size * copies
	case upload.Unchanged:
		s.Unchanged++
	case upload.Skipped:
		s.Skipped++
	case upload.KeptParts:
		s.Kept++
		s.Bytes += r.Size * copies
	default:
		s.Failed++
	}
	for _, times := range r.Requests {
		s.Requests += int64(times)
	}
	if p == nil {
		n.tally.done++
	} else {
		n.tally.fail(*p)
	}
	var notes []string
	for _, note := range r.Notes {
		if n.noted[note]++; n.noted[note] == 1 {
			notes = append(notes, note)
		}
	}
	n.mu.Unlock()
	where := target{r.Job.Bucket, r.Job.Key}
	for _, note := range notes {
		n.out.talk("note: %s: %s", where, note)
	}
	switch {
	case n.o.json:
		n.out.result(jsonLine(newNormalizeLine(r, p)))
	case r.Err == nil && !n.o.quiet:
		n.out.result(oneLine(normalizeText(r)))
	}
	if p == nil || p.code == interruptedCode || r.Err == nil && p.exit == exitNotMD5 {
		return
	}
	line := sentence(p.why, p.hint)
	if n.o.verbose && p.requestID != "" {
		line += " (request id " + p.requestID + ")"
	}
	n.out.complain("normalize %s: %s", where, line)
}

// judge returns what is wrong with a result, nil if nothing is.
func (n *normalizing) judge(r *upload.Result) *problem {
	f := n.facts
	f.bucket, f.region = r.Job.Bucket, n.store.RegionOf(r.Job.Bucket)
	switch {
	case r.Err != nil:
		p := explain(r.Err, f)
		if upload.KindOf(r.Err) == upload.NotFound && p.code != "NoSuchBucket" {
			p.why, p.hint, p.exit = "there is no such object", "", exitNotFound
			if r.Job.Key != "" {
				p.hint = "a prefix ends in a slash: " + shellWord(target{r.Job.Bucket, r.Job.Key}.String()+"/")
			}
		}
		return &p
	case r.Status == upload.KeptParts, n.o.requireMD5 && r.Status == upload.Skipped && r.Skip != upload.SkipStaging:
		return &problem{why: "its ETag is not its MD5", exit: exitNotMD5, code: codeNames[exitNotMD5]}
	}
	return nil
}

func newNormalizeLine(r *upload.Result, p *problem) normalizeLine {
	l := normalizeLine{V: schema, Type: "file", Op: "normalize", Bucket: r.Job.Bucket, Key: r.Job.Key, Status: r.Status, Reason: r.Skip,
		MD5: r.MD5, ETag: r.ETag, ETagKind: string(r.ETagKind), ETagBefore: r.Was, Normalized: string(r.Normalized), VersionID: r.VersionID,
		StorageClass: r.StorageClass, ContentType: r.ContentType, Parts: r.Parts, Requests: r.Requests, DurationMS: r.Duration.Milliseconds(),
		Checksum: r.Checksum, ChecksumAlgorithm: r.ChecksumAlgorithm, Pruned: r.Pruned, Notes: r.Notes}
	if r.Size >= 0 {
		l.Size = &r.Size
	}
	if l.Requests == nil {
		l.Requests = map[string]int{}
	}
	if p != nil {
		l.ExitCode, l.Error, l.ErrorCode, l.Hint, l.RequestID = p.exit, p.why, p.code, p.hint, p.requestID
	}
	return l
}

// skipWords say why an object was left as it is.
var skipWords = map[upload.Skip]string{
	upload.SkipLarge:     "it is larger than what the store copies in one piece",
	upload.SkipKMS:       "it is encrypted with KMS: no ETag is an MD5 then",
	upload.SkipCustomer:  "it is encrypted with a key of somebody's own (SSE-C): no ETag is an MD5 then",
	upload.SkipArchived:  "it is archived, and cannot be copied before it is restored",
	upload.SkipLocked:    "it is locked, or its copy would be",
	upload.SkipVersions:  "the bucket keeps versions: the version of parts would stay behind, as --allow-versions allows",
	upload.SkipStaging:   "it is a copy of s3up's own, on its way",
	upload.SkipOpaque:    "its ETag is neither an MD5 nor one of parts",
	upload.SkipACL:       "its ACL cannot be kept",
	upload.SkipHeader:    "it carries what a copy cannot keep",
	upload.SkipDirectory: "a directory bucket knows no MD5",
}

// normalizeText is the line of an object for people.
func normalizeText(r *upload.Result) string {
	where := target{r.Job.Bucket, r.Job.Key}
	if r.Size < 0 {
		return fmt.Sprintf("%s %s: %s", r.Status, where, skipWords[r.Skip])
	}
	size := byteSize(r.Size)
	switch r.Status {
	case upload.NowMD5:
		how := ""
		if r.Normalized == upload.StagedCopy {
			how = ", after a copy to a second key and back"
		}
		return fmt.Sprintf("normalized %s  %s in %s  ETag %s = MD5, was %s%s", where, size, span(r.Duration), r.ETag, clip(r.Was), how)
	case upload.WouldNormalize:
		return fmt.Sprintf("would normalize %s  %s  ETag %s", where, size, clip(r.Was))
	case upload.Unchanged:
		return fmt.Sprintf("unchanged %s  %s  ETag %s: it is no object of parts", where, size, clip(r.ETag))
	case upload.KeptParts:
		return fmt.Sprintf("kept %s  %s  ETag %s: the store keeps it through copies", where, size, clip(r.ETag))
	}
	return fmt.Sprintf("%s %s  %s  ETag %s: %s", r.Status, where, size, clip(r.Was), skipWords[r.Skip])
}

// refuse tells of an error that ended the whole.
func (n *normalizing) refuse(err error) {
	f := n.facts
	if n.store != nil {
		f.region = n.store.RegionOf(f.bucket)
	}
	p := explain(err, f)
	n.tally.fail(p)
	if p.code != interruptedCode {
		n.out.complain("%s", sentence(p.why, p.hint))
	}
}

// finish sums up and returns the exit code.
func (n *normalizing) finish(ctx context.Context) int {
	for note, times := range n.noted {
		if times > 1 {
			n.note(fmt.Sprintf("the same of %s more: %s", plural(times-1, "object"), note))
		}
	}
	s := &n.summary
	var stop stopped
	if n.tally.cut > 0 && errors.As(context.Cause(ctx), &stop) {
		n.out.complain("interrupted: %s; what is done is found done when you start again with: %s", n.total(), n.facts.again)
	}
	if n.batch != nil && len(n.tally.exits) == 0 {
		if err := n.batch.write(n.out); err != nil {
			n.out.complain("write the manifest: %s", rootCause(err))
			n.tally.fail(problem{exit: exitFailed})
		}
	}
	code := n.tally.exit(ctx)
	switch {
	case n.o.json:
		s.V, s.Type, s.Notes = schema, "summary", n.notes
		s.DurationMS, s.Exit = time.Since(n.start).Milliseconds(), code
		n.out.result(jsonLine(*s))
	case n.tally.cut == 0:
		n.out.talk("%s", n.total())
	}
	if s.Kept > 0 && n.o.how != upload.NormalizeStaged {
		n.out.talk("the store keeps the ETag of parts when an object is copied onto itself; --normalize staged may give the MD5, at the cost of two full copies each")
	}
	return n.written(code)
}

// total is what was done in words.
func (n *normalizing) total() string {
	s := &n.summary
	var all []string
	for _, part := range []struct {
		n    int
		what string
	}{{s.Normalized, "normalized"}, {s.WouldNormalize, "would be normalized"}, {s.Unchanged, "not of parts"}, {s.Skipped, "skipped"},
		{s.Kept, "kept by the store"}, {s.Failed, "failed"}} {
		if part.n > 0 {
			all = append(all, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	if len(all) == 0 {
		return "no objects"
	}
	line := strings.Join(all, ", ")
	if s.Bytes > 0 {
		line += "; " + byteSize(s.Bytes) + " copied on the server"
		if s.WouldNormalize > 0 {
			line = strings.TrimSuffix(line, " copied on the server") + " to copy on the server"
		}
	}
	return line
}
