package upload_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

// A memoryFile is a file in memory that counts how often its bytes are read and
// may give others the second time.
type memoryFile struct {
	mu       sync.Mutex
	data     []byte
	later    []byte // what a byte that was read once is from then on; nil: the same
	times    int    // so often later is read; 0: for ever
	modified time.Time
	reads    []int // of each byte
	lied     map[int64]int
	whenRead func() // called at each read, if it is not nil
}

func newMemoryFile(data []byte) *memoryFile {
	return &memoryFile{data: bytes.Clone(data), modified: time.Unix(1e9, 0), reads: make([]int, len(data)), lied: make(map[int64]int)}
}

func (f *memoryFile) ReadAt(p []byte, offset int64) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.whenRead != nil {
		f.whenRead()
	}
	if offset >= int64(len(f.data)) {
		return 0, io.EOF
	}
	from := f.data
	if f.later != nil && f.reads[offset] > 0 && (f.times == 0 || f.lied[offset] < f.times) {
		from = f.later
		f.lied[offset]++
	}
	n := copy(p, from[offset:])
	for i := offset; i < offset+int64(n) && i < int64(len(f.reads)); i++ {
		f.reads[i]++
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

func (f *memoryFile) Stat() (fs.FileInfo, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return memoryInfo{int64(len(f.data)), f.modified}, nil
}

type memoryInfo struct {
	size     int64
	modified time.Time
}

func (i memoryInfo) Name() string       { return "memory" }
func (i memoryInfo) Size() int64        { return i.size }
func (i memoryInfo) Mode() fs.FileMode  { return 0o644 }
func (i memoryInfo) ModTime() time.Time { return i.modified }
func (i memoryInfo) IsDir() bool        { return false }
func (i memoryInfo) Sys() any           { return nil }

func (f *memoryFile) source(t testing.TB) *upload.Source {
	t.Helper()
	src, err := upload.NewFile("memory", f)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// A file that changes under the upload's hands is never stored as something that
// it was at no time, and no part of it is kept.
func TestSourceChanges(t *testing.T) {
	const size = 4*KiB + 5
	other := random(size, "other")
	for name, test := range map[string]struct {
		op     string // when it happens
		after  int
		change func(path string) error
	}{
		"it grows": {"UploadPart 2", 0, func(path string) error {
			f, err := os.OpenFile(path, os.O_APPEND|os.O_WRONLY, 0)
			if err != nil {
				return err
			}
			defer f.Close()
			_, err = f.WriteString("x")
			return err
		}},
		"it is cut off":                     {"UploadPart 2", 0, func(path string) error { return os.Truncate(path, 2*KiB+1) }},
		"it is emptied":                     {"CreateMultipartUpload", 0, func(path string) error { return os.Truncate(path, 0) }},
		"it is written anew":                {"UploadPart 2", 0, func(path string) error { return os.WriteFile(path, other, 0o600) }},
		"it is written before it is hashed": {"CreateMultipartUpload", 0, func(path string) error { return os.WriteFile(path, other, 0o600) }},
		"it is touched": {"UploadPart 5", 0, func(path string) error {
			return os.Chtimes(path, time.Time{}, time.Now().Add(time.Hour))
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStand(t, s3test.Options{})
			path := filepath.Join(t.TempDir(), "file")
			if err := os.WriteFile(path, random(size, "file"), 0o600); err != nil {
				t.Fatal(err)
			}
			// What is written now may get the time stamp of what was written before.
			if err := os.Chtimes(path, time.Time{}, time.Now().Add(-time.Hour)); err != nil {
				t.Fatal(err)
			}
			st.when(test.op, test.after, func() {
				if err := test.change(path); err != nil {
					t.Error(err)
				}
			})
			r := st.upload(t, open(t, path), "k", oneAtATime)
			if upload.KindOf(r.Err) != upload.SourceChanged || r.Resumable {
				t.Errorf("error %v of kind %d, resumable: %t, want %d", r.Err, upload.KindOf(r.Err), r.Resumable, upload.SourceChanged)
			}
			if st.object(t, "k") != nil {
				t.Error("there is an object")
			}
			st.nothingLeft(t, "k")
		})
	}
}

// A file that never comes to rest is begun with five times, and not for ever.
func TestSourceNeverRests(t *testing.T) {
	const tries = 5
	st := newStand(t, s3test.Options{})
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, random(3*KiB, "file"), 0o600); err != nil {
		t.Fatal(err)
	}
	touched := 0
	st.Fault(s3test.Fault{Op: "UploadPart 2", Times: 2 * tries, Do: s3test.None, Hook: func() {
		touched++
		if err := os.Chtimes(path, time.Time{}, time.Now().Add(time.Duration(touched)*time.Hour)); err != nil {
			t.Error(err)
		}
	}})
	r := st.upload(t, open(t, path), "k", oneAtATime, func(r *run) { r.OnChange = upload.OnChangeRetry })
	if upload.KindOf(r.Err) != upload.SourceChanged || touched != tries {
		t.Errorf("error %v of kind %d after %d tries, want %d after %d", r.Err, upload.KindOf(r.Err), touched, upload.SourceChanged, tries)
	}
	if st.object(t, "k") != nil {
		t.Error("there is an object")
	}
	st.nothingLeft(t, "k")
}

// A file that is replaced by another one, under the same name, is read to its
// end all the same.
func TestSourceReplaced(t *testing.T) {
	st := newStand(t, s3test.Options{})
	data := random(4*KiB+5, "file")
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	st.when("UploadPart 2", 0, func() {
		if err := os.WriteFile(path+".new", random(4*KiB+5, "new"), 0o600); err != nil {
			t.Error(err)
		}
		if err := os.Rename(path+".new", path); err != nil {
			t.Error(err)
		}
	})
	st.ends(t, st.upload(t, open(t, path), "k"), "k", data, upload.SelfCopy)
}

// Between being hashed and being sent, the bytes become others, and no time
// stamp tells: the store refuses them.
func TestSourceChangesBetweenHashAndSend(t *testing.T) {
	for _, size := range []int64{1000, 3*KiB + 5} {
		data := random(size, "file")
		st := newStand(t, s3test.Options{})
		f := newMemoryFile(data)
		f.later = random(size, "later")
		typed := func(r *run) { r.ContentType = "text/plain" } // else that of parts is told by a look at the first bytes
		r := st.upload(t, f.source(t), "k", typed)
		if upload.KindOf(r.Err) != upload.SourceChanged {
			t.Errorf("%d bytes: error %v of kind %d, want %d", size, r.Err, upload.KindOf(r.Err), upload.SourceChanged)
		}
		if st.object(t, "k") != nil {
			t.Errorf("%d bytes: there is an object", size)
		}
		st.nothingLeft(t, "k")

		// What was read once as something else goes up again.
		f = newMemoryFile(data)
		f.later, f.times = random(size, "later"), 1
		r = st.upload(t, f.source(t), "k", typed)
		if r.Err != nil {
			t.Errorf("%d bytes: %v", size, r.Err)
		}
		st.check(t, r, "k", data)
	}
}

// A stored part that is of the file as it was is not taken for one of the file
// as it is.
func TestSourceChangedBetweenRuns(t *testing.T) {
	st := newStand(t, s3test.Options{})
	was, is := random(4*KiB, "was"), random(4*KiB, "was")
	is[2*KiB] ^= 1
	st.begin(t, "k", was, KiB, 1, 2, 3)
	r := st.upload(t, file(t, is), "k")
	st.ends(t, r, "k", is, upload.SelfCopy)
	if r.PartsResumed != 2 {
		t.Errorf("%d parts resumed, want 2", r.PartsResumed)
	}
}

// typedIfParts gives a file that goes up in parts a type, which would be told by one
// more look at its first bytes.
func typedIfParts(size int64) func(*run) {
	return func(r *run) {
		if size > 2*KiB {
			r.ContentType = "text/plain"
		}
	}
}

// The engine reads each byte of a file twice: to hash it, and to send it. The type of
// what goes up in one piece is told while it is hashed.
func TestReadTwice(t *testing.T) {
	for _, size := range []int64{1000, 2 * KiB, 5*KiB + 3} {
		st := newStand(t, s3test.Options{})
		f := newMemoryFile(random(size, "twice"))
		r := st.upload(t, f.source(t), "k", typedIfParts(size))
		if r.Err != nil {
			t.Fatal(r.Err)
		}
		for i, n := range f.reads {
			if n != 2 {
				t.Fatalf("byte %d of %d was read %d times, want 2", i, size, n)
			}
		}
	}
}

// What goes up in one piece is hashed with others up to a block of 256 KiB, and for
// itself above: either is what was read, of the type that its first bytes tell, and
// fails if the file ends early, or grows.
func TestOnePiece(t *testing.T) {
	const block = 256 * KiB
	for _, size := range []int64{0, 1, block - 1, block, block + 1, 2 * block} {
		for _, checksum := range []upload.Checksum{upload.SumNone, upload.SumCRC64NVME} {
			for _, once := range []bool{false, true} {
				name := fmt.Sprintf("%d bytes, checksum %v, read once: %t", size, checksum, once)
				st := newStand(t, s3test.Options{})
				change := func(r *run) {
					r.Threshold, r.MaxMemory, r.Checksum, r.ReadOnce = 4*block, 4*block, checksum, once
				}
				data := append([]byte("%PDF-1.7\n"), random(2*block, "one piece")...)[:size]
				r := st.upload(t, newMemoryFile(data).source(t), "k", change)
				st.check(t, r, "k", data)
				want := "application/pdf"
				if size < 5 {
					want = map[int64]string{0: "application/octet-stream", 1: "text/plain; charset=utf-8"}[size]
				}
				if r.ContentType != want {
					t.Errorf("%s: type %q, want %q", name, r.ContentType, want)
				}
				for what, then := range map[string][]byte{"ended": data[:max(0, size-1)], "grew": append(bytes.Clone(data), 'x')} {
					f := newMemoryFile(data)
					src := f.source(t)
					f.data = then
					if len(then) == len(data) {
						continue
					}
					if r := st.upload(t, src, what, change); upload.KindOf(r.Err) != upload.SourceChanged || st.object(t, what) != nil {
						t.Errorf("%s, %s: error %v, an object: %t", name, what, r.Err, st.object(t, what) != nil)
					}
				}
			}
		}
	}
}

// A run that finds everything there reads the file once.
func TestReadOnce(t *testing.T) {
	st := newStand(t, s3test.Options{})
	data := random(5*KiB+3, "once")
	f := newMemoryFile(data)
	st.completed(t, "k", data, KiB)
	r := st.upload(t, f.source(t), "k", func(r *run) { r.ContentType = "text/plain" })
	st.ends(t, r, "k", data, upload.SelfCopy)
	for i, n := range f.reads {
		if n != 1 {
			t.Fatalf("byte %d was read %d times, want once", i, n)
		}
	}
}

// With ReadOnce each byte is read once only, whatever becomes of a request, and the
// memory for it is given back.
func TestHeldInMemory(t *testing.T) {
	for _, size := range []int{100, 2 * KiB, 9*KiB + 3} {
		for name, fault := range map[string]*s3test.Fault{
			"": nil, "corrupt": {Op: "UploadPart 2", Do: s3test.Corrupt}, "lost": {Op: "UploadPart 2", Do: s3test.Lose},
			"put lost": {Op: "PutObject", Do: s3test.Lose},
		} {
			st := newStand(t, s3test.Options{})
			if fault != nil {
				st.Fault(*fault)
			}
			data := random(int64(size), name)
			f := newMemoryFile(data)
			r := st.upload(t, f.source(t), "k", typedIfParts(int64(size)), func(r *run) { r.ReadOnce, r.MaxMemory = true, 3*KiB })
			if ends := map[bool]upload.Normalized{true: upload.SelfCopy, false: upload.SinglePut}[size > 2*KiB]; r.Err != nil || r.Normalized != ends {
				t.Fatalf("%d bytes, %s: %v, %s", size, name, r.Err, r.Normalized)
			}
			if o := st.object(t, "k"); !bytes.Equal(o.body, data) || o.etag != md5Hex(data) {
				t.Errorf("%d bytes, %s: the object is not of these bytes", size, name)
			}
			for i, n := range f.reads {
				if again := name == "corrupt" && i/KiB == 1; n != 1 && !again { // to see that it is the same
					t.Fatalf("%d bytes, %s: byte %d was read %d times, want once", size, name, i, n)
				}
			}
		}
	}
}

// Memory is given back by uploads that fail, or the next would wait for ever.
func TestHeldInMemoryIsGivenBack(t *testing.T) {
	st := newStand(t, s3test.Options{})
	o := st.options()
	o.ReadOnce, o.MaxMemory, o.OnFailure = true, 3*KiB, upload.OnFailureAbort
	u, err := upload.New(st.store.Client, o)
	if err != nil {
		t.Fatal(err)
	}
	data := random(9*KiB, "")
	once := func(fault *s3test.Fault, fails bool) {
		t.Helper()
		if fault != nil {
			st.Fault(*fault)
		}
		f := newMemoryFile(data)
		r := u.Upload(t.Context(), &upload.Job{Source: f.source(t), Bucket: st.bucket, Key: "k", Properties: upload.Properties{ContentType: "text/plain"}})
		if (r.Err != nil) != fails {
			t.Errorf("got %v", r.Err)
		}
	}
	for _, op := range []string{"UploadPart 1", "UploadPart 5", "UploadPart 9", "CompleteMultipartUpload"} {
		once(&s3test.Fault{Op: op, Do: s3test.Refuse}, true)
	}
	once(nil, false)
	// More than there is room for is read twice, and said.
	f := newMemoryFile(data)
	r := st.upload(t, f.source(t), "k", func(r *run) { r.ReadOnce, r.MaxMemory = true, KiB-1 })
	st.ends(t, r, "k", data, upload.SelfCopy)
	notes(t, r, "is read twice: what is sent at a time (1.0 KiB) does not fit")
}

// A stream that fails is not a stream that ends.
func TestStreamFails(t *testing.T) {
	for _, size := range []int64{100, 4*KiB + 5} {
		st := newStand(t, s3test.Options{})
		r := st.upload(t, upload.NewStream("stdin", io.MultiReader(bytes.NewReader(random(size, "")), failing{})), "k")
		if r.Err == nil || r.Size != -1 || r.Resumable {
			t.Errorf("after %d bytes: error %v, size %d, resumable: %t", size, r.Err, r.Size, r.Resumable)
		}
		if st.object(t, "k") != nil {
			t.Errorf("after %d bytes: there is an object", size)
		}
		st.nothingLeft(t, "k")
	}
}

type failing struct{}

func (failing) Read([]byte) (int, error) { return 0, os.ErrClosed }

// A file that cannot be read to its end leaves no object.
func TestFileFails(t *testing.T) {
	for _, size := range []int64{1000, 4*KiB + 5} {
		st := newStand(t, s3test.Options{})
		src, err := upload.NewFile("broken", brokenFile{newMemoryFile(random(size, ""))})
		if err != nil {
			t.Fatal(err)
		}
		r := st.upload(t, src, "k", func(r *run) { r.ContentType = "text/plain" })
		if r.Err == nil {
			t.Errorf("%d bytes: no error", size)
		}
		if st.object(t, "k") != nil {
			t.Errorf("%d bytes: there is an object", size)
		}
		st.nothingLeft(t, "k")
	}
}

// A brokenFile has a bad sector near its end.
type brokenFile struct{ *memoryFile }

func (f brokenFile) ReadAt(p []byte, offset int64) (int, error) {
	if offset+int64(len(p)) > int64(len(f.data))-10 {
		return 0, &fs.PathError{Op: "read", Path: "broken", Err: errors.New("input/output error")}
	}
	return f.memoryFile.ReadAt(p, offset)
}

// What is not a regular file is a stream.
func TestOpen(t *testing.T) {
	if _, err := upload.Open(t.Context(), t.TempDir()); upload.KindOf(err) != upload.Usage {
		t.Errorf("a folder: %v of kind %d, want %d", err, upload.KindOf(err), upload.Usage)
	}
	if _, err := upload.Open(t.Context(), filepath.Join(t.TempDir(), "missing")); upload.KindOf(err) != upload.NotFound {
		t.Errorf("a missing file: %v of kind %d, want %d", err, upload.KindOf(err), upload.NotFound)
	}
	if src := open(t, os.DevNull); src.Size() != -1 {
		t.Errorf("%s has size %d, want -1", os.DevNull, src.Size())
	}
	if _, err := os.Stat("/proc/self/stat"); err == nil {
		if src := open(t, "/proc/self/stat"); src.Size() != -1 {
			t.Errorf("a file in /proc has size %d, want -1", src.Size())
		}
	}
	if src := file(t, nil); src.Size() != 0 {
		t.Errorf("an empty file has size %d", src.Size())
	}
}
