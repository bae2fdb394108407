package upload_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"s3up/internal/etag"
	"s3up/internal/s3test"
	"s3up/internal/store"
	"s3up/internal/upload"
)

const (
	KiB = 1 << 10
	MiB = 1 << 20
)

// TestMain keeps the machine's own AWS configuration out of the tests. The keys
// of a real store stay; s3test servers take them too.
func TestMain(m *testing.M) {
	if os.Getenv(serveFor) != "" {
		serve()
		return
	}
	keys := map[string]string{
		"AWS_ACCESS_KEY_ID":           "AKIAS3TEST",
		"AWS_SECRET_ACCESS_KEY":       "s3test-secret",
		"AWS_CONFIG_FILE":             os.DevNull,
		"AWS_SHARED_CREDENTIALS_FILE": os.DevNull,
		"AWS_EC2_METADATA_DISABLED":   "true",
	}
	if os.Getenv("S3UP_TEST_ENDPOINT") != "" {
		for _, name := range []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"} {
			keys[name] = os.Getenv(name)
		}
	}
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "AWS_") || strings.HasSuffix(strings.ToLower(name), "_proxy") {
			os.Unsetenv(name)
		}
	}
	for name, value := range keys {
		os.Setenv(name, value)
	}
	os.Exit(m.Run())
}

// A stand is a store that a test runs against: an s3test server, or a real
// store. Tests look at either through a plain client.
type stand struct {
	*s3test.Server // nil: a real store
	client         *s3.Client
	store          *store.Store
	bucket         string
	part           int64         // what tests cut by: the smallest part that the store takes
	engine         upload.Client // the engine's, where it is not that of store
}

// newStand starts an s3test server whose parts may be as small as 1 KiB, and
// opens it with a connection that retries at once.
func newStand(t testing.TB, o s3test.Options, change ...func(*store.Config)) *stand {
	t.Helper()
	o.AccessKey, o.SecretKey = os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
	if o.MinPartSize == 0 {
		o.MinPartSize = KiB
	}
	st := &stand{Server: s3test.New(t, o), bucket: "b", part: o.MinPartSize}
	st.CreateBucket(st.bucket)
	st.client = st.Server.Client()
	if o.TLS {
		change = append(change, func(c *store.Config) { c.CABundle = st.CAFile() })
	}
	st.store = openStore(t, st.URL(), change...)
	return st
}

// newRealStand opens a real store, in a bucket of its own.
func newRealStand(t testing.TB, endpoint string) *stand {
	t.Helper()
	st := &stand{bucket: fmt.Sprintf("s3up-%08x", rand.Uint32()), part: 5 * MiB, store: openStore(t, endpoint)}
	st.client = s3.New(s3.Options{
		BaseEndpoint: &endpoint, Region: "us-east-1", UsePathStyle: true,
		Credentials:                credentials.NewStaticCredentialsProvider(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	})
	if _, err := st.client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &st.bucket}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx := context.Background()
		for _, key := range st.keys(ctx, t) {
			st.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &st.bucket, Key: &key})
		}
		st.client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &st.bucket})
	})
	return st
}

