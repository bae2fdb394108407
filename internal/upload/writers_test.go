package upload_test

import (
	"bytes"
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

// Somebody else stores another object under the key, at each moment after ours
// was completed. It stays as it is.
func TestAnotherObject(t *testing.T) {
	others := map[string]func(o *s3test.Object){
		"in one piece":   func(*s3test.Object) {},
		"in parts":       func(o *s3test.Object) { o.Parts = []int64{KiB, KiB, KiB, 5} },
		"in other parts": func(o *s3test.Object) { o.Parts = []int64{2 * KiB, KiB + 5} },
		"smaller":        func(*s3test.Object) {},
	}
	for _, suspended := range []bool{false, true} {
		for _, moment := range []call{{"HeadObject", 1}, {"CopyObject", 0}, {"HeadObject", 2}} {
			for name, change := range others {
				for _, kind := range sources {
					if (kind.name == "stream" || suspended) && name != "in parts" && name != "in other parts" {
						continue
					}
					t.Run(fmt.Sprintf("%s/%s/%s/suspended=%t", kind.name, moment, name, suspended), func(t *testing.T) {
						t.Parallel()
						st := newStand(t, s3test.Options{Quirks: s3test.Quirks{VersioningSuspended: suspended}})
						theirs := random(3*KiB+5, "theirs")
						if name == "smaller" {
							theirs = theirs[:10]
						}
						st.when(moment.op, moment.after, func() {
							st.Put(st.bucket, "k", theirs, change, func(o *s3test.Object) { o.CacheControl = "theirs" })
						})
						r := st.upload(t, kind.of(t, random(3*KiB+5, "ours")), "k", func(r *run) { r.CacheControl = "ours" })
						if upload.KindOf(r.Err) != upload.Conflict || r.Resumable {
							t.Errorf("error %v of kind %d, resumable: %t, want %d", r.Err, upload.KindOf(r.Err), r.Resumable, upload.Conflict)
						}
						if o := st.object(t, "k"); o == nil || !bytes.Equal(o.body, theirs) || o.cacheControl != "theirs" {
							t.Errorf("their object was touched")
						}
						st.nothingLeft(t, "k")
					})
				}
			}
		}
	}
}

// Where the copy is made for the store's own MD5 of what is encrypted, it does not
// touch another object either.
func TestAnotherObjectEncrypted(t *testing.T) {
	for _, moment := range []call{{"HeadObject", 1}, {"CopyObject", 0}, {"HeadObject", 2}} {
		st := newStand(t, s3test.Options{Quirks: s3test.Quirks{KMSByDefault: true}})
		theirs := random(3*KiB+5, "theirs")
		st.when(moment.op, moment.after, func() {
			st.Put(st.bucket, "k", theirs, func(o *s3test.Object) { o.Parts, o.CacheControl = []int64{KiB, KiB, KiB, 5}, "theirs" })
		})
		r := st.upload(t, file(t, random(3*KiB+5, "ours")), "k", func(r *run) { r.ServerMD5, r.CacheControl = true, "ours" })
		if upload.KindOf(r.Err) != upload.Conflict || r.Resumable {
			t.Errorf("before %s: error %v of kind %d, resumable: %t, want %d", moment, r.Err, upload.KindOf(r.Err), r.Resumable, upload.Conflict)
		}
		if o := st.object(t, "k"); o == nil || !bytes.Equal(o.body, theirs) || o.cacheControl != "theirs" {
			t.Errorf("before %s: their object was touched", moment)
		}
	}
}

// On a store that does not know CopySourceIfMatch, their object's properties
// become ours, but its bytes stay, and nobody is told that all is well.
func TestAnotherObjectUnconditionally(t *testing.T) {
	st := newStand(t, s3test.Options{Quirks: s3test.Quirks{CopyIgnoresConditions: true}})
	theirs := random(2*KiB+5, "theirs")
	st.when("CopyObject", 0, func() { st.Put(st.bucket, "k", theirs) })
	r := st.upload(t, file(t, random(3*KiB+5, "ours")), "k")
	if r.Err == nil {
		t.Error("no error")
	}
	if o := st.object(t, "k"); o == nil || !bytes.Equal(o.body, theirs) {
		t.Error("their object is gone")
	}
}

// Somebody else deletes the object.
func TestDeletedMeanwhile(t *testing.T) {
	for _, moment := range []call{{"HeadObject", 1}, {"CopyObject", 0}} {
		st := newStand(t, s3test.Options{})
		key := "k"
		st.when(moment.op, moment.after, func() {
			if _, err := st.client.DeleteObject(context.Background(), &s3.DeleteObjectInput{Bucket: &st.bucket, Key: &key}); err != nil {
				t.Error(err)
			}
		})
		r := st.upload(t, file(t, random(3*KiB, "ours")), key)
		if upload.KindOf(r.Err) != upload.Conflict {
			t.Errorf("before %s: error %v of kind %d, want %d", moment, r.Err, upload.KindOf(r.Err), upload.Conflict)
		}
		if st.object(t, key) != nil {
			t.Errorf("before %s: the object is back", moment)
		}
	}
}

// While a staged copy is made, somebody else stores another object.
func TestAnotherObjectWhileStaged(t *testing.T) {
	for _, moment := range []call{{"HeadObject", 1}, {"CopyObject", 0}, {"HeadObject", 2}, {"HeadObject", 3}, {"HeadObject", 4}} {
		t.Run(moment.String(), func(t *testing.T) {
			st := newStand(t, s3test.Options{})
			theirs := random(3*KiB+5, "theirs")
			st.when(moment.op, moment.after, func() { st.Put(st.bucket, "k", theirs) })
			r := st.upload(t, file(t, random(3*KiB+5, "ours")), "k", normalize(upload.NormalizeStaged))
			if upload.KindOf(r.Err) != upload.Conflict {
				t.Errorf("error %v of kind %d, want %d", r.Err, upload.KindOf(r.Err), upload.Conflict)
			}
			if o := st.object(t, "k"); o == nil || !bytes.Equal(o.body, theirs) {
				t.Error("their object was touched")
			}
			if keys := st.Objects(st.bucket); len(keys) != 1 {
				t.Errorf("objects %q", keys)
			}
		})
	}
}

// The copy back is not answered, or refused for now, and somebody else stores
// another object before it is made again.
func TestAnotherObjectBeforeTheCopyBackIsRepeated(t *testing.T) {
	for _, do := range []s3test.Action{s3test.Lose, s3test.SlowDown, s3test.LoseUnexecuted, s3test.Error200} {
		t.Run(do.String(), func(t *testing.T) {
			st := newStand(t, s3test.Options{})
			theirs := random(3*KiB+5, "theirs")
			st.Fault(s3test.Fault{Op: "CopyObject", After: 1, Do: do})
			st.when("HeadObject", 4, func() {
				if st.Count("CopyObject") != 2 {
					t.Errorf("they write after %d copies, want 2", st.Count("CopyObject"))
				}
				st.Put(st.bucket, "k", theirs)
			})
			r := st.upload(t, file(t, random(3*KiB+5, "ours")), "k", normalize(upload.NormalizeStaged))
			if upload.KindOf(r.Err) != upload.Conflict {
				t.Errorf("error %v of kind %d, want %d", r.Err, upload.KindOf(r.Err), upload.Conflict)
			}
			if o := st.object(t, "k"); o == nil || !bytes.Equal(o.body, theirs) {
				t.Error("their object was touched")
			}
			if keys := st.Objects(st.bucket); len(keys) != 1 {
				t.Errorf("objects %q", keys)
			}
		})
	}
}

// Another run clears the staged copy away before it is copied back: it is made
// again.
func TestStagedCopyIsCleared(t *testing.T) {
	for _, moment := range []call{{"HeadObject", 2}, {"HeadObject", 3}, {"CopyObject", 1}} {
		st := newStand(t, s3test.Options{Quirks: s3test.Quirks{SelfCopyKeepsETag: true}})
		st.when(moment.op, moment.after, func() {
			for _, key := range st.Objects(st.bucket) {
				if key != "k" {
					st.client.DeleteObject(context.Background(), &s3.DeleteObjectInput{Bucket: &st.bucket, Key: &key})
				}
			}
		})
		data := random(3*KiB+5, "cleared")
		r := st.upload(t, file(t, data), "k", normalize(upload.NormalizeStaged))
		st.ends(t, r, "k", data, upload.StagedCopy)
		if keys := st.Objects(st.bucket); len(keys) != 1 {
			t.Errorf("%v: objects %q", moment, keys)
		}
	}
}

// Two runs with the same bytes make staged copies at once, and one is wholly done
// between two requests of the other one. None copies back from what the other one
// copies to: MinIO would let each wait for the other. What a killed run left is
// cleared, however young.
func TestStagedTwins(t *testing.T) {
	data := random(3*KiB+5, "twins")
	for _, moment := range []call{{"CopyObject", 0}, {"HeadObject", 2}, {"HeadObject", 3}, {"CopyObject", 1}, {"DeleteObject", 1}} {
		t.Run(moment.String(), func(t *testing.T) {
			t.Parallel()
			st := newStand(t, s3test.Options{Quirks: s3test.Quirks{SelfCopyKeepsETag: true}})
			var other *upload.Result
			st.when(moment.op, moment.after, func() {
				other = st.upload(t, file(t, data), "k", normalize(upload.NormalizeStaged))
			})
			r := st.upload(t, file(t, data), "k", normalize(upload.NormalizeStaged))
			st.ends(t, r, "k", data, upload.StagedCopy)
			st.ends(t, other, "k", data, upload.StagedCopy)
			made := make(map[string]int)
			for _, rec := range st.Requests() {
				if rec.Op == "CopyObject" && rec.Key != "k" {
					made[rec.Key]++
				}
			}
			if len(made) != 2 {
				t.Errorf("copies to %v", made)
			}
			st.nothingLeft(t, "k")
			if keys := st.Objects(st.bucket); len(keys) != 1 {
				t.Errorf("objects %q", keys)
			}
		})
	}
}

// What a run that was killed left beside the key goes with the next one, however young:
// whether it may list what is there or not, and whether the copies are of use or not.
func TestStagedCopyOfAKilledRun(t *testing.T) {
	data := random(3*KiB+5, "killed")
	for _, test := range []struct {
		name   string
		quirks s3test.Quirks
		denied bool
		ends   upload.Normalized
	}{
		{"listed", s3test.Quirks{SelfCopyKeepsETag: true}, false, upload.StagedCopy},
		{"denied", s3test.Quirks{SelfCopyKeepsETag: true}, true, upload.StagedCopy},
		{"kept", s3test.Quirks{CopyKeepsETag: true}, false, upload.Kept},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			st := newStand(t, s3test.Options{Quirks: test.quirks})
			deny := func() {
				if test.denied {
					st.Fault(s3test.Fault{Op: "ListObjectsV2", Times: 100, Do: s3test.Status, Code: "AccessDenied"})
				}
			}
			deny()
			ctx, cancel := context.WithCancel(t.Context())
			st.Fault(s3test.Fault{Op: "CopyObject", After: 1, Do: s3test.Stall, Hook: cancel})
			st.Fault(s3test.Fault{Op: "DeleteObject", After: 1, Do: s3test.Stall, Times: 100})
			quick := func(r *run) { r.CleanupTimeout = 300 * time.Millisecond }
			st.upload(t, file(t, data), "k", normalize(upload.NormalizeStaged), with(ctx), quick)
			cancel()
			if keys := st.Objects(st.bucket); len(keys) != 2 {
				t.Fatalf("objects %q", keys)
			}
			st.ClearFaults()
			deny()
			r := st.upload(t, file(t, data), "k", normalize(upload.NormalizeStaged), func(r *run) { r.StaleAfter = time.Hour })
			st.ends(t, r, "k", data, test.ends)
			if keys := st.Objects(st.bucket); len(keys) != 1 {
				t.Errorf("objects %q", keys)
			}
		})
	}
}

