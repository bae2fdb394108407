package upload_test

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"reflect"
	"slices"
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
	tags   string        // KEY=VALUE, in order
	grants string        // PERMISSION GRANTEE, in order
	stored s3test.Object // for what no call shows
}

func (st *stand) carried(t testing.TB, key string, p upload.Properties) carried {
	t.Helper()
	in := &s3.HeadObjectInput{Bucket: &st.bucket, Key: &key}
	if p.CustomerKey != nil {
		sum := md5.Sum(p.CustomerKey)
		in.SSECustomerAlgorithm, in.SSECustomerKey = aws.String("AES256"), aws.String(base64.StdEncoding.EncodeToString(p.CustomerKey))
		in.SSECustomerKeyMD5 = aws.String(base64.StdEncoding.EncodeToString(sum[:]))
	}
	head, err := st.client.HeadObject(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	tagging, err := st.client.GetObjectTagging(t.Context(), &s3.GetObjectTaggingInput{Bucket: &st.bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	acl, err := st.client.GetObjectAcl(t.Context(), &s3.GetObjectAclInput{Bucket: &st.bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	c := carried{HeadObjectOutput: head}
	c.stored, _ = st.Server.Object(st.bucket, key)
	var tags, grants []string
	for _, tag := range tagging.TagSet {
		tags = append(tags, *tag.Key+"="+*tag.Value)
	}
	for _, g := range acl.Grants {
		who := aws.ToString(g.Grantee.URI) + aws.ToString(g.Grantee.ID) + aws.ToString(g.Grantee.EmailAddress)
		grants = append(grants, string(g.Permission)+" "+who[strings.LastIndexByte(who, '/')+1:])
	}
	slices.Sort(tags)
	slices.Sort(grants)
	c.tags, c.grants = strings.Join(tags, ", "), strings.Join(grants, ", ")
	return c
}

// A property is a field of Properties: a value for it, and how another client
// reads it.
type property struct {
	set    func(*upload.Properties)
	read   func(carried) string
	want   string
	none   string // what is read where nothing was asked for
	opaque bool   // ETags are no MD5s with it
	locks  bool
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
	"Tags": {
		set: func(p *upload.Properties) {
			p.Tags = map[string]string{"team": "a b+c", "env": "prod/grün", "empty": ""}
		},
		read: func(c carried) string { return c.tags },
		want: "empty=, env=prod/grün, team=a b+c",
	},
	"ACL": {
		set:  func(p *upload.Properties) { p.ACL = "public-read" },
		read: func(c carried) string { return c.grants },
		want: owner + ", READ AllUsers", none: owner,
	},
	"Grants": {
		set: func(p *upload.Properties) {
			p.Grants = upload.Grants{Read: []string{`id="me"`, `uri="http://acs.amazonaws.com/groups/global/AllUsers"`},
				ReadACP: []string{`id="you"`}, WriteACP: []string{`id="her"`}, FullControl: []string{`emailAddress="a@b.c"`}}
		},
		read: func(c carried) string { return c.grants },
		want: "FULL_CONTROL a@b.c, READ AllUsers, READ me, READ_ACP you, WRITE_ACP her", none: owner,
	},
	"SSE": {
		set:  func(p *upload.Properties) { p.SSE = "aws:kms:dsse" },
		read: func(c carried) string { return string(c.ServerSideEncryption) },
		want: "aws:kms:dsse", none: "AES256", opaque: true,
	},
	"KMSKeyID": {
		set:  func(p *upload.Properties) { p.SSE, p.KMSKeyID = "aws:kms", "arn:aws:kms:us-east-1:1:key/mine" },
		read: func(c carried) string { return aws.ToString(c.SSEKMSKeyId) },
		want: "arn:aws:kms:us-east-1:1:key/mine", opaque: true,
	},
	"KMSContext": {
		set: func(p *upload.Properties) {
			p.SSE, p.KMSContext = "aws:kms", map[string]string{"b": "2", "a": "1"}
		},
		read: func(c carried) string { b, _ := base64.StdEncoding.DecodeString(c.stored.Context); return string(b) },
		want: `{"a":"1","b":"2"}`, opaque: true,
	},
	"BucketKey": {
		set:  func(p *upload.Properties) { p.SSE, p.BucketKey = "aws:kms", true },
		read: func(c carried) string { return fmt.Sprint(aws.ToBool(c.BucketKeyEnabled)) },
		want: "true", none: "false", opaque: true,
	},
	"CustomerKey": {
		set:  func(p *upload.Properties) { p.CustomerKey = bytes.Repeat([]byte("k"), 32) },
		read: func(c carried) string { return aws.ToString(c.SSECustomerKeyMD5) },
		want: base64.StdEncoding.EncodeToString(md5Of(bytes.Repeat([]byte("k"), 32))), opaque: true,
	},
	"LockMode": {
		set:  func(p *upload.Properties) { p.LockMode, p.LockUntil = "GOVERNANCE", lockUntil },
		read: func(c carried) string { return string(c.ObjectLockMode) },
		want: "GOVERNANCE", locks: true,
	},
	"LockUntil": {
		set: func(p *upload.Properties) { p.LockMode, p.LockUntil = "COMPLIANCE", lockUntil },
		read: func(c carried) string {
			if c.ObjectLockRetainUntilDate == nil {
				return ""
			}
			return c.ObjectLockRetainUntilDate.UTC().Format(time.RFC3339)
		},
		want: lockUntil.Format(time.RFC3339), locks: true,
	},
	"LegalHold": {
		set:  func(p *upload.Properties) { p.LegalHold = true },
		read: func(c carried) string { return string(c.ObjectLockLegalHoldStatus) },
		want: "ON", locks: true,
	},
}

const owner = "FULL_CONTROL s3test-owner"

var lockUntil = time.Date(2131, 2, 3, 4, 5, 6, 0, time.UTC)

func md5Of(b []byte) []byte { sum := md5.Sum(b); return sum[:] }

// A way is one that an object comes to be, each with other requests that have to
// state its properties. Where ETags are no MD5s, and where Object Lock is, the copy
// is made only by those who want it; then it ends otherwise.
type way struct {
	name             string
	size             int64
	change           func(*run)
	ends, endsOpaque upload.Normalized
	notLocked        bool // impossible with a lock
	more             *odds
}

// odds are what stands against a way.
type odds struct {
	quirks    s3test.Quirks
	begun     bool     // by an earlier run, with all that it can ask for
	locks     bool     // the bucket does, by default
	notOpaque bool     // nothing is to be told of what is encrypted
	notes     []string // some of them are there, and no other
	lost      []string // fields that cannot be set, with a note
}

var ways = []way{
	{"in one piece", 1000, func(*run) {}, upload.SinglePut, upload.Opaque, false, nil},
	{"self-copy", 3 * KiB, func(r *run) { r.Normalize, r.ServerMD5 = upload.NormalizeSelf, true }, upload.SelfCopy, upload.ChecksumMD5, false, nil},
	{"staged copy", 3 * KiB, normalize(upload.NormalizeStaged), upload.StagedCopy, upload.Opaque, true, nil},
	{"published", 3 * KiB, func(r *run) { r.Publish, r.ServerMD5 = upload.PublishStaged, true }, upload.StagedCopy, upload.ChecksumMD5, false, nil},
	{"no copy", 3 * KiB, normalize(upload.NormalizeOff), upload.Off, upload.Opaque, false, nil},
}

// odd are the ways that go wrong, or on where another run stopped.
var odd = []way{
	{"resumed", 3 * KiB, staleAfter(0), upload.SelfCopy, upload.Opaque, true, &odds{begun: true}},
	{"resumed, no copy", 3 * KiB, func(r *run) { r.Normalize, r.StaleAfter = upload.NormalizeOff, 0 }, upload.Off, upload.Opaque, true,
		&odds{begun: true, notes: []string{"starting anew"}}},
	{"the MD5 at once", 3 * KiB, func(*run) {}, upload.Already, "", true, &odds{quirks: s3test.Quirks{PlainETag: true}, notOpaque: true}},
	{"resumed, the MD5 at once", 3 * KiB, staleAfter(0), upload.Already, "", true, &odds{begun: true, quirks: s3test.Quirks{PlainETag: true}, notOpaque: true}},
	{"refused", 3 * KiB, func(*run) {}, upload.Refused, upload.Opaque, true,
		&odds{quirks: s3test.Quirks{CopyRefused: 501}, notes: []string{"was refused", "no copy followed that could set it"}, lost: []string{"StorageClass"}}},
	{"resumed, refused", 3 * KiB, staleAfter(0), upload.Refused, upload.Opaque, true,
		&odds{begun: true, quirks: s3test.Quirks{CopyRefused: 501}, notes: []string{"was refused", "starting anew"}}},
	{"write-only", 3 * KiB, func(*run) {}, upload.Refused, "", true, &odds{quirks: s3test.Quirks{Deny: []string{"s3:GetObject"}}, notOpaque: true,
		notes: []string{"verified by its parts", "no copy followed that could do it", "whether the object is encrypted"}, lost: []string{"StorageClass"}}},
	{"locked", 3 * KiB, func(*run) {}, upload.Off, upload.Opaque, true, &odds{locks: true, notes: []string{"the bucket locks objects"}}},
	{"resumed, locked", 3 * KiB, staleAfter(0), upload.Off, upload.Opaque, true, &odds{locks: true, begun: true,
		notes: []string{"the bucket locks objects", "starting anew"}}},
}

// beginWithAll begins an upload as a run that asks for all it can.
func (st *stand) beginWithAll(t testing.TB, key string, data []byte) {
	t.Helper()
	st.beginWith(t, key, data, func(in *s3.CreateMultipartUploadInput) {
		theirs(in)
		in.ContentType, in.ContentEncoding, in.ContentDisposition = aws.String("text/theirs"), aws.String("theirs"), aws.String("theirs")
		in.ContentLanguage, in.Expires, in.WebsiteRedirectLocation = aws.String("xx"), aws.Time(time.Unix(1e9, 0)), aws.String("/theirs")
		in.Metadata = map[string]string{"owner": "they"}
	})
}

// Nothing that was asked for is lost in silence where something goes wrong, and
// nothing is left of what another run asked for.
func TestEveryPropertyAgainstTheOdds(t *testing.T) {
	for name, p := range properties {
		for _, way := range odd {
			if p.locks || p.opaque && way.more.notOpaque || name == "CustomerKey" {
				continue
			}
			t.Run(name+"/"+way.name, func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{Quirks: way.more.quirks})
				if way.more.locks {
					st.SetObjectLock(st.bucket, "GOVERNANCE", 7)
				}
				data := random(way.size, name)
				send := func(key string, asked upload.Properties, ends upload.Normalized) *upload.Result {
					if way.more.begun {
						st.beginWithAll(t, key, data)
					}
					r := st.upload(t, file(t, data), key, way.change, func(r *run) { r.Properties = asked })
					st.ends(t, r, key, data, ends)
					for _, note := range r.Notes {
						if !slices.ContainsFunc(way.more.notes, func(words string) bool { return strings.Contains(note, words) }) {
							t.Errorf("%s: a note that nobody expected: %q", key, note)
						}
					}
					return r
				}
				ends := way.ends
				if p.opaque {
					ends = way.endsOpaque
				}
				with, without := ask(p), ask(property{})
				send("without", without, way.ends)
				r := send("k", with, ends)
				st.SetQuirks(func(q *s3test.Quirks) { q.Deny = nil })
				if got := p.read(st.carried(t, "without", without)); got != p.none {
					t.Errorf("without it, it is %q, want %q", got, p.none)
				}
				got := p.read(st.carried(t, "k", with))
				if lost := slices.Contains(way.more.lost, name); lost != (got != p.want) || lost != r.Lacking {
					t.Errorf("it is %q, want %q, lacking: %t", got, p.want, r.Lacking)
				}
			})
		}
	}
}

// ask returns Properties that ask for one.
func ask(p property) (asked upload.Properties) {
	if p.set != nil {
		p.set(&asked)
	}
	return asked
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
		for _, way := range ways {
			if p.locks && way.notLocked {
				continue
			}
			t.Run(field.Name+"/"+way.name, func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{TLS: field.Name == "CustomerKey"})
				if p.locks {
					st.SetObjectLock(st.bucket, "", 0)
				}
				data := random(way.size, field.Name)
				r := st.upload(t, file(t, data), "without", way.change)
				st.ends(t, r, "without", data, way.ends)
				if got := p.read(st.carried(t, "without", upload.Properties{})); got != p.none {
					t.Errorf("without it, it is %q, want %q", got, p.none)
				}
				var asked upload.Properties
				p.set(&asked)
				r = st.upload(t, file(t, data), "k", way.change, func(r *run) { r.Properties = asked })
				ends := way.ends
				if p.opaque {
					ends = way.endsOpaque
				}
				st.ends(t, r, "k", data, ends)
				if got := p.read(st.carried(t, "k", asked)); got != p.want {
					t.Errorf("it is %q, want %q", got, p.want)
				}
				if p.locks && way.ends == upload.SelfCopy {
					notes(t, r, "stays behind as a noncurrent one, and is locked as the object is")
				} else {
					notes(t, r)
				}
			})
		}
	}
}