func openStore(t testing.TB, endpoint string, change ...func(*store.Config)) *store.Store {
	t.Helper()
	c := store.Config{Endpoint: endpoint, Region: "us-east-1", Addressing: "path", Attempts: upload.Attempts, Retry: upload.Retry, Again: upload.Again,
		Backoff: func(int, error) time.Duration { return 0 }}
	for _, f := range change {
		f(&c)
	}
	s, err := store.Open(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// A run is one upload as the program does it: with an Uploader of its own.
type run struct {
	upload.Options
	upload.Properties
	ctx context.Context
}

// options are those of most tests: parts of the stand's size, two of which still
// go up in one piece.
func (st *stand) options() upload.Options {
	return upload.Options{
		PartSize: st.part, Threshold: 2 * st.part, MaxMemory: 16 * st.part, StaleAfter: 12 * time.Hour,
		Limits: upload.Limits{MinPart: st.part},
	}
}

// upload runs an upload and checks what must hold of the events of any.
func (st *stand) upload(t testing.TB, src *upload.Source, key string, change ...func(*run)) *upload.Result {
	t.Helper()
	r := &run{Options: st.options(), ctx: t.Context()}
	for _, f := range change {
		f(r)
	}
	var l eventLog
	theirs := r.Event
	r.Event = func(e upload.Event) {
		l.add(e)
		if theirs != nil {
			theirs(e)
		}
	}
	client := st.engine
	if client == nil {
		client = st.store.Client
	}
	u, err := upload.New(client, r.Options)
	if err != nil {
		t.Fatal(err)
	}
	result := u.Upload(r.ctx, &upload.Job{Source: src, Bucket: st.bucket, Key: key, Properties: r.Properties})
	src.Close()
	l.check(t, result)
	return result
}

// An eventLog holds the events of one upload.
type eventLog struct {
	mu     sync.Mutex
	events []upload.Event
}

func (l *eventLog) add(e upload.Event) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, e)
}

func (l *eventLog) check(t testing.TB, r *upload.Result) {
	t.Helper()
	var sent int64
	var notes []string
	for i, e := range l.events {
		if (e.Kind == upload.Started) != (i == 0) || (e.Kind == upload.Finished) != (i == len(l.events)-1) {
			t.Errorf("event %d of %d is of kind %d", i, len(l.events), e.Kind)
		}
		switch e.Kind {
		case upload.Sent, upload.Resumed:
			sent += e.Bytes
		case upload.Undone:
			sent -= e.Bytes
		case upload.Noted:
			notes = append(notes, e.Text)
		}
	}
	if r.Size >= 0 && sent > r.Size || r.Err == nil && r.Status != upload.Skipped && sent != r.Size {
		t.Errorf("the events tell of %d bytes sent, of %d", sent, r.Size)
	}
	if diff := cmp.Diff(r.Notes, notes); diff != "" {
		t.Errorf("notes of the result and those of the events differ:\n%s", diff)
	}
}

// An object is what a GET shows.
type object struct {
	body         []byte
	etag         string
	contentType  string
	cacheControl string
	class        string
	metadata     map[string]string // names in lower case
}

// object gets an object; nil if there is none.
func (st *stand) object(t testing.TB, key string) *object {
	t.Helper()
	if st.Server != nil { // whatever the quirks, and counted nowhere
		o, ok := st.Server.Object(st.bucket, key)
		if !ok {
			return nil
		}
		return &object{o.Bytes(), o.ETag, o.ContentType, o.CacheControl, o.StorageClass, o.Metadata}
	}
	out, err := st.client.GetObject(context.Background(), &s3.GetObjectInput{Bucket: &st.bucket, Key: &key})
	if err != nil {
		if store.StatusCode(err) == 404 {
			return nil
		}
		t.Fatal(err)
	}
	defer out.Body.Close()
	o := &object{etag: etag.Trim(aws.ToString(out.ETag)), contentType: aws.ToString(out.ContentType),
		cacheControl: aws.ToString(out.CacheControl), class: string(out.StorageClass), metadata: make(map[string]string)}
	for name, value := range out.Metadata {
		o.metadata[strings.ToLower(name)] = value
	}
	if o.body, err = io.ReadAll(out.Body); err != nil {
		t.Fatal(err)
	}
	return o
}

// keys lists the bucket's objects.
func (st *stand) keys(ctx context.Context, t testing.TB) []string {
	t.Helper()
	if st.Server != nil {
		return st.Objects(st.bucket)
	}
	var keys []string
	pages := s3.NewListObjectsV2Paginator(st.client, &s3.ListObjectsV2Input{Bucket: &st.bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
		}
	}
	return slices.Sorted(slices.Values(keys))
}

