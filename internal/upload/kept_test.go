package upload_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

// What a store drops of an object in one piece, and what it leaves of the one that
// was there, is told.
func TestKeptOfOnePiece(t *testing.T) {
	for name, test := range map[string]struct {
		quirks s3test.Quirks
		there  bool // an object with metadata and a tag
		change func(*run)
		notes  []string
	}{
		"all": {change: func(r *run) {
			r.CacheControl, r.StorageClass, r.Tags, r.ACL = "no-store", "GLACIER", map[string]string{"a": "1"}, "public-read"
		}},
		"class":           {quirks: s3test.Quirks{StorageClassIgnored: true}, change: func(r *run) { r.StorageClass = "GLACIER" }, notes: []string{`the storage class is "STANDARD", not "GLACIER"`}},
		"MD5 and tags":    {quirks: s3test.Quirks{PutKeepsProperties: true}, there: true, change: func(r *run) { r.StoreMD5, r.Tags = true, map[string]string{"b": "2"} }, notes: []string{`the object has the metadata owner "me", which was not asked for`}},
		"what was there":  {quirks: s3test.Quirks{PutKeepsProperties: true}, there: true, change: ifChanged, notes: []string{`the object has the metadata owner "me", which was not asked for`, "the object has 1 tag, not 0"}},
		"nothing of that": {there: true, change: ifChanged},
		"not to be seen":  {quirks: s3test.Quirks{Deny: []string{"s3:GetObject"}}, change: func(r *run) { r.CacheControl = "no-store" }, notes: []string{"whether the store keeps what was asked for cannot be told (403 Forbidden): the object may not be looked at; that needs s3:GetObject"}},
	} {
		t.Run(name, func(t *testing.T) {
			for _, kind := range sources {
				st := newStand(t, s3test.Options{Quirks: test.quirks})
				if test.there {
					st.Server.Put(st.bucket, "k", []byte("old"), func(o *s3test.Object) {
						o.Metadata, o.Tags = map[string]string{"owner": "me"}, map[string]string{"a": "1"}
					})
				}
				data := random(1000, name)
				r := st.upload(t, kind.of(t, data), "k", test.change)
				st.ends(t, r, "k", data, upload.SinglePut)
				notes(t, r, test.notes...)
			}
		})
	}
}

// A look is made where something was asked for, and only until the store has shown
// that it keeps such a thing.
func TestLooksAtOnePiece(t *testing.T) {
	for name, test := range map[string]struct {
		quirks     s3test.Quirks
		properties upload.Properties
		keeps      bool
		want       string // requests for three files
	}{
		"nothing":       {want: "PutObject 3"},
		"a header":      {properties: upload.Properties{CacheControl: "no-store"}, want: "HeadObject 1, PutObject 3"},
		"known to keep": {properties: upload.Properties{CacheControl: "no-store", Tags: map[string]string{"a": "1"}, ACL: "public-read"}, keeps: true, want: "PutObject 3"},
		"dropped":       {quirks: s3test.Quirks{StorageClassIgnored: true}, properties: upload.Properties{StorageClass: "GLACIER"}, want: "HeadObject 3, PutObject 3"},
		"tags":          {properties: upload.Properties{Tags: map[string]string{"a": "1"}}, want: "HeadObject 1, PutObject 3"},
		"unseen tags":   {quirks: s3test.Quirks{Deny: []string{"s3:GetObjectTagging"}}, properties: upload.Properties{Tags: map[string]string{"a": "1"}}, want: "HeadObject 1, GetObjectTagging 1, PutObject 3"},
		"an ACL":        {properties: upload.Properties{ACL: "public-read"}, want: "GetObjectAcl 1, PutObject 3"},
		"write-only":    {quirks: s3test.Quirks{Deny: []string{"s3:GetObject"}}, properties: upload.Properties{CacheControl: "no-store"}, want: "HeadObject 1, PutObject 3"},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStand(t, s3test.Options{Quirks: test.quirks})
			o := st.options()
			o.KeepsProperties = test.keeps
			u, err := upload.New(st.store.Client, o)
			if err != nil {
				t.Fatal(err)
			}
			for n := range 3 {
				src := file(t, random(1000, fmt.Sprint(n)))
				if r := u.Upload(t.Context(), &upload.Job{Source: src, Bucket: st.bucket, Key: fmt.Sprint(n), Properties: test.properties}); r.Err != nil {
					t.Fatal(r.Err)
				}
				src.Close()
			}
			var got []string
			for _, op := range []string{"HeadObject", "GetObjectTagging", "GetObjectAcl", "PutObject"} {
				if n := st.Count(op); n > 0 {
					got = append(got, fmt.Sprintf("%s %d", op, n))
				}
			}
			if strings.Join(got, ", ") != test.want || st.Count("*") != total(t, test.want) {
				t.Errorf("%d requests: %q, want %q", st.Count("*"), got, test.want)
			}
		})
	}
}

// total adds up the requests in a list of them.
func total(t *testing.T, list string) (n int) {
	for one := range strings.SplitSeq(list, ", ") {
		var op string
		var k int
		if _, err := fmt.Sscan(one, &op, &k); err != nil {
			t.Fatal(err)
		}
		n += k
	}
	return n
}

// An object that somebody else has written since says nothing of ours.
func TestKeptIsOfOurs(t *testing.T) {
	st := newStand(t, s3test.Options{})
	st.when("HeadObject", 0, func() { st.Put(st.bucket, "k", []byte("theirs")) })
	r := st.upload(t, file(t, random(1000, "ours")), "k", func(r *run) { r.CacheControl = "no-store" })
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	notes(t, r, "somebody else has written the object since: what it was to carry was not compared")
}