// The staged copy of an object that was there already is deleted when the first attempts
// to do so fail, though the object is another one by then.
func TestStagedCopyIsDeletedInTheEnd(t *testing.T) {
	data := random(3*KiB+5, "in the end")
	st := newStand(t, s3test.Options{Quirks: s3test.Quirks{SelfCopyKeepsETag: true}})
	st.seed(t, "k", data, upload.Properties{})
	st.Fault(s3test.Fault{Op: "DeleteObject", After: 1, Times: 2, Do: s3test.SlowDown})
	r := st.normalize(t, upload.NormalizeJob{}, stagedCopies)
	if r.Err != nil || r.Status != upload.NowMD5 || len(r.Notes) > 0 {
		t.Errorf("%v, %s, notes %q", r.Err, r.Status, r.Notes)
	}
	if keys := st.Objects(st.bucket); len(keys) != 1 {
		t.Errorf("objects %q", keys)
	}
}

// Somebody else aborts the upload under way: a file is sent anew, once.
func TestAbortedByAnother(t *testing.T) {
	data := random(4*KiB, "aborted")
	for _, op := range []string{"UploadPart 3", "CompleteMultipartUpload"} {
		for _, kind := range sources {
			for times := 1; times <= 2; times++ {
				t.Run(fmt.Sprintf("%s/%s/%d", kind.name, op, times), func(t *testing.T) {
					t.Parallel()
					st := newStand(t, s3test.Options{})
					for range times {
						st.when(op, 0, func() { st.abortAll(t, "k") })
					}
					r := st.upload(t, kind.of(t, data), "k", oneAtATime)
					if times == 1 && kind.name == "file" {
						st.ends(t, r, "k", data, upload.SelfCopy)
						notes(t, r, "ended by somebody else: starting anew")
						return
					}
					if upload.KindOf(r.Err) != upload.Conflict {
						t.Errorf("error %v of kind %d, want %d", r.Err, upload.KindOf(r.Err), upload.Conflict)
					}
					if st.object(t, "k") != nil {
						t.Error("there is an object")
					}
					st.nothingLeft(t, "k")
				})
			}
		}
	}
}

