package main

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"encoding/hex"
	"encoding/json"
	"errors"
	"io"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3up/internal/s3test"
	"s3up/internal/store"
	"s3up/internal/upload"
)

// policies are the actions that docs/permissions.md shows under each heading.
func policies(t *testing.T) map[string][]string {
	t.Helper()
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "permissions.md"))
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string][]string)
	heading := ""
	for line := range strings.Lines(string(page)) {
		if h, ok := strings.CutPrefix(line, "## "); ok {
			heading = strings.TrimSpace(h)
		}
		if !strings.HasPrefix(line, `{"Effect"`) {
			continue
		}
		var s struct {
			Effect, Resource string
			Action           []string
		}
		if err := json.Unmarshal([]byte(line), &s); err != nil || s.Effect != "Allow" {
			t.Fatalf("%s: %v", line, err)
		}
		for _, action := range s.Action {
			onBucket := regexp.MustCompile(`^s3:(List|GetBucket)`).MatchString(action) && action != "s3:ListMultipartUploadParts"
			if want := "arn:aws:s3:::BUCKET"; strings.HasPrefix(action, "s3:") && (s.Resource == want) != onBucket {
				t.Errorf("%s is said to be on %s", action, s.Resource)
			}
		}
		all[heading] = append(all[heading], s.Action...)
	}
	return all
}

