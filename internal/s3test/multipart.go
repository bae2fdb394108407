package s3test

import (
	"cmp"
	"crypto/rand"
	"encoding/xml"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

type createResultXML struct {
	XMLName  xml.Name `xml:"InitiateMultipartUploadResult"`
	Bucket   string
	Key      text
	UploadID string `xml:"UploadId"`
}

func createMultipartUpload(c *call) (*answer, error) {
	p, err := c.propsOf()
	if err != nil {
		return nil, err
	}
	if c.q.TagsOnCreateLost {
		p.tags = ""
	}
	u := &upload{props: p, key: c.key, initiated: c.s.o.Now(), parts: map[int]*part{}}
	u.algorithm = strings.ToLower(c.h.Get("X-Amz-Checksum-Algorithm"))
	kind := c.h.Get("X-Amz-Checksum-Type")
	if err := c.refuseChecksum(u.algorithm != ""); err != nil {
		return nil, err
	}
	if c.q.ChecksumsIgnored {
		u.algorithm = ""
	}
	u.full = kind == "FULL_OBJECT" || kind == "" && u.algorithm == "crc64nvme"
	switch {
	case u.algorithm != "" && algorithms[u.algorithm] == nil:
		return nil, fail("InvalidRequest", "Checksum algorithm provided is unsupported. Please try again with any of the valid types: [CRC32, CRC32C, CRC64NVME, SHA1, SHA256, SHA512, MD5]")
	case u.full && u.algorithm != "" && !strings.HasPrefix(u.algorithm, "crc"), kind == "COMPOSITE" && u.algorithm == "crc64nvme":
		return nil, fail("InvalidRequest", "The %s checksum type cannot be used with the %s checksum algorithm.", kind, u.algorithm)
	}
	c.s.mu.Lock()
	u.id = c.s.uploadID(u.initiated)
	c.s.mu.Unlock()
	a := ok(&createResultXML{Bucket: c.bucket, Key: literal(c.key), UploadID: u.id})
	p.enc.answer(a.header)
	if u.algorithm != "" {
		a.header.Set("x-amz-checksum-algorithm", strings.ToUpper(u.algorithm))
		a.header.Set("x-amz-checksum-type", checksum{full: u.full}.kind())
	}
	return a, c.locked(func() error {
		b, err := c.find()
		if err == nil {
			b.uploads[u.id] = u
			b.begun = true
		}
		return err
	})
}

// uploadID is a new one. It sorts by the time of initiation, so that listings can
// be paged by it, and is as long and as odd as Amazon's. The caller holds s.mu.
func (s *Server) uploadID(initiated time.Time) string {
	s.created++
	return fmt.Sprintf("%016x%06d.%s_%s-", initiated.UnixNano(), s.created, rand.Text(), rand.Text())
}

// open finds the request's upload, if it is still unfinished. The caller holds
// s.mu.
func (c *call) open() (*bucket, *upload, error) {
	b, err := c.find()
	if err != nil {
		return nil, nil, err
	}
	u := b.uploads[c.upload]
	if u == nil || u.key != c.key || u.done != nil {
		return b, nil, fail("NoSuchUpload").with("UploadId", c.upload)
	}
	return b, u, nil
}

// openForPart checks what must hold before a part's body is worth reading.
func (c *call) openForPart() (u *upload, err error) {
	return u, c.locked(func() error {
		if _, u, err = c.open(); err != nil {
			return err
		}
		if c.q.PartOnce && u.parts[c.part] != nil {
			return refusal(http.StatusNotImplemented)
		}
		if err := c.mayDecrypt(u.enc); err != nil {
			return err
		}
		return c.checkCustomerKey(u.enc, "X-Amz-Server-Side-Encryption")
	})
}

// storePart puts a whole part into its upload, if that is still there.
func (c *call) storePart(p *part) error {
	return c.locked(func() error {
		_, u, err := c.open()
		if err == nil {
			u.parts[p.number] = p
		}
		return err
	})
}

func uploadPart(c *call) (*answer, error) {
	u, err := c.openForPart()
	if err != nil {
		return nil, err
	}
	if err := c.checkLockBody(u.lock.mode != "" || u.lock.hold); err != nil {
		return nil, err
	}
	if err := c.checkPartSum(u); err != nil {
		return nil, err
	}
	got, err := c.receive(c.s.o.MaxPutSize, u.algorithm, false)
	if err != nil {
		if e, isAPI := err.(*apiError); isAPI && e.code == "BadDigest" && c.q.BadDigestEndsUpload {
			c.locked(func() error { delete(c.s.buckets[c.bucket].uploads, u.id); return nil })
		}
		return nil, err
	}
	if got.sum.algorithm != u.algorithm && !c.q.PartChecksumsNotOnComplete {
		return nil, fail("InvalidRequest", "Checksum Type mismatch occurred, expected checksum Type: %s, actual checksum Type: %s",
			cmp.Or(u.algorithm, "null"), cmp.Or(got.sum.algorithm, "null"))
	}
	seg := c.corrupt(got.seg)
	p := &part{number: c.part, seg: seg, etag: c.etagFor(seg.md5, u.enc), sum: got.sum, modified: c.s.o.Now()}
	a := ok(nil)
	if !c.q.PartNoETag {
		a.header.Set("ETag", quote(p.etag, false))
	}
	u.enc.answer(a.header)
	p.sum.answer(a.header)
	a.header.Del("x-amz-checksum-type")
	return a, c.storePart(p)
}

// uploadPartCopy copies whole objects and ranges; the range becomes a body of
// its own.
func uploadPartCopy(c *call) (*answer, error) {
	if c.q.CopyRefused != 0 {
		return nil, refusal(c.q.CopyRefused)
	}
	u, err := c.openForPart()
	if err != nil {
		return nil, err
	}
	_, from, err := c.openSource()
	if err != nil {
		return nil, err
	}
	off, n := int64(0), from.body.size()
	if r := c.h.Get("X-Amz-Copy-Source-Range"); r != "" {
		if off, n, _, err = byteRange(r, n); err != nil {
			return nil, err
		}
	}
	if n > c.s.o.MaxCopySize {
		return nil, fail("InvalidRequest", "The specified copy source is larger than the maximum allowable size for a copy source: %d", c.s.o.MaxCopySize)
	}
	if from.body.lost() {
		return nil, refusal(http.StatusNotImplemented)
	}
	seg, err := c.s.copySegment(from.body.reader(off, n), n)
	if err != nil {
		return nil, err
	}
	seg = c.corrupt(seg)
	p := &part{number: c.part, seg: seg, etag: c.etagFor(seg.md5, u.enc), modified: c.s.o.Now()}
	if u.algorithm != "" {
		p.sum = wholeChecksum(blob{seg}, u.algorithm)
	}
	x := &copyResultXML{XMLName: xml.Name{Local: "CopyPartResult"}, ETag: quote(p.etag, c.q.CopyETagUnquoted), LastModified: xmlTime(p.modified), sumXML: p.sum.xml(false)}
	a := ok(x)
	a.etag = &x.ETag
	return a, c.storePart(p)
}

type completeXML struct {
	XMLName xml.Name `xml:"CompleteMultipartUpload"`
	Parts   []struct {
		PartNumber int
		ETag       string
		sumXML
	} `xml:"Part"`
}

type completeResultXML struct {
	XMLName  xml.Name `xml:"CompleteMultipartUploadResult"`
	Location string
	Bucket   string
	Key      text
	ETag     string
	sumXML
}

func completeMultipartUpload(c *call) (*answer, error) {
	doc, err := c.document()
	if err != nil {
		return nil, err
	}
	var list completeXML
	if xml.Unmarshal(doc, &list) != nil || len(list.Parts) == 0 {
		return nil, fail("MalformedXML")
	}

	var u *upload
	var parts []*part
	var repeated *version
	check := func() error { // under the lock, before and after the body is put together
		b, err := c.find()
		if err != nil {
			return err
		}
		u = b.uploads[c.upload]
		if u != nil && u.done != nil && !c.q.CompleteOnce && u.key == c.key && u.doneParts == fmt.Sprint(list.Parts) {
			repeated = u.done
			return nil
		}
		if _, u, err = c.open(); err != nil {
			if c.q.GoneUploadIs500 {
				return fail("InternalError", "This multipart completion is already in progress")
			}
			return err
		}
		if parts, err = c.partsOf(u, &list); err != nil {
			return err
		}
		if !c.q.CompleteIgnoresConditions {
			return c.checkWrite(b.latest(c.key))
		}
		return nil
	}
	if err := c.locked(check); err != nil {
		return nil, err
	}
	if repeated != nil {
		return c.completed(u), nil
	}

	v := &version{props: u.props, modified: c.s.o.Now()}
	stored := parts
	if c.do == WrongObject {
		wrong := *parts[0]
		wrong.seg = blob{wrong.seg}.flip()[0]
		wrong.etag = c.etagFor(wrong.seg.md5, u.enc)
		parts = append([]*part{&wrong}, parts[1:]...)
	}
	for _, p := range parts {
		v.body = append(v.body, p.seg)
		v.parts = append(v.parts, p.seg.size)
		v.partSums = append(v.partSums, p.sum)
	}
	composite := compositeETag(parts)
	v.etag = composite
	if c.isDirectory() {
		v.etag = directoryETag()
	}
	if v.sum, err = c.completeChecksum(u, parts, v.body); err != nil {
		return nil, err
	}
	if size := c.h.Get("X-Amz-Mp-Object-Size"); size != "" && size != strconv.FormatInt(v.body.size(), 10) && !c.q.CompleteIgnoresObjectSize {
		return nil, fail("InvalidRequest", "The provided 'x-amz-mp-object-size' header does not match what was computed.")
	}
	if c.q.PlainETag || c.q.PlainETagOnHead {
		sum, known := v.body.md5()
		if !known && c.s.o.WholeMD5 != nil {
			sum, known = c.s.o.WholeMD5(c.bucket, c.key)
		}
		if known {
			v.etag = c.etagFor(sum, u.enc)
		}
	}
	if c.do == CorruptQuiet {
		v.body = v.body.flip()
	}
	err = c.locked(func() error {
		if err := check(); err != nil || repeated != nil {
			return err
		}
		if !slices.Equal(stored, parts) {
			return fail("InvalidPart")
		}
		b := c.s.buckets[c.bucket]
		b.put(c.key, v, c.versioned(b))
		u.done, u.doneParts, u.doneETag = v, fmt.Sprint(list.Parts), v.etag
		u.parts = nil
		if c.q.PlainETagOnHead {
			u.doneETag = composite
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return c.completed(u), nil
}

// completed is the answer to Complete, and to its repetition.
func (c *call) completed(u *upload) *answer {
	x := &completeResultXML{Location: c.s.URL() + "/" + c.bucket + "/" + escape(c.key, true), Bucket: c.bucket, Key: literal(c.key), sumXML: u.done.sum.xml(true)}
	if !c.q.CompleteNoETag {
		x.ETag = quote(u.doneETag, false)
	}
	a := ok(x)
	a.etag = &x.ETag
	u.enc.answer(a.header)
	c.locked(func() error {
		if b, err := c.find(); err == nil {
			c.versionID(a, b, u.done)
		}
		return nil
	})
	return a
}

// partsOf checks the list of parts against those stored. The caller holds s.mu.
func (c *call) partsOf(u *upload, list *completeXML) ([]*part, error) {
	var parts []*part
	last := 0
	for _, l := range list.Parts {
		if l.PartNumber <= last {
			return nil, fail("InvalidPartOrder").with("UploadId", u.id)
		}
		last = l.PartNumber
		p := u.parts[l.PartNumber]
		etag := strings.Trim(l.ETag, `"`)
		if p == nil || p.etag != etag || (c.q.CompleteRefusesGaps || c.isDirectory()) && l.PartNumber != len(parts)+1 {
			return nil, fail("InvalidPart").with("UploadId", u.id).with("PartNumber", l.PartNumber).with("ETag", etag)
		}
		if u.algorithm != "" && !c.q.PartChecksumsNotOnComplete {
			switch given := *l.field(u.algorithm); {
			case given == "" && (!u.full || c.isDirectory()):
				return nil, fail("InvalidRequest", "The upload was created using a %s checksum. The complete request must include the checksum for each part. It was missing for part %d in the request.", u.algorithm, l.PartNumber)
			case given != "" && given != p.sum.value:
				return nil, fail("InvalidPart").with("UploadId", u.id).with("PartNumber", l.PartNumber)
			}
		}
		parts = append(parts, p)
	}
	if c.q.CompleteRefusesSubset && len(parts) != len(u.parts) {
		return nil, fail("InvalidPart").with("UploadId", u.id)
	}
	for i, p := range parts[:len(parts)-1] {
		if p.seg.size < c.s.o.MinPartSize {
			return nil, fail("EntityTooSmall").with("ProposedSize", p.seg.size).with("MinSizeAllowed", c.s.o.MinPartSize).
				with("PartNumber", p.number).with("ETag", p.etag)
		}
		if c.q.CompleteRefusesUnequal && p.seg.size != parts[0].seg.size {
			return nil, fail("InvalidPart", "All non-trailing parts must have the same length.").with("PartNumber", parts[i].number)
		}
	}
	return parts, nil
}

func (c *call) completeChecksum(u *upload, parts []*part, body blob) (checksum, error) {
	if u.algorithm == "" {
		return checksum{}, nil
	}
	given := c.h.Get("X-Amz-Checksum-" + u.algorithm)
	if kind := c.h.Get("X-Amz-Checksum-Type"); kind != "" && kind != (checksum{full: u.full}).kind() {
		return checksum{}, fail("InvalidRequest", "The upload was created using the %s checksum mode. The complete request must use the same checksum mode.", checksum{full: u.full}.kind())
	}
	sum := compositeChecksum(parts, u.algorithm)
	if u.full {
		if sum = wholeChecksum(body, u.algorithm); sum.value == "" {
			sum.value = given
		}
	}
	bare, _, _ := strings.Cut(sum.value, "-") // what minio-go sends
	if given != "" && given != sum.value && given != bare && !c.q.CompleteIgnoresChecksum {
		return sum, fail("BadDigest", "The %s you specified did not match the calculated checksum.", strings.ToUpper(u.algorithm))
	}
	return sum, nil
}

func abortMultipartUpload(c *call) (*answer, error) {
	if c.q.AbortRefused != 0 {
		return nil, refusal(c.q.AbortRefused)
	}
	a := ok(nil)
	a.status = http.StatusNoContent
	return a, c.locked(func() error {
		b, u, err := c.open()
		if b != nil && u == nil && c.q.AbortTwiceOK {
			return nil
		}
		if err != nil {
			return err
		}
		if u.aborts++; u.aborts >= c.q.AbortsNeeded {
			delete(b.uploads, u.id)
		}
		return nil
	})
}