// Somebody else aborts the upload while it is completed: a store that has dropped
// some of its parts already says that those are invalid (versitygw). The upload
// may be there still, with other parts than those.
func TestAbortedWhileCompleting(t *testing.T) {
	data := random(3*KiB+5, "completing")
	for name, meddle := range map[string]func(*stand){
		"gone": func(st *stand) { st.abortAll(t, "k") },
		"a part is another one": func(st *stand) {
			st.sendPart(t, "k", st.Uploads(st.bucket)[0].UploadID, 2, random(KiB, "theirs"))
		},
		"and the object is there": func(st *stand) {
			st.sendPart(t, "k", st.Uploads(st.bucket)[0].UploadID, 2, random(KiB, "theirs"))
			st.Put(st.bucket, "k", data, func(o *s3test.Object) { o.Parts = []int64{KiB, KiB, KiB, 5} })
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStand(t, s3test.Options{})
			st.Fault(s3test.Fault{Op: "CompleteMultipartUpload", Do: s3test.Status, Code: "InvalidPart", Hook: func() { meddle(st) }})
			r := st.upload(t, file(t, data), "k")
			st.ends(t, r, "k", data, upload.SelfCopy)
			if name != "and the object is there" {
				notes(t, r, "ended by somebody else: starting anew")
			}
			st.nothingLeft(t, "k")
		})
	}
}