// All of them that go together do not get into each other's way.
func TestAllProperties(t *testing.T) {
	for _, way := range ways {
		t.Run(way.name, func(t *testing.T) {
			st := newStand(t, s3test.Options{})
			data := random(way.size, "all")
			together := func(p property) bool { return !p.opaque && !p.locks && p.want != properties["ACL"].want }
			r := st.upload(t, file(t, data), "k", way.change, func(r *run) {
				for _, p := range properties {
					if together(p) {
						p.set(&r.Properties)
					}
				}
			})
			st.ends(t, r, "k", data, way.ends)
			c := st.carried(t, "k", upload.Properties{})
			for name, p := range properties {
				if got := p.read(c); together(p) && got != p.want {
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
		"headers":        {s3test.Quirks{CopyLoses: []string{"Content-Disposition"}}, func(*run) {}, []string{`the copy lost the content disposition "inline"`}},
		"metadata":       {s3test.Quirks{CopyLoses: []string{"X-Amz-Meta-Owner"}}, func(*run) {}, []string{`the copy lost the metadata owner "me"`}},
		"a staged copy":  {s3test.Quirks{CopyLoses: []string{"Cache-Control"}}, normalize(upload.NormalizeStaged), []string{`the copy lost the cache control "no-store"`}},
		"content type":   {s3test.Quirks{CopyLoses: []string{"Content-Type"}}, func(*run) {}, []string{`the copy lost the content type "application/octet-stream"`}},
		"tags":           {s3test.Quirks{CopyLoses: []string{"X-Amz-Tagging"}}, func(*run) {}, []string{`the copy lost tags: the object has 0 of 2`}},
		"one that stays": {s3test.Quirks{CopyMergesHeaders: true}, func(*run) {}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStand(t, s3test.Options{Quirks: test.quirks})
			data := random(3*KiB, "lost")
			r := st.upload(t, file(t, data), "k", test.change, func(r *run) {
				r.ContentDisposition, r.Metadata, r.CacheControl = "inline", map[string]string{"owner": "me", "team": "web"}, "no-store"
				r.Tags = map[string]string{"a": "1", "b": "2"}
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
		"too many tags":        {upload.Properties{Tags: tags(11)}, "11 tags are more than the 10"},
		"a tag of Amazon's":    {upload.Properties{Tags: map[string]string{"AWS:x": ""}}, "are Amazon's own"},
		"a tag without a key":  {upload.Properties{Tags: map[string]string{"": "x"}}, "its key must have 1 to 128 characters"},
		"a long tag":           {upload.Properties{Tags: map[string]string{"x": strings.Repeat("ü", 257)}}, "its value must have 256 characters at most"},
		"an odd tag":           {upload.Properties{Tags: map[string]string{"x": "a&b"}}, "only letters, digits, spaces and"},
		"all together":         {upload.Properties{Tags: map[string]string{"a": strings.Repeat("ü", 256), "b": strings.Repeat("€", 256), "c": strings.Repeat("€", 256), "d": strings.Repeat("€", 256)}}, "tags and grants are more than the 8192"},
		"ACL and grants":       {upload.Properties{ACL: "private", Grants: upload.Grants{Read: []string{`id="x"`}}}, "exclude each other"},
		"a short key":          {upload.Properties{CustomerKey: []byte("short")}, "must have 32 bytes, and has 5"},
		"two encryptions":      {upload.Properties{CustomerKey: make([]byte, 32), SSE: "AES256"}, "exclude each other"},
		"a key without KMS":    {upload.Properties{SSE: "AES256", KMSKeyID: "k"}, "need encryption with aws:kms"},
		"a bucket key, DSSE":   {upload.Properties{SSE: "aws:kms:dsse", BucketKey: true}, "for aws:kms only"},
		"a lock without end":   {upload.Properties{LockMode: "GOVERNANCE"}, "needs a mode and the time"},
		"an end without mode":  {upload.Properties{LockUntil: lockUntil}, "needs a mode and the time"},
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

func tags(n int) map[string]string {
	m := make(map[string]string)
	for i := range n {
		m[fmt.Sprint("tag", i)] = ""
	}
	return m
}
