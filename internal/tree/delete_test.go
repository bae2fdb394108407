package tree_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"s3up/internal/s3test"
	"s3up/internal/tree"
	"s3up/internal/upload"
)

func TestKeys(t *testing.T) {
	var keys tree.Keys
	var want []string
	for i := range 1000 {
		want = append(want, fmt.Sprintf("p/dir-%d/file-%d é", i/100, i))
	}
	want = append(want, "", "a", "ab", "ab", strings.Repeat("x", 1024))
	slices.Sort(want)
	for _, key := range want {
		keys.Add(key)
	}
	if diff := cmp.Diff(want, slices.Collect(keys.All())); diff != "" || keys.Len() != len(want) {
		t.Error(diff)
	}
	for range keys.All() {
		break
	}
}

// deleteAll deletes objects and returns what came of them, and those that are left.
func (st *stand) deleteAll(t *testing.T, client tree.Deleter, keys ...string) (told map[string]string, left []string) {
	t.Helper()
	told = make(map[string]string)
	tree.DeleteAll(t.Context(), client, "b", slices.Values(keys), func(key string, err error) {
		if _, twice := told[key]; twice {
			t.Errorf("%q is told of twice", key)
		}
		told[key] = ""
		if err != nil {
			told[key] = err.Error()
		}
	})
	if len(told) != len(keys) {
		t.Errorf("%d of %d keys are told of", len(told), len(keys))
	}
	return told, st.Objects("b")
}

func TestDeleteAll(t *testing.T) {
	odd := []string{"p/a&b<c>\"'", "p/a b+c", "p/line\nbreak", "p/\x01", " p", "p ", "p/日本語", "p/\xff"}
	for name, c := range map[string]struct {
		o                s3test.Quirks
		together, single int
	}{
		"at once":          {together: 3, single: 5}, // of 2,000 and eight, five of which XML or those who read it may change
		"one by one":       {s3test.Quirks{DeleteObjectsRefused: 501}, 1, 2008},
		"one by one again": {s3test.Quirks{DeleteObjectsRefused: 405}, 1, 2008},
	} {
		t.Run(name, func(t *testing.T) {
			n := 2000
			if c.single > n {
				c.single, n = c.single-n+20, 20
			}
			st := newStand(t, s3test.Options{Quirks: c.o, Forget: true})
			keys := slices.Clone(odd)
			for i := range n {
				keys = append(keys, fmt.Sprintf("p/%d", i))
			}
			if n < 1000 {
				for _, key := range keys {
					st.put(t, key, "x")
				}
			}
			for _, key := range append(odd, "p/\uFFFD", "q") { // the first of these is what XML makes of "p/\xff"
				st.put(t, key, "x")
			}
			told, left := st.deleteAll(t, st.client, keys...)
			for key, why := range told {
				if why != "" {
					t.Errorf("%q: %s", key, why)
				}
			}
			if diff := cmp.Diff([]string{"p/\uFFFD", "q"}, left); diff != "" {
				t.Error(diff)
			}
			if a, b := st.Count("DeleteObjects"), st.Count("DeleteObject"); a != c.together || b != c.single {
				t.Errorf("%d requests of many and %d of one, want %d and %d", a, b, c.together, c.single)
			}
		})
	}
}

// forgetful leaves a key out of what the store says.
type forgetful struct{ *s3.Client }

func (f forgetful) DeleteObjects(ctx context.Context, in *s3.DeleteObjectsInput, o ...func(*s3.Options)) (*s3.DeleteObjectsOutput, error) {
	out, err := f.Client.DeleteObjects(ctx, in, o...)
	if err == nil {
		out.Deleted = out.Deleted[1:]
	}
	return out, err
}

// TestDeleteRefused tells of each key that is not deleted why.
func TestDeleteRefused(t *testing.T) {
	for name, c := range map[string]struct {
		q    s3test.Quirks
		f    *s3test.Fault
		b    string
		why  string
		kind upload.Kind
	}{
		"no permission":               {q: s3test.Quirks{Deny: []string{"s3:DeleteObject"}}, why: "AccessDenied", kind: upload.Access},
		"no permission, one by one":   {q: s3test.Quirks{Deny: []string{"s3:DeleteObject"}, DeleteObjectsRefused: 501}, why: "AccessDenied", kind: upload.Access},
		"an answer that is none":      {f: &s3test.Fault{Op: "DeleteObjects", Times: -1, Do: s3test.HTML200}, why: "DeleteResult", kind: upload.Temporary},
		"a store that is out of work": {f: &s3test.Fault{Op: "DeleteObjects", Times: -1, Do: s3test.Status, Status: 503}, why: "503", kind: upload.Temporary},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStand(t, s3test.Options{Quirks: c.q})
			st.put(t, "a", "a")
			st.put(t, "b", "b")
			if c.f != nil {
				st.Fault(*c.f)
			}
			var errs []error
			tree.DeleteAll(t.Context(), st.client, "b", slices.Values([]string{"a", "b"}), func(_ string, err error) { errs = append(errs, err) })
			for _, err := range errs {
				if err == nil || !strings.Contains(err.Error(), c.why) || upload.KindOf(err) != c.kind {
					t.Errorf("%v, of kind %v; want %q, of kind %v", err, upload.KindOf(err), c.why, c.kind)
				}
			}
			if len(errs) != 2 || len(st.Objects("b")) != 2 {
				t.Error(errs, st.Objects("b"))
			}
		})
	}
	st := newStand(t, s3test.Options{})
	st.put(t, "a", "a")
	told, _ := st.deleteAll(t, forgetful{st.client}, "a", "b")
	if !strings.Contains(told["a"], "does not say") || told["b"] != "" {
		t.Error(told)
	}
}
