package upload_test

import (
	"bytes"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

// likeOurs begins an upload as a run without options does.
func likeOurs(in *s3.CreateMultipartUploadInput) {
	in.ContentType = aws.String("application/octet-stream")
}

// theirs begins one with what nobody asks for in these tests.
func theirs(in *s3.CreateMultipartUploadInput) {
	likeOurs(in)
	in.ACL, in.Tagging = types.ObjectCannedACLPublicRead, aws.String("secret=1")
	in.CacheControl, in.Metadata = aws.String("theirs"), map[string]string{"who": "they"}
}

// beginWith begins an upload as an earlier run would have, with two parts.
func (st *stand) beginWith(t testing.TB, key string, data []byte, change func(*s3.CreateMultipartUploadInput)) {
	t.Helper()
	in := &s3.CreateMultipartUploadInput{Bucket: &st.bucket, Key: &key}
	change(in)
	up, err := st.client.CreateMultipartUpload(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range []int{1, 2} {
		st.sendPart(t, key, *up.UploadId, n, partOf(data, KiB, n))
	}
}

// has compares all that an object carries with what was asked for, whatever the
// credentials of the run may see.
func (st *stand) has(t testing.TB, key string, p upload.Properties) {
	t.Helper()
	st.SetQuirks(func(q *s3test.Quirks) { q.Deny = nil })
	c := st.carried(t, key, p)
	grants, tags := owner, ""
	if p.ACL != "" {
		grants = properties["ACL"].want
	}
	for k, v := range p.Tags {
		tags = k + "=" + v
	}
	got := []string{c.grants, c.tags, aws.ToString(c.CacheControl), c.HeadObjectOutput.Metadata["who"], string(c.StorageClass)}
	want := []string{grants, tags, p.CacheControl, p.Metadata["who"], string(p.StorageClass)}
	if !slices.Equal(got, want) {
		t.Errorf("the object has %q, want %q", got, want)
	}
}

// others asks for what theirs has, otherwise.
func others(r *run) {
	r.ACL, r.Tags = "public-read", map[string]string{"a": "1"}
	r.CacheControl, r.Metadata = "ours", map[string]string{"who": "we"}
}

// Whatever an upload that is gone on with was begun with, the object has what was
// asked for in the end, and no more: by the copy, or because the file is sent anew
// without its parts. Where neither is possible, that is told.
func TestInheritedProperties(t *testing.T) {
	const anew, refused = "no copy sets them: starting anew", "was refused"
	off := normalize(upload.NormalizeOff)
	acl := func(in *s3.CreateMultipartUploadInput) { likeOurs(in); in.ACL = types.ObjectCannedACLPublicRead }
	deny := func(actions ...string) s3test.Quirks { return s3test.Quirks{Deny: actions} }
	for name, test := range map[string]struct {
		begun   func(*s3.CreateMultipartUploadInput)
		quirks  s3test.Quirks
		locks   bool // the bucket, by default
		change  []func(*run)
		resumed int
		notes   []string
		fault   s3test.Fault
		left    bool // what the earlier run asked for, on the object
		streams bool
	}{
		"the same":                  {begun: likeOurs, change: []func(*run){off}, resumed: 2},
		"theirs, and a copy":        {begun: theirs, resumed: 2, streams: true},
		"theirs, and a staged copy": {begun: theirs, change: []func(*run){normalize(upload.NormalizeStaged)}, resumed: 2, streams: true},
		"theirs":                    {begun: theirs, change: []func(*run){off}, notes: []string{anew}},
		"another ACL":               {begun: acl, change: []func(*run){off}, notes: []string{anew}},
		"only tags":                 {begun: func(in *s3.CreateMultipartUploadInput) { likeOurs(in); in.Tagging = aws.String("a=1") }, change: []func(*run){off}, notes: []string{anew}},
		"under a condition":         {begun: theirs, change: []func(*run){off, noClobber}, notes: []string{anew}},
		"theirs, no copies":         {begun: theirs, quirks: s3test.Quirks{CopyRefused: 501}, notes: []string{anew, refused}},
		"ours, no copies":           {begun: likeOurs, quirks: s3test.Quirks{CopyRefused: 501}, change: []func(*run){others}, notes: []string{anew, refused}},
		"a class, no copies": {begun: likeOurs, quirks: s3test.Quirks{CopyRefused: 501}, notes: []string{anew, refused},
			change: []func(*run){func(r *run) { r.StorageClass = "STANDARD_IA" }}},
		"theirs, the MD5 at once": {begun: theirs, quirks: s3test.Quirks{PlainETag: true}, resumed: 2, streams: true},
		"ours, the MD5 at once":   {begun: likeOurs, quirks: s3test.Quirks{PlainETag: true}, change: []func(*run){others}, resumed: 2, streams: true},
		"theirs, the MD5 at once, no copies": {begun: theirs, quirks: s3test.Quirks{PlainETag: true, CopyRefused: 501},
			notes: []string{anew, refused}},
		"theirs, kept by copies": {begun: theirs, quirks: s3test.Quirks{SelfCopyMergesHeaders: true}, resumed: 2, left: true, notes: []string{`the object has the cache control "theirs", which was not asked for`}},
		"theirs, and a lock":     {begun: theirs, locks: true, notes: []string{"; the version", "the bucket locks objects"}},
		"theirs, unseen":         {begun: theirs, quirks: deny("s3:GetObject"), resumed: 2, notes: []string{"may not be looked at: what headers, metadata, tags and ACL that run asked for, it has; that needs s3:GetObject, and --resume never does without", "verified by its parts"}, left: true},
		"ours, unseen":           {begun: likeOurs, quirks: deny("s3:GetObject"), change: []func(*run){others}, notes: []string{anew, "verified by its parts", "verified by its parts"}},
		"an ACL, unseen":         {begun: acl, quirks: deny("s3:GetObjectAcl"), change: []func(*run){off}, resumed: 2, left: true, notes: []string{"cannot be looked at (403 AccessDenied); that needs s3:GetObjectAcl, and --resume never does without"}},
		"an ACL that the store cannot tell": {begun: acl, fault: s3test.Fault{Op: "GetObjectAcl", Times: -1, Do: s3test.Status, Status: 500, Code: "InternalError"},
			change: []func(*run){off}, resumed: 2, left: true, notes: []string{"cannot be looked at (500 InternalError)"}},
		"tags, unseen": {begun: theirs, quirks: deny("s3:GetObjectTagging"), notes: []string{anew, "refused (403 AccessDenied)"}},
		"theirs, too large": {begun: theirs, change: []func(*run){func(r *run) { r.Limits.MaxCopy = 2 * KiB }}, resumed: 2, left: true,
			notes: []string{"larger than", "and no copy followed that could set those of this one; --resume never does without",
				`the cache control is "theirs", as the earlier run had it, not ""`, `the metadata who is "they", as`, "has 1 tag, not 0"}},
	} {
		for _, kind := range sources {
			if kind.name == aStream.name && !test.streams {
				continue
			}
			t.Run(kind.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{Quirks: test.quirks})
				if test.locks {
					st.SetObjectLock(st.bucket, "GOVERNANCE", 7)
				}
				data := random(3*KiB, name)
				st.beginWith(t, "k", data, test.begun)
				if test.fault.Op != "" {
					st.Fault(test.fault)
				}
				var asked upload.Properties
				r := st.upload(t, kind.of(t, data), "k", append(test.change, func(r *run) { asked = r.Properties })...)
				if r.Err != nil {
					t.Fatal(r.Err)
				}
				st.check(t, r, "k", data)
				if r.PartsResumed != test.resumed {
					t.Errorf("%d parts were there already, want %d", r.PartsResumed, test.resumed)
				}
				notes(t, r, test.notes...)
				if !test.left {
					st.has(t, "k", asked)
				}
				st.nothingLeft(t, "k")
			})
		}
	}
	// A stream cannot be sent anew: it is begun so where no copy is to follow, and
	// told of where one was.
	for _, test := range []struct {
		quirks  s3test.Quirks
		change  func(*run)
		resumed int
		notes   []string
	}{
		{change: off, notes: []string{"another unfinished upload"}},
		{quirks: s3test.Quirks{CopyRefused: 501}, change: func(*run) {}, resumed: 2, notes: []string{"was refused",
			"set those of this one; --resume never does without", `the cache control is "theirs"`, `the metadata who is "they"`, "1 tag"}},
	} {
		st := newStand(t, s3test.Options{Quirks: test.quirks})
		data := random(3*KiB, "")
		st.beginWith(t, "k", data, theirs)
		r := st.upload(t, stream(t, data), "k", test.change)
		if r.Err != nil || r.PartsResumed != test.resumed {
			t.Errorf("%v, %d parts were there already, want %d", r.Err, r.PartsResumed, test.resumed)
		}
		notes(t, r, test.notes...)
	}
}

