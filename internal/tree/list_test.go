package tree_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"s3up/internal/s3test"
	"s3up/internal/tree"
)

// small asks for pages of few keys.
type small struct {
	tree.Lister
	keys  int32
	pages int
}

func (s *small) ListObjectsV2(ctx context.Context, in *s3.ListObjectsV2Input, o ...func(*s3.Options)) (*s3.ListObjectsV2Output, error) {
	in.MaxKeys = &s.keys
	s.pages++
	return s.Lister.ListObjectsV2(ctx, in, o...)
}

// TestList lists keys of all kinds, in their order, on pages of any size.
func TestList(t *testing.T) {
	st := newStand(t, s3test.Options{})
	want := []string{"p/", "p/a b", "p/a%2Bb", "p/a+b", "p/a-b", "p/a/b", "p/a/c&<>\"'", "p/a0", "p/control\x01\x7f", "p/line\nbreak", "p/q?x=y#z", "p/\u00e9", "p/日本語"}
	for _, key := range want {
		st.put(t, key, key)
	}
	st.put(t, "o", "")
	st.put(t, "p", "")
	st.put(t, "p0", "")
	slices.Sort(want)
	for _, n := range []int32{1, 2, int32(len(want)), 1000} {
		client := &small{Lister: st.client, keys: n}
		var got []string
		for o, err := range tree.List(t.Context(), client, "b", "p/") {
			if err != nil {
				t.Fatal(err)
			}
			if o.Size != int64(len(o.Key)) || len(o.ETag) != 32 || o.Modified.IsZero() {
				t.Errorf("%+v", o)
			}
			got = append(got, o.Key)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Error(diff)
		}
		if pages := (len(want) + int(n) - 1) / int(n); client.pages != pages {
			t.Errorf("%d pages of %d keys, want %d", client.pages, n, pages)
		}
	}
	for range tree.List(t.Context(), st.client, "b", "p/") {
		break // what is under way ends
	}
	for _, err := range tree.List(t.Context(), st.client, "nobucket", "p/") {
		if err == nil || !strings.Contains(err.Error(), "NoSuchBucket") {
			t.Errorf("of no bucket: %v", err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, err := range tree.List(ctx, st.client, "b", "p/") {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("cancelled: %v", err)
		}
	}
}

// TestMangledKeys has a store that puts U+FFFD in the place of what XML cannot hold:
// such keys are known to be wrong, in no order, and neither compared nor deleted.
func TestMangledKeys(t *testing.T) {
	for name, c := range map[string]struct {
		q    s3test.Quirks
		want map[string]bool
	}{
		"encoded": {want: map[string]bool{"p/a\x01b": false, "p/ac": false, "p/z\uFFFDz": false, "p/\U0001F600": false, "p/\xFF": false}},
		"mangled": {s3test.Quirks{ListObjectsPlain: true, ListObjectsMangled: true}, map[string]bool{"p/a\uFFFDb": true, "p/ac": false, "p/z\uFFFDz": true, "p/\U0001F600": false, "p/\uFFFD": true}},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStand(t, s3test.Options{Quirks: c.q})
			for _, key := range []string{"p/a\x01b", "p/ac", "p/z\uFFFDz", "p/\U0001F600", "p/\xFF"} {
				st.put(t, key, "x")
			}
			st.write(t, "ac", "x")
			got := make(map[string]bool)
			for o, err := range tree.List(t.Context(), st.client, "b", "p/") {
				if err != nil {
					t.Fatal(err)
				}
				got[o.Key] = o.Mangled
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Error(diff)
			}
			comparer := st.comparer(t)
			decisions, err := decide(t, comparer)
			mangled := 0
			for key, is := range c.want {
				want := "delete"
				if is {
					want = ""
					mangled++
				}
				if key == "p/ac" {
					want = "keep etag"
				}
				if decisions[key] != want {
					t.Errorf("%q: %q, want %q", key, decisions[key], want)
				}
			}
			if err != nil || comparer.Mangled != mangled {
				t.Errorf("%d are mangled, want %d; %v", comparer.Mangled, mangled, err)
			}
		})
	}
}

