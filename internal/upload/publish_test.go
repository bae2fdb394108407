package upload_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

func publish(r *run) { r.Publish = upload.PublishStaged }

// clean makes sure that nothing but the object is in the bucket, in no version.
func (st *stand) clean(t testing.TB, key string) {
	t.Helper()
	if keys := st.Objects(st.bucket); !slices.Equal(keys, []string{key}) {
		t.Errorf("objects %q, want %q", keys, key)
	}
	if left := st.Uploads(st.bucket); len(left) > 0 {
		t.Errorf("unfinished uploads: %v", left)
	}
	for _, rec := range st.Requests() {
		if rec.Key != "" && rec.Key != key {
			if versions := st.Versions(st.bucket, rec.Key); len(versions) > 0 {
				t.Errorf("%q has versions: %v", rec.Key, versions)
			}
		}
	}
}

// On every store, readers of the key see what was there or what is to be there,
// and never an object of parts, unless the store has no others.
func TestPublish(t *testing.T) {
	for _, name := range s3test.StoreNames() {
		quirks, _ := s3test.Store(name)
		for _, kind := range sources {
			if name != "aws" && kind.name != aFile.name {
				continue
			}
			for _, versioned := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/versions: %t", name, kind.name, versioned), func(t *testing.T) {
					t.Parallel()
					var st *stand
					old, data := []byte("old"), random(3*KiB+5, name)
					quirks := quirks
					quirks.Versioned = versioned
					st = newStand(t, s3test.Options{Quirks: quirks, Log: func(s3test.Record) {
						if o, _ := st.Server.Object(st.bucket, "dir/k"); o.ETag != md5Hex(old) && o.ETag != md5Hex(data) && !quirks.CopyKeepsETag {
							t.Errorf("a reader sees an object with the ETag %q", o.ETag)
						}
					}})
					st.Put(st.bucket, "dir/k", old)
					r := st.upload(t, kind.of(t, data), "dir/k", publish, func(r *run) { r.CacheControl = "no-store" })
					n := upload.StagedCopy
					if quirks.CopyKeepsETag {
						n = upload.Kept
					}
					st.ends(t, r, "dir/k", data, n)
					if o := st.object(t, "dir/k"); o.cacheControl != "no-store" || len(o.metadata) > 0 && !quirks.CopyMergesHeaders {
						t.Errorf("cache control %q, metadata %v", o.cacheControl, o.metadata)
					}
					switch {
					case quirks.CopyKeepsETag:
						notes(t, r, "keeps the composite ETag")
					case quirks.CopyMergesHeaders:
						notes(t, r, `the object has the metadata s3up-staging`)
					case quirks.ListUploadsRefused == 0:
						notes(t, r)
					}
					if !r.Published {
						t.Error("it is not called published")
					}
					st.clean(t, "dir/k")
					if versioned {
						if vs := st.Versions(st.bucket, "dir/k"); len(vs) != 2 || r.VersionID != vs[1].VersionID && !quirks.CopyNoVersionID {
							t.Errorf("version %s of %v", r.VersionID, vs)
						}
					}
					for _, rec := range st.Requests() {
						if strings.HasPrefix(rec.Op, "CreateMultipart") || strings.HasPrefix(rec.Op, "UploadPart") {
							if !strings.HasPrefix(rec.Key, "dir/.s3up-") {
								t.Errorf("%s %q", rec.Op, rec.Key)
							}
						}
						if rec.Op == "CopyObject" && rec.Header.Get("X-Amz-Copy-Source-If-Match") == "" {
							t.Error("the copy has no condition")
						}
					}
				})
			}
		}
	}
}

// What goes up in one piece needs no staging: it is verified before it is there.
func TestPublishSmall(t *testing.T) {
	st := newStand(t, s3test.Options{})
	data := random(1000, "small")
	r := st.upload(t, file(t, data), "k", publish)
	st.ends(t, r, "k", data, upload.SinglePut)
	if n := st.Count("*"); n != 1 || r.Published {
		t.Errorf("%d requests, published: %t", n, r.Published)
	}
}

