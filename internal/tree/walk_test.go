package tree

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// makeTree makes files below a folder; a name that ends in a slash is a folder, and one
// with an arrow a link.
func makeTree(t *testing.T, names ...string) string {
	t.Helper()
	root := t.TempDir()
	for _, name := range names {
		path := filepath.Join(root, name)
		link, to, isLink := strings.Cut(name, " -> ")
		if err := os.MkdirAll(filepath.Dir(filepath.Join(root, link)), 0o777); err != nil {
			t.Fatal(err)
		}
		var err error
		switch {
		case isLink:
			err = os.Symlink(to, filepath.Join(root, link))
		case strings.HasSuffix(name, "/"):
			err = os.MkdirAll(path, 0o777)
		default:
			err = os.WriteFile(path, []byte(name), 0o666)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return root
}

// lines tell what a walk found, one line a file.
func lines(files iter.Seq[File]) []string {
	var all []string
	for f := range files {
		line := f.Key
		if f.Err != nil {
			line += ": " + f.Err.Error()
		}
		all = append(all, line)
	}
	return all
}

// A walk is in the order of keys, byte by byte, whatever the names are.
func TestOrder(t *testing.T) {
	root := makeTree(t, "a/x", "a-b", "a0", "a/", "a.txt", "a!/z", "b/c/d", "b/c-d", "b/c0/e", ".hidden/f", ".g", "Z", "é", "e", "empty/")
	want := []string{".g", ".hidden/f", "Z", "a!/z", "a-b", "a.txt", "a/x", "a0", "b/c-d", "b/c/d", "b/c0/e", "e", "é"}
	if d := cmp.Diff(want, lines(Walk(t.Context(), root, "", Options{}))); d != "" {
		t.Error(d)
	}
}

func TestOrderOfAnyTree(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	letters := []string{"a", "b", "-", "0", ".a", "!", "~", "é", " "}
	for round := range 12 {
		kinds := make(map[string]bool) // of the paths: true is a folder
		var names []string
		for range 30 {
			name := ""
			for depth := range 1 + random.IntN(4) {
				if depth > 0 {
					name += "/"
				}
				for range 1 + random.IntN(3) {
					name += letters[random.IntN(len(letters))]
				}
			}
			ok := true
			for i, c := range name {
				if isFolder, there := kinds[name[:i]]; c == '/' && there && !isFolder {
					ok = false
				}
			}
			if _, there := kinds[name]; there || !ok {
				continue
			}
			for i, c := range name {
				if c == '/' {
					kinds[name[:i]] = true
				}
			}
			kinds[name] = false
			names = append(names, name)
		}
		root := makeTree(t, names...)
		for i := range names {
			names[i] = "p/" + names[i]
		}
		slices.Sort(names)
		if d := cmp.Diff(names, lines(Walk(t.Context(), root, "p/", Options{}))); d != "" {
			t.Fatalf("round %d: %s", round, d)
		}
	}
}

// Links are followed unless that is not wanted; what leads back is told, and ends.
func TestLinks(t *testing.T) {
	other := makeTree(t, "shared/x")
	root := makeTree(t, "a/b/up -> ../..", "a/b/f", "file -> a/b/f", "dir -> a/b", "nowhere -> missing", "self -> self", "out -> "+filepath.Join(other, "shared"))
	var skipped []string
	o := Options{Skipped: func(s Skip) { skipped = append(skipped, strings.TrimPrefix(s.Path, root+"/")+" "+string(s.Why)) }}
	want := []string{"a/b/f", "dir/f", "file", "nowhere: the link leads nowhere", "out/x",
		"self: stat " + filepath.Join(root, "self") + ": " + syscall.ELOOP.Error()}
	if d := cmp.Diff(want, lines(Walk(t.Context(), root, "", o))); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"a/b/up loop", "dir/up loop"}, skipped); d != "" {
		t.Error(d)
	}
	skipped = nil
	o.NoFollow = true
	if d := cmp.Diff([]string{"a/b/f"}, lines(Walk(t.Context(), root, "", o))); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]string{"a/b/up link", "dir link", "file link", "nowhere link", "out link", "self link"}, skipped); d != "" {
		t.Error(d)
	}
	// What is named to be walked is walked, link or not.
	if d := cmp.Diff([]string{"p/f"}, lines(Walk(t.Context(), filepath.Join(root, "dir"), "p/", Options{NoFollow: true}))); d != "" {
		t.Error(d)
	}
}

