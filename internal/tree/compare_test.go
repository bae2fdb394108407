package tree_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"s3up/internal/etag"
	"s3up/internal/s3test"
	"s3up/internal/tree"
	"s3up/internal/upload"
)

// TestDecide has a folder and a prefix differ in each way that there is.
func TestDecide(t *testing.T) {
	st := newStand(t, s3test.Options{})
	for rel, body := range map[string]string{
		"a-b": "1", "a/b": "2", "a0": "3", "same": "same", "size": "longer", "other": "other one", "new": "new", "sub/x y+z": "x", "empty": "",
	} {
		st.write(t, rel, body)
	}
	for rel, body := range map[string]string{
		"a-b": "1", "a/b": "2", "same": "same", "size": "long", "other": "other two", "sub/x y+z": "x", "empty": "",
		"gone": "gone", "a/gone": "", "folder/": "", "sub/.s3up-0123456789abcdef-0123456789abcdef": "staged", "excluded/by": "x", "zz": "z",
	} {
		st.put(t, "p/"+rel, body)
	}
	st.put(t, "p/", "")
	st.put(t, "pp", "")
	all := map[string]string{
		"p/a-b": "keep etag", "p/a/b": "keep etag", "p/a0": "upload", "p/same": "keep etag", "p/size": "upload size", "p/other": "upload etag", "p/new": "upload",
		"p/sub/x y+z": "keep etag", "p/empty": "keep etag", "p/gone": "delete", "p/a/gone": "delete", "p/zz": "delete",
	}
	takes := func(rel string) bool { return rel != "excluded/by" }

	c := st.comparer(t)
	c.Takes = takes
	got, err := decide(t, c)
	if diff := cmp.Diff(all, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if c.WalkedFiles != 9 || c.ListedObjects != 14 {
		t.Errorf("%d files and %d objects, want 9 and 14", c.WalkedFiles, c.ListedObjects)
	}
	if n := st.Count("ListObjectsV2"); n != 1 {
		t.Errorf("%d pages were asked for", n)
	}
	if n := st.Count("HeadObject"); n != 1 { // is the ETag of "other" an MD5?
		t.Errorf("the store was asked about %d objects", n)
	}

	// By size alone.
	c = st.comparer(t)
	c.Takes, c.SizeOnly = takes, true
	got, err = decide(t, c)
	if got["p/other"] != "keep size" || got["p/size"] != "upload size" || err != nil {
		t.Error(got, err)
	}

	// Shares are all of it, and nothing twice.
	shared := make(map[string]string)
	objects := 0
	for i := range uint64(3) {
		c = st.comparer(t)
		c.Takes, c.Shard = takes, tree.Shard{Index: i, Of: 3}
		got, err = decide(t, c)
		if err != nil || c.WalkedFiles != 9 || len(got) == 0 {
			t.Error(err, c.WalkedFiles, got)
		}
		for key := range got {
			if shared[key] != "" {
				t.Errorf("%s is in two shares", key)
			}
		}
		objects += c.ListedObjects
		maps.Copy(shared, got)
	}
	if diff := cmp.Diff(all, shared); diff != "" || objects != 14 {
		t.Error(diff, objects)
	}
}

// TestDecideOpaque compares by size and time where there is nothing else.
func TestDecideOpaque(t *testing.T) {
	var ahead atomic.Int64 // the store's clock
	st := newStand(t, s3test.Options{Quirks: s3test.Quirks{KMSByDefault: true}, AnyDate: true,
		Now: func() time.Time { return time.Now().Add(time.Duration(ahead.Load())) }})
	st.write(t, "old", "old")
	st.write(t, "young", "young")
	st.write(t, "edited", "edited")
	for name, at := range map[string]time.Time{"young": time.Now().Add(3 * time.Hour), "edited": time.Now().Add(-3 * time.Hour)} {
		if err := os.Chtimes(filepath.Join(st.dir, name), at, at); err != nil {
			t.Fatal(err)
		}
	}
	ahead.Store(int64(-time.Hour))
	st.put(t, "p/edited", "edited")
	ahead.Store(int64(time.Hour))
	st.put(t, "p/old", "xyz")
	st.put(t, "p/young", "young")
	ahead.Store(0)
	got, err := decide(t, st.comparer(t))
	want := map[string]string{"p/old": "keep time", "p/young": "upload time", "p/edited": "upload time"}
	if runtime.GOOS != "linux" && runtime.GOOS != "darwin" {
		want["p/edited"] = "keep time" // nobody knows when it was changed
	}
	if diff := cmp.Diff(want, got); diff != "" || err != nil {
		t.Error(diff, err)
	}

	// What was uploaded from here is known by its ETag from then on, as what it is.
	c := st.comparer(t)
	cache, err := tree.OpenCache(t.TempDir(), st.dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close(st.dir, 0)
	for f := range tree.Walk(t.Context(), st.dir, "p/", tree.Options{}) {
		o, _ := st.Object("b", f.Key)
		cache.Put(&f, time.Now().Add(time.Hour), etag.Sum([]byte(f.Rel)), o.ETag, upload.ETagOpaque)
	}
	c.Cache, c.Uploader = cache, nil // nobody is asked
	for d, err := range c.Decide(t.Context()) {
		if err != nil || d.Action != tree.Keep || d.By != upload.BySeen || d.Kind != upload.ETagOpaque {
			t.Errorf("%s: %s %s %s, %v", d.File.Key, d.Action, d.By, d.Kind, err)
		}
	}
}

// TestDecideFailures has a file that cannot be read fail, and nothing else; and
// listings, walks and contexts that end early end it all.
func TestDecideFailures(t *testing.T) {
	st := newStand(t, s3test.Options{})
	st.write(t, "a", "a")
	st.write(t, "b", "b")
	if err := os.Symlink("nowhere", filepath.Join(st.dir, "aa")); err != nil {
		t.Fatal(err)
	}
	st.put(t, "p/aa", "aa")
	st.put(t, "p/ab", "ab")
	got, err := decide(t, st.comparer(t))
	if diff := cmp.Diff(map[string]string{"p/a": "upload", "p/aa": "fail", "p/ab": "delete", "p/b": "upload"}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}

	broken := errors.New("broken")
	c := st.comparer(t)
	objects := c.Objects
	c.Objects = func(yield func(*tree.Object, error) bool) {
		for o := range objects {
			if !yield(o, nil) {
				return
			}
			break
		}
		yield(nil, broken)
	}
	if _, err := decide(t, c); err != broken {
		t.Errorf("of a broken listing: %v", err)
	}
	c = st.comparer(t)
	c.Files = func(yield func(tree.File) bool) {
		files := slices.Collect(tree.Walk(t.Context(), st.dir, "p/", tree.Options{}))
		files[0], files[2] = files[2], files[0]
		files = slices.Delete(files, 1, 2) // the one that fails
		slices.Values(files)(yield)
	}
	if _, err := decide(t, c); err == nil {
		t.Error("a walk in the wrong order ends well")
	}

	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var last error
	for _, err := range st.comparer(t).Decide(ctx) {
		cancel()
		last = err
	}
	if !errors.Is(last, context.Canceled) {
		t.Errorf("cancelled: %v", last)
	}
	for range st.comparer(t).Decide(t.Context()) {
		break
	}
}

// TestDecideMany streams: what is compared needs no memory for all of it, and comes
// out while it goes in.
func TestDecideMany(t *testing.T) {
	const n = 200_000
	var at atomic.Int64
	info, err := os.Stat(".")
	if err != nil {
		t.Fatal(err)
	}
	c := &tree.Comparer{
		Files: func(yield func(tree.File) bool) {
			for i := range n {
				at.Store(int64(i))
				if !yield(tree.File{Path: "none", Rel: "r", Key: fmt.Sprintf("p/%08d", 2*i), Info: info}) {
					return
				}
			}
		},
		Objects: iter.Seq2[*tree.Object, error](func(yield func(*tree.Object, error) bool) {
			for i := range n {
				if !yield(&tree.Object{Key: fmt.Sprintf("p/%08d", 2*i+i%2), Size: info.Size() + 1}, nil) {
					return
				}
			}
		}),
		Prefix: "p/",
	}
	counts := make(map[tree.Action]int)
	for d, err := range c.Decide(t.Context()) {
		if err != nil {
			t.Fatal(err)
		}
		counts[d.Action]++
		if seen := counts[tree.Upload]; seen == 10 && at.Load() > 1000 {
			t.Errorf("%d files were walked before the tenth decision", at.Load())
		}
	}
	if diff := cmp.Diff(map[tree.Action]int{tree.Upload: n, tree.Delete: n / 2}, counts); diff != "" {
		t.Error(diff)
	}
}

// TestDecideCached reads no file whose hash is in the cache, and finds in it the
// ETags of parts that an upload has left.
func TestDecideCached(t *testing.T) {
	st := newStand(t, s3test.Options{Quirks: s3test.Quirks{SelfCopyKeepsETag: true, CopyKeepsETag: true}})
	cache, err := tree.OpenCache(t.TempDir(), st.dir, "")
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close(st.dir, 0)
	big := string(make([]byte, 5000))
	st.write(t, "small", "small")
	st.write(t, "big", big)
	later := time.Now().Add(10 * time.Second)
	for f := range tree.Walk(t.Context(), st.dir, "p/", tree.Options{}) {
		src, err := upload.Open(t.Context(), f.Path)
		if err != nil {
			t.Fatal(err)
		}
		r := st.up.Upload(t.Context(), &upload.Job{Source: src, Bucket: "b", Key: f.Key})
		src.Close()
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		sum, _ := etag.ParseMD5(r.MD5)
		cache.Put(&f, later, sum, r.ETag, r.ETagKind)
		if err := os.Chmod(f.Path, 0); err != nil { // its status changes: it has to be read again
			t.Fatal(err)
		}
	}
	before := st.Count("HeadObject")
	c := st.comparer(t)
	c.Cache = cache
	got, err := decide(t, c)
	if err != nil || os.Getuid() != 0 && got["p/small"] != "fail" || os.Getuid() == 0 && got["p/big"] != "keep etag-parts" {
		t.Error(got, err)
	}
	for f := range tree.Walk(t.Context(), st.dir, "p/", tree.Options{}) { // as an upload that sees them as they are now
		sum := etag.Sum([]byte(map[string]string{"small": "small", "big": big}[f.Rel]))
		o, _ := st.Object("b", f.Key)
		cache.Put(&f, later, sum, o.ETag, upload.ETagMultipart)
	}
	c = st.comparer(t)
	c.Cache = cache
	c.Uploader = nil // nobody is asked, nothing is read
	got, err = decide(t, c)
	if diff := cmp.Diff(map[string]string{"p/small": "keep etag", "p/big": "keep etag-parts"}, got); diff != "" || err != nil {
		t.Error(diff, err)
	}
	if n := st.Count("HeadObject"); n != before {
		t.Errorf("the store was asked %d times", n-before)
	}
}
