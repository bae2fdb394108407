package s3test

import (
	"encoding/xml"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"time"
)

// source is what x-amz-copy-source names.
type source struct {
	bucket, key, id string
}

// copySource decodes as the strictest stores do: %XX exactly once, + is a space,
// and a literal ? begins the version. A client that leaves a + or a % of its key
// bare gets another object, as it would out there.
func (c *call) copySource() (source, error) {
	raw, query, _ := strings.Cut(c.h.Get("X-Amz-Copy-Source"), "?")
	id, _ := strings.CutPrefix(query, "versionId=")
	path, err := url.QueryUnescape(strings.TrimPrefix(raw, "/"))
	bucket, key, _ := strings.Cut(path, "/")
	if err != nil || key == "" || query != "" && id == query {
		return source{}, fail("InvalidArgument", "Copy Source must mention the source bucket and key: sourcebucket/sourcekey").
			with("ArgumentName", "x-amz-copy-source")
	}
	return source{bucket, key, id}, nil
}

// openSource finds the source of a copy and checks all that is asked of it.
func (c *call) openSource() (source, *version, error) {
	src, err := c.copySource()
	if err == nil && c.q.CopyMistakesQuestionMark && strings.Contains(src.key, "?versionId=") {
		err = fail("InvalidArgument", "Invalid version id specified").with("ArgumentName", "versionId")
	}
	if err != nil {
		return src, nil, err
	}
	if c.q.denies("s3:GetObject") {
		return src, nil, fail("AccessDenied")
	}
	var v *version
	err = c.locked(func() error {
		b := c.s.buckets[src.bucket]
		if b == nil {
			return fail("NoSuchBucket").with("BucketName", src.bucket)
		}
		v, err = c.current(b, src.key, src.id, http.Header{})
		return err
	})
	if err != nil {
		return src, nil, err
	}
	if c.do == WrongObject {
		v = c.anotherObject(src, v)
	}
	if !c.q.CopyIgnoresConditions {
		if err := c.checkSource(v); err != nil {
			return src, nil, err
		}
	}
	if v.class == "GLACIER" || v.class == "DEEP_ARCHIVE" {
		return src, nil, fail("InvalidObjectState", "Operation is not valid for the source object's storage class")
	}
	if err := c.mayDecrypt(v.enc); err != nil {
		return src, nil, err
	}
	return src, v, c.checkCustomerKey(v.enc, "X-Amz-Copy-Source-Server-Side-Encryption")
}

// checkSource: a matching ETag outweighs a date, as Amazon documents it.
func (c *call) checkSource(v *version) error {
	const prefix = "X-Amz-Copy-Source-If-"
	date := func(name string) time.Time {
		t, _ := http.ParseTime(c.h.Get(prefix + name))
		return t
	}
	modified := v.modified.Truncate(time.Second)
	if m := c.h.Get(prefix + "Match"); m != "" {
		if !etagMatches(m, v.etag) {
			return fail("PreconditionFailed").with("Condition", "x-amz-copy-source-If-Match")
		}
	} else if t := date("Unmodified-Since"); !t.IsZero() && modified.After(t) {
		return fail("PreconditionFailed").with("Condition", "x-amz-copy-source-If-Unmodified-Since")
	}
	if m := c.h.Get(prefix + "None-Match"); m != "" && etagMatches(m, v.etag) {
		return fail("PreconditionFailed").with("Condition", "x-amz-copy-source-If-None-Match")
	}
	if t := date("Modified-Since"); !t.IsZero() && !modified.After(t) {
		return fail("PreconditionFailed").with("Condition", "x-amz-copy-source-If-Modified-Since")
	}
	return nil
}

// anotherObject is v with the body of another object of the bucket, or with a
// body of its own where there is none.
func (c *call) anotherObject(src source, v *version) *version {
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	wrong := *v
	b := c.s.buckets[src.bucket]
	for _, key := range b.keys() {
		if other := b.latest(key); key != src.key && other != nil {
			wrong.body, wrong.whole, wrong.parts = other.body, other.whole, nil
			return &wrong
		}
	}
	wrong.body, wrong.whole, wrong.parts = v.body.flip(), nil, nil
	return &wrong
}

type copyResultXML struct {
	XMLName      xml.Name
	ETag         string `xml:",omitempty"`
	LastModified string
	sumXML
}

