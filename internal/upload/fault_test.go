package upload_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"s3up/internal/s3test"
	"s3up/internal/store"
	"s3up/internal/upload"
)

// A scenario is an upload and those of its calls that are broken, one at a time.
type scenario struct {
	name    string
	source  sourceKind
	size    int64
	prepare func(t testing.TB, st *stand, data []byte)
	change  func(*run)
	calls   []call
	ends    map[string]end // by call and fault, where it is not as usual
}

// A call is one of an upload's requests.
type call struct {
	op    string
	after int // so many of this name come before
}

func (c call) String() string {
	if c.after == 0 {
		return c.op
	}
	return fmt.Sprintf("%s after %d", c.op, c.after)
}

// An end is what becomes of an upload: an error of a kind, or the way in which
// the object came to its ETag. The zero end is the usual one: nobody sees that
// anything was broken.
type end struct {
	kind       upload.Kind
	normalized upload.Normalized
	left       int  // unfinished uploads that nobody could know of, or abort
	staged     bool // so is a staged copy
}

var (
	integrity = end{kind: upload.Integrity}
	conflict  = end{kind: upload.Conflict}
	access    = end{kind: upload.Access}
	kept      = end{normalized: upload.Kept}
	refused   = end{normalized: upload.Refused}
)

var scenarios = []scenario{
	{name: "a small file", source: aFile, size: 1000,
		calls: []call{{"PutObject", 0}},
		ends:  map[string]end{"PutObject/refuse": access}},
	{name: "a small stream", source: aStream, size: 1000,
		calls: []call{{"PutObject", 0}},
		ends:  map[string]end{"PutObject/refuse": access}},
	{name: "a file", source: aFile, size: 3*KiB + 5,
		prepare: func(_ testing.TB, st *stand, data []byte) {
			st.Put(st.bucket, "decoy", random(int64(len(data)), "decoy"))
		},
		calls: []call{{"HeadObject", 0}, {"ListMultipartUploads", 0}, {"CreateMultipartUpload", 0}, {"UploadPart 1", 0}, {"UploadPart 4", 0},
			{"CompleteMultipartUpload", 0}, {"HeadObject", 1}, {"CopyObject", 0}, {"HeadObject", 2}},
		ends: map[string]end{
			"CreateMultipartUpload/refuse":          access,
			"UploadPart 1/refuse":                   access,
			"UploadPart 4/refuse":                   access,
			"CompleteMultipartUpload/refuse":        access,
			"CompleteMultipartUpload/corrupt-quiet": integrity,
			"CompleteMultipartUpload/wrong-object":  integrity,
			"HeadObject after 1/refuse":             refused,
			"HeadObject after 1/wrong-etag":         conflict,
			"CopyObject/refuse":                     refused,
			"CopyObject/corrupt-quiet":              integrity,
			"CopyObject/wrong-object":               integrity,
			"HeadObject after 2/refuse":             access,
			"HeadObject after 2/wrong-etag":         conflict,
			// The id of an upload that was created is in the answer alone.
			"CreateMultipartUpload/lose":           {left: 1},
			"CreateMultipartUpload/cut":            {left: 1},
			"CreateMultipartUpload/cut-close":      {left: 1},
			"CreateMultipartUpload/empty-200":      {left: 1},
			"CreateMultipartUpload/error-200-done": {left: 1},
		}},
	{name: "a stream", source: aStream, size: 3*KiB + 5,
		calls: []call{{"UploadPart 1", 0}, {"UploadPart 4", 0}, {"CompleteMultipartUpload", 0}},
		ends: map[string]end{
			"UploadPart 1/refuse":                   access,
			"UploadPart 4/refuse":                   access,
			"CompleteMultipartUpload/refuse":        access,
			"CompleteMultipartUpload/corrupt-quiet": integrity,
		}},
	{name: "a file, resumed", source: aFile, size: 3*KiB + 5, change: staleAfter(0),
		prepare: func(t testing.TB, st *stand, data []byte) {
			st.begin(t, "k", data, KiB, 1, 2)
			st.begin(t, "k", random(5*KiB, "other"), KiB, 1)
		},
		calls: []call{{"ListMultipartUploads", 0}, {"ListParts", 0}, {"AbortMultipartUpload", 0}, {"ListParts", 2}},
		ends: map[string]end{
			"ListMultipartUploads/refuse": {left: 2},
			"AbortMultipartUpload/refuse": {left: 1},
		}},
	{name: "a file, staged", source: aFile, size: 3*KiB + 5, change: normalize(upload.NormalizeStaged),
		calls: []call{{"DeleteObject", 0}, {"ListObjectsV2", 0}, {"CopyObject", 0}, {"HeadObject", 2}, {"HeadObject", 3},
			{"CopyObject", 1}, {"HeadObject", 4}, {"DeleteObject", 1}},
		ends: map[string]end{
			"DeleteObject/refuse":              access,
			"CopyObject/refuse":                refused,
			"CopyObject/corrupt-quiet":         kept,
			"CopyObject/wrong-object":          kept,
			"HeadObject after 2/refuse":        refused,
			"HeadObject after 2/wrong-etag":    kept,
			"HeadObject after 3/refuse":        access,
			"HeadObject after 3/wrong-etag":    conflict,
			"CopyObject after 1/refuse":        refused,
			"CopyObject after 1/corrupt-quiet": integrity,
			"HeadObject after 4/refuse":        access,
			"HeadObject after 4/wrong-etag":    conflict,
		}},
	{name: "a file, published", source: aFile, size: 3*KiB + 5, change: publish,
		calls: []call{{"DeleteObject", 0}, {"HeadObject", 0}, {"CompleteMultipartUpload", 0}, {"HeadObject", 1}, {"HeadObject", 2},
			{"CopyObject", 0}, {"HeadObject", 3}, {"DeleteObject", 1}},
		ends: map[string]end{
			"DeleteObject/refuse":                   access,
			"CompleteMultipartUpload/refuse":        access,
			"CompleteMultipartUpload/corrupt-quiet": integrity,
			"CompleteMultipartUpload/wrong-object":  integrity,
			"HeadObject after 1/refuse":             {kind: upload.Access, staged: true},
			"HeadObject after 1/wrong-etag":         {kind: upload.Conflict, staged: true},
			"CopyObject/refuse":                     {kind: upload.Access, staged: true},
			"CopyObject/corrupt-quiet":              integrity,
			"CopyObject/wrong-object":               integrity,
			"HeadObject after 3/refuse":             {kind: upload.Access, staged: true},
			"HeadObject after 3/wrong-etag":         conflict,
		}},
}