// answers are pages that a store gives whatever it is asked for, the last of them
// for ever.
type answers struct {
	pages []*s3.ListObjectsV2Output
	asked int
}

func (a *answers) ListObjectsV2(context.Context, *s3.ListObjectsV2Input, ...func(*s3.Options)) (*s3.ListObjectsV2Output, error) {
	a.asked++
	return a.pages[min(a.asked, len(a.pages))-1], nil
}

func pageOf(token string, keys ...string) *s3.ListObjectsV2Output {
	out := &s3.ListObjectsV2Output{IsTruncated: aws.Bool(token != ""), NextContinuationToken: &token}
	if token == "none" {
		out.NextContinuationToken = nil
	}
	for _, key := range keys {
		out.Contents = append(out.Contents, types.Object{Key: &key, Size: aws.Int64(1)})
	}
	return out
}

// TestWrongListings has listings that cannot be right end with an error: what they
// lack or have too much of would be sent or deleted.
func TestWrongListings(t *testing.T) {
	encoded := func(keys ...string) *s3.ListObjectsV2Output {
		out := pageOf("", keys...)
		out.EncodingType = types.EncodingTypeUrl
		return out
	}
	for name, c := range map[string]struct {
		pages []*s3.ListObjectsV2Output
		why   string
	}{
		"out of order":             {[]*s3.ListObjectsV2Output{pageOf("", "p/b", "p/a")}, `the key "p/a" comes after "p/b"`},
		"twice":                    {[]*s3.ListObjectsV2Output{pageOf("", "p/b", "p/b")}, `the key "p/b" comes after "p/b"`},
		"out of order over pages":  {[]*s3.ListObjectsV2Output{pageOf("1", "p/b"), pageOf("", "p/a")}, "comes after"},
		"of another prefix":        {[]*s3.ListObjectsV2Output{pageOf("", "p/b", "q")}, `the key "q", which does not begin so`},
		"without a key":            {[]*s3.ListObjectsV2Output{{Contents: []types.Object{{}}}}, `the key "", which`},
		"of the same token":        {[]*s3.ListObjectsV2Output{pageOf("1", "p/b"), pageOf("1", "p/c")}, "it goes on, and does not"},
		"of other pages, the same": {[]*s3.ListObjectsV2Output{pageOf("1", "p/b"), pageOf("2", "p/b")}, "comes after"},
		"without a token":          {[]*s3.ListObjectsV2Output{pageOf("none", "p/b")}, "it goes on, and does not"},
		"of nothing":               {[]*s3.ListObjectsV2Output{pageOf("1"), pageOf("2"), pageOf("2")}, "it goes on, and does not"},
		"badly encoded":            {[]*s3.ListObjectsV2Output{encoded("p/100%")}, "is not encoded as it says"},
		"of less than nothing":     {[]*s3.ListObjectsV2Output{{Contents: []types.Object{{Key: aws.String("p/a"), Size: aws.Int64(-1)}}}}, "less than no bytes"},
	} {
		t.Run(name, func(t *testing.T) {
			client := &answers{pages: c.pages}
			var last error
			rows := 0
			for o, err := range tree.List(t.Context(), client, "b", "p/") {
				if last = err; o != nil {
					rows++
				}
			}
			right := 0 // on the pages before the one that is wrong
			for _, page := range c.pages[:len(c.pages)-1] {
				right += len(page.Contents)
			}
			if rows != right {
				t.Errorf("%d rows are handed out, want %d: none of a page that is wrong", rows, right)
			}
			if last == nil || !strings.Contains(last.Error(), c.why) {
				t.Errorf("got %v, want %q", last, c.why)
			}
		})
	}
	// Pages without end that all have another token, and nothing on them.
	client := &endless{}
	var last error
	for _, err := range tree.List(t.Context(), client, "b", "p/") {
		last = err
	}
	if last == nil || client.asked > 200 {
		t.Errorf("%d pages, %v", client.asked, last)
	}
}

type endless struct{ asked int }

func (e *endless) ListObjectsV2(context.Context, *s3.ListObjectsV2Input, ...func(*s3.Options)) (*s3.ListObjectsV2Output, error) {
	e.asked++
	return pageOf(fmt.Sprint(e.asked)), nil
}