// What makes no key, and what cannot be read, is told, and the rest is found.
func TestBadNames(t *testing.T) {
	long := strings.Repeat("l", 200)
	deep := strings.Join([]string{long, long, long, long, long}, "/")
	root := makeTree(t, "a", "b\xff", "c\xff/d", deep+"/e/f", deep+"/"+strings.Repeat("g", 40), "z")
	want := []string{"a", "b\xff: a key is UTF-8", "c\xff/: a key is UTF-8",
		deep + "/e/f", deep + "/" + strings.Repeat("g", 40) + ": a key has at most 1024 bytes", "z"}
	if d := cmp.Diff(want, lines(Walk(t.Context(), root, "", Options{}))); d != "" {
		t.Error(d)
	}
}

// What goes away or becomes something else under a walk is told.
func TestTreeThatChanges(t *testing.T) {
	root := makeTree(t, "a", "b/c", "d", "e", "f")
	var got []string
	for f := range Walk(t.Context(), root, "", Options{}) {
		if f.Rel == "a" {
			for _, err := range []error{
				os.RemoveAll(filepath.Join(root, "b")), os.Remove(filepath.Join(root, "d")),
				os.Remove(filepath.Join(root, "e")), os.Mkdir(filepath.Join(root, "e"), 0o777),
			} {
				if err != nil {
					t.Fatal(err)
				}
			}
		}
		got = append(got, fmt.Sprintf("%s %v %v", f.Key, errors.Is(f.Err, fs.ErrNotExist), errors.Is(f.Err, ErrReplaced)))
	}
	if d := cmp.Diff([]string{"a false false", "b/ true false", "d true false", "e false true", "f false false"}, got); d != "" {
		t.Error(d)
	}
}

func TestUnreadable(t *testing.T) {
	if os.Getuid() == 0 {
		t.Skip("root may read all")
	}
	root := makeTree(t, "a", "b/c", "d")
	if err := os.Chmod(filepath.Join(root, "b"), 0); err != nil {
		t.Fatal(err)
	}
	defer os.Chmod(filepath.Join(root, "b"), 0o777)
	got := lines(Walk(t.Context(), root, "", Options{}))
	want := []string{"a", "b/: read the folder: open " + filepath.Join(root, "b/") + ": permission denied", "d"}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	if got := lines(Walk(t.Context(), root, "", Options{Select: selection(t, nil, []string{"b/*"})})); len(got) != 2 {
		t.Errorf("excluded, and still read: %v", got)
	}
	if got := lines(Walk(t.Context(), filepath.Join(root, "missing"), "p/", Options{})); len(got) != 1 || !strings.HasPrefix(got[0], "p/: ") {
		t.Errorf("a folder that is not there: %v", got)
	}
}

func TestSpecial(t *testing.T) {
	root := makeTree(t, "a", "z")
	if err := syscall.Mkfifo(filepath.Join(root, "fifo"), 0o666); err != nil {
		t.Skip(err)
	}
	var skipped []Skip
	o := Options{Skipped: func(s Skip) { skipped = append(skipped, s) }}
	if d := cmp.Diff([]string{"a", "z"}, lines(Walk(t.Context(), root, "", o))); d != "" {
		t.Error(d)
	}
	if d := cmp.Diff([]Skip{{Path: filepath.Join(root, "fifo"), Why: SkippedSpecial, Mode: fs.ModeNamedPipe}}, skipped); d != "" {
		t.Error(d)
	}
}

