package upload_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

// newDirectory starts a server with a directory bucket.
func newDirectory(t testing.TB, q s3test.Quirks) *stand {
	t.Helper()
	st := newStand(t, s3test.Options{Quirks: q})
	st.bucket = "fast--use1-az4--x-s3"
	st.CreateBucket(st.bucket)
	return st
}

// Whatever goes to a directory bucket is proven by its CRC64NVME, and nothing is
// asked for that there is not: the server refuses that.
func TestDirectoryBucket(t *testing.T) {
	data := random(5*KiB+100, "directory")
	plainly := []string{"PutObject"}
	inParts := []string{"CompleteMultipartUpload", "CreateMultipartUpload", "ListMultipartUploads", "UploadPart"}
	for name, test := range map[string]struct {
		source func(testing.TB, []byte) *upload.Source
		size   int
		change func(*run)
		ops    []string // beside HeadObject
	}{
		"parts":            {source: file, size: len(data), ops: inParts},
		"parts on Amazon":  {source: file, size: len(data), change: all(amazon, func(r *run) { r.KeepsProperties = true }), ops: inParts},
		"one piece":        {source: file, size: 2 * KiB, ops: plainly},
		"no bytes":         {source: file, size: 0, ops: plainly},
		"a stream":         {source: stream, size: len(data), ops: inParts},
		"a short stream":   {source: stream, size: 100, ops: plainly},
		"KMS":              {source: file, size: len(data), change: kms, ops: inParts},
		"no overwriting":   {source: file, size: len(data), change: func(r *run) { r.NoClobber = true }, ops: inParts},
		"a self-copy":      {source: file, size: len(data), change: normalize(upload.NormalizeSelf), ops: inParts},
		"a staged copy":    {source: file, size: len(data), change: normalize(upload.NormalizeStaged), ops: inParts},
		"its class":        {source: file, size: len(data), change: func(r *run) { r.StorageClass = "EXPRESS_ONEZONE" }, ops: inParts},
		"a class of piece": {source: file, size: 100, change: func(r *run) { r.StorageClass = "EXPRESS_ONEZONE" }, ops: plainly},
	} {
		t.Run(name, func(t *testing.T) {
			st := newDirectory(t, s3test.Quirks{})
			key, data := "dir/file", data[:test.size]
			change := test.change
			if change == nil {
				change = func(*run) {}
			}
			r := st.upload(t, test.source(t, data), key, change)
			st.check(t, r, key, data)
			if r.ETagKind != upload.ETagOpaque || r.ChecksumAlgorithm != "CRC64NVME" || r.Checksum != crc64(data) {
				t.Errorf("got an ETag of kind %s, %s %s; want CRC64NVME %s", r.ETagKind, r.ChecksumAlgorithm, r.Checksum, crc64(data))
			}
			asked := maps.Clone(r.Requests)
			delete(asked, "HeadObject")
			if got := slices.Sorted(maps.Keys(asked)); !slices.Equal(got, test.ops) {
				t.Errorf("got the requests %v, want %v", got, test.ops)
			}
			notes(t, r)
		})
	}
}

// The parts of an upload that failed are known again by their checksums, among
// others of the same directory; those that differ are sent anew.
func TestDirectoryBucketResumes(t *testing.T) {
	st := newDirectory(t, s3test.Quirks{})
	data := random(5*KiB, "resumed")
	for i := range 5 {
		st.Begin(st.bucket, fmt.Sprintf("dir/file%d", i), time.Now())
		st.Begin(st.bucket, "other/file", time.Now())
	}
	st.Fault(s3test.Fault{Op: "UploadPart 4", Times: -1, Do: s3test.Refuse})
	r := st.upload(t, file(t, data), "dir/file", oneAtATime)
	if upload.KindOf(r.Err) != upload.Access || !r.Resumable {
		t.Fatalf("got %v, resumable %v", r.Err, r.Resumable)
	}
	st.ClearFaults()
	data[2*KiB] ^= 1 // in part 3
	r = st.upload(t, file(t, data), "dir/file")
	st.check(t, r, "dir/file", data)
	if r.PartsResumed != 2 || r.Checksum != crc64(data) {
		t.Errorf("got %d parts resumed, checksum %s; want 2, %s", r.PartsResumed, r.Checksum, crc64(data))
	}
	st.nothingLeft(t, "dir/file")
}