// Wherever it is interrupted or killed, the same upload again goes on with what
// there is: no part that is stored is sent once more.
func TestPublishInterrupted(t *testing.T) {
	data := random(3*KiB+5, "interrupted")
	calls := []call{{"DeleteObject", 0}, {"HeadObject", 0}, {"ListMultipartUploads", 0}, {"CreateMultipartUpload", 0}, {"UploadPart 1", 0},
		{"UploadPart 4", 0}, {"CompleteMultipartUpload", 0}, {"HeadObject", 1}, {"HeadObject", 2}, {"CopyObject", 0}, {"HeadObject", 3}, {"HeadObject", 4}, {"DeleteObject", 1}}
	for i, c := range calls {
		for _, versioned := range []bool{false, true} {
			for _, kind := range sources {
				t.Run(fmt.Sprintf("%s/%s/versions: %t", kind.name, c, versioned), func(t *testing.T) {
					t.Parallel()
					st := newStand(t, s3test.Options{Quirks: s3test.Quirks{Versioned: versioned}})
					after, last := c.after, i >= len(calls)-2 // in the clean-up
					switch {
					case versioned && c.op == "DeleteObject":
						after *= 2 // the marker of the probe
					case versioned && c.op == "HeadObject":
						after++ // whether there is another one
					}
					ctx, cancel := context.WithCancel(t.Context())
					defer cancel()
					st.Fault(s3test.Fault{Op: c.op, After: after, Do: s3test.Stall, Hook: cancel})
					r := st.upload(t, kind.of(t, data), "k", publish, with(ctx), oneAtATime, func(r *run) {
						if last {
							r.CleanupTimeout = 100 * time.Millisecond
						}
					})
					if !last && upload.KindOf(r.Err) != upload.Interrupted {
						t.Fatalf("error %v of kind %d, want %d", r.Err, upload.KindOf(r.Err), upload.Interrupted)
					}
					if i < len(calls)-3 && st.object(t, "k") != nil {
						t.Error("there is an object")
					}
					var stored int64
					for _, up := range st.Uploads(st.bucket) {
						for _, p := range up.Parts {
							stored += p.Size
						}
					}
					for _, key := range st.Objects(st.bucket) {
						if key != "k" {
							stored = int64(len(data))
						}
					}
					if kind.name == aStream.name && stored > 0 && !last {
						t.Errorf("%d bytes of a stream are left", stored)
					}
					st.ClearFaults()
					r = st.upload(t, kind.of(t, data), "k", publish, staleAfter(0))
					st.ends(t, r, "k", data, upload.StagedCopy)
					if want := int64(len(data)) - stored; kind.name == aFile.name && r.BytesSent != want {
						t.Errorf("%d bytes sent, want %d", r.BytesSent, want)
					}
					st.clean(t, "k")
				})
			}
		}
	}
}

// What a killed run left under the staging key is replaced by other bytes, and
// goes with them.
func TestPublishLeftover(t *testing.T) {
	for _, versioned := range []bool{false, true} {
		for _, kind := range sources {
			st := newStand(t, s3test.Options{Quirks: s3test.Quirks{Versioned: versioned}})
			ctx, cancel := context.WithCancel(t.Context())
			st.Fault(s3test.Fault{Op: "CopyObject", Do: s3test.Stall, Hook: cancel})
			st.upload(t, file(t, random(3*KiB+5, "left")), "k", publish, with(ctx))
			if n := len(st.Objects(st.bucket)); n != 1 {
				t.Fatalf("%d objects are left, want the staged one", n)
			}
			data := random(3*KiB+5, "other")
			st.ends(t, st.upload(t, kind.of(t, data), "k", publish), "k", data, upload.StagedCopy)
			st.clean(t, "k")
		}
	}
}

// Somebody else writes the staging key, or deletes it, or writes the key.
func TestPublishWriters(t *testing.T) {
	theirs := random(3*KiB+5, "theirs")
	for _, c := range []call{{"HeadObject", 1}, {"CopyObject", 0}} {
		for _, deleted := range []bool{false, true} {
			st := newStand(t, s3test.Options{})
			var staging string
			st.when(c.op, c.after, func() {
				for _, key := range st.Objects(st.bucket) {
					if staging = key; deleted {
						st.client.DeleteObject(context.Background(), &s3.DeleteObjectInput{Bucket: &st.bucket, Key: &key})
					} else {
						st.Put(st.bucket, key, theirs)
					}
				}
			})
			r := st.upload(t, file(t, random(3*KiB+5, "ours")), "k", publish)
			if upload.KindOf(r.Err) != upload.Conflict || r.Resumable || st.object(t, "k") != nil {
				t.Errorf("before %s, deleted %t: error %v of kind %d, want %d", c, deleted, r.Err, upload.KindOf(r.Err), upload.Conflict)
			}
			if c.op == "HeadObject" && !deleted && st.object(t, staging) == nil {
				t.Error("what somebody else wrote was deleted")
			}
		}
	}
	st := newStand(t, s3test.Options{})
	st.when("HeadObject", 3, func() { st.Put(st.bucket, "k", theirs) })
	r := st.upload(t, file(t, random(3*KiB+5, "ours")), "k", publish)
	if upload.KindOf(r.Err) != upload.Conflict {
		t.Errorf("error %v of kind %d, want %d", r.Err, upload.KindOf(r.Err), upload.Conflict)
	}
	st.clean(t, "k")
}