// An object that looks like what a run leaves that dies before its copy keeps
// nothing that was not asked for either, and is not sent again if it has all of it.
func TestMarkWithProperties(t *testing.T) {
	const anew = "no copy sets them: starting anew"
	for name, test := range map[string]struct {
		left   func(*s3.CreateMultipartUploadInput)
		quirks s3test.Quirks
		locks  bool
		change func(*run)
		sent   bool
		notes  []string
	}{
		"a copy":                {left: theirs},
		"no copies":             {left: theirs, quirks: s3test.Quirks{CopyRefused: 501}, sent: true, notes: []string{anew, "was refused"}},
		"no copies, the same":   {left: likeOurs, quirks: s3test.Quirks{CopyRefused: 501}, notes: []string{"was refused"}},
		"a lock":                {left: theirs, locks: true, sent: true, notes: []string{"stays behind", "the bucket locks objects"}},
		"a lock, the same":      {left: likeOurs, locks: true, notes: []string{"the bucket locks objects"}},
		"a lock, others":        {left: likeOurs, locks: true, change: others, sent: true, notes: []string{"the bucket locks objects"}},
		"a lock, other headers": {left: likeOurs, locks: true, change: func(r *run) { r.CacheControl = "ours" }, sent: true, notes: []string{"stays behind", "the bucket locks objects"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStand(t, s3test.Options{Quirks: test.quirks})
			if test.locks {
				st.SetObjectLock(st.bucket, "GOVERNANCE", 7)
			}
			data := random(3*KiB, name)
			st.completed(t, "k", data, KiB, test.left)
			change := test.change
			if change == nil {
				change = func(*run) {}
			}
			var asked upload.Properties
			r := st.upload(t, file(t, data), "k", change, func(r *run) { asked = r.Properties })
			if r.Err != nil || (r.BytesSent > 0) != test.sent {
				t.Fatalf("%v, %d bytes sent", r.Err, r.BytesSent)
			}
			st.check(t, r, "k", data)
			notes(t, r, test.notes...)
			st.has(t, "k", asked)
		})
	}
}