// faults lists what can be done to a call: of what changes nothing, one of each
// sort; of what writes, all. A stream differs from a file where a part or an
// object is sent again, and where it cannot be.
func faults(op string, kind sourceKind) []s3test.Action {
	if kind.name == aStream.name {
		return []s3test.Action{s3test.Refuse, s3test.Lose, s3test.CutBody, s3test.EmptyNoop, s3test.Corrupt, s3test.CorruptQuiet, s3test.WrongETag}
	}
	all := []s3test.Action{s3test.Status, s3test.Refuse, s3test.Lose, s3test.Cut, s3test.HTML200}
	switch op, _, _ := strings.Cut(op, " "); op {
	case "HeadObject":
		return append(all, s3test.WrongETag)
	case "ListMultipartUploads", "ListParts", "ListObjectsV2":
		return append(all, s3test.Empty200, s3test.Error200)
	case "PutObject", "UploadPart":
		all = append(all, s3test.CutBody, s3test.Corrupt, s3test.CorruptQuiet, s3test.WrongETag)
	case "CompleteMultipartUpload", "CopyObject":
		all = append(all, s3test.CorruptQuiet, s3test.WrongETag, s3test.WrongObject)
	}
	return append(all, s3test.SlowDown, s3test.LoseUnexecuted, s3test.CutClose, s3test.Empty200, s3test.EmptyNoop,
		s3test.Error200, s3test.Error200Done)
}

// Each call that the engine makes is broken once, in every way. Whatever is
// done, an upload that ends well has made the right object, and one that does
// not leaves only what the same upload again goes on with.
func TestFaults(t *testing.T) {
	for _, sc := range scenarios {
		for _, c := range sc.calls {
			for _, do := range faults(c.op, sc.source) {
				name := fmt.Sprintf("%s/%s", c, do)
				t.Run(sc.name+"/"+name, func(t *testing.T) {
					t.Parallel()
					st := newStand(t, s3test.Options{})
					data := random(sc.size, "faults")
					changes := sc.start(t, st, data)
					st.Fault(s3test.Fault{Op: c.op, After: c.after, Do: do})
					r := st.upload(t, sc.source.of(t, data), "k", changes...)
					hit := func(rec s3test.Record) bool { return rec.Fault == do }
					if !slices.ContainsFunc(st.Requests(), hit) {
						t.Fatal("the fault has not hit")
					}
					want := sc.ends[name]
					if strings.HasPrefix(c.op, "List") && strings.HasSuffix(sc.name, "resumed") && do != s3test.Refuse && r.PartsResumed != 2 {
						t.Errorf("%d parts were resumed, want 2 (%q)", r.PartsResumed, r.Notes)
					}
					sc.check(t, st, r, data, want)
					if r.Err == nil {
						return
					}
					r = st.upload(t, sc.source.of(t, data), "k", changes...)
					sc.check(t, st, r, data, end{left: want.left})
				})
			}
		}
	}
}

