package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"s3up/internal/tree"
	"s3up/internal/upload"
)

// A file that was found and has become a pipe is not opened: that would wait.
func TestFoundFileBecomesPipe(t *testing.T) {
	pipe := filepath.Join(t.TempDir(), "pipe")
	if err := syscall.Mkfifo(pipe, 0o666); err != nil {
		t.Skip(err)
	}
	found := (&cpOptions{}).taskOf(tree.File{Path: pipe, Rel: "pipe", Key: "pipe", Info: sized(1)})
	ctx, cancel := context.WithCancel(t.Context())
	cancel() // else a test that fails would wait
	if _, err := found.open(ctx, nil); !errors.Is(err, tree.ErrReplaced) {
		t.Errorf("error %v, want %v", err, tree.ErrReplaced)
	}
}

// Of very many notes, the first of each kind are told, and the number of the others.
func TestNotesAreBounded(t *testing.T) {
	stderr := create(t, filepath.Join(t.TempDir(), "err"))
	l := &link{program: &program{}, out: &output{stderr: stderr}}
	c := &copying{link: l, alike: make(map[string]*alike), several: true}
	for i := range 1000 {
		c.passedBy(tree.Skip{Path: fmt.Sprint("link", i), Why: tree.SkippedLink})
		c.noted(upload.Event{Text: "the same", Job: &upload.Job{Source: upload.NewStream("file", nil)}})
		c.noted(upload.Event{Text: fmt.Sprint("another ", i), Job: &upload.Job{Source: upload.NewStream("file", nil)}})
	}
	c.tellMore()
	data, err := os.ReadFile(stderr.Name())
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(data)), "\n")
	if most := 2*maxAlike + maxKinds + maxAlike + 3; len(lines) > most {
		t.Errorf("%d lines, want at most %d", len(lines), most)
	}
	want := []string{"s3up: note: 990 more links are passed by", "s3up: note: 990 more files: the same"}
	if d := cmp.Diff(want, lines[len(lines)-3:len(lines)-1]); d != "" {
		t.Error(d)
	}
}

// What gets a key that another file has since the command line was checked fails by
// itself.
func TestFilesOfOneKey(t *testing.T) {
	one, other := t.TempDir(), t.TempDir()
	for _, path := range []string{filepath.Join(one, "a"), filepath.Join(other, "a"), filepath.Join(other, "named")} {
		if err := os.WriteFile(path, nil, 0o666); err != nil {
			t.Fatal(err)
		}
	}
	o := cpOptions{bucket: "b"}
	c := &copying{link: &link{program: &program{}, out: &output{}}, alike: make(map[string]*alike), o: o}
	got := make(map[string]bool)
	for task := range c.files(t.Context(), []*task{
		{source: "elsewhere/named", key: "named"}, {folder: &folder{root: one}}, {folder: &folder{root: other}},
	}) {
		got[task.source] = task.err == nil
	}
	want := map[string]bool{"elsewhere/named": true, filepath.Join(one, "a"): true, filepath.Join(other, "a"): false, filepath.Join(other, "named"): false}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// Odd names are escaped as GNU's md5sum does.
func TestSumLine(t *testing.T) {
	const md5 = "d41d8cd98f00b204e9800998ecf8427e"
	for name, want := range map[string]string{
		"a b":     md5 + "  a b",
		" a":      md5 + "   a",
		"a\nb":    `\` + md5 + `  a\nb`,
		"a\rb\\c": `\` + md5 + `  a\rb\\c`,
	} {
		if got := md5sumLine(md5, name); got != want {
			t.Errorf("%q: got %q, want %q", name, got, want)
		}
	}
	for _, tt := range []struct{ key, object, want string }{
		{"p/", "p/a/b", "a/b"}, {"", "a/b", "a/b"}, {"p/k", "p/k", "k"},
	} {
		if got := (&cpOptions{key: tt.key}).sumName(tt.object); got != tt.want {
			t.Errorf("%s below %q: got %q, want %q", tt.object, tt.key, got, tt.want)
		}
	}
}

// What --last holds back is bounded.
func TestWaitingIsBounded(t *testing.T) {
	var w waiting
	for i := range maxWaiting {
		if err := w.add(&task{source: "file", key: "file", found: true}); err != nil {
			t.Fatalf("file %d: %v", i, err)
		}
	}
	if err := w.add(&task{found: true}); err == nil || !strings.Contains(err.Error(), "100000 files at most") {
		t.Errorf("one more: %v", err)
	}
	if err := w.add(&task{}); err != nil {
		t.Errorf("a file that was named by itself: %v", err)
	}
}

func TestTotalName(t *testing.T) {
	for _, tt := range []struct {
		ended, files int
		all          bool
		want         string
	}{
		{12, 1012, false, "12 files, 35/s"}, // more may be found
		{12, 340, true, "12 of 340 files, 35/s"},
	} {
		if got := totalName(tt.ended, tt.files, tt.all, 34.6); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}
