package main

import (
	"bytes"
	"context"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/s3test/faultproxy"
	"s3up/internal/upload"
)

// A soakWay is what a round's uploads are asked for, beside how the ETag is made.
type soakWay string

const (
	plainly   soakWay = ""
	published soakWay = "published"
	ifChanged soakWay = "if-changed"
	ifMatch   soakWay = "if-match"
	noClobber soakWay = "no-clobber"
	pruned    soakWay = "pruned"
)

// anyWay draws a way, and makes what has to be there for it. Half of all rounds go
// without one.
func (r *round) anyWay() {
	ways := []soakWay{plainly, plainly, plainly, plainly, plainly, published, ifChanged, ifMatch, noClobber, pruned}
	r.way = ways[r.rng.IntN(len(ways))]
	versions := r.rng.IntN(2) == 0
	switch r.way {
	case ifMatch:
		if r.old == nil {
			r.putOld()
		}
		if r.source == "stream" {
			r.source = "file" // one in parts is not compared with what is there
		}
	case noClobber:
		if r.old != nil {
			r.way = plainly
		}
	case pruned:
		r.mode, versions = "self", true
		if !r.store.versioned {
			r.way = plainly
		}
	}
	if versions && r.store.versioned && (r.way == published || r.way == pruned) {
		if _, err := r.store.client.PutBucketVersioning(context.Background(), &s3.PutBucketVersioningInput{Bucket: &r.bucket,
			VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}); err != nil {
			r.Fatal(err)
		}
	}
}

// putOld stores an object that is to be replaced.
func (r *round) putOld() {
	old := r.bytes(1000)
	r.old = sumsOf(old)
	if _, err := r.store.client.PutObject(context.Background(), &s3.PutObjectInput{Bucket: &r.bucket, Key: &r.key, Body: bytes.NewReader(old)}); err != nil {
		r.Fatal(err)
	}
}

// flags are those that the program is told of it.
func (r *round) flags() []string {
	normalize := []string{"--normalize", r.mode}
	switch r.way {
	case published:
		return []string{"--publish", "staged"}
	case ifChanged:
		return append(normalize, "--if-changed")
	case ifMatch:
		return append(normalize, "--if-match", r.old.md5)
	case noClobber:
		return append(normalize, "--no-clobber")
	case pruned:
		return append(normalize, "--prune-version")
	}
	return normalize
}

// mayEnd says whether a run that goes on with what others began may end so: what
// they have done already is not done again.
func (r *round) mayEnd(status upload.Status) bool {
	switch status {
	case upload.Uploaded:
		return true
	case upload.Unchanged:
		return r.way == ifChanged || r.way == ifMatch
	case upload.Skipped:
		return r.way == noClobber
	}
	return false
}

// learn notes which key the parts went to, if not to that of the object.
func (r *round) learn(records []faultproxy.Record) {
	for _, rec := range records {
		if rec.Op == "CreateMultipartUpload" && rec.Key != r.key {
			r.staging = rec.Key
		}
	}
}

// noOtherVersions checks that of no other key there is a version or a delete marker.
func (r *round) noOtherVersions(run *soakRun) {
	if !r.store.versioned {
		return
	}
	out, err := r.store.client.ListObjectVersions(context.Background(), &s3.ListObjectVersionsInput{Bucket: &r.bucket})
	if err != nil {
		r.Fatal(err)
	}
	var others []string
	for _, v := range out.Versions {
		others = append(others, *v.Key)
	}
	for _, m := range out.DeleteMarkers {
		others = append(others, *m.Key+" (a delete marker)")
	}
	if others = slices.DeleteFunc(others, func(key string) bool { return key == r.key }); len(others) > 0 {
		r.Errorf("there are versions of %s: %s", strings.Join(others, ", "), run)
	}
}
