package tree

import (
	"context"
	"fmt"
	"iter"
	"strings"
	"sync"
	"time"

	"s3up/internal/etag"
	"s3up/internal/upload"
)

// An Action is what is to be done about a key.
type Action string

const (
	Upload Action = "upload"
	Keep   Action = "keep"   // the object is made of the file's bytes
	Delete Action = "delete" // there is an object and no file
	Fail   Action = "fail"   // the file cannot be read
)

// A Decision is what is to be done about a key, and why.
type Decision struct {
	Action Action
	File   *File        // nil: to be deleted
	Object *Object      // nil: there is none
	By     upload.Proof // that File and Object are the same, or not; "" if one is missing
	MD5    string       // of the file; "" if it was not read
	// Kind is that of the ETag of an object to keep; "" where only its size was looked
	// at.
	Kind upload.ETagKind
	Err  error // of Fail
}

// A Comparer decides what has to be done for the objects below a prefix to be the
// files of a folder.
type Comparer struct {
	Files   iter.Seq[File]            // in the order of their keys
	Objects iter.Seq2[*Object, error] // likewise
	Prefix  string                    // that all keys begin with

	Uploader *upload.Uploader
	// Job is what an upload of the file would be.
	Job   func(*File, *upload.Source) *upload.Job
	Cache *Cache // may be nil
	Shard Shard  // of files and objects, others do not count
	// Takes says which objects may be deleted, by their keys without the prefix; nil
	// is all.
	Takes    func(rel string) bool
	SizeOnly bool // what has the same size is the same

	// What there was, once all was decided.
	WalkedFiles   int // of all shares
	ListedObjects int // of this share, that may be deleted or replaced
	Mangled       int // objects whose keys nobody knows: they are neither compared nor deleted
}

// comparers is how many files are compared at once. Most of them wait for a core to
// be hashed on; those that the listing tells nothing of wait for the store.
const comparers = 32