func copyObject(c *call) (*answer, error) {
	if c.q.CopyRefused != 0 {
		return nil, refusal(c.q.CopyRefused)
	}
	src, from, err := c.openSource()
	if err != nil {
		return nil, err
	}
	if from.body.size() > c.s.o.MaxCopySize {
		return nil, fail("InvalidRequest", "The specified copy source is larger than the maximum allowable size for a copy source: %d", c.s.o.MaxCopySize)
	}
	self := src.bucket == c.bucket && src.key == c.key
	p, err := c.copyProps(from, self && src.id == "")
	if err != nil {
		return nil, err
	}

	v := &version{props: p, body: from.body, modified: c.s.o.Now()}
	asked := strings.ToLower(c.h.Get("X-Amz-Checksum-Algorithm"))
	if asked != "" && algorithms[asked] == nil {
		return nil, fail("InvalidRequest", "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256, SHA512, MD5]")
	}
	keep := c.q.CopyKeepsETag ||
		self && (c.q.SelfCopyKeepsETag || c.q.SelfCopyKeepsChecksummed && from.sum.full && asked == "")
	sum, known := from.md5()
	if !known && c.s.o.WholeMD5 != nil {
		sum, known = c.s.o.WholeMD5(src.bucket, src.key)
	}
	if c.do == CorruptQuiet {
		v.body = v.body.flip()
		sum, known = v.body.md5()
	}
	if known {
		v.whole = &sum
	}
	if keep || !known {
		v.etag, v.parts, v.partSums, v.sum = from.etag, from.parts, from.partSums, from.sum
	} else {
		v.etag = c.etagFor(sum, p.enc)
	}
	switch {
	case asked != "" && c.q.CopyChecksumOfNothing:
		v.sum = wholeChecksum(nil, asked)
	case asked != "":
		v.sum = wholeChecksum(v.body, asked)
	case from.sum.algorithm != "" && !keep:
		v.sum = wholeChecksum(v.body, from.sum.algorithm)
	}

	x := &copyResultXML{XMLName: xml.Name{Local: "CopyObjectResult"}, LastModified: xmlTime(v.modified), sumXML: v.sum.xml(true)}
	a := ok(x)
	a.etag = &x.ETag
	p.enc.answer(a.header)
	if !c.q.CopyNoETag {
		x.ETag = quote(v.etag, c.q.CopyETagUnquoted)
	}
	return a, c.locked(func() error {
		b, err := c.find()
		if err != nil {
			return err
		}
		if !c.q.CopyIgnoresDestination {
			if err := c.checkWrite(b.latest(c.key)); err != nil {
				return err
			}
		}
		if there := b.latest(c.key); self && c.q.CopyUpdatesInPlace && there == from {
			v.id, v.modified = there.id, there.modified
			vs := append([]*version{}, b.objects[c.key]...)
			vs[len(vs)-1] = v
			b.objects[c.key] = vs
		} else {
			b.put(c.key, v, c.versioned(b))
		}
		if !c.q.CopyNoVersionID {
			c.versionID(a, b, v)
		}
		if src.id != "" {
			a.header.Set("x-amz-copy-source-version-id", src.id)
		}
		return nil
	})
}

// copyProps are the properties of the copy. What is neither copied nor restated
// is lost, whatever the directive: class, encryption, redirect.
func (c *call) copyProps(from *version, ontoItself bool) (props, error) {
	p, err := c.propsOf()
	if err != nil {
		return p, err
	}
	replace := false
	switch d := c.h.Get("X-Amz-Metadata-Directive"); d {
	case "", "COPY":
	case "REPLACE":
		replace = true
	default:
		return p, fail("InvalidArgument", "Unknown metadata directive.").with("ArgumentValue", d)
	}
	redirect := p.header.Get("X-Amz-Website-Redirect-Location")
	if ontoItself && !replace && !c.q.CopyOntoItselfAllowed && redirect == "" && p.class == from.class &&
		c.h.Get("X-Amz-Server-Side-Encryption") == "" && c.h.Get("X-Amz-Server-Side-Encryption-Customer-Algorithm") == "" {
		return p, fail("InvalidRequest", "This copy request is illegal because it is trying to copy an object to itself without changing the object's metadata, storage class, website redirect location or encryption attributes.")
	}
	switch {
	case !replace:
		p.header = from.header.Clone()
		p.header.Del("X-Amz-Website-Redirect-Location")
		if redirect != "" {
			p.header.Set("X-Amz-Website-Redirect-Location", redirect)
		}
	case c.q.CopyMergesHeaders:
		restated := p.header
		if c.h.Get("Content-Type") == "" {
			restated.Del("Content-Type")
		}
		p.header = from.header.Clone()
		maps.Copy(p.header, restated)
	case c.q.SelfCopyMergesHeaders && ontoItself:
		for _, name := range []string{"Cache-Control", "Content-Disposition"} {
			if v, ok := from.header[name]; ok && p.header.Get(name) == "" {
				p.header[name] = v
			}
		}
	}
	if c.q.CopyKeepsStorageClass && c.h.Get("X-Amz-Storage-Class") == "" {
		p.class = from.class
	}
	switch d := c.h.Get("X-Amz-Tagging-Directive"); d {
	case "", "COPY":
		if p.tags = from.tags; p.tags != "" && (c.q.denies("s3:GetObjectTagging") || c.q.denies("s3:PutObjectTagging")) {
			return p, fail("AccessDenied")
		}
	case "REPLACE":
	default:
		return p, fail("InvalidArgument", "Unknown tagging directive.").with("ArgumentValue", d)
	}
	for _, name := range c.q.CopyLoses {
		switch p.header.Del(name); name {
		case "X-Amz-Tagging":
			p.tags = ""
		case "X-Amz-Acl":
			p.acl = acl{}
		}
	}
	return p, nil
}
