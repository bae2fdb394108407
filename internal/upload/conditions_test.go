package upload_test

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

func noClobber(r *run) { r.NoClobber = true }

func ifMatch(tag string) func(*run) { return func(r *run) { r.IfMatch = tag } }

// writes are the calls that change something.
var writes = []string{"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload", "CopyObject", "DeleteObject", "AbortMultipartUpload"}

// sentNothing makes sure that nothing was changed at the store.
func sentNothing(t testing.TB, r *upload.Result) {
	t.Helper()
	for _, op := range writes {
		if n := r.Requests[op]; n > 0 {
			t.Errorf("%d times %s", n, op)
		}
	}
	if r.BytesSent != 0 {
		t.Errorf("%d bytes sent", r.BytesSent)
	}
}

// unmet makes sure that a condition was said not to hold, and of which object.
func (st *stand) unmet(t testing.TB, r *upload.Result, theirs []byte, why string) {
	t.Helper()
	if upload.KindOf(r.Err) != upload.Unmet || r.Status != upload.Failed || r.Resumable {
		t.Fatalf("the upload ended as %s with %v of kind %d, resumable: %t; want kind %d", r.Status, r.Err, upload.KindOf(r.Err), r.Resumable, upload.Unmet)
	}
	if !strings.Contains(r.Err.Error(), why) {
		t.Errorf("error %q, want %q", r.Err, why)
	}
	st.nothingLeft(t, "k")
	if theirs == nil {
		return
	}
	if o := st.object(t, "k"); o == nil || !bytes.Equal(o.body, theirs) || o.cacheControl == "ours" {
		t.Error("their object was touched")
	}
	if r.Found == nil || r.Found.ETag != st.object(t, "k").etag || r.Found.Size != int64(len(theirs)) || r.Found.Modified.IsZero() {
		t.Errorf("found %+v", r.Found)
	}
}

// in is what each of these tests does with an object of one piece, and of parts.
var in = []struct {
	name string
	size int64
	op   string // that makes the object
}{{"one piece", 1000, "PutObject"}, {"parts", 3*KiB + 5, "CompleteMultipartUpload"}}

// An object that is there is not replaced, at whatever moment it came.
func TestNoClobber(t *testing.T) {
	for _, in := range in {
		for _, kind := range sources {
			t.Run(kind.name+" in "+in.name, func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{})
				data, theirs := random(in.size, "ours"), random(100, "theirs")
				n := upload.SinglePut
				if in.op != "PutObject" {
					n = upload.SelfCopy
				}
				send := func() *upload.Result {
					return st.upload(t, kind.of(t, data), "k", noClobber, func(r *run) { r.CacheControl = "ours" })
				}
				r := send()
				st.ends(t, r, "k", data, n)
				if got := st.header(in.op, "If-None-Match"); got != "*" {
					t.Errorf("If-None-Match: %q", got)
				}

				r = send()
				if r.Err != nil || r.Status != upload.Skipped || r.Found == nil || r.Found.ETag != md5Hex(data) || r.ETag != md5Hex(data) {
					t.Errorf("a taken key: %s, %v, found %+v", r.Status, r.Err, r.Found)
				}
				sentNothing(t, r)
				if in.op == "PutObject" || kind.name == aStream.name {
					notes(t, r)
				}

				key := "k"
				for _, moment := range []string{in.op, "UploadPart 2"} {
					if _, err := st.client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &st.bucket, Key: &key}); err != nil {
						t.Fatal(err)
					}
					if in.op == "PutObject" && moment != in.op {
						continue
					}
					st.when(moment, 0, func() { st.Put(st.bucket, "k", theirs) })
					st.unmet(t, send(), theirs, "there is an object by now, and it is not replaced: an object of 100 B, written 20")
				}
				// Nobody has won who wrote the same bytes later.
				if _, err := st.client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &st.bucket, Key: &key}); err != nil {
					t.Fatal(err)
				}
				st.when(in.op, 0, func() { st.Put(st.bucket, "k", data) })
				st.unmet(t, send(), data, "there is an object by now")
			})
		}
	}
}

