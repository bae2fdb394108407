package main

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"os"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/urfave/cli/v2"

	"s3up/internal/etag"
	"s3up/internal/tree"
	"s3up/internal/upload"
)

// syncOptions are what the flags and arguments of sync say.
type syncOptions struct {
	cpOptions
	delete    bool
	maxDelete int // 0: the greater of leastDeletes and a tenth of the objects
	sizeOnly  bool
	noCache   bool
	normalize bool // what is there already, in parts
}

// leastDeletes is how many objects may be deleted without --max-delete, however few
// there are.
const leastDeletes = 1000

// notOfSync are the flags of cp that make no sense for a sync: which files, it finds
// out by itself, and on what condition.
var notOfSync = []string{"recursive", "files-from", "files-from0", "no-clobber", "if-match", "if-changed", "expected-size",
	"min-size", "max-memory", "allow-empty", "dry-run"}

func syncFlags() []cli.Flag {
	flags := slices.DeleteFunc(cpFlags(), func(f cli.Flag) bool { return slices.Contains(notOfSync, f.Names()[0]) })
	return append(flags,
		toggleFlag(groupFiles, "delete", "delete objects below the prefix that have no file, when all files are\nstored; none that --exclude or --include leaves out, none if a file\nfailed, none if the folder is empty"),
		textFlag(groupFiles, "max-delete", "N", "if there are more of these, delete none: exit 6 (default 1000 or a\ntenth of the objects below the prefix, whichever is more)"),
		toggleFlag(groupFiles, "size-only", "what has the same size is the same: nothing is read to find out"),
		toggleFlag(groupFiles, "no-hash-cache", "read each file whose size is the same; else its hash is kept in\n$XDG_CACHE_HOME/s3up/hashes until size, times or inode change"),
		toggleFlag(groupETag, "normalize-existing", "give unchanged objects of parts their MD5 as ETag too, by a copy"),
		toggleFlag(groupOutput, "dry-run", "tell what would be uploaded and deleted: the prefix is listed, files\nare read, and nothing is changed"),
	)
}

func runSync(p *program, v *values) (int, error) {
	o, err := newSyncOptions(v)
	if err != nil {
		return 0, err
	}
	return p.sync(o)
}

// newSyncOptions reads the flags. Each is checked before anything is sent.
func newSyncOptions(v *values) (syncOptions, error) {
	o := syncOptions{
		cpOptions: v.cpOptions(),
		delete:    v.c.Bool("delete"),
		maxDelete: v.number("max-delete", 0, 1<<31-1),
		sizeOnly:  v.c.Bool("size-only"),
		noCache:   v.c.Bool("no-hash-cache"),
		normalize: v.c.Bool("normalize-existing"),
	}
	switch {
	case v.err != nil:
		return o, v.err
	case o.maxDelete > 0 && !o.delete:
		return o, usagef("add --delete", "--max-delete needs --delete")
	case o.sizeOnly && o.normalize:
		return o, usagef("leave one of them out", "--size-only knows nothing of what is there, and --normalize-existing copies what is the same")
	case o.normalize && o.upload.Normalize == upload.NormalizeOff:
		return o, usagef("leave one of them out", "--normalize-existing and --normalize off contradict each other")
	case o.sizeOnly && o.requireMD5:
		return o, usagef("leave one of them out", "--size-only knows no MD5, and --require-md5 wants it")
	}
	o.recursive = true
	if err := o.folderAndPrefix(v.c.Args().Slice()); err != nil {
		return o, err
	}
	return o, o.checkRecords()
}

// folderAndPrefix reads the two arguments. A prefix that does not end in a slash would
// be that of other folders too, whose objects are then deleted: it is refused.
func (o *syncOptions) folderAndPrefix(words []string) error {
	const usage = "type: s3up sync DIR s3://BUCKET/PREFIX/"
	if len(words) != 2 {
		return usagef(usage, "sync wants a folder and where it goes")
	}
	if isURL(words[0]) || !isURL(words[1]) {
		return usagef(usage, "s3up only uploads: the folder comes first, then where it goes")
	}
	o.sources, o.destination = words[:1], words[1]
	var err error
	if o.bucket, o.key, err = parseURL(o.destination); err != nil {
		return err
	}
	if err := notInDirectory(o.bucket, unordered, "type: "+shellLine([]string{"s3up", "cp", "-r", words[0], o.destination})); err != nil {
		return err
	}
	if !o.takesNames() {
		return usagef("type: "+shellLine([]string{"s3up", "sync", words[0], o.destination + "/"}), "the prefix of a sync ends in a slash")
	}
	if o.key == "" && !strings.HasSuffix(o.destination, "/") {
		o.destination += "/"
	}
	if info, err := os.Stat(words[0]); err == nil && !info.IsDir() {
		return usagef("type: "+shellLine([]string{"s3up", "cp", words[0], o.destination}), "is no folder: %s", words[0])
	}
	return nil
}