// What HEAD does not show is asked for where it was: tags and access.
func TestUnshownProperties(t *testing.T) {
	everyone := `uri="http://acs.amazonaws.com/groups/global/AllUsers"`
	for name, test := range map[string]struct {
		quirks s3test.Quirks
		fault  *s3test.Fault
		change func(*run)
		notes  []string
	}{
		"tags": {quirks: s3test.Quirks{TagsOnCreateLost: true}, change: func(r *run) { r.Normalize, r.Tags = upload.NormalizeOff, map[string]string{"a": "1", "b": "2"} }, notes: []string{"the store has not kept the tags: the object has 0 of 2"}},
		"tags that may not be read": {quirks: s3test.Quirks{TagsOnCreateLost: true, Deny: []string{"s3:GetObjectTagging"}},
			change: func(r *run) { r.Normalize, r.Tags = upload.NormalizeOff, map[string]string{"a": "1"} }},
		"a store without tags": {quirks: s3test.Quirks{TagsOnCreateLost: true}, fault: &s3test.Fault{Op: "GetObjectTagging", Do: s3test.Status, Status: 501, Code: "NotImplemented"},
			change: func(r *run) { r.Normalize, r.Tags = upload.NormalizeOff, map[string]string{"a": "1"} }, notes: []string{"the store tells of no tags (501 NotImplemented): those that were asked for are most likely not kept"}},
		"ACL":    {quirks: s3test.Quirks{AccessIgnored: true}, change: func(r *run) { r.ACL = "authenticated-read" }, notes: []string{"the store has not kept the ACL: READ for http://acs.amazonaws.com/groups/global/AuthenticatedUsers is missing"}},
		"grants": {quirks: s3test.Quirks{AccessIgnored: true}, change: func(r *run) { r.Grants.Read, r.Grants.FullControl = []string{everyone}, []string{`id="me"`} }, notes: []string{"the store has not kept the ACL: READ for http://acs.amazonaws.com/groups/global/AllUsers, FULL_CONTROL for me is missing"}},
		"no answer about tags": {quirks: s3test.Quirks{TagsOnCreateLost: true}, fault: &s3test.Fault{Op: "GetObjectTagging", Times: -1, Do: s3test.Status, Status: 400, Code: "ExpiredToken"},
			change: func(r *run) { r.Normalize, r.Tags = upload.NormalizeOff, map[string]string{"a": "1"} }, notes: []string{"whether the store has kept the tags that were asked for cannot be told (400 ExpiredToken)"}},
		"grants that are there": {change: func(r *run) {
			r.Grants.Read, r.Grants.WriteACP = []string{everyone, `emailAddress="a@b.c"`}, []string{`id="me"`}
		}},
		"an ACL of the owner's":       {quirks: s3test.Quirks{AccessIgnored: true}, change: func(r *run) { r.ACL = "bucket-owner-full-control" }},
		"an ACL that may not be read": {quirks: s3test.Quirks{AccessIgnored: true, Deny: []string{"s3:GetObjectAcl"}}, change: func(r *run) { r.ACL = "public-read" }},
		"a store without ACLs": {quirks: s3test.Quirks{AccessIgnored: true}, fault: &s3test.Fault{Op: "GetObjectAcl", Do: s3test.Status, Status: 501, Code: "NotImplemented"},
			change: func(r *run) { r.ACL = "public-read" }, notes: []string{"the store tells of no ACLs (501 NotImplemented): the one that was asked for is most likely not kept"}},
	} {
		for _, size := range []int64{1000, 3 * KiB} {
			if size == 1000 && test.quirks.TagsOnCreateLost {
				continue
			}
			t.Run(fmt.Sprint(name, "/", size), func(t *testing.T) {
				st := newStand(t, s3test.Options{Quirks: test.quirks})
				if test.fault != nil {
					st.Fault(*test.fault)
				}
				r := st.upload(t, file(t, random(size, name)), "k", test.change)
				if r.Err != nil {
					t.Fatal(r.Err)
				}
				r.Notes = slices.DeleteFunc(r.Notes, func(n string) bool { return strings.HasPrefix(n, "this store keeps") })
				notes(t, r, test.notes...)
			})
		}
	}
}

// Once a store has not encrypted an object of a run, none of the others replaces
// what is there.
func TestUnencryptedOnce(t *testing.T) {
	st := newStand(t, s3test.Options{Quirks: s3test.Quirks{SSEIgnored: true}})
	u, err := upload.New(st.store.Client, st.options())
	if err != nil {
		t.Fatal(err)
	}
	up := func(p upload.Properties, size int64) *upload.Result {
		src := file(t, random(size, ""))
		defer src.Close()
		return u.Upload(t.Context(), &upload.Job{Source: src, Bucket: st.bucket, Key: "k", Properties: p})
	}
	if r := up(upload.Properties{SSE: "AES256"}, 1000); upload.KindOf(r.Err) != upload.Unprotected {
		t.Errorf("error %v", r.Err)
	}
	sent := st.Count("*")
	for _, size := range []int64{1000, 3 * KiB} {
		r := up(upload.Properties{SSE: "AES256"}, size)
		if want := "another object of this run is not encrypted with AES256"; upload.KindOf(r.Err) != upload.Unpublished || !strings.Contains(r.Err.Error(), want) {
			t.Errorf("error %v, want %q", r.Err, want)
		}
	}
	if n := st.Count("*") - sent; n != 0 {
		t.Errorf("%d requests were sent", n)
	}
	if r := up(upload.Properties{}, 1000); r.Err != nil {
		t.Error(r.Err)
	}
}
