package upload_test

import (
	"fmt"
	"io"
	"strings"
	"testing"
	"unsafe"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

func TestOptionsThatMakeNoSense(t *testing.T) {
	for name, change := range map[string]func(*upload.Options){
		"part too small":      func(o *upload.Options) { o.PartSize = 5*MiB - 1 },
		"part too large":      func(o *upload.Options) { o.PartSize = 5<<30 + 1 },
		"threshold too large": func(o *upload.Options) { o.Threshold = 5<<30 + 1 },
	} {
		var o upload.Options
		change(&o)
		if _, err := upload.New(nil, o); upload.KindOf(err) != upload.Usage {
			t.Errorf("%s: %v of kind %d, want %d", name, err, upload.KindOf(err), upload.Usage)
		}
	}
}

// Ten parts are allowed here instead of 10,000.
func TestPartsGrowWithTheFile(t *testing.T) {
	for size, want := range map[int64]struct {
		parts int
		part  int64
	}{
		10 * KiB:   {10, KiB},
		10*KiB + 1: {1, MiB}, // they grow in whole MiB
	} {
		st := newStand(t, s3test.Options{})
		data := random(size, "grow")
		r := st.upload(t, file(t, data), "k", func(r *run) { r.Limits.Parts = 10 })
		st.ends(t, r, "k", data, upload.SelfCopy)
		if r.Parts != want.parts || r.PartSize != want.part {
			t.Errorf("%d bytes: %d parts of %d, want %d of %d", size, r.Parts, r.PartSize, want.parts, want.part)
		}
	}
	st := newStand(t, s3test.Options{})
	r := st.upload(t, file(t, random(21, "")), "k", func(r *run) {
		r.Threshold, r.PartSize, r.Limits = 1, 1, upload.Limits{MinPart: 1, MaxPart: 2, Parts: 10}
	})
	if upload.KindOf(r.Err) != upload.Usage || st.Count("*") != 0 {
		t.Errorf("more than fits: %v of kind %d after %d requests, want %d", r.Err, upload.KindOf(r.Err), st.Count("*"), upload.Usage)
	}
}

func TestTooLargeToCopy(t *testing.T) {
	for _, kind := range sources {
		for size, want := range map[int64]upload.Normalized{4 * KiB: upload.SelfCopy, 4*KiB + 1: upload.TooLarge} {
			st := newStand(t, s3test.Options{MaxCopySize: 4 * KiB})
			data := random(size, "large")
			r := st.upload(t, kind.of(t, data), "k", func(r *run) { r.Limits.MaxCopy = 4 * KiB })
			st.ends(t, r, "k", data, want)
			if want == upload.TooLarge {
				notes(t, r, "larger than 4.0 KiB")
				if r.Requests["CopyObject"] != 0 {
					t.Errorf("requests %v", r.Requests)
				}
			}
		}
	}
}

// A stream of unknown size: the parts are equal for four fifths of the numbers,
// here eight of ten, then of 2 and 4 KiB.
func TestStreamGrows(t *testing.T) {
	const reach = 8 + 2 + 4
	for size, parts := range map[int64]int{8 * KiB: 8, 8*KiB + 1: 9, 10*KiB + 1: 10, reach * KiB: 10} {
		t.Run(fmt.Sprint(size), func(t *testing.T) {
			st := newStand(t, s3test.Options{})
			data := random(size, "stream")
			r := st.upload(t, stream(t, data), "k", func(r *run) { r.Limits.Parts = 10 })
			if r.Err != nil {
				t.Fatal(r.Err)
			}
			if r.Parts != parts || r.ETag != md5Hex(data) {
				t.Errorf("%d parts, ETag %s, want %d, %s", r.Parts, r.ETag, parts, md5Hex(data))
			}
			var words []string
			if parts > 8 {
				words = []string{"after 8.0 KiB the parts of this stream grow; it can reach 14 KiB"}
			}
			notes(t, r, words...)
			o, _ := st.Object(st.bucket, "k")
			if string(o.Bytes()) != string(data) {
				t.Error("the object is not what was read")
			}
		})
	}
	for name, kind := range map[string]s3test.Quirks{"beyond the reach": {}, "on a store of equal parts": {CompleteRefusesUnequal: true}} {
		t.Run(name, func(t *testing.T) {
			st := newStand(t, s3test.Options{Quirks: kind})
			size := int64(reach*KiB + 1)
			if kind.CompleteRefusesUnequal {
				size--
			}
			r := st.upload(t, stream(t, random(size, "stream")), "k", func(r *run) { r.Limits.Parts = 10 })
			if upload.KindOf(r.Err) != upload.Other || r.Err == nil {
				t.Errorf("error %v of kind %d", r.Err, upload.KindOf(r.Err))
			}
			if !kind.CompleteRefusesUnequal && !strings.Contains(r.Err.Error(), "is longer than the 14 KiB that 10 parts can hold") {
				t.Errorf("error %q", r.Err)
			}
			st.nothingLeft(t, "k")
			if st.object(t, "k") != nil {
				t.Error("there is an object")
			}
		})
	}
}

func TestStreamOfExpectedSize(t *testing.T) {
	for name, tt := range map[string]struct {
		size, expected, memory int64
		parts                  int
		kind                   upload.Kind
	}{
		"as expected":             {20 * KiB, 20 * KiB, 4 * MiB, 1, upload.Other}, // in parts of 1 MiB
		"of equal parts":          {10 * KiB, 10 * KiB, 16 * KiB, 10, upload.Other},
		"longer":                  {10*KiB + 1, 4 * KiB, 16 * KiB, 10, upload.Other},
		"shorter, in one piece":   {KiB, 10 * KiB, 16 * KiB, 0, upload.TooShort},
		"shorter, in parts":       {9 * KiB, 10 * KiB, 16 * KiB, 0, upload.TooShort},
		"more than memory allows": {20 * KiB, 20 * KiB, 16 * KiB, 0, upload.Usage},
		"more than S3 allows":     {20 * KiB, 1 << 50, 16 * KiB, 0, upload.Usage},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStand(t, s3test.Options{})
			data := random(tt.size, "expected")
			r := st.upload(t, stream(t, data), "k", func(r *run) {
				r.Limits.Parts, r.ExpectedSize, r.MaxMemory = 10, tt.expected, tt.memory
			})
			if tt.kind != upload.Other {
				if upload.KindOf(r.Err) != tt.kind || tt.kind == upload.Usage && st.Count("*") != 0 {
					t.Errorf("error %v of kind %d after %d requests, want %d", r.Err, upload.KindOf(r.Err), st.Count("*"), tt.kind)
				}
				st.nothingLeft(t, "k")
				if st.object(t, "k") != nil {
					t.Error("there is an object")
				}
				return
			}
			st.ends(t, r, "k", data, upload.SelfCopy)
			if r.Parts != tt.parts {
				t.Errorf("%d parts, want %d", r.Parts, tt.parts)
			}
		})
	}
}

