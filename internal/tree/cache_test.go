package tree

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"s3up/internal/etag"
	"s3up/internal/upload"
)

// cached opens the cache of a folder.
func cached(t *testing.T, dir, folder string) *Cache {
	t.Helper()
	c, err := OpenCache(dir, folder, "")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// walked returns the files of a folder by name.
func walked(t *testing.T, folder string) map[string]*File {
	t.Helper()
	files := make(map[string]*File)
	for f := range Walk(t.Context(), folder, "", Options{}) {
		if f.Err != nil {
			t.Fatal(f.Err)
		}
		files[f.Rel] = &f
	}
	return files
}

func TestCache(t *testing.T) {
	dir, folder := t.TempDir(), t.TempDir()
	write := func(name, body string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(folder, name), []byte(body), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("f", "one")
	write("g", "two")
	files := walked(t, folder)
	sum, other := etag.Sum([]byte("one")), etag.Sum([]byte("two"))
	later := time.Now().Add(10 * time.Second)

	c := cached(t, dir, folder)
	if c.Get(files["f"]) != nil {
		t.Error("an empty cache knows something")
	}
	// What was written to a moment ago may be written to again in the same tick.
	c.Put(files["f"], files["f"].Info.ModTime().Add(time.Millisecond), sum, "", upload.ETagMultipart)
	if c.Get(files["f"]) != nil {
		t.Error("a file that was just written to is believed")
	}
	c.Put(files["f"], later, sum, sum.String(), upload.ETagMultipart)
	c.Put(files["g"], later, other, "0123-7", upload.ETagMultipart)
	if diff := cmp.Diff(&Sums{MD5: sum}, c.Get(files["f"])); diff != "" {
		t.Error(diff)
	}
	if _, err := OpenCache(dir, folder, ""); err != ErrCacheInUse {
		t.Errorf("opened twice: %v", err)
	}
	elsewhere, err := OpenCache(dir, folder, "1/2")
	if err != nil || elsewhere.Get(files["f"]) != nil {
		t.Errorf("the cache of a share: %v", err)
	}
	elsewhere.Close(folder, 0)
	c.Close(folder, 0)

	c = cached(t, dir, folder)
	for i := range 6 { // the oldest ETags go
		c.Put(files["g"], later, other, fmt.Sprintf("%d-2", i), upload.ETagMultipart)
	}
	c.Put(files["g"], later, other, "5-2", upload.ETagMultipart)
	c.Put(files["g"], later, other, "", upload.ETagMultipart)
	c.Put(files["g"], later, other, strings.Repeat("x", 256), upload.ETagMultipart)
	c.Close(folder, 0)
	c = cached(t, dir, folder)
	if diff := cmp.Diff(&Sums{MD5: other, ETags: []string{"5-2", "4-2", "3-2", "2-2"}}, c.Get(files["g"])); diff != "" {
		t.Error(diff)
	}
	// A file that is not what it was is not known, whatever it was that changed.
	info, err := os.Stat(filepath.Join(folder, "f"))
	if err != nil {
		t.Fatal(err)
	}
	write("f", "uno")
	if err := os.Chtimes(filepath.Join(folder, "f"), info.ModTime(), info.ModTime()); err != nil {
		t.Fatal(err)
	}
	if c.Get(walked(t, folder)["f"]) != nil {
		t.Error("a file whose time was put back is believed")
	}
	// One that was replaced after the walk is not taken.
	write("g", "tre")
	c.Put(files["g"], later, etag.Sum([]byte("tre")), "", upload.ETagMultipart)
	if got := c.Get(walked(t, folder)["g"]); got != nil {
		t.Errorf("a file that was replaced after the walk is believed: %v", got)
	}
	c.Close(folder, 0)

	var none *Cache
	none.Put(files["f"], later, sum, "", upload.ETagMultipart)
	if none.Get(files["f"]) != nil {
		t.Error("no cache knows something")
	}
	none.Close(folder, 1)
}

// TestCachePruned drops what is known of files that are gone, once there are many.
func TestCachePruned(t *testing.T) {
	dir, folder := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := walked(t, folder)["f"]
	stamp, _ := stampOf(f.Info)
	c := cached(t, dir, folder)
	for i := range 10_000 {
		name := fmt.Sprintf("gone/%d", i)
		c.pending[name] = encode(name, stamp, Sums{})
	}
	c.Put(f, time.Now().Add(time.Hour), etag.Sum(nil), "", upload.ETagMultipart)
	c.Close(folder, 0) // not of a whole walk
	c = cached(t, dir, folder)
	gone := *f
	gone.Rel = "gone/7"
	if c.Get(&gone) == nil {
		t.Error("it was dropped too early")
	}
	c.Close(folder, 1)
	c = cached(t, dir, folder)
	defer c.Close(folder, 0)
	if c.Get(&gone) != nil || c.Get(f) == nil {
		t.Error("what is gone is still known, or what is there is not")
	}
}

// TestCacheBroken breaks the file of a cache in many places. It is then as good as
// empty, or half of it is: never is a hash wrong, and never does it end the program.
func TestCacheBroken(t *testing.T) {
	dir, folder := t.TempDir(), t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "f"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := walked(t, folder)["f"]
	stamp, _ := stampOf(f.Info)
	c := cached(t, dir, folder)
	names := make([]string, 500)
	for i := range names {
		names[i] = fmt.Sprintf("some/file/%d", i)
		c.pending[names[i]] = encode(names[i], stamp, Sums{MD5: etag.Sum([]byte(names[i])), ETags: []string{"0123456789abcdef0123456789abcdef-12"}})
	}
	c.Close(folder, 0)
	whole, err := os.ReadFile(c.file)
	if err != nil {
		t.Fatal(err)
	}
	look := func(data []byte) (known int) {
		t.Helper()
		if err := os.WriteFile(c.file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		c, err := OpenCache(dir, folder, "")
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			g := *f
			g.Rel = name
			if s := c.Get(&g); s != nil {
				known++
				if s.MD5 != etag.Sum([]byte(name)) {
					t.Fatalf("a wrong hash of %s", name)
				}
			}
		}
		c.Put(f, time.Now().Add(time.Hour), etag.Sum(nil), "", upload.ETagMultipart)
		c.Close(folder, 1)
		if c.broken { // and is let go, so that the file can be opened again
			return 0
		}
		return known
	}
	if n := look(whole); n != len(names) {
		t.Fatalf("%d of %d are known", n, len(names))
	}
	random := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		data := append([]byte(nil), whole...)
		for range 1 + random.IntN(20) {
			data[random.IntN(len(data))] = byte(random.Uint32())
		}
		look(data)
	}
	for name, data := range map[string][]byte{
		"empty": {}, "text": []byte("what is this?\n"), "cut": whole[:len(whole)/2], "a bit of it": whole[:100],
		"zeros": make([]byte, len(whole)),
	} {
		look(data)
		if n := look(whole); n != len(names) {
			t.Errorf("after %s: %d are known", name, n)
		}
	}
	if err := os.Remove(c.file); err != nil && !errors.Is(err, os.ErrNotExist) {
		t.Fatal(err)
	}
	// Where it cannot be kept, that is an error, and no more.
	if _, err := OpenCache(filepath.Join(folder, "f"), folder, ""); err == nil {
		t.Error("a cache in a file")
	}
}
