package upload_test

import (
	"cmp"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

// A carried object is what another client reads of an object.
type carried struct {
	*s3.HeadObjectOutput
}

func (st *stand) carried(t testing.TB, key string) carried {
	t.Helper()
	head, err := st.client.HeadObject(t.Context(), &s3.HeadObjectInput{Bucket: &st.bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	return carried{head}
}

// A property is a field of Properties: a value for it, and how another client
// reads it.
type property struct {
	set  func(*upload.Properties)
	read func(carried) string
	want string
	none string // what is read where nothing was asked for
}

// properties are all fields of Properties, by name.
var properties = map[string]property{
	"ContentType": {
		set:  func(p *upload.Properties) { p.ContentType = "text/x-test; charset=utf-8" },
		read: func(c carried) string { return aws.ToString(c.ContentType) },
		want: "text/x-test; charset=utf-8", none: "application/octet-stream",
	},
	"ContentEncoding": {
		set:  func(p *upload.Properties) { p.ContentEncoding = "gzip" },
		read: func(c carried) string { return aws.ToString(c.ContentEncoding) },
		want: "gzip",
	},
	"ContentDisposition": {
		set:  func(p *upload.Properties) { p.ContentDisposition = `attachment; filename="a b.txt"` },
		read: func(c carried) string { return aws.ToString(c.ContentDisposition) },
		want: `attachment; filename="a b.txt"`,
	},
	"ContentLanguage": {
		set:  func(p *upload.Properties) { p.ContentLanguage = "de, en-US" },
		read: func(c carried) string { return aws.ToString(c.ContentLanguage) },
		want: "de, en-US",
	},
	"CacheControl": {
		set:  func(p *upload.Properties) { p.CacheControl = "max-age=60, public" },
		read: func(c carried) string { return aws.ToString(c.CacheControl) },
		want: "max-age=60, public",
	},
	"Expires": {
		set: func(p *upload.Properties) {
			p.Expires = time.Date(2031, 2, 3, 5, 5, 6, 7, time.FixedZone("", 3600))
		},
		read: func(c carried) string { return aws.ToString(c.ExpiresString) },
		want: "Mon, 03 Feb 2031 04:05:06 GMT",
	},
	"WebsiteRedirect": {
		set:  func(p *upload.Properties) { p.WebsiteRedirect = "/elsewhere" },
		read: func(c carried) string { return aws.ToString(c.WebsiteRedirectLocation) },
		want: "/elsewhere",
	},
	"Metadata": {
		set:  func(p *upload.Properties) { p.Metadata = map[string]string{"Owner": "me, myself"} },
		read: func(c carried) string { return c.HeadObjectOutput.Metadata["owner"] },
		want: "me, myself",
	},
	"StorageClass": {
		set:  func(p *upload.Properties) { p.StorageClass = "STANDARD_IA" },
		read: func(c carried) string { return cmp.Or(string(c.StorageClass), "STANDARD") },
		want: "STANDARD_IA", none: "STANDARD",
	},
}

// ways are the ways that an object comes to be, each with other requests that
// have to state its properties.
var ways = map[string]struct {
	size   int64
	change func(*run)
	ends   upload.Normalized
}{
	"in one piece": {1000, func(*run) {}, upload.SinglePut},
	"self-copy":    {3 * KiB, func(*run) {}, upload.SelfCopy},
	"staged copy":  {3 * KiB, normalize(upload.NormalizeStaged), upload.StagedCopy},
	"no copy":      {3 * KiB, normalize(upload.NormalizeOff), upload.Off},
}

// Whatever can be asked for an object is on it in the end, however it came to be:
// a field of Properties that a request forgets fails here, and so does one that
// the table forgets.
func TestEveryProperty(t *testing.T) {
	for field := range reflect.TypeFor[upload.Properties]().Fields() {
		p, known := properties[field.Name]
		if !known {
			t.Errorf("the table does not know %s", field.Name)
			continue
		}
		for name, way := range ways {
			t.Run(field.Name+"/"+name, func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{})
				data := random(way.size, field.Name)
				r := st.upload(t, file(t, data), "without", way.change)
				st.ends(t, r, "without", data, way.ends)
				if got := p.read(st.carried(t, "without")); got != p.none {
					t.Errorf("without it, it is %q, want %q", got, p.none)
				}
				r = st.upload(t, file(t, data), "k", way.change, func(r *run) { p.set(&r.Properties) })
				st.ends(t, r, "k", data, way.ends)
				if got := p.read(st.carried(t, "k")); got != p.want {
					t.Errorf("it is %q, want %q", got, p.want)
				}
				notes(t, r)
			})
		}
	}
}

// All of them at once do not get into each other's way.
func TestAllProperties(t *testing.T) {
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			st := newStand(t, s3test.Options{})
			data := random(way.size, "all")
			r := st.upload(t, file(t, data), "k", way.change, func(r *run) {
				for _, p := range properties {
					p.set(&r.Properties)
				}
			})
			st.ends(t, r, "k", data, way.ends)
			c := st.carried(t, "k")
			for name, p := range properties {
				if got := p.read(c); got != p.want {
					t.Errorf("%s is %q, want %q", name, got, p.want)
				}
			}
			notes(t, r)
		})
	}
}

