package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"s3up/internal/upload"
)

// A normalizeSummary is the last line of --json.
type normalizeSummary struct {
	V              int      `json:"v"`
	Type           string   `json:"type"` // summary
	Op             string   `json:"op"`   // normalize
	Normalized     int      `json:"normalized"`
	Unchanged      int      `json:"unchanged"` // they were plain already
	Skipped        int      `json:"skipped"`
	Kept           int      `json:"kept"` // by the store, through the copy
	Failed         int      `json:"failed"`
	WouldNormalize int      `json:"would_normalize,omitempty"` // a dry run
	WouldRequest   int64    `json:"would_request,omitempty"`   // so many times, about
	Listed         int      `json:"listed,omitempty"`          // in a manifest
	Bytes          int64    `json:"bytes"`                     // copied on the server, or to be
	Requests       int64    `json:"requests"`
	DurationMS     int64    `json:"duration_ms"`
	Exit           int      `json:"exit"`
	Notes          []string `json:"notes,omitempty"`

	Manifests []manifestLine `json:"manifests,omitempty"` // that were written, or would be
	endLine
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

// maxNoted is how many notes are known again: those that name a version are of one
// object each.
const maxNoted = 1000

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
		s.WouldRequest += int64(n.o.requestsFor(r))
		s.Bytes += r.Size * copies
	case statusListed:
		s.Listed++
		s.Bytes += r.Size
	case upload.Unchanged:
		s.Unchanged++
	case upload.Skipped:
		s.Skipped++
	case upload.KeptParts:
		s.Kept++ // most often without having moved a byte
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
		times := n.noted[note]
		if times == 0 {
			notes = append(notes, note)
		}
		if times > 0 || len(n.noted) < maxNoted {
			n.noted[note]++
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
	case r.Err == nil && !n.o.quiet && r.Skip != skipDeclined: // of which one line tells
		n.out.result(oneLine(n.text(r)))
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
			t := target{r.Job.Bucket, r.Job.Key}
			if prefix, pattern, ok := t.wildcard(); ok {
				p.hint = "a URL is no pattern; type: " + shellLine([]string{"s3up", "normalize", prefix.String(), "--include", pattern})
			} else if r.Job.Key != "" {
				p.hint = "a prefix ends in a slash: " + shellWord(t.String()+"/")
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
	upload.SkipLarge:    "it is larger than what the store copies in one piece",
	upload.SkipKMS:      "it is encrypted with KMS: no ETag is an MD5 then",
	upload.SkipCustomer: "it is encrypted with a key of somebody's own (SSE-C): no ETag is an MD5 then",
	upload.SkipArchived: "it is archived, and cannot be copied before it is restored",
	upload.SkipLocked:   "it is locked, or its copy would be",
	upload.SkipVersions: "the bucket keeps versions: the version of parts would stay behind, as --allow-versions allows",
	upload.SkipStaging:  "it is a copy of s3up's own, on its way",
	upload.SkipOpaque:   "its ETag is neither an MD5 nor one of parts",
	upload.SkipACL:      "its ACL cannot be kept",
	upload.SkipHeader:   "it carries what a copy cannot keep",
}

// why says why an object was left as it is.
func (n *normalizing) why(r *upload.Result) string {
	switch {
	case r.Skip == upload.SkipVersions && n.o.how == upload.NormalizeStaged:
		return "the bucket keeps versions, and those of the second key would stay behind; --normalize self with --allow-versions copies it onto itself"
	case r.Skip == upload.SkipHeader && len(r.Custom) > 0:
		return "it has " + strings.Join(r.Custom, " and ") + ", which a job of S3 Batch Operations cannot keep; s3up normalize without --batch-manifest can"
	}
	return skipWords[r.Skip]
}

// text is the line of an object for people.
func (n *normalizing) text(r *upload.Result) string {
	where := target{r.Job.Bucket, r.Job.Key}
	if r.Size < 0 {
		return fmt.Sprintf("%s %s: %s", r.Status, where, n.why(r))
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
	case statusListed:
		return fmt.Sprintf("listed %s  %s  ETag %s", where, size, clip(r.Was))
	case upload.Unchanged:
		return fmt.Sprintf("unchanged %s  %s  ETag %s: it is no object of parts", where, size, clip(r.ETag))
	case upload.KeptParts:
		if r.ETagKind == upload.ETagOpaque {
			return fmt.Sprintf("kept %s  %s  ETag %s, was %s: the copy is encrypted so that no ETag is an MD5", where, size, clip(r.ETag), clip(r.Was))
		}
		return fmt.Sprintf("kept %s  %s  ETag %s: the store keeps it through copies", where, size, clip(r.ETag))
	}
	return fmt.Sprintf("%s %s  %s  ETag %s: %s", r.Status, where, size, clip(r.Was), n.why(r))
}

// refuse tells of an error that ended the whole.
func (n *normalizing) refuse(err error) {
	f := n.facts
	if n.store != nil {
		f.region = n.store.RegionOf(f.bucket)
	}
	p := explain(err, f)
	n.tally.fail(p)
	n.summary.end(p)
	if p.code != interruptedCode {
		n.out.complain("%s", sentence(p.why, p.hint))
	}
}

// finish sums up and returns the exit code.
func (n *normalizing) finish(ctx context.Context) int {
	for note, times := range n.noted {
		if times > 1 {
			n.note(fmt.Sprintf("also of %s: %s", plural(times-1, "other object"), note))
		}
	}
	s := &n.summary
	var stop stopped
	if n.tally.cut > 0 && errors.As(context.Cause(ctx), &stop) {
		n.out.complain("interrupted: %s; what is done is found done when you start again with: %s", n.total(), n.facts.again)
	}
	if n.batch != nil {
		var err error
		whole := n.whole && (s.Failed == 0 || s.Listed > 0)
		if s.Manifests, err = n.batch.end(whole); err != nil {
			n.out.complain("write the manifest: %s", rootCause(err))
			n.tally.fail(problem{exit: exitFailed})
		} else if whole {
			n.tellManifests()
		}
	}
	code := n.tally.exit(ctx)
	switch {
	case n.o.json:
		s.V, s.Type, s.Op, s.Notes = schema, "summary", "normalize", n.notes
		s.DurationMS, s.Exit = time.Since(n.start).Milliseconds(), code
		n.out.result(jsonLine(*s))
	case n.tally.cut == 0 && (n.whole || n.tally.done > 0):
		n.out.talk("%s", n.total())
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
	}{{s.Normalized, "normalized"}, {s.WouldNormalize, "would be normalized"}, {s.Listed, "listed"}, {s.Unchanged, "not of parts"}, {s.Skipped, "skipped"},
		{s.Kept, "kept by the store"}, {s.Failed, "failed"}} {
		if part.n > 0 {
			all = append(all, fmt.Sprintf("%d %s", part.n, part.what))
		}
	}
	if len(all) == 0 {
		return "no objects"
	}
	line := strings.Join(all, ", ")
	switch {
	case s.Bytes == 0:
	case n.batch != nil && n.o.batch.operation == batchChecksum:
		line += "; " + byteSize(s.Bytes) + " to read on the server"
	case n.batch != nil:
		line += "; " + byteSize(s.Bytes) + " to copy on the server"
	case s.WouldNormalize > 0:
		line += fmt.Sprintf("; %s to copy on the server, in about %d requests", byteSize(s.Bytes), s.WouldRequest)
	default:
		line += "; " + byteSize(s.Bytes) + " copied on the server"
	}
	return line
}