// A store that ignores conditions has no say in whether a key is taken: it is
// looked at before, and again right before parts become the object.
func TestConditionsIgnored(t *testing.T) {
	theirs := random(100, "theirs")
	for _, kind := range sources {
		st := newStand(t, s3test.Options{Quirks: s3test.Quirks{PutIgnoresConditions: true, CompleteIgnoresConditions: true}})
		for _, in := range in {
			st.Put(st.bucket, "k", theirs)
			if r := st.upload(t, kind.of(t, random(in.size, "")), "k", noClobber); r.Status != upload.Skipped {
				t.Errorf("%s in %s: %s, %v", kind.name, in.name, r.Status, r.Err)
			}
			st.unmet(t, st.upload(t, kind.of(t, random(in.size, "")), "k", ifMatch("other")), theirs, "the object is not the one with the ETag other")
		}
		for _, change := range []func(*run){noClobber, ifMatch(md5Hex([]byte("old")))} {
			key := "k"
			if _, err := st.client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &st.bucket, Key: &key}); err != nil {
				t.Fatal(err)
			}
			r := &run{}
			if change(r); r.IfMatch != "" {
				st.Put(st.bucket, "k", []byte("old"))
			}
			st.ResetRequests()
			st.when("UploadPart 2", 0, func() { st.Put(st.bucket, "k", theirs) })
			st.unmet(t, st.upload(t, kind.of(t, random(3*KiB+5, "")), "k", change), theirs, "")
			st.ClearFaults()
		}
	}
}

// A write that was done and whose answer was lost is refused when it is made
// again, because of itself. It is ours all the same.
func TestConditionAfterLostAnswer(t *testing.T) {
	old := []byte("old")
	lose := func(op string) []s3test.Fault { return []s3test.Fault{{Op: op, Do: s3test.Lose}} }
	for _, in := range in {
		for _, kind := range sources {
			for name, faults := range map[string][]s3test.Fault{
				"lost":             lose(in.op),
				"cut":              {{Op: in.op, Do: s3test.Empty200}},
				"lost and refused": append(lose(in.op), s3test.Fault{Op: in.op, Do: s3test.Status, Code: "PreconditionFailed"}),
			} {
				for _, change := range []func(*run){noClobber, ifMatch(md5Hex(old))} {
					t.Run(kind.name+" in "+in.name+"/"+name, func(t *testing.T) {
						t.Parallel()
						st := newStand(t, s3test.Options{Quirks: s3test.Quirks{CompleteOnce: name == "lost"}})
						r := &run{}
						if change(r); r.IfMatch != "" {
							st.Put(st.bucket, "k", old)
						}
						for _, f := range faults {
							st.Fault(f)
						}
						data := random(in.size, "ours")
						res := st.upload(t, kind.of(t, data), "k", change)
						if res.Err != nil {
							t.Fatal(res.Err)
						}
						st.check(t, res, "k", data)
						if res.ETagKind != upload.ETagMD5 || res.Found != nil {
							t.Errorf("ETag of kind %s, found %+v", res.ETagKind, res.Found)
						}
						st.nothingLeft(t, "k")
					})
				}
			}
		}
	}
}

