package main

import (
	"context"
	"fmt"
	"os"
	"strings"

	"s3up/internal/etag"
	"s3up/internal/verify"
)

// explainETags tells what the ETags of objects are. The error is one of usage.
func (p *program) explainETags(o etagOptions) (int, error) {
	type target struct{ bucket, key string }
	var targets []target
	for _, url := range o.urls {
		bucket, key, err := parseURL(url)
		switch {
		case err != nil:
			return 0, err
		case key == "":
			return 0, usagef("name an object: s3://"+bucket+"/KEY", "%s is a bucket", url)
		case len(targets) > 0 && bucket != targets[0].bucket:
			return 0, usagef("ask about one bucket at a time", "%s is in another bucket than %s", url, o.urls[0])
		}
		targets = append(targets, target{bucket, key})
	}
	e := &etagging{link: p.newLink(o.connection), o: o}
	e.facts.bucket = targets[0].bucket
	ctx, release := onSignals(context.Background(), e.told, os.Exit)
	defer release()
	err := e.open(ctx, targets[0].bucket, func() {})
	if err == nil {
		err = checkKeyIsSafe(o.customerKey, e.store.Endpoint)
	}
	how := verify.Options{CustomerKey: customerKeyHeaders(o.customerKey)}
	if o.partSize > 0 {
		how.PartSizes = []int64{o.partSize}
	}
	for _, t := range targets {
		var x *verify.Explanation
		if err == nil {
			if x, err = verify.New(e.store.Client, how).Explain(ctx, t.bucket, t.key); err != nil {
				err = e.named(ctx, t.bucket, t.key, how.CustomerKey, err)
			} else if x == nil {
				err = e.notMissing(ctx, t.bucket, t.key)
			}
		}
		e.reportObject(t.bucket, t.key, x, causeOf(ctx, err))
		if ctx.Err() != nil || e.store == nil {
			break
		}
		err = nil
	}
	return e.finish(ctx), nil
}

func (e *etagging) reportObject(bucket, key string, x *verify.Explanation, err error) {
	url := scheme + bucket + "/" + key
	l := explainLine{V: schema, Type: "file", Op: "etag", Bucket: bucket, Key: key, Status: "told"}
	var p *problem
	switch {
	case err != nil:
		explained := explain(err, e.facts)
		p = &explained
	case x == nil:
		p = &problem{why: "there is no such object", hint: "check the key and --endpoint-url", exit: exitNotFound, code: codeNames[exitNotFound]}
	}
	if p != nil {
		e.exits = append(e.exits, p.exit)
		l.Status, l.ExitCode, l.Error, l.ErrorCode, l.Hint = string(failed), p.exit, p.why, p.code, p.hint
		if e.o.json {
			e.out.result(jsonLine(l))
		}
		e.out.complain("look at %s: %s", url, sentence(p.why, p.hint))
		return
	}
	e.done++
	if e.o.json {
		l.fill(x)
		e.out.result(jsonLine(l))
		return
	}
	e.out.result(oneLine(fmt.Sprintf("%s  %s  %s", url, byteSize(x.Object.Size), explanationWords(x))))
}

// explanationWords say what an ETag is, and how one knows.
func explanationWords(x *verify.Explanation) string {
	o := x.Object
	words := "ETag " + clip(o.ETag) + ": "
	switch {
	case o.Encrypted != "":
		words += fmt.Sprintf("opaque, no MD5, because the object is encrypted with %s", o.Encrypted)
		if n := o.Parts(); n > 0 {
			words += fmt.Sprintf("; uploaded in %s", plural(n, "part"))
		}
	case etag.IsDirectory(o.Bucket):
		words += "random, no MD5, because the bucket is a directory bucket"
	case o.Kind() == verify.Opaque && o.ETag == "":
		words += "the store tells none"
	case o.Kind() == verify.Opaque:
		words += "opaque: it has not the form of an MD5"
	case o.Kind() == verify.Plain:
		words += "plain: by its form and without SSE-KMS and SSE-C, the MD5 of the bytes of an object in one piece"
	default:
		words += fmt.Sprintf("of %s", plural(o.Parts(), "part"))
		switch {
		case x.PartSize > 0 && x.Told:
			words += " of " + unspaced(x.PartSize) + ", as the store tells" + cutWords(x.Tools)
		case x.Told:
			words += " of several sizes, as the store tells"
		case len(x.PartSizes) > 0:
			words += ", whose size the store does not tell; by their number it may be " + possibleWords(x) + ": etag FILE URL finds out"
		default:
			words += " whose size the store does not tell"
		}
	}
	for _, c := range o.Checksums {
		words += fmt.Sprintf("; %s %s", c.Algorithm, c)
		if c.Parts == 0 {
			words += " of all bytes"
		}
	}
	for _, c := range o.Claims {
		words += fmt.Sprintf("; the metadata %s (%s) says that the MD5 is %s", c.Name, verify.Claimants[c.Name], c.MD5)
	}
	return words
}

