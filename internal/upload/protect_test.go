package upload_test

import (
	"bytes"
	"strings"
	"testing"
	"time"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

var customerKey = bytes.Repeat([]byte("k"), 32)

// Encryption and locks that were asked for are there in the end, or the upload
// has failed; what may not be seen is told.
func TestProtection(t *testing.T) {
	sse := func(r *run) { r.SSE = "AES256" }
	kms := func(r *run) { r.SSE, r.KMSKeyID = "aws:kms", "mine" }
	lock := func(r *run) { r.LockMode, r.LockUntil = "GOVERNANCE", lockUntil }
	hold := func(r *run) { r.LegalHold = true }
	for name, test := range map[string]struct {
		quirks s3test.Quirks
		tls    bool
		locks  bool // the bucket has Object Lock
		change func(*run)
		why    string   // of the failure
		small  []string // notes of an object of one piece
		large  []string // and of parts
	}{
		"SSE ignored":     {quirks: s3test.Quirks{SSEIgnored: true}, change: sse, why: "not encrypted with AES256: the store says nothing of encryption"},
		"KMS ignored":     {quirks: s3test.Quirks{SSEIgnored: true}, change: kms, why: "not encrypted with aws:kms: the store says nothing of encryption"},
		"own key ignored": {quirks: s3test.Quirks{SSEIgnored: true}, tls: true, change: func(r *run) { r.CustomerKey = customerKey }, why: "not encrypted with the key that was given"},
		"lock ignored":    {quirks: s3test.Quirks{ObjectLockIgnored: true}, change: lock, why: "stored, and not locked"},
		"hold ignored":    {quirks: s3test.Quirks{ObjectLockIgnored: true}, change: hold, why: "stored, and not on legal hold"},
		"KMS, write-only": {quirks: s3test.Quirks{Deny: []string{"s3:GetObject"}}, change: kms, large: []string{"may not be looked at (403 Forbidden)"}},
		"SSE ignored, write-only": {quirks: s3test.Quirks{Deny: []string{"s3:GetObject"}, SSEIgnored: true}, change: normalizeWith(upload.NormalizeAuto, sse),
			why: "small only", large: []string{"may not be looked at (403 Forbidden)", "whether the object is encrypted cannot be told"}},
		"a lock that does not show": {quirks: s3test.Quirks{Deny: []string{"s3:GetObjectRetention"}}, locks: true, change: lock,
			small: []string{"may not be seen without s3:GetObjectRetention"}, large: []string{"may not be seen without s3:GetObjectRetention", "the bucket locks objects"}},
		"a hold that does not show": {quirks: s3test.Quirks{Deny: []string{"s3:GetObjectLegalHold"}}, locks: true, change: hold,
			small: []string{"may not be seen without s3:GetObjectLegalHold"}, large: []string{"may not be seen without s3:GetObjectLegalHold", "the bucket locks objects"}},
		"locked, write-only": {quirks: s3test.Quirks{Deny: []string{"s3:GetObject", "s3:GetObjectRetention"}}, locks: true, change: lock,
			small: []string{"may not be seen without s3:GetObjectRetention"}, large: []string{"may not be looked at", "may not be seen without s3:GetObjectRetention"}},
	} {
		for size, notesOf := range map[int64][]string{1000: test.small, 3 * KiB: test.large} {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{Quirks: test.quirks, TLS: test.tls})
				if test.locks {
					st.SetObjectLock(st.bucket, "", 0)
				}
				r := st.upload(t, file(t, random(size, name)), "k", test.change)
				why := test.why
				if why == "small only" {
					if why = ""; size == 1000 {
						why = "not encrypted"
					}
				}
				if why == "" {
					if r.Err != nil {
						t.Fatal(r.Err)
					}
					notes(t, r, notesOf...)
					return
				}
				if upload.KindOf(r.Err) != upload.Unprotected || !strings.Contains(r.Err.Error(), why) {
					t.Errorf("error %v of kind %d, want %q", r.Err, upload.KindOf(r.Err), why)
				}
				st.nothingLeft(t, "k")
			})
		}
	}
}

func normalizeWith(n upload.Normalize, change func(*run)) func(*run) {
	return func(r *run) { r.Normalize = n; change(r) }
}

