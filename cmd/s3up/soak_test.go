package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"

	"s3up/internal/etag"
	"s3up/internal/s3test"
	"s3up/internal/s3test/faultproxy"
	"s3up/internal/upload"
)

// A round is one random story, told by its seed: uploads of a key by the real
// program through proxies that break things, until they have ended. What is
// random is drawn from the seed alone; how processes and requests interleave is
// not in its hands.
type round struct {
	*testing.T
	rng   *rand.Rand
	store *soakStore
	tally *tally

	bucket  string
	key     string
	mode    string // --normalize
	way     soakWay
	staging string // where parts go, if not to the key
	source  string // file, stream, small
	sum     *sums  // of what is uploaded
	old     *sums  // of what was there before; nil: nothing
	path    string // of the file
	slots   int    // --concurrency; 0: the default
	stall   string // --stall-timeout; "": the default
	shaky   bool   // a run may give up and say so: exit code 5
}

// sums are what tells some bytes by.
type sums struct {
	size           int64
	md5, composite string
}

// soakPart is the least part that S3 takes.
const soakPart = 5 << 20

func sumsOf(data []byte) *sums {
	var parts []etag.MD5
	for part := range slices.Chunk(data, soakPart) {
		parts = append(parts, md5.Sum(part))
	}
	return &sums{int64(len(data)), fmt.Sprintf("%x", md5.Sum(data)), etag.Composite(parts)}
}

// parts are the numbers of the parts in which the bytes go up.
func (s *sums) parts() []int {
	numbers := make([]int, (s.size+soakPart-1)/soakPart)
	for i := range numbers {
		numbers[i] = i + 1
	}
	return numbers
}

// are says whether an object with this ETag is made of these bytes.
func (s *sums) are(tag string) bool { return s != nil && (tag == s.md5 || tag == s.composite) }

// A soakStore is what rounds run against.
type soakStore struct {
	name             string
	endpoint         string
	access, secret   string
	client           *s3.Client
	keeps, versioned bool // keeps the ETag in a self-copy; can keep versions
}

// newSoakStore is the real store of the environment, or an s3test server.
func newSoakStore(t *testing.T) *soakStore {
	if real := realStore(); real != nil {
		s := &soakStore{name: real.name, endpoint: real.endpoint, access: os.Getenv("AWS_ACCESS_KEY_ID"), secret: os.Getenv("AWS_SECRET_ACCESS_KEY"),
			keeps: real.expect["NORMALIZED"] == "kept", versioned: real.name == "minio"}
		s.client = newClient(s.endpoint, s.access, s.secret)
		return s
	}
	server := s3test.New(t, s3test.Options{Forget: true})
	return &soakStore{name: "s3test", endpoint: server.URL(), access: server.AccessKey(), secret: server.SecretKey(),
		client: server.Client(), versioned: true}
}

// A tally is what a soak has seen.
type tally struct {
	mu     sync.Mutex
	rounds map[string]int // by kind
	hits   map[string]int // faults by name
	kills  int            // survived
	kept   int            // parts that were there after a kill or an exit code 5
	runs   int            // of the program
	bytes  int64          // of objects that were compared
	wrong  int            // objects under exit 0
}

func newTally() *tally { return &tally{rounds: map[string]int{}, hits: map[string]int{}} }

func (t *tally) add(change func()) {
	t.mu.Lock()
	defer t.mu.Unlock()
	change()
}

// String is one line.
func (t *tally) String() string {
	list := func(m map[string]int) string {
		var words []string
		for _, name := range slices.Sorted(maps.Keys(m)) {
			words = append(words, fmt.Sprintf("%s %d", name, m[name]))
		}
		return cmp.Or(strings.Join(words, ", "), "none")
	}
	return fmt.Sprintf("rounds: %s; runs: %d; faults: %s; kills survived: %d; parts gone on with: %d; bytes checked: %d; wrong objects under exit 0: %d",
		list(t.rounds), t.runs, list(t.hits), t.kills, t.kept, t.bytes, t.wrong)
}

// A soakKind is a kind of round.
type soakKind struct {
	name string
	play func(*round)
}

// soakKinds are the rounds in the order in which they take turns.
var soakKinds = []soakKind{
	{"kills", (*round).kills},
	{"writers", (*round).writers},
	{"faults", (*round).faults},
	{"outage", (*round).outage},
	// What is above is the share of soakShare, what is below takes longer.
	{"kills", (*round).kills},
	{"writers", (*round).writers},
	{"faults", (*round).faults},
	{"gone", (*round).gone},
	{"kills", (*round).kills},
	{"writers", (*round).writers},
	{"outage", (*round).outage},
	{"parts", (*round).manyParts},
}