// possibleWords are the sizes of parts that make the number that there is, and who cuts
// so; those that somebody cuts by default come first.
func possibleWords(x *verify.Explanation) string {
	var known, other []string
	for _, p := range x.PartSizes {
		if tools := etag.CutBy(x.Object.Size, p); len(tools) > 0 {
			known = append(known, fmt.Sprintf("%s (so cut by default: %s)", unspaced(p), strings.Join(tools, ", ")))
		} else {
			other = append(other, unspaced(p))
		}
	}
	return strings.Join(append(known, other...), ", ")
}

func cutWords(tools []string) string {
	if len(tools) == 0 {
		return "; none of the programs that are known cuts so by default"
	}
	return "; so cut by default: " + strings.Join(tools, ", ")
}

// An explainLine is what --json says of an object.
type explainLine struct {
	V         int      `json:"v"`
	Type      string   `json:"type"` // file
	Op        string   `json:"op"`   // etag
	Bucket    string   `json:"bucket"`
	Key       string   `json:"key"`
	Size      *int64   `json:"size"`
	Status    string   `json:"status"` // told, failed
	ETag      string   `json:"etag"`
	ETagKind  string   `json:"etag_kind"`
	Encrypted string   `json:"encrypted,omitempty"`
	VersionID string   `json:"version_id"`
	Parts     int      `json:"parts"`
	PartSize  int64    `json:"part_size"` // 0: not known, or of several sizes
	Told      string   `json:"part_size_from,omitempty"`
	MaybeSize []int64  `json:"possible_part_sizes,omitempty"`
	CutBy     []string `json:"cut_by,omitempty"`
	// MaybeCutBy are those of possible_part_sizes that programs cut by default, and which.
	MaybeCutBy map[int64][]string `json:"possibly_cut_by,omitempty"`

	Checksums map[string]string `json:"checksums,omitempty"`
	Claims    map[string]string `json:"claims,omitempty"` // MD5s, by the metadata that they are in

	ExitCode  int    `json:"exit_code,omitempty"`
	Error     string `json:"error,omitempty"`
	ErrorCode string `json:"error_code,omitempty"`
	Hint      string `json:"hint,omitempty"`
}

func (l *explainLine) fill(x *verify.Explanation) {
	o := x.Object
	l.Size, l.ETag, l.ETagKind, l.Encrypted, l.VersionID = &o.Size, clip(o.ETag), string(o.Kind()), o.Encrypted, clip(o.VersionID)
	l.Parts, l.PartSize, l.MaybeSize, l.CutBy = o.Parts(), x.PartSize, x.PartSizes, x.Tools
	if x.Told {
		l.Told = "store"
	}
	for _, p := range x.PartSizes {
		if tools := etag.CutBy(o.Size, p); len(tools) > 0 {
			if l.MaybeCutBy == nil {
				l.MaybeCutBy = make(map[int64][]string)
			}
			l.MaybeCutBy[p] = tools
		}
	}
	for _, c := range o.Checksums {
		if l.Checksums == nil {
			l.Checksums = make(map[string]string)
		}
		l.Checksums[string(c.Algorithm)] = c.String()
	}
	for _, c := range o.Claims {
		if l.Claims == nil {
			l.Claims = make(map[string]string)
		}
		l.Claims[c.Name] = c.MD5.String()
	}
}
