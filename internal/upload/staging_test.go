package upload_test

import (
	"bytes"
	"context"
	"fmt"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

// The probe for what may be deleted leaves no delete marker in a bucket that keeps
// versions: not if its answer gets lost, nor, after the next run, if its run was
// interrupted or killed.
func TestProbeLeavesNoMarker(t *testing.T) {
	data := random(3*KiB+5, "probe")
	for _, mode := range []struct {
		name   string
		change func(*run)
	}{{"publish", publish}, {"staged", normalize(upload.NormalizeStaged)}} {
		for _, fault := range []struct {
			name        string
			lost, stops bool
			after       int
		}{
			{name: "lost", lost: true},
			{name: "lost and interrupted", lost: true, stops: true},
			{name: "interrupted before the removal", stops: true, after: 1},
		} {
			t.Run(mode.name+"/"+fault.name, func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				st := newStand(t, s3test.Options{Quirks: s3test.Quirks{Versioned: true}})
				if fault.lost {
					st.Fault(s3test.Fault{Op: "DeleteObject", Do: s3test.Lose})
				}
				if fault.stops {
					st.Fault(s3test.Fault{Op: "DeleteObject", After: fault.after, Do: s3test.Stall, Hook: cancel})
				}
				quick := func(r *run) {
					if fault.after > 0 { // it is waited for in vain
						r.CleanupTimeout = 300 * time.Millisecond
					}
				}
				r := st.upload(t, file(t, data), "k", mode.change, with(ctx), quick)
				if fault.stops {
					if r.Err == nil {
						t.Error("it was not interrupted")
					}
					if fault.lost {
						st.noVersions(t, "k")
					}
					r = st.upload(t, file(t, data), "k", mode.change)
				}
				if mode.name == "publish" {
					st.ends(t, r, "k", data, upload.StagedCopy)
					st.clean(t, "k")
					return
				}
				if upload.KindOf(r.Err) != upload.Usage {
					t.Errorf("error %v of kind %d, want %d", r.Err, upload.KindOf(r.Err), upload.Usage)
				}
				st.noVersions(t, "k")
			})
		}
	}
}

// An upload that is not kept takes its staged object with it, also when the answer
// that says that there is one was not waited for.
func TestPublishUnansweredComplete(t *testing.T) {
	data := random(3*KiB+5, "unanswered")
	abort := func(r *run) { r.OnFailure = upload.OnFailureAbort }
	for _, versioned := range []bool{false, true} {
		for _, kind := range sources {
			t.Run(fmt.Sprintf("%s/versions: %t", kind.name, versioned), func(t *testing.T) {
				t.Parallel()
				ctx, cancel := context.WithCancel(t.Context())
				st := newStand(t, s3test.Options{Quirks: s3test.Quirks{Versioned: versioned}})
				st.Fault(s3test.Fault{Op: "CompleteMultipartUpload", Do: s3test.Lose})
				st.Fault(s3test.Fault{Op: "CompleteMultipartUpload", Do: s3test.Stall, Hook: cancel})
				r := st.upload(t, kind.of(t, data), "k", publish, with(ctx), abort)
				if upload.KindOf(r.Err) != upload.Interrupted || r.Resumable {
					t.Errorf("error %v of kind %d, resumable: %t", r.Err, upload.KindOf(r.Err), r.Resumable)
				}
				notes(t, r)
				if keys, uploads := st.Objects(st.bucket), st.Uploads(st.bucket); len(keys) > 0 || len(uploads) > 0 {
					t.Errorf("objects %q, uploads %v", keys, uploads)
				}
				st.noVersions(t, "k")
			})
		}
	}
}

// Of several runs that were killed before their copy each left a version under the
// staging key.
func TestPublishLeftovers(t *testing.T) {
	st := newStand(t, s3test.Options{Quirks: s3test.Quirks{Versioned: true}})
	for n := range 3 {
		ctx, cancel := context.WithCancel(t.Context())
		st.Fault(s3test.Fault{Op: "CopyObject", Do: s3test.Stall, Hook: cancel})
		st.upload(t, file(t, random(3*KiB+5, fmt.Sprint(n))), "k", publish, with(ctx))
	}
	data := random(3*KiB+5, "last")
	st.ends(t, st.upload(t, file(t, data), "k", publish), "k", data, upload.StagedCopy)
	st.clean(t, "k")
}

