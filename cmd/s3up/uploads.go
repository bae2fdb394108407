package main

import (
	"context"
	"crypto/md5"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/urfave/cli/v2"
	"golang.org/x/sync/errgroup"

	"s3up/internal/upload"
)

const uploadsHelp = `s3up uploads: list unfinished uploads, and abort them

Usage:
  s3up uploads [FLAG]... s3://BUCKET[/PREFIX]...

Examples:
  s3up uploads s3://backups                                   what is there, and what it holds
  s3up uploads s3://backups/2026/ --older-than 24h            without a sign of life for a day
  s3up uploads s3://backups --older-than 7d --abort --yes     for cron: abort them
  s3up uploads s3://backups/db.dump --upload-id ID --abort    exactly one
  s3up uploads --json s3://backups | jq 'select(.type == "summary").bytes'
  s3up uploads - < urls                                       the URLs, one a line

An upload in parts that was neither completed nor aborted is no object and shows in no list of
them, but its parts are stored and paid for. A prefix is one of keys, as in s3://backups/2026/ or
a whole key. Ages are told by the store's clock. --older-than goes by the last sign of life: when
it was begun, or its newest part came in. --abort asks at a terminal and needs --yes elsewhere;
what showed life within the last hour, or whose age the store does not tell, is aborted only with
--force: somebody may be sending it. To go on with an upload instead, copy the same file to the
same key again: s3up cp FILE s3://BUCKET/KEY sends what is missing.
`

func uploadsFlags() []cli.Flag {
	return append(connectionFlags(),
		textFlag(groupWhich, "older-than", "DURATION", "without a sign of life for that long, such as 90m, 24h or 7d"),
		textFlag(groupWhich, "upload-id", "ID", "the one upload that has this id"),
		toggleFlag(groupDo, "abort", "abort them: the parts are gone then"),
		toggleFlag(groupDo, "yes", "do not ask", "y"),
		toggleFlag(groupDo, "force", "abort also what showed life within the last hour, or is of unknown age"),
		toggleFlag(groupOutput, "dry-run", "with --abort, tell what would be aborted"),
	)
}

// uploadsOptions are what the flags and arguments of uploads say.
type uploadsOptions struct {
	connection
	targets   []target
	olderThan time.Duration
	id        string
	abort     bool
	yes       bool
	force     bool
	dryRun    bool
}

// liveFor is how long an upload counts as living after its last sign of life.
const liveFor = time.Hour

func runUploads(p *program, v *values) (int, error) {
	c := v.c
	o := uploadsOptions{
		connection: v.connection(), olderThan: v.days("older-than"), id: v.text("upload-id", "the id of an upload"),
		abort: c.Bool("abort"), yes: c.Bool("yes"), force: c.Bool("force"), dryRun: c.Bool("dry-run"),
	}
	if v.err != nil {
		return 0, v.err
	}
	var err error
	if o.targets, err = p.targets(c.Args().Slice(), "type: s3up uploads s3://BUCKET"); err != nil {
		return 0, err
	}
	switch {
	case !o.abort && (o.force || o.yes || o.dryRun):
		return 0, usagef("add --abort, or leave them out", "--yes, --force and --dry-run are for --abort")
	case o.id != "" && len(o.targets) > 1:
		return 0, usagef("name its URL alone", "--upload-id is for one URL")
	case o.abort && !o.yes && !o.dryRun && !p.canAsk():
		return 0, p.mustAsk("--abort")
	}
	l := &uploadsList{link: p.newLink(o.connection), o: o}
	l.facts.bucket = o.targets[0].bucket
	ctx, release := onSignals(context.Background(), l.told, os.Exit)
	defer release()
	if err := l.run(ctx); err != nil {
		l.refuse(causeOf(ctx, err))
	}
	return l.finish(ctx), nil
}

// An uploadsList is one run of uploads.
type uploadsList struct {
	*link
	o uploadsOptions
	u *upload.Uploader

	mu      sync.Mutex
	tally   outcomes
	summary uploadsSummary
	oldest  time.Duration
	blind   error // why parts could not be listed
	unaged  int   // that --older-than left out, because nobody can tell their age
	live    int   // that were left alone
	seen    map[uploadName]bool
}

// An uploadName tells an upload from all others, in few bytes.
type uploadName [md5.Size]byte

func nameOf(bucket, key, id string) uploadName {
	return md5.Sum([]byte(bucket + "/" + key + "\x00" + id))
}

// isNew says whether an upload was not listed before: it is again where a listing is
// begun again, or one URL is within another. Those that are gone by then are not
// remembered.
func (l *uploadsList) isNew(bucket, key, id string) bool {
	if !l.o.abort && len(l.o.targets) == 1 {
		return true
	}
	name := nameOf(bucket, key, id)
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.seen[name] {
		return false
	}
	if l.seen == nil {
		l.seen = make(map[uploadName]bool)
	}
	l.seen[name] = true
	return true
}

