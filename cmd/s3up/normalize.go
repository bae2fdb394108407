package main

import (
	"cmp"
	"context"
	"fmt"
	"os"
	"slices"
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

An object that was sent in parts has an ETag like 9b2…-16, which is the MD5 of nothing. A copy
onto itself on the server gives it the MD5 of its bytes, as s3up cp does after an upload. What
the object carries stays: headers and metadata are restated as HEAD shows them, as are class,
encryption and the ACL, and its tags are copied. It costs a copy on the server for each object;
nothing is downloaded. Left alone, with the reason, is what is larger than 5 GiB, encrypted with
KMS or a key of somebody's own, archived, locked, or in a bucket that keeps versions without
--allow-versions; and what somebody writes meanwhile. It may be ended at any time and run again:
what is done is found done. A URL that ends in a slash, or is a bucket alone, is all that is
below it. The store makes the new ETag of the bytes that it has: that they are those that were
once sent, s3up verify tells.
`

func normalizeFlags() []cli.Flag {
	return append(connectionFlags(),
		listFlag(groupWhich, "include", "PATTERN", "below a prefix, only keys that it matches, by what follows the prefix:\n* is any characters, / among them, and ? is one; repeatable"),
		listFlag(groupWhich, "exclude", "PATTERN", "no keys that it matches, whatever --include says; repeatable"),
		textFlag(groupWhich, "min-size", "SIZE", "of what is below a prefix, nothing that is smaller"),
		textFlag(groupWhich, "max-size", "SIZE", "and nothing that is larger"),
		toggleFlag(groupWhich, "allow-versions", "in buckets that keep versions too: the version of parts stays behind"),
		textFlag(groupDo, "normalize", "HOW", "self, a copy onto itself; staged, copies to a second key and back, for\nstores whose self-copy keeps the ETag; auto is self (default auto)"),
		toggleFlag(groupDo, "prune-version", "with --allow-versions, delete the version of parts that stays behind"),
		toggleFlag(groupDo, "ignore-acl", "take it that no object has an ACL of its own, and read none"),
		toggleFlag(groupDo, "yes", "do not ask", "y"),
		textFlag(groupDo, "batch-manifest", "FILE", "only write a manifest for S3 Batch Operations, as CSV, of what would\nbe done: a file for each storage class"),
		textFlag(groupDo, "batch-job", "FILE", "and the CreateJob request for it, as JSON"),
		textFlag(groupDo, "batch-operation", "WHAT", "of that job: copy; or checksum: have the MD5s computed and reported,\nof objects of any size, which stay as they are (default copy)"),
		toggleFlag(groupETag, "require-md5", "exit 10 also if an object was left alone that is in parts"),
		toggleFlag(groupOutput, "dry-run", "tell what would be done, and write no manifest"),
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
	for _, t := range o.targets {
		if err := notInDirectory(t.bucket, "it knows no MD5, and no copy gives one", "s3up verify goes by checksums there"); err != nil {
			return 0, err
		}
	}
	switch {
	case o.max > 0 && o.max < o.min:
		return 0, usagef("", "--max-size is less than --min-size: no object is meant")
	case o.batch.job != "" && o.batch.manifest == "":
		return 0, usagef("add --batch-manifest FILE", "--batch-job needs its manifest")
	case o.batch.manifest == "" && c.IsSet("batch-operation"):
		return 0, usagef("add --batch-manifest FILE", "--batch-operation is for a job of S3 Batch Operations")
	case o.batch.manifest != "" && strings.HasPrefix(o.targets[0].bucket, "arn:"):
		return 0, usagef("use the name of the bucket", "a manifest of S3 Batch Operations names no access point")
	case o.batch.manifest != "" && o.manyBuckets():
		return 0, usagef("write one for each", "a manifest of S3 Batch Operations is of one bucket")
	case o.batch.manifest == "" && !o.yes && !o.dryRun && !p.canAsk():
		return 0, p.mustAsk("to copy objects")
	}
	if err := o.batch.check(o.dryRun); err != nil {
		return 0, err
	}
	o.targets = namedFirst(o.targets)
	n := &normalizing{link: p.newLink(o.connection), o: o, noted: make(map[string]int)}
	n.facts.bucket = o.targets[0].bucket
	ctx, release := onSignals(context.Background(), n.told, os.Exit)
	defer release()
	if err := n.run(ctx); err != nil {
		n.refuse(causeOf(ctx, err))
	} else {
		n.whole = true
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

// isPrefix says whether a target is all that is below it.
func (t target) isPrefix() bool { return t.key == "" || strings.HasSuffix(t.key, "/") }

// namedFirst puts the objects that are named before the prefixes that they may be
// below, and each URL once.
func namedFirst(all []target) []target {
	seen := make(map[target]bool)
	var named, prefixes []target
	for _, t := range all {
		switch {
		case seen[t]:
		case t.isPrefix():
			prefixes = append(prefixes, t)
		default:
			named = append(named, t)
		}
		seen[t] = true
	}
	return append(named, prefixes...)
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
	whole   bool           // all was found and seen to
}

// A candidate is an object of parts that was found.
type candidate struct {
	target
	size     int64 // -1: it was named, and not looked at
	etag     string
	class    string
	modified time.Time
}

// left is the result for an object of which the listing alone is known.
func (c candidate) left(status upload.Status, skip upload.Skip) *upload.Result {
	r := &upload.Result{Job: &upload.Job{Bucket: c.bucket, Key: c.key}, Status: status, Skip: skip, Size: c.size,
		Was: c.etag, ETag: c.etag, ETagKind: upload.ETagMultipart, Parts: etag.Parts(c.etag), StorageClass: cmp.Or(c.class, standard)}
	if r.Parts == 0 {
		r.ETagKind = upload.ETagOpaque
	}
	return r
}

// isEarly says whether to replace an object costs what S3 bills for days that it
// will not be there.
func (c candidate) isEarly(now time.Time) bool {
	days := upload.BilledDays(c.class)
	return days > 0 && now.Sub(c.modified) < time.Duration(days)*24*time.Hour
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
		ServerMD5: n.store.AWS, CopyConditions: n.store.AWS, StaleAfter: defaultStale, Limits: upload.Limits{MaxCopy: n.store.MaxCopy}}
	var err error
	if n.u, err = upload.New(n.store.Client, options); err != nil {
		return err
	}
	if n.o.batch.manifest != "" {
		n.batch = newBatch(n.o.batch, n.o.targets[0].bucket, n.o.dryRun)
		return n.find(ctx, n.toManifest)
	}
	if n.o.yes || n.o.dryRun {
		return n.find(ctx, n.one)
	}
	return n.ask(ctx)
}

// find finds what is of parts, and has do see to it, some at a time.
func (n *normalizing) find(ctx context.Context, do func(context.Context, candidate)) error {
	n.show = newCounting(n.out, "object")
	defer n.show.stop()
	workers := new(errgroup.Group)
	workers.SetLimit(objectWorkers)
	for i, t := range n.o.targets {
		if err := n.candidates(ctx, i, func(c candidate) {
			n.show.found(c.size)
			workers.Go(func() error {
				if ctx.Err() == nil {
					do(ctx, c)
				}
				n.show.done(c.size)
				return nil
			})
		}); err != nil {
			workers.Wait()
			n.facts.bucket = t.bucket
			return err
		}
	}
	workers.Wait()
	return context.Cause(ctx)
}

// candidates tells of what is under one URL and may be of parts, but for what an
// earlier one was of.
func (n *normalizing) candidates(ctx context.Context, i int, found func(candidate)) error {
	t := n.o.targets[i]
	if !t.isPrefix() {
		found(candidate{target: t, size: -1})
		return nil
	}
	named := make(map[target]bool)
	var prefixes []string
	for _, before := range n.o.targets[:i] {
		if named[before] = true; before.isPrefix() && before.bucket == t.bucket {
			prefixes = append(prefixes, before.key)
		}
	}
	was := func(key string) bool {
		return named[target{t.bucket, key}] || slices.ContainsFunc(prefixes, func(p string) bool {
			return strings.HasPrefix(key, p) && n.o.selected.Takes(key[len(p):])
		})
	}
	for o, err := range tree.List(ctx, n.store.Client, t.bucket, t.key) {
		switch {
		case err != nil:
			return err
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case !n.o.selected.Takes(o.Key[len(t.key):]), o.Size < n.o.min, n.o.max > 0 && o.Size > n.o.max, was(o.Key):
			continue
		case etag.IsMD5(o.ETag):
			n.mu.Lock()
			n.summary.Unchanged++
			n.tally.done++
			n.mu.Unlock()
			continue
		}
		c := candidate{target{t.bucket, o.Key}, o.Size, o.ETag, o.Class, o.Modified}
		if skip := (upload.Limits{MaxCopy: n.store.MaxCopy}).Foresee(o.Key, o.ETag, o.Size, o.Class); skip != "" && !n.batch.takes(skip) {
			n.report(c.left(upload.Skipped, skip))
			continue
		}
		found(c)
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

// copiesOf is how many copies an object takes, and how many requests.
func (o *normalizeOptions) copiesOf() (copies int64, requests int) {
	copies, requests = 1, 4
	if o.how == upload.NormalizeStaged {
		copies, requests = 2, 10
	}
	if !o.ignoreACL {
		requests++
	}
	return copies, requests
}

// requestsFor is how many requests an object takes that was looked at.
func (o *normalizeOptions) requestsFor(r *upload.Result) int {
	_, requests := o.copiesOf()
	if r.VersionID != "" {
		requests += 2 // is it locked?
		if o.pruneVersion {
			requests++
		}
	}
	return requests
}

// ask finds all first, tells what it will cost, and asks.
func (n *normalizing) ask(ctx context.Context) error {
	var mu sync.Mutex
	var all []candidate
	if err := n.find(ctx, func(ctx context.Context, c candidate) {
		if c.size < 0 { // nothing is known of it
			r := n.u.Normalize(ctx, n.job(c, true))
			if r.Status != upload.WouldNormalize {
				n.report(r)
				return
			}
			c.size, c.etag, c.class, c.modified = r.Size, r.Was, r.StorageClass, r.Modified
		}
		mu.Lock()
		defer mu.Unlock()
		all = append(all, c)
	}); err != nil || len(all) == 0 {
		return err
	}
	yes, err := n.confirm(ctx, n.question(all))
	if !yes {
		for _, c := range all {
			n.report(c.left(upload.Skipped, skipDeclined))
		}
		if err == nil {
			n.out.talk("nothing was copied")
		}
		return err
	}
	n.show = newCounting(n.out, "object")
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

// question is what is asked before objects are copied.
func (n *normalizing) question(all []candidate) string {
	var bytes, earlyBytes int64
	early, now := 0, time.Now()
	for _, c := range all {
		bytes += c.size
		if c.isEarly(now) && !n.o.allowVersions { // where versions are kept, it stays
			early, earlyBytes = early+1, earlyBytes+c.size
		}
	}
	copies, requests := n.o.copiesOf()
	where := n.o.targets[0].String()
	if len(n.o.targets) > 1 {
		where = plural(len(n.o.targets), "URL")
	}
	text := fmt.Sprintf("copy %s under %s on the server: %s in about %s", plural(len(all), "object"), where, byteSize(bytes*copies),
		plural(len(all)*requests, "request"))
	if early > 0 {
		text += fmt.Sprintf("; %d of them, %s, younger than S3 bills their class for", early, byteSize(earlyBytes))
	}
	return text + "; go on?"
}

// skipDeclined is why an object was left that somebody was asked about.
const skipDeclined upload.Skip = "declined"
