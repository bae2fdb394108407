package upload_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"testing"
	"time"

	"s3up/internal/s3test"
	"s3up/internal/store"
	"s3up/internal/upload"
)

// What becomes of the parts of an upload that fails, by why it does and by what
// was asked for. By default they are kept where a later run goes on with them.
func TestOnFailure(t *testing.T) {
	// A cause makes the third of four parts fail.
	type cause struct {
		fault  s3test.Fault
		hook   func(cancel context.CancelCauseFunc)
		quirks s3test.Quirks
		change func(*memoryFile)
		kind   upload.Kind
		keeps  bool // the parts of a file
		always bool // tried with a stream and with each OnFailure as well
	}
	causes := map[string]cause{
		"the store is down":        {fault: s3test.Fault{Do: s3test.SlowDown, Times: -1}, kind: upload.Temporary, keeps: true, always: true},
		"the network is down":      {fault: s3test.Fault{Do: s3test.LoseUnexecuted, Times: -1}, kind: upload.Temporary, keeps: true},
		"the credentials are bad":  {fault: s3test.Fault{Do: s3test.Status, Code: "ExpiredToken", Times: -1}, kind: upload.Access, keeps: true},
		"a policy forbids it":      {fault: s3test.Fault{Do: s3test.Refuse, Times: -1}, kind: upload.Access, keeps: true},
		"it is interrupted":        {hook: func(cancel context.CancelCauseFunc) { cancel(errors.New("SIGINT")) }, kind: upload.Interrupted, keeps: true},
		"the bytes arrive changed": {fault: s3test.Fault{Do: s3test.Corrupt, Times: -1}, kind: upload.Integrity},
		"the bucket is gone":       {fault: s3test.Fault{Do: s3test.Status, Code: "NoSuchBucket", Times: -1}, kind: upload.NotFound},
		"a condition":              {fault: s3test.Fault{Do: s3test.Status, Code: "PreconditionFailed", Times: -1}, kind: upload.Conflict},
		"some other refusal":       {fault: s3test.Fault{Do: s3test.Status, Code: "InvalidRequest", Times: -1}, kind: upload.Other, always: true},
		"the store is down, on KMS": {fault: s3test.Fault{Do: s3test.SlowDown, Times: -1},
			quirks: s3test.Quirks{KMSByDefault: true}, kind: upload.Temporary},
		"the store is down, with opaque ETags": {fault: s3test.Fault{Do: s3test.SlowDown, Times: -1},
			quirks: s3test.Quirks{OpaqueETags: true}, kind: upload.Temporary, always: true},
		"the source changes": {change: func(f *memoryFile) { f.later = random(int64(len(f.data)), "later") }, kind: upload.SourceChanged},
	}
	data := random(4*KiB, "failure")
	for name, c := range causes {
		for _, on := range []upload.OnFailure{upload.OnFailureAuto, upload.OnFailureKeep, upload.OnFailureAbort} {
			for _, kind := range sources {
				if !c.always && (kind.name == "stream" || on != upload.OnFailureAuto) {
					continue
				}
				t.Run(fmt.Sprintf("%s/%s/%s", name, on, kind.name), func(t *testing.T) {
					t.Parallel()
					c := c
					st := newStand(t, s3test.Options{Quirks: c.quirks}, func(s *store.Config) { s.RetryFor = 50 * time.Millisecond })
					ctx, cancel := context.WithCancelCause(t.Context())
					defer cancel(nil)
					c.fault.Op = "UploadPart 3"
					if c.hook != nil {
						c.fault.Hook = func() { c.hook(cancel) }
						c.fault.Do = s3test.Stall
					}
					src := kind.of(t, data)
					if c.change != nil {
						f := newMemoryFile(data)
						c.change(f)
						src = f.source(t)
					} else {
						st.Fault(c.fault)
					}
					r := st.upload(t, src, "k", oneAtATime, onFailure(on), with(ctx), func(r *run) { r.ContentType = "text/plain" })
					if upload.KindOf(r.Err) != c.kind {
						t.Errorf("error %v of kind %d, want %d", r.Err, upload.KindOf(r.Err), c.kind)
					}
					if st.object(t, "k") != nil {
						t.Error("there is an object")
					}
					keeps := c.keeps && kind.name == "file"
					if c.change != nil { // no part arrived
						keeps = false
					} else if on != upload.OnFailureAuto {
						keeps = on == upload.OnFailureKeep
					}
					left := 0
					for _, parts := range st.unfinished(t, "k") {
						left += len(parts)
					}
					if want := map[bool]int{true: 2, false: 0}[keeps]; left != want || !keeps && len(st.unfinished(t, "k")) > 0 {
						t.Errorf("%d parts are left, want %d", left, want)
					}
					if want := keeps && kind.name == "file" && !c.quirks.KMSByDefault && !c.quirks.OpaqueETags; r.Resumable != want {
						t.Errorf("resumable: %t, want %t", r.Resumable, want)
					}
					if !r.Resumable {
						return
					}
					st.ClearFaults()
					r = st.upload(t, kind.of(t, data), "k")
					st.ends(t, r, "k", data, upload.SelfCopy)
					if r.BytesSent != 2*KiB || r.PartsResumed != 2 {
						t.Errorf("%d bytes sent, %d parts resumed, want %d, 2", r.BytesSent, r.PartsResumed, 2*KiB)
					}
				})
			}
		}
	}
}

