package s3test

import (
	"encoding/xml"
	"net/http"
	"slices"
	"strconv"
	"strings"
)

type attributesXML struct {
	XMLName      xml.Name        `xml:"GetObjectAttributesResponse"`
	ETag         string          `xml:",omitempty"`
	Checksum     *sumXML         `xml:",omitempty"`
	ObjectParts  *objectPartsXML `xml:",omitempty"`
	StorageClass string          `xml:",omitempty"`
	ObjectSize   *int64          `xml:",omitempty"`
}

type objectPartsXML struct {
	IsTruncated          bool
	MaxParts             int
	NextPartNumberMarker int
	PartNumberMarker     int
	PartsCount           int
	Parts                []objectPartXML `xml:"Part"`
}

type objectPartXML struct {
	PartNumber int
	Size       int64
	sumXML
}

// getObjectAttributes lists parts of an object with a checksum alone, as Amazon
// does in general purpose buckets:
// https://docs.aws.amazon.com/AmazonS3/latest/API/API_GetObjectAttributesParts.html
func getObjectAttributes(c *call) (*answer, error) {
	if c.q.AttributesRefused != 0 {
		return nil, refusal(c.q.AttributesRefused)
	}
	var wanted []string
	for _, line := range c.h.Values("X-Amz-Object-Attributes") {
		for name := range strings.SplitSeq(line, ",") {
			wanted = append(wanted, strings.TrimSpace(name))
		}
	}
	if len(wanted) == 0 {
		return nil, fail("InvalidRequest", "The x-amz-object-attributes header specifying the attributes to be retrieved is either missing or empty")
	}
	limit, marker := 1000, 0
	for name, to := range map[string]*int{"X-Amz-Max-Parts": &limit, "X-Amz-Part-Number-Marker": &marker} {
		if v := c.h.Get(name); v != "" {
			n, err := strconv.Atoi(v)
			if err != nil || n < 0 {
				return nil, fail("InvalidArgument", "Argument %s must be an integer", strings.ToLower(name))
			}
			*to = n
		}
	}
	limit = min(limit, 1000)
	if c.q.denies("s3:GetObject") {
		return nil, fail("AccessDenied")
	}
	var v *version
	a := ok(nil)
	err := c.locked(func() error {
		b, err := c.find()
		if err != nil {
			return err
		}
		if v, err = c.current(b, c.key, c.query.Get("versionId"), a.header); err == nil {
			c.versionID(a, b, v)
		}
		return err
	})
	if err != nil {
		return nil, err
	}
	if err := c.checkCustomerKey(v.enc, "X-Amz-Server-Side-Encryption"); err != nil {
		return nil, err
	}
	if err := c.mayDecrypt(v.enc); err != nil {
		return nil, err
	}
	x := &attributesXML{}
	a.xml = x
	if slices.Contains(wanted, "ETag") {
		x.ETag = v.etag // without quotes, unlike all other answers
	}
	if slices.Contains(wanted, "StorageClass") {
		x.StorageClass = v.class
	}
	if size := v.body.size(); slices.Contains(wanted, "ObjectSize") {
		x.ObjectSize = &size
	}
	if sum := v.sum.xml(true); slices.Contains(wanted, "Checksum") && v.sum.value != "" {
		sum.Type = v.sum.kind()
		*sum.field(v.sum.algorithm), _, _ = strings.Cut(v.sum.value, "-") // nor does it have a count
		x.Checksum = &sum
	}
	if slices.Contains(wanted, "ObjectParts") && v.parts != nil && !c.q.AttributesListNoParts {
		x.ObjectParts = v.attributesOfParts(limit, marker, c.q.AttributesListAllParts)
	}
	a.header.Set("Last-Modified", v.modified.UTC().Format(http.TimeFormat))
	return a, nil
}

func (v *version) attributesOfParts(limit, marker int, all bool) *objectPartsXML {
	x := &objectPartsXML{MaxParts: limit, PartNumberMarker: marker, PartsCount: len(v.parts)}
	if v.sum.value == "" && !all {
		return x
	}
	for i := marker; i < len(v.parts); i++ {
		if len(x.Parts) == limit {
			x.IsTruncated = true
			break
		}
		p := objectPartXML{PartNumber: i + 1, Size: v.parts[i]}
		if i < len(v.partSums) {
			p.sumXML = v.partSums[i].xml(false)
		}
		x.Parts = append(x.Parts, p)
		x.NextPartNumberMarker = i + 1
	}
	return x
}
