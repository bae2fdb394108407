package main

import (
	"context"
	"fmt"
	"iter"

	"s3up/internal/upload"
)

// rehearse tells what would be uploaded. Nothing is sent and no stream is opened,
// neither a store nor credentials are needed.
func (c *copying) rehearse(ctx context.Context, tasks iter.Seq[*task]) error {
	options := c.o.upload
	options.ServerMD5, options.CopyConditions = true, true // whether the store does is not asked
	u, err := upload.New(nil, options)
	if err != nil {
		return err
	}
	for t := range tasks {
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
	return oneLine(fmt.Sprintf("would upload %s to s3://%s/%s  %s, as %s", t.name(), r.Job.Bucket, r.Job.Key, size, typ))
}
