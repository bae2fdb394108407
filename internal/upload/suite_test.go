package upload_test

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"mime"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"s3up/internal/s3test"
	"s3up/internal/store"
	"s3up/internal/upload"
)

// An expectation is what is known of a store, where stores differ.
type expectation struct {
	auto, staged, off upload.Normalized // of an object that went up in parts

	odd        map[string]upload.Normalized // keys for which auto ends otherwise
	noListing  bool                         // unfinished uploads cannot be listed, so none is gone on with
	noAborting bool                         // nor can they be aborted
	partOnce   bool                         // a part that is there cannot be sent again
	folders    bool                         // a key cannot go on where another one ends: "k" beside "k/x"
}

// expectations of stores as they are, and of what s3test makes of them: the fake
// passes the suite that the real ones pass.
var expectations = map[string]expectation{
	"aws":       {auto: upload.SelfCopy, staged: upload.StagedCopy, off: upload.Off},
	"minio":     {auto: upload.SelfCopy, staged: upload.StagedCopy, off: upload.Off},
	"minio-old": {auto: upload.Kept, staged: upload.StagedCopy, off: upload.Off},
	"versitygw": {auto: upload.Kept, staged: upload.StagedCopy, off: upload.Off,
		odd: map[string]upload.Normalized{"what?versionId=1": upload.Refused}},
	"seaweedfs": {auto: upload.Kept, staged: upload.Kept, off: upload.Off},
	"ceph":      {auto: upload.Kept, staged: upload.Kept, off: upload.Off},
	"rclone":    {auto: upload.Already, staged: upload.Already, off: upload.Already, partOnce: true, folders: true},
	"gofakes3":  {auto: upload.Already, staged: upload.Already, off: upload.Already},
	"moto":      {auto: upload.SelfCopy, staged: upload.StagedCopy, off: upload.Off},
	"s3rver":    {auto: upload.Already, staged: upload.Already, off: upload.Already, noListing: true, noAborting: true},
	"r2":        {auto: upload.SelfCopy, staged: upload.StagedCopy, off: upload.Off},
}

// TestSuite holds for every store. It runs against the stores that s3test can
// be, or against the real one that the environment names:
//
//	S3UP_TEST_ENDPOINT=http://127.0.0.1:9000 S3UP_TEST_STORE=minio \
//	AWS_ACCESS_KEY_ID=… AWS_SECRET_ACCESS_KEY=… go test -run TestSuite ./internal/upload
func TestSuite(t *testing.T) {
	if endpoint := os.Getenv("S3UP_TEST_ENDPOINT"); endpoint != "" {
		name := os.Getenv("S3UP_TEST_STORE")
		expect, ok := expectations[name]
		if !ok {
			t.Fatalf("S3UP_TEST_STORE %q is not one of %v", name, slices.Sorted(maps.Keys(expectations)))
		}
		suite(t, expect, wholeSuite, func(t *testing.T) *stand { return newRealStand(t, endpoint) })
		return
	}
	for _, name := range s3test.StoreNames() {
		t.Run(name, func(t *testing.T) {
			quirks, _ := s3test.Store(name)
			tests := wholeSuite
			if name != "aws" {
				tests = whereStoresDiffer
			}
			suite(t, expectations[name], tests, func(t *testing.T) *stand {
				t.Parallel()
				return newStand(t, s3test.Options{Quirks: quirks})
			})
		})
	}
}

type suiteTest = func(*testing.T, *stand, expectation)

// whereStoresDiffer holds the tests whose course is another one on other stores.
// On s3test, which is one program whatever its quirks, the rest runs once.
var whereStoresDiffer = map[string]suiteTest{
	"properties":           testProperties,
	"a part that differs":  testPartDiffers,
	"resume/stream":        testResumeStream,
	"does not fit":         testDoesNotFit,
	"died before the copy": testDiedBeforeCopy,
	"staged":               testStaged,
	"off":                  testOff,
	"cancelled":            testCancelled,
	"cancelled/stream":     testCancelledStream,
}

