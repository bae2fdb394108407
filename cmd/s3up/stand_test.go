package main

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/rogpeppe/go-internal/testscript"

	"s3up/internal/etag"
	"s3up/internal/s3test"
	"s3up/internal/store"
)

// A stand is the store that a script runs against: an s3test server, or a real
// one. Scripts look at either through a plain client.
type stand struct {
	server *s3test.Server // nil: a real store
	client *s3.Client
	bucket string
	ahead  atomic.Int64 // of the server's clock, as a time.Duration
	holds  map[string]*hold
	procs  map[string]*process
}

// A hold keeps a request waiting.
type hold struct{ reached, release chan struct{} }

// A realStoreConfig is what is known of a real store. Where stores differ, the scripts
// expect what these say.
type realStoreConfig struct {
	endpoint, name string
	expect         map[string]string
}

// expectations are the variables that scripts compare with, by store, and the
// size of what is big for it, with its number of parts of 64 MiB and what is not
// too many slots: rclone writes one part after the other and has those that came
// too early wait, and those that waited for a minute come once more.
var expectations = map[string]map[string]string{
	"s3test":    {"NORMALIZE_EXIT": "0", "NORMALIZED": "self-copy", "ETAG_KIND": "md5", "STAGED": "staged-copy"},
	"minio":     {"NORMALIZE_EXIT": "0", "NORMALIZED": "self-copy", "ETAG_KIND": "md5", "STAGED": "staged-copy", "BIG": "1073741824", "BIG_PARTS": "16", "BIG_SLOTS": "64"},
	"versitygw": {"NORMALIZE_EXIT": "10", "NORMALIZED": "kept", "ETAG_KIND": "multipart", "STAGED": "staged-copy", "BIG": "1073741824", "BIG_PARTS": "16", "BIG_SLOTS": "64"},
	"rclone":    {"NORMALIZE_EXIT": "0", "NORMALIZED": "already", "ETAG_KIND": "md5", "STAGED": "already", "BIG": "536870912", "BIG_PARTS": "8", "BIG_SLOTS": "16"},
}

// realStore returns the store that the environment names, nil if none.
func realStore() *realStoreConfig {
	endpoint := os.Getenv("S3UP_TEST_ENDPOINT")
	if endpoint == "" {
		return nil
	}
	name := os.Getenv("S3UP_TEST_STORE")
	return &realStoreConfig{endpoint, name, expectations[name]}
}

type standKey struct{}

func setUp(env *testscript.Env) error {
	st := &stand{bucket: "b", holds: make(map[string]*hold), procs: make(map[string]*process)}
	env.Values[standKey{}] = st
	endpoint, access, secret := "", "", ""
	expect := expectations["s3test"]
	if real := realStore(); real != nil {
		if real.expect == nil {
			return fmt.Errorf("S3UP_TEST_STORE %q is not one of %v", real.name, slices.Sorted(maps.Keys(expectations)))
		}
		endpoint, expect = real.endpoint, real.expect
		access, secret = os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
		st.client = newClient(endpoint, access, secret)
		st.bucket = fmt.Sprintf("s3up-%08x", rand.Uint32())
		if _, err := st.client.CreateBucket(context.Background(), &s3.CreateBucketInput{Bucket: &st.bucket}); err != nil {
			return err
		}
		env.Defer(st.clear)
	} else {
		server, err := s3test.Start(s3test.Options{Now: st.now})
		if err != nil {
			return err
		}
		env.Defer(server.Close)
		server.CreateBucket(st.bucket)
		st.use(server)
		endpoint, access, secret = server.URL(), server.AccessKey(), server.SecretKey()
	}
	env.Defer(st.killAll)
	env.Setenv("AWS_ENDPOINT_URL", endpoint)
	env.Setenv("AWS_ACCESS_KEY_ID", access)
	env.Setenv("AWS_SECRET_ACCESS_KEY", secret)
	env.Setenv("AWS_REGION", "us-east-1")
	env.Setenv("AWS_CONFIG_FILE", os.DevNull)
	env.Setenv("AWS_SHARED_CREDENTIALS_FILE", os.DevNull)
	env.Setenv("AWS_EC2_METADATA_DISABLED", "true")
	env.Setenv("TERM", "xterm")
	env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, ".cache"))
	env.Setenv(peakFile, filepath.Join(env.WorkDir, ".peak"))
	env.Setenv("BUCKET", st.bucket)
	env.Setenv("NL", "\n")
	env.Setenv("GORACE", "atexit_sleep_ms=0") // else each run under -race lasts a second longer
	for name, value := range expect {
		env.Setenv(name, value)
	}
	return nil
}