// Each feature works with exactly the policy that the page shows for it, and
// without a note; and with each of the actions taken away, what is said names it.
func TestPermissions(t *testing.T) {
	shown := policies(t)
	const part = 1 << 10
	file := filepath.Join(t.TempDir(), "file")
	data := make([]byte, 3*part)
	rand.NewChaCha8([32]byte{}).Read(data)
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
	future := time.Now().Add(time.Hour)
	writeOnly := func(o *upload.Options, _ *upload.Properties) {
		o.Normalize, o.NoResume = upload.NormalizeOff, true
	}
	noResume := func(o *upload.Options, _ *upload.Properties) { o.NoResume = true }
	for feature, test := range map[string]struct {
		with    []string // other features that it is one of
		lock    bool     // the bucket has Object Lock
		begun   bool     // somebody has begun an upload of the key
		fails   bool     // the upload is one that fails by itself
		keeps   bool     // the bucket keeps versions
		there   []byte   // what is under the key
		bucket  string   // default "b"
		change  func(*upload.Options, *upload.Properties)
		outcome upload.Normalized
	}{
		"Write":           {change: writeOnly, outcome: upload.Off},
		"The MD5 as ETag": {with: []string{"Write"}, change: noResume, outcome: upload.SelfCopy},
		"Staged copies": {with: []string{"Write", "The MD5 as ETag"}, outcome: upload.StagedCopy,
			change: func(o *upload.Options, _ *upload.Properties) { o.NoResume, o.Normalize = true, upload.NormalizeStaged }},
		"Going on where a run stopped": {with: []string{"Write"}, begun: true, outcome: upload.Off,
			change: func(o *upload.Options, _ *upload.Properties) { o.Normalize = upload.NormalizeOff }},
		"Cleaning up": {with: []string{"Write"}, fails: true, change: writeOnly},
		"Tags": {with: []string{"Write", "The MD5 as ETag"}, outcome: upload.SelfCopy,
			change: func(o *upload.Options, p *upload.Properties) {
				o.NoResume, p.Tags = true, map[string]string{"team": "web"}
			}},
		"ACLs": {with: []string{"Write", "The MD5 as ETag"}, outcome: upload.SelfCopy,
			change: func(o *upload.Options, p *upload.Properties) { o.NoResume, p.ACL = true, "bucket-owner-full-control" }},
		"Encryption with KMS": {with: []string{"Write", "The MD5 as ETag"}, outcome: upload.Opaque,
			change: func(o *upload.Options, p *upload.Properties) { o.NoResume, p.SSE = true, "aws:kms" }},
		"Object Lock": {with: []string{"Write", "The MD5 as ETag"}, lock: true, outcome: upload.SelfCopy,
			change: func(o *upload.Options, p *upload.Properties) {
				o.NoResume, o.Normalize = true, upload.NormalizeSelf
				p.LockMode, p.LockUntil, p.LegalHold = "GOVERNANCE", future, true
			}},
		"--no-clobber": {with: []string{"Write"}, outcome: upload.Off,
			change: func(o *upload.Options, p *upload.Properties) { writeOnly(o, p); o.NoClobber = true }},
		"--if-match": {with: []string{"Write"}, there: []byte("old"), outcome: upload.Off,
			change: func(o *upload.Options, p *upload.Properties) { writeOnly(o, p); o.IfMatch = md5Of([]byte("old")) }},
		"--if-changed": {with: []string{"Write", "Tags"}, there: data, outcome: upload.Already,
			change: func(o *upload.Options, p *upload.Properties) {
				o.NoResume, o.IfChanged = true, true
				p.ContentType, p.Tags = "binary/octet-stream", map[string]string{"team": "web"}
			}},
		"--prune-version": {with: []string{"Write", "The MD5 as ETag"}, keeps: true, outcome: upload.SelfCopy,
			change: func(o *upload.Options, _ *upload.Properties) { o.NoResume, o.PruneVersion = true, true }},
		"--publish staged": {with: []string{"Write", "The MD5 as ETag"}, keeps: true, outcome: upload.StagedCopy,
			change: func(o *upload.Options, _ *upload.Properties) { o.NoResume, o.Publish = true, upload.PublishStaged }},
		"--checksum": {with: []string{"Write", "Encryption with KMS"}, outcome: upload.Opaque,
			change: func(o *upload.Options, p *upload.Properties) {
				o.NoResume, o.Checksum, p.SSE = true, upload.SumCRC64NVME, "aws:kms"
			}},
		"Directory buckets": {bucket: "b--use1-az4--x-s3", outcome: upload.Opaque, change: func(*upload.Options, *upload.Properties) {}},
	} {
		bucket := cmp.Or(test.bucket, "b")
		if len(shown[feature]) == 0 {
			t.Errorf("the page has no policy for %s", feature)
		}
		// run uploads with these actions allowed, and returns what came of it and
		// all that is said.
		run := func(t *testing.T, allowed []string, change func(*upload.Options, *upload.Properties)) (*upload.Result, string) {
			server := s3test.New(t, s3test.Options{MinPartSize: part})
			server.CreateBucket(bucket)
			if test.lock {
				server.SetObjectLock("b", "", 0)
			}
			server.SetVersioning(bucket, test.lock || test.keeps)
			if test.there != nil {
				server.Put("b", "k", test.there, func(o *s3test.Object) { o.Tags = map[string]string{"team": "web"} })
			}
			if test.begun {
				begin(t, server, data[:part])
			}
			server.SetQuirks(func(q *s3test.Quirks) {
				q.SelfCopyKeepsETag = feature == "Staged copies"
				for _, action := range s3test.Permissions() {
					if !slices.Contains(allowed, action) {
						q.Deny = append(q.Deny, action)
					}
				}
			})
			for name, value := range map[string]string{"AWS_ACCESS_KEY_ID": server.AccessKey(), "AWS_SECRET_ACCESS_KEY": server.SecretKey(),
				"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull} {
				t.Setenv(name, value)
			}
			s, err := store.Open(t.Context(), store.Config{Endpoint: server.URL(), Region: "us-east-1"})
			if err != nil {
				t.Fatal(err)
			}
			o := upload.Options{PartSize: part, Threshold: part, MaxMemory: 16 * part, StaleAfter: time.Hour, Limits: upload.Limits{MinPart: part}}
			job := &upload.Job{Bucket: bucket, Key: "k"}
			change(&o, &job.Properties)
			u, err := upload.New(s.Client, o)
			if err != nil {
				t.Fatal(err)
			}
			if job.Source, err = upload.Open(t.Context(), file); err != nil {
				t.Fatal(err)
			}
			if test.fails {
				broken := iotest.ErrReader(errors.New("the producer broke"))
				job.Source = upload.NewStream("stdin", io.MultiReader(bytes.NewReader(data), broken))
			}
			defer job.Source.Close()
			r := u.Upload(t.Context(), job)
			said := slices.DeleteFunc(slices.Clone(r.Notes), func(note string) bool { return strings.HasPrefix(note, "the bucket keeps versions") })
			if r.Err != nil {
				p := explain(r.Err, facts{bucket: bucket, properties: job.Properties})
				said = append(said, sentence(p.why, p.hint))
			}
			return r, strings.Join(said, "\n")
		}
		policy := slices.Clone(shown[feature])
		for _, other := range test.with {
			policy = append(policy, shown[other]...)
		}
		t.Run(feature, func(t *testing.T) {
			r, said := run(t, policy, test.change)
			switch {
			case test.fails && (r.Err == nil || len(r.Notes) > 0):
				t.Errorf("%v; %s", r.Err, said)
			case !test.fails && (r.Err != nil || said != "" || r.Normalized != test.outcome):
				t.Errorf("got %s, %v; %s", r.Normalized, r.Err, said)
			case test.begun && r.PartsResumed != 1:
				t.Errorf("%d parts were resumed", r.PartsResumed)
			}
		})
		for _, action := range shown[feature] {
			t.Run(feature+" without "+action, func(t *testing.T) {
				change := test.change
				if action == "s3:GetBucketObjectLockConfiguration" && test.lock { // asked only where it matters
					change = func(o *upload.Options, p *upload.Properties) {
						test.change(o, p)
						o.Normalize, p.LockMode, p.LegalHold, p.LockUntil = upload.NormalizeAuto, "", false, time.Time{}
					}
				}
				if action == "s3:GetObjectAcl" && test.there != nil { // asked only before a copy
					change = func(o *upload.Options, p *upload.Properties) { test.change(o, p); p.CacheControl = "no-store" }
				}
				_, said := run(t, slices.DeleteFunc(slices.Clone(policy), func(a string) bool { return a == action }), change)
				if !strings.Contains(said, action) {
					t.Errorf("nothing names it: %q", said)
				}
			})
		}
	}
}

func md5Of(data []byte) string {
	sum := md5.Sum(data)
	return hex.EncodeToString(sum[:])
}

// begin begins an upload of the key, of whose first part the bytes are there.
func begin(t *testing.T, server *s3test.Server, first []byte) {
	t.Helper()
	client := server.Client()
	up, err := client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: aws.String("b"), Key: aws.String("k"),
		ContentType: aws.String("application/octet-stream")})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := client.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: up.Bucket, Key: up.Key, UploadId: up.UploadId,
		PartNumber: aws.Int32(1), Body: bytes.NewReader(first)}); err != nil {
		t.Fatal(err)
	}
}
