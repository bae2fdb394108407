package s3test

import (
	"bytes"
	"encoding/base64"
	"encoding/xml"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

// text is a key in an answer. Keys may hold characters that XML cannot; Amazon
// writes them as references all the same, and parsers choke on them.
type text struct {
	XML string `xml:",innerxml"`
}

func literal(s string) text {
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == '&':
			b.WriteString("&amp;")
		case r == '<':
			b.WriteString("&lt;")
		case r == '>':
			b.WriteString("&gt;")
		case r < 0x20, r == 0x7f:
			b.WriteString("&#x" + strconv.FormatInt(int64(r), 16) + ";")
		default:
			b.WriteRune(r)
		}
	}
	return text{b.String()}
}

// text writes a key as the request wants it, with encoding-type=url or plain.
func (c *call) text(s string) text {
	if c.query.Get("encoding-type") == "url" && !(c.q.ListObjectsPlain && c.op == "ListObjectsV2") {
		return literal(escape(s, true))
	}
	if c.q.ListObjectsMangled && c.op == "ListObjectsV2" {
		var b bytes.Buffer
		xml.EscapeText(&b, []byte(s))
		return text{b.String()}
	}
	return literal(s)
}

// limit reads max-keys and its kin: at most 1,000.
func (c *call) limit(name string) (int, error) {
	v := c.query.Get(name)
	if v == "" {
		return 1000, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 || n > math.MaxInt32 {
		return 0, fail("InvalidArgument", "Argument %s must be an integer between 0 and 2147483647", name).
			with("ArgumentName", name).with("ArgumentValue", v)
	}
	return min(n, 1000), nil
}

type objectXML struct {
	Key          text
	LastModified string
	ETag         string
	Size         int64
	StorageClass string
}

type prefixXML struct{ Prefix text }

type listObjectsXML struct {
	XMLName               xml.Name `xml:"ListBucketResult"`
	Name                  string
	Prefix                text
	Delimiter             string `xml:",omitempty"`
	EncodingType          string `xml:",omitempty"`
	MaxKeys               int
	KeyCount              int
	IsTruncated           bool
	ContinuationToken     string `xml:",omitempty"`
	NextContinuationToken string `xml:",omitempty"`
	Contents              []objectXML
	CommonPrefixes        []prefixXML
}

func listObjects(c *call) (*answer, error) {
	if c.isDirectory() {
		return listDirectory(c)
	}
	limit, err := c.limit("max-keys")
	if err != nil {
		return nil, err
	}
	prefix, delimiter, after := c.query.Get("prefix"), c.query.Get("delimiter"), c.query.Get("start-after")
	token := c.query.Get("continuation-token")
	if token != "" {
		raw, err := base64.URLEncoding.DecodeString(token)
		if err != nil {
			return nil, fail("InvalidArgument", "The continuation token provided is incorrect")
		}
		after = string(raw)
	}
	x := &listObjectsXML{Name: c.bucket, Prefix: c.text(prefix), Delimiter: delimiter, MaxKeys: limit, ContinuationToken: token,
		EncodingType: c.query.Get("encoding-type")}
	if c.q.ListObjectsPlain {
		x.EncodingType = ""
	}
	return ok(x), c.locked(func() error {
		b, err := c.find()
		if err != nil {
			return err
		}
		last := ""
		for _, key := range b.keys() {
			v := b.latest(key)
			if v == nil || !strings.HasPrefix(key, prefix) {
				continue
			}
			item := key
			if i := strings.Index(key[len(prefix):], delimiter); delimiter != "" && i >= 0 {
				item = key[:len(prefix)+i+len(delimiter)]
			}
			// A common prefix stands for all keys behind it.
			if key <= after || token != "" && item <= after || item == last {
				continue
			}
			if x.KeyCount == limit {
				if x.IsTruncated = limit > 0; x.IsTruncated {
					x.NextContinuationToken = base64.URLEncoding.EncodeToString([]byte(last))
				}
				break
			}
			last = item
			x.KeyCount++
			if item != key {
				x.CommonPrefixes = append(x.CommonPrefixes, prefixXML{c.text(item)})
				continue
			}
			x.Contents = append(x.Contents, objectXML{c.text(key), xmlTime(v.modified), quote(v.etag, false), v.body.size(), v.class})
		}
		return nil
	})
}

type versionXML struct {
	objectXML
	VersionID string `xml:"VersionId"`
	IsLatest  bool
}

type markerXML struct {
	Key          text
	LastModified string
	VersionID    string `xml:"VersionId"`
	IsLatest     bool
}

type listVersionsXML struct {
	XMLName     xml.Name `xml:"ListVersionsResult"`
	Name        string
	Prefix      text
	IsTruncated bool
	Versions    []versionXML `xml:"Version"`
	Markers     []markerXML  `xml:"DeleteMarker"`
}

// listObjectVersions answers everything on one page.
func listObjectVersions(c *call) (*answer, error) {
	x := &listVersionsXML{Name: c.bucket, Prefix: c.text(c.query.Get("prefix"))}
	return ok(x), c.locked(func() error {
		b, err := c.find()
		if err != nil {
			return err
		}
		for _, key := range b.keys() {
			if !strings.HasPrefix(key, c.query.Get("prefix")) {
				continue
			}
			vs := b.objects[key]
			for i, v := range slices.Backward(vs) {
				isLatest := i == len(vs)-1
				if v.deleted {
					x.Markers = append(x.Markers, markerXML{c.text(key), xmlTime(v.modified), v.id, isLatest})
					continue
				}
				x.Versions = append(x.Versions, versionXML{
					objectXML{c.text(key), xmlTime(v.modified), quote(v.etag, false), v.body.size(), v.class}, v.id, isLatest})
			}
		}
		return nil
	})
}

type uploadXML struct {
	Key          text
	UploadID     string `xml:"UploadId"`
	Initiator    ownerXML
	StorageClass string
	Initiated    string `xml:",omitempty"`
}

type ownerXML struct {
	ID          string
	DisplayName string
}

// initiator is who begins all uploads.
var initiator = ownerXML{ownerID, "s3test"}

type listUploadsXML struct {
	XMLName            xml.Name `xml:"ListMultipartUploadsResult"`
	Bucket             string
	Prefix             text
	KeyMarker          text
	UploadIDMarker     string `xml:"UploadIdMarker"`
	NextKeyMarker      *text  `xml:",omitempty"`
	NextUploadIDMarker string `xml:"NextUploadIdMarker,omitempty"`
	EncodingType       string `xml:",omitempty"`
	MaxUploads         int
	IsTruncated        bool
	Uploads            []uploadXML `xml:"Upload"`
}

// listMultipartUploads sorts by key, then by the time of initiation, which is
// the order of the upload ids.
func listMultipartUploads(c *call) (*answer, error) {
	if c.q.ListUploadsRefused != 0 {
		return nil, refusal(c.q.ListUploadsRefused)
	}
	if c.isDirectory() {
		return listDirectoryUploads(c)
	}
	limit, err := c.limit("max-uploads")
	if err != nil {
		return nil, err
	}
	if limit == 0 || c.q.ListUploadsUnpaged {
		limit = 1000
	}
	prefix, keyMarker, idMarker := c.query.Get("prefix"), c.query.Get("key-marker"), c.query.Get("upload-id-marker")
	if keyMarker == "" {
		idMarker = ""
	}
	if idMarker != "" && c.q.UploadIDMarkerFails {
		return nil, fail("InvalidArgument", "Invalid uploadId marker")
	}
	if c.q.ListUploadsStuck {
		keyMarker, idMarker = "", ""
	}
	x := &listUploadsXML{Bucket: c.bucket, Prefix: c.text(prefix), KeyMarker: c.text(keyMarker), UploadIDMarker: idMarker,
		MaxUploads: limit, EncodingType: c.query.Get("encoding-type")}
	return ok(x), c.locked(func() error {
		b, err := c.find()
		if err != nil {
			return err
		}
		if c.q.ListUploadsNever404 && !b.begun {
			return fail("NoSuchUpload")
		}
		for _, u := range b.unfinished() {
			switch {
			case !strings.HasPrefix(u.key, prefix), c.q.ListUploadsExactKey && prefix != "" && u.key != prefix:
				continue
			case u.key < keyMarker, u.key == keyMarker && keyMarker != "" && (idMarker == "" || u.id <= idMarker):
				continue
			}
			if len(x.Uploads) == limit {
				x.IsTruncated = true
				break
			}
			x.Uploads = append(x.Uploads, uploadXML{c.text(u.key), u.id, initiator, u.class, c.initiated(u)})
			if !c.q.ListUploadsStuck {
				key := c.text(u.key)
				x.NextKeyMarker, x.NextUploadIDMarker = &key, u.id
			}
		}
		if !x.IsTruncated {
			x.NextKeyMarker, x.NextUploadIDMarker = nil, ""
		}
		return nil
	})
}

func (b *bucket) unfinished() []*upload {
	var us []*upload
	for _, u := range b.uploads {
		if u.done == nil {
			us = append(us, u)
		}
	}
	slices.SortFunc(us, func(a, b *upload) int {
		if a.key != b.key {
			return strings.Compare(a.key, b.key)
		}
		return strings.Compare(a.id, b.id)
	})
	return us
}

func (c *call) initiated(u *upload) string {
	t := u.initiated
	switch {
	case c.q.InitiatedMissing:
		return ""
	case c.q.InitiatedWrong:
		t = time.Date(2010, 11, 10, 20, 48, 33, 0, time.UTC)
	case c.q.InitiatedIsLastPart:
		for _, p := range u.parts {
			if p.modified.After(t) {
				t = p.modified
			}
		}
	}
	return xmlTime(t)
}

type partXML struct {
	PartNumber   int
	LastModified string
	ETag         string
	Size         int64
	sumXML
}

type listPartsXML struct {
	XMLName              xml.Name `xml:"ListPartsResult"`
	Bucket               string
	Key                  text
	UploadID             string `xml:"UploadId"`
	Initiator            ownerXML
	StorageClass         string
	PartNumberMarker     int
	NextPartNumberMarker int
	MaxParts             int
	IsTruncated          bool
	ChecksumAlgorithm    string    `xml:",omitempty"`
	ChecksumType         string    `xml:",omitempty"`
	Parts                []partXML `xml:"Part"`
}

func listParts(c *call) (*answer, error) {
	if c.q.ListPartsRefused != 0 {
		return nil, refusal(c.q.ListPartsRefused)
	}
	limit, err := c.limit("max-parts")
	if err != nil {
		return nil, err
	}
	marker, _ := strconv.Atoi(c.query.Get("part-number-marker"))
	if c.q.ListPartsStuck {
		marker = 0
	}
	x := &listPartsXML{Bucket: c.bucket, Key: literal(c.key), UploadID: c.upload, Initiator: initiator, PartNumberMarker: marker, MaxParts: limit}
	a := ok(x)
	return a, c.locked(func() error {
		b, u, err := c.open()
		if b != nil && u == nil {
			switch {
			case c.q.GoneUploadListsEmpty:
				return nil
			case c.q.GoneUploadNoSuchKey:
				return fail("NoSuchKey").with("Key", c.key)
			}
		}
		if err != nil {
			return err
		}
		if u.algorithm != "" {
			if err := c.checkCustomerKey(u.enc, "X-Amz-Server-Side-Encryption"); err != nil {
				return err
			}
		}
		x.StorageClass = u.class
		if u.algorithm != "" {
			x.ChecksumAlgorithm, x.ChecksumType = strings.ToUpper(u.algorithm), checksum{full: u.full}.kind()
		}
		for _, p := range u.sorted() {
			if p.number <= marker {
				continue
			}
			if len(x.Parts) == limit {
				x.IsTruncated = true
				break
			}
			row := partXML{PartNumber: p.number, LastModified: xmlTime(p.modified), ETag: quote(p.etag, false), Size: p.seg.size}
			if !c.q.ListPartsNoChecksums && u.algorithm != "" {
				row.sumXML = p.sum.xml(false)
			}
			x.Parts = append(x.Parts, row)
			x.NextPartNumberMarker = p.number
		}
		if c.q.ListPartsStuck && len(x.Parts) > 0 {
			x.IsTruncated = true
		}
		return nil
	})
}