func newClient(endpoint, access, secret string) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint: &endpoint, Region: "us-east-1", UsePathStyle: true,
		Credentials:                credentials.NewStaticCredentialsProvider(access, secret, ""),
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
	})
}

func (st *stand) use(server *s3test.Server) { st.server, st.client = server, server.Client() }

// clear removes the bucket and what is in it.
func (st *stand) clear() {
	ctx := context.Background()
	for _, key := range st.keys(ctx) {
		st.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &st.bucket, Key: &key})
	}
	st.client.DeleteBucket(ctx, &s3.DeleteBucketInput{Bucket: &st.bucket})
}

func (st *stand) keys(ctx context.Context) []string {
	var keys []string
	pages := s3.NewListObjectsV2Paginator(st.client, &s3.ListObjectsV2Input{Bucket: &st.bucket})
	for pages.HasMorePages() {
		page, err := pages.NextPage(ctx)
		if err != nil {
			return keys
		}
		for _, o := range page.Contents {
			keys = append(keys, *o.Key)
		}
	}
	slices.Sort(keys)
	return keys
}

// standOf returns the script's store.
func standOf(ts *testscript.TestScript) *stand { return ts.Value(standKey{}).(*stand) }

// s3Command is a word after "s3" in a script: how many arguments it wants at
// least, and what it does. What it writes is the script's stdout.
type s3Command struct {
	args int
	fake bool // only an s3test server can do it
	do   func(st *stand, ts *testscript.TestScript, args []string) (string, error)
}

// s3Commands:
//
//	s3 object KEY                 what a GET shows
//	s3 attributes [KEY]           what the object, or each, carries beside that
//	s3 arrives KEY SHOWN TOLD IN  it has a line of that there, or one line of the
//	                              file IN, about the file that it was, tells that not
//	s3 objects                    all keys, quoted
//	s3 uploads KEY                unfinished uploads of the key: parts and bytes
//	s3 put KEY... FILE            store an object, or some, as somebody else would
//	s3 putParts KEY FILE SIZE [CLASS]  store an object in such parts, with properties of all sorts
//	s3 upload KEY FILE SIZE N...  begin an upload, with these parts of the file
//	s3 uploadID KEY NAME          set a variable to the id of the key's first unfinished upload
//	s3 awaitParts KEY N           wait until an unfinished upload of the key has so many parts
//
// and, of an s3test server:
//
//	s3 quirk NAME...              see s3test.Quirks
//	s3 clock DURATION             put the server's clock ahead by so much
//	s3 token TOKEN                make this the session token; the last one has expired
//	s3 fault SPEC                 see s3test.ParseFault
//	s3 clear                      no more faults
//	s3 hold NAME OP [AFTER]       keep the next such request waiting, but for the first AFTER of them
//	s3 await NAME                 wait for it to come
//	s3 release NAME               let it go
//	s3 count OP                   requests since the last reset
//	s3 reset                      count anew
//	s3 bucketIn NAME REGION       make another bucket
//	s3 versions KEY               ETags of all versions of a key
//	s3 begin KEY AGO SIZE...      begin an upload so long ago, with parts of these sizes
//	s3 lock [MODE DAYS]           turn Object Lock of the bucket on, with that default
//	s3 tls [WHAT...]              use a new server that speaks https as 127.0.0.1, see tls
var s3Commands = map[string]s3Command{
	"object":  {1, false, (*stand).object},
	"objects": {0, false, (*stand).objects},

	"attributes": {0, false, (*stand).attributes},
	"arrives":    {4, false, (*stand).arrives},

	"uploads": {1, false, (*stand).uploads},
	"put":     {2, false, (*stand).put},
	"upload":  {3, false, (*stand).upload},

	"awaitParts": {2, false, (*stand).awaitParts},

	"quirk":    {1, true, (*stand).quirk},
	"clock":    {1, true, (*stand).clock},
	"token":    {1, true, (*stand).token},
	"fault":    {1, true, (*stand).fault},
	"clear":    {0, true, (*stand).clearFaults},
	"hold":     {2, true, (*stand).hold},
	"await":    {1, true, (*stand).await},
	"release":  {1, true, (*stand).release},
	"count":    {1, true, (*stand).count},
	"reset":    {0, true, (*stand).reset},
	"bucketIn": {2, true, (*stand).bucketIn},
	"versions": {1, true, (*stand).versions},
	"tls":      {0, true, (*stand).tls},
	"lock":     {0, true, (*stand).lock},
	"begin":    {3, true, (*stand).begin},
	"beginN":   {4, true, (*stand).beginMany},

	"uploadID": {2, false, (*stand).uploadID},
	"putParts": {3, false, (*stand).putParts},
}