// maxRounds is how often a listing that is not whole is begun again, each time
// with what was aborted out of the way.
const maxRounds = 1000

func (l *uploadsList) run(ctx context.Context) error {
	l.summary.Complete = true
	for i, t := range l.o.targets {
		l.facts.bucket = t.bucket
		if i == 0 {
			if err := l.open(ctx, t.bucket, func() { l.u.Throttled() }); err != nil {
				return err
			}
			var err error
			// A whole bucket may have more pages of them than one key.
			options := upload.Options{Slots: l.o.store.Connections, Limits: upload.Limits{Pages: 100_000}}
			if l.u, err = upload.New(l.store.Client, options); err != nil {
				return err
			}
		} else if err := l.store.CheckBucket(ctx, t.bucket); err != nil {
			return err
		}
		if err := l.list(ctx, t); err != nil {
			return err
		}
	}
	return nil
}

// list lists what is under one URL, and aborts it if that is wanted.
func (l *uploadsList) list(ctx context.Context, t target) error {
	asks := l.o.abort && !l.o.yes && !l.o.dryRun
	listed, seen, prefix := 0, 0, t.key
	for round := 1; ; round++ {
		before := l.summary.Aborted
		var kept []*upload.Unfinished // to be asked about
		show := newCounting(l.out, "upload")
		workers := new(errgroup.Group)
		workers.SetLimit(max(l.o.store.Connections, 1))
		listing, err := l.u.Unfinished(ctx, t.bucket, prefix,
			func(key, id string) bool {
				if !strings.HasPrefix(key, t.key) {
					return false
				}
				listed++
				show.found(0)
				if (l.o.id == "" || id == l.o.id) && l.isNew(t.bucket, key, id) {
					return true
				}
				show.done(0)
				return false
			},
			func(x *upload.Unfinished) error {
				seen++
				switch {
				case !l.isOld(x):
				case asks:
					l.count(x)
					if l.mayAbort(x) {
						l.offer(x)
						kept = append(kept, x)
					}
				case l.o.abort:
					l.count(x)
					workers.Go(func() error {
						l.end(ctx, x)
						show.done(0)
						return nil
					})
					return nil
				default:
					l.count(x)
					l.tell(x, uploadUnfinished, "", nil)
				}
				show.done(0)
				return nil
			})
		workers.Wait()
		show.stop()
		if l.o.id != "" && seen == 0 && ctx.Err() == nil {
			return l.direct(ctx, t, err)
		}
		if err != nil {
			return err
		}
		if asks && len(kept) > 0 {
			if err := l.ask(ctx, t, kept); err != nil {
				return err
			}
		}
		if l.o.id != "" {
			return nil
		}
		if listing.Short != "" && l.o.abort && l.summary.Aborted > before && round < maxRounds {
			continue // what was in the way is gone
		}
		if listing.Short != "" {
			l.summary.Complete = false
			l.out.complain("%s: the store did not list all unfinished uploads: %s", t, listing.Short)
		}
		if minIO := strings.HasPrefix(listing.Server, "MinIO"); minIO && listed == 0 && prefix != "" {
			prefix = "" // it knows some of the bucket's, but none by a prefix
			continue
		} else if minIO && prefix == "" {
			l.note("MinIO lists the unfinished uploads of a whole key (s3://BUCKET/KEY); of a bucket, those that were begun since it was started")
		}
		if folder, _, ok := t.wildcard(); ok && listed == 0 {
			l.note("a URL is no pattern: " + t.String() + " means keys that begin so; all that is below it: " + shellLine([]string{"s3up", "uploads", folder.String()}))
		}
		return nil
	}
}

// direct looks for the one upload with the id that was given where the listing
// does not have it: a store may not list at all.
func (l *uploadsList) direct(ctx context.Context, t target, listing error) error {
	var x *upload.Unfinished
	if t.key != "" {
		var err error
		if x, err = l.u.UnfinishedUpload(ctx, t.bucket, t.key, l.o.id); err != nil {
			return err
		}
	}
	switch {
	case x == nil && listing != nil && t.key == "":
		return listing
	case x == nil:
		l.complain("look for", t.String(), problem{why: "no unfinished upload of it has the id " + clip(l.o.id), exit: exitNotFound, code: codeNames[exitNotFound],
			hint: "s3up uploads " + shellWord(t.String()) + " lists those that there are"})
		return nil
	}
	l.count(x)
	switch {
	case !l.o.abort:
		l.tell(x, uploadUnfinished, "", nil)
	case l.o.yes || l.o.dryRun:
		l.end(ctx, x)
	case l.mayAbort(x):
		l.offer(x)
		return l.ask(ctx, t, []*upload.Unfinished{x})
	}
	return nil
}