// A syncing is one run of sync.
type syncing struct {
	*copying
	o        syncOptions
	root     string
	cache    *tree.Cache
	caches   string // where the hash caches lie below the root; "": elsewhere
	comparer *tree.Comparer
	gone     tree.Keys // objects without a file
	own      []string  // files below the root that this run writes
	broken   bool      // not all was compared
	byTime   int       // objects that nothing but their size and time tells of
}

// sync makes the objects below a prefix what the files of a folder are. The error is
// one of usage; nothing was sent then.
func (p *program) sync(o syncOptions) (int, error) {
	s := &syncing{copying: p.newCopying(o.cpOptions, true), o: o, root: o.sources[0]}
	s.terse = !o.verbose
	unlock := func() {}
	var err error
	if !o.dryRun {
		unlock, err = lock(o.lock)
	}
	var usage *usageError
	switch {
	case errors.As(err, &usage):
		return 0, err
	case err != nil:
		s.trouble("", err)
		return s.finish(context.Background()), nil
	}
	defer unlock()
	if s.records, err = o.openRecords(nil); err != nil {
		return 0, err
	}
	ctx, release := onSignals(context.Background(), s.told, os.Exit)
	defer release()
	if err := s.run(ctx); err != nil {
		s.trouble("", causeOf(ctx, err))
	}
	return s.finish(ctx), nil
}

// run compares, uploads, and deletes. The error is one that came before all that.
func (s *syncing) run(ctx context.Context) error {
	f := &folder{root: s.root}
	if err := s.o.checkFolder(f); err != nil {
		s.tell(problem{why: fmt.Sprintf("the folder %s cannot be read: %s", quoted(clip(s.root)), rootCause(err)),
			hint: "check the path, and whether it is mounted; nothing was changed", exit: exitNotFound})
		return nil
	}
	if err := s.connect(ctx, unlimited); err != nil {
		return err
	}
	s.openCache()
	defer s.closeCache()
	s.own = s.ownNames()
	s.comparer = &tree.Comparer{
		Files:    s.ownLeftOut(s.o.walk(ctx, f, s.passedBy)),
		Objects:  tree.List(ctx, s.store.Client, s.o.bucket, s.o.key),
		Prefix:   s.o.key,
		Uploader: s.uploader,
		Job:      s.job,
		Cache:    s.cache,
		Shard:    s.o.shard,
		Takes:    s.o.selected.Takes,
		SizeOnly: s.o.sizeOnly,
	}
	if s.o.dryRun {
		for t := range s.compare(ctx) {
			if t.existing != nil {
				r := s.same(t, t.existing)
				r.Status = upload.WouldNormalize
				s.report(t, r)
				continue
			}
			s.report(t, s.rehearseOne(ctx, s.uploader, t))
		}
		s.short = ctx.Err() != nil
	} else if err := s.send(ctx, s.compare(ctx)); err != nil {
		return err
	}
	s.elsewhere = s.comparer.WalkedFiles
	if n := s.comparer.Mangled; n > 0 {
		s.note(fmt.Sprintf("%s listed with U+FFFD in the place of characters that the store cannot list: what these are is not known, none is deleted, and a file of such a name is uploaded each time",
			wereWas(n, "object")))
	}
	if s.byTime > 0 {
		s.note(fmt.Sprintf("%s compared by size and time: the ETags are no MD5s there, and no checksum tells; --store-md5 leaves the MD5 in the metadata",
			wereWas(s.byTime, "object")))
	}
	s.deleteGone(ctx)
	return nil
}

func wereWas(n int, thing string) string {
	if n == 1 {
		return plural(n, thing) + " was"
	}
	return plural(n, thing) + " were"
}

// ownLeftOut leaves out the files that this run writes.
func (s *syncing) ownLeftOut(files iter.Seq[tree.File]) iter.Seq[tree.File] {
	return func(yield func(tree.File) bool) {
		for f := range files {
			if s.records.own(f.Info) || s.isCache(f.Rel) {
				s.noteAlike("own", "", "%s is this run's own: it is passed by", f.Path)
				continue
			}
			if !yield(f) {
				return
			}
		}
	}
}

// isCache says whether a file is one of the hash caches, which each run writes to.
func (s *syncing) isCache(rel string) bool { return s.caches != "" && path.Dir(rel) == s.caches }

// within returns where a folder is below another one, with slashes; "" if it is not.
func within(root, dir string) string {
	for _, p := range []*string{&root, &dir} {
		if abs, err := filepath.Abs(*p); err == nil {
			*p = abs
		}
		if real, err := filepath.EvalSymlinks(*p); err == nil {
			*p = real
		}
	}
	rel, err := filepath.Rel(root, dir)
	if err != nil || !filepath.IsLocal(rel) {
		return ""
	}
	return filepath.ToSlash(rel)
}