func cmdS3(ts *testscript.TestScript, neg bool, args []string) {
	if len(args) == 0 {
		ts.Fatalf("usage: s3 COMMAND ARG...")
	}
	st := standOf(ts)
	c, ok := s3Commands[args[0]]
	if !ok || len(args)-1 < c.args || c.fake && st.server == nil {
		ts.Fatalf("s3 %s is not possible here", strings.Join(args, " "))
	}
	text, err := c.do(st, ts, args[1:])
	io.WriteString(ts.Stdout(), text)
	if neg != (err != nil) {
		ts.Fatalf("s3 %s: %v", args[0], err)
	}
}

func (st *stand) object(_ *testscript.TestScript, args []string) (string, error) {
	out, err := st.client.GetObject(context.Background(), &s3.GetObjectInput{Bucket: &st.bucket, Key: &args[0]})
	if err != nil {
		return "", err
	}
	defer out.Body.Close()
	h := md5.New()
	size, err := io.Copy(h, out.Body)
	if err != nil {
		return "", err
	}
	class := string(out.StorageClass)
	if class == "" {
		class = "STANDARD"
	}
	var b strings.Builder
	fmt.Fprintf(&b, "etag %s\nmd5 %x\nsize %d\ncontent-type %s\ncache-control %s\nstorage-class %s\n",
		etag.Trim(aws.ToString(out.ETag)), h.Sum(nil), size, aws.ToString(out.ContentType), aws.ToString(out.CacheControl), class)
	for _, name := range slices.Sorted(maps.Keys(out.Metadata)) {
		fmt.Fprintf(&b, "metadata %s=%s\n", strings.ToLower(name), out.Metadata[name])
	}
	return b.String(), nil
}