// soakShare is how many rounds run where nobody asks for a duration.
const soakShare = 4

// slowKinds are rounds that last for as long as what they tell of, with the
// patience that the program has by itself. They run in soaks of slowSoak and more.
var slowKinds = []soakKind{
	{"two-minutes", (*round).twoMinutes},
	{"stalled", (*round).stalled},
}

const slowSoak = 10 * time.Minute

// TestSoak plays random rounds: for S3UP_SOAK (a duration), or a few, from the
// seed S3UP_SEED on, or a random one. Each round has the seed after that of the
// one before, so that the seed of one that failed brings it back as the first.
func TestSoak(t *testing.T) {
	t.Parallel()
	seed := soakSeed(t)
	if os.Getenv("S3UP_SEED") == "" {
		seed -= seed % uint64(len(soakKinds))
	}
	more := func(i uint64) bool { return i < soakShare }
	slow := false
	if text := os.Getenv("S3UP_SOAK"); text != "" {
		d, err := time.ParseDuration(text)
		if err != nil {
			t.Fatalf("S3UP_SOAK: %v", err)
		}
		slow = d >= slowSoak
		end := time.Now().Add(d)
		more = func(i uint64) bool { return i == 0 || time.Now().Before(end) }
	}
	store := newSoakStore(t)
	t.Logf("%s: seed %d", store.name, seed)
	all := newTally()
	var next atomic.Uint64
	var workers sync.WaitGroup
	for range 2 {
		workers.Go(func() {
			for {
				i := next.Add(1) - 1
				if !more(i) || t.Failed() {
					return
				}
				seed := seed + i
				playRound(t, store, all, soakKinds[seed%uint64(len(soakKinds))], seed, time.Second)
			}
		})
	}
	if slow {
		workers.Go(func() {
			for _, kind := range slowKinds {
				playRound(t, store, all, kind, seed, slowSoak)
			}
		})
	}
	workers.Wait()
	t.Logf("%s: %s", store.name, all)
}

// soakSeed is the seed that the environment asks for, or a random one.
func soakSeed(t *testing.T) uint64 {
	text := os.Getenv("S3UP_SEED")
	if text == "" {
		return rand.Uint64N(1 << 32)
	}
	seed, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("S3UP_SEED: %v", err)
	}
	return seed
}

// playRound plays a round of a kind, with what a seed tells. A soak of the
// duration again plays it once more.
func playRound(t *testing.T, store *soakStore, all *tally, kind soakKind, seed uint64, again time.Duration) {
	t.Run(fmt.Sprintf("%s-%d", kind.name, seed), func(t *testing.T) {
		r := newRound(t, store, all, seed)
		defer func() {
			if t.Failed() {
				t.Logf("this round again: make soak DURATION=%v SEED=%d STORES=%s", again, seed, store.name)
			}
			all.add(func() { all.rounds[kind.name]++ })
		}()
		r.begin(seed)
		kind.play(r)
	})
}

// soakNames end the keys: some need escaping.
var soakNames = []string{"file.bin", "a b+c.bin", "grün & 100%.bin", "x/y~z.bin"}

// newRound draws what a round is about.
func newRound(t *testing.T, store *soakStore, all *tally, seed uint64) *round {
	r := &round{T: t, rng: rand.New(rand.NewPCG(seed, 0)), store: store, tally: all, stall: "3s"}
	r.slots = 4 * (1 + r.rng.IntN(2))
	r.key = "dir/" + soakNames[r.rng.IntN(len(soakNames))]
	r.mode = []string{"self", "staged"}[r.rng.IntN(2)]
	r.source = []string{"file", "file", "stream", "small"}[r.rng.IntN(4)]
	return r
}

// begin makes what there is before the first run.
func (r *round) begin(seed uint64) {
	r.bucket = fmt.Sprintf("soak-%d-%08x", seed, rand.Uint32())
	ctx := context.Background()
	if _, err := r.store.client.CreateBucket(ctx, &s3.CreateBucketInput{Bucket: &r.bucket}); err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() { r.clear(ctx) })
	r.path, r.sum = r.file("one")
	if r.rng.IntN(3) == 0 {
		r.putOld()
	}
}