var wholeSuite = func() map[string]suiteTest {
	all := map[string]suiteTest{
		"sizes":           testSizes,
		"keys":            testKeys,
		"replaces":        testReplaces,
		"standard class":  testStandardClass,
		"several at once": testSeveral,
		"no bucket":       testNoBucket,
		"twins":           testTwins,
		"resume":          testResume,
		"stale":           testStaleUploads,
		"neighbours":      testNeighbours,
	}
	maps.Copy(all, whereStoresDiffer)
	return all
}()

// suite runs each test on a stand of its own.
func suite(t *testing.T, e expectation, tests map[string]suiteTest, newStand func(*testing.T) *stand) {
	for name, test := range tests {
		t.Run(name, func(t *testing.T) { test(t, newStand(t), e) })
	}
}

// etagKind is what the ETag of an object is that was normalized so.
func etagKind(n upload.Normalized) upload.ETagKind {
	switch n {
	case upload.Kept, upload.Off, upload.TooLarge, upload.Refused:
		return upload.ETagMultipart
	case upload.Opaque, upload.ChecksumMD5:
		return upload.ETagOpaque
	}
	return upload.ETagMD5
}

// ends makes sure that an upload ended well, in a way.
func (st *stand) ends(t testing.TB, r *upload.Result, key string, data []byte, n upload.Normalized) {
	t.Helper()
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	st.check(t, r, key, data)
	if r.Normalized != n || r.ETagKind != etagKind(n) {
		t.Errorf("normalized: %s, with an ETag of kind %s, want %s, %s", r.Normalized, r.ETagKind, n, etagKind(n))
	}
}

func testSizes(t *testing.T, st *stand, e expectation) {
	part, threshold := st.part, 2*st.part
	for _, size := range []int64{0, 1, part - 1, part, part + 1, threshold - 1, threshold, threshold + 1, 3 * part, 4*part + part/3} {
		data := random(size, "sizes")
		for _, kind := range sources {
			t.Run(fmt.Sprintf("%s of %d", kind.name, size), func(t *testing.T) {
				if st.Server != nil {
					st.ResetRequests()
				}
				key := fmt.Sprintf("%s/%d", kind.name, size)
				r := st.upload(t, kind.of(t, data), key, allowEmpty)
				want := upload.Result{Status: upload.Uploaded, Size: size, BytesSent: size, Normalized: upload.SinglePut,
					ContentType: "application/octet-stream"}
				if size > threshold {
					want.Parts, want.PartSize, want.Normalized = int((size+part-1)/part), part, e.auto
				}
				st.ends(t, r, key, data, want.Normalized)
				got := upload.Result{Status: r.Status, Size: r.Size, BytesSent: r.BytesSent, Normalized: r.Normalized,
					ContentType: r.ContentType, Parts: r.Parts, PartSize: r.PartSize}
				if size == 0 || kind.name == "stream" { // the type is told by the content
					got.ContentType = want.ContentType
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("result (-want +got):\n%s", diff)
				}
				if o := st.object(t, key); o.contentType != r.ContentType {
					t.Errorf("content type %q, the result says %q", o.contentType, r.ContentType)
				}
				if !e.noAborting {
					st.nothingLeft(t, key)
				}
				if size > threshold && r.Requests["UploadPart"] != want.Parts || size <= threshold && r.Requests["PutObject"] != 1 {
					t.Errorf("requests %v", r.Requests)
				}
				if st.Server != nil {
					for op, n := range r.Requests {
						if got := st.Count(op); got != n {
							t.Errorf("the result tells of %d times %s, the store of %d", n, op, got)
						}
					}
					all := 0
					for _, n := range r.Requests {
						all += n
					}
					if n := st.Count("*"); n != all {
						t.Errorf("the result tells of %d requests, the store of %d", all, n)
					}
				}
			})
		}
	}
}

