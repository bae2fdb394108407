package upload_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

// octets is the content type that an upload of such a file gives it.
func octets(in *s3.CreateMultipartUploadInput) {
	typ := "application/octet-stream"
	in.ContentType = &typ
}

// What a run has left that died before its copy is the same to --if-changed, but
// for its ETag: it gets that, without a byte being sent. A store that does not
// give it leaves it unchanged.
func TestIfChangedAfterDeath(t *testing.T) {
	data := random(3*KiB+5, "died")
	for name, test := range map[string]struct {
		quirks s3test.Quirks
		change func(*run)
		n      upload.Normalized
		notes  []string
	}{
		"a copy onto itself": {n: upload.SelfCopy},
		"staged":             {change: normalize(upload.NormalizeStaged), n: upload.StagedCopy},
		"with a version":     {quirks: s3test.Quirks{Versioned: true}, change: func(r *run) { r.PruneVersion = true }, n: upload.SelfCopy},
		"kept":               {quirks: s3test.Quirks{SelfCopyKeepsETag: true}, n: upload.Kept, notes: []string{"keeps the composite ETag"}},
		"refused":            {quirks: s3test.Quirks{CopyRefused: 501}, n: upload.Refused, notes: []string{"was refused"}},
		"not to be deleted":  {quirks: s3test.Quirks{Deny: []string{"s3:DeleteObject"}}, change: normalize(upload.NormalizeStaged)},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStand(t, s3test.Options{Quirks: test.quirks})
			st.completed(t, "k", data, KiB, octets)
			changes := []func(*run){ifChanged}
			if test.change != nil {
				changes = append(changes, test.change)
			}
			r := st.upload(t, file(t, data), "k", changes...)
			if name == "not to be deleted" {
				if upload.KindOf(r.Err) != upload.Access {
					t.Errorf("error %v of kind %d, want %d", r.Err, upload.KindOf(r.Err), upload.Access)
				}
				return
			}
			status := upload.Uploaded
			if len(test.notes) > 0 {
				status = upload.Unchanged
			}
			if r.Err != nil || r.Status != status || r.Normalized != test.n || r.BytesSent != 0 || r.PartsResumed != 4 {
				t.Errorf("%s, normalized %s, error %v, %d bytes sent, %d parts resumed; want %s, %s",
					r.Status, r.Normalized, r.Err, r.BytesSent, r.PartsResumed, status, test.n)
			}
			notes(t, r, test.notes...)
			o := st.object(t, "k")
			if o.etag != r.ETag || !bytes.Equal(o.body, data) || status == upload.Uploaded && o.etag != md5Hex(data) {
				t.Errorf("the object has the ETag %s, the result says %s", o.etag, r.ETag)
			}
			if r = st.upload(t, file(t, data), "k", changes...); r.Err != nil || r.Status != upload.Unchanged {
				t.Errorf("once more: %s, %v", r.Status, r.Err)
			}
			if vs := st.Versions(st.bucket, "k"); len(vs) != 1 {
				t.Errorf("versions %v", vs)
			}
		})
	}
}

// A run with --if-changed that ends after Complete says which command goes on,
// and that does.
func TestIfChangedGoesOn(t *testing.T) {
	st := newStand(t, s3test.Options{})
	data := random(3*KiB+5, "goes on")
	ctx, cancel := context.WithCancel(t.Context())
	st.Fault(s3test.Fault{Op: "CopyObject", Do: s3test.Stall, Hook: cancel})
	r := st.upload(t, file(t, data), "k", ifChanged, with(ctx))
	if upload.KindOf(r.Err) != upload.Interrupted || !r.Resumable {
		t.Fatalf("error %v of kind %d, resumable: %t", r.Err, upload.KindOf(r.Err), r.Resumable)
	}
	st.ends(t, st.upload(t, file(t, data), "k", ifChanged), "k", data, upload.SelfCopy)

	// With --no-clobber, the same command does not.
	ctx, cancel = context.WithCancel(t.Context())
	st.Fault(s3test.Fault{Op: "CopyObject", Do: s3test.Stall, Hook: cancel})
	r = st.upload(t, file(t, data), "free", noClobber, with(ctx))
	if upload.KindOf(r.Err) != upload.Interrupted || r.Resumable || !r.InTheWay {
		t.Errorf("error %v of kind %d, resumable: %t, in the way: %t", r.Err, upload.KindOf(r.Err), r.Resumable, r.InTheWay)
	}
}

// The file is the same, until it changes while it is compared.
func TestIfChangedFileChanges(t *testing.T) {
	st := newStand(t, s3test.Options{})
	data := random(3*KiB+5, "changes")
	for name, put := range map[string]func(){
		"in one piece": func() { st.Put(st.bucket, "k", data) },
		"in parts":     func() { st.completed(t, "k", data, KiB, octets) },
	} {
		for _, change := range []func(*run){ifChanged, ifMatch("another")} {
			put()
			f := newMemoryFile(data)
			f.whenRead = func() { f.modified = f.modified.Add(1) }
			r := st.upload(t, f.source(t), "k", change, normalize(upload.NormalizeOff))
			if upload.KindOf(r.Err) != upload.SourceChanged || r.Err == nil {
				t.Errorf("%s: %s, error %v of kind %d, want %d", name, r.Status, r.Err, upload.KindOf(r.Err), upload.SourceChanged)
			}
		}
	}
}