// put stores an object as somebody else would, in one piece.
func (st *stand) put(t testing.TB, key string, body []byte) {
	t.Helper()
	if _, err := st.client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &st.bucket, Key: &key, Body: bytes.NewReader(body)}); err != nil {
		t.Fatal(err)
	}
}

// begin begins an upload as an earlier run would have: with these parts of what
// data is in parts of that size. It returns the upload's id.
func (st *stand) begin(t testing.TB, key string, data []byte, part int64, numbers ...int) string {
	t.Helper()
	id := st.create(t, key)
	for _, n := range numbers {
		st.sendPart(t, key, id, n, partOf(data, part, n))
	}
	return id
}

func (st *stand) create(t testing.TB, key string) string {
	t.Helper()
	up, err := st.client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &st.bucket, Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	return *up.UploadId
}

func (st *stand) sendPart(t testing.TB, key, id string, n int, body []byte) {
	t.Helper()
	if _, err := st.client.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: &st.bucket, Key: &key, UploadId: &id,
		PartNumber: aws.Int32(int32(n)), Body: bytes.NewReader(body)}); err != nil {
		t.Fatal(err)
	}
}

// unfinished returns the sizes of the parts of each unfinished upload of a key.
func (st *stand) unfinished(t testing.TB, key string) map[string]map[int]int64 {
	t.Helper()
	all := make(map[string]map[int]int64)
	if st.Server != nil {
		for _, u := range st.Uploads(st.bucket) {
			if u.Key == key {
				all[u.UploadID] = make(map[int]int64)
				for _, p := range u.Parts {
					all[u.UploadID][p.Number] = p.Size
				}
			}
		}
		return all
	}
	list, err := st.client.ListMultipartUploads(context.Background(), &s3.ListMultipartUploadsInput{Bucket: &st.bucket, Prefix: &key})
	if store.Code(err) == "NoSuchUpload" {
		return all // rclone serve s3: there never was one in this bucket
	}
	if err != nil {
		t.Fatal(err)
	}
	for _, u := range list.Uploads {
		if *u.Key != key {
			continue
		}
		parts, err := st.client.ListParts(context.Background(), &s3.ListPartsInput{Bucket: &st.bucket, Key: &key, UploadId: u.UploadId})
		if err != nil {
			t.Fatal(err)
		}
		all[*u.UploadId] = make(map[int]int64)
		for _, p := range parts.Parts {
			all[*u.UploadId][int(*p.PartNumber)] = *p.Size
		}
	}
	return all
}

// check is the promise: when an upload ends well, the object is made of exactly
// the bytes that were read, and the Result says what its ETag is. When it does
// not, its kind is one of those expected.
func (st *stand) check(t testing.TB, r *upload.Result, key string, data []byte, kinds ...upload.Kind) {
	t.Helper()
	if r.Err != nil {
		if !slices.Contains(kinds, upload.KindOf(r.Err)) || r.Status != upload.Failed {
			t.Errorf("the upload ended as %s with %q of kind %d, want one of %d", r.Status, r.Err, upload.KindOf(r.Err), kinds)
		}
		return
	}
	o := st.object(t, key)
	if o == nil {
		t.Fatal("the upload ended well, and there is no object")
	}
	sum := md5Hex(data)
	if r.Status != upload.Uploaded || !bytes.Equal(o.body, data) || r.Size != int64(len(data)) || r.MD5 != sum {
		t.Errorf("the upload ended as %s with an object of MD5 %s, size %d; the result says %s, %d; want %s, %d",
			r.Status, md5Hex(o.body), len(o.body), r.MD5, r.Size, sum, len(data))
	}
	if r.ETag != o.etag {
		t.Errorf("the object's ETag is %s, the result says %s", o.etag, r.ETag)
	}
	switch r.ETagKind {
	case upload.ETagMD5:
		if r.ETag != sum {
			t.Errorf("the ETag %s is called an MD5, which is %s", r.ETag, sum)
		}
	case upload.ETagMultipart:
		if want := composite(data, r.PartSize); r.ETag != want {
			t.Errorf("the ETag %s is called composite, which is %s", r.ETag, want)
		}
	case upload.ETagOpaque:
	default:
		t.Errorf("the ETag is of kind %q", r.ETagKind)
	}
}