// clear removes the bucket and all that is in it.
func (r *round) clear(ctx context.Context) {
	for id := range r.uploads() {
		r.store.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &r.bucket, Key: &r.key, UploadId: &id})
	}
	for _, key := range r.keys() {
		r.store.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &r.bucket, Key: &key})
	}
	for _, v := range r.versions() {
		r.store.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &r.bucket, Key: v.Key, VersionId: v.VersionId})
	}
	r.store.client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &r.bucket})
}

// bytes are some that no two rounds share.
func (r *round) bytes(size int64) []byte {
	var seed [32]byte
	for i := range seed {
		seed[i] = byte(r.rng.Uint32())
	}
	data := make([]byte, size)
	rand.NewChaCha8(seed).Read(data)
	return data
}

// file makes a file of a size that suits the source.
func (r *round) file(name string) (path string, sum *sums) {
	size := soakPart + 1 + r.rng.Int64N(2*soakPart)
	if r.source == "small" {
		size = 1 + r.rng.Int64N(soakPart/2)
	}
	return r.fileOf(name, size)
}

// fileOf makes a file of a size.
func (r *round) fileOf(name string, size int64) (path string, sum *sums) {
	data := r.bytes(size)
	path = filepath.Join(r.TempDir(), name)
	if err := os.WriteFile(path, data, 0o666); err != nil {
		r.Fatal(err)
	}
	return path, sumsOf(data)
}

// stallLimit is how long a call may be silent for which the program waits longer
// than a round can. A stall of any other call lasts until the program ends it.
func stallLimit(op string) time.Duration {
	if op == "CompleteMultipartUpload" || op == "CopyObject" {
		return 20 * time.Second
	}
	return 0
}

// proxy starts a proxy in front of the store.
func (r *round) proxy(o faultproxy.Options) *faultproxy.Proxy {
	o.Target = r.store.endpoint
	o.Seed = r.rng.Uint64()
	o.Stall = stallLimit
	p, err := faultproxy.Start(o)
	if err != nil {
		r.Fatal(err)
	}
	r.Cleanup(func() {
		if err := p.Close(); err != nil {
			r.Error(err)
		}
		r.tally.add(func() {
			for name, n := range p.Hits() {
				r.tally.hits[name] += n
			}
		})
	})
	return p
}

// A soakRun is one run of the program.
type soakRun struct {
	cmd    *exec.Cmd
	ctx    context.Context // over: it hangs
	stdout bytes.Buffer
	stderr bytes.Buffer
	killed bool
	code   int
	line   fileLine // of its JSON, unless it was killed
}

func (run *soakRun) String() string {
	return fmt.Sprintf("exit %d\n%s%s", run.code, run.stdout.String(), run.stderr.String())
}

// soakPatience is longer than any run takes that does not hang.
const soakPatience = 4 * time.Minute

// start starts the program on a file.
func (r *round) start(p *faultproxy.Proxy, path string, flags ...string) *soakRun {
	args := []string{"cp", "--json", "--multipart-threshold", "5MiB", "--part-size", "5MiB"}
	args = append(args, r.flags()...)
	if r.slots > 0 {
		args = append(args, "--concurrency", strconv.Itoa(r.slots))
	}
	if r.stall != "" {
		args = append(args, "--stall-timeout", r.stall)
	}
	args = append(args, flags...)
	ctx, cancel := context.WithTimeout(context.Background(), soakPatience)
	r.Cleanup(cancel)
	run := &soakRun{ctx: ctx}
	if r.source == "stream" {
		run.cmd = exec.CommandContext(ctx, "s3up", append(args, "-", "s3://"+r.bucket+"/"+r.key)...)
		f, err := os.Open(path)
		if err != nil {
			r.Fatal(err)
		}
		r.Cleanup(func() { f.Close() })
		run.cmd.Stdin = struct{ io.Reader }{f} // not the file itself: through a pipe
	} else {
		run.cmd = exec.CommandContext(ctx, "s3up", append(args, path, "s3://"+r.bucket+"/"+r.key)...)
	}
	run.cmd.Env = append(os.Environ(), "AWS_ENDPOINT_URL="+p.URL(), "AWS_REGION=us-east-1", "AWS_SESSION_TOKEN=", "AWS_PROFILE=",
		"AWS_ACCESS_KEY_ID="+r.store.access, "AWS_SECRET_ACCESS_KEY="+r.store.secret,
		"AWS_CONFIG_FILE="+os.DevNull, "AWS_SHARED_CREDENTIALS_FILE="+os.DevNull, "GORACE=atexit_sleep_ms=0")
	run.cmd.Stdout, run.cmd.Stderr = &run.stdout, &run.stderr
	run.cmd.Cancel = func() error { return run.cmd.Process.Signal(syscall.SIGQUIT) } // tells what it waits for
	run.cmd.WaitDelay = 10 * time.Second
	if err := run.cmd.Start(); err != nil {
		r.Fatal(err)
	}
	r.tally.add(func() { r.tally.runs++ })
	return run
}

