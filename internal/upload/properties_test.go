package upload_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

// header returns a header of an upload's requests of one kind.
func (st *stand) header(op, name string) string {
	for _, rec := range st.Requests() {
		if rec.Op == op {
			return rec.Header.Get(name)
		}
	}
	return "no such request"
}

// The storage class is set by the copy, where one follows: else a class for rare
// access would bill the object that the copy replaces.
func TestStorageClass(t *testing.T) {
	const class = "X-Amz-Storage-Class"
	for name, test := range map[string]struct {
		size         int64
		quirks       s3test.Quirks
		change       func(*run)
		create, copy string
		normalized   upload.Normalized
		stored       string
		notes        []string
		streams      bool // it matters that the size is not known
	}{
		"in one piece":       {size: 1000, normalized: upload.SinglePut, create: "no such request", copy: "no such request", stored: "STANDARD_IA", streams: true},
		"in parts":           {size: 3 * KiB, normalized: upload.SelfCopy, copy: "STANDARD_IA", stored: "STANDARD_IA", streams: true},
		"without a copy":     {size: 3 * KiB, change: normalize(upload.NormalizeOff), normalized: upload.Off, create: "STANDARD_IA", copy: "no such request", stored: "STANDARD_IA"},
		"too large to copy":  {size: 3 * KiB, change: func(r *run) { r.Limits.MaxCopy = 3*KiB - 1 }, normalized: upload.TooLarge, create: "STANDARD_IA", copy: "no such request", stored: "STANDARD_IA", notes: []string{"larger than"}, streams: true},
		"staged":             {size: 3 * KiB, change: normalize(upload.NormalizeStaged), normalized: upload.StagedCopy, stored: "STANDARD_IA"},
		"the copy keeps -N":  {size: 3 * KiB, quirks: s3test.Quirks{CopyKeepsETag: true}, normalized: upload.Kept, copy: "STANDARD_IA", stored: "STANDARD_IA", notes: []string{"keeps the composite ETag"}},
		"it is not known":    {size: 3 * KiB, quirks: s3test.Quirks{StorageClassRefused: true}, normalized: upload.SelfCopy, copy: "STANDARD_IA", stored: "STANDARD", notes: []string{"does not know the storage class STANDARD_IA"}},
		"it is ignored":      {size: 3 * KiB, quirks: s3test.Quirks{StorageClassIgnored: true}, normalized: upload.SelfCopy, copy: "STANDARD_IA", stored: "STANDARD", notes: []string{`the storage class is "STANDARD", not "STANDARD_IA"`}},
		"a copy is refused":  {size: 3 * KiB, quirks: s3test.Quirks{CopyRefused: 501}, normalized: upload.Refused, copy: "STANDARD_IA", stored: "STANDARD", notes: []string{"refused (501 NotImplemented)", `not "STANDARD_IA", because no copy followed that could set it; --normalize off has the upload itself set it`}},
		"the MD5 is there":   {size: 3 * KiB, quirks: s3test.Quirks{PlainETag: true}, normalized: upload.Already, copy: "STANDARD_IA", stored: "STANDARD_IA", streams: true},
		"both, and no copy":  {size: 3 * KiB, quirks: s3test.Quirks{PlainETag: true, CopyRefused: 501}, normalized: upload.Already, copy: "STANDARD_IA", stored: "STANDARD", notes: []string{"was refused", `not "STANDARD_IA", because no copy followed that could set it; --normalize off has the upload itself set it`}, streams: true},
		"write-only":         {size: 3 * KiB, quirks: s3test.Quirks{Deny: []string{"s3:GetObject"}}, normalized: upload.Refused, copy: "no such request", stored: "STANDARD", notes: []string{"may not be looked at", "the storage class STANDARD_IA is not set, because no copy followed that could do it; --normalize off has the upload itself set it"}, streams: true},
		"the bucket has KMS": {size: 3 * KiB, quirks: s3test.Quirks{KMSByDefault: true}, normalized: upload.Opaque, copy: "no such request", stored: "STANDARD_IA", streams: true},
	} {
		for _, kind := range sources {
			if kind.name == "stream" && !test.streams {
				continue
			}
			t.Run(kind.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{Quirks: test.quirks})
				data := random(test.size, "class")
				r := st.upload(t, kind.of(t, data), "k", func(r *run) {
					r.StorageClass = types.StorageClassStandardIa
					if test.change != nil {
						test.change(r)
					}
					if r.Limits.MaxCopy > 0 {
						r.ExpectedSize = test.size // else a stream is thought to be small enough
					}
				})
				st.ends(t, r, "k", data, test.normalized)
				if got := st.header("CreateMultipartUpload", class); got != test.create {
					t.Errorf("the upload was created with the class %q, want %q", got, test.create)
				}
				if got := st.header("CopyObject", class); got != test.copy {
					t.Errorf("the copy was made with the class %q, want %q", got, test.copy)
				}
				if o := st.object(t, "k"); o.class != test.stored {
					t.Errorf("the object has the class %q, want %q", o.class, test.stored)
				}
				notes(t, r, test.notes...)
				st.nothingLeft(t, "k")
			})
		}
	}
	t.Run("one that no store knows", func(t *testing.T) {
		st := newStand(t, s3test.Options{})
		for _, change := range []func(*run){func(*run) {}, normalize(upload.NormalizeOff)} {
			for _, size := range []int64{1000, 3 * KiB} {
				data := random(size, "")
				r := st.upload(t, file(t, data), "k", func(r *run) { r.StorageClass = "FROZEN" }, change)
				if r.Requests["CopyObject"] > 0 { // all was there by the time that it was said
					st.ends(t, r, "k", data, upload.SelfCopy)
				} else if upload.KindOf(r.Err) != upload.Usage {
					t.Errorf("error %v of kind %d, want %d", r.Err, upload.KindOf(r.Err), upload.Usage)
				}
			}
		}
	})
}