// start makes what is there before the upload, and returns its options.
func (sc *scenario) start(t testing.TB, st *stand, data []byte) []func(*run) {
	if sc.prepare != nil {
		sc.prepare(t, st, data)
	}
	if sc.change == nil {
		return nil
	}
	return []func(*run){sc.change}
}

func (sc *scenario) check(t testing.TB, st *stand, r *upload.Result, data []byte, want end) {
	t.Helper()
	st.check(t, r, "k", data, want.kind)
	if (r.Err != nil) != (want.kind != upload.Other) {
		t.Errorf("error %v, want one of kind %d", r.Err, want.kind)
	}
	if r.Err == nil {
		if want.normalized == "" {
			switch {
			case sc.size < 2*KiB:
				want.normalized = upload.SinglePut
			case strings.HasSuffix(sc.name, "staged"), strings.HasSuffix(sc.name, "published"):
				want.normalized = upload.StagedCopy
			default:
				want.normalized = upload.SelfCopy
			}
		}
		if r.Normalized != want.normalized {
			t.Errorf("normalized: %s, want %s (%q)", r.Normalized, want.normalized, r.Notes)
		}
	}
	if left := st.unfinished(t, "k"); len(left) != want.left && !(r.Resumable && len(left) == want.left+1) {
		t.Errorf("unfinished: %v, want %d", left, want.left)
	}
	for _, key := range st.Objects(st.bucket) {
		if key != "k" && key != "decoy" && !want.staged && !slices.ContainsFunc(r.Notes, func(note string) bool { return strings.Contains(note, key) }) {
			t.Errorf("the object %q is left, and nothing said of it", key)
		}
	}
}

// A fault that stays ends an upload of a file with what a later run needs, and
// what is left is never an object of other bytes.
func TestLastingFaults(t *testing.T) {
	for _, test := range []struct {
		op    string
		do    s3test.Action
		code  string
		kind  upload.Kind
		parts int // kept
	}{
		{op: "UploadPart 4", do: s3test.CorruptQuiet, kind: upload.Integrity},
		{op: "UploadPart 4", do: s3test.Corrupt, kind: upload.Integrity},
		{op: "UploadPart 4", do: s3test.WrongETag, kind: upload.Integrity},
		{op: "UploadPart 4", do: s3test.EmptyNoop, kind: upload.Temporary, parts: 3},
		{op: "UploadPart 4", do: s3test.Refuse, kind: upload.Access, parts: 3},
		{op: "UploadPart 4", do: s3test.Status, code: "ExpiredToken", kind: upload.Access, parts: 3},
		{op: "UploadPart 4", do: s3test.Status, code: "NoSuchBucket", kind: upload.NotFound},
		{op: "UploadPart 4", do: s3test.Status, code: "InvalidRequest", kind: upload.Other},
		{op: "CompleteMultipartUpload", do: s3test.EmptyNoop, kind: upload.Temporary, parts: 4},
		{op: "CompleteMultipartUpload", do: s3test.Refuse, kind: upload.Access, parts: 4},
		{op: "CompleteMultipartUpload", do: s3test.Status, code: "InvalidPart", kind: upload.Other},
		{op: "CopyObject", do: s3test.EmptyNoop, kind: upload.Other},
		{op: "CopyObject", do: s3test.Status, code: "ExpiredToken", kind: upload.Access},
		{op: "HeadObject", do: s3test.HTML200, kind: upload.Temporary},
		{op: "CreateMultipartUpload", do: s3test.HTML200, kind: upload.Temporary},
		{op: "PutObject", do: s3test.Corrupt, kind: upload.Integrity},
		{op: "PutObject", do: s3test.HTML200, kind: upload.Temporary},
	} {
		for _, kind := range sources {
			name := fmt.Sprintf("%s/%s %s/%s", kind.name, test.op, test.do, test.code)
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{})
				data := random(3*KiB+5, "lasting")
				if test.op == "PutObject" {
					data = data[:1000]
				}
				st.Fault(s3test.Fault{Op: test.op, Times: -1, Do: test.do, Code: test.code})
				r := st.upload(t, kind.of(t, data), "k", oneAtATime)
				if upload.KindOf(r.Err) != test.kind {
					t.Errorf("error %v of kind %d, want %d", r.Err, upload.KindOf(r.Err), test.kind)
				}
				st.check(t, r, "k", data, test.kind)
				left := st.unfinished(t, "k")
				switch {
				case test.parts > 0 && kind.name == "file":
					for _, parts := range left {
						if len(parts) != test.parts {
							t.Errorf("parts %v are kept, want %d", parts, test.parts)
						}
					}
					if len(left) != 1 || !r.Resumable {
						t.Errorf("unfinished: %v, resumable: %t", left, r.Resumable)
					}
				case len(left) > 0:
					t.Errorf("unfinished: %v", left)
				}
				if o, ok := st.Object(st.bucket, "k"); ok && o.Size != int64(len(data)) {
					t.Errorf("there is an object of %d bytes", o.Size)
				}
			})
		}
	}
}

