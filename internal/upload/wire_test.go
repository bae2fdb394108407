package upload_test

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"

	"s3up/internal/s3test"
	"s3up/internal/store"
	"s3up/internal/upload"
)

// What the requests look like, over http and over https.
func TestWire(t *testing.T) {
	for _, https := range []bool{false, true} {
		t.Run(fmt.Sprintf("https=%t", https), func(t *testing.T) {
			server := s3test.New(t, s3test.Options{MinPartSize: KiB, TLS: https})
			t.Setenv("AWS_CA_BUNDLE", server.CAFile())
			t.Setenv("AWS_ACCESS_KEY_ID", server.AccessKey())
			t.Setenv("AWS_SECRET_ACCESS_KEY", server.SecretKey())
			server.CreateBucket("b")
			st := &stand{Server: server, client: server.Client(), store: openStore(t, server.URL()), bucket: "b", part: KiB}
			small, large := random(1000, "small"), random(3*KiB+5, "large")
			for _, kind := range sources {
				r := st.upload(t, kind.of(t, small), "small")
				st.ends(t, r, "small", small, upload.SinglePut)
				r = st.upload(t, kind.of(t, large), "large/"+kind.name)
				st.ends(t, r, "large/"+kind.name, large, upload.SelfCopy)
			}
			for _, rec := range server.Requests() {
				what := strings.TrimSpace(fmt.Sprintf("%s %d", rec.Op, rec.Part))
				for name := range rec.Header {
					for _, bad := range []string{"X-Amz-Checksum-", "X-Amz-Sdk-Checksum-", "X-Amz-Trailer", "X-Amz-Decoded-", "Expect", "Content-Encoding", "Transfer-Encoding"} {
						if strings.HasPrefix(name, bad) {
							t.Errorf("%s has the header %s: %s", what, name, rec.Header.Get(name))
						}
					}
				}
				if rec.Chunked || rec.Status/100 != 2 && rec.Op != "HeadObject" || rec.Proto != "HTTP/1.1" {
					t.Errorf("%s: chunked: %t, status %d, %s", what, rec.Chunked, rec.Status, rec.Proto)
				}
				header := func(name, want string) {
					t.Helper()
					if got := rec.Header.Get(name); got != want {
						t.Errorf("%s: %s is %q, want %q", what, name, got, want)
					}
				}
				switch rec.Op {
				case "PutObject", "UploadPart":
					body := small
					if rec.Op == "UploadPart" {
						body = partOf(large, KiB, rec.Part)
					}
					sum := md5.Sum(body)
					header("Content-Md5", base64.StdEncoding.EncodeToString(sum[:]))
					header("X-Amz-Content-Sha256", "UNSIGNED-PAYLOAD")
					if rec.Bytes != int64(len(body)) {
						t.Errorf("%s: %d bytes, want %d", what, rec.Bytes, len(body))
					}
				case "CompleteMultipartUpload":
					header("X-Amz-Mp-Object-Size", fmt.Sprint(len(large)))
				case "CopyObject":
					header("X-Amz-Copy-Source", "b/"+rec.Key)
					header("X-Amz-Copy-Source-If-Match", `"`+composite(large, KiB)+`"`)
					header("X-Amz-Metadata-Directive", "REPLACE")
				case "ListMultipartUploads":
					if prefix := rec.Query.Get("prefix"); !strings.HasPrefix(prefix, "large/") {
						t.Errorf("%s: prefix %q", what, prefix)
					}
				}
			}
		})
	}
}

// Both copies by way of a second key name what they copy by its ETag.
func TestWireStaged(t *testing.T) {
	st := newStand(t, s3test.Options{})
	data := random(3*KiB, "staged")
	st.ends(t, st.upload(t, file(t, data), "a+b", normalize(upload.NormalizeStaged)), "a+b", data, upload.StagedCopy)
	var got []string
	for _, rec := range st.Requests() {
		if rec.Op == "CopyObject" {
			source := rec.Header.Get("X-Amz-Copy-Source")
			if strings.Contains(source, "?") {
				t.Errorf("the source of the copy is %q", source)
			}
			got = append(got, rec.Header.Get("X-Amz-Copy-Source-If-Match"))
		}
	}
	if want := []string{`"` + composite(data, KiB) + `"`, `"` + md5Hex(data) + `"`}; fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("conditions %q, want %q", got, want)
	}
}