// attributes tells what HEAD and the calls about single properties show of an
// object, a line for each that it has.
func (st *stand) attributes(ts *testscript.TestScript, args []string) (string, error) {
	ctx := context.Background()
	if len(args) == 0 {
		var b strings.Builder
		for _, key := range st.keys(ctx) {
			text, err := st.attributes(ts, []string{key})
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "%q\n%s", key, text)
		}
		return b.String(), nil
	}
	head, err := st.client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &st.bucket, Key: &args[0]})
	if err != nil {
		return "", err
	}
	var b strings.Builder
	line := func(name, value string) {
		if value != "" {
			fmt.Fprintf(&b, "%s %s\n", name, value)
		}
	}
	line("content-type", aws.ToString(head.ContentType))
	line("content-encoding", aws.ToString(head.ContentEncoding))
	line("content-disposition", aws.ToString(head.ContentDisposition))
	line("content-language", aws.ToString(head.ContentLanguage))
	line("cache-control", aws.ToString(head.CacheControl))
	line("expires", aws.ToString(head.ExpiresString))
	line("website-redirect", aws.ToString(head.WebsiteRedirectLocation))
	for _, name := range slices.Sorted(maps.Keys(head.Metadata)) {
		line("metadata", strings.ToLower(name)+"="+head.Metadata[name])
	}
	line("storage-class", string(head.StorageClass))
	if tags, err := st.client.GetObjectTagging(ctx, &s3.GetObjectTaggingInput{Bucket: &st.bucket, Key: &args[0]}); err == nil {
		for _, tag := range tags.TagSet {
			line("tag", aws.ToString(tag.Key)+"="+aws.ToString(tag.Value))
		}
	}
	if acl, err := st.client.GetObjectAcl(ctx, &s3.GetObjectAclInput{Bucket: &st.bucket, Key: &args[0]}); err == nil {
		for _, g := range acl.Grants {
			line("grant", string(g.Permission)+" "+aws.ToString(g.Grantee.URI)+aws.ToString(g.Grantee.ID)+aws.ToString(g.Grantee.EmailAddress))
		}
	}
	line("sse", string(head.ServerSideEncryption))
	line("kms-key", aws.ToString(head.SSEKMSKeyId))
	line("lock-mode", string(head.ObjectLockMode))
	if head.ObjectLockRetainUntilDate != nil {
		line("lock-until", head.ObjectLockRetainUntilDate.UTC().Format(time.RFC3339))
	}
	line("legal-hold", string(head.ObjectLockLegalHoldStatus))
	return b.String(), nil
}

// arrives makes sure that an object has what was asked for, or that it was said in
// one line about its file that it has not.
func (st *stand) arrives(ts *testscript.TestScript, args []string) (string, error) {
	shown, told := regexp.MustCompile("(?m)"+args[1]), regexp.MustCompile(args[2])
	file := regexp.MustCompile(`\b` + regexp.QuoteMeta(path.Base(args[0])) + `\b`)
	text, err := st.attributes(ts, args[:1])
	if err == nil {
		sum, _ := st.client.HeadObject(context.Background(), &s3.HeadObjectInput{Bucket: &st.bucket, Key: &args[0], ChecksumMode: types.ChecksumModeEnabled})
		text += "crc64nvme " + aws.ToString(sum.ChecksumCRC64NVME) + "\n"
	}
	has := err == nil && shown.MatchString(text)
	var lines []string
	for line := range strings.Lines(ts.ReadFile(args[3])) {
		if file.MatchString(line) && told.MatchString(line) {
			lines = append(lines, line)
		}
	}
	if has && len(lines) == 0 || !has && len(lines) == 1 {
		return text, nil
	}
	return text, fmt.Errorf("it has it: %t, and %d lines say that it does not: %q", has, len(lines), lines)
}

func (st *stand) objects(*testscript.TestScript, []string) (string, error) {
	var b strings.Builder
	for _, key := range st.keys(context.Background()) {
		fmt.Fprintf(&b, "%q\n", key)
	}
	return b.String(), nil
}

func (st *stand) uploads(_ *testscript.TestScript, args []string) (string, error) {
	ctx := context.Background()
	list, err := st.listUploads(ctx, args[0])
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for _, u := range list.Uploads {
		if *u.Key != args[0] {
			continue
		}
		parts, err := st.client.ListParts(ctx, &s3.ListPartsInput{Bucket: &st.bucket, Key: u.Key, UploadId: u.UploadId})
		if err != nil {
			return "", err
		}
		var bytes int64
		for _, p := range parts.Parts {
			bytes += *p.Size
		}
		fmt.Fprintf(&b, "%d parts, %d bytes\n", len(parts.Parts), bytes)
	}
	return b.String(), nil
}

// listUploads lists unfinished uploads. That there never was one in the bucket is
// no error, though rclone serve s3 says so.
func (st *stand) listUploads(ctx context.Context, prefix string) (*s3.ListMultipartUploadsOutput, error) {
	list, err := st.client.ListMultipartUploads(ctx, &s3.ListMultipartUploadsInput{Bucket: &st.bucket, Prefix: &prefix})
	if store.Code(err) == "NoSuchUpload" {
		return new(s3.ListMultipartUploadsOutput), nil
	}
	return list, err
}