// A conditional write that meets another one is made again: PutObject as it is, an
// upload in parts from its beginning, and only while the condition holds.
func TestConditionalConflict(t *testing.T) {
	conflict := func(op string, times int, hook func()) s3test.Fault {
		return s3test.Fault{Op: op, Times: times, Do: s3test.Status, Status: 409, Code: "ConditionalRequestConflict", Hook: hook}
	}
	for _, in := range in {
		for _, kind := range sources {
			t.Run(kind.name+" in "+in.name, func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{})
				data, theirs := random(in.size, "ours"), random(100, "theirs")
				st.Fault(conflict(in.op, 2, nil))
				r := st.upload(t, kind.of(t, data), "k", noClobber)
				switch {
				case in.op == "PutObject":
					st.ends(t, r, "k", data, upload.SinglePut)
				case kind.name == aFile.name:
					st.ends(t, r, "k", data, upload.SelfCopy)
					notes(t, r, "at the same moment: starting anew", "at the same moment: starting anew")
					if n := st.Count("CreateMultipartUpload"); n != 3 {
						t.Errorf("%d uploads were begun, want 3", n)
					}
				default:
					if upload.KindOf(r.Err) != upload.Conflict || st.object(t, "k") != nil {
						t.Errorf("error %v of kind %d, want %d", r.Err, upload.KindOf(r.Err), upload.Conflict)
					}
				}
				st.nothingLeft(t, "k")

				st.ClearFaults()
				st.abortAll(t, "k")
				key := "k"
				if _, err := st.client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &st.bucket, Key: &key}); err != nil {
					t.Fatal(err)
				}
				st.Fault(conflict(in.op, 1, func() { st.Put(st.bucket, "k", theirs) }))
				st.unmet(t, st.upload(t, kind.of(t, data), "k", noClobber), theirs, "there is an object by now")
			})
		}
	}
	// It does not go on for ever.
	st := newStand(t, s3test.Options{})
	st.Fault(conflict("CompleteMultipartUpload", -1, nil))
	r := st.upload(t, file(t, random(3*KiB, "")), "k", noClobber)
	if upload.KindOf(r.Err) != upload.Conflict || st.Count("CreateMultipartUpload") != 4 {
		t.Errorf("error %v of kind %d after %d uploads", r.Err, upload.KindOf(r.Err), st.Count("CreateMultipartUpload"))
	}
	st.nothingLeft(t, "k")
}

// Who may not look relies on the store, and is told so.
func TestConditionsUnseen(t *testing.T) {
	for _, in := range in {
		for _, kind := range sources {
			st := newStand(t, s3test.Options{Quirks: s3test.Quirks{Deny: []string{"s3:GetObject"}}})
			r := st.upload(t, kind.of(t, random(in.size, "")), "k", noClobber)
			if r.Err != nil || !slices.ContainsFunc(r.Notes, func(n string) bool { return strings.Contains(n, "holds only if the store keeps it") }) {
				t.Errorf("%s in %s: error %v, notes %q", kind.name, in.name, r.Err, r.Notes)
			}
			r = st.upload(t, kind.of(t, random(in.size, "other")), "k", noClobber)
			st.unmet(t, r, nil, "what is there may not be looked at")
		}
	}
}

// A first try that was not stored as it was sent, or whose ETag means nothing, is
// replaced by the next one; and nothing else is.
func TestConditionsAndSecondTries(t *testing.T) {
	old, theirs := random(50, "old"), random(100, "theirs")
	for name, quirks := range map[string]s3test.Quirks{
		"corrupt": {}, "opaque": {OpaqueETags: true}, "unquoted": {PutIfMatchUnquoted: true},
	} {
		for _, change := range []func(*run){noClobber, ifMatch(md5Hex(old))} {
			for _, raced := range []bool{false, true} {
				if raced && !quirks.OpaqueETags {
					continue
				}
				st := newStand(t, s3test.Options{Quirks: quirks})
				r := &run{}
				if change(r); r.IfMatch != "" {
					if quirks.OpaqueETags {
						continue // of whatever ETag
					}
					st.Put(st.bucket, "k", old)
				}
				if !quirks.OpaqueETags {
					st.Fault(s3test.Fault{Op: "PutObject", Do: s3test.CorruptQuiet, After: map[bool]int{true: 1, false: 0}[quirks.PutIfMatchUnquoted && r.IfMatch != ""]})
				}
				if raced {
					st.when("PutObject", 1, func() { st.Put(st.bucket, "k", theirs) })
				}
				data := random(1000, "ours")
				res := st.upload(t, file(t, data), "k", change)
				if raced {
					st.unmet(t, res, theirs, "is not replaced")
					continue
				}
				if res.Err != nil {
					t.Errorf("%s: %v", name, res.Err)
					continue
				}
				st.check(t, res, "k", data)
			}
		}
	}
}