func testProperties(t *testing.T, st *stand, e expectation) {
	metadata := map[string]string{"commas": "a, b,c", "UPPER-Case": "Value", "umlaut": "grün", "mtime": "1700000000.5"}
	for size, kind := range map[int64]sourceKind{10: aFile, 2*st.part + 10: aFile, 2*st.part + 11: aStream} {
		t.Run(fmt.Sprintf("%s of %d", kind.name, size), func(t *testing.T) {
			data, key := random(size, "properties"), fmt.Sprintf("%s-%d", kind.name, size)
			r := st.upload(t, kind.of(t, data), key, func(r *run) {
				r.ContentType, r.CacheControl, r.Metadata = "text/x-test; charset=utf-8", "max-age=60, public", metadata
			})
			n := upload.SinglePut
			if size > 2*st.part {
				n = e.auto
			}
			st.ends(t, r, key, data, n)
			o := st.object(t, key)
			if o.contentType != "text/x-test; charset=utf-8" || o.cacheControl != "max-age=60, public" {
				t.Errorf("content type %q, cache control %q", o.contentType, o.cacheControl)
			}
			want, got := make(map[string]string), make(map[string]string)
			for name, value := range metadata {
				want[strings.ToLower(name)] = value
			}
			for name, value := range o.metadata {
				var words mime.WordDecoder // MinIO answers in RFC 2047
				if got[name], _ = words.DecodeHeader(value); got[name] == "" {
					got[name] = value
				}
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("metadata (-want +got):\n%s", diff)
			}
			if n == upload.Kept {
				notes(t, r, "keeps the composite ETag")
			} else if !e.noListing {
				notes(t, r)
			}
		})
	}
}

// Each key stands beside another one, which is what a store gets that reads the
// source of a copy otherwise than it was meant.
func testKeys(t *testing.T, st *stand, e expectation) {
	for key, decoy := range map[string]string{
		"a b":              "a+b",
		"c+d":              "c d",
		"e%2Bf":            "e+f",
		"p%q":              "p%25q",
		"g%20h":            "g h",
		"grün/ünï €":       "gr%C3%BCn",
		`it's "quoted"`:    "it",
		"&=;,$@:":          "&",
		"dir/sub/deep.txt": "dir/sub/deep",
		"what?versionId=1": "what",
		"hash#tag":         "hash",
		"[x]{y}^~|`":       "[x]",
		"star*()!":         "star",
	} {
		t.Run(key, func(t *testing.T) {
			data, other := random(2*st.part+7, key), []byte("the decoy")
			st.put(t, decoy, other)
			r := st.upload(t, file(t, data), key)
			want := e.auto
			if odd, ok := e.odd[key]; ok {
				want = odd
			}
			st.ends(t, r, key, data, want)
			if o := st.object(t, decoy); o == nil || !bytes.Equal(o.body, other) {
				t.Errorf("the object under %q was touched", decoy)
			}
			if !e.noAborting {
				st.nothingLeft(t, key)
			}
		})
	}
}

func testResume(t *testing.T, st *stand, e expectation) {
	part := st.part
	data := random(6*part+part/2, "resume")
	for name, test := range map[string]struct {
		part    int64 // of the earlier run
		numbers []int
	}{
		"the first parts":      {part, []int{1, 2}},
		"parts here and there": {part, []int{2, 4, 7}},
		"all parts":            {part, []int{1, 2, 3, 4, 5, 6, 7}},
		"only the last part":   {part, []int{7}},
		"of larger parts":      {2 * part, []int{1, 3}},
		"the last, of larger":  {2 * part, []int{4}},
	} {
		t.Run(name, func(t *testing.T) {
			st.begin(t, name, data, test.part, test.numbers...)
			r := st.upload(t, file(t, data), name)
			st.ends(t, r, name, data, e.auto)
			st.resumed(t, r, e, data, test.part, test.numbers...)
			if !e.noAborting {
				st.nothingLeft(t, name)
			}
		})
	}
	t.Run("not wanted", func(t *testing.T) {
		st.begin(t, "no", data, part, 1, 2)
		r := st.upload(t, file(t, data), "no", staleAfter(0), func(r *run) { r.NoResume = true })
		st.ends(t, r, "no", data, e.auto)
		st.resumed(t, r, e, data, part)
		if !e.noAborting {
			st.nothingLeft(t, "no")
		}
	})
}

// resumed makes sure that an upload went on with these parts, of that size.
func (st *stand) resumed(t testing.TB, r *upload.Result, e expectation, data []byte, part int64, numbers ...int) {
	t.Helper()
	if e.noListing {
		part, numbers = st.part, nil
	}
	sent := int64(len(data))
	for _, n := range numbers {
		sent -= int64(len(partOf(data, part, n)))
	}
	if r.PartsResumed != len(numbers) || r.BytesSent != sent || r.PartSize != part {
		t.Errorf("%d parts of %d resumed, %d bytes sent, want %d of %d, %d", r.PartsResumed, r.PartSize, r.BytesSent, len(numbers), part, sent)
	}
}

