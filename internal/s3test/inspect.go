package s3test

import (
	"bytes"
	"crypto/md5"
	"encoding/hex"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// An Object is one version of an object as it is stored.
type Object struct {
	Bucket string
	Key    string
	Size   int64
	ETag   string // without quotes
	MD5    string // of the content, in hex; "" if Options.Discard made it unknown

	ContentType        string
	CacheControl       string
	ContentDisposition string
	ContentEncoding    string
	ContentLanguage    string
	Expires            string
	WebsiteRedirect    string
	Metadata           map[string]string // names in lower case
	StorageClass       string
	Tags               map[string]string

	ACL       string              // canned, as asked for; "" for private
	Grants    map[string][]string // grantees as in uri="…", by permission such as READ
	LockMode  string              // GOVERNANCE, COMPLIANCE or ""
	LockUntil time.Time
	LegalHold bool

	SSE       string // AES256, aws:kms, aws:kms:dsse or ""
	KMSKeyID  string
	Context   string // of the KMS key, as in the header: base64 of JSON
	BucketKey bool
	SSECustom string // algorithm of a key of the customer's (SSE-C)

	ChecksumAlgorithm string // CRC64NVME…, or ""
	Checksum          string // base64
	ChecksumType      string // FULL_OBJECT or COMPOSITE

	VersionID    string // "null" if made without versioning
	DeleteMarker bool
	LastModified time.Time
	Parts        []int64 // sizes, for a multipart object; nil otherwise

	body blob
}

// Content reads the object's content; zeros under Options.Discard.
func (o Object) Content() io.Reader { return o.body.reader(0, o.body.size()) }

// Bytes is the object's content.
func (o Object) Bytes() []byte {
	data, err := io.ReadAll(o.Content())
	if err != nil {
		panic(err) // the server's own file
	}
	return data
}

func (v *version) object(bucket, key string) Object {
	h := v.header.Get
	o := Object{Bucket: bucket, Key: key, Size: v.body.size(), ETag: v.etag,
		ContentType: h("Content-Type"), CacheControl: h("Cache-Control"), ContentDisposition: h("Content-Disposition"),
		ContentEncoding: h("Content-Encoding"), ContentLanguage: h("Content-Language"), Expires: h("Expires"),
		WebsiteRedirect: h("X-Amz-Website-Redirect-Location"), Metadata: map[string]string{},
		StorageClass: v.class, Tags: map[string]string{},
		SSE: v.enc.mode, KMSKeyID: v.enc.kmsKey, Context: v.enc.context, BucketKey: v.enc.bucketKey, SSECustom: v.enc.algorithm,
		ACL: v.acl.canned, Grants: v.acl.grants, LockMode: v.lock.mode, LockUntil: v.lock.until, LegalHold: v.lock.hold,
		VersionID: v.id, DeleteMarker: v.deleted, LastModified: v.modified, Parts: v.parts, body: v.body}
	for name := range v.header {
		if meta, isMeta := strings.CutPrefix(name, metaPrefix); isMeta {
			o.Metadata[strings.ToLower(meta)] = v.header.Get(name)
		}
	}
	tags, _ := url.ParseQuery(v.tags)
	for name := range tags {
		o.Tags[name] = tags.Get(name)
	}
	if v.sum.value != "" {
		o.ChecksumAlgorithm, o.Checksum, o.ChecksumType = strings.ToUpper(v.sum.algorithm), v.sum.value, v.sum.kind()
	}
	if !v.deleted {
		if sum, known := v.md5(); known {
			o.MD5 = hex.EncodeToString(sum[:])
		}
	}
	return o
}

// Object is the current object of a key; false if there is none.
func (s *Server) Object(bucket, key string) (Object, bool) {
	s.mu.Lock()
	var v *version
	if b := s.buckets[bucket]; b != nil {
		v = b.latest(key)
	}
	s.mu.Unlock()
	if v == nil {
		return Object{}, false
	}
	return v.object(bucket, key), true
}

// Versions are all versions of a key, delete markers among them, the oldest
// first.
func (s *Server) Versions(bucket, key string) []Object {
	s.mu.Lock()
	var vs []*version
	if b := s.buckets[bucket]; b != nil {
		vs = slices.Clone(b.objects[key])
	}
	s.mu.Unlock()
	var all []Object
	for _, v := range vs {
		all = append(all, v.object(bucket, key))
	}
	return all
}

// Objects are the keys of a bucket that have a current object, sorted.
func (s *Server) Objects(bucket string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var keys []string
	if b := s.buckets[bucket]; b != nil {
		for _, key := range b.keys() {
			if b.latest(key) != nil {
				keys = append(keys, key)
			}
		}
	}
	return keys
}

// Put stores an object as if a client had, and returns it. change sets its
// headers, metadata, class, tags, ACL and encryption beforehand; one that sets Parts
// makes a multipart object of parts of those sizes. An ETag that change sets
// stays. A ChecksumAlgorithm gives it that checksum, of its parts if there are
// some and ChecksumType is COMPOSITE. Put panics if the bucket does not exist.
func (s *Server) Put(bucket, key string, body []byte, change ...func(*Object)) Object {
	o := Object{ContentType: "binary/octet-stream", StorageClass: "STANDARD", SSE: "AES256", LastModified: s.o.Now(),
		Metadata: map[string]string{}, Tags: map[string]string{}}
	for _, f := range change {
		f(&o)
	}
	v := &version{modified: o.LastModified, parts: o.Parts, etag: o.ETag, props: props{class: o.StorageClass, header: http.Header{},
		enc: encryption{mode: o.SSE, kmsKey: o.KMSKeyID, algorithm: o.SSECustom}, acl: acl{canned: o.ACL, grants: o.Grants}}}
	for name, value := range map[string]string{"Content-Type": o.ContentType, "Cache-Control": o.CacheControl,
		"Content-Disposition": o.ContentDisposition, "Content-Encoding": o.ContentEncoding, "Content-Language": o.ContentLanguage,
		"Expires": o.Expires, "X-Amz-Website-Redirect-Location": o.WebsiteRedirect} {
		if value != "" {
			v.header.Set(name, value)
		}
	}
	for name, value := range o.Metadata {
		v.header.Set(metaPrefix+name, value)
	}
	tags := url.Values{}
	for name, value := range o.Tags {
		tags.Set(name, value)
	}
	v.tags = tags.Encode()

	cut := func(data []byte) *segment {
		data = bytes.Clone(data)
		return &segment{size: int64(len(data)), data: data, md5: md5.Sum(data)}
	}
	if len(o.Parts) == 0 {
		v.body = blob{cut(body)}
	}
	var parts []*part
	rest := body
	for _, size := range o.Parts {
		seg := cut(rest[:size])
		rest = rest[size:]
		v.body = append(v.body, seg)
		parts = append(parts, &part{seg: seg, etag: hex.EncodeToString(seg.md5[:])})
	}
	if algorithm := strings.ToLower(o.ChecksumAlgorithm); algorithm != "" {
		for _, p := range parts {
			p.sum = wholeChecksum(blob{p.seg}, algorithm)
			v.partSums = append(v.partSums, p.sum)
		}
		v.sum = wholeChecksum(v.body, algorithm)
		if parts != nil && o.ChecksumType == "COMPOSITE" {
			v.sum = compositeChecksum(parts, algorithm)
		}
	}
	switch {
	case v.etag != "":
	case parts != nil:
		v.etag = compositeETag(parts)
	default:
		v.etag = hex.EncodeToString(v.body[0].md5[:])
	}

	s.mu.Lock()
	b := s.buckets[bucket]
	if b == nil {
		s.mu.Unlock()
		panic("s3test: no bucket " + bucket)
	}
	b.put(key, v, b.versioned || s.quirks.Versioned)
	s.mu.Unlock()
	return v.object(bucket, key)
}

// An Upload is an unfinished multipart upload.
type Upload struct {
	Key       string
	UploadID  string
	Initiated time.Time
	Parts     []Part // by number
}

// A Part is a stored part of an unfinished upload.
type Part struct {
	Number       int
	Size         int64
	ETag         string // without quotes
	LastModified time.Time
}

// Begin begins an upload as if a client had at that time, with parts of these
// sizes and zeros for bytes, and returns its id. It panics if the bucket does not
// exist.
func (s *Server) Begin(bucket, key string, at time.Time, sizes ...int64) string {
	u := &upload{props: props{class: "STANDARD", header: http.Header{}}, key: key, initiated: at, parts: map[int]*part{}}
	for i, size := range sizes {
		seg := &segment{size: size, data: make([]byte, size)}
		seg.md5 = md5.Sum(seg.data)
		u.parts[i+1] = &part{number: i + 1, seg: seg, etag: hex.EncodeToString(seg.md5[:]), modified: at}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[bucket]
	if b == nil {
		panic("s3test: no bucket " + bucket)
	}
	u.id = s.uploadID(at)
	b.uploads[u.id], b.begun = u, true
	return u.id
}

// Uploads are the unfinished uploads of a bucket, by key and then by age, the
// oldest first.
func (s *Server) Uploads(bucket string) []Upload {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[bucket]
	if b == nil {
		return nil
	}
	var all []Upload
	for _, u := range b.unfinished() {
		up := Upload{Key: u.key, UploadID: u.id, Initiated: u.initiated}
		for _, p := range u.sorted() {
			up.Parts = append(up.Parts, Part{Number: p.number, Size: p.seg.size, ETag: p.etag, LastModified: p.modified})
		}
		all = append(all, up)
	}
	return all
}

// ResetStore empties all buckets, unfinished uploads included. The buckets stay.
func (s *Server) ResetStore() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range s.buckets {
		b.objects, b.uploads = map[string][]*version{}, map[string]*upload{}
	}
}
