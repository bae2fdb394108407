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
		all = append(all, attribute{"storage class", string(p.StorageClass), string(cmp.Or(out.StorageClass, types.StorageClassStandard))})
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
	switch want := len(t.props.Tags); {
	case n == want, !known && before == 0:
	case before == want:
		t.note("the copy lost tags: the object has %d of %d", n, want)
	default:
		t.note("the object has %s, not %d", plural(n, "tag"), want)
	}
}

// shows notes how HEAD shows the object in the end.
func (t *transfer) shows(out *s3.HeadObjectOutput) {
	t.shown = out
	t.shield = shield{out.ServerSideEncryption, aws.ToString(out.SSEKMSKeyId), aws.ToString(out.SSECustomerKeyMD5)}
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
		switch was, known := before[a.name]; {
		case known && was == a.want && a.got == "":
			t.note("the copy lost the %s %q", a.name, clip(was))
		case known && was == a.want:
			t.note("the copy changed the %s from %q to %q", a.name, clip(was), clip(a.got))
		case a.name == "metadata "+md5Key && a.got == "" && out == t.original:
			t.note("the MD5 is not in the metadata: it was known too late, and no copy followed that could put it there")
		case a.got == "":
			t.note("the store has not kept the %s %q", a.name, a.want)
		case a.want == "":
			t.note("the object has the %s %q, which was not asked for", a.name, clip(a.got))
		default:
			t.note("the %s is %q, not %q", a.name, clip(a.got), a.want)
		}
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