// A part of another file, in the middle of an upload that fits, is sent again,
// or the upload is begun anew where the store takes no part twice.
func testPartDiffers(t *testing.T, st *stand, e expectation) {
	data := random(4*st.part+5, "differs")
	id := st.begin(t, "k", data, st.part, 1, 2)
	st.sendPart(t, "k", id, 3, random(st.part, "other"))
	r := st.upload(t, file(t, data), "k")
	st.ends(t, r, "k", data, e.auto)
	if e.partOnce {
		if r.PartsResumed != 0 {
			t.Errorf("%d parts resumed, want none", r.PartsResumed)
		}
		notes(t, r, "takes no part twice: starting anew")
	} else {
		st.resumed(t, r, e, data, st.part, 1, 2)
	}
	if !e.noAborting {
		st.nothingLeft(t, "k")
	}
}

// A stream is compared with an unfinished upload as it comes.
func testResumeStream(t *testing.T, st *stand, e expectation) {
	data := random(6*st.part+st.part/2, "resume")
	for key, test := range map[string]struct {
		part    int64
		numbers []int
	}{
		"of equal parts":  {st.part, []int{1, 2, 4}},
		"of larger parts": {2 * st.part, []int{1, 2}},
	} {
		st.begin(t, key, data, test.part, test.numbers...)
		r := st.upload(t, stream(t, data), key)
		st.ends(t, r, key, data, e.auto)
		st.resumed(t, r, e, data, test.part, test.numbers...)
		if !e.noAborting {
			st.nothingLeft(t, key)
		}
	}
}

// An upload that does not fit is aborted when it shows no life, else left alone.
func testDoesNotFit(t *testing.T, st *stand, e expectation) {
	data := random(3*st.part+5, "fits")
	id := st.begin(t, "k", random(3*st.part+5, "other"), st.part, 1, 2)
	st.doesNotFit(t, aFile, "k", id, data, e)
}

func testStaleUploads(t *testing.T, st *stand, e expectation) {
	part := st.part
	data := random(4*part+part/2, "fits")
	wrong := random(int64(len(data)), "other")
	for name, begin := range map[string]func(key string) string{
		"no parts":          func(key string) string { return st.create(t, key) },
		"of another stream": func(key string) string { return st.begin(t, key, wrong, part, 1, 2) },
		"of a larger file":  func(key string) string { return st.begin(t, key, append(data, wrong...), part, 1, 6) },
		"of a smaller file": func(key string) string { return st.begin(t, key, data[:2*part+5], part, 1, 3) },
		"of unequal parts": func(key string) string {
			id := st.begin(t, key, data, part, 1)
			st.sendPart(t, key, id, 2, data[part:part+part/2])
			return id
		},
	} {
		t.Run(name, func(t *testing.T) {
			kind := aFile // of a stream, only the first part is known when an upload is chosen
			if name == "of another stream" {
				kind = aStream
			}
			st.doesNotFit(t, kind, name, begin(name), data, e)
		})
	}
}

func (st *stand) doesNotFit(t *testing.T, kind sourceKind, key, id string, data []byte, e expectation) {
	t.Helper()
	r := st.upload(t, kind.of(t, data), key)
	st.ends(t, r, key, data, e.auto)
	if r.PartsResumed != 0 || r.UploadsAborted != 0 {
		t.Errorf("%d parts resumed, %d uploads aborted, want none", r.PartsResumed, r.UploadsAborted)
	}
	if left := slices.Collect(maps.Keys(st.unfinishedOr(t, key, id, e))); !slices.Equal(left, []string{id}) {
		t.Errorf("unfinished: %v, want %v", left, id)
	}
	if said := slices.ContainsFunc(r.Notes, func(n string) bool { return strings.Contains(n, id) }); said == e.noListing {
		t.Errorf("notes: %q", r.Notes)
	}

	// Of other bytes, as those that are there already need no upload.
	data = random(int64(len(data)), "fits, too")
	r = st.upload(t, kind.of(t, data), key, staleAfter(0))
	st.ends(t, r, key, data, e.auto)
	if want := map[bool]int{true: 0, false: 1}[e.noListing]; r.UploadsAborted != want || r.PartsResumed != 0 {
		t.Errorf("%d uploads aborted, want %d; %d parts resumed", r.UploadsAborted, want, r.PartsResumed)
	}
	if !e.noAborting {
		st.nothingLeft(t, key)
	}
}