// The store says that it has not got a part that it took: a file goes up once
// more, a stream cannot.
func TestLostPart(t *testing.T) {
	const busy = 10 // attempts while the store may be busy
	for _, kind := range sources {
		st := newStand(t, s3test.Options{})
		data := random(3*KiB+5, "lost")
		st.Fault(s3test.Fault{Op: "CompleteMultipartUpload", Times: 1 + busy, Do: s3test.Status, Code: "InvalidPart"})
		r := st.upload(t, kind.of(t, data), "k")
		if kind.name == aFile.name {
			st.ends(t, r, "k", data, upload.SelfCopy)
			notes(t, r, "the store has lost a part that it took: starting anew")
		} else if upload.KindOf(r.Err) != upload.Other || r.Err == nil {
			t.Errorf("error %v of kind %d, want %d", r.Err, upload.KindOf(r.Err), upload.Other)
		}
		st.nothingLeft(t, "k")
	}
}

// A store that still writes parts that it took says the same, for a while.
func TestBusyWithParts(t *testing.T) {
	for _, kind := range sources {
		st := newStand(t, s3test.Options{})
		data := random(3*KiB+5, "busy")
		st.Fault(s3test.Fault{Op: "CompleteMultipartUpload", Times: 5, Do: s3test.Status, Code: "InvalidPart"})
		r := st.upload(t, kind.of(t, data), "k")
		st.ends(t, r, "k", data, upload.SelfCopy)
		notes(t, r)
		if r.BytesSent != int64(len(data)) {
			t.Errorf("%s: %d bytes sent, want %d", kind.name, r.BytesSent, len(data))
		}
		st.nothingLeft(t, "k")
	}
}

// A store whose ETags were seen to be MD5s cannot pass off others as opaque.
func TestWrongBytesAreNotOpaque(t *testing.T) {
	for _, size := range []int64{1000, 3*KiB + 5} {
		for _, kind := range sources {
			st := newStand(t, s3test.Options{})
			u, err := upload.New(st.store.Client, st.options())
			if err != nil {
				t.Fatal(err)
			}
			data := random(size, "quiet")
			send := func(key string) *upload.Result {
				return u.Upload(t.Context(), &upload.Job{Source: kind.of(t, data), Bucket: st.bucket, Key: key})
			}
			st.check(t, send("first"), "first", data)
			for _, op := range []string{"PutObject", "UploadPart"} {
				st.Fault(s3test.Fault{Op: op, Times: -1, Do: s3test.CorruptQuiet})
			}
			if r := send("k"); upload.KindOf(r.Err) != upload.Integrity {
				t.Errorf("%s of %d: error %v of kind %d, want %d", kind.name, size, r.Err, upload.KindOf(r.Err), upload.Integrity)
			}
			st.nothingLeft(t, "k")
		}
	}
}

// Silence is given up, and the call is made again.
func TestStalls(t *testing.T) {
	const window = 300 * time.Millisecond
	for _, op := range []string{"HeadObject", "UploadPart 2", "CompleteMultipartUpload", "CopyObject"} {
		for _, do := range []s3test.Action{s3test.Stall, s3test.StallBody, s3test.StallAnswer} {
			t.Run(fmt.Sprintf("%s/%s", op, do), func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{}, func(c *store.Config) { c.StallTimeout, c.LongStallTimeout = window, window })
				st.Fault(s3test.Fault{Op: op, Do: do})
				data := random(3*KiB, "stalls")
				st.ends(t, st.upload(t, file(t, data), "k"), "k", data, upload.SelfCopy)
			})
		}
	}
}
