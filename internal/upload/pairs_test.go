package upload_test

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

// A flow is an upload, and the calls that it makes, in their order.
type flow struct {
	name    string
	source  sourceKind
	size    int64
	prepare func(t testing.TB, st *stand, data []byte)
	change  func(*run)
	ifMatch bool // it is to replace what is there
	calls   []call
}

var (
	flowInParts = []call{{"HeadObject", 0}, {"ListMultipartUploads", 0}, {"CreateMultipartUpload", 0}, {"UploadPart 1", 0},
		{"UploadPart 3", 0}, {"CompleteMultipartUpload", 0}, {"HeadObject", 1}, {"CopyObject", 0}, {"HeadObject", 2}}
	flowStaged = slices.Concat([]call{{"DeleteObject", 0}, {"ListObjectsV2", 0}}, flowInParts,
		[]call{{"HeadObject", 3}, {"CopyObject", 1}, {"HeadObject", 4}, {"DeleteObject", 1}})
	flowResumed = []call{{"ListMultipartUploads", 0}, {"ListParts", 0}, {"ListParts", 1}, {"AbortMultipartUpload", 0}, {"ListParts", 2},
		{"UploadPart 3", 0}, {"CompleteMultipartUpload", 0}, {"HeadObject", 1}, {"CopyObject", 0}, {"HeadObject", 2}}
	flowPublished = []call{{"DeleteObject", 0}, {"HeadObject", 0}, {"ListMultipartUploads", 0}, {"CreateMultipartUpload", 0}, {"UploadPart 1", 0},
		{"CompleteMultipartUpload", 0}, {"HeadObject", 1}, {"HeadObject", 2}, {"CopyObject", 0}, {"HeadObject", 3}, {"HeadObject", 4}, {"DeleteObject", 1}}
	flowIfMatch = []call{{"HeadObject", 0}, {"UploadPart 3", 0}, {"HeadObject", 1}, {"CompleteMultipartUpload", 0}, {"HeadObject", 2},
		{"CopyObject", 0}, {"HeadObject", 3}}
	flowInOnePiece = []call{{"PutObject", 0}, {"HeadObject", 0}} // it looks where the answer says nothing
)

var flows = []flow{
	{name: "small file", source: aFile, size: 1000, calls: flowInOnePiece},
	{name: "small stream", source: aStream, size: 1000, calls: flowInOnePiece},
	{name: "file", source: aFile, size: 2*KiB + 5, calls: flowInParts},
	{name: "stream", source: aStream, size: 2*KiB + 5, calls: flowInParts},
	{name: "staged", source: aFile, size: 2*KiB + 5, calls: flowStaged, change: normalize(upload.NormalizeStaged)},
	{name: "published", source: aFile, size: 2*KiB + 5, calls: flowPublished, change: publish},
	{name: "if match", source: aFile, size: 2*KiB + 5, calls: flowIfMatch, ifMatch: true},
	{name: "small, if match", source: aStream, size: 1000, calls: []call{{"HeadObject", 0}, {"PutObject", 0}, {"HeadObject", 1}}, ifMatch: true},
	{name: "resumed", source: aFile, size: 2*KiB + 5, calls: flowResumed, change: staleAfter(0),
		prepare: func(t testing.TB, st *stand, data []byte) {
			st.begin(t, "k", data, KiB, 1, 2)
			st.begin(t, "k", random(5*KiB, "other"), KiB, 1)
		}},
}

// lost are the ways in which an answer is not the store's, or does not come: the
// request was done, but for that of HTML200.
var lost = []s3test.Action{s3test.Lose, s3test.Cut, s3test.Empty200, s3test.HTML200, s3test.Error200Done}

// pairStores differ in what they make of a call that is made again: one refuses
// it, the other does it once more.
var pairStores = []struct {
	name   string
	quirks s3test.Quirks
}{
	{"strict", s3test.Quirks{CompleteOnce: true}},
	{"no conditions", s3test.Quirks{CopyIgnoresConditions: true, CompleteIgnoresConditions: true, PutIgnoresConditions: true}},
}

// A pair is an upload two of whose calls have no answer of the store's.
type pair struct {
	flow   flow
	quirks s3test.Quirks
	calls  [2]call
	do     [2]s3test.Action
	name   string
}

// allPairs lists each two calls of each flow, a call and its own repetition among
// them, with each two ways to lose an answer.
func allPairs() []pair {
	var all []pair
	for _, f := range flows {
		for _, store := range pairStores {
			for i, first := range f.calls {
				for _, second := range f.calls[i:] {
					for _, do := range lost {
						for _, then := range lost {
							all = append(all, pair{f, store.quirks, [2]call{first, second}, [2]s3test.Action{do, then},
								fmt.Sprintf("%s/%s/%s, %s and %s, %s", f.name, store.name, first, do, second, then)})
						}
					}
				}
			}
		}
	}
	return all
}