// The store takes parts that were under way when somebody else aborted the
// upload, which is there again by that: whoever sent them aborts it once more.
func TestAbortedNotForGood(t *testing.T) {
	data := random(3*KiB+5, "again")
	for _, kind := range sources {
		t.Run(kind.name, func(t *testing.T) {
			t.Parallel()
			st := newStand(t, s3test.Options{})
			st.Fault(s3test.Fault{Op: "UploadPart 3", Times: 2, Do: s3test.Status, Code: "NoSuchUpload"})
			r := st.upload(t, kind.of(t, data), "k")
			if upload.KindOf(r.Err) != upload.Conflict {
				t.Errorf("error %v of kind %d, want %d", r.Err, upload.KindOf(r.Err), upload.Conflict)
			}
			st.nothingLeft(t, "k")
		})
	}
}

// An upload that is no more, and that the store lists all the same, is not gone on
// with.
func TestGoneAndListed(t *testing.T) {
	st := newStand(t, s3test.Options{})
	data := random(3*KiB+5, "listed")
	st.Fault(s3test.Fault{Op: "UploadPart 3", Do: s3test.Status, Code: "NoSuchUpload"})
	st.Fault(s3test.Fault{Op: "AbortMultipartUpload", Do: s3test.Status, Code: "NoSuchUpload", Times: -1})
	r := st.upload(t, file(t, data), "k", oneAtATime)
	st.ends(t, r, "k", data, upload.SelfCopy)
	notes(t, r, "ended by somebody else: starting anew")
	if n := st.Count("CreateMultipartUpload"); n != 2 || r.PartsResumed != 0 {
		t.Errorf("%d uploads were begun, %d parts resumed; want 2, 0", n, r.PartsResumed)
	}
}