// Conditions are kept by the copy, on a store that is known to keep them.
func TestPublishWithCondition(t *testing.T) {
	old, theirs, data := random(50, "old"), random(100, "theirs"), random(3*KiB+5, "ours")
	may := func(r *run) { r.Publish, r.CopyConditions = upload.PublishStaged, true }
	for name, test := range map[string]struct {
		condition func(*run)
		there     []byte
		fault     s3test.Fault
		unmet     bool
	}{
		"free":                {condition: noClobber},
		"taken meanwhile":     {condition: noClobber, fault: s3test.Fault{Do: s3test.None}, unmet: true},
		"lost":                {condition: noClobber, fault: s3test.Fault{Do: s3test.Lose}},
		"at the same moment":  {condition: noClobber, fault: s3test.Fault{Do: s3test.Status, Status: 409, Code: "ConditionalRequestConflict"}},
		"matches":             {condition: ifMatch(md5Hex(old)), there: old},
		"matches, lost":       {condition: ifMatch(md5Hex(old)), there: old, fault: s3test.Fault{Do: s3test.Lose}},
		"written meanwhile":   {condition: ifMatch(md5Hex(old)), there: old, fault: s3test.Fault{Do: s3test.None}, unmet: true},
		"not there, if match": {condition: ifMatch(md5Hex(old)), unmet: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStand(t, s3test.Options{})
			if test.there != nil {
				st.Put(st.bucket, "k", test.there)
			}
			test.fault.Op = "CopyObject"
			var found []byte
			if test.unmet && test.fault.Do == s3test.None && name != "not there, if match" {
				found = theirs
				test.fault.Hook = func() { st.Put(st.bucket, "k", theirs) }
			}
			st.Fault(test.fault)
			r := st.upload(t, file(t, data), "k", test.condition, may)
			if test.unmet {
				st.unmet(t, r, found, "")
				for _, key := range st.Objects(st.bucket) {
					if key != "k" {
						t.Errorf("%q is left", key)
					}
				}
				return
			}
			st.ends(t, r, "k", data, upload.StagedCopy)
			st.clean(t, "k")
			if st.header("CopyObject", "If-None-Match") == "" && st.header("CopyObject", "If-Match") == "" {
				t.Error("the copy has no condition")
			}
		})
	}
}