// wait waits for a run's end and reads what it says.
func (r *round) wait(run *soakRun) {
	run.cmd.Wait()
	status := run.cmd.ProcessState.Sys().(syscall.WaitStatus)
	run.killed, run.code = status.Signaled(), exitCode(run.cmd.ProcessState)
	if run.ctx.Err() != nil {
		r.Fatalf("it hangs: %s", run)
	}
	if run.killed {
		r.tally.add(func() { r.tally.kills++ })
		return
	}
	text, _, _ := strings.Cut(run.stdout.String(), "\n")
	if err := json.Unmarshal([]byte(text), &run.line); err != nil {
		r.Fatalf("%v: %s", err, run)
	}
}

// head looks at the object; "" if there is none.
func (r *round) head() (tag string, size int64) { return r.headOf(r.key) }

func (r *round) headOf(key string) (tag string, size int64) {
	out, err := r.store.client.HeadObject(context.Background(), &s3.HeadObjectInput{Bucket: &r.bucket, Key: &key})
	var answer *awshttp.ResponseError
	if errors.As(err, &answer) && answer.HTTPStatusCode() == http.StatusNotFound {
		return "", 0
	}
	if err != nil {
		r.Fatal(err)
	}
	return etag.Trim(*out.ETag), *out.ContentLength
}

// content is the MD5 of the object as a GET has it.
func (r *round) content() string {
	out, err := r.store.client.GetObject(context.Background(), &s3.GetObjectInput{Bucket: &r.bucket, Key: &r.key})
	if err != nil {
		r.Errorf("get: %v", err)
		return ""
	}
	defer out.Body.Close()
	h := md5.New()
	n, err := io.Copy(h, out.Body)
	if err != nil {
		r.Errorf("get: %v", err)
	}
	r.tally.add(func() { r.tally.bytes += n })
	return fmt.Sprintf("%x", h.Sum(nil))
}

// uploads are the unfinished ones of the key, by id, and the numbers of their
// parts. One that is listed and that the store does not know any more is none:
// MinIO lists what a part left that came in while its upload was aborted.
func (r *round) uploads() map[string][]int {
	ctx := context.Background()
	all := make(map[string][]int)
	var listed []types.MultipartUpload
	for _, key := range []string{r.key, r.staging} {
		if key == "" {
			continue
		}
		list, err := r.store.client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &r.bucket, Prefix: &key})
		if err != nil {
			r.Fatal(err)
		}
		listed = append(listed, list.Uploads...)
	}
	for _, u := range listed {
		out, err := r.store.client.ListParts(ctx, &s3.ListPartsInput{Bucket: &r.bucket, Key: u.Key, UploadId: u.UploadId})
		var answer smithy.APIError
		if errors.As(err, &answer) && answer.ErrorCode() == "NoSuchUpload" {
			continue
		}
		if err != nil {
			r.Fatal(err)
		}
		numbers := []int{}
		for _, p := range out.Parts {
			numbers = append(numbers, int(*p.PartNumber))
		}
		all[*u.UploadId] = numbers
	}
	return all
}

func (r *round) keys() []string {
	out, err := r.store.client.ListObjectsV2(context.Background(), &s3.ListObjectsV2Input{Bucket: &r.bucket})
	if err != nil {
		r.Fatal(err)
	}
	var keys []string
	for _, o := range out.Contents {
		keys = append(keys, *o.Key)
	}
	return keys
}

// versions are those of all keys, the newest of each first; none where the store
// keeps none.
func (r *round) versions() []types.ObjectVersion {
	if !r.store.versioned {
		return nil
	}
	out, err := r.store.client.ListObjectVersions(context.Background(), &s3.ListObjectVersionsInput{Bucket: &r.bucket})
	if err != nil {
		r.Fatal(err)
	}
	return out.Versions
}

// swallowed counts the uploads that were created from a request on, and whose
// ids nobody was told: the next run clears them.
func swallowed(records []faultproxy.Record) (n int) {
	for _, rec := range records {
		if rec.Op == "CreateMultipartUpload" && rec.OK() && !rec.Delivered {
			n++
		}
	}
	return n
}