// The condition keeps off an object of the same bytes that has anything else than
// the same command would have left there.
func TestIfMatchOfTheSameBytes(t *testing.T) {
	data := random(3*KiB+5, "same")
	for name, test := range map[string]struct {
		left   func(*s3.CreateMultipartUploadInput)
		change func(*run)
		quirks s3test.Quirks
		goesOn bool
	}{
		"its own":                 {left: likeOurs, goesOn: true},
		"its own, no copies":      {left: likeOurs, quirks: s3test.Quirks{CopyRefused: 501}, goesOn: true},
		"its own, of a class":     {left: likeOurs, change: func(r *run) { r.StorageClass, r.StoreMD5 = "STANDARD_IA", true }, goesOn: true},
		"its own, with tags":      {left: func(in *s3.CreateMultipartUploadInput) { likeOurs(in); in.Tagging = aws.String("a=1") }, change: func(r *run) { r.Tags = map[string]string{"a": "1"} }, goesOn: true},
		"the one that was named":  {left: theirs, change: ifMatch(composite(data, KiB)), goesOn: true},
		"another cache control":   {left: func(in *s3.CreateMultipartUploadInput) { likeOurs(in); in.CacheControl = aws.String("theirs") }},
		"another metadata":        {left: likeOurs, change: func(r *run) { r.Metadata = map[string]string{"m": "mine"} }},
		"tags":                    {left: func(in *s3.CreateMultipartUploadInput) { likeOurs(in); in.Tagging = aws.String("a=1") }},
		"other tags":              {left: func(in *s3.CreateMultipartUploadInput) { likeOurs(in); in.Tagging = aws.String("a=1") }, change: func(r *run) { r.Tags = map[string]string{"a": "2"} }},
		"an ACL":                  {left: func(in *s3.CreateMultipartUploadInput) { likeOurs(in); in.ACL = "public-read" }},
		"an ACL that may be ours": {left: func(in *s3.CreateMultipartUploadInput) { likeOurs(in); in.ACL = "public-read" }, change: func(r *run) { r.ACL = "public-read" }},
		"a class":                 {left: func(in *s3.CreateMultipartUploadInput) { likeOurs(in); in.StorageClass = "STANDARD_IA" }},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStand(t, s3test.Options{Quirks: test.quirks})
			st.completed(t, "k", data, KiB, test.left)
			before := st.carried(t, "k", upload.Properties{})
			if test.change == nil {
				test.change = func(*run) {}
			}
			r := st.upload(t, file(t, data), "k", ifMatch(strings.Repeat("0", 32)), test.change)
			if test.goesOn {
				st.check(t, r, "k", data)
				if r.Err != nil || r.BytesSent != 0 {
					t.Errorf("%v, %d bytes sent", r.Err, r.BytesSent)
				}
				return
			}
			st.unmet(t, r, data, "and is not replaced")
			sentNothing(t, r)
			after := st.carried(t, "k", upload.Properties{})
			if after.tags != before.tags || after.grants != before.grants || aws.ToString(after.CacheControl) != aws.ToString(before.CacheControl) {
				t.Error("their object was touched")
			}
		})
	}
}