// waitingFile is a file whose byte at an offset is waited for the first time that
// it is read.
type waitingFile struct {
	*memoryFile
	at      int64
	reached chan struct{} // closed when it is read
	release chan struct{} // it is waited for
	once    sync.Once
}

func (f *waitingFile) ReadAt(p []byte, offset int64) (int, error) {
	if offset == f.at {
		f.once.Do(func() {
			close(f.reached)
			<-f.release
		})
	}
	return f.memoryFile.ReadAt(p, offset)
}

// Somebody else aborts the upload while a part is half hashed: that half is not
// hashed twice when the upload is begun anew.
func TestAbortedWhileHashing(t *testing.T) {
	t.Parallel()
	const part = 768 * KiB // three blocks
	data := random(4*part+5, "hashing")
	f := &waitingFile{memoryFile: newMemoryFile(data), at: 2*part + part/3, reached: make(chan struct{}), release: make(chan struct{})}
	left := sync.OnceFunc(func() { close(f.release) })
	st := newStand(t, s3test.Options{Log: func(r s3test.Record) {
		if r.Op == "UploadPart" && r.Part == 2 {
			left() // its request was cancelled, and so was the hashing
		}
	}})
	second := make(chan struct{})
	st.Fault(s3test.Fault{Op: "UploadPart 2", Do: s3test.Block, Hold: make(chan struct{}), Hook: func() { close(second) }})
	st.when("UploadPart 1", 0, func() {
		<-f.reached
		<-second
		st.abortAll(t, "k")
	})
	src, err := upload.NewFile("waiting", f)
	if err != nil {
		t.Fatal(err)
	}
	r := st.upload(t, src, "k", func(r *run) { r.PartSize = part })
	st.check(t, r, "k", data)
	notes(t, r, "ended by somebody else: starting anew")
}

// completeTheirs completes the unfinished upload of the key with the parts it
// has, as a second run of the same command would.
func (st *stand) completeTheirs(t testing.TB, key string) {
	for _, u := range st.Uploads(st.bucket) {
		if u.Key != key {
			continue
		}
		var list []types.CompletedPart
		for _, p := range u.Parts {
			list = append(list, types.CompletedPart{PartNumber: aws.Int32(int32(p.Number)), ETag: aws.String(p.ETag)})
		}
		if _, err := st.client.CompleteMultipartUpload(context.Background(), &s3.CompleteMultipartUploadInput{Bucket: &st.bucket, Key: &key,
			UploadId: &u.UploadID, MultipartUpload: &types.CompletedMultipartUpload{Parts: list}}); err != nil {
			t.Error(err)
		}
	}
}

