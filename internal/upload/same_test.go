package upload_test

import (
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"s3up/internal/etag"
	"s3up/internal/s3test"
	"s3up/internal/upload"
)

// TestCompare compares a file with what a listing shows of an object, for each way
// in which an ETag can tell, or cannot.
func TestCompare(t *testing.T) {
	old := time.Now().Add(-time.Hour)
	type change = func(*run)
	parts := func(size int64) change { return func(r *run) { r.PartSize, r.Normalize = size, upload.NormalizeOff } }
	kms := func(r *run) { r.SSE = "aws:kms" }
	for name, c := range map[string]struct {
		size  int64
		there []change // how the object was stored
		other bool     // of other bytes
		since time.Time
		known bool // the MD5 of the file
		ahead bool // the store's clock, still
		want  upload.Comparison
		heads int
	}{
		"in one piece":                        {size: 1000, want: upload.Comparison{Same: true, By: upload.ByMD5, Kind: upload.ETagMD5}},
		"in one piece, and empty":             {size: 0, want: upload.Comparison{Same: true, By: upload.ByMD5, Kind: upload.ETagMD5}},
		"in one piece, known":                 {size: 1000, known: true, want: upload.Comparison{Same: true, By: upload.ByMD5, Kind: upload.ETagMD5}},
		"in one piece, large":                 {size: 5 * KiB, there: []change{func(r *run) { r.Threshold = 1 << 20 }}, want: upload.Comparison{Same: true, By: upload.ByMD5, Kind: upload.ETagMD5}},
		"others":                              {size: 1000, other: true, want: upload.Comparison{By: upload.ByMD5}, heads: 1},
		"others, known":                       {size: 1000, other: true, known: true, want: upload.Comparison{By: upload.ByMD5}, heads: 1},
		"others, and an older file":           {size: 1000, other: true, since: old, want: upload.Comparison{By: upload.ByMD5}, heads: 1},
		"in our parts":                        {size: 5000, there: []change{parts(KiB)}, want: upload.Comparison{Same: true, By: upload.ByParts, Kind: upload.ETagMultipart}},
		"in our parts, known":                 {size: 5000, there: []change{parts(KiB)}, known: true, want: upload.Comparison{Same: true, By: upload.ByParts, Kind: upload.ETagMultipart}},
		"in odd parts":                        {size: 5000, there: []change{parts(1111)}, want: upload.Comparison{Same: true, By: upload.ByParts, Kind: upload.ETagMultipart}, heads: 1},
		"in odd parts, others":                {size: 5000, there: []change{parts(1111)}, other: true, want: upload.Comparison{By: upload.ByParts}, heads: 2},
		"encrypted":                           {size: 1000, there: []change{kms}, since: old, want: upload.Comparison{Same: true, By: upload.ByTime, Kind: upload.ETagOpaque}, heads: 1},
		"encrypted, and written to":           {size: 1000, there: []change{kms}, since: time.Now().Add(2 * time.Hour), want: upload.Comparison{By: upload.ByTime}, heads: 1},
		"encrypted, by a clock that is ahead": {size: 1000, there: []change{kms}, since: old, ahead: true, want: upload.Comparison{By: upload.ByTime}, heads: 1},
		"encrypted, in parts":                 {size: 5000, there: []change{kms, parts(1111)}, since: old, want: upload.Comparison{Same: true, By: upload.ByTime, Kind: upload.ETagOpaque}, heads: 2},
		"encrypted, with a checksum":          {size: 1000, there: []change{kms, checksum(upload.SumCRC64NVME)}, want: upload.Comparison{Same: true, By: upload.ByChecksum, Kind: upload.ETagOpaque}, heads: 1},
		"encrypted, with another":             {size: 1000, there: []change{kms, checksum(upload.SumCRC64NVME)}, other: true, since: old, want: upload.Comparison{By: upload.ByChecksum}, heads: 1},
		"encrypted, with metadata":            {size: 1000, there: []change{kms, func(r *run) { r.StoreMD5 = true }}, known: true, want: upload.Comparison{Same: true, By: upload.ByMetadata, Kind: upload.ETagOpaque}, heads: 1},
		"encrypted, other metadata":           {size: 1000, there: []change{kms, func(r *run) { r.StoreMD5 = true }}, other: true, since: old, want: upload.Comparison{By: upload.ByMetadata}, heads: 1},
	} {
		t.Run(name, func(t *testing.T) {
			var ahead atomic.Int64 // the store's clock
			st := newStand(t, s3test.Options{AnyDate: true, Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
			body := random(c.size, name)
			path := filepath.Join(t.TempDir(), "f")
			if err := os.WriteFile(path, body, 0o600); err != nil {
				t.Fatal(err)
			}
			if !c.since.IsZero() {
				if err := os.Chtimes(path, c.since, c.since); err != nil {
					t.Fatal(err)
				}
			}
			sum := etag.Sum(body)
			if c.other {
				body = random(c.size, "other")
			}
			ahead.Store(int64(time.Hour)) // the object is younger than the file
			stored := st.upload(t, file(t, body), "k", c.there...)
			if !c.ahead {
				ahead.Store(0)
			}
			if stored.Err != nil {
				t.Fatal(stored.Err)
			}
			list, err := st.client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &st.bucket})
			if err != nil || len(list.Contents) != 1 {
				t.Fatal(err, list)
			}
			heads := st.Count("HeadObject")

			u, err := upload.New(st.store.Client, st.options())
			if err != nil {
				t.Fatal(err)
			}
			src, err := upload.Open(t.Context(), path)
			if err != nil {
				t.Fatal(err)
			}
			defer src.Close()
			var known *etag.MD5
			if c.known {
				known = &sum
			}
			row := list.Contents[0]
			got, err := u.Compare(t.Context(), &upload.Job{Source: src, Bucket: st.bucket, Key: "k"}, *row.Size, *row.ETag, known)
			if err != nil {
				t.Fatal(err)
			}
			if got.MD5 != "" && got.MD5 != sum.String() {
				t.Errorf("the MD5 is %s, want %s", got.MD5, sum)
			}
			got.MD5 = ""
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			if n := st.Count("HeadObject") - heads; n != c.heads {
				t.Errorf("the store was asked %d times, want %d", n, c.heads)
			}
		})
	}
}