func (st *stand) put(ts *testscript.TestScript, args []string) (string, error) {
	body, err := os.ReadFile(ts.MkAbs(args[len(args)-1]))
	if err != nil {
		return "", err
	}
	for _, key := range args[:len(args)-1] {
		if _, err := st.client.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &st.bucket, Key: &key, Body: bytes.NewReader(body)}); err != nil {
			return "", err
		}
	}
	return "", nil
}

func (st *stand) upload(ts *testscript.TestScript, args []string) (string, error) {
	ctx := context.Background()
	f, err := os.Open(ts.MkAbs(args[1]))
	if err != nil {
		return "", err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return "", err
	}
	size, err := strconv.ParseInt(args[2], 10, 64)
	if err != nil {
		return "", err
	}
	up, err := st.client.CreateMultipartUpload(ctx, &s3.CreateMultipartUploadInput{Bucket: &st.bucket, Key: &args[0]})
	if err != nil {
		return "", err
	}
	for _, arg := range args[3:] {
		n, err := strconv.Atoi(arg)
		if err != nil {
			return "", err
		}
		offset := int64(n-1) * size
		body := io.NewSectionReader(f, offset, min(size, info.Size()-offset))
		if _, err := st.client.UploadPart(ctx, &s3.UploadPartInput{Bucket: &st.bucket, Key: &args[0], UploadId: up.UploadId,
			PartNumber: aws.Int32(int32(n)), Body: body}); err != nil {
			return "", err
		}
	}
	return "", nil
}

// putParts stores an object as other programs do that send parts.
func (st *stand) putParts(ts *testscript.TestScript, args []string) (string, error) {
	ctx := context.Background()
	data := []byte(ts.ReadFile(args[1]))
	size, err := strconv.Atoi(args[2])
	if err != nil {
		return "", err
	}
	in := &s3.CreateMultipartUploadInput{Bucket: &st.bucket, Key: &args[0], ContentType: aws.String("text/x-test"), CacheControl: aws.String("no-store"),
		ContentDisposition: aws.String(`attachment; filename="a b"`), Metadata: map[string]string{"owner": "me", "city": "Köln"}, Tagging: aws.String("team=a%20b")}
	if len(args) > 3 {
		in.StorageClass = types.StorageClass(args[3])
	}
	up, err := st.client.CreateMultipartUpload(ctx, in)
	if err != nil {
		return "", err
	}
	var parts []types.CompletedPart
	for body := range slices.Chunk(data, size) {
		number := aws.Int32(int32(len(parts) + 1))
		part, err := st.client.UploadPart(ctx, &s3.UploadPartInput{Bucket: &st.bucket, Key: &args[0], UploadId: up.UploadId, PartNumber: number,
			Body: bytes.NewReader(body)})
		if err != nil {
			return "", err
		}
		parts = append(parts, types.CompletedPart{PartNumber: number, ETag: part.ETag})
	}
	_, err = st.client.CompleteMultipartUpload(ctx, &s3.CompleteMultipartUploadInput{Bucket: &st.bucket, Key: &args[0], UploadId: up.UploadId,
		MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}})
	return "", err
}

func (st *stand) uploadID(ts *testscript.TestScript, args []string) (string, error) {
	list, err := st.listUploads(context.Background(), args[0])
	if err != nil || len(list.Uploads) == 0 {
		return "", errors.Join(err, errors.New("no upload"))
	}
	ts.Setenv(args[1], *list.Uploads[0].UploadId)
	return "", nil
}

func (st *stand) begin(_ *testscript.TestScript, args []string) (string, error) {
	ago, err := time.ParseDuration(args[1])
	if err != nil {
		return "", err
	}
	var sizes []int64
	for _, arg := range args[2:] {
		n, err := strconv.ParseInt(arg, 10, 64)
		if err != nil {
			return "", err
		}
		sizes = append(sizes, n)
	}
	st.server.Begin(st.bucket, args[0], time.Now().Add(-ago), sizes...)
	return "", nil
}