// A command with --if-match that has done its work, and is given again because its
// end was not seen, says that all is there. It does not if properties are asked for
// that the object has not, or if somebody else's bytes are there.
func TestIfMatchAgain(t *testing.T) {
	old := []byte("old")
	for _, in := range in {
		for _, kind := range sources {
			t.Run(kind.name+" in "+in.name, func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{})
				st.Put(st.bucket, "k", old)
				data := random(in.size, "again")
				again := func(data []byte, changes ...func(*run)) *upload.Result {
					return st.upload(t, kind.of(t, data), "k", append(changes, ifMatch(md5Hex(old)))...)
				}
				ours := func(r *run) { r.CacheControl = "ours" }
				if r := again(data, ours); r.Err != nil {
					t.Fatal(r.Err)
				}
				before := st.Versions(st.bucket, "k")[0].LastModified
				r := again(data, ours)
				if kind.name == aStream.name && in.op != "PutObject" {
					st.unmet(t, r, nil, "the object is not the one with the ETag") // a stream of parts is not held
					return
				}
				if r.Err != nil || r.Status != upload.Unchanged || r.Found != nil || r.ETag != md5Hex(data) || r.MD5 != md5Hex(data) {
					t.Errorf("%s, %v, found %+v, ETag %s", r.Status, r.Err, r.Found, r.ETag)
				}
				sentNothing(t, r)
				notes(t, r)
				if now := st.Versions(st.bucket, "k")[0].LastModified; !now.Equal(before) {
					t.Error("the object was touched")
				}

				r = again(data)
				if upload.KindOf(r.Err) != upload.Unmet || !strings.Contains(r.Err.Error(), "has these very bytes already, but not") {
					t.Errorf("other properties: %s, %v", r.Status, r.Err)
				}
				sentNothing(t, r)
				for _, other := range [][]byte{random(in.size, "other"), data[1:]} {
					r = again(other, ours)
					st.unmet(t, r, nil, "the object is not the one with the ETag "+md5Hex(old))
					sentNothing(t, r)
				}
			})
		}
	}
	// It is in parts, and is to stay so; or its ETag tells nothing.
	data := random(3*KiB+5, "parts")
	st := newStand(t, s3test.Options{})
	st.completed(t, "k", data, KiB, octets)
	r := st.upload(t, file(t, data), "k", ifMatch(md5Hex(old)), normalize(upload.NormalizeOff))
	if r.Err != nil || r.Status != upload.Unchanged || r.ETag != composite(data, KiB) {
		t.Errorf("%s, %v, ETag %s", r.Status, r.Err, r.ETag)
	}
	st = newStand(t, s3test.Options{Quirks: s3test.Quirks{KMSByDefault: true}})
	st.put(t, "k", data)
	for _, kind := range sources {
		r = st.upload(t, kind.of(t, data), "k", ifMatch(md5Hex(old)))
		st.unmet(t, r, nil, "the object is not the one with the ETag")
		notes(t, r)
	}
}

// A conditional write of which nobody knows whether it was done is done, says the
// same command.
func TestIfMatchAfterLoss(t *testing.T) {
	old := []byte("old")
	for _, in := range in {
		st := newStand(t, s3test.Options{})
		st.Put(st.bucket, "k", old)
		data := random(in.size, "lost")
		ctx, cancel := context.WithCancel(t.Context())
		last := call{"HeadObject", 3}
		if in.op == "PutObject" {
			last = call{in.op, 0}
			st.Fault(s3test.Fault{Op: in.op, Do: s3test.Lose})
		}
		st.Fault(s3test.Fault{Op: last.op, After: last.after, Do: s3test.Stall, Hook: cancel})
		r := st.upload(t, file(t, data), "k", ifMatch(md5Hex(old)), with(ctx))
		if upload.KindOf(r.Err) != upload.Interrupted || !bytes.Equal(st.object(t, "k").body, data) {
			t.Fatalf("in %s: error %v of kind %d", in.name, r.Err, upload.KindOf(r.Err))
		}
		r = st.upload(t, file(t, data), "k", ifMatch(md5Hex(old)))
		if r.Err != nil || r.Status != upload.Unchanged || r.ETag != md5Hex(data) {
			t.Errorf("in %s: %s, %v", in.name, r.Status, r.Err)
		}
	}
}

// A run under a condition that finds all done clears what the one that did it could
// not: it was killed before its last request.
func TestDoneAndNotCleared(t *testing.T) {
	data := random(3*KiB+5, "done")
	for name, condition := range map[string]func(*run){
		"--if-changed": ifChanged, "--if-match": ifMatch("another"), "--no-clobber": func(r *run) { r.NoClobber = true },
	} {
		for how, change := range map[string]func(*run){
			"staged": normalize(upload.NormalizeStaged), "published": func(r *run) { r.Publish = upload.PublishStaged },
		} {
			st := newStand(t, s3test.Options{Quirks: s3test.Quirks{SelfCopyKeepsETag: true}})
			st.Fault(s3test.Fault{Op: "DeleteObject", After: 1, Times: -1, Do: s3test.Status, Status: 403, Code: "AccessDenied"})
			if r := st.upload(t, file(t, data), "k", change); r.Err != nil || len(st.Objects(st.bucket)) != 2 {
				t.Fatalf("%s, %s: %v, objects %q", name, how, r.Err, st.Objects(st.bucket))
			}
			st.ClearFaults()
			changes := []func(*run){condition, change, staleAfter(0)}
			if how == "published" {
				changes = append(changes, func(r *run) { r.CopyConditions = true })
			}
			source := file(t, data)
			if name == "--no-clobber" { // which is all the same to it
				source = upload.NewStream("stdin", bytes.NewReader(data))
			}
			r := st.upload(t, source, "k", changes...)
			if r.Err != nil || r.Status != upload.Unchanged && r.Status != upload.Skipped {
				t.Errorf("%s, %s: %s, %v", name, how, r.Status, r.Err)
			}
			if keys := st.Objects(st.bucket); len(keys) != 1 {
				t.Errorf("%s, %s: objects %q", name, how, keys)
			}
		}
	}
}