// Decide compares the two, and hands out what is to be done as it becomes known. The
// error, if there is one, comes last: then not all was decided, and whatever there was
// to be deleted is not to be. Files and objects are merged as they come: neither is in
// memory.
func (c *Comparer) Decide(ctx context.Context) iter.Seq2[*Decision, error] {
	return func(yield func(*Decision, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		var workers sync.WaitGroup
		pairs, decided := make(chan *Decision, comparers), make(chan *Decision, comparers)
		var failed error
		workers.Go(func() {
			defer close(pairs)
			failed = c.merge(ctx, pairs, decided)
		})
		for range comparers {
			workers.Go(func() {
				for d := range pairs {
					c.compare(ctx, d)
					select {
					case decided <- d:
					case <-ctx.Done():
					}
				}
			})
		}
		go func() {
			workers.Wait()
			close(decided)
		}()
		defer func() {
			cancel()
			for range decided {
			}
		}()
		for d := range decided {
			if ctx.Err() != nil {
				break
			}
			if !yield(d, nil) {
				return
			}
		}
		if ctx.Err() != nil {
			yield(nil, context.Cause(ctx))
			return
		}
		if failed != nil {
			yield(nil, failed)
		}
	}
}

// merge walks files and objects side by side. What has to be looked into goes to
// pairs, all else to decided.
func (c *Comparer) merge(ctx context.Context, pairs, decided chan<- *Decision) error {
	next, stop := iter.Pull2(c.Objects)
	defer stop()
	var o *Object
	var err error
	advance := func() bool {
		for o, err, _ = next(); o != nil && err == nil && (o.Mangled || !c.Shard.Has(o.Key)); o, err, _ = next() {
			if o.Mangled {
				c.Mangled++
			}
		}
		if o != nil && err == nil {
			c.ListedObjects++
		}
		return err == nil
	}
	send := func(to chan<- *Decision, d *Decision) bool {
		select {
		case to <- d:
			return true
		case <-ctx.Done():
			return false
		}
	}
	if !advance() {
		return err
	}
	last := ""
	for f := range c.Files {
		f := &f
		switch {
		case f.Err != nil:
			if !send(decided, &Decision{Action: Fail, File: f, Err: f.Err}) {
				return ctx.Err()
			}
			if f.Key < last {
				continue
			}
		case f.Key <= last && last != "":
			return fmt.Errorf("the walk is out of order: %q after %q", f.Key, last)
		default:
			c.WalkedFiles++
		}
		last = f.Key
		for o != nil && o.Key < f.Key {
			if c.mayDelete(o) && !send(decided, &Decision{Action: Delete, Object: o}) {
				return ctx.Err()
			}
			if !advance() {
				return err
			}
		}
		d := &Decision{Action: Upload, File: f}
		if o != nil && o.Key == f.Key {
			d.Object = o
			if !advance() {
				return err
			}
		}
		if f.Err != nil || !c.Shard.Has(f.Key) {
			continue
		}
		to := decided
		if !c.decide(d) {
			to = pairs
		}
		if !send(to, d) {
			return ctx.Err()
		}
	}
	for ctx.Err() == nil && o != nil {
		if c.mayDelete(o) && !send(decided, &Decision{Action: Delete, Object: o}) {
			return ctx.Err()
		}
		if !advance() {
			return err
		}
	}
	return ctx.Err()
}

// mayDelete says whether an object without a file is one to delete: not what stands
// for a folder in consoles, nor what uploads that are under way have set aside.
func (c *Comparer) mayDelete(o *Object) bool {
	rel, ok := strings.CutPrefix(o.Key, c.Prefix)
	switch {
	case !ok, rel == "":
		return false
	case o.Size == 0 && strings.HasSuffix(rel, "/"), upload.IsStagingKey(o.Key):
		return false
	}
	return c.Takes == nil || c.Takes(rel)
}

// decide decides what the listing and the cache can tell, and returns false if that
// is not enough.
func (c *Comparer) decide(d *Decision) bool {
	switch {
	case d.Object == nil:
		return true
	case d.Object.Size != d.File.Info.Size():
		d.By = upload.BySize
		return true
	case c.SizeOnly:
		d.Action, d.By = Keep, upload.BySize
		return true
	}
	sums := c.Cache.Get(d.File)
	switch {
	case sums == nil:
		return false
	case sums.MD5.String() == d.Object.ETag:
		d.By, d.Kind = upload.ByMD5, upload.ETagMD5
	case sums.has(d.Object.ETag):
		d.By, d.Kind = upload.ByParts, upload.ETagMultipart
	case sums.has(opaque + d.Object.ETag):
		d.By, d.Kind = upload.BySeen, upload.ETagOpaque
	default:
		return false
	}
	d.Action, d.MD5 = Keep, sums.MD5.String()
	return true
}

// compare reads a file, and asks the store if need be.
func (c *Comparer) compare(ctx context.Context, d *Decision) {
	at := time.Now()
	src, err := upload.Open(ctx, d.File.Path)
	if err != nil {
		d.Action, d.Err = Fail, err
		return
	}
	defer src.Close()
	var known *etag.MD5
	if sums := c.Cache.Get(d.File); sums != nil {
		known = &sums.MD5
	}
	r, err := c.Uploader.Compare(ctx, c.Job(d.File, src), d.Object.Size, d.Object.ETag, known)
	d.By, d.MD5, d.Kind = r.By, r.MD5, r.Kind
	switch {
	case err != nil:
		d.Action, d.Err = Fail, err
		return
	case r.Same:
		d.Action = Keep
	}
	if sum, ok := etag.ParseMD5(r.MD5); ok {
		tag := ""
		if r.Same && r.By != upload.ByTime {
			tag = d.Object.ETag
		}
		c.Cache.Put(d.File, at, sum, tag, r.Kind)
	}
}
