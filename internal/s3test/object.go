package s3test

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

var systemHeaders = []string{"Content-Type", "Cache-Control", "Content-Disposition", "Content-Encoding", "Content-Language",
	"Expires", "X-Amz-Website-Redirect-Location"}

var storageClasses = []string{"STANDARD", "REDUCED_REDUNDANCY", "STANDARD_IA", "ONEZONE_IA", "INTELLIGENT_TIERING",
	"GLACIER", "DEEP_ARCHIVE", "GLACIER_IR"}

const (
	metaPrefix  = "X-Amz-Meta-"
	maxMetadata = 2 << 10
)

// propsOf reads the properties that a request gives to an object.
func (c *call) propsOf() (props, error) {
	p := props{header: http.Header{}, class: "STANDARD"}
	size := 0
	for name, values := range c.h {
		if strings.HasPrefix(name, metaPrefix) {
			p.header[name] = []string{strings.Join(values, ",")}
			size += len(name) - len(metaPrefix) + len(p.header.Get(name))
		}
	}
	if size > maxMetadata {
		return p, fail("MetadataTooLarge").with("Size", size).with("MaxSizeAllowed", maxMetadata)
	}
	for _, name := range systemHeaders {
		if v := c.h.Get(name); v != "" {
			p.header.Set(name, v)
		}
	}
	if !c.q.ChunkedStored {
		encodings := slices.DeleteFunc(strings.Split(p.header.Get("Content-Encoding"), ","),
			func(e string) bool { return strings.TrimSpace(e) == "aws-chunked" })
		p.header.Del("Content-Encoding")
		if e := strings.TrimSpace(strings.Join(encodings, ",")); e != "" {
			p.header.Set("Content-Encoding", e)
		}
	}
	if p.header.Get("Content-Type") == "" {
		p.header.Set("Content-Type", "binary/octet-stream")
	}

	if c.isDirectory() {
		p.class = expressClass
	} else if class := c.h.Get("X-Amz-Storage-Class"); class != "" && !c.q.StorageClassIgnored {
		if !slices.Contains(storageClasses, class) || c.q.StorageClassRefused && !slices.Contains(storageClasses[:2], class) {
			return p, fail("InvalidStorageClass").with("StorageClassRequested", class)
		}
		p.class = class
	}
	if p.tags = c.h.Get("X-Amz-Tagging"); p.tags != "" {
		if c.q.denies("s3:PutObjectTagging") {
			return p, fail("AccessDenied")
		}
		tags, err := url.ParseQuery(p.tags)
		if err != nil || len(tags) > 10 {
			return p, fail("InvalidTag")
		}
		for name, values := range tags {
			if len(values) != 1 || name == "" || len(name) > 128 || len(values[0]) > 256 {
				return p, fail("InvalidTag")
			}
		}
	}
	var err error
	if p.acl, err = c.aclOf(); err != nil {
		return p, err
	}
	if p.lock, err = c.lockOf(); err != nil {
		return p, err
	}
	p.enc, err = c.encryption("X-Amz-Server-Side-Encryption")
	return p, err
}

