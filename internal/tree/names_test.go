package tree

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A name that a folder lists twice is one entry.
func TestInOrder(t *testing.T) {
	got := ""
	for _, e := range inOrder([]entry{{name: "b"}, {name: "a/"}, {name: "b"}, {name: "a-b"}}) {
		got += e.name + " "
	}
	if diff := cmp.Diff("a-b a/ b ", got); diff != "" {
		t.Error(diff)
	}
}
