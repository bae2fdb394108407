package faultproxy_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"

	"s3up/internal/s3test"
	"s3up/internal/s3test/faultproxy"
)

// A world is a store behind a proxy, and a client that comes through it.
type world struct {
	*testing.T
	store  *s3test.Server
	proxy  *faultproxy.Proxy
	client *s3.Client
}

func newWorld(t *testing.T, o faultproxy.Options) *world {
	store := s3test.New(t, s3test.Options{MinPartSize: 1})
	store.CreateBucket("b")
	o.Target = store.URL()
	proxy, err := faultproxy.Start(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := proxy.Close(); err != nil {
			t.Error(err)
		}
	})
	return &world{t, store, proxy, store.Client(func(o *s3.Options) { o.BaseEndpoint = aws.String(proxy.URL()) })}
}

func (w *world) put(key, body string) (*s3.PutObjectOutput, error) {
	sum := md5.Sum([]byte(body))
	return w.client.PutObject(w.Context(), &s3.PutObjectInput{Bucket: aws.String("b"), Key: &key, Body: strings.NewReader(body),
		ContentMD5: aws.String(base64.StdEncoding.EncodeToString(sum[:]))})
}

// sees is what the client is told of a call.
func sees(out *s3.PutObjectOutput, err error) string {
	var answer smithy.APIError
	switch {
	case err == nil && out.ETag == nil:
		return "ok, no ETag"
	case err == nil:
		return "ok"
	case errors.As(err, &answer):
		return answer.ErrorCode()
	case strings.Contains(err.Error(), "unexpected EOF"), strings.Contains(err.Error(), "malformed MIME header"):
		return "cut"
	case errors.Is(err, syscall.ECONNRESET), strings.Contains(err.Error(), "EOF"), strings.Contains(err.Error(), "broken pipe"),
		strings.Contains(err.Error(), "closed network connection"):
		return "lost"
	}
	return err.Error()
}

func shortly(string) time.Duration { return time.Millisecond }

// Each action does to the client and to the store what it says.
func TestActions(t *testing.T) {
	tests := map[s3test.Action]struct {
		sees   string
		stored bool
	}{
		s3test.None:           {"ok", true},
		s3test.Status:         {"InternalError", false},
		s3test.Refuse:         {"AccessDenied", false},
		s3test.SlowDown:       {"SlowDown", false},
		s3test.Lose:           {"lost", true},
		s3test.LoseUnexecuted: {"lost", false},
		s3test.Cut:            {"cut", true},
		s3test.CutClose:       {"cut", true},
		s3test.CutBody:        {"lost", false},
		s3test.Empty200:       {"ok, no ETag", true},
		s3test.EmptyNoop:      {"ok, no ETag", false},
		s3test.Error200:       {"InternalError", false},
		s3test.Error200Done:   {"InternalError", true},
		s3test.HTML200:        {"ok, no ETag", false},
		s3test.Stall:          {"lost", false},
		s3test.StallBody:      {"lost", false},
		s3test.StallAnswer:    {"cut", true},
		s3test.Corrupt:        {"BadDigest", false},
		s3test.Reset:          {"lost", false},
	}
	for _, do := range s3test.Actions() {
		want, isOurs := tests[do]
		if !isOurs {
			continue
		}
		t.Run(do.String(), func(t *testing.T) {
			w := newWorld(t, faultproxy.Options{Stall: shortly})
			w.proxy.Fault(s3test.Fault{Op: "PutObject", Key: "k", Do: do})
			out, err := w.put("k", "some bytes")
			w.proxy.Idle()
			_, stored := w.store.Object("b", "k")
			if got := sees(out, err); got != want.sees || stored != want.stored {
				t.Errorf("the client sees %q, stored: %t; want %q, %t", got, stored, want.sees, want.stored)
			}
			hits := map[string]int{do.String(): 1}
			if do == s3test.None {
				hits = map[string]int{}
			}
			if got := w.proxy.Hits(); !reflect.DeepEqual(got, hits) {
				t.Errorf("hits %v, want %v", got, hits)
			}
			if r := w.proxy.Requests()[0]; r.Fault != do || r.OK() != want.stored || r.Delivered != (do == s3test.None || do == s3test.Corrupt) {
				t.Errorf("record %+v", r)
			}
			if out, err := w.put("k", "some bytes"); sees(out, err) != "ok" {
				t.Errorf("the next request: %v", err)
			}
		})
	}
}

// A client that leaves a body that stalls keeps nobody waiting.
func TestIdleBesideAStalledBody(t *testing.T) {
	w := newWorld(t, faultproxy.Options{})
	ctx, leave := context.WithCancel(t.Context())
	w.proxy.Fault(s3test.Fault{Op: "PutObject", Do: s3test.StallBody, Hook: leave})
	if _, err := w.client.PutObject(ctx, &s3.PutObjectInput{Bucket: aws.String("b"), Key: aws.String("k"), Body: strings.NewReader("bytes")}); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v, want %v", err, context.Canceled)
	}
	w.proxy.Idle()
	if _, stored := w.store.Object("b", "k"); stored {
		t.Error("the store has it")
	}
}