// Only the object of that ETag is replaced.
func TestIfMatch(t *testing.T) {
	old, theirs := random(50, "old"), random(100, "theirs")
	for _, in := range in {
		for _, kind := range sources {
			t.Run(kind.name+" in "+in.name, func(t *testing.T) {
				t.Parallel()
				data := random(in.size, "ours")
				n := upload.SinglePut
				if in.op != "PutObject" {
					n = upload.SelfCopy
				}
				begin := func(quirks s3test.Quirks) (*stand, func() *upload.Result) {
					st := newStand(t, s3test.Options{Quirks: quirks})
					st.Put(st.bucket, "k", old)
					return st, func() *upload.Result { return st.upload(t, kind.of(t, data), "k", ifMatch(md5Hex(old))) }
				}
				st, send := begin(s3test.Quirks{})
				r := send()
				st.ends(t, r, "k", data, n)
				if got, want := st.header(in.op, "If-Match"), fmt.Sprintf("%q", md5Hex(old)); got != want {
					t.Errorf("If-Match: %s, want %s", got, want)
				}
				st.Put(st.bucket, "k", theirs)
				r = send()
				st.unmet(t, r, theirs, "the object is not the one with the ETag "+md5Hex(old)+", and is not replaced: it is an object of 100 B")
				sentNothing(t, r)

				st, send = begin(s3test.Quirks{})
				st.when(in.op, 0, func() { st.Put(st.bucket, "k", theirs) })
				st.unmet(t, send(), theirs, "and is not replaced")

				st, send = begin(s3test.Quirks{})
				st.when(in.op, 0, func() {
					key := "k"
					st.client.DeleteObject(context.Background(), &s3.DeleteObjectInput{Bucket: &st.bucket, Key: &key})
				})
				st.unmet(t, send(), nil, "there is no object, and it was to be one with the ETag "+md5Hex(old))
				r = send()
				st.unmet(t, r, nil, "there is no object")
				sentNothing(t, r)

				// Ceph takes the ETag for another one where it has its quotes.
				st, send = begin(s3test.Quirks{PutIfMatchUnquoted: true})
				st.ends(t, send(), "k", data, n)
			})
		}
	}
	// What a run has left that died before its copy is what the condition let it
	// write: it is gone on with, unless it is something else.
	for name, data := range map[string][]byte{"its own": random(3*KiB+5, "died"), "another": random(3*KiB+5, "another")} {
		st := newStand(t, s3test.Options{})
		st.completed(t, "k", data, KiB, likeOurs)
		r := st.upload(t, file(t, random(3*KiB+5, "died")), "k", ifMatch(md5Hex(old)))
		if name == "another" {
			st.unmet(t, r, data, "and is not replaced")
			sentNothing(t, r)
			continue
		}
		st.ends(t, r, "k", data, upload.SelfCopy)
		if r.BytesSent != 0 {
			t.Errorf("%d bytes sent", r.BytesSent)
		}
	}
}

// A skipped object that may be of a run that died before its copy is told.
func TestNoClobberAfterDeath(t *testing.T) {
	st := newStand(t, s3test.Options{})
	data := random(3*KiB+5, "died")
	st.completed(t, "k", data, KiB)
	r := st.upload(t, file(t, data), "k", noClobber)
	if r.Err != nil || r.Status != upload.Skipped {
		t.Errorf("%s, %v", r.Status, r.Err)
	}
	notes(t, r, "the same command without the condition goes on with it")
}

// Conditions that contradict each other, or that no copy keeps, are refused.
func TestImpossibleConditions(t *testing.T) {
	st := newStand(t, s3test.Options{})
	for name, o := range map[string]upload.Options{
		"two":              {NoClobber: true, IfMatch: "x"},
		"two others":       {IfChanged: true, NoClobber: true},
		"staged":           {Publish: upload.PublishStaged, NoClobber: true},
		"staged, if match": {Publish: upload.PublishStaged, IfMatch: "x"},
		"staged twice":     {Publish: upload.PublishStaged, Normalize: upload.NormalizeStaged},
	} {
		if _, err := upload.New(st.store.Client, o); upload.KindOf(err) != upload.Usage {
			t.Errorf("%s: error %v of kind %d, want %d", name, err, upload.KindOf(err), upload.Usage)
		}
	}
}