// encryption reads what a request says about encryption, and applies the
// bucket's default: SSE-S3, as on every bucket of Amazon's.
func (c *call) encryption(prefix string) (e encryption, err error) {
	e.algorithm = c.h.Get(prefix + "-Customer-Algorithm")
	e.keyMD5 = c.h.Get(prefix + "-Customer-Key-Md5")
	e.mode = c.h.Get(prefix)
	e.kmsKey = c.h.Get(prefix + "-Aws-Kms-Key-Id")
	e.context = c.h.Get(prefix + "-Context")
	e.bucketKey = c.h.Get(prefix+"-Bucket-Key-Enabled") == "true"
	switch {
	case c.q.SSERefused && (e.mode != "" || e.algorithm != ""):
		return e, refusal(http.StatusNotImplemented)
	case e.algorithm != "" && c.r.TLS == nil:
		return e, fail("InvalidRequest", "Requests specifying Server Side Encryption with Customer provided keys must be made over a secure connection.")
	case (e.kmsKey != "" || e.context != "") && !strings.HasPrefix(e.mode, "aws:kms"):
		return e, fail("InvalidArgument", "Server Side Encryption with AWS KMS managed key requires HTTP header x-amz-server-side-encryption : aws:kms")
	case !isContext(e.context):
		return e, fail("InvalidArgument", "The header 'x-amz-server-side-encryption-context' shall be Base64-encoded UTF-8 string holding JSON which represents a string-string map")
	case e.algorithm != "" && (e.algorithm != "AES256" || e.mode != ""):
		return e, fail("InvalidArgument", "The encryption parameters are not applicable to this object.")
	case e.algorithm != "" && e.keyMD5 != keyMD5(c.h.Get(prefix+"-Customer-Key")):
		return e, fail("InvalidArgument", "The calculated MD5 hash of the key did not match the hash that was provided.")
	case !slices.Contains([]string{"", "AES256", "aws:kms", "aws:kms:dsse"}, e.mode):
		return e, fail("InvalidArgument", "The encryption method specified is not supported").with("ArgumentValue", e.mode)
	case e.mode == "" && e.algorithm == "" && c.q.KMSByDefault:
		e.mode = "aws:kms"
	case c.q.SSEIgnored:
		return encryption{}, nil
	case e.mode == "" && e.algorithm == "":
		e.mode = "AES256"
	}
	if strings.HasPrefix(e.mode, "aws:kms") && c.q.denies("kms:GenerateDataKey") {
		return e, fail("AccessDenied", "not authorized to perform: kms:GenerateDataKey")
	}
	if strings.HasPrefix(e.mode, "aws:kms") && e.kmsKey == "" {
		e.kmsKey = "arn:aws:kms:" + c.s.o.Region + ":111122223333:key/s3test"
	}
	return e, nil
}

// mayDecrypt says whether the credentials may use the KMS key of what is there.
func (c *call) mayDecrypt(e encryption) error {
	if strings.HasPrefix(e.mode, "aws:kms") && c.q.denies("kms:Decrypt") {
		return fail("AccessDenied", "not authorized to perform: kms:Decrypt")
	}
	return nil
}

// isContext says whether a text is an encryption context, or empty.
func isContext(text string) bool {
	raw, err := base64.StdEncoding.DecodeString(text)
	var pairs map[string]string
	return text == "" || err == nil && json.Unmarshal(raw, &pairs) == nil
}