// done checks what must be true when a run has said that all is well. since are
// the requests of that run.
func (r *round) done(run *soakRun, since []faultproxy.Record) {
	line, sum := run.line, r.sum
	wrong := func(format string, args ...any) {
		r.tally.add(func() { r.tally.wrong++ })
		r.Errorf("%s: %s", fmt.Sprintf(format, args...), run)
	}
	tag, size := r.head()
	content := r.content()
	kept := r.store.keeps && r.mode == "self" && r.source != "small" && r.way != published
	skipped := line.Status == upload.Skipped // then the file was not even read
	switch {
	case content != sum.md5 || size != sum.size:
		wrong("the object has %d bytes and the MD5 %s, want %d and %s", size, content, sum.size, sum.md5)
	case tag != sum.md5 && !((kept || skipped) && tag == sum.composite):
		r.Errorf("the object's ETag is %s, want %s: %s", tag, sum.md5, run)
	case !r.mayEnd(line.Status) || line.MD5 != sum.md5 && !skipped || line.ETag != tag:
		r.Errorf("want the MD5 %s and the ETag %s: %s", sum.md5, tag, run)
	}
	r.nothingLeft(run, swallowed(since), nil)
	r.noOtherVersions(run)
}

// nothingLeft checks that there is no unfinished upload but for those that
// nobody can know of, so many or by their ids, and no other key.
func (r *round) nothingLeft(run *soakRun, unknown int, back map[string]bool) {
	left := r.uploads()
	maps.DeleteFunc(left, func(id string, _ []int) bool { return back[id] })
	if len(left) > unknown {
		r.Errorf("%d unfinished uploads are left: %s", len(left), run)
	}
	for id, parts := range left {
		if len(parts) > 0 {
			r.Errorf("the upload %s is left with parts %v: %s", id, parts, run)
		}
	}
	if keys := r.keys(); len(keys) > 1 || len(keys) == 1 && keys[0] != r.key {
		r.Errorf("the bucket has %q: %s", keys, run)
	}
}

// soakRuns is how many runs may be broken before one is left in peace.
const soakRuns = 6

// kills kills an upload at random moments, over and over, and lets it go on.
func (r *round) kills() {
	r.anyWay()
	r.untilDone(r.proxy(faultproxy.Options{}), 0.8)
}

// faults breaks requests at random, and kills at times.
func (r *round) faults() {
	r.anyWay()
	r.shaky = true
	r.untilDone(r.proxy(faultproxy.Options{Rate: 0.05 + 0.2*r.rng.Float64()}), 0.2)
}

// outage has the store vanish in the middle of an upload, for less than the
// program's patience lasts.
func (r *round) outage() {
	p := r.proxy(faultproxy.Options{})
	p.When(r.moment(), func() { p.Down(time.Duration(200+r.rng.IntN(800)) * time.Millisecond) })
	r.untilDone(p, 0)
}

// gone has the store vanish while bytes are sent, for longer than the program's
// patience lasts, and be there again for the next run.
func (r *round) gone() {
	p := r.proxy(faultproxy.Options{})
	const onItsWay = 64 << 10 // what comes to the store all the same
	if r.sum.size <= onItsWay {
		r.path, r.sum = r.fileOf("gone", 2*onItsWay)
	}
	p.When(faultproxy.After{Bytes: 1 + r.rng.Int64N(r.sum.size-onItsWay)}, func() { p.Down(time.Hour) })
	run := r.start(p, r.path, "--stale-after", "0", "--retry-for", "1s")
	r.wait(run)
	p.Idle()
	if tag, _ := r.head(); run.code != exitTemporary || run.line.Status != "failed" || tag != "" && !r.old.are(tag) {
		r.Fatalf("want exit 5, and the object is %q: %s", tag, run)
	}
	r.tally.add(func() { r.tally.kept += len(r.stored()) })
	r.untilDone(r.proxy(faultproxy.Options{}), 0)
}

// manyParts has kills, faults and an outage hit an upload that has more parts in
// flight than the others have.
func (r *round) manyParts() {
	r.source, r.shaky = "file", true
	r.path, r.sum = r.fileOf("many", 19*soakPart+1+r.rng.Int64N(soakPart))
	r.slots = 64
	p := r.proxy(faultproxy.Options{Rate: 0.05})
	p.When(r.moment(), func() { p.Down(time.Duration(200+r.rng.IntN(800)) * time.Millisecond) })
	r.untilDone(p, 0.5)
}