// unfinishedOr is unfinished, where it can be told.
func (st *stand) unfinishedOr(t testing.TB, key, id string, e expectation) map[string]map[int]int64 {
	t.Helper()
	if st.Server == nil && e.noListing {
		return map[string]map[int]int64{id: nil}
	}
	return st.unfinished(t, key)
}

// completed makes a multipart object as a run leaves it that dies before its
// copy.
func (st *stand) completed(t testing.TB, key string, data []byte, part int64, change ...func(*s3.CreateMultipartUploadInput)) {
	t.Helper()
	in := &s3.CreateMultipartUploadInput{Bucket: &st.bucket, Key: &key}
	for _, f := range change {
		f(in)
	}
	up, err := st.client.CreateMultipartUpload(t.Context(), in)
	if err != nil {
		t.Fatal(err)
	}
	st.complete(t, key, *up.UploadId, data, part)
}

// complete sends all parts to an upload, and completes it.
func (st *stand) complete(t testing.TB, key, id string, data []byte, part int64) {
	t.Helper()
	var list []types.CompletedPart
	for p := range slices.Chunk(data, int(part)) {
		n := len(list) + 1
		out, err := st.client.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: &st.bucket, Key: &key, UploadId: &id,
			PartNumber: aws.Int32(int32(n)), Body: bytes.NewReader(p), ContentMD5: aws.String(md5Base64(p))})
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, types.CompletedPart{PartNumber: aws.Int32(int32(n)), ETag: out.ETag})
	}
	if _, err := st.client.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: &st.bucket, Key: &key,
		UploadId: &id, MultipartUpload: &types.CompletedMultipartUpload{Parts: list}}); err != nil {
		t.Fatal(err)
	}
}

func testDiedBeforeCopy(t *testing.T, st *stand, e expectation) {
	data := random(3*st.part+5, "died")
	st.completed(t, "k", data, st.part)
	r := st.upload(t, file(t, data), "k", func(r *run) { r.CacheControl = "no-store" })
	st.ends(t, r, "k", data, e.auto)
	sent, resumed := int64(0), 4
	if e.auto == upload.Already { // there is no mark of it
		sent, resumed = int64(len(data)), 0
	}
	if r.BytesSent != sent || r.PartsResumed != resumed || r.Parts != 4 {
		t.Errorf("%d bytes sent, %d of %d parts resumed, want %d, %d of 4", r.BytesSent, r.PartsResumed, r.Parts, sent, resumed)
	}
	if o := st.object(t, "k"); o.cacheControl != "no-store" {
		t.Errorf("cache control %q: it is that of the earlier run", o.cacheControl)
	}

	// The same parts of other bytes are another object.
	other := random(3*st.part+5, "other")
	r = st.upload(t, file(t, other), "k")
	st.ends(t, r, "k", other, e.auto)
	if r.BytesSent != int64(len(other)) {
		t.Errorf("%d bytes of another file sent, want %d", r.BytesSent, len(other))
	}
}

func testStaged(t *testing.T, st *stand, e expectation) {
	for key, kind := range map[string]sourceKind{"file": aFile, "folder/a+b %2B": aStream} {
		data := random(3*st.part+5, key)
		r := st.upload(t, kind.of(t, data), key, normalize(upload.NormalizeStaged), func(r *run) {
			r.CacheControl, r.Metadata = "max-age=1", map[string]string{"m": "v"}
		})
		st.ends(t, r, key, data, e.staged)
		o := st.object(t, key)
		if o.cacheControl != "max-age=1" || !maps.Equal(o.metadata, map[string]string{"m": "v"}) {
			t.Errorf("cache control %q, metadata %v", o.cacheControl, o.metadata)
		}
		if !e.noAborting {
			st.nothingLeft(t, key)
		}
	}
	if diff := cmp.Diff([]string{"file", "folder/a+b %2B"}, st.keys(t.Context(), t)); diff != "" {
		t.Errorf("objects (-want +got):\n%s", diff)
	}
}