// An upload that is interrupted is aborted all the same, where its parts are of
// no use: cleaning up outlives the context. One that cannot be is named.
func TestCleanUpAfterInterrupt(t *testing.T) {
	for _, denied := range []bool{false, true} {
		st := newStand(t, s3test.Options{})
		if denied {
			st.SetQuirks(func(q *s3test.Quirks) { q.Deny = []string{"s3:AbortMultipartUpload"} })
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		defer cancel(nil)
		cause := errors.New("SIGTERM")
		st.Fault(s3test.Fault{Op: "UploadPart 2", Do: s3test.Stall, Hook: func() { cancel(cause) }})
		r := st.upload(t, stream(t, random(4*KiB, "")), "k", oneAtATime, with(ctx))
		if upload.KindOf(r.Err) != upload.Interrupted || !errors.Is(r.Err, cause) {
			t.Errorf("error %v of kind %d, want %d with its cause", r.Err, upload.KindOf(r.Err), upload.Interrupted)
		}
		if denied {
			notes(t, r, "could not be aborted: 403 AccessDenied; a lifecycle rule")
		} else {
			notes(t, r)
			st.nothingLeft(t, "k")
		}
	}
}

// Wherever it is interrupted, an upload of a file ends at once, and the same
// upload again ends well.
func TestInterruptedAnywhere(t *testing.T) {
	data := random(3*KiB+5, "anywhere")
	for _, change := range []func(*run){normalize(upload.NormalizeAuto), normalize(upload.NormalizeStaged)} {
		for _, c := range []call{{"HeadObject", 0}, {"ListMultipartUploads", 0}, {"CreateMultipartUpload", 0}, {"UploadPart 1", 0},
			{"UploadPart 4", 0}, {"CompleteMultipartUpload", 0}, {"HeadObject", 1}, {"CopyObject", 0}, {"HeadObject", 2}} {
			t.Run(c.String(), func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{})
				ctx, cancel := context.WithCancel(t.Context())
				defer cancel()
				st.Fault(s3test.Fault{Op: c.op, After: c.after, Do: s3test.Stall, Hook: cancel})
				r := st.upload(t, file(t, data), "k", with(ctx), change)
				if upload.KindOf(r.Err) != upload.Interrupted {
					t.Fatalf("error %v of kind %d, want %d", r.Err, upload.KindOf(r.Err), upload.Interrupted)
				}
				for _, key := range st.Objects(st.bucket) {
					if key != "k" {
						t.Errorf("the staged copy %q is left", key)
					}
				}
				r = st.upload(t, file(t, data), "k", change)
				if r.Err != nil {
					t.Fatal(r.Err)
				}
				st.check(t, r, "k", data)
				if r.ETagKind != upload.ETagMD5 {
					t.Errorf("ETag of kind %s", r.ETagKind)
				}
				st.nothingLeft(t, "k")
				if keys := st.Objects(st.bucket); len(keys) != 1 {
					t.Errorf("objects %q", keys)
				}
			})
		}
	}
}

// The store goes away for longer than patience once all parts are there: what the
// answer that got lost had done, nobody can tell. That is to be tried again, and
// nobody else is blamed for it. The next run sends nothing that it can know.
func TestOutageNearTheEnd(t *testing.T) {
	data := random(3*KiB+5, "near the end")
	for how, calls := range map[upload.Normalize][]call{
		upload.NormalizeSelf:   {{"CompleteMultipartUpload", 0}, {"HeadObject", 1}, {"CopyObject", 0}, {"HeadObject", 2}},
		upload.NormalizeStaged: {{"CompleteMultipartUpload", 0}, {"HeadObject", 1}, {"CopyObject", 0}, {"HeadObject", 2}, {"HeadObject", 3}, {"CopyObject", 1}, {"HeadObject", 4}},
	} {
		for i, c := range calls {
			for n := range 4 {
				do, what := []s3test.Action{s3test.Lose, s3test.LoseUnexecuted}[n%2], []string{"*", "HeadObject"}[n/2]
				for _, kind := range sources {
					t.Run(fmt.Sprintf("%s/%s/%s %s, then %s", kind.name, how, c, do, what), func(t *testing.T) {
						t.Parallel()
						st := newStand(t, s3test.Options{})
						st.store = openStore(t, st.URL(), func(c *store.Config) { c.RetryFor = 20 * time.Millisecond })
						after := c.after
						if kind.name == aStream.name && c.op == "HeadObject" {
							after-- // nothing is looked for ahead
						}
						st.Fault(s3test.Fault{Op: c.op, After: after, Do: do, Hook: func() {
							st.Fault(s3test.Fault{Op: what, Times: -1, Do: s3test.Status, Status: http.StatusInternalServerError})
						}})
						r := st.upload(t, kind.of(t, data), "k", normalize(how))
						copied := i == len(calls)-1 || i == len(calls)-2 && what != "*" && do == s3test.LoseUnexecuted && how == upload.NormalizeSelf
						if want := kind.name != aStream.name && !copied; upload.KindOf(r.Err) != upload.Temporary || r.Resumable != want {
							t.Errorf("error %v of kind %d, resumable: %t, want kind %d, %t", r.Err, upload.KindOf(r.Err), r.Resumable, upload.Temporary, want)
						}
						st.ClearFaults()
						again := st.upload(t, kind.of(t, data), "k", normalize(how), staleAfter(0))
						st.check(t, again, "k", data)
						if r.Resumable && c.op != "CopyObject" && again.BytesSent > 0 {
							t.Errorf("%d bytes are sent again", again.BytesSent)
						}
						st.nothingLeft(t, "k")
						if keys := st.Objects(st.bucket); len(keys) != 1 {
							t.Errorf("objects %q", keys)
						}
					})
				}
			}
		}
	}
}