// A reset is another end of a connection than the usual one.
func TestReset(t *testing.T) {
	w := newWorld(t, faultproxy.Options{})
	w.proxy.Fault(s3test.Fault{Op: "GetObject", Do: s3test.Reset})
	conn, err := net.Dial("tcp", strings.TrimPrefix(w.proxy.URL(), "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := io.WriteString(conn, "GET /b/k HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadAll(conn); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("error %v, want %v", err, syscall.ECONNRESET)
	}
}

// What a store cannot be made to do by a proxy is refused.
func TestOnlyAStoreCan(t *testing.T) {
	w := newWorld(t, faultproxy.Options{})
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	w.proxy.Fault(s3test.Fault{Op: "PutObject", Do: s3test.WrongETag})
}

// Keys and queries arrive as they were sent: the signature, which the store
// checks, covers them. A real store checks it in its own way.
func TestPassesUnchanged(t *testing.T) {
	var client *s3.Client
	var proxy *faultproxy.Proxy
	bucket := "b"
	if endpoint := os.Getenv("S3UP_TEST_ENDPOINT"); endpoint != "" {
		var err error
		if proxy, err = faultproxy.Start(faultproxy.Options{Target: endpoint}); err != nil {
			t.Fatal(err)
		}
		defer proxy.Close()
		client = s3.New(s3.Options{BaseEndpoint: aws.String(proxy.URL()), Region: "us-east-1", UsePathStyle: true,
			Credentials: credentials.NewStaticCredentialsProvider(os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY"), "")})
		bucket = "s3up-faultproxy"
		if _, err := client.CreateBucket(t.Context(), &s3.CreateBucketInput{Bucket: &bucket}); err != nil {
			t.Fatal(err)
		}
		defer client.DeleteBucket(context.Background(), &s3.DeleteBucketInput{Bucket: &bucket})
	} else {
		w := newWorld(t, faultproxy.Options{})
		client, proxy = w.client, w.proxy
	}
	for _, key := range []string{"plain", "a b+c%2Fd/é~ü!*'();:@&=$,?#[]", "dir/trailing%", "a/%20/b"} {
		if _, err := client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &bucket, Key: &key, Body: strings.NewReader(key)}); err != nil {
			t.Errorf("put %q: %v", key, err)
			continue
		}
		list, err := client.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: &bucket, Prefix: &key})
		if err != nil || len(list.Contents) != 1 || *list.Contents[0].Key != key {
			t.Errorf("list %q: %v", key, err)
		}
		out, err := client.GetObject(t.Context(), &s3.GetObjectInput{Bucket: &bucket, Key: &key})
		if err != nil {
			t.Errorf("get %q: %v", key, err)
			continue
		}
		if body, err := io.ReadAll(out.Body); err != nil || string(body) != key {
			t.Errorf("get %q: %q, %v", key, body, err)
		}
		if _, err := client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &bucket, Key: &key}); err != nil {
			t.Errorf("delete %q: %v", key, err)
		}
	}
	seen := map[string]int{}
	for _, r := range proxy.Requests() {
		seen[r.Op]++
	}
	for _, op := range []string{"PutObject", "ListObjectsV2", "GetObject", "DeleteObject"} {
		if seen[op] != 4 {
			t.Errorf("%d %s came through the proxy, want 4", seen[op], op)
		}
	}
}

// The same seed breaks the same requests in the same way, in whatever order they
// come; another one breaks others.
func TestSeed(t *testing.T) {
	play := func(seed uint64, order ...int) map[int]s3test.Action {
		w := newWorld(t, faultproxy.Options{Seed: seed, Rate: 0.5, Stall: shortly})
		up, err := w.store.Client().CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("b"), Key: aws.String("k")})
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range order {
			w.client.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: aws.String("b"), Key: aws.String("k"), UploadId: up.UploadId,
				PartNumber: aws.Int32(int32(n)), Body: bytes.NewReader([]byte("part"))})
		}
		hit := map[int]s3test.Action{}
		for _, r := range w.proxy.Requests() {
			hit[r.Part] = r.Fault
		}
		return hit
	}
	first := play(7, 1, 2, 3, 4, 5, 6, 7, 8)
	if again := play(7, 5, 8, 1, 4, 2, 7, 3, 6); !reflect.DeepEqual(again, first) {
		t.Errorf("the same seed: %v, and then %v", first, again)
	}
	if other := play(8, 1, 2, 3, 4, 5, 6, 7, 8); reflect.DeepEqual(other, first) {
		t.Errorf("two seeds do the same: %v", first)
	}
}

// After each moment, what is to be done is done once.
func TestWhen(t *testing.T) {
	w := newWorld(t, faultproxy.Options{})
	for at, want := range map[faultproxy.After]int{{Requests: 3}: 2, {Answers: 2}: 1, {Bytes: 25}: 2, {Requests: 3, Bytes: 5}: 0} {
		n, done := 0, []int{}
		w.proxy.When(at, func() { done = append(done, n) })
		for n = range 4 {
			if _, err := w.put("k", "ten bytes."); err != nil {
				t.Fatal(err)
			}
		}
		if !reflect.DeepEqual(done, []int{want}) {
			t.Errorf("%+v: done at requests %v, want %d", at, done, want)
		}
	}
}

// While it is down, nobody can connect.
func TestDown(t *testing.T) {
	w := newWorld(t, faultproxy.Options{})
	w.proxy.Down(time.Hour)
	if conn, err := net.Dial("tcp", strings.TrimPrefix(w.proxy.URL(), "http://")); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("connection %v, error %v, want %v", conn, err, syscall.ECONNREFUSED)
	}
	if got := fmt.Sprint(w.proxy.Hits()); got != "map[down:1]" {
		t.Errorf("hits %s", got)
	}
}

// After it was down, it is there again under the same address.
func TestUpAgain(t *testing.T) {
	w := newWorld(t, faultproxy.Options{})
	w.proxy.Down(time.Millisecond)
	err := errors.New("not tried")
	for err != nil && t.Context().Err() == nil {
		_, err = w.put("k", "bytes")
	}
	if err != nil {
		t.Error(err)
	}
}