// A walk ends when nobody wants more of it.
func TestWalkEnds(t *testing.T) {
	root := makeTree(t, "a/1", "a/2", "b/3")
	for range Walk(t.Context(), root, "", Options{}) {
		break
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	n := 0
	for range Walk(ctx, root, "", Options{}) {
		n++
		cancel()
	}
	if n != 1 {
		t.Errorf("%d files after the context had ended at the first", n)
	}
}

func TestMerge(t *testing.T) {
	a, b := makeTree(t, "1", "3", "x/5"), makeTree(t, "2", "3", "x-4", "y")
	var got []string
	for f := range Merge(Walk(t.Context(), a, "p/", Options{}), Walk(t.Context(), b, "p/", Options{})) {
		got = append(got, f.Key+" of "+filepath.Base(filepath.Dir(strings.TrimSuffix(f.Path, "/"+f.Rel)+"/")))
	}
	A, B := filepath.Base(a), filepath.Base(b)
	want := []string{"p/1 of " + A, "p/2 of " + B, "p/3 of " + A, "p/3 of " + B, "p/x-4 of " + B, "p/x/5 of " + A, "p/y of " + B}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
	for range Merge(Walk(t.Context(), a, "p/", Options{}), Walk(t.Context(), b, "p/", Options{})) {
		break
	}
}

func TestNames(t *testing.T) {
	root := makeTree(t, "a", "b/c", "b/d", "e\n", "link -> a")
	if err := syscall.Mkfifo(filepath.Join(root, "fifo"), 0o666); err != nil {
		t.Skip(err)
	}
	for _, tt := range []struct {
		name  string
		names Names
		list  string
		want  []string
	}{
		{"lines", Names{}, "b/c\n\n./a\r\nb/./d\nb//c\n" + root + "/a", []string{"p/b/c", "p/a", "p/b/d"}},
		{"zero", Names{Zero: true}, "e\n\x00a\x00\x00b/c", []string{"p/e\n", "p/a", "p/b/c"}},
		{"no files", Names{}, "../x\nb/../../x\n/etc/passwd\n" + root + "x/a\nb\nfifo\n.\nmissing\n", []string{
			"p/../x: " + ErrNotBelow.Error(), "p/b/../../x: " + ErrNotBelow.Error(), "p//etc/passwd: " + ErrNotBelow.Error(),
			"p/" + root + "x/a: " + ErrNotBelow.Error(), "p/b: is a directory", "p/fifo: is no regular file", "p/.: " + ErrNotBelow.Error(),
			"p/missing: stat " + root + "/missing: no such file or directory"}},
		{"folders", Names{Recurse: true}, "b\na\nb/d\n", []string{"p/b/c", "p/b/d", "p/a"}},
		{"the folder itself", Names{Recurse: true}, ".\n", []string{"p/a", "p/b/c", "p/b/d", "p/e\n", "p/link"}},
		{"links", Names{Options: Options{NoFollow: true}}, "link\na\n", []string{"p/a"}},
		{"selected", Names{Recurse: true, Options: Options{Select: selection(t, nil, []string{"*c", "a"})}}, "b\na\nb/d\n", []string{"p/b/d"}},
		{"too long", Names{}, "a\n" + strings.Repeat("x", maxName+1), []string{"p/a", ": read the list: it has a name of more than 64 KiB: it may be no list of names, or their ends may be others"}},
	} {
		tt.names.List, tt.names.Base, tt.names.Prefix = strings.NewReader(tt.list), root, "p/"
		if d := cmp.Diff(tt.want, lines(tt.names.Files(t.Context()))); d != "" {
			t.Errorf("%s: %s", tt.name, d)
		}
	}
}

// A list that somebody is still to write ends with the context.
func TestNamesEnd(t *testing.T) {
	root := makeTree(t, "a")
	ctx, cancel := context.WithCancel(t.Context())
	list := &unfinished{text: "a\n", waits: cancel, release: make(chan struct{})}
	defer close(list.release)
	if d := cmp.Diff([]string{"a"}, lines(Names{List: list, Base: root}.Files(ctx))); d != "" {
		t.Error(d)
	}
}

// An unfinished reader tells when it has no more to read, and waits for it.
type unfinished struct {
	text    string
	waits   func()
	release chan struct{}
}

func (u *unfinished) Read(b []byte) (n int, _ error) {
	if n, u.text = copy(b, u.text), ""; n > 0 {
		return n, nil
	}
	u.waits()
	<-u.release
	return 0, io.EOF
}
