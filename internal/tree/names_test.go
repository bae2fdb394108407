package tree

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// A list that is none, without an end of a name for long, says so in words of its own.
func TestListOfNoNames(t *testing.T) {
	names := Names{List: strings.NewReader(strings.Repeat("x", 2*maxName)), Base: t.TempDir()}
	var last error
	for f := range names.Files(t.Context()) {
		last = f.Err
	}
	if last == nil || !strings.Contains(last.Error(), "a name of more than 64 KiB") {
		t.Errorf("got %v", last)
	}
}

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
