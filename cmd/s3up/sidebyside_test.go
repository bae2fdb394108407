package main

import (
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"testing"

	"s3up/internal/tree"
)

// What is in both has the same key, and comes once; each of the others comes alone.
func TestSideBySide(t *testing.T) {
	broken := errors.New("broken")
	for _, tt := range []struct{ files, objects, want string }{
		{"", "", ""},
		{"a b", "", "a- b-"},
		{"", "a b", "-a -b"},
		{"a b c", "a b c", "aa bb cc"},
		{"a c e", "b c d f", "a- -b cc -d e- -f"},
		{"b", "a b c", "-a bb -c"},
		{"a b", "a !", "aa broken"},
		{"a", "!", "broken"},
	} {
		files := func(yield func(tree.File) bool) {
			for _, key := range strings.Fields(tt.files) {
				if !yield(tree.File{Key: key}) {
					return
				}
			}
		}
		var objects iter.Seq2[*tree.Object, error] = func(yield func(*tree.Object, error) bool) {
			for _, key := range strings.Fields(tt.objects) {
				if key == "!" {
					yield(nil, broken)
					return
				}
				if !yield(&tree.Object{Key: key}, nil) {
					return
				}
			}
		}
		var got []string
		var kept []*tree.File
		err := sideBySide(files, objects, func(f *tree.File, o *tree.Object) bool {
			pair := "-"
			if o != nil {
				pair = o.Key
			}
			if f != nil {
				kept = append(kept, f)
				pair = f.Key + pair
			} else {
				pair = "-" + pair
			}
			got = append(got, pair)
			return true
		})
		if err != nil {
			got = append(got, fmt.Sprint(err))
		}
		if text := strings.Join(got, " "); text != tt.want {
			t.Errorf("%q and %q: got %q, want %q", tt.files, tt.objects, text, tt.want)
		}
		var names []string
		for _, f := range kept {
			names = append(names, f.Key)
		}
		if !slices.IsSorted(names) || err == nil && strings.Join(names, " ") != tt.files {
			t.Errorf("what was handed out changed afterwards: %v", names)
		}
	}
}

// A row is never told to be younger than its page is.
func TestAging(t *testing.T) {
	var a aging
	first := a.row()
	for range 2*rowsOfPage - 1 {
		if got := a.row(); !got.Equal(first) {
			t.Fatalf("row %d is as of %v, its page was fetched at %v", a.rows, got, first)
		}
	}
	for range 2 * rowsOfPage {
		a.row()
	}
	if got := a.row(); got.Equal(first) {
		t.Error("rows stay as old as the first")
	}
}
