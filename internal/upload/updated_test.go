package upload_test

import (
	"fmt"
	"testing"
	"time"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

// carriesMuch puts an object that carries what no copy brings along by itself.
func (st *stand) carriesMuch(key string, data []byte) {
	st.Put(st.bucket, key, data, func(o *s3test.Object) {
		o.ContentType, o.StorageClass, o.Tags = "application/octet-stream", "STANDARD_IA", map[string]string{"scanned": "yes"}
		o.LastModified = time.Now().Add(-24 * time.Hour)
	})
}

// What an object carries stays when others of its properties are set: its class and
// its tags. An ACL does not, and that is told, as is what the replacement costs.
func TestIfChangedKeepsTheRest(t *testing.T) {
	data := random(1000, "rest")
	for name, p := range properties {
		if p.opaque || p.locks || name == "StorageClass" || name == "Tags" {
			continue
		}
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStand(t, s3test.Options{})
			st.carriesMuch("k", data)
			r := st.upload(t, file(t, data), "k", ifChanged, func(r *run) { p.set(&r.Properties) })
			if r.Err != nil || r.Status != upload.Updated || r.Lacking {
				t.Fatalf("%s, %v, lacking %t", r.Status, r.Err, r.Lacking)
			}
			c := st.carried(t, "k", upload.Properties{})
			if p.read(c) != p.want || string(c.StorageClass) != "STANDARD_IA" || c.tags != "scanned=yes" {
				t.Errorf("it is %q, the class %s, the tags %s", p.read(c), c.StorageClass, c.tags)
			}
			notes(t, r, "of the class STANDARD_IA, and 1 day old: S3 bills it for 30 days")
		})
	}
	cache := func(r *run) { r.CacheControl = "ours" }
	for _, test := range []struct {
		deny []string
		note string
	}{
		{note: "gave something to others (READ AllUsers), and the copy did not keep it: --acl or --grant states it again"},
		{deny: []string{"s3:GetObjectAcl"}, note: "the object's ACL cannot be looked at (403 AccessDenied), and a copy does not keep it; that needs s3:GetObjectAcl"},
	} {
		st := newStand(t, s3test.Options{Quirks: s3test.Quirks{Deny: test.deny}})
		st.upload(t, file(t, data), "k", func(r *run) { r.ACL = "public-read" })
		r := st.upload(t, file(t, data), "k", ifChanged, cache)
		if r.Err != nil || r.Status != upload.Updated {
			t.Errorf("%s, %v", r.Status, r.Err)
		}
		notes(t, r, test.note)
	}
}

// A locked object is not copied onto itself, unless that is insisted on: it is
// uploaded anew.
func TestIfChangedLocked(t *testing.T) {
	cache := func(r *run) { r.CacheControl = "ours" }
	for name, test := range map[string]struct {
		mode   string // the bucket's default
		lock   func(*run)
		change func(*run)
		status upload.Status
		notes  []string
	}{
		"by default":          {mode: "GOVERNANCE", status: upload.Uploaded, notes: []string{"and is locked: it is uploaded"}},
		"by default, no copy": {mode: "GOVERNANCE", change: normalize(upload.NormalizeOff), status: upload.Uploaded, notes: []string{"and is locked: it is uploaded"}},
		"by hand": {lock: func(r *run) { r.LockMode, r.LockUntil, r.LegalHold = "GOVERNANCE", lockUntil, true }, status: upload.Uploaded,
			notes: []string{"and is locked: it is uploaded"}},
		"by hand, insisted": {lock: func(r *run) { r.LegalHold = true }, change: normalize(upload.NormalizeSelf), status: upload.Updated,
			notes: []string{"stays behind", "the lock of the object stays on that version: the one that is there now has none"}},
		"not": {status: upload.Updated, notes: []string{"stays behind"}},
	} {
		for _, size := range []int64{1000, 3 * KiB} {
			t.Run(fmt.Sprint(name, size), func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{})
				st.SetObjectLock(st.bucket, test.mode, 7)
				lock, change := test.lock, test.change
				if lock == nil {
					lock = func(*run) {}
				}
				if change == nil {
					change = func(*run) {}
				}
				data := random(size, name)
				st.upload(t, file(t, data), "k", lock)
				st.ResetRequests()
				r := st.upload(t, file(t, data), "k", ifChanged, cache, change)
				if r.Err != nil || r.Status != test.status || st.object(t, "k").cacheControl != "ours" {
					t.Fatalf("%s, %v, cache control %s", r.Status, r.Err, st.object(t, "k").cacheControl)
				}
				if size == 1000 {
					notes(t, r, test.notes...)
				}
				if copies := st.Count("CopyObject"); test.status == upload.Uploaded && test.mode != "" && copies > 0 {
					t.Errorf("%d copies", copies)
				}
			})
		}
	}
}