// What cannot be published is said before anything is sent.
func TestPublishLimits(t *testing.T) {
	big := func(r *run) { r.Limits.MaxCopy = 3 * KiB }
	long := strings.Repeat("k", 1025)
	tagged := func(r *run) { r.Tags = map[string]string{"a": "1"} }
	public := func(r *run) { tagged(r); r.ACL = "public-read" }
	granted := func(r *run) { r.Grants.Read = []string{`id="me"`} }
	for name, test := range map[string]struct {
		key    string
		change func(*run)
		quirks s3test.Quirks
		lock   string
		kind   upload.Kind
		why    string
		file   bool
		first  bool // before anything is sent, though the kind does not say so
	}{
		"too large":                {change: big, kind: upload.Usage, why: "more than the 3.0 KiB that can be copied in one piece", file: true},
		"too large, as expected":   {change: func(r *run) { big(r); r.ExpectedSize = 4 * KiB }, kind: upload.Usage, why: "more than the 3.0 KiB"},
		"a long key":               {key: long, kind: upload.Usage, why: "a key of 1025 bytes is longer than the 1024"},
		"no deletion":              {quirks: s3test.Quirks{Versioned: true, Deny: []string{"s3:DeleteObjectVersion"}}, kind: upload.Access, why: "a staged copy could not be deleted again, version by version"},
		"no deletion at all":       {quirks: s3test.Quirks{Deny: []string{"s3:DeleteObject"}}, kind: upload.Access, why: "and --publish staged needs that"},
		"tags that may not be":     {quirks: s3test.Quirks{Deny: []string{"s3:PutObjectTagging"}}, change: tagged, kind: upload.Access, why: "AccessDenied"},
		"an ACL that may not be":   {quirks: s3test.Quirks{BucketOwnerEnforced: true}, change: public, kind: upload.Other, why: "AccessControlListNotSupported", first: true},
		"a grant that may not be":  {quirks: s3test.Quirks{Versioned: true, Deny: []string{"s3:PutObjectAcl"}}, change: granted, kind: upload.Access, why: "AccessDenied"},
		"what may be":              {quirks: s3test.Quirks{Versioned: true}, change: public},
		"locks that nobody tells":  {quirks: s3test.Quirks{Deny: []string{"s3:GetBucketObjectLockConfiguration"}}, lock: "GOVERNANCE", kind: upload.Access, why: "whether it locks them may not be asked"},
		"a bucket that locks":      {lock: "GOVERNANCE", kind: upload.Usage, why: "locks what is put into it"},
		"a bucket that may lock":   {lock: "none"},
		"the longest key":          {key: strings.Repeat("k", 1024)},
		"a copy that is not to be": {quirks: s3test.Quirks{CopyRefused: 501}, kind: upload.Other, why: "NotImplemented"},
	} {
		for _, kind := range sources {
			if test.file && kind.name == aStream.name {
				continue
			}
			t.Run(kind.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{Quirks: test.quirks})
				if test.lock != "" {
					st.SetObjectLock(st.bucket, strings.TrimPrefix(test.lock, "none"), 1)
				}
				key := test.key
				if key == "" {
					key = "k"
				}
				change := test.change
				if change == nil {
					change = func(*run) {}
				}
				data := random(4*KiB, "limits")
				r := st.upload(t, kind.of(t, data), key, change, publish)
				if test.why == "" {
					st.ends(t, r, key, data, upload.StagedCopy)
					st.clean(t, key)
					return
				}
				if upload.KindOf(r.Err) != test.kind || !strings.Contains(r.Err.Error(), test.why) {
					t.Errorf("error %v of kind %d, want %q, %d", r.Err, upload.KindOf(r.Err), test.why, test.kind)
				}
				if n := st.Count("CreateMultipartUpload"); n > 0 && (test.kind != upload.Other || test.first) {
					t.Errorf("%d uploads were begun", n)
				}
				if keys := st.Objects(st.bucket); len(keys) > 0 || len(st.Uploads(st.bucket)) > 0 {
					t.Errorf("objects %q, uploads %v", keys, st.Uploads(st.bucket))
				}
			})
		}
	}
	// A stream says its size when it is too late; then it ends, and leaves nothing.
	st := newStand(t, s3test.Options{})
	r := st.upload(t, stream(t, random(8*KiB, "long")), "k", big, publish)
	if upload.KindOf(r.Err) != upload.Other || !strings.Contains(r.Err.Error(), "longer than the 3.0 KiB that can be published") {
		t.Errorf("error %v", r.Err)
	}
	if len(st.Objects(st.bucket)) > 0 || len(st.Uploads(st.bucket)) > 0 {
		t.Errorf("objects %q, uploads %v", st.Objects(st.bucket), st.Uploads(st.bucket))
	}
}

// What is not encrypted as was asked for replaces nothing.
func TestPublishUnencrypted(t *testing.T) {
	old, data := []byte("old"), random(3*KiB+5, "plain")
	for name, change := range map[string]func(*run){
		"AES256":  func(r *run) { r.SSE = "AES256" },
		"KMS":     func(r *run) { r.SSE = "aws:kms" },
		"own key": func(r *run) { r.CustomerKey = customerKey },
	} {
		for _, kind := range sources {
			st := newStand(t, s3test.Options{TLS: name == "own key", Quirks: s3test.Quirks{SSEIgnored: true}})
			st.put(t, "k", old)
			r := st.upload(t, kind.of(t, data), "k", publish, change)
			if upload.KindOf(r.Err) != upload.Unpublished || !strings.Contains(r.Err.Error(), "not encrypted with") || r.Published {
				t.Errorf("%s/%s: error %v of kind %d, published: %t", kind.name, name, r.Err, upload.KindOf(r.Err), r.Published)
			}
			if o := st.object(t, "k"); !bytes.Equal(o.body, old) {
				t.Errorf("%s/%s: the object that was there is replaced", kind.name, name)
			}
			st.clean(t, "k")
		}
	}
}

// With Amazon's own MD5 of a copy, one that is encrypted is verified as a whole.
func TestPublishEncrypted(t *testing.T) {
	amazon := func(r *run) { r.ServerMD5 = true }
	st := newStand(t, s3test.Options{Quirks: s3test.Quirks{KMSByDefault: true}})
	data := random(3*KiB+5, "kms")
	st.ends(t, st.upload(t, file(t, data), "k", publish, amazon), "k", data, upload.ChecksumMD5)
	st.clean(t, "k")
	st.Fault(s3test.Fault{Op: "CopyObject", Do: s3test.CorruptQuiet})
	r := st.upload(t, file(t, data), "k", publish, amazon)
	if upload.KindOf(r.Err) != upload.Integrity {
		t.Errorf("error %v of kind %d, want %d", r.Err, upload.KindOf(r.Err), upload.Integrity)
	}
	if o := st.object(t, "k"); o != nil && bytes.Equal(o.body, data) {
		t.Error("the fault has not hit")
	}
}
