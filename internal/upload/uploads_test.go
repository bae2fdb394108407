package upload_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

func (st *stand) uploader(t testing.TB, limits upload.Limits) *upload.Uploader {
	t.Helper()
	client := upload.Client(st.store.Client)
	if st.engine != nil {
		client = st.engine
	}
	u, err := upload.New(client, upload.Options{Limits: limits})
	if err != nil {
		t.Fatal(err)
	}
	return u
}

func everyUpload(_, _ string) bool { return true }

// More uploads than one page has are listed in order, each looked at, and aborted.
func TestManyUnfinished(t *testing.T) {
	st := newStand(t, s3test.Options{Forget: true})
	const n = 1100
	for i := range n {
		st.Begin(st.bucket, fmt.Sprintf("p/%04d", i), time.Now(), 10, 20)
	}
	st.Begin(st.bucket, "other", time.Now(), 10)
	u := st.uploader(t, upload.Limits{})
	var keys []string
	var bytes int64
	var aborts errgroup.Group
	aborts.SetLimit(16)
	l, err := u.Unfinished(t.Context(), st.bucket, "p/", everyUpload, func(x *upload.Unfinished) error {
		keys = append(keys, x.Key)
		bytes += x.Bytes
		aborts.Go(func() error { return u.AbortUpload(t.Context(), x) })
		return nil
	})
	if err = errors.Join(err, aborts.Wait()); err != nil || l.Short != "" {
		t.Fatalf("%+v, %v", l, err)
	}
	if len(keys) != n || !slices.IsSorted(keys) || bytes != 30*n {
		t.Errorf("%d uploads of %d bytes, sorted: %v", len(keys), bytes, slices.IsSorted(keys))
	}
	if left := st.Uploads(st.bucket); len(left) != 1 || left[0].Key != "other" {
		t.Errorf("%d uploads are left", len(left))
	}
}

// Stores that list in odd ways are listed as far as they let one, and no farther.
func TestOddListings(t *testing.T) {
	hour := time.Now().Add(-time.Hour)
	for name, test := range map[string]struct {
		quirks s3test.Quirks
		prefix string
		seen   int // of four
		short  string
		idle   bool // can be told
		parts  bool // can be listed
		status int  // of the error
	}{
		"all pages":              {seen: 4, idle: true, parts: true},
		"no dates":               {quirks: s3test.Quirks{InitiatedMissing: true}, seen: 4, idle: true, parts: true},
		"wrong dates":            {quirks: s3test.Quirks{InitiatedWrong: true}, seen: 4, idle: true, parts: true},
		"pages without a next":   {quirks: s3test.Quirks{ListUploadsStuck: true}, seen: 2, short: "does not go on", idle: true, parts: true},
		"a marker is refused":    {quirks: s3test.Quirks{UploadIDMarkerFails: true}, seen: 4, idle: true, parts: true},
		"no pages":               {quirks: s3test.Quirks{ListUploadsUnpaged: true}, seen: 4, idle: true, parts: true},
		"parts never end":        {quirks: s3test.Quirks{ListPartsStuck: true}, seen: 4, idle: true, parts: true},
		"parts are not listed":   {quirks: s3test.Quirks{ListPartsRefused: 405}, seen: 4},
		"parts may not be seen":  {quirks: s3test.Quirks{Deny: []string{"s3:ListMultipartUploadParts"}}, seen: 4},
		"a prefix finds nothing": {quirks: s3test.Quirks{ListUploadsExactKey: true, Server: "MinIO"}, prefix: "k"},
		"a key finds its own":    {quirks: s3test.Quirks{ListUploadsExactKey: true}, prefix: "k/1", seen: 1, idle: true, parts: true},
		"not implemented":        {quirks: s3test.Quirks{ListUploadsRefused: 501}, status: http.StatusNotImplemented},
		"forbidden":              {quirks: s3test.Quirks{ListUploadsRefused: 403}, status: http.StatusForbidden},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStand(t, s3test.Options{Quirks: test.quirks})
			for i := range 4 {
				st.Begin(st.bucket, fmt.Sprintf("k/%d", i), hour, 10, 20, 30)
			}
			client := &smallPages{Client: st.store.Client}
			st.engine = client
			u := st.uploader(t, upload.Limits{})
			seen := 0
			l, err := u.Unfinished(t.Context(), st.bucket, test.prefix, everyUpload, func(x *upload.Unfinished) error {
				seen++
				if idle, known := x.Idle(); known != test.idle || known && (idle < 59*time.Minute || idle > 2*time.Hour) {
					t.Errorf("%s: idle for %v, known: %v", x.Key, idle, known)
				}
				if (x.Parts >= 0) != test.parts || test.parts && x.Parts < 2 {
					t.Errorf("%s: %d parts, %v", x.Key, x.Parts, x.Err)
				}
				return nil
			})
			if seen != test.seen || !strings.Contains(l.Short, test.short) || (l.Short == "") != (test.short == "") {
				t.Errorf("%d seen, %q; want %d, %q", seen, l.Short, test.seen, test.short)
			}
			if name == "a prefix finds nothing" && l.Server != "MinIO" {
				t.Errorf("the store is %q", l.Server)
			}
			if (err != nil) != (test.status != 0) {
				t.Errorf("error %v, want status %d", err, test.status)
			}
			if n := client.lists.Load(); n > 5 {
				t.Errorf("%d lists", n)
			}
		})
	}
}