// What a store says about ETags, and what comes of it.
func TestETags(t *testing.T) {
	const opaqueStore = "this store's ETags are not MD5s"
	for name, test := range map[string]struct {
		quirks  s3test.Quirks
		change  func(*run)
		small   upload.Normalized // of an object in one piece
		large   upload.Normalized // of one in parts
		notes   []string          // of the latter
		streams bool              // it matters that nothing can be sent again later
	}{
		"KMS":                     {quirks: s3test.Quirks{KMSByDefault: true}, small: upload.Opaque, large: upload.Opaque, streams: true},
		"opaque":                  {quirks: s3test.Quirks{OpaqueETags: true}, small: upload.Opaque, large: upload.Opaque, notes: []string{opaqueStore}, streams: true},
		"the MD5 at once":         {quirks: s3test.Quirks{PlainETag: true}, large: upload.Already},
		"the MD5 on HEAD":         {quirks: s3test.Quirks{PlainETagOnHead: true}, large: upload.Already},
		"unquoted":                {quirks: s3test.Quirks{HeadETagUnquoted: true, CopyETagUnquoted: true}, large: upload.SelfCopy},
		"none of Complete":        {quirks: s3test.Quirks{CompleteNoETag: true}, large: upload.SelfCopy},
		"none of the copy":        {quirks: s3test.Quirks{CopyNoETag: true}, large: upload.SelfCopy},
		"none of parts":           {quirks: s3test.Quirks{PartNoETag: true}, large: upload.SelfCopy, streams: true},
		"none at all":             {quirks: s3test.Quirks{PartNoETag: true, CompleteNoETag: true, CopyNoETag: true}, large: upload.SelfCopy, streams: true},
		"kept by a self-copy":     {quirks: s3test.Quirks{SelfCopyKeepsETag: true}, large: upload.Kept, notes: []string{"--normalize staged may give it the MD5"}},
		"kept by every copy":      {quirks: s3test.Quirks{CopyKeepsETag: true}, large: upload.Kept, notes: []string{"keeps the composite ETag"}},
		"kept through staging":    {quirks: s3test.Quirks{CopyKeepsETag: true}, change: normalize(upload.NormalizeStaged), large: upload.Kept, notes: []string{"keeps the composite ETag"}},
		"kept, and not told":      {quirks: s3test.Quirks{CopyKeepsETag: true, CopyNoETag: true}, large: upload.Kept, notes: []string{"keeps the composite ETag"}},
		"given by staging":        {quirks: s3test.Quirks{SelfCopyKeepsETag: true}, change: normalize(upload.NormalizeStaged), large: upload.StagedCopy},
		"no copies: 501":          {quirks: s3test.Quirks{CopyRefused: 501}, large: upload.Refused, notes: []string{"refused (501 NotImplemented)"}},
		"no copies: 405":          {quirks: s3test.Quirks{CopyRefused: 405}, large: upload.Refused, notes: []string{"refused (405 MethodNotAllowed)"}},
		"no copies: 403":          {quirks: s3test.Quirks{CopyRefused: 403}, large: upload.Refused, notes: []string{"refused (403 AccessDenied)"}},
		"no staged copies":        {quirks: s3test.Quirks{CopyRefused: 501}, change: normalize(upload.NormalizeStaged), large: upload.Refused, notes: []string{"refused (501 NotImplemented)"}},
		"write-only":              {quirks: s3test.Quirks{Deny: []string{"s3:GetObject"}}, large: upload.Refused, notes: []string{"may not be looked at (403 Forbidden)"}, streams: true},
		"write-only, on KMS":      {quirks: s3test.Quirks{Deny: []string{"s3:GetObject"}, KMSByDefault: true}, small: upload.Opaque, large: upload.Refused, notes: []string{"may not be looked at (403 Forbidden)"}},
		"write-only, MD5 at once": {quirks: s3test.Quirks{Deny: []string{"s3:GetObject"}, PlainETag: true}, large: upload.Already},
	} {
		for _, kind := range sources {
			if kind.name == "stream" && !test.streams {
				continue
			}
			t.Run(kind.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{Quirks: test.quirks})
				test := test
				if test.change == nil {
					test.change = func(*run) {}
				}
				if test.small == "" {
					test.small = upload.SinglePut
				}
				small, large := random(1000, "small"), random(3*KiB+5, "large")
				r := st.upload(t, kind.of(t, small), "small", test.change)
				st.ends(t, r, "small", small, test.small)
				r = st.upload(t, kind.of(t, large), "large", test.change)
				if r.Err != nil {
					t.Fatal(r.Err)
				}
				st.check(t, r, "large", large)
				if r.Normalized != test.large {
					t.Errorf("normalized: %s, want %s", r.Normalized, test.large)
				}
				want := etagKind(test.large)
				if test.quirks.KMSByDefault {
					want = upload.ETagOpaque
				}
				if r.ETagKind != want {
					t.Errorf("ETag of kind %s, want %s", r.ETagKind, want)
				}
				notes(t, r, test.notes...)
				st.nothingLeft(t, "large")
				if keys := st.Objects(st.bucket); len(keys) != 2 {
					t.Errorf("objects %q", keys)
				}
			})
		}
	}
}