// nothingLeft makes sure that no unfinished upload of the key is left.
func (st *stand) nothingLeft(t testing.TB, key string) {
	t.Helper()
	if left := st.unfinished(t, key); len(left) != 0 {
		t.Errorf("unfinished uploads are left: %v", left)
	}
}

// notes makes sure that of the words some stand in one of the notes each, and
// that there are no other notes.
func notes(t testing.TB, r *upload.Result, words ...string) {
	t.Helper()
	rest := slices.Clone(r.Notes)
	for _, w := range words {
		i := slices.IndexFunc(rest, func(note string) bool { return strings.Contains(note, w) })
		if i < 0 {
			t.Errorf("no note says %q: %q", w, r.Notes)
			continue
		}
		rest = slices.Delete(rest, i, i+1)
	}
	if len(rest) > 0 {
		t.Errorf("notes that nobody expected: %q", rest)
	}
}

// random returns bytes that follow from a seed.
func random(size int64, seed string) []byte {
	var s [32]byte
	copy(s[:], seed)
	data := make([]byte, size)
	rand.NewChaCha8(s).Read(data)
	return data
}

func partOf(data []byte, part int64, n int) []byte {
	offset := int64(n-1) * part
	return data[offset:min(offset+part, int64(len(data)))]
}

func md5Hex(data []byte) string {
	sum := md5.Sum(data)
	return hex.EncodeToString(sum[:])
}

func composite(data []byte, part int64) string {
	var parts []etag.MD5
	for p := range slices.Chunk(data, int(part)) {
		parts = append(parts, md5.Sum(p))
	}
	return etag.Composite(parts)
}

// A kind of source makes Sources of some bytes.
type sourceKind struct {
	name string
	of   func(t testing.TB, data []byte) *upload.Source
}

var (
	aFile   = sourceKind{"file", file}
	aStream = sourceKind{"stream", stream}
	sources = []sourceKind{aFile, aStream}
)

// file is a Source of a file on disk.
func file(t testing.TB, data []byte) *upload.Source {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file.bin")
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
	return open(t, path)
}

func open(t testing.TB, path string) *upload.Source {
	t.Helper()
	src, err := upload.Open(t.Context(), path)
	if err != nil {
		t.Fatal(err)
	}
	return src
}

// stream is a Source that gives its bytes in odd pieces.
func stream(_ testing.TB, data []byte) *upload.Source {
	return upload.NewStream("stdin", iotest.HalfReader(bytes.NewReader(data)))
}

// Changes of a run.

func staleAfter(d time.Duration) func(*run) { return func(r *run) { r.StaleAfter = d } }

func normalize(n upload.Normalize) func(*run) { return func(r *run) { r.Normalize = n } }

func allowEmpty(r *run) { r.AllowEmpty = true }

// oneAtATime makes parts go up one after the other.
func oneAtATime(r *run) { r.Slots = 4 }

func with(ctx context.Context) func(*run) { return func(r *run) { r.ctx = ctx } }

func onFailure(f upload.OnFailure) func(*run) { return func(r *run) { r.OnFailure = f } }

// when calls f at the moment when such a request comes, before it has any effect.
func (st *stand) when(op string, after int, f func()) {
	st.Fault(s3test.Fault{Op: op, After: after, Do: s3test.None, Hook: f})
}

// abortAll aborts all unfinished uploads of a key, as somebody else would.
func (st *stand) abortAll(t testing.TB, key string) {
	for id := range st.unfinished(t, key) {
		if _, err := st.client.AbortMultipartUpload(context.Background(), &s3.AbortMultipartUploadInput{
			Bucket: &st.bucket, Key: &key, UploadId: &id}); err != nil {
			t.Error(err)
		}
	}
}