// The calls of the usual uploads, and no more.
func TestRequests(t *testing.T) {
	parts := map[string]int{"HeadObject": 3, "ListMultipartUploads": 1, "CreateMultipartUpload": 1, "UploadPart": 3,
		"CompleteMultipartUpload": 1, "CopyObject": 1}
	for name, test := range map[string]struct {
		size   int64
		change func(*run)
		quirks s3test.Quirks
		want   map[string]int
	}{
		"in one piece": {size: 2 * KiB, want: map[string]int{"PutObject": 1}},
		"in parts":     {size: 3 * KiB, want: parts},
		"without a copy": {size: 3 * KiB, change: normalize(upload.NormalizeOff), want: map[string]int{"HeadObject": 2, "ListMultipartUploads": 1,
			"CreateMultipartUpload": 1, "UploadPart": 3, "CompleteMultipartUpload": 1}},
		"the MD5 at once": {size: 3 * KiB, quirks: s3test.Quirks{PlainETag: true}, want: map[string]int{"HeadObject": 2, "ListMultipartUploads": 1,
			"CreateMultipartUpload": 1, "UploadPart": 3, "CompleteMultipartUpload": 1}},
		"staged": {size: 3 * KiB, change: normalize(upload.NormalizeStaged), want: map[string]int{"HeadObject": 5, "ListMultipartUploads": 1,
			"CreateMultipartUpload": 1, "UploadPart": 3, "CompleteMultipartUpload": 1, "CopyObject": 2, "DeleteObject": 2, "ListObjectsV2": 1}},
	} {
		for _, kind := range sources {
			st := newStand(t, s3test.Options{Quirks: test.quirks})
			change := test.change
			if change == nil {
				change = func(*run) {}
			}
			r := st.upload(t, kind.of(t, random(test.size, "requests")), "k", change)
			if r.Err != nil || fmt.Sprint(r.Requests) != fmt.Sprint(test.want) {
				t.Errorf("%s, a %s: error %v, requests %v, want %v", name, kind.name, r.Err, r.Requests, test.want)
			}
		}
	}
}

// A gate keeps requests waiting until as many have come as the round demands.
type gate struct {
	mu      sync.Mutex
	rounds  []int
	waiting []chan struct{}
}

func (g *gate) pass() {
	g.mu.Lock()
	if len(g.rounds) == 0 {
		g.mu.Unlock()
		return
	}
	open := make(chan struct{})
	g.waiting = append(g.waiting, open)
	if len(g.waiting) == g.rounds[0] {
		for _, w := range g.waiting {
			close(w)
		}
		g.rounds, g.waiting = g.rounds[1:], nil
	}
	g.mu.Unlock()
	<-open
}

// The number of parts in flight doubles from 4 to 16, and goes no further.
func TestPartsInFlight(t *testing.T) {
	for _, kind := range sources {
		st := newStand(t, s3test.Options{})
		g := gate{rounds: []int{4, 8, 16, 16}}
		st.Fault(s3test.Fault{Op: "UploadPart", Times: -1, Do: s3test.None, Hook: g.pass})
		data := random(50*KiB, "flight")
		r := st.upload(t, kind.of(t, data), "k", func(r *run) { r.MaxMemory = 64 * KiB })
		st.ends(t, r, "k", data, upload.SelfCopy)
		if peak := st.Peak("UploadPart"); peak != 16 {
			t.Errorf("%s: %d parts in flight, want 16", kind.name, peak)
		}
	}
}

// Of small objects, there are 16 to 64.
func TestObjectsInFlight(t *testing.T) {
	st := newStand(t, s3test.Options{})
	g := gate{rounds: []int{16, 32, 64}}
	st.Fault(s3test.Fault{Op: "PutObject", Times: -1, Do: s3test.None, Hook: g.pass})
	u, err := upload.New(st.store.Client, st.options())
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	for i := range 150 {
		data := random(10, fmt.Sprint(i))
		src := newMemoryFile(data).source(t)
		wg.Go(func() {
			if r := u.Upload(t.Context(), &upload.Job{Source: src, Bucket: st.bucket, Key: fmt.Sprint(i)}); r.Err != nil || r.ETag != md5Hex(data) {
				t.Errorf("%d: error %v, ETag %s", i, r.Err, r.ETag)
			}
		})
	}
	wg.Wait()
	if peak := st.Peak("PutObject"); peak != 64 {
		t.Errorf("%d objects in flight, want 64", peak)
	}
}

// When the store has enough, half as many requests are made.
func TestThrottled(t *testing.T) {
	var u *upload.Uploader
	st := newStand(t, s3test.Options{}, func(c *store.Config) { c.OnThrottle = func() { u.Throttled() } })
	type limit struct {
		n       int
		lowered bool
	}
	var limits []limit
	var mu sync.Mutex
	o := st.options()
	o.Limit = func(n int, lowered bool) {
		mu.Lock()
		defer mu.Unlock()
		limits = append(limits, limit{n, lowered})
	}
	u, err := upload.New(st.store.Client, o)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []int{8, 4, 2, 1, 1} {
		if got := u.Throttled(); got != want {
			t.Errorf("limit %d, want %d", got, want)
		}
	}
	data := random(6*KiB, "throttled")
	st.Fault(s3test.Fault{Op: "UploadPart", Times: 5, Do: s3test.SlowDown})
	r := u.Upload(context.Background(), &upload.Job{Source: file(t, data), Bucket: st.bucket, Key: "k"})
	st.ends(t, r, "k", data, upload.SelfCopy)
	if peak := st.Peak("UploadPart"); peak != 1 {
		t.Errorf("%d parts in flight, want one at a time", peak)
	}
	if want := []limit{{8, true}, {4, true}, {2, true}, {1, true}, {4, false}}; !slices.Equal(limits, want) {
		t.Errorf("the limits told are %v, want %v", limits, want)
	}
}