func testOff(t *testing.T, st *stand, e expectation) {
	for _, kind := range sources {
		data := random(3*st.part+5, "off")
		r := st.upload(t, kind.of(t, data), kind.name, normalize(upload.NormalizeOff))
		st.ends(t, r, kind.name, data, e.off)
		if r.Requests["CopyObject"] != 0 {
			t.Errorf("requests %v: a copy was made", r.Requests)
		}
	}
}

// cancelAfter returns a stand's connection that cancels a context when so many
// parts have been stored.
func (st *stand) cancelAfter(t testing.TB, parts int32) (*stand, context.Context) {
	t.Helper()
	ctx, cancel := context.WithCancelCause(t.Context())
	var stored atomic.Int32
	again := *st
	again.store = openStore(t, st.store.Endpoint, func(c *store.Config) {
		c.OnAttempt = func(a store.Attempt) {
			if a.Op == "UploadPart" && a.Err == nil && stored.Add(1) == parts {
				cancel(context.Canceled)
			}
		}
	})
	return &again, ctx
}

func testCancelled(t *testing.T, st *stand, e expectation) {
	data := random(6*st.part+5, "cancelled")
	cancelling, ctx := st.cancelAfter(t, 3)
	r := cancelling.upload(t, file(t, data), "k", with(ctx), oneAtATime)
	if kind := upload.KindOf(r.Err); kind != upload.Interrupted || !r.Resumable {
		t.Fatalf("error %v of kind %d, want %d; resumable %t", r.Err, kind, upload.Interrupted, r.Resumable)
	}
	var there, stored int64
	for _, parts := range st.unfinishedOr(t, "k", "", e) {
		for _, size := range parts {
			there += size
			stored++
		}
	}
	if st.Server != nil && stored < 3 {
		t.Errorf("%d parts are kept, want 3", stored)
	}
	if st.object(t, "k") != nil {
		t.Error("there is an object")
	}
	if e.noListing {
		there, stored = 0, 0
	}
	r = st.upload(t, file(t, data), "k")
	st.ends(t, r, "k", data, e.auto)
	if want := int64(len(data)) - there; r.BytesSent != want || r.PartsResumed != int(stored) {
		t.Errorf("%d bytes sent, %d parts resumed, want %d, %d", r.BytesSent, r.PartsResumed, want, stored)
	}
	if !e.noAborting {
		st.nothingLeft(t, "k")
	}
}

func testCancelledStream(t *testing.T, st *stand, e expectation) {
	data := random(6*st.part+5, "cancelled")
	cancelling, ctx := st.cancelAfter(t, 3)
	r := cancelling.upload(t, stream(t, data), "k", with(ctx), oneAtATime)
	if kind := upload.KindOf(r.Err); kind != upload.Interrupted || r.Resumable {
		t.Fatalf("error %v of kind %d, want %d; resumable %t", r.Err, kind, upload.Interrupted, r.Resumable)
	}
	if st.object(t, "k") != nil {
		t.Error("there is an object")
	}
	if e.noAborting {
		notes(t, r, "cannot be listed", "could not be aborted")
	} else {
		st.nothingLeft(t, "k")
	}
}

// An object that is there is replaced, whatever it was.
func testReplaces(t *testing.T, st *stand, e expectation) {
	old, data := random(3*st.part+5, "old"), random(3*st.part+5, "new")
	for name, make := range map[string]func(*testing.T){
		"in one piece":    func(t *testing.T) { st.put(t, "k", old) },
		"in parts":        func(t *testing.T) { st.completed(t, "k", old, st.part) },
		"the same bytes":  func(t *testing.T) { st.put(t, "k", data) },
		"in other parts":  func(t *testing.T) { st.completed(t, "k", data, 2*st.part) },
		"of another size": func(t *testing.T) { st.completed(t, "k", old[:2*st.part+1], st.part) },
		"that is empty":   func(t *testing.T) { st.put(t, "k", nil) },
	} {
		t.Run(name, func(t *testing.T) {
			for _, kind := range sources {
				make(t)
				r := st.upload(t, kind.of(t, data), "k")
				st.ends(t, r, "k", data, e.auto)
				if r.BytesSent != int64(len(data)) {
					t.Errorf("%d bytes sent, want %d", r.BytesSent, len(data))
				}
			}
		})
	}
}