// With Object Lock an object is not copied onto itself: what would be replaced
// would stay, locked. What is asked for goes on the upload then.
func TestObjectLock(t *testing.T) {
	const class = "X-Amz-Storage-Class"
	classed := func(r *run) { r.StorageClass = "STANDARD_IA" }
	for name, test := range map[string]struct {
		mode   string // the bucket's default
		deny   []string
		change func(*run)
		ends   upload.Normalized
		create string // the class that goes on the upload
		asked  int    // how often the bucket is asked for its default
		notes  []string
	}{
		"asked for":              {change: func(r *run) { classed(r); r.LegalHold = true }, ends: upload.Off, create: "STANDARD_IA", notes: []string{"the bucket locks objects"}},
		"by default":             {mode: "GOVERNANCE", change: classed, ends: upload.Off, create: "STANDARD_IA", asked: 1, notes: []string{"the bucket locks objects"}},
		"by default, not shown":  {mode: "GOVERNANCE", deny: []string{"s3:GetObjectRetention"}, change: func(*run) {}, ends: upload.Off, asked: 1, notes: []string{"the bucket locks objects"}},
		"may not ask":            {mode: "GOVERNANCE", deny: []string{"s3:GetBucketObjectLockConfiguration"}, change: func(*run) {}, ends: upload.Off, notes: []string{"the bucket locks objects"}},
		"copied all the same":    {mode: "GOVERNANCE", change: normalizeWith(upload.NormalizeSelf, classed), ends: upload.SelfCopy, notes: []string{"and is locked as the object is"}},
		"nothing is locked":      {change: classed, ends: upload.SelfCopy, asked: 1, notes: []string{"stays behind"}},
		"nothing, and not asked": {change: normalize(upload.NormalizeOff), ends: upload.Off},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStand(t, s3test.Options{Quirks: s3test.Quirks{Deny: test.deny}})
			st.SetObjectLock(st.bucket, test.mode, 7)
			data := random(3*KiB, name)
			r := st.upload(t, file(t, data), "k", test.change)
			st.ends(t, r, "k", data, test.ends)
			notes(t, r, test.notes...)
			if want := len(test.notes) == 1 && test.notes[0] == "the bucket locks objects"; r.Locked != want {
				t.Errorf("locked: %v, want %v", r.Locked, want)
			}
			if got := st.header("CreateMultipartUpload", class); got != test.create {
				t.Errorf("the upload was created with the class %q, want %q", got, test.create)
			}
			if n := st.Count("GetObjectLockConfiguration"); n != test.asked && test.deny == nil {
				t.Errorf("the bucket was asked %d times, want %d", n, test.asked)
			}
		})
	}
}

// A bucket is asked once for what it locks by default, by whatever number of
// uploads; one that keeps no versions locks nothing, and is not asked.
func TestObjectLockAskedOnce(t *testing.T) {
	for versioned, want := range map[bool]int{true: 1, false: 0} {
		st := newStand(t, s3test.Options{Quirks: s3test.Quirks{Versioned: versioned}})
		u, err := upload.New(st.store.Client, st.options())
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			src := file(t, random(3*KiB, ""))
			if r := u.Upload(t.Context(), &upload.Job{Source: src, Bucket: st.bucket, Key: "k"}); r.Err != nil {
				t.Error(r.Err)
			}
			src.Close()
		}
		if n := st.Count("GetObjectLockConfiguration"); n != want {
			t.Errorf("a bucket with versions %v was asked %d times, want %d", versioned, n, want)
		}
	}
}

