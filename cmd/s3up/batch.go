package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/md5"
	"encoding/csv"
	"encoding/hex"
	"encoding/json"
	"errors"
	"hash"
	"io"
	"io/fs"
	"maps"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

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

// statusListed is that of an object in a manifest.
const statusListed upload.Status = "listed"

// check looks whether the files can be written, before there is any work to lose.
func (o *batchOptions) check(dryRun bool) error {
	if o.manifest == "" {
		return nil
	}
	if o.job != "" && filepath.Clean(o.job) == filepath.Clean(o.manifest) {
		return usagef("name two files", "--batch-manifest and --batch-job are one file")
	}
	for _, f := range []struct {
		flag, name string
		ours       func([]byte) bool
	}{{"--batch-manifest", o.manifest, isManifest}, {"--batch-job", o.job, isJob}} {
		if f.name == "" {
			continue
		}
		if info, err := os.Stat(filepath.Dir(f.name)); err != nil {
			return usagef("make its folder, or name another file", "%s %s: %s", f.flag, quoted(f.name), rootCause(err))
		} else if !info.IsDir() {
			return usagef("name another file", "%s %s: %s is no folder", f.flag, quoted(f.name), quoted(filepath.Dir(f.name)))
		}
		for _, class := range classes() {
			name := ofClass(f.name, class)
			info, err := os.Stat(name)
			switch {
			case err != nil:
			case !info.Mode().IsRegular():
				return usagef("name one that can be replaced", "%s %s: is no regular file", f.flag, quoted(name))
			case !isOurs(name, f.ours):
				return usagef("name another file, or remove it", "%s %s: is there already, and s3up has not written it", f.flag, quoted(name))
			}
		}
		if dryRun {
			continue
		}
		probe, err := os.Create(partial(f.name))
		if err != nil {
			return usagef("it must be a file that can be written", "%s %s: %s", f.flag, quoted(f.name), rootCause(err))
		}
		probe.Close()
		os.Remove(probe.Name())
	}
	return nil
}

// partial is the name of a file until all of it is written.
func partial(name string) string { return name + ".partial" }

// classes are the storage classes that there are, the usual one first.
func classes() []string {
	all := []string{standard}
	for _, class := range types.StorageClass("").Values() {
		if class != standard {
			all = append(all, string(class))
		}
	}
	return all
}

const standard = "STANDARD"

var manifestRow = regexp.MustCompile(`^[0-9A-Za-z._-]+,[^,"\s]+\n`)

func isManifest(head []byte) bool { return manifestRow.Match(head) }

func isJob(head []byte) bool {
	return bytes.HasPrefix(head, []byte("{")) && bytes.Contains(head, []byte(`"AccountId"`))
}

// isOurs says whether a file that is there is one that s3up has written, or empty.
func isOurs(name string, ours func([]byte) bool) bool {
	f, err := os.Open(name)
	if err != nil {
		return true // whoever is to replace it says so
	}
	defer f.Close()
	head := make([]byte, 4<<10)
	n, _ := io.ReadFull(f, head)
	return n == 0 || ours(head[:n])
}

// A batch is the manifest of a job of S3 Batch Operations on its way, and the job:
// one for each storage class, because a job gives all its objects one. They replace
// those of an earlier run when all is written.
type batch struct {
	o      batchOptions
	bucket string
	dryRun bool // nothing is written

	mu    sync.Mutex
	files map[string]*manifest // by class
	err   error                // the first of writing
	gone  []string             // of an earlier run, and removed
}

type manifest struct {
	manifestLine
	file *os.File // .partial until the end; nil: a dry run
	csv  *csv.Writer
	md5  hash.Hash
}

// A manifestLine is what the summary of --json says of a manifest.
type manifestLine struct {
	Manifest     string `json:"manifest"`
	Job          string `json:"job,omitempty"`
	StorageClass string `json:"storage_class"`
	Objects      int    `json:"objects"`
}

func newBatch(o batchOptions, bucket string, dryRun bool) *batch {
	return &batch{o: o, bucket: bucket, dryRun: dryRun, files: make(map[string]*manifest)}
}

// takes says whether a job can do what Normalize skips: checksums are computed of
// whatever S3 can read by itself.
func (b *batch) takes(skip upload.Skip) bool {
	return b != nil && b.o.operation == batchChecksum && skip != upload.SkipCustomer && skip != upload.SkipStaging
}

// toManifest writes an object into the manifest, if the job can keep what it has.
func (n *normalizing) toManifest(ctx context.Context, c candidate) {
	if n.o.batch.operation == batchChecksum && c.size >= 0 {
		n.report(n.batch.add(c.left(statusListed, "")))
		return
	}
	r := n.u.Normalize(ctx, n.job(c, true))
	switch {
	case r.Status == upload.WouldNormalize && len(r.Custom) > 0 && n.o.batch.operation == batchCopy:
		r.Status, r.Skip = upload.Skipped, upload.SkipHeader
	case r.Status == upload.WouldNormalize, r.Status == upload.Skipped && n.batch.takes(r.Skip):
		r.Status, r.Skip = statusListed, ""
		if n.o.batch.operation == batchChecksum {
			r.Notes = nil // of a copy
		}
		r = n.batch.add(r)
	}
	n.report(r)
}