// beginMany begins so many uploads, each of its key.
func (st *stand) beginMany(ts *testscript.TestScript, args []string) (string, error) {
	n, err := strconv.Atoi(args[0])
	for i := 0; i < n && err == nil; i++ {
		_, err = st.begin(ts, append([]string{fmt.Sprintf("%s%05d", args[1], i)}, args[2:]...))
	}
	return "", err
}

// longest is longer than any story takes.
const longest = 2 * time.Minute

// awaitParts asks until the store has the parts.
func (st *stand) awaitParts(_ *testscript.TestScript, args []string) (string, error) {
	want, err := strconv.Atoi(args[1])
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), longest)
	defer cancel()
	for {
		list, err := st.listUploads(ctx, args[0])
		if err != nil {
			return "", err
		}
		for _, u := range list.Uploads {
			parts, err := st.client.ListParts(ctx, &s3.ListPartsInput{Bucket: &st.bucket, Key: u.Key, UploadId: u.UploadId})
			if err == nil && len(parts.Parts) >= want {
				return "", nil
			}
		}
	}
}

func (st *stand) quirk(_ *testscript.TestScript, args []string) (string, error) {
	var err error
	st.server.SetQuirks(func(q *s3test.Quirks) {
		for _, name := range args {
			err = errors.Join(err, q.Set(name))
		}
	})
	return "", err
}

func (st *stand) fault(_ *testscript.TestScript, args []string) (string, error) {
	f, err := s3test.ParseFault(args[0])
	if err == nil {
		st.server.Fault(f)
	}
	return "", err
}

// now is the server's clock.
func (st *stand) now() time.Time { return time.Now().Add(time.Duration(st.ahead.Load())) }

func (st *stand) clock(_ *testscript.TestScript, args []string) (string, error) {
	d, err := time.ParseDuration(args[0])
	st.ahead.Store(int64(d))
	return "", err
}

func (st *stand) token(_ *testscript.TestScript, args []string) (string, error) {
	st.server.RenewToken(args[0])
	st.client = st.server.Client()
	return "", nil
}

func (st *stand) clearFaults(*testscript.TestScript, []string) (string, error) {
	st.server.ClearFaults()
	return "", nil
}

func (st *stand) hold(_ *testscript.TestScript, args []string) (string, error) {
	h := &hold{make(chan struct{}), make(chan struct{})}
	st.holds[args[0]] = h
	f := s3test.Fault{Op: args[1], Do: s3test.Block, Hook: func() { close(h.reached) }, Hold: h.release}
	var err error
	if len(args) > 2 {
		f.After, err = strconv.Atoi(args[2])
	}
	st.server.Fault(f)
	return "", err
}

func (st *stand) await(_ *testscript.TestScript, args []string) (string, error) {
	select {
	case <-st.holds[args[0]].reached:
		return "", nil
	case <-time.After(longest):
		return "", errors.New("it did not come")
	}
}

func (st *stand) release(_ *testscript.TestScript, args []string) (string, error) {
	close(st.holds[args[0]].release)
	return "", nil
}

func (st *stand) count(_ *testscript.TestScript, args []string) (string, error) {
	return strconv.Itoa(st.server.Count(args[0])) + "\n", nil
}

func (st *stand) reset(*testscript.TestScript, []string) (string, error) {
	st.server.ResetRequests()
	return "", nil
}

func (st *stand) bucketIn(_ *testscript.TestScript, args []string) (string, error) {
	st.server.CreateBucketIn(args[0], args[1])
	return "", nil
}

func (st *stand) versions(_ *testscript.TestScript, args []string) (string, error) {
	var b strings.Builder
	for _, o := range st.server.Versions(st.bucket, args[0]) {
		fmt.Fprintln(&b, o.ETag)
	}
	return b.String(), nil
}