// An unfinished upload whose properties nobody knows is gone on with where the
// copy makes them right, and nowhere else.
func TestResumeWithProperties(t *testing.T) {
	for name, test := range map[string]struct {
		change  func(*run)
		tls     bool
		resumed int
	}{
		"ACL, and a copy":          {change: func(r *run) { r.ACL = "public-read" }, resumed: 2},
		"tags, and a copy":         {change: func(r *run) { r.Tags = tags(2) }, resumed: 2},
		"SSE-S3, and a copy":       {change: func(r *run) { r.SSE = "AES256" }, resumed: 2},
		"headers without a copy":   {change: normalizeWith(upload.NormalizeOff, func(r *run) { r.ContentType = "text/html" })},
		"ACL without a copy":       {change: normalizeWith(upload.NormalizeOff, func(r *run) { r.ACL = "private" })},
		"grants without a copy":    {change: normalizeWith(upload.NormalizeOff, func(r *run) { r.Grants.Read = []string{`id="me"`} })},
		"tags without a copy":      {change: normalizeWith(upload.NormalizeOff, func(r *run) { r.Tags = tags(2) })},
		"SSE-S3 without a copy":    {change: normalizeWith(upload.NormalizeOff, func(r *run) { r.SSE = "AES256" })},
		"a lock, so without one":   {change: func(r *run) { r.LegalHold = true }},
		"KMS":                      {change: func(r *run) { r.SSE = "aws:kms" }},
		"KMS on Amazon":            {change: func(r *run) { r.SSE, r.ServerMD5 = "aws:kms", true }},
		"a key of one's own":       {change: func(r *run) { r.CustomerKey = customerKey }, tls: true},
		"a key of one's own, copy": {change: func(r *run) { r.CustomerKey, r.ServerMD5 = customerKey, true }, tls: true},
	} {
		for _, kind := range sources {
			t.Run(kind.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{TLS: test.tls})
				if strings.Contains(name, "lock") {
					st.SetObjectLock(st.bucket, "", 0)
				}
				data := random(3*KiB, name)
				st.begin(t, "k", data, KiB, 1, 2)
				r := st.upload(t, kind.of(t, data), "k", test.change)
				if r.Err != nil {
					t.Fatal(r.Err)
				}
				if r.PartsResumed != test.resumed {
					t.Errorf("%d parts were there already, want %d", r.PartsResumed, test.resumed)
				}
			})
		}
	}
}

// Nothing about access and protection is sent that was not asked for, and tags are
// kept without the right to read them.
func TestLeastPermissions(t *testing.T) {
	st := newStand(t, s3test.Options{Quirks: s3test.Quirks{BucketOwnerEnforced: true, SSERefused: true,
		Deny: []string{"s3:GetObjectTagging", "s3:PutObjectAcl", "s3:PutObjectRetention", "s3:PutObjectLegalHold"}}})
	data := random(3*KiB, "least")
	r := st.upload(t, file(t, data), "k", func(r *run) { r.Tags = map[string]string{"a": "1"} })
	st.ends(t, r, "k", data, upload.SelfCopy)
	notes(t, r)
	if o, _ := st.Server.Object(st.bucket, "k"); o.Tags["a"] != "1" {
		t.Errorf("tags %v", o.Tags)
	}
	for _, rec := range st.Requests() {
		for header := range rec.Header {
			for _, prefix := range []string{"X-Amz-Acl", "X-Amz-Grant", "X-Amz-Server-Side", "X-Amz-Object-Lock"} {
				if strings.HasPrefix(header, prefix) {
					t.Errorf("%s: %s", rec.Op, header)
				}
			}
		}
	}
}

// What an object of a class for rare access costs that is replaced early is told,
// where it was seen.
func TestEarlyDeletion(t *testing.T) {
	for name, test := range map[string]struct {
		class  string
		age    time.Duration
		quirks s3test.Quirks
		notes  []string
	}{
		"young":     {class: "STANDARD_IA", age: 29 * 24 * time.Hour, notes: []string{"of the class STANDARD_IA, and 29 days old: S3 bills it for 30 days all the same"}},
		"old":       {class: "STANDARD_IA", age: 31 * 24 * time.Hour},
		"archived":  {class: "DEEP_ARCHIVE", age: 90 * 24 * time.Hour, notes: []string{"of the class DEEP_ARCHIVE, and 90 days old: S3 bills it for 180 days all the same"}},
		"standard":  {class: "STANDARD"},
		"versioned": {class: "STANDARD_IA", quirks: s3test.Quirks{Versioned: true}, notes: []string{"stays behind"}},
	} {
		for _, kind := range sources {
			st := newStand(t, s3test.Options{Quirks: test.quirks})
			st.Put(st.bucket, "k", []byte("old"), func(o *s3test.Object) {
				o.StorageClass, o.LastModified = test.class, time.Now().Add(-test.age)
			})
			data := random(3*KiB, name)
			r := st.upload(t, kind.of(t, data), "k")
			st.ends(t, r, "k", data, upload.SelfCopy)
			notes(t, r, test.notes...)
		}
	}
}
