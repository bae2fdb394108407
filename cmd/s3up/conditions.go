package main

import (
	"fmt"
	"strings"
	"time"

	"s3up/internal/upload"
)

// etag returns an ETag, without the quotes that it may be given with.
func (v *values) etag(name string) string {
	const what = "the ETag of an object"
	s := v.text(name, what)
	tag := strings.Trim(s, `"`)
	if s != "" && (tag == "" || !isToken(tag)) {
		v.refuse(name, "must be "+what)
	}
	return tag
}

// errOneETag says that a condition is for one file only.
var errOneETag = usagef("upload them one by one", "--if-match is for one file: an ETag is of one object")

// checkConditions refuses flags that exclude each other, in the words of the
// command line. What depends on the store, the engine refuses.
func (o *cpOptions) checkConditions() error {
	u := o.upload
	var given []string
	for _, flag := range []struct {
		name string
		set  bool
	}{{"--no-clobber", u.NoClobber}, {"--if-match", u.IfMatch != ""}, {"--if-changed", u.IfChanged}} {
		if flag.set {
			given = append(given, flag.name)
		}
	}
	switch {
	case len(given) > 1:
		return usagef("leave one of them out", "%s exclude each other", strings.Join(given, " and "))
	case u.IfMatch != "" && o.isMany():
		return errOneETag
	case u.Publish == upload.PublishStaged && u.Normalize != upload.NormalizeAuto:
		return usagef("leave one of them out", "--publish staged and --normalize %s exclude each other: publishing is the copy that gives the object its MD5", u.Normalize)
	case u.PruneVersion && u.Normalize == upload.NormalizeOff:
		return usagef("leave one of them out", "--prune-version and --normalize off exclude each other: without a copy no version of parts is left behind")
	}
	return nil
}

// isStored says whether the object is made of what was read.
func isStored(r *upload.Result) bool {
	return r.Status == upload.Uploaded || r.Status == upload.Updated || r.Status == upload.Unchanged || r.Status == upload.NowMD5
}

// leftLine tells of an object whose bytes were not sent.
func leftLine(t *task, r *upload.Result) string {
	where := fmt.Sprintf("s3://%s/%s", r.Job.Bucket, r.Job.Key)
	switch r.Status {
	case upload.Skipped:
		if r.Found == nil {
			return oneLine(fmt.Sprintf("skipped %s: %s", t.name(), t.why))
		}
		return oneLine(fmt.Sprintf("skipped %s: %s is there already, %s, written %s, with the ETag %s", t.name(), where,
			byteSize(r.Found.Size), r.Found.Modified.UTC().Format(time.DateTime), clip(r.Found.ETag)))
	case upload.WouldNormalize:
		return oneLine(fmt.Sprintf("would normalize %s: %s has the same content  %s", t.name(), where, etagWords(r)))
	case upload.NowMD5:
		return oneLine(fmt.Sprintf("normalized %s: %s has the same content, and its MD5 as ETag now  %s", t.name(), where, etagWords(r)))
	case upload.Updated:
		if r.Lacking {
			return oneLine(fmt.Sprintf("updated %s: %s has the same content, and not all properties that were asked for  %s", t.name(), where, etagWords(r)))
		}
		return oneLine(fmt.Sprintf("updated %s: %s has the same content, and now the properties too  %s", t.name(), where, etagWords(r)))
	}
	return oneLine(fmt.Sprintf("unchanged %s: %s has %s  %s", t.name(), where, sameThing(t, r), etagWords(r)))
}

// sameThing says what an object has in common with a file that is not sent for that.
func sameThing(t *task, r *upload.Result) string {
	switch r.By {
	case upload.BySize:
		return "the same size, and nothing else was compared"
	case upload.ByTime:
		return fmt.Sprintf("the same size, and was made after %s was last changed", t.name())
	case upload.ByMetadata:
		return "the same content, by the MD5 in its metadata"
	}
	return "the same content"
}

// A foundLine is what --json says of an object that was there.
type foundLine struct {
	ETag      string `json:"etag"`
	Size      int64  `json:"size"`
	Modified  string `json:"last_modified"`
	VersionID string `json:"version_id,omitempty"`
}

func newFoundLine(f *upload.Found) *foundLine {
	if f == nil {
		return nil
	}
	return &foundLine{f.ETag, f.Size, f.Modified.UTC().Format(time.RFC3339), f.VersionID}
}

// add counts a file that ended well.
func (s *summaryLine) add(r *upload.Result) {
	switch r.Status {
	case upload.Skipped:
		s.Skipped++
		return
	case upload.Unchanged:
		s.Unchanged++
	case upload.Updated:
		s.Updated++
	case upload.NowMD5:
		s.Normalized++
	case upload.WouldNormalize:
		s.WouldNormalize++
	default:
		s.Uploaded++
	}
	s.Bytes += r.Size
}