// Two runs publish the same bytes, and the other one is done first, at each moment
// from which on there is something to be done with: both end well.
func TestPublishTwins(t *testing.T) {
	data := random(3*KiB+5, "twins")
	for _, versioned := range []bool{false, true} {
		for _, there := range []bool{false, true} {
			for _, c := range []call{{"HeadObject", 1}, {"HeadObject", 2}, {"CopyObject", 0}, {"HeadObject", 3}, {"DeleteObject", 1}} {
				t.Run(fmt.Sprintf("%s/versions: %t/there: %t", c, versioned, there), func(t *testing.T) {
					t.Parallel()
					st := newStand(t, s3test.Options{Quirks: s3test.Quirks{Versioned: versioned}})
					if there { // and it is to be replaced
						st.Put(st.bucket, "k", data)
					}
					ours := func(r *run) { r.CacheControl = "ours" }
					after := c.after
					if versioned && c.op == "DeleteObject" {
						after = 2 // the marker of the probe
					}
					if versioned && c.op == "HeadObject" {
						after++
					}
					st.when(c.op, after, func() {
						if r := st.upload(t, file(t, data), "k", publish, ours); r.Err != nil {
							t.Errorf("the other one: %v", r.Err)
						}
					})
					r := st.upload(t, file(t, data), "k", publish, ours)
					st.ends(t, r, "k", data, upload.StagedCopy)
					if o := st.object(t, "k"); o.cacheControl != "ours" || !r.Published {
						t.Errorf("cache control %q, published: %t", o.cacheControl, r.Published)
					}
					st.clean(t, "k")
				})
			}
		}
	}
	// Others than those that were to be published are not it.
	for name, there := range map[string]func(o *s3test.Object){
		"without its properties": func(o *s3test.Object) { o.CacheControl = "theirs" },
		"other bytes":            nil,
	} {
		for _, c := range []call{{"HeadObject", 1}, {"CopyObject", 0}} {
			st := newStand(t, s3test.Options{})
			body := data
			if there == nil {
				body, there = random(3*KiB+5, "other"), func(*s3test.Object) {}
			}
			st.Put(st.bucket, "k", body, there)
			st.when(c.op, c.after, func() { st.deleteStaged(t, "k") })
			r := st.upload(t, file(t, data), "k", publish)
			if upload.KindOf(r.Err) != upload.Conflict || !bytes.Equal(st.object(t, "k").body, body) {
				t.Errorf("%s, before %s: error %v of kind %d, want %d", name, c, r.Err, upload.KindOf(r.Err), upload.Conflict)
			}
		}
	}
}

// What another run has staged meanwhile, under the same key, is not deleted.
func TestPublishKeepsTheirs(t *testing.T) {
	st := newStand(t, s3test.Options{})
	theirs := random(3*KiB+5, "theirs")
	var staging string
	st.when("HeadObject", 4, func() {
		for _, key := range st.Objects(st.bucket) {
			if key != "k" {
				staging = key
				st.Put(st.bucket, key, theirs, func(o *s3test.Object) { o.Parts = []int64{KiB, KiB, KiB, 5} })
			}
		}
	})
	data := random(3*KiB+5, "ours")
	st.ends(t, st.upload(t, file(t, data), "k", publish), "k", data, upload.StagedCopy)
	if o := st.object(t, staging); o == nil || !bytes.Equal(o.body, theirs) {
		t.Error("what the other run has staged is gone")
	}
}

// In a bucket that keeps versions, what it has staged since is the current one when
// ours is deleted, and stays.
func TestPublishKeepsNewerVersion(t *testing.T) {
	st := newStand(t, s3test.Options{Quirks: s3test.Quirks{Versioned: true}})
	var staging string
	st.when("DeleteObject", 2, func() {
		for _, key := range st.Objects(st.bucket) {
			if key != "k" {
				staging = key
				ours, _ := st.Server.Object(st.bucket, key)
				st.Put(st.bucket, key, random(3*KiB+5, "theirs"), func(o *s3test.Object) {
					o.Metadata, o.LastModified = ours.Metadata, ours.LastModified.Add(time.Minute)
				})
			}
		}
	})
	data := random(3*KiB+5, "ours")
	st.ends(t, st.upload(t, file(t, data), "k", publish), "k", data, upload.StagedCopy)
	if vs := st.Versions(st.bucket, staging); len(vs) != 1 || vs[0].DeleteMarker {
		t.Errorf("versions %v, want theirs", vs)
	}
}

// Of two runs that publish the same bytes under a condition one wins.
func TestPublishTwinsWithCondition(t *testing.T) {
	data := random(3*KiB+5, "twins")
	st := newStand(t, s3test.Options{})
	st.when("CopyObject", 0, func() {
		st.deleteStaged(t, "k")
		st.Put(st.bucket, "k", data)
	})
	r := st.upload(t, file(t, data), "k", publish, noClobber, func(r *run) { r.CopyConditions, r.ContentType = true, "binary/octet-stream" })
	if k := upload.KindOf(r.Err); k != upload.Conflict && k != upload.Unmet {
		t.Errorf("%s, error %v of kind %d", r.Status, r.Err, k)
	}
}

// A copy to the key that was refused is not taken for done because the same bytes
// were there before.
func TestPublishSameBefore(t *testing.T) {
	data := random(3*KiB+5, "before")
	st := newStand(t, s3test.Options{})
	st.Put(st.bucket, "k", data, func(o *s3test.Object) { o.CacheControl = "old" })
	st.Fault(s3test.Fault{Op: "CopyObject", Do: s3test.Refuse})
	r := st.upload(t, file(t, data), "k", publish, func(r *run) { r.CacheControl = "new" })
	if upload.KindOf(r.Err) != upload.Access || r.Published || st.object(t, "k").cacheControl != "old" {
		t.Errorf("%s, error %v of kind %d, want %d", r.Status, r.Err, upload.KindOf(r.Err), upload.Access)
	}
}

// deleteStaged deletes all but a key, as another run would.
func (st *stand) deleteStaged(t testing.TB, but string) {
	for _, key := range st.Objects(st.bucket) {
		if key == but {
			continue
		}
		if _, err := st.client.DeleteObject(context.Background(), &s3.DeleteObjectInput{Bucket: &st.bucket, Key: &key}); err != nil {
			t.Error(err)
		}
	}
}

// noVersions makes sure that no other key that was asked for has a version, or a
// delete marker.
func (st *stand) noVersions(t testing.TB, but string) {
	t.Helper()
	for _, rec := range st.Requests() {
		if rec.Key != "" && rec.Key != but && len(st.Versions(st.bucket, rec.Key)) > 0 {
			t.Errorf("%q has versions: %v", rec.Key, st.Versions(st.bucket, rec.Key))
		}
	}
}