// add writes a row.
func (b *batch) add(r *upload.Result) *upload.Result {
	b.mu.Lock()
	defer b.mu.Unlock()
	class := cmp.Or(r.StorageClass, standard)
	if b.o.operation == batchChecksum {
		class = standard // a checksum is none of its business
	}
	m, err := b.open(class)
	if err == nil && m.file != nil {
		// A key is encoded as in a URL; a slash stays. A line has no quotes then.
		err = m.csv.Write([]string{r.Job.Bucket, strings.ReplaceAll(strings.ReplaceAll(url.QueryEscape(r.Job.Key), "+", "%20"), "%2F", "/")})
	}
	if err != nil {
		b.err = cmp.Or(b.err, err)
		r.Status, r.Err = upload.Failed, err
		return r
	}
	m.Objects++
	return r
}

func (b *batch) open(class string) (*manifest, error) {
	if m := b.files[class]; m != nil {
		return m, nil
	}
	m := &manifest{manifestLine: manifestLine{Manifest: ofClass(b.o.manifest, class), StorageClass: class}}
	if b.o.job != "" {
		m.Job = ofClass(b.o.job, class)
	}
	if !b.dryRun {
		var err error
		if m.file, err = os.Create(partial(m.Manifest)); err != nil {
			return nil, err
		}
		m.md5 = md5.New()
		m.csv = csv.NewWriter(io.MultiWriter(m.file, m.md5))
	}
	b.files[class] = m
	return m, nil
}

// ofClass puts a storage class into the name of a file, but for the usual one.
func ofClass(name, class string) string {
	if class == standard {
		return name
	}
	ext := filepath.Ext(name)
	return strings.TrimSuffix(name, ext) + "." + class + ext
}

// end puts the manifests and jobs in place, and removes those of an earlier run that
// have nothing to list any more. If not all was found, nothing is touched that is
// there.
func (b *batch) end(whole bool) (all []manifestLine, err error) {
	err = b.err
	for _, class := range slices.Sorted(maps.Keys(b.files)) {
		m := b.files[class]
		all = append(all, m.manifestLine)
		if m.file == nil {
			continue
		}
		m.csv.Flush()
		err = cmp.Or(err, m.csv.Error(), m.file.Close())
	}
	if b.dryRun || !whole || err != nil {
		for _, m := range b.files {
			if m.file != nil {
				os.Remove(m.file.Name())
			}
		}
		if !b.dryRun {
			all = nil
		}
		return all, err
	}
	for _, class := range classes() {
		for _, name := range []string{b.o.manifest, b.o.job} {
			if b.files[class] != nil || name == "" {
				continue
			}
			switch gone := os.Remove(ofClass(name, class)); {
			case gone == nil:
				b.gone = append(b.gone, ofClass(name, class))
			case !errors.Is(gone, fs.ErrNotExist):
				err = cmp.Or(err, gone)
			}
		}
	}
	for _, m := range b.files {
		if err == nil {
			err = os.Rename(m.file.Name(), m.Manifest)
		}
		if m.Job != "" && err == nil {
			var text []byte
			if text, err = b.jobOf(m); err == nil {
				err = os.WriteFile(m.Job, text, 0o666)
			}
		}
	}
	return all, err
}

// tellManifests says what was written, and what to do with it.
func (n *normalizing) tellManifests() {
	for _, name := range n.batch.gone {
		n.out.talk("%s, of an earlier run, is removed: it would list nothing now", quoted(name))
	}
	if len(n.summary.Manifests) == 0 {
		n.out.talk("no object is to be listed: there is no manifest")
	}
	for _, m := range n.summary.Manifests {
		if n.o.dryRun {
			n.out.talk("%s would list %s", quoted(m.Manifest), plural(m.Objects, "object"))
			continue
		}
		n.out.talk("%s lists %s", quoted(m.Manifest), plural(m.Objects, "object"))
		if m.Job != "" {
			n.out.talk("%s: replace ACCOUNT, ROLE and MANIFEST-BUCKET, put %s there, then: aws s3control create-job --cli-input-json %s", quoted(m.Job),
				quoted(m.Manifest), shellWord("file://"+m.Job))
		}
	}
}

// jobOf is the CreateJob request for a manifest. A copy onto itself is legal because
// it states the encryption, which is what the objects have: with that, metadata and
// tags are copied, which a job could otherwise only replace by the same for all.
func (b *batch) jobOf(m *manifest) ([]byte, error) {
	type object = map[string]any
	operation := object{"S3PutObjectCopy": object{
		"TargetResource": "arn:aws:s3:::" + b.bucket, "MetadataDirective": "COPY", "StorageClass": m.StorageClass,
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
			"Location": object{"ObjectArn": "arn:aws:s3:::MANIFEST-BUCKET/" + filepath.Base(m.Manifest), "ETag": hex.EncodeToString(m.md5.Sum(nil))},
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