// A store that loses a property on the copy, or never keeps it, does so with a
// note.
func TestLostProperties(t *testing.T) {
	for name, test := range map[string]struct {
		quirks s3test.Quirks
		change func(*run)
		notes  []string
	}{
		"on the copy": {s3test.Quirks{CopyLoses: []string{"Content-Disposition", "X-Amz-Meta-Owner"}}, func(*run) {}, []string{
			`the copy lost the content disposition "inline"`, `the copy lost the metadata owner "me"`}},
		"always": {s3test.Quirks{CopyLoses: []string{"Content-Disposition", "X-Amz-Meta-Owner"}}, normalize(upload.NormalizeStaged), []string{
			`the copy lost the content disposition "inline"`, `the copy lost the metadata owner "me"`}},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStand(t, s3test.Options{Quirks: test.quirks})
			data := random(3*KiB, "lost")
			r := st.upload(t, file(t, data), "k", test.change, func(r *run) {
				r.ContentDisposition, r.Metadata, r.CacheControl = "inline", map[string]string{"owner": "me", "team": "web"}, "no-store"
			})
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			notes(t, r, test.notes...)
		})
	}
}

// What S3 would refuse is refused before anything is sent.
func TestRefusedProperties(t *testing.T) {
	for name, test := range map[string]struct {
		properties upload.Properties
		why        string
	}{
		"too much metadata":    {upload.Properties{Metadata: map[string]string{"a": strings.Repeat("ü", 1023), "bb": ""}}, "2049 bytes of metadata are more than the 2048"},
		"too long headers":     {upload.Properties{CacheControl: strings.Repeat("x", 1500), ContentDisposition: strings.Repeat("y", 600)}, "2132 bytes of headers are more than the 2048"},
		"a header with umlaut": {upload.Properties{ContentLanguage: "grün"}, `Content-Language: "grün" is not ASCII`},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStand(t, s3test.Options{})
			r := st.upload(t, file(t, random(100, "")), "k", func(r *run) { r.Properties = test.properties })
			if upload.KindOf(r.Err) != upload.Usage || !strings.Contains(r.Err.Error(), test.why) {
				t.Errorf("error %v, want %q", r.Err, test.why)
			}
			if n := st.Count("*"); n != 0 {
				t.Errorf("%d requests were sent", n)
			}
		})
	}
	st := newStand(t, s3test.Options{})
	data := random(100, "")
	r := st.upload(t, file(t, data), "k", func(r *run) { r.Metadata = map[string]string{"a": strings.Repeat("ü", 1023), "b": ""} })
	st.ends(t, r, "k", data, upload.SinglePut)
}