// A store that refuses its marker within a key is asked for the rest by the key.
func TestTornKeys(t *testing.T) {
	st := newStand(t, s3test.Options{Quirks: s3test.Quirks{UploadIDMarkerFails: true}})
	want := map[string]bool{}
	for _, key := range []string{"a", "b", "b", "c", "ca", "d", "d"} {
		want[key+st.Begin(st.bucket, key, time.Now(), 1)] = true
	}
	st.engine = &smallPages{Client: st.store.Client}
	u := st.uploader(t, upload.Limits{})
	l, err := u.Unfinished(t.Context(), st.bucket, "", everyUpload, func(x *upload.Unfinished) error {
		if !want[x.Key+x.ID] {
			t.Errorf("%s comes twice, or is none", x.Key)
		}
		delete(want, x.Key+x.ID)
		return nil
	})
	if err != nil || l.Short != "" || len(want) > 0 {
		t.Errorf("%d are missing, %q, %v", len(want), l.Short, err)
	}
	st.Begin(st.bucket, "d", time.Now(), 1) // more than one page of a single key
	if l, err = u.Unfinished(t.Context(), st.bucket, "", everyUpload, func(*upload.Unfinished) error { return nil }); err != nil || l.Short == "" {
		t.Errorf("%q, %v", l.Short, err)
	}
}

// An end that a cancelled context or the one who is told brings about is an end at
// once.
func TestUnfinishedStops(t *testing.T) {
	st := newStand(t, s3test.Options{})
	for i := range 200 {
		st.Begin(st.bucket, fmt.Sprint(i), time.Now(), 1)
	}
	u := st.uploader(t, upload.Limits{})
	enough := errors.New("enough")
	for name, stop := range map[string]func(context.CancelFunc) error{
		"cancelled": func(cancel context.CancelFunc) error { cancel(); return nil },
		"told so":   func(context.CancelFunc) error { return enough },
		"both":      func(cancel context.CancelFunc) error { cancel(); return enough },
	} {
		ctx, cancel := context.WithCancel(t.Context())
		var mu sync.Mutex
		seen := 0
		_, err := u.Unfinished(ctx, st.bucket, "", everyUpload, func(*upload.Unfinished) error {
			mu.Lock()
			defer mu.Unlock()
			if seen++; seen == 3 {
				return stop(cancel)
			}
			return nil
		})
		if !errors.Is(err, context.Canceled) && !errors.Is(err, enough) || seen > 40 {
			t.Errorf("%s: %d seen, %v", name, seen, err)
		}
		cancel()
	}
}

// What an upload holds whose key XML cannot hold cannot be told on some stores; it
// is listed and aborted all the same.
func TestUnreadableParts(t *testing.T) {
	st := newStand(t, s3test.Options{})
	st.Begin(st.bucket, "a\x01b", time.Now(), 10)
	st.Fault(s3test.Fault{Op: "ListParts", Times: -1, Do: s3test.HTML200})
	u := st.uploader(t, upload.Limits{})
	seen := 0
	_, err := u.Unfinished(t.Context(), st.bucket, "", everyUpload, func(x *upload.Unfinished) error {
		seen++
		if x.Parts != -1 || x.Err == nil || st.Count("ListParts") != 3 {
			t.Errorf("%d parts after %d requests, %v", x.Parts, st.Count("ListParts"), x.Err)
		}
		return u.AbortUpload(t.Context(), x)
	})
	if left := st.Uploads(st.bucket); err != nil || seen != 1 || len(left) != 0 {
		t.Errorf("%d seen, %d left, %v", seen, len(left), err)
	}
}
