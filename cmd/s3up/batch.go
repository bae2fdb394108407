package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"hash"
	"io"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"s3up/internal/upload"
)

// What a job of S3 Batch Operations can do.
const (
	batchCopy     = "copy"
	batchChecksum = "checksum"
)

type batchOptions struct {
	manifest, job string // names of files; "": none
	operation     string
}

// A batch is the manifest of a job of S3 Batch Operations on its way, and the job:
// one for each storage class, because a job gives all its objects one.
type batch struct {
	o      batchOptions
	bucket string

	mu    sync.Mutex
	files map[string]*manifest // by class; "" for all
	err   error
}

type manifest struct {
	name  string
	class string
	file  *os.File
	csv   *csv.Writer
	md5   hash.Hash
	rows  int
}

func newBatch(o batchOptions, bucket string) *batch {
	return &batch{o: o, bucket: bucket, files: make(map[string]*manifest)}
}

// takes says whether a job can do what Normalize skips: checksums are computed of
// what is larger, archived or encrypted too.
func (b *batch) takes(skip upload.Skip) bool {
	return b != nil && b.o.operation == batchChecksum && (skip == upload.SkipLarge || skip == upload.SkipArchived)
}

// toManifest writes an object into the manifest, if the job can keep what it has.
func (n *normalizing) toManifest(ctx context.Context, c candidate) {
	if n.o.batch.operation == batchChecksum {
		n.report(n.batch.add(&upload.Result{Job: &upload.Job{Bucket: c.bucket, Key: c.key}, Status: upload.WouldNormalize, Size: c.size}))
		return
	}
	r := n.u.Normalize(ctx, n.job(c, true))
	if r.Status == upload.WouldNormalize && len(r.Custom) > 0 {
		r.Status, r.Skip = upload.Skipped, upload.SkipHeader
		r.Notes = append(r.Notes, "it has "+strings.Join(r.Custom, " and ")+", which a job of S3 Batch Operations cannot keep: s3up normalize can")
	}
	if r.Status == upload.WouldNormalize {
		r = n.batch.add(r)
	}
	n.report(r)
}

// add writes a row.
func (b *batch) add(r *upload.Result) *upload.Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	class := cmp.Or(r.StorageClass, "STANDARD")
	if b.o.operation == batchChecksum {
		class = "STANDARD" // a checksum is none of its business
	}
	m, err := b.open(class)
	if err == nil {
		m.rows++
		// A key is encoded as in a URL; a slash stays. A line has no quotes then.
		err = m.csv.Write([]string{r.Job.Bucket, strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(r.Job.Key), "+", "%20"), "%2F", "/")})
	}
	if err != nil {
		b.err = cmp.Or(b.err, err)
		r.Status, r.Err = upload.Failed, err
	}
	return r
}

func (b *batch) open(class string) (*manifest, error) {
	if m := b.files[class]; m != nil {
		return m, nil
	}
	name := ofClass(b.o.manifest, class)
	f, err := os.Create(name)
	if err != nil {
		return nil, err
	}
	m := &manifest{name: name, class: class, file: f, md5: md5.New()}
	m.csv = csv.NewWriter(io.MultiWriter(f, m.md5))
	b.files[class] = m
	return m, nil
}

// ofClass puts a storage class into the name of a file, but for the usual one.
func ofClass(name, class string) string {
	if class == "STANDARD" {
		return name
	}
	ext := filepath.Ext(name)
	return strings.TrimSuffix(name, ext) + "." + class + ext
}

// write ends the manifests, and writes the jobs.
func (b *batch) write(out *output) error {
	if b.err != nil {
		return b.err
	}
	for _, class := range slices.Sorted(maps.Keys(b.files)) {
		m := b.files[class]
		m.csv.Flush()
		if err := cmp.Or(m.csv.Error(), m.file.Close()); err != nil {
			return err
		}
		out.talk("%s: %s", m.name, plural(m.rows, "object"))
		if b.o.job == "" {
			continue
		}
		name := ofClass(b.o.job, class)
		text, err := b.jobOf(m)
		if err == nil {
			err = os.WriteFile(name, text, 0o666)
		}
		if err != nil {
			return err
		}
		out.talk("%s: replace ACCOUNT, ROLE and MANIFEST-BUCKET, put %s there, then: aws s3control create-job --cli-input-json file://%s", name, m.name, name)
	}
	return nil
}

// jobOf is the CreateJob request for a manifest. A copy onto itself is legal because
// it states the encryption, which is what the objects have: with that, metadata and
// tags are copied, which a job could otherwise only replace by the same for all.
func (b *batch) jobOf(m *manifest) ([]byte, error) {
	type object = map[string]any
	operation := object{"S3PutObjectCopy": object{
		"TargetResource": "arn:aws:s3:::" + b.bucket, "MetadataDirective": "COPY", "StorageClass": m.class,
		"NewObjectMetadata": object{"SSEAlgorithm": "AES256"},
	}}
	description := "s3up: the MD5 as ETag, by a copy of each object onto itself"
	if b.o.operation == batchChecksum {
		operation = object{"S3ComputeObjectChecksum": object{"ChecksumAlgorithm": "MD5", "ChecksumType": "FULL_OBJECT"}}
		description = "s3up: the MD5 of each object, in the report"
	}
	job := object{
		"AccountId": "ACCOUNT", "ConfirmationRequired": true, "Description": description, "Priority": 10,
		"RoleArn":   "arn:aws:iam::ACCOUNT:role/ROLE",
		"Operation": operation,
		"Manifest": object{
			"Spec":     object{"Format": "S3BatchOperations_CSV_20180820", "Fields": []string{"Bucket", "Key"}},
			"Location": object{"ObjectArn": "arn:aws:s3:::MANIFEST-BUCKET/" + filepath.Base(m.name), "ETag": hex.EncodeToString(m.md5.Sum(nil))},
		},
		"Report": object{"Enabled": true, "Bucket": "arn:aws:s3:::MANIFEST-BUCKET", "Prefix": "s3up-reports",
			"Format": "Report_CSV_20180820", "ReportScope": "AllTasks"},
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetEscapeHTML(false)
	e.SetIndent("", "  ")
	err := e.Encode(job)
	return text.Bytes(), err
}