// The default class, named, is nothing to talk about.
func testStandardClass(t *testing.T, st *stand, e expectation) {
	data := random(3*st.part, "class")
	r := st.upload(t, file(t, data), "standard", func(r *run) { r.StorageClass = types.StorageClassStandard })
	st.ends(t, r, "standard", data, e.auto)
	for _, note := range r.Notes {
		if strings.Contains(note, "storage class") {
			t.Errorf("note %q", note)
		}
	}
}

func testSeveral(t *testing.T, st *stand, e expectation) {
	u, err := upload.New(st.store.Client, st.options())
	if err != nil {
		t.Fatal(err)
	}
	sizes := []int64{1, 3*st.part + 1, 2*st.part + 1, 10, 2 * st.part}
	results := make([]*upload.Result, 2*len(sizes))
	done := make(chan bool)
	for i := range results {
		src := sources[i%2].of(t, random(sizes[i/2], fmt.Sprint(i)))
		go func() {
			results[i] = u.Upload(t.Context(), &upload.Job{Source: src, Bucket: st.bucket, Key: fmt.Sprint("k", i)})
			src.Close()
			done <- true
		}()
	}
	for range results {
		<-done
	}
	for i, r := range results {
		n := upload.SinglePut
		if sizes[i/2] > 2*st.part {
			n = e.auto
		}
		st.ends(t, r, fmt.Sprint("k", i), random(sizes[i/2], fmt.Sprint(i)), n)
	}
}

func testNoBucket(t *testing.T, st *stand, _ expectation) {
	nowhere := *st
	nowhere.bucket = "no-such-bucket-s3up"
	for _, kind := range sources {
		for _, size := range []int64{1, 3 * st.part} {
			r := nowhere.upload(t, kind.of(t, random(size, "")), "k")
			if upload.KindOf(r.Err) != upload.NotFound || r.Resumable {
				t.Errorf("%s of %d: error %v of kind %d, want %d; resumable %t",
					kind.name, size, r.Err, upload.KindOf(r.Err), upload.NotFound, r.Resumable)
			}
		}
	}
}

// Two uploads of the same bytes to the same key both end well, or say that
// there is another.
func testTwins(t *testing.T, st *stand, e expectation) {
	data := random(5*st.part+1, "twin")
	results := make([]*upload.Result, 2)
	done := make(chan bool)
	for i := range results {
		src := file(t, data)
		u, err := upload.New(st.store.Client, st.options())
		if err != nil {
			t.Fatal(err)
		}
		go func() {
			results[i] = u.Upload(t.Context(), &upload.Job{Source: src, Bucket: st.bucket, Key: "k"})
			src.Close()
			done <- true
		}()
	}
	<-done
	<-done
	for _, r := range results {
		st.check(t, r, "k", data, upload.Conflict)
	}
	if o := st.object(t, "k"); o == nil || !bytes.Equal(o.body, data) {
		t.Error("the object is not what both sent")
	}
}

// Unfinished uploads of keys that begin alike belong to others.
func testNeighbours(t *testing.T, st *stand, e expectation) {
	data := random(3*st.part, "neighbours")
	ids := make(map[string]string)
	keys := []string{"k2", "k ", "j"}
	if !e.folders {
		keys = append(keys, "k/x")
	}
	for _, key := range keys {
		ids[key] = st.begin(t, key, data, st.part, 1)
	}
	st.begin(t, "k", data, st.part, 2)
	r := st.upload(t, file(t, data), "k", staleAfter(0))
	st.ends(t, r, "k", data, e.auto)
	if r.UploadsAborted != 0 || r.PartsResumed != map[bool]int{true: 0, false: 1}[e.noListing] {
		t.Errorf("%d uploads aborted, %d parts resumed", r.UploadsAborted, r.PartsResumed)
	}
	if st.Server == nil && e.noListing {
		return
	}
	for key, id := range ids {
		if got := slices.Collect(maps.Keys(st.unfinished(t, key))); !slices.Equal(got, []string{id}) {
			t.Errorf("unfinished of %q: %v, want %s", key, got, id)
		}
	}
}
