package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"time"

	"golang.org/x/term"

	"s3up/internal/etag"
	"s3up/internal/upload"
)

// An output writes results to stdout and talk to stderr, line by line, above the
// bars while there are some.
type output struct {
	stdout, stderr *os.File
	quiet          bool

	mu     sync.Mutex
	above  io.Writer // prints above the bars; nil when there are none
	failed error     // of writing to stdout
}

// result writes a line to stdout.
func (o *output) result(line string) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.above != nil && term.IsTerminal(int(o.stdout.Fd())) {
		if _, err := io.WriteString(o.above, line+"\n"); err == nil {
			return
		}
	}
	if _, err := io.WriteString(o.stdout, line+"\n"); err != nil && o.failed == nil {
		o.failed = err
	}
}

// talk writes a line to stderr, unless -q wants none.
func (o *output) talk(format string, args ...any) {
	if !o.quiet {
		o.complain(format, args...)
	}
}

// complain writes a line to stderr, whatever -q wants.
func (o *output) complain(format string, args ...any) {
	line := "s3up: " + oneLine(fmt.Sprintf(format, args...)) + "\n"
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.above != nil {
		if _, err := io.WriteString(o.above, line); err == nil {
			return
		}
	}
	io.WriteString(o.stderr, line)
}

// printAbove makes lines go through w, which knows where the bars are.
func (o *output) printAbove(w io.Writer) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.above = w
}

// resultLine tells of a stored object.
func resultLine(t *task, r *upload.Result) string {
	if r.Status == upload.WouldUpload {
		return dryLine(t, r)
	}
	if r.Status != upload.Uploaded {
		return leftLine(t, r)
	}
	line := fmt.Sprintf("uploaded %s to s3://%s/%s  %s in %s", t.name(), r.Job.Bucket, r.Job.Key, byteSize(r.Size), span(r.Duration))
	switch {
	case r.PartsResumed > 0 && r.PartsResumed == r.Parts:
		line += ", all of it was there already"
	case r.PartsResumed > 0:
		line += fmt.Sprintf(", %d of %s were there already", r.PartsResumed, plural(r.Parts, "part"))
	}
	if r.UploadsAborted > 0 {
		line += fmt.Sprintf(", %s aborted", plural(r.UploadsAborted, "stale upload"))
	}
	return oneLine(line + "  " + etagWords(r))
}

// words tell of a run of several files.
func (s *summaryLine) words() string {
	var counts []string
	for _, count := range []struct {
		n    int
		what string
	}{
		{s.WouldUpload, "would be uploaded"}, {s.Uploaded, "uploaded"}, {s.Updated, "updated"}, {s.Normalized, "normalized"}, {s.WouldNormalize, "would be normalized"},
		{s.Unchanged, "unchanged"},
		{s.Skipped, "skipped"}, {s.Failed, "failed"}, {s.Deleted, "deleted"}, {s.WouldDelete, "would be deleted"}, {s.NotDeleted, "not deleted"},
	} {
		if count.n > 0 {
			counts = append(counts, fmt.Sprintf("%d %s", count.n, count.what))
		}
	}
	files := s.WouldUpload + s.Uploaded + s.Updated + s.Normalized + s.WouldNormalize + s.Unchanged + s.Skipped + s.Failed
	line := plural(files, "file")
	if len(counts) > 0 {
		line += ": " + strings.Join(counts, ", ")
	}
	if s.WouldUpload > 0 {
		return line + "; " + byteSize(s.wouldSend)
	}
	took := time.Duration(s.DurationMS) * time.Millisecond
	line += fmt.Sprintf("; %s, %s sent in %s", byteSize(s.Bytes), byteSize(s.BytesSent), span(took))
	if s.DurationMS > 0 && s.BytesSent > 0 {
		line += ", " + rateText(float64(s.BytesSent)/took.Seconds())
	}
	return line
}

// etagWords says what the object's ETag is: its MD5, and how it came to that, or
// something else, and why.
func etagWords(r *upload.Result) string {
	if r.ETagKind == upload.ETagMD5 {
		return fmt.Sprintf("ETag %s = MD5%s", r.ETag, way(r))
	}
	words := "ETag " + clip(r.ETag)
	if r.ETagKind != "" {
		words += ": " + whyNotMD5(r)
	}
	if r.MD5 != "" {
		words = "MD5 " + r.MD5 + ", " + words
	}
	if r.ChecksumAlgorithm == "CRC64NVME" {
		words += "; its CRC64NVME at the store is right"
	}
	return words
}

var ways = map[upload.Normalized]string{
	upload.SinglePut:  "",
	upload.SelfCopy:   ", after a copy onto itself",
	upload.StagedCopy: ", after a copy to a second key and back",
	upload.Already:    ", without a copy",
}

// way says how the ETag of an object came to be its MD5.
func way(r *upload.Result) string {
	switch {
	case r.Status == upload.Unchanged, r.Status == upload.Updated && r.Normalized == upload.Already:
		return ""
	case r.Published:
		return ", published by a copy"
	}
	return ways[r.Normalized]
}

// whyNotMD5 says why the ETag of a stored object is not its MD5.
func whyNotMD5(r *upload.Result) string {
	switch {
	case r.ETagKind == upload.ETagOpaque && r.Status == upload.Unchanged:
		return "it was there already, and is no MD5"
	case r.Status == upload.Unchanged || r.Status == upload.WouldNormalize:
		return "it was there already, in parts"
	}
	switch r.Normalized {
	case upload.Kept:
		return "the store keeps it through copies"
	case upload.TooLarge:
		return "too large to be copied in one piece"
	case upload.Opaque:
		if etag.IsDirectory(r.Job.Bucket) {
			return "a directory bucket knows no MD5"
		}
		return "the store's ETags are no MD5s here"
	case upload.ChecksumMD5:
		return "encrypted, and the store's own MD5 of it is the same"
	case upload.Off:
		if r.Locked {
			return "left as it is, because the bucket locks objects"
		}
		return "left as it is by --normalize off"
	case upload.Refused:
		return "the copy that would change it was refused"
	}
	return string(r.Normalized)
}

// md5Hint says what gives an object its MD5 as ETag.
func md5Hint(r *upload.Result, o *upload.Options) string {
	const onePut = "--multipart-threshold 5GiB sends it in one piece"
	n := o.Normalize
	switch {
	case r.Status != upload.Unchanged || r.ETagKind == upload.ETagOpaque:
	case o.IfChanged:
		return "leave out --if-changed, and add --normalize staged if the store keeps such ETags"
	case o.IfMatch == "":
		return "add --normalize-existing, and --normalize staged if the store keeps such ETags"
	}
	switch r.Normalized {
	case upload.Kept:
		if n == upload.NormalizeStaged {
			return onePut
		}
		return "try --normalize staged (two full copies), or " + onePut
	case upload.TooLarge:
		return "S3 has none for objects larger than 5 GiB"
	case upload.Opaque, upload.ChecksumMD5:
		if etag.IsDirectory(r.Job.Bucket) {
			return "a general purpose bucket gives MD5s"
		}
		return "a bucket with SSE-S3 or no encryption gives MD5s"
	case upload.Off:
		if r.Locked {
			return "--normalize self copies all the same"
		}
		return "leave out --normalize off"
	case upload.Refused:
		return "the credentials need s3:GetObject and s3:PutObject on the object, or " + onePut
	}
	return ""
}
