//go:build unix

package smallfile_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"s3up/internal/smallfile"
)

func TestRead(t *testing.T) {
	dir := t.TempDir()
	file := func(name string, size int) string {
		name = filepath.Join(dir, name)
		if err := os.WriteFile(name, bytes.Repeat([]byte("x"), size), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	fifo := filepath.Join(dir, "fifo")
	if err := syscall.Mkfifo(fifo, 0o600); err != nil {
		t.Fatal(err)
	}
	link := filepath.Join(dir, "link")
	if err := os.Symlink(fifo, link); err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	w.WriteString("piped")
	w.Close()
	const odd = "not a regular file"
	for _, tt := range []struct {
		name string
		size int
		why  string
	}{
		{file("some", 5), 5, ""},
		{file("most", smallfile.Max), smallfile.Max, ""},
		{file("more", smallfile.Max+1), 0, "more than the 1048576 bytes"},
		{fmt.Sprintf("/dev/fd/%d", r.Fd()), 5, ""},
		{os.DevNull, 0, ""},
		{filepath.Join(dir, "none"), 0, "no such file"},
		{dir, 0, "is a directory"},
		{fifo, 0, odd},
		{link, 0, odd},
		{"/dev/zero", 0, odd},
	} {
		data, err := smallfile.Read(tt.name)
		if (err == nil) != (tt.why == "") || err != nil && !strings.Contains(err.Error(), tt.why) || err == nil && len(data) != tt.size {
			t.Errorf("%s: %d bytes, %v", tt.name, len(data), err)
		}
	}
}