// What replaces an object of a class for rare access tells what that costs, also in
// one piece, where the key was looked at.
func TestEarlyDeletionInOnePiece(t *testing.T) {
	const note = "of the class STANDARD_IA, and 1 day old: S3 bills it for 30 days"
	for _, kind := range sources {
		for name, change := range map[string]func(*run){"if match": ifMatch(md5Hex([]byte("old"))), "if changed": ifChanged} {
			st := newStand(t, s3test.Options{})
			st.carriesMuch("k", []byte("old"))
			r := st.upload(t, kind.of(t, random(1000, name)), "k", change)
			if r.Err != nil {
				t.Error(r.Err)
			}
			notes(t, r, note)
		}
	}
}

// A store that does not set what the copy states is not said to have done so.
func TestIfChangedLacking(t *testing.T) {
	data := random(1000, "lacking")
	for note, quirks := range map[string]s3test.Quirks{
		`the storage class is "STANDARD", not "STANDARD_IA"`: {StorageClassIgnored: true},
		"does not know the storage class STANDARD_IA":        {StorageClassRefused: true},
	} {
		st := newStand(t, s3test.Options{Quirks: quirks})
		st.Put(st.bucket, "k", data, func(o *s3test.Object) { o.ContentType = "application/octet-stream" })
		r := st.upload(t, file(t, data), "k", ifChanged, func(r *run) { r.StorageClass = "STANDARD_IA" })
		if r.Err != nil || r.Status != upload.Updated || !r.Lacking {
			t.Errorf("%s, %v, lacking %t", r.Status, r.Err, r.Lacking)
		}
		notes(t, r, note)
	}
	// Tags that nobody asked for are to stay, and are no loss.
	st := newStand(t, s3test.Options{})
	st.Put(st.bucket, "k", data, func(o *s3test.Object) { o.Tags = map[string]string{"scanned": "yes"} })
	r := st.upload(t, file(t, data), "k", ifChanged, func(r *run) { r.CacheControl = "ours" })
	if r.Err != nil || r.Status != upload.Updated || r.Lacking {
		t.Errorf("%s, %v, lacking %t", r.Status, r.Err, r.Lacking)
	}
	notes(t, r)
}

// A checksum that was asked for is set by a copy where the store computes it, and
// what it shows is compared; else a note says that there is none.
func TestIfChangedChecksum(t *testing.T) {
	for name, test := range map[string]struct {
		amazon bool
		sum    upload.Checksum
		status upload.Status
		shows  string
		notes  []string
	}{
		"MD5":               {amazon: true, sum: upload.SumMD5, status: upload.Updated, shows: "MD5"},
		"CRC64NVME":         {amazon: true, sum: upload.SumCRC64NVME, status: upload.Updated, shows: "CRC64NVME"},
		"another store":     {sum: upload.SumCRC64NVME, status: upload.Unchanged, notes: []string{"the same command without --if-changed uploads it with one"}},
		"none wanted":       {amazon: true, sum: upload.SumNone, status: upload.Unchanged},
		"none of one's own": {amazon: true, sum: upload.SumAuto, status: upload.Unchanged},
	} {
		for _, size := range []int64{1000, 3 * KiB} {
			t.Run(fmt.Sprint(name, size), func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{})
				data := random(size, name)
				if r := st.upload(t, file(t, data), "k"); r.Err != nil {
					t.Fatal(r.Err)
				}
				asked := func(r *run) { r.ServerMD5, r.Checksum = test.amazon, test.sum }
				r := st.upload(t, file(t, data), "k", ifChanged, asked)
				if r.Err != nil || r.Status != test.status || r.ChecksumAlgorithm != test.shows || r.BytesSent != 0 {
					t.Errorf("%s, %v, checksum %s, %d bytes sent", r.Status, r.Err, r.ChecksumAlgorithm, r.BytesSent)
				}
				notes(t, r, test.notes...)
				r = st.upload(t, file(t, data), "k", ifChanged, asked)
				if r.Err != nil || r.Status != upload.Unchanged || r.ChecksumAlgorithm != test.shows {
					t.Errorf("once more: %s, %v, checksum %s", r.Status, r.Err, r.ChecksumAlgorithm)
				}
			})
		}
	}
}

// --prune-version deletes nothing that this run has not sent, and says so.
func TestIfChangedPrunesNothing(t *testing.T) {
	st := newStand(t, s3test.Options{Quirks: s3test.Quirks{Versioned: true}})
	data := random(3*KiB, "")
	st.completed(t, "k", data, KiB, likeOurs)
	r := st.upload(t, file(t, data), "k", ifChanged, func(r *run) { r.PruneVersion, r.CacheControl = true, "ours" })
	if r.Err != nil || r.Status != upload.Updated || len(st.Versions(st.bucket, "k")) != 2 {
		t.Errorf("%s, %v, %d versions", r.Status, r.Err, len(st.Versions(st.bucket, "k")))
	}
	notes(t, r, "--prune-version deletes only versions of parts that the same run has sent")
}