// pairShares is into how many shares the pairs are cut, one of which is tested
// where nobody asks for all of them.
const pairShares = 500

// Any two answers of an upload are lost, cut, emptied, a proxy's, or an error
// though all was done. The upload ends well all the same, or says that it is to
// be run again; then that ends well. Either leaves nothing behind that the next
// run does not clear away.
//
// One share of the pairs is tested: that of S3UP_SEED, or any. With S3UP_SOAK, or
// where -run asks for pairs by name, it is all of them.
func TestPairsOfFaults(t *testing.T) {
	all := allPairs()
	share, shares := pairSeed(t)%pairShares, uint64(pairShares)
	if os.Getenv("S3UP_SOAK") != "" || strings.Contains(flag.Lookup("test.run").Value.String(), "/") {
		share, shares = 0, 1
	} else {
		t.Logf("again: S3UP_SEED=%d go test -run TestPairsOfFaults ./internal/upload", share)
	}
	n := 0
	for i, p := range all {
		if uint64(i)%shares != share {
			continue
		}
		n++
		t.Run(p.name, func(t *testing.T) {
			t.Parallel()
			p.test(t)
		})
	}
	t.Logf("%d of %d pairs", n, len(all))
}

// pairSeed is the seed that the environment asks for, or a random one.
func pairSeed(t *testing.T) uint64 {
	text := os.Getenv("S3UP_SEED")
	if text == "" {
		return rand.Uint64()
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("S3UP_SEED: %v", err)
	}
	return seed
}

func (p *pair) test(t *testing.T) {
	st := newStand(t, s3test.Options{Quirks: p.quirks})
	data, old := random(p.flow.size, "pairs"), random(p.flow.size, "old")
	st.Put(st.bucket, "k", old)
	if p.flow.prepare != nil {
		p.flow.prepare(t, st, data)
	}
	var changes []func(*run)
	if p.flow.change != nil {
		changes = append(changes, p.flow.change)
	}
	prepared := st.unfinished(t, "k")
	st.ResetRequests()
	for i, c := range p.calls {
		st.Fault(s3test.Fault{Op: c.op, After: c.after, Do: p.do[i]})
	}

	if p.flow.ifMatch {
		changes = append(changes, ifMatch(md5Hex(old)))
	}
	r := st.upload(t, p.flow.source.of(t, data), "k", changes...)
	st.check(t, r, "k", data, upload.Temporary)
	if r.Err == nil && r.ETagKind != upload.ETagMD5 {
		t.Errorf("normalized: %s, ETag of kind %s (%q)", r.Normalized, r.ETagKind, r.Notes)
	}
	o := st.object(t, "k")
	if o == nil || string(o.body) != string(data) && string(o.body) != string(old) {
		t.Error("the object is neither what was there nor what was sent")
	}
	st.ClearFaults()
	if clean := p.left(t, st, r, prepared); clean && r.Err == nil {
		return
	}
	r = st.upload(t, p.flow.source.of(t, data), "k", append(changes, staleAfter(0))...)
	if p.flow.ifMatch && r.Err == nil && r.Status == upload.Unchanged {
		r.Status = upload.Uploaded // by the first run, it turns out
	}
	st.check(t, r, "k", data)
	if r.ETagKind != upload.ETagMD5 {
		t.Errorf("the next run ended with an ETag of kind %s", r.ETagKind)
	}
	st.nothingLeft(t, "k")
	if keys := st.Objects(st.bucket); len(keys) != 1 {
		t.Errorf("after the next run, the bucket has %q", keys)
	}
}

// left looks at what an upload has left: if it ended well, only what it could not
// know of. It says whether that is nothing.
func (p *pair) left(t *testing.T, st *stand, r *upload.Result, prepared map[string]map[int]int64) (clean bool) {
	t.Helper()
	hits := make(map[string]int) // by operation
	for _, rec := range st.Requests() {
		if rec.Fault != s3test.None {
			hits[rec.Op]++
		}
	}
	left, keys := st.unfinished(t, "k"), st.Objects(st.bucket)
	if r.Err != nil {
		return false
	}
	unknown := 0
	for id, parts := range left {
		switch _, there := prepared[id]; {
		case !there && len(parts) == 0:
			unknown++
		default:
			t.Errorf("an unfinished upload is left with the parts %v (%q)", parts, r.Notes)
		}
	}
	if unknown > hits["CreateMultipartUpload"] {
		t.Errorf("%d unfinished uploads are left, %d could not be known of", unknown, hits["CreateMultipartUpload"])
	}
	if len(keys) > 1 {
		t.Errorf("the bucket has %q (%q)", keys, r.Notes)
	}
	return len(left) == 0 && len(keys) == 1
}