// A source that is shorter than it has to be is not stored.
func TestMinSize(t *testing.T) {
	for _, kind := range sources {
		for _, size := range []int64{KiB, 5 * KiB} {
			st := newStand(t, s3test.Options{})
			data := random(size, "least")
			least := func(n int64) func(*run) { return func(r *run) { r.MinSize, r.ExpectedSize = n, 2*size } }
			r := st.upload(t, kind.of(t, data), "k", least(size+1))
			if upload.KindOf(r.Err) != upload.TooShort || r.Resumable {
				t.Errorf("%s of %d: error %v of kind %d, want %d", kind.name, size, r.Err, upload.KindOf(r.Err), upload.TooShort)
			}
			if st.object(t, "k") != nil {
				t.Errorf("%s of %d: there is an object", kind.name, size)
			}
			st.nothingLeft(t, "k")
			if r := st.upload(t, kind.of(t, data), "k", least(size)); r.Err != nil {
				t.Errorf("%s of %d: %v", kind.name, size, r.Err)
			}
		}
	}
}

// A bufferReader notes which buffers it is given to read into.
type bufferReader struct {
	rest int64
	seen map[*byte]bool
}

func (r *bufferReader) Read(p []byte) (int, error) {
	r.seen[unsafe.SliceData(p)] = true
	n := min(int64(len(p)), r.rest)
	r.rest -= n
	if n == 0 {
		return 0, io.EOF
	}
	return int(n), nil
}

// However long a stream is, it is held in the memory that was allowed.
func TestStreamMemory(t *testing.T) {
	st := newStand(t, s3test.Options{})
	r := &bufferReader{rest: 60 * KiB, seen: make(map[*byte]bool)}
	result := st.upload(t, upload.NewStream("stdin", r), "k", func(r *run) { r.MaxMemory = 6 * KiB })
	st.ends(t, result, "k", make([]byte, 60*KiB), upload.SelfCopy)
	if len(r.seen) > 6 {
		t.Errorf("%d buffers of 1 KiB, want at most 6", len(r.seen))
	}

	small := st.upload(t, stream(t, random(3*KiB, "")), "k2", func(r *run) { r.MaxMemory = KiB })
	if upload.KindOf(small.Err) != upload.Usage {
		t.Errorf("without room for two parts: %v of kind %d, want %d", small.Err, upload.KindOf(small.Err), upload.Usage)
	}
}

// Streams of one Uploader follow one another, also after one that failed.
func TestStreamsShareMemory(t *testing.T) {
	st := newStand(t, s3test.Options{})
	o := st.options()
	o.MaxMemory = 6 * KiB
	u, err := upload.New(st.store.Client, o)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 6 {
		data, key := random(20*KiB, fmt.Sprint(i)), fmt.Sprint("k", i)
		if i%2 == 1 {
			st.Fault(s3test.Fault{Op: "UploadPart 3", Do: s3test.Refuse})
		}
		r := u.Upload(t.Context(), &upload.Job{Source: stream(t, data), Bucket: st.bucket, Key: key})
		st.check(t, r, key, data, upload.Access)
		if (r.Err != nil) != (i%2 == 1) {
			t.Errorf("stream %d: %v", i, r.Err)
		}
	}
}

func TestEmptyStream(t *testing.T) {
	st := newStand(t, s3test.Options{})
	if r := st.upload(t, stream(t, nil), "k"); upload.KindOf(r.Err) != upload.NotFound || st.Count("*") != 0 {
		t.Errorf("error %v of kind %d after %d requests, want %d", r.Err, upload.KindOf(r.Err), st.Count("*"), upload.NotFound)
	}
	st.ends(t, st.upload(t, stream(t, nil), "k", allowEmpty), "k", nil, upload.SinglePut)
}

// Of a key that XML cannot hold, no answer to a Create can be read: nothing is
// sent, and no upload is left for each try.
func TestKeysOfParts(t *testing.T) {
	for _, key := range []string{"\x01", "a\x1b[2J", "\ufffe", "\uffff"} {
		for _, kind := range sources {
			st := newStand(t, s3test.Options{})
			r := st.upload(t, kind.of(t, random(3*KiB, "key")), key)
			if upload.KindOf(r.Err) != upload.Usage || r.Err == nil {
				t.Errorf("%q: error %v of kind %d, want %d", key, r.Err, upload.KindOf(r.Err), upload.Usage)
			}
			if n := len(st.Requests()); n > 0 {
				t.Errorf("%q: %d requests", key, n)
			}
		}
	}
}