// What is damaged on its way is refused by its checksum, and sent again.
func TestDirectoryBucketDamage(t *testing.T) {
	for _, op := range []string{"UploadPart 2", "PutObject"} {
		st := newDirectory(t, s3test.Quirks{})
		data := random(4*KiB, "damaged")
		if op == "PutObject" {
			data = data[:KiB]
		}
		st.Fault(s3test.Fault{Op: op, Times: 1, Do: s3test.Corrupt})
		r := st.upload(t, file(t, data), "file")
		st.check(t, r, "file", data)
		if n := st.Count(op); n != 2 {
			t.Errorf("got %d of %s, want 2", n, op)
		}
	}
}

// What a directory bucket does not have is refused before anything is sent, also by
// a dry run.
func TestDirectoryBucketLacks(t *testing.T) {
	st := newDirectory(t, s3test.Quirks{})
	for flag, change := range map[string]func(*run){
		"--publish staged":           func(r *run) { r.Publish = upload.PublishStaged },
		"--checksum none":            checksum(upload.SumNone),
		"--checksum md5":             all(amazon, checksum(upload.SumMD5)),
		"--acl":                      func(r *run) { r.ACL = "private" },
		"--grant":                    func(r *run) { r.Grants.Read = []string{`id="1"`} },
		"--tagging":                  func(r *run) { r.Tags = map[string]string{"a": "b"} },
		"--object-lock-mode":         func(r *run) { r.LockMode, r.LockUntil = "GOVERNANCE", time.Now().AddDate(1, 0, 0) },
		"--legal-hold":               func(r *run) { r.LegalHold = true },
		"a key of your own":          func(r *run) { r.CustomerKey = make([]byte, 32) },
		"--sse aws:kms:dsse":         func(r *run) { r.SSE = "aws:kms:dsse" },
		"--website-redirect":         func(r *run) { r.WebsiteRedirect = "/x" },
		"--storage-class GLACIER_IR": func(r *run) { r.StorageClass = "GLACIER_IR" },
	} {
		r := st.upload(t, file(t, []byte("data")), "file", change)
		if err := r.Err; upload.KindOf(err) != upload.Usage || !strings.HasPrefix(err.Error(), flag) {
			t.Errorf("%s: got %v", flag, err)
		}
		dry := &run{Options: st.options()}
		change(dry)
		u, err := upload.New(nil, dry.Options)
		if err != nil {
			t.Fatal(err)
		}
		if r := u.DryRun(&upload.Job{Source: file(t, []byte("data")), Bucket: st.bucket, Key: "file", Properties: dry.Properties}); upload.KindOf(r.Err) != upload.Usage {
			t.Errorf("%s: a dry run got %v", flag, r.Err)
		}
	}
	if n := st.Count("*"); n > 0 {
		t.Errorf("%d requests were made", n)
	}
}

// Unfinished uploads are listed by what their keys begin with, though directory
// buckets list whole directories.
func TestDirectoryBucketUnfinished(t *testing.T) {
	st := newDirectory(t, s3test.Quirks{})
	for _, key := range []string{"a/b1", "a/b2", "a/c", "b"} {
		st.Begin(st.bucket, key, time.Now(), KiB)
	}
	for prefix, want := range map[string]int{"": 4, "a/": 3, "a/b": 2, "a": 3, "b": 1, "c": 0} {
		u, err := upload.New(st.store.Client, st.options())
		if err != nil {
			t.Fatal(err)
		}
		n := 0
		l, err := u.Unfinished(t.Context(), st.bucket, prefix, func(string, string) bool { return true },
			func(*upload.Unfinished) error { n++; return nil })
		if n != want || l.Short != "" || err != nil {
			t.Errorf("prefix %q: got %d uploads, want %d; short %q, error %v", prefix, n, want, l.Short, err)
		}
	}
}