// openCache opens the hash cache, which is a help, and no need.
func (s *syncing) openCache() {
	if s.o.noCache || s.o.sizeOnly {
		return
	}
	dir, err := os.UserCacheDir()
	if err == nil {
		share := ""
		if s.o.shard.Of > 1 {
			share = fmt.Sprintf("%d/%d", s.o.shard.Index, s.o.shard.Of)
		}
		hashes := filepath.Join(dir, "s3up", "hashes")
		s.cache, err = tree.OpenCache(hashes, s.root, share)
		s.caches = within(s.root, hashes)
	}
	if err != nil {
		if s.o.verbose {
			s.out.talk("no hash is remembered: %s", rootCause(err))
		}
		return
	}
	s.stored = func(t *task, r *upload.Result, at time.Time) {
		if sum, ok := etag.ParseMD5(r.MD5); ok {
			s.cache.Put(&tree.File{Path: t.source, Rel: t.rel, Info: t.info}, at, sum, r.ETag, r.ETagKind)
		}
	}
}

// closeCache drops what is remembered of files that are gone, if all of them were
// seen.
func (s *syncing) closeCache() {
	files := 0
	if !s.broken && s.o.shard.Of <= 1 {
		files = s.comparer.WalkedFiles
	}
	s.cache.Close(s.root, files)
}

func (s *syncing) job(f *tree.File, source *upload.Source) *upload.Job {
	properties, _ := s.o.propertiesOf(f.Key) // what is wrong with them, the upload tells
	return &upload.Job{Source: source, Bucket: s.o.bucket, Key: f.Key, Properties: properties}
}

// whys say of a file that is not the same how that was seen.
var whys = map[upload.Proof]string{
	"":                "new",
	upload.BySize:     "size",
	upload.ByMD5:      "content",
	upload.ByParts:    "content",
	upload.ByChecksum: "content",
	upload.ByMetadata: "content",
	upload.BySeen:     "content",
	upload.ByTime:     "time",
	upload.ByLook:     "replaced",
}

// compare hands out what is to be uploaded, reports what is not, and gathers what is
// to be deleted.
func (s *syncing) compare(ctx context.Context) iter.Seq[*task] {
	return func(yield func(*task) bool) {
		for d, err := range s.comparer.Decide(ctx) {
			if err != nil {
				if s.broken = true; ctx.Err() == nil {
					s.trouble("compare with "+scheme+s.o.bucket+"/"+s.o.key, err)
				}
				return
			}
			if d.Action == tree.Delete {
				if !s.isOwn(d.Object.Key[len(s.o.key):]) {
					s.gone.Add(d.Object.Key)
				}
				continue
			}
			t := s.o.taskOf(*d.File)
			switch d.Action {
			case tree.Fail:
				t.err = causeOf(ctx, d.Err)
			case tree.Keep:
				if d.By == upload.ByTime {
					s.byTime++
				}
				if s.o.normalize && d.Kind == upload.ETagMultipart {
					t.existing = d
					break
				}
				s.report(t, s.same(t, d))
				continue
			default:
				t.why = whys[d.By]
			}
			if !yield(t) {
				s.broken = true
				return
			}
		}
	}
}

// same is the result for a file that the object is the same as.
func (s *syncing) same(t *task, d *tree.Decision) *upload.Result {
	r := &upload.Result{
		Job: &upload.Job{Bucket: s.o.bucket, Key: t.key}, Status: upload.Unchanged, Size: d.Object.Size,
		By: d.By, MD5: d.MD5, ETag: d.Object.ETag, ETagKind: d.Kind,
	}
	if d.By == upload.ByTime {
		r.MD5 = "" // nothing says that it is the object's
	}
	switch d.Kind {
	case upload.ETagMD5:
		r.Normalized = upload.Already
	case upload.ETagMultipart:
		r.Normalized = upload.Off
	case upload.ETagOpaque:
		r.Normalized = upload.Opaque
	}
	return r
}

// normalizeExisting gives an object that is the same as its file the MD5 as ETag.
func (c *copying) normalizeExisting(ctx context.Context, t *task) *upload.Result {
	d := t.existing
	r := c.uploader.Normalize(ctx, &upload.NormalizeJob{Bucket: c.o.bucket, Key: t.key})
	r.Size, r.MD5, r.By = d.Object.Size, d.MD5, d.By
	if r.Err == nil && r.Status == upload.NowMD5 && d.MD5 != "" && r.ETag != d.MD5 {
		r.Status = upload.Failed
		r.Err = &upload.Error{Kind: upload.Conflict, Msg: "somebody else wrote the key meanwhile: its ETag is " + clip(r.ETag)}
	}
	if r.Err == nil && r.Status != upload.NowMD5 {
		r.Status = upload.Unchanged
	}
	return r
}

// trouble tells of an error that concerns the run and no single file.
func (c *copying) trouble(what string, err error) {
	p := explain(err, c.facts)
	if what != "" {
		p.why = what + ": " + p.why
	}
	c.tell(p)
}

// tell tells of a problem of the run, and counts it.
func (c *copying) tell(p problem) {
	c.out.complain("%s", sentence(p.why, p.hint))
	c.mu.Lock()
	defer c.mu.Unlock()
	c.tally.fail(p)
	c.summary.Errors++
}
