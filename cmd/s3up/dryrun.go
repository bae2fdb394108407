package main

import (
	"context"
	"fmt"
	"iter"

	"s3up/internal/store"
	"s3up/internal/upload"
)

// rehearse tells what would be uploaded. Nothing is sent and no stream is opened,
// neither a store nor credentials are needed.
func (c *copying) rehearse(ctx context.Context, tasks iter.Seq[*task]) error {
	cfg := c.o.store
	cfg.NoSign = true
	s, err := store.Open(ctx, cfg)
	if err != nil {
		return err
	}
	if err := c.o.suits(s); err != nil {
		return err
	}
	u, err := upload.New(nil, c.o.optionsFor(s))
	if err != nil {
		return err
	}
	for t := range tasks {
		t.why = c.o.condition()
		c.report(t, c.rehearseOne(ctx, u, t))
	}
	return nil
}

func (c *copying) rehearseOne(ctx context.Context, u *upload.Uploader, t *task) *upload.Result {
	if t.err != nil {
		return c.unsent(t, t.err)
	}
	source := upload.NewStream(t.name(), nil)
	if !t.isStream() {
		var err error
		if source, err = t.open(ctx, nil); err != nil {
			return c.unsent(t, err)
		}
		defer source.Close()
	}
	return u.DryRun(&upload.Job{Source: source, Bucket: c.o.bucket, Key: t.key, Properties: t.properties})
}

// dryLine tells of an object that would be stored.
func dryLine(t *task, r *upload.Result) string {
	size, typ := byteSize(r.Size)+" in one piece", r.ContentType
	switch {
	case r.Size < 0:
		size = "as much as it gives"
	case r.Parts > 0:
		size = fmt.Sprintf("%s in %s of %s", byteSize(r.Size), plural(r.Parts, "part"), byteSize(r.PartSize))
	}
	if typ == "" {
		typ = "what its first bytes look like"
	}
	line := fmt.Sprintf("would upload %s to s3://%s/%s  %s, as %s", t.name(), r.Job.Bucket, r.Job.Key, size, typ)
	if words := whyWords[t.why]; words != "" {
		line += ": " + words
	}
	return oneLine(line)
}

// condition is the one that decides whether a file goes up; "" if it does in any case.
func (o *cpOptions) condition() string {
	switch u := o.upload; {
	case u.IfChanged:
		return "if-changed"
	case u.NoClobber:
		return "no-clobber"
	case u.IfMatch != "":
		return "if-match"
	}
	return ""
}

// whyWords say why a sync sends a file, see whys, and on what condition a copy does.
var whyWords = map[string]string{
	"new":      "new",
	"size":     "another size is there",
	"content":  "other content is there",
	"time":     "it may have changed since what is there was made",
	"replaced": "what is there was replaced meanwhile, or may not be looked at",

	"if-changed": "if it is not there already",
	"no-clobber": "if nothing is there",
	"if-match":   "if what is there has the ETag of --if-match",
}