// What is known to follow no copy leaves nothing to one: the first upload of a run
// finds it out, and says what it costs.
func TestNothingIsLeftToNoCopy(t *testing.T) {
	const class, md5 = "no copy followed that could", "with --normalize off the file is read for it before it is sent"
	for name, test := range map[string]struct {
		quirks s3test.Quirks
		first  []string
		second []string
	}{
		"refused":         {s3test.Quirks{CopyRefused: 501}, []string{"was refused", class, md5}, []string{"was refused", "is read once before"}},
		"denied":          {s3test.Quirks{CopyRefused: 403}, []string{"was refused", class, md5}, []string{"was refused", "is read once before"}},
		"unseen":          {s3test.Quirks{Deny: []string{"s3:GetObject"}}, []string{"is not set, because no copy followed that could do it; --normalize off", md5, "verified by its parts"}, []string{"verified by its parts", "is read once before"}},
		"the MD5 at once": {s3test.Quirks{PlainETag: true}, nil, []string{"is read once before"}},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStand(t, s3test.Options{Quirks: test.quirks})
			o := st.options()
			o.StoreMD5 = true
			u, err := upload.New(st.store.Client, o)
			if err != nil {
				t.Fatal(err)
			}
			for i, words := range [][]string{test.first, test.second} {
				data := random(3*KiB, name)
				src := file(t, data)
				r := u.Upload(t.Context(), &upload.Job{Source: src, Bucket: st.bucket, Key: fmt.Sprint(i), Properties: upload.Properties{StorageClass: "STANDARD_IA"}})
				src.Close()
				if r.Err != nil {
					t.Fatal(r.Err)
				}
				notes(t, r, words...)
				o, _ := st.Server.Object(st.bucket, fmt.Sprint(i))
				if set := o.StorageClass == "STANDARD_IA" && o.Metadata["md5chksum"] != ""; set != (i == 1 || test.first == nil) || !bytes.Equal(o.Bytes(), data) {
					t.Errorf("upload %d: class %s, metadata %v", i, o.StorageClass, o.Metadata)
				}
			}
		})
	}
}

// An object that needs a key for a look is there, and the condition keeps off it,
// also where the store does not keep the condition.
func TestConditionsWithoutTheKey(t *testing.T) {
	for _, in := range in {
		st := newStand(t, s3test.Options{TLS: true, Quirks: s3test.Quirks{PutIgnoresConditions: true, CompleteIgnoresConditions: true}})
		data := random(in.size, "theirs")
		r := st.upload(t, file(t, data), "k", func(r *run) { r.CustomerKey = customerKey })
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		for _, change := range []func(*run){noClobber, ifMatch("abc")} {
			r = st.upload(t, file(t, random(in.size, "ours")), "k", change)
			st.unmet(t, r, nil, "there is an object that cannot be looked at without the key it was encrypted with, and it is not replaced")
			sentNothing(t, r)
		}
		r = st.upload(t, file(t, random(in.size, "ours")), "k", ifChanged)
		if r.Err != nil || r.Status != upload.Uploaded {
			t.Errorf("%s, %v", r.Status, r.Err)
		}
		// The other way round, the key is not needed for the look.
		st.put(t, "k", []byte("old"))
		key := func(r *run) { r.CustomerKey = customerKey }
		st.unmet(t, st.upload(t, file(t, data), "k", ifMatch("abc"), key), []byte("old"), "is not the one with the ETag abc")
		if r = st.upload(t, file(t, data), "k", ifMatch(md5Hex([]byte("old"))), key); r.Err != nil {
			t.Error(r.Err)
		}
		// A token that has expired is said to have.
		st.Fault(s3test.Fault{Op: "*", Times: -1, Do: s3test.Status, Status: 400, Code: "ExpiredToken"})
		if r = st.upload(t, file(t, data), "k", noClobber); upload.KindOf(r.Err) != upload.Access {
			t.Errorf("%v of kind %d", r.Err, upload.KindOf(r.Err))
		}
	}
}