func (st *stand) lock(_ *testscript.TestScript, args []string) (string, error) {
	if len(args) == 0 {
		st.server.SetObjectLock(st.bucket, "", 0)
		return "", nil
	}
	days, err := strconv.Atoi(args[1])
	st.server.SetObjectLock(st.bucket, args[0], days)
	return "", err
}

// tls sets CA_FILE to the server's authority; CLIENT_CERT and CLIENT_KEY to a
// client certificate of the same, and STRANGER_CERT and STRANGER_KEY to one of
// another authority. The server's certificate can be expired or for other-host,
// and the server can demand one of its authority from clients: mutual.
func (st *stand) tls(ts *testscript.TestScript, args []string) (string, error) {
	cert := s3test.Cert{Hosts: []string{"127.0.0.1"}}
	o := s3test.Options{TLS: true}
	issue := func(names ...string) (*s3test.CA, []*s3test.Pair) {
		dir, err := os.MkdirTemp(ts.Getenv("WORK"), "tls-")
		ts.Check(err)
		ca, err := s3test.NewCA(dir)
		ts.Check(err)
		var pairs []*s3test.Pair
		for _, name := range names {
			c := s3test.Cert{}
			if name == "server" {
				c = cert
			}
			pair, err := ca.Issue(name, c)
			ts.Check(err)
			pairs = append(pairs, pair)
		}
		return ca, pairs
	}
	if slices.Contains(args, "expired") {
		cert.Until = time.Now().Add(-time.Hour)
	}
	if slices.Contains(args, "other-host") {
		cert.Hosts = []string{"store.example"}
	}
	ca, pairs := issue("server", "client")
	_, strangers := issue("stranger")
	if slices.Contains(args, "mutual") {
		o.ClientCAs = ca.Pool()
	}
	o.Certificate = &pairs[0].Certificate
	server, err := s3test.Start(o)
	if err != nil {
		return "", err
	}
	ts.Defer(server.Close)
	server.CreateBucket(st.bucket)
	st.use(server)
	ts.Setenv("AWS_ENDPOINT_URL", server.URL())
	ts.Setenv("CA_FILE", ca.File())
	ts.Setenv("CLIENT_CERT", pairs[1].CertFile)
	ts.Setenv("CLIENT_KEY", pairs[1].KeyFile)
	ts.Setenv("STRANGER_CERT", strangers[0].CertFile)
	ts.Setenv("STRANGER_KEY", strangers[0].KeyFile)
	return "", nil
}

// cmdMkfile makes a file of some size whose bytes follow from a seed.
//
//	mkfile NAME SIZE [SEED]
func cmdMkfile(ts *testscript.TestScript, _ bool, args []string) {
	size, err := strconv.ParseInt(args[1], 10, 64)
	ts.Check(err)
	var seed [32]byte
	copy(seed[:], strings.Join(args[2:], ""))
	name := ts.MkAbs(args[0])
	ts.Check(os.MkdirAll(filepath.Dir(name), 0o777))
	f, err := os.Create(name)
	ts.Check(err)
	_, err = io.CopyN(f, rand.NewChaCha8(seed), size)
	ts.Check(errors.Join(err, f.Close()))
}

// cmdMD5 sets a variable to the MD5 of a file.
//
//	md5 FILE NAME
func cmdMD5(ts *testscript.TestScript, _ bool, args []string) {
	f, err := os.Open(ts.MkAbs(args[0]))
	ts.Check(err)
	defer f.Close()
	h := md5.New()
	_, err = io.Copy(h, f)
	ts.Check(err)
	ts.Setenv(args[1], hex.EncodeToString(h.Sum(nil)))
}

// cmdComposite sets a variable to the ETag that a file has as a multipart object.
//
//	composite FILE PARTSIZE NAME
func cmdComposite(ts *testscript.TestScript, _ bool, args []string) {
	data := []byte(ts.ReadFile(args[0]))
	size, err := strconv.Atoi(args[1])
	ts.Check(err)
	var parts []etag.MD5
	for part := range slices.Chunk(data, size) {
		parts = append(parts, md5.Sum(part))
	}
	ts.Setenv(args[2], etag.Composite(parts))
}