// On a versioned bucket the copy makes a second version, and the note says so.
func TestVersions(t *testing.T) {
	for _, kind := range sources {
		st := newStand(t, s3test.Options{Quirks: s3test.Quirks{Versioned: true}})
		data := random(3*KiB, "versions")
		r := st.upload(t, kind.of(t, data), "k")
		st.ends(t, r, "k", data, upload.SelfCopy)
		versions := st.Versions(st.bucket, "k")
		if len(versions) != 2 {
			t.Fatalf("%d versions, want 2", len(versions))
		}
		if r.VersionID != versions[1].VersionID {
			t.Errorf("version %s, want %s", r.VersionID, versions[1].VersionID)
		}
		notes(t, r, "the multipart version "+versions[0].VersionID+" stays behind")

		r = st.upload(t, kind.of(t, data), "s", normalize(upload.NormalizeStaged))
		if upload.KindOf(r.Err) != upload.Usage || st.object(t, "s") != nil {
			t.Errorf("staged: error %v of kind %d, want %d", r.Err, upload.KindOf(r.Err), upload.Usage)
		}
		if kind.name == "file" {
			if n := st.Count("CreateMultipartUpload"); n != 1 {
				t.Errorf("%d uploads were created, want only the first", n)
			}
		}
		for _, key := range st.Objects(st.bucket) {
			if key != "k" {
				t.Errorf("object %q", key)
			}
		}
	}
	// versitygw rewrites the version in place: nothing stays behind.
	st := newStand(t, s3test.Options{Quirks: s3test.Quirks{Versioned: true, CopyUpdatesInPlace: true}})
	data := random(3*KiB, "versions")
	r := st.upload(t, file(t, data), "k")
	st.ends(t, r, "k", data, upload.SelfCopy)
	notes(t, r)
}

// What killed runs left of their staged copies is cleared, what looks like it is
// not.
func TestStagedLeftovers(t *testing.T) {
	st := newStand(t, s3test.Options{})
	data := random(3*KiB, "leftovers")
	// The name of the staged copy is found out by leaving one behind.
	st.Fault(s3test.Fault{Op: "DeleteObject", After: 1, Times: -1, Do: s3test.Refuse})
	r := st.upload(t, file(t, data), "dir/k", normalize(upload.NormalizeStaged))
	st.ends(t, r, "dir/k", data, upload.StagedCopy)
	st.ClearFaults()
	keys := st.Objects(st.bucket)
	if len(keys) != 2 {
		t.Fatalf("objects %q, want a staged copy beside the object", keys)
	}
	left := keys[0]
	last := "0"
	if strings.HasSuffix(left, last) {
		last = "1"
	}
	theirs := left[:len(left)-1] + last
	st.put(t, theirs, []byte("somebody's own"))

	r = st.upload(t, file(t, random(3*KiB, "newer")), "dir/k", normalize(upload.NormalizeStaged))
	st.ends(t, r, "dir/k", random(3*KiB, "newer"), upload.StagedCopy)
	if got := st.object(t, left); got == nil {
		t.Error("a staged copy that may be in use was deleted")
	}
	r = st.upload(t, file(t, data), "dir/k", normalize(upload.NormalizeStaged), staleAfter(0))
	st.ends(t, r, "dir/k", data, upload.StagedCopy)
	if st.object(t, left) != nil {
		t.Errorf("%q is left", left)
	}
	if o := st.object(t, theirs); o == nil || !bytes.Equal(o.body, []byte("somebody's own")) {
		t.Errorf("%q, which is no staged copy, was deleted", theirs)
	}
}

// The longest key leaves no room beside it.
func TestStagedLongKey(t *testing.T) {
	st := newStand(t, s3test.Options{})
	data := random(3*KiB, "long")
	for _, key := range []string{
		string(bytes.Repeat([]byte("k"), 1024)),
		"dir/" + string(bytes.Repeat([]byte("d"), 1000)) + "/" + string(bytes.Repeat([]byte("k"), 19)),
	} {
		r := st.upload(t, file(t, data), key, normalize(upload.NormalizeStaged))
		st.ends(t, r, key, data, upload.StagedCopy)
	}
	if keys := st.Objects(st.bucket); len(keys) != 2 {
		t.Errorf("%d objects, want 2", len(keys))
	}
}