// keyMD5 is the sum that goes with a customer's key, which is given in base64.
func keyMD5(key string) string {
	raw, _ := base64.StdEncoding.DecodeString(key)
	sum := md5.Sum(raw)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// etagFor is the ETag of bytes with that MD5, as the store at hand makes it.
func (c *call) etagFor(sum [16]byte, e encryption) string {
	switch {
	case c.isDirectory():
		return directoryETag()
	case !c.q.OpaqueETags && !e.opaque():
		return hex.EncodeToString(sum[:])
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	c.s.opaque++
	sum = md5.Sum(fmt.Appendf(sum[:], "opaque %d", c.s.opaque))
	return hex.EncodeToString(sum[:])
}

// checkCustomerKey: whoever reads an SSE-C object brings its key.
func (c *call) checkCustomerKey(e encryption, prefix string) error {
	switch given := c.h.Get(prefix + "-Customer-Key-Md5"); {
	case e.keyMD5 == given, c.q.SSEIgnored:
		return nil
	case given == "":
		return fail("InvalidRequest", "The object was stored using a form of Server Side Encryption. The correct parameters must be provided to retrieve the object.")
	case e.keyMD5 == "":
		return fail("InvalidRequest", "The encryption parameters are not applicable to this object.")
	}
	return fail("AccessDenied")
}

// checkWrite is If-None-Match and If-Match of a write, against the object that
// is there (nil for none). The caller holds s.mu.
func (c *call) checkWrite(there *version) error {
	if v := c.h.Get("If-None-Match"); v != "" {
		if v != "*" {
			return fail("NotImplemented").with("Header", "If-None-Match")
		}
		if there != nil {
			return fail("PreconditionFailed").with("Condition", "If-None-Match")
		}
	}
	if v := c.h.Get("If-Match"); v != "" {
		if there == nil {
			return fail("NoSuchKey").with("Key", c.key)
		}
		if !etagMatches(v, there.etag) {
			return fail("PreconditionFailed").with("Condition", "If-Match")
		}
	}
	return nil
}

// versioned says whether writes to the bucket make versions.
func (c *call) versioned(b *bucket) bool { return b.versioned || c.q.Versioned }

func putObject(c *call) (*answer, error) {
	p, err := c.propsOf()
	if err == nil {
		err = c.checkLockBody(c.asksForLock())
	}
	if err != nil {
		return nil, err
	}
	check := func() error {
		b, err := c.find()
		if err != nil || c.q.PutIgnoresConditions {
			return err
		}
		if c.q.PutIfMatchUnquoted && strings.HasPrefix(c.h.Get("If-Match"), `"`) {
			return fail("PreconditionFailed").with("Condition", "If-Match")
		}
		return c.checkWrite(b.latest(c.key))
	}
	if err := c.locked(check); err != nil {
		return nil, err
	}
	got, err := c.receive(c.s.o.MaxPutSize, "", false)
	if err == nil {
		err = c.refuseChecksum(got.sum.algorithm != "")
	}
	if err != nil {
		return nil, err
	}
	if c.q.ChecksumsIgnored {
		got.sum = checksum{}
	}
	seg := c.corrupt(got.seg)
	v := &version{props: p, body: blob{seg}, sum: got.sum, modified: c.s.o.Now()}
	v.etag = c.etagFor(seg.md5, p.enc)
	a := ok(nil)
	err = c.locked(func() error {
		if err := check(); err != nil {
			return err
		}
		b := c.s.buckets[c.bucket]
		if old := b.latest(c.key); c.q.PutKeepsProperties && old != nil && !old.deleted {
			v.inherit(old.props)
		}
		b.put(c.key, v, c.versioned(b))
		c.versionID(a, b, v)
		return nil
	})
	a.header.Set("ETag", quote(v.etag, false))
	p.enc.answer(a.header)
	v.sum.answer(a.header)
	return a, err
}

// inherit takes over what was not restated.
func (p *props) inherit(old props) {
	for name, values := range old.header {
		if _, restated := p.header[name]; !restated {
			p.header[name] = values
		}
	}
	if p.tags == "" {
		p.tags = old.tags
	}
}

// locked runs f under the server's lock.
func (c *call) locked(f func() error) error {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	return f()
}

func (c *call) versionID(a *answer, b *bucket, v *version) {
	if c.versioned(b) || c.q.VersioningSuspended {
		a.header.Set("x-amz-version-id", v.id)
	}
}

// corrupt does the fault CorruptQuiet to a body that came in whole.
func (c *call) corrupt(seg *segment) *segment {
	if c.do != CorruptQuiet {
		return seg
	}
	return blob{seg}.flip()[0]
}

// getObject serves HEAD as well.
func getObject(c *call) (*answer, error) {
	head := c.r.Method == "HEAD"
	a := ok(nil)
	var v *version
	err := c.locked(func() error {
		b, err := c.find()
		if err != nil {
			return err
		}
		v, err = c.current(b, c.key, c.query.Get("versionId"), a.header)
		if err == nil {
			c.versionID(a, b, v)
		}
		return err
	})
	if err != nil {
		if e, isAPI := err.(*apiError); isAPI {
			e.header = a.header
		}
		return nil, err
	}
	if err := c.checkCustomerKey(v.enc, "X-Amz-Server-Side-Encryption"); err != nil {
		return nil, err
	}
	if !head && (v.class == "GLACIER" || v.class == "DEEP_ARCHIVE") {
		return nil, fail("InvalidObjectState").with("StorageClass", v.class)
	}
	if m := c.h.Get("If-Match"); m != "" && !etagMatches(m, v.etag) {
		return nil, fail("PreconditionFailed").with("Condition", "If-Match")
	}
	if m := c.h.Get("If-None-Match"); m != "" && etagMatches(m, v.etag) {
		return nil, fail("NotModified")
	}

	h := a.header
	for name, values := range v.header {
		if h[name] = values; c.q.MetadataEncoded && strings.HasPrefix(name, metaPrefix) {
			h[name] = []string{mime.QEncoding.Encode("UTF-8", values[0])} // ASCII stays
		}
	}
	h.Set("ETag", quote(v.etag, c.q.HeadETagUnquoted))
	h.Set("Last-Modified", v.modified.UTC().Format(http.TimeFormat))
	h.Set("Accept-Ranges", "bytes")
	if v.class != "STANDARD" {
		h.Set("x-amz-storage-class", v.class)
	}
	c.answerLock(h, v.lock)
	if tags, _ := url.ParseQuery(v.tags); len(tags) > 0 && !c.q.denies("s3:GetObjectTagging") {
		h.Set("x-amz-tagging-count", strconv.Itoa(len(tags)))
	}
	v.enc.answer(h)
	if c.h.Get("X-Amz-Checksum-Mode") == "ENABLED" {
		if strings.HasPrefix(v.enc.mode, "aws:kms") && c.q.denies("kms:Decrypt") {
			return nil, fail("AccessDenied")
		}
		v.sum.answer(h)
	}
	size := v.body.size()
	off, n := int64(0), size
	switch {
	case c.part > 0 && !c.q.HeadIgnoresPartNumber:
		parts := v.parts
		if parts == nil {
			parts = []int64{size}
		} else {
			h.Set("x-amz-mp-parts-count", strconv.Itoa(len(parts)))
		}
		if c.part > len(parts) {
			return nil, fail("InvalidPartNumber").with("ActualPartCount", len(parts)).with("PartNumberRequested", c.part)
		}
		for _, s := range parts[:c.part-1] {
			off += s
		}
		n = parts[c.part-1]
		if h.Get("x-amz-checksum-type") != "" && c.q.HeadTellsPartChecksum && c.part <= len(v.partSums) {
			v.partSums[c.part-1].answer(h)
			h.Del("x-amz-checksum-type")
		}
		a.status = http.StatusPartialContent
	case c.h.Get("Range") != "":
		var whole bool
		if off, n, whole, err = byteRange(c.h.Get("Range"), size); err != nil {
			return nil, err
		}
		if !whole {
			a.status = http.StatusPartialContent
		}
	}
	if a.status == http.StatusPartialContent && n > 0 {
		h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/%d", off, off+n-1, size))
	}
	h.Set("Content-Length", strconv.FormatInt(n, 10))
	if !head {
		a.body, a.size = v.body.reader(off, n), n
	}
	return a, nil
}

// current finds what a read gets, or the reason why it gets nothing; of a delete
// marker h tells. The caller holds s.mu.
func (c *call) current(b *bucket, key, id string, h http.Header) (*version, error) {
	if id != "" {
		if c.q.denies("s3:GetObjectVersion") {
			return nil, fail("AccessDenied")
		}
		v := b.version(key, id)
		switch {
		case v == nil:
			return nil, fail("NoSuchVersion").with("Key", key).with("VersionId", id)
		case v.deleted:
			h.Set("x-amz-delete-marker", "true")
			return nil, fail("MethodNotAllowed").with("Method", c.r.Method).with("ResourceType", "DeleteMarker")
		}
		return v, nil
	}
	if v := b.latest(key); v != nil {
		return v, nil
	}
	if c.q.denies("s3:ListBucket") {
		return nil, fail("AccessDenied") // who may not list does not learn what is missing
	}
	if vs := b.objects[key]; len(vs) > 0 {
		h.Set("x-amz-delete-marker", "true")
		h.Set("x-amz-version-id", vs[len(vs)-1].id)
	}
	return nil, fail("NoSuchKey").with("Key", key)
}

// byteRange reads a Range of one piece. One that makes no sense is ignored, as
// the RFC has it.
func byteRange(header string, size int64) (off, n int64, whole bool, err error) {
	spec, isBytes := strings.CutPrefix(header, "bytes=")
	from, to, isRange := strings.Cut(spec, "-")
	first, err1 := strconv.ParseInt(from, 10, 64)
	last, err2 := strconv.ParseInt(to, 10, 64)
	switch {
	case !isBytes || !isRange:
		return 0, size, true, nil
	case from == "" && err2 == nil: // the last bytes
		first, last = max(size-last, 0), size-1
	case err1 != nil:
		return 0, size, true, nil
	case to == "":
		last = size - 1
	case err2 != nil || last < first:
		return 0, size, true, nil
	}
	if first >= size {
		return 0, 0, false, fail("InvalidRange").with("ActualObjectSize", size).with("RangeRequested", header)
	}
	return first, min(last, size-1) - first + 1, false, nil
}

func deleteObject(c *call) (*answer, error) {
	a := ok(nil)
	a.status = http.StatusNoContent
	return a, c.locked(func() error {
		b, err := c.find()
		if err != nil {
			return err
		}
		if m := c.h.Get("If-Match"); m != "" {
			if v := b.latest(c.key); v == nil || !etagMatches(m, v.etag) {
				return fail("PreconditionFailed").with("Condition", "If-Match")
			}
		}
		id, marker, err := c.delete(b, c.key, c.query.Get("versionId"))
		if id != "" {
			a.header.Set("x-amz-version-id", id)
		}
		if marker {
			a.header.Set("x-amz-delete-marker", "true")
		}
		return err
	})
}

// delete removes a version, or hides the key behind a delete marker. The caller
// holds s.mu.
func (c *call) delete(b *bucket, key, id string) (versionID string, marker bool, err error) {
	switch {
	case id != "":
		if c.q.denies("s3:DeleteObjectVersion") {
			return "", false, fail("AccessDenied")
		}
		v := b.version(key, id)
		if v != nil && c.protects(v.lock) {
			return "", false, fail("AccessDenied", "Access Denied because object protected by object lock.")
		}
		b.remove(key, id)
		return id, v != nil && v.deleted, nil
	case c.versioned(b), c.q.VersioningSuspended:
		v := &version{deleted: true, modified: c.s.o.Now()}
		b.put(key, v, c.versioned(b))
		return v.id, true, nil
	}
	b.remove(key, "null")
	return "", false, nil
}

type taggingXML struct {
	XMLName xml.Name `xml:"Tagging"`
	TagSet  struct {
		Tag []tagXML
	}
}

type tagXML struct{ Key, Value string }

func getObjectTagging(c *call) (*answer, error) {
	var x taggingXML
	return ok(&x), c.locked(func() error {
		b, err := c.find()
		if err != nil {
			return err
		}
		v, err := c.current(b, c.key, c.query.Get("versionId"), http.Header{})
		if err != nil {
			return err
		}
		tags, _ := url.ParseQuery(v.tags)
		for name := range tags {
			x.TagSet.Tag = append(x.TagSet.Tag, tagXML{name, tags.Get(name)})
		}
		slices.SortFunc(x.TagSet.Tag, func(a, b tagXML) int { return strings.Compare(a.Key, b.Key) })
		return nil
	})
}

func xmlTime(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05.000Z") }