// TestCompareMeanwhile has the object replaced after it was listed, and the file
// change while it is read: neither is the same.
func TestCompareMeanwhile(t *testing.T) {
	st := newStand(t, s3test.Options{})
	body := random(1000, "meanwhile")
	u, err := upload.New(st.store.Client, st.options())
	if err != nil {
		t.Fatal(err)
	}
	job := func(src *upload.Source) *upload.Job { return &upload.Job{Source: src, Bucket: st.bucket, Key: "k"} }
	st.upload(t, file(t, body), "k", func(r *run) { r.SSE = "aws:kms" })
	got, err := u.Compare(t.Context(), job(file(t, body)), 1000, "0123456789abcdef0123456789abcdef", nil)
	if err != nil || got.Same || got.By != upload.ByLook {
		t.Errorf("of a replaced object: %+v, %v", got, err)
	}
	path := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(path, body, 0o600); err != nil {
		t.Fatal(err)
	}
	src, err := upload.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer src.Close()
	if err := os.Truncate(path, 999); err != nil {
		t.Fatal(err)
	}
	got, err = u.Compare(t.Context(), job(src), 1000, etag.Sum(body).String(), nil)
	if err != nil || got.Same {
		t.Errorf("of a file that was cut: %+v, %v", got, err)
	}
}

// Where one object is encrypted so that no ETag is an MD5, the next are looked at
// before they are read; and not read where nothing tells of their bytes.
func TestCompareEncrypted(t *testing.T) {
	st := newStand(t, s3test.Options{Quirks: s3test.Quirks{KMSByDefault: true}})
	body := random(1000, "encrypted")
	st.upload(t, file(t, body), "k", checksum(upload.SumNone))
	o, _ := st.Server.Object(st.bucket, "k")
	u, err := upload.New(st.store.Client, st.options())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{md5Hex(body), ""} {
		got, err := u.Compare(t.Context(), &upload.Job{Source: file(t, body), Bucket: st.bucket, Key: "k"}, 1000, o.ETag, nil)
		if err != nil || got.By != upload.ByTime || got.MD5 != want {
			t.Errorf("%d: %+v, %v; want the MD5 %q", i, got, err, want)
		}
	}
}
