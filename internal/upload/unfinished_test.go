package upload_test

import (
	"context"
	"maps"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

// Unfinished uploads that cannot be seen or ended are a matter for a note.
func TestUnfinishedUploadsOutOfReach(t *testing.T) {
	for name, test := range map[string]struct {
		quirks s3test.Quirks
		notes  []string
		left   int // of two
	}{
		"listing is not implemented":    {s3test.Quirks{ListUploadsRefused: 501}, []string{"cannot be listed (501 NotImplemented)"}, 2},
		"listing is forbidden":          {s3test.Quirks{ListUploadsRefused: 403}, []string{"cannot be listed (403 AccessDenied)"}, 2},
		"listing is not allowed":        {s3test.Quirks{ListUploadsRefused: 405}, []string{"cannot be listed (405 MethodNotAllowed)"}, 2},
		"listing is denied":             {s3test.Quirks{Deny: []string{"s3:ListBucketMultipartUploads"}}, []string{"cannot be listed (403 AccessDenied)"}, 2},
		"parts cannot be listed":        {s3test.Quirks{ListPartsRefused: 405}, nil, 0},
		"aborting is not allowed":       {s3test.Quirks{AbortRefused: 405}, []string{"could not be aborted: 405 MethodNotAllowed"}, 1},
		"aborting is denied":            {s3test.Quirks{Deny: []string{"s3:AbortMultipartUpload"}}, []string{"could not be aborted: 403 AccessDenied"}, 1},
		"aborts are needed three times": {s3test.Quirks{AbortsNeeded: 3}, nil, 0},
		"aborts are of no use":          {s3test.Quirks{AbortsNeeded: 100}, []string{"still has parts after having been aborted 5 times"}, 1},
		"a prefix finds one key alone":  {s3test.Quirks{ListUploadsExactKey: true}, nil, 0},
		"parts never end":               {s3test.Quirks{ListPartsStuck: true}, nil, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStand(t, s3test.Options{})
			data := random(4*KiB, "reach")
			st.begin(t, "k", data, KiB, 1, 2)
			st.begin(t, "k", random(4*KiB, "other"), KiB, 1)
			st.SetQuirks(func(q *s3test.Quirks) { *q = test.quirks })
			r := st.upload(t, file(t, data), "k", staleAfter(0))
			st.ends(t, r, "k", data, upload.SelfCopy)
			notes(t, r, test.notes...)
			left := st.unfinished(t, "k")
			if len(left) != test.left {
				t.Errorf("unfinished: %v, want %d", left, test.left)
			}
			if resumed := map[bool]int{true: 2, false: 0}[test.left < 2 && test.quirks.ListPartsRefused == 0]; r.PartsResumed != resumed {
				t.Errorf("%d parts resumed, want %d", r.PartsResumed, resumed)
			}
		})
	}
}

// A smallPages client lists two at a time.
type smallPages struct {
	upload.Client
	lists atomic.Int32
}

func (c *smallPages) ListMultipartUploads(ctx context.Context, in *s3.ListMultipartUploadsInput, o ...func(*s3.Options)) (*s3.ListMultipartUploadsOutput, error) {
	c.lists.Add(1)
	small := *in
	small.MaxUploads = aws.Int32(2)
	return c.Client.ListMultipartUploads(ctx, &small, o...)
}

func (c *smallPages) ListParts(ctx context.Context, in *s3.ListPartsInput, o ...func(*s3.Options)) (*s3.ListPartsOutput, error) {
	small := *in
	small.MaxParts = aws.Int32(2)
	return c.Client.ListParts(ctx, &small, o...)
}

func TestPages(t *testing.T) {
	for name, test := range map[string]struct {
		quirks  s3test.Quirks
		note    string
		aborted int // of four that do not fit; the fifth, last in the list, does
		resumed int // of five parts
		lists   int32
	}{
		"all pages":             {aborted: 4, resumed: 5, lists: 3},
		"pages without a next":  {quirks: s3test.Quirks{ListUploadsStuck: true}, note: "its listing does not go on", aborted: 2, lists: 1},
		"a marker is refused":   {quirks: s3test.Quirks{UploadIDMarkerFails: true}, note: "400 InvalidArgument", aborted: 2, lists: 2},
		"parts never end":       {quirks: s3test.Quirks{ListPartsStuck: true}, aborted: 4, resumed: 2, lists: 3},
		"pages are not what is": {quirks: s3test.Quirks{ListUploadsUnpaged: true}, aborted: 4, resumed: 5, lists: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStand(t, s3test.Options{})
			data := random(6*KiB, "pages")
			for range 4 {
				st.create(t, "k")
			}
			st.begin(t, "k", data, KiB, 1, 2, 3, 4, 5)
			st.SetQuirks(func(q *s3test.Quirks) { *q = test.quirks })
			client := &smallPages{Client: st.store.Client}
			st.engine = client
			r := st.upload(t, file(t, data), "k", staleAfter(0))
			st.ends(t, r, "k", data, upload.SelfCopy)
			if test.note == "" {
				notes(t, r)
			} else {
				notes(t, r, test.note)
			}
			if r.UploadsAborted != test.aborted || r.PartsResumed != test.resumed || client.lists.Load() != test.lists {
				t.Errorf("%d uploads aborted, %d parts resumed, %d lists, want %d, %d, %d",
					r.UploadsAborted, r.PartsResumed, client.lists.Load(), test.aborted, test.resumed, test.lists)
			}
		})
	}
}