// Two runs go on with the same upload, and the other one completes it: the same
// bytes are there.
func TestCompletedByAnother(t *testing.T) {
	data := random(4*KiB, "completed")
	for name, quirks := range map[string]s3test.Quirks{
		"complete may be repeated":       {},
		"complete may not be repeated":   {CompleteOnce: true},
		"complete fails, once it is one": {CompleteOnce: true, GoneUploadIs500: true},
		"at once the MD5":                {CompleteOnce: true, PlainETag: true},
	} {
		for _, kind := range sources {
			t.Run(kind.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{Quirks: quirks})
				st.when("CompleteMultipartUpload", 0, func() { st.completeTheirs(t, "k") })
				r := st.upload(t, kind.of(t, data), "k")
				n := upload.SelfCopy
				if quirks.PlainETag {
					n = upload.Already
				}
				st.ends(t, r, "k", data, n)
				st.nothingLeft(t, "k")
			})
			t.Run(kind.name+"/"+name+"/before the last part is sent", func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{Quirks: quirks})
				st.when("UploadPart 4", 0, func() {
					id := st.Uploads(st.bucket)[0].UploadID
					st.sendPart(t, "k", id, 4, data[3*KiB:])
					st.completeTheirs(t, "k")
				})
				r := st.upload(t, kind.of(t, data), "k", oneAtATime)
				n := upload.SelfCopy
				if quirks.PlainETag {
					n = upload.Already
				}
				st.ends(t, r, "k", data, n)
				notes(t, r, "somebody else completed an upload of the same bytes meanwhile")
				st.nothingLeft(t, "k")
			})
		}
	}
}

// The other one completes the upload with other parts.
func TestCompletedOtherwise(t *testing.T) {
	for _, kind := range sources {
		st := newStand(t, s3test.Options{})
		data := random(4*KiB, "completed")
		st.when("UploadPart 4", 0, func() { st.completeTheirs(t, "k") })
		r := st.upload(t, kind.of(t, data), "k", oneAtATime)
		if kind.name == "file" {
			st.ends(t, r, "k", data, upload.SelfCopy)
			notes(t, r, "starting anew")
			continue
		}
		if upload.KindOf(r.Err) != upload.Conflict {
			t.Errorf("error %v of kind %d, want %d", r.Err, upload.KindOf(r.Err), upload.Conflict)
		}
		if o := st.object(t, "k"); o == nil || !bytes.Equal(o.body, data[:3*KiB]) {
			t.Error("their object was touched")
		}
	}
}

// An object of the same bytes that was there before is no proof that Complete
// succeeded.
func TestSameObjectBefore(t *testing.T) {
	for _, kind := range sources {
		st := newStand(t, s3test.Options{})
		data := random(4*KiB, "same")
		st.Put(st.bucket, "k", data, func(o *s3test.Object) { o.CacheControl = "old" })
		st.Fault(s3test.Fault{Op: "CompleteMultipartUpload", Do: s3test.EmptyNoop})
		r := st.upload(t, kind.of(t, data), "k", func(r *run) { r.CacheControl = "new" })
		st.ends(t, r, "k", data, upload.SelfCopy)
		if o := st.object(t, "k"); o.cacheControl != "new" {
			t.Errorf("%s: cache control %q", kind.name, o.cacheControl)
		}
		st.nothingLeft(t, "k")
	}
}

// Another upload of the same bytes is completed right after our copy, so that
// the ETag is composite again: it is copied once more.
func TestCompletedAfterTheCopy(t *testing.T) {
	t.Parallel()
	st := newStand(t, s3test.Options{})
	data := random(3*KiB+5, "")
	st.when("HeadObject", 2, func() {
		st.Put(st.bucket, "k", data, func(o *s3test.Object) { o.Parts = []int64{KiB, KiB, KiB, 5} })
	})
	r := st.upload(t, file(t, data), "k")
	st.ends(t, r, "k", data, upload.SelfCopy)
	if n := st.Count("CopyObject"); n != 2 {
		t.Errorf("%d copies, want 2", n)
	}
}
