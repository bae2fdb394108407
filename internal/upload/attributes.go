package upload

import (
	"cmp"
	"maps"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// An attribute is a property as HEAD shows it, beside what was asked for.
type attribute struct {
	name      string // in words
	want, got string
}

const (
	classAttribute = "storage class"
	md5Attribute   = "metadata " + md5Key
)

// attributes compares an object with the properties that it is to have. Those
// that HEAD never shows are not among them: ACLs and the encryption context.
func (p Properties) attributes(out *s3.HeadObjectOutput) []attribute {
	all := []attribute{
		{"content type", p.ContentType, aws.ToString(out.ContentType)},
		{"content encoding", p.ContentEncoding, aws.ToString(out.ContentEncoding)},
		{"content disposition", p.ContentDisposition, aws.ToString(out.ContentDisposition)},
		{"content language", p.ContentLanguage, aws.ToString(out.ContentLanguage)},
		{"cache control", p.CacheControl, aws.ToString(out.CacheControl)},
		{"expiry date", httpTime(p.Expires), expiry(out)},
		{"website redirect", p.WebsiteRedirect, aws.ToString(out.WebsiteRedirectLocation)},
	}
	if p.StorageClass != "" {
		all = append(all, attribute{classAttribute, string(p.StorageClass), string(cmp.Or(out.StorageClass, types.StorageClassStandard))})
	}
	if p.BucketKey {
		all = append(all, attribute{"bucket key", "true", strconv.FormatBool(aws.ToBool(out.BucketKeyEnabled))})
	}
	want, got := readable(p.Metadata), readable(out.Metadata)
	names := maps.Clone(want)
	maps.Copy(names, got)
	for _, name := range slices.Sorted(maps.Keys(names)) {
		all = append(all, attribute{"metadata " + clip(name), want[name], got[name]})
	}
	return all
}

// expiry returns the Expires header, in one form if it is a date.
func expiry(out *s3.HeadObjectOutput) string {
	text := aws.ToString(out.ExpiresString)
	if t, err := http.ParseTime(text); err == nil {
		return httpTime(t)
	}
	return text
}

// tagCount returns how many tags HEAD shows, and whether it does: only to those
// who may read them.
func tagCount(out *s3.HeadObjectOutput) (int, bool) {
	return int(aws.ToInt32(out.TagCount)), out.TagCount != nil
}

// compareTags notes that tags are lost. Those that never showed may be there.
func (t *transfer) compareTags(out *s3.HeadObjectOutput) {
	n, known := tagCount(out)
	before := 0
	if t.original != nil {
		before, _ = tagCount(t.original)
	}
	want := len(t.props.Tags)
	if t.existing != nil {
		want = before // the copy takes them along
	}
	switch {
	case want == 0 && t.res.Status == Updated: // they were to stay
	case n == want, !known && before == 0:
	case before == want && n < want:
		t.res.Lacking = true
		t.note("the copy lost tags: the object has %d of %d", n, want)
	default:
		t.res.Lacking = true
		t.note("the object has %s, not %d", plural(n, "tag"), want)
	}
}

// shows notes how HEAD shows the object in the end.
func (t *transfer) shows(out *s3.HeadObjectOutput) {
	t.shown = out
	t.shield = shieldOf(out)
}

// tellDifferences tells what the object, as HEAD shows it in the end, has of its
// properties other than was asked for, and whether it was the copy that lost it.
func (t *transfer) tellDifferences() {
	out := t.shown
	if out == nil {
		return
	}
	t.compareTags(out)
	before := make(map[string]string)
	if t.original != nil && out != t.original {
		for _, a := range t.props.attributes(t.original) {
			before[a.name] = a.got
		}
	}
	for _, a := range t.props.attributes(out) {
		if a.got == a.want {
			continue
		}
		t.res.Lacking = true
		class, late := t.leftToCopy()
		switch was, known := before[a.name]; {
		case known && was == a.want && a.got == "":
			t.note("the copy lost the %s %q", a.name, clip(was))
		case known && was == a.want:
			t.note("the copy changed the %s from %q to %q", a.name, clip(was), clip(a.got))
		case t.restated:
			t.lost(a)
		case a.name == md5Attribute && late:
			t.note("%s", t.lateMD5())
		case a.name == classAttribute && class:
			t.note("the storage class is %q, not %q, because no copy followed that could set it%s", clip(a.got), a.want, withoutCopy)
		case t.inherited:
			t.note("the %s is %q, as the earlier run had it, not %q", a.name, clip(a.got), a.want)
		default:
			t.lost(a)
		}
	}
}

// lost tells of a property that the store has not kept as it was stated.
func (t *transfer) lost(a attribute) {
	switch {
	case a.got == "":
		t.note("the store has not kept the %s %q", a.name, a.want)
	case a.want == "":
		t.note("the object has the %s %q, which was not asked for", a.name, clip(a.got))
	default:
		t.note("the %s is %q, not %q", a.name, clip(a.got), a.want)
	}
}

// readable makes metadata comparable: stores give names in any case, and values
// that are not ASCII as RFC 2047 has them.
func readable(metadata map[string]string) map[string]string {
	words := mime.WordDecoder{}
	m := make(map[string]string, len(metadata))
	for name, value := range metadata {
		if decoded, err := words.DecodeHeader(value); err == nil {
			value = decoded
		}
		m[strings.ToLower(name)] = strings.TrimSpace(value)
	}
	return m
}