// The age of an upload is that of its last sign of life, by the store's clock.
func TestStale(t *testing.T) {
	start := time.Date(2031, 5, 1, 12, 0, 0, 0, time.UTC)
	for name, test := range map[string]struct {
		quirks  s3test.Quirks
		begun   time.Duration // before now
		part    time.Duration // the same of its part; 0: it has none
		stale   time.Duration
		aborted bool
		note    string
	}{
		"13 hours without a part": {begun: 13 * time.Hour, stale: 12 * time.Hour, aborted: true},
		"11 hours":                {begun: 11 * time.Hour, stale: 12 * time.Hour, note: "which moved 11h0m0s ago, was left alone"},
		"exactly 12 hours":        {begun: 12 * time.Hour, stale: 12 * time.Hour, aborted: true},
		"a part of an hour ago":   {begun: 13 * time.Hour, part: time.Hour, stale: 12 * time.Hour, note: "which moved 1h0m0s ago"},
		"an old part":             {begun: 30 * time.Hour, part: 13 * time.Hour, stale: 12 * time.Hour, aborted: true},
		"at once":                 {begun: time.Second, part: time.Second, aborted: true},
		"from the future":         {begun: -time.Hour, stale: 12 * time.Hour, note: "which moved 0s ago"},
		"no date": {quirks: s3test.Quirks{InitiatedMissing: true}, begun: 13 * time.Hour, stale: 12 * time.Hour,
			note: "of an age that the store does not tell, was left alone"},
		"no date, at once": {quirks: s3test.Quirks{InitiatedMissing: true}, begun: 13 * time.Hour, aborted: true},
		"no date but an old part's": {quirks: s3test.Quirks{InitiatedMissing: true}, begun: 14 * time.Hour, part: 13 * time.Hour,
			stale: 12 * time.Hour, aborted: true},
		"a wrong date": {quirks: s3test.Quirks{InitiatedWrong: true}, begun: time.Hour, stale: 12 * time.Hour,
			note: "of an age that the store does not tell"},
		"a wrong date, a new part": {quirks: s3test.Quirks{InitiatedWrong: true}, begun: time.Hour, part: time.Minute, stale: 12 * time.Hour,
			note: "which moved 1m0s ago"},
		"parts that cannot be listed": {quirks: s3test.Quirks{ListPartsRefused: 405}, begun: 13 * time.Hour, part: time.Minute,
			stale: 12 * time.Hour, note: "of an age that the store does not tell"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var now atomic.Int64
			set := func(ago time.Duration) { now.Store(int64(-ago)) }
			st := newStand(t, s3test.Options{AnyDate: true, Now: func() time.Time { return start.Add(time.Duration(now.Load())) }})
			data := random(3*KiB, "stale")
			set(test.begun)
			id := st.create(t, "k")
			if test.part != 0 {
				set(test.part)
				st.sendPart(t, "k", id, 1, random(KiB, "other"))
			}
			set(0)
			st.SetQuirks(func(q *s3test.Quirks) { *q = test.quirks })
			r := st.upload(t, file(t, data), "k", staleAfter(test.stale))
			st.ends(t, r, "k", data, upload.SelfCopy)
			if test.note == "" {
				notes(t, r)
			} else {
				notes(t, r, test.note)
			}
			left := slices.Collect(maps.Keys(st.unfinished(t, "k")))
			if want := map[bool][]string{true: nil, false: {id}}[test.aborted]; !slices.Equal(left, want) {
				t.Errorf("unfinished: %v, want %v", left, want)
			}
			if r.UploadsAborted != map[bool]int{true: 1, false: 0}[test.aborted] {
				t.Errorf("%d uploads aborted", r.UploadsAborted)
			}
		})
	}
}

// Of several uploads that fit, the one with most bytes is gone on with.
func TestMostBytes(t *testing.T) {
	st := newStand(t, s3test.Options{})
	data := random(6*KiB+5, "most")
	few := st.begin(t, "k", data, KiB, 1)
	st.begin(t, "k", data, 2*KiB, 2, 3)
	st.begin(t, "k", random(7*KiB, "other"), KiB, 1, 2, 3, 4, 5)
	r := st.upload(t, file(t, data), "k")
	st.ends(t, r, "k", data, upload.SelfCopy)
	if r.PartsResumed != 2 || r.PartSize != 2*KiB || r.BytesSent != 2*KiB+5 {
		t.Errorf("%d parts of %d resumed, %d bytes sent", r.PartsResumed, r.PartSize, r.BytesSent)
	}
	notes(t, r, few, "another unfinished upload")
}

// An upload that is gone by the time it is looked at is nobody's concern.
func TestGoneMeanwhile(t *testing.T) {
	for name, quirks := range map[string]s3test.Quirks{
		"NoSuchUpload": {}, "an empty list": {GoneUploadListsEmpty: true}, "NoSuchKey": {GoneUploadNoSuchKey: true},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStand(t, s3test.Options{Quirks: quirks})
			data := random(3*KiB, "gone")
			st.begin(t, "k", data, KiB, 1)
			st.when("ListParts", 0, func() { st.abortAll(t, "k") })
			r := st.upload(t, file(t, data), "k", staleAfter(0))
			st.ends(t, r, "k", data, upload.SelfCopy)
			if r.PartsResumed != 0 {
				t.Errorf("%d parts resumed", r.PartsResumed)
			}
			notes(t, r)
			st.nothingLeft(t, "k")
		})
	}
}