// twoMinutes has the store vanish for two minutes.
func (r *round) twoMinutes() {
	r.slots, r.stall = 0, ""
	p := r.proxy(faultproxy.Options{})
	p.When(faultproxy.After{Bytes: 1 + r.rng.Int64N(r.sum.size)}, func() { p.Down(2 * time.Minute) })
	r.atOnce(p)
}

// stalled has each way in which nothing moves hit an upload.
func (r *round) stalled() {
	r.source, r.slots, r.stall = "file", 0, ""
	r.path, r.sum = r.fileOf("three", 2*soakPart+1+r.rng.Int64N(soakPart))
	p := r.proxy(faultproxy.Options{})
	for i, do := range []s3test.Action{s3test.Stall, s3test.StallBody, s3test.StallAnswer} {
		p.Fault(s3test.Fault{Op: fmt.Sprintf("UploadPart %d", i+1), Do: do})
	}
	r.atOnce(p)
}

// atOnce has one run end well, whatever the proxy does to it.
func (r *round) atOnce(p *faultproxy.Proxy) {
	run := r.start(p, r.path)
	r.wait(run)
	p.Idle()
	if run.code != exitOK {
		r.Fatalf("want exit 0: %s", run)
	}
	r.done(run, p.Requests())
	if len(p.Hits()) == 0 {
		r.Errorf("nothing was broken: %s", run)
	}
}

// moment is somewhere in an upload, or a little behind its end.
func (r *round) moment() faultproxy.After {
	requests := len(r.sum.parts()) + map[string]int{"self": 9, "staged": 17}[r.mode]
	if r.way == published {
		requests = len(r.sum.parts()) + 15
	}
	if r.source == "small" {
		requests = 3
	}
	switch r.rng.IntN(3) {
	case 0:
		return faultproxy.After{Requests: 1 + r.rng.IntN(requests)}
	case 1:
		return faultproxy.After{Answers: 1 + r.rng.IntN(requests)}
	}
	return faultproxy.After{Bytes: 1 + r.rng.Int64N(r.sum.size)}
}

// untilDone runs the same command until it says done. Each run but the last
// possible one is killed with some probability.
func (r *round) untilDone(p *faultproxy.Proxy, kill float64) {
	for n := 1; ; n++ {
		if n > soakRuns {
			p.Calm()
		}
		stored := r.stored()
		if n > 1 {
			r.tally.add(func() { r.tally.kept += len(stored) })
		}
		before := len(p.Requests())
		run := r.startKilled(p, n <= soakRuns && r.rng.Float64() < kill)
		r.wait(run)
		p.Forget()
		p.Idle()
		since := p.Requests()[before:]
		r.learn(since)
		r.notAgain(run, stored, since)
		tag, _ := r.head()
		if !r.sum.are(tag) && !r.old.are(tag) && (tag != "" || r.old != nil) {
			r.Fatalf("the object is %q, which nobody has uploaded: %s", tag, run)
		}
		switch {
		case run.killed:
		case run.code == exitOK:
			r.done(run, since)
			return
		case run.code != exitTemporary || !r.shaky || n > soakRuns:
			r.Fatalf("want exit 0: %s", run)
		}
		if r.Failed() {
			return
		}
	}
}

// startKilled starts a run that is perhaps to be killed.
func (r *round) startKilled(p *faultproxy.Proxy, kill bool) *soakRun {
	started := make(chan struct{}) // run.cmd.Process is known
	var run *soakRun
	if kill {
		p.When(r.moment(), func() {
			<-started
			run.cmd.Process.Kill()
		})
	}
	run = r.start(p, r.path, "--stale-after", "0")
	close(started)
	return run
}

// stored are the parts that the next run may go on with: those of unfinished
// uploads, and all of a file's once they are the object. What a stream has is
// known too late for that.
func (r *round) stored() map[int]bool {
	all := make(map[int]bool)
	for _, parts := range r.uploads() {
		for _, n := range parts {
			all[n] = true
		}
	}
	tag, _ := r.head()
	if r.staging != "" && tag != r.sum.composite {
		tag, _ = r.headOf(r.staging)
	}
	if tag == r.sum.composite && r.source == "file" {
		for _, n := range r.sum.parts() {
			all[n] = true
		}
	}
	return all
}

// notAgain checks that no part is sent that was stored before.
func (r *round) notAgain(run *soakRun, stored map[int]bool, since []faultproxy.Record) {
	for _, rec := range since {
		if rec.Op == "UploadPart" && stored[rec.Part] {
			r.Errorf("part %d was stored and is sent again: %s", rec.Part, run)
		}
	}
}