// offer tells of an upload before somebody is asked about it. With --json each has
// one line alone, when its fate is known.
func (l *uploadsList) offer(x *upload.Unfinished) {
	if !l.o.json {
		l.tell(x, uploadUnfinished, "", nil)
	}
}

// isOld says whether an upload is one that --older-than means.
func (l *uploadsList) isOld(x *upload.Unfinished) bool {
	idle, known := x.Idle()
	if l.o.olderThan > 0 && !known {
		l.unaged++
		return false
	}
	return l.o.olderThan == 0 || idle >= l.o.olderThan
}

// ask asks whether some uploads are to be aborted, and does it.
func (l *uploadsList) ask(ctx context.Context, t target, all []*upload.Unfinished) error {
	var bytes int64
	for _, x := range all {
		bytes += x.Bytes
	}
	yes, err := l.confirm(ctx, fmt.Sprintf("abort %s of %s under %s? What was sent is lost.", plural(len(all), "upload"), byteSize(bytes), t))
	if !yes {
		if l.o.json {
			for _, x := range all {
				l.tell(x, uploadUnfinished, "", nil)
			}
		}
		if err == nil {
			l.out.talk("nothing was aborted")
		}
		return err
	}
	workers := new(errgroup.Group)
	workers.SetLimit(max(l.o.store.Connections, 1))
	for _, x := range all {
		workers.Go(func() error {
			// Asking may have taken long.
			if there, err := l.u.Look(ctx, x); err != nil || !there {
				l.ended(x, err)
			} else {
				l.end(ctx, x)
			}
			return nil
		})
	}
	return workers.Wait()
}

// mayAbort says whether an upload may be aborted; if it lives, that is told.
func (l *uploadsList) mayAbort(x *upload.Unfinished) bool {
	idle, known := x.Idle()
	switch {
	case l.o.force:
	case !known:
		l.leave(x, "nobody can tell when it last moved")
		return false
	case idle < liveFor:
		l.leave(x, "it moved "+ago(idle)+" ago")
		return false
	}
	return true
}

// end aborts an upload, unless it lives.
func (l *uploadsList) end(ctx context.Context, x *upload.Unfinished) {
	switch {
	case !l.mayAbort(x):
	case l.o.dryRun:
		l.mu.Lock()
		l.summary.WouldAbort++
		l.tally.done++
		l.mu.Unlock()
		l.tell(x, uploadWouldAbort, "", nil)
	default:
		l.ended(x, causeOf(ctx, l.u.AbortUpload(ctx, x)))
	}
}

// leave tells of an upload that is not aborted.
func (l *uploadsList) leave(x *upload.Unfinished, why string) {
	l.mu.Lock()
	l.summary.Left++
	l.live++
	l.mu.Unlock()
	l.tell(x, uploadLeft, why, nil)
	if l.o.id != "" {
		l.complain("abort", urlOf(x), problem{why: "it was left alone: " + why, hint: "--force aborts it", exit: exitConflict, code: codeNames[exitConflict]})
	}
}

// ended tells what became of an upload that was to be aborted.
func (l *uploadsList) ended(x *upload.Unfinished, err error) {
	if err == nil {
		l.mu.Lock()
		l.summary.Aborted++
		l.tally.done++
		delete(l.seen, nameOf(x.Bucket, x.Key, x.ID))
		l.mu.Unlock()
		l.tell(x, uploadAborted, "", nil)
		return
	}
	f := l.facts
	f.region = l.store.RegionOf(x.Bucket)
	p := explain(err, f)
	l.mu.Lock()
	l.summary.Failed++
	l.mu.Unlock()
	l.tell(x, uploadFailed, "", &p)
	l.complain("abort", urlOf(x), p)
}

// count adds an upload to the totals.
func (l *uploadsList) count(x *upload.Unfinished) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.summary.Uploads++
	l.summary.Parts += int64(max(x.Parts, 0))
	l.summary.Bytes += x.Bytes
	if x.Err != nil {
		l.blind = x.Err
	}
	if age, known := x.Age(); known {
		l.oldest = max(l.oldest, age)
	}
}

// days is a duration that may have days, which are of 24 hours.
func (v *values) days(name string) time.Duration {
	if !v.c.IsSet(name) {
		return 0
	}
	text := v.c.String(name)
	if n, ok := strings.CutSuffix(text, "d"); ok {
		var days float64
		if _, err := fmt.Sscanf(n+"\n", "%f\n", &days); err == nil && days >= 0 && days < 100_000 {
			return time.Duration(days * float64(24*time.Hour))
		}
	}
	d, err := time.ParseDuration(text)
	if err != nil || d < 0 {
		v.refuse(name, "must be a duration, such as 90m, 24h or 7d")
	}
	return d
}
