package s3test

import (
	"encoding/xml"
	"net"
	"net/http"
	"regexp"
	"slices"
	"strings"
)

// CreateBucket makes a bucket in the server's region; one that is there stays.
// It panics on a name that S3 does not allow.
func (s *Server) CreateBucket(name string) { s.CreateBucketIn(name, s.o.Region) }

// CreateBucketIn makes a bucket in another region: requests signed for the
// server's own are sent there with 301, and served once they are signed for it.
func (s *Server) CreateBucketIn(name, region string) {
	if !ValidBucketName(name) {
		panic("s3test: bucket name " + name)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.newBucket(name, region)
}

func (s *Server) newBucket(name, region string) bool {
	if s.buckets[name] != nil {
		return false
	}
	s.buckets[name] = &bucket{name: name, region: region, created: s.o.Now(),
		objects: map[string][]*version{}, uploads: map[string]*upload{}}
	return true
}

// SetVersioning turns versioning of one bucket on or off.
func (s *Server) SetVersioning(name string, on bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.buckets[name].versioned = on
}

var bucketName = regexp.MustCompile(`^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$`)

// ValidBucketName says whether S3 would take the name, apart from single letters,
// which pass for the sake of short tests.
func ValidBucketName(name string) bool {
	if len(name) == 1 {
		return 'a' <= name[0] && name[0] <= 'z'
	}
	return bucketName.MatchString(name) && !strings.Contains(name, "..") && net.ParseIP(name) == nil
}

func listBuckets(c *call) (*answer, error) {
	type bucketXML struct{ Name, CreationDate string }
	x := &struct {
		XMLName xml.Name    `xml:"ListAllMyBucketsResult"`
		Buckets []bucketXML `xml:"Buckets>Bucket"`
	}{}
	return ok(x), c.locked(func() error {
		for _, b := range c.s.buckets {
			x.Buckets = append(x.Buckets, bucketXML{b.name, xmlTime(b.created)})
		}
		slices.SortFunc(x.Buckets, func(a, b bucketXML) int { return strings.Compare(a.Name, b.Name) })
		return nil
	})
}

func createBucket(c *call) (*answer, error) {
	if !ValidBucketName(c.bucket) {
		return nil, fail("InvalidBucketName").with("BucketName", c.bucket)
	}
	x := struct{ LocationConstraint string }{c.s.o.Region}
	if c.r.ContentLength > 0 {
		doc, err := c.document()
		if err != nil {
			return nil, err
		}
		if xml.Unmarshal(doc, &x) != nil {
			return nil, fail("MalformedXML")
		}
	}
	a := ok(nil)
	a.header.Set("Location", "/"+c.bucket)
	return a, c.locked(func() error {
		if !c.s.newBucket(c.bucket, x.LocationConstraint) {
			return fail("BucketAlreadyOwnedByYou").with("BucketName", c.bucket)
		}
		return nil
	})
}

func deleteBucket(c *call) (*answer, error) {
	a := ok(nil)
	a.status = http.StatusNoContent
	return a, c.locked(func() error {
		b, err := c.find()
		if err != nil {
			return err
		}
		if len(b.objects) > 0 {
			return fail("BucketNotEmpty").with("BucketName", c.bucket)
		}
		delete(c.s.buckets, c.bucket)
		return nil
	})
}

func headBucket(c *call) (*answer, error) {
	a := ok(nil)
	return a, c.locked(func() error {
		b, err := c.find()
		if err == nil {
			a.header.Set("x-amz-bucket-region", b.region)
		}
		return err
	})
}

func getBucketLocation(c *call) (*answer, error) {
	x := &struct {
		XMLName xml.Name `xml:"LocationConstraint"`
		Region  string   `xml:",chardata"`
	}{}
	return ok(x), c.locked(func() error {
		b, err := c.find()
		if err == nil && b.region != "us-east-1" {
			x.Region = b.region
		}
		return err
	})
}

type versioningXML struct {
	XMLName xml.Name `xml:"VersioningConfiguration"`
	Status  string   `xml:",omitempty"`
}

func getBucketVersioning(c *call) (*answer, error) {
	x := &versioningXML{}
	return ok(x), c.locked(func() error {
		b, err := c.find()
		if err == nil && c.versioned(b) {
			x.Status = "Enabled"
		}
		return err
	})
}

func putBucketVersioning(c *call) (*answer, error) {
	doc, err := c.document()
	if err != nil {
		return nil, err
	}
	var x versioningXML
	if xml.Unmarshal(doc, &x) != nil {
		return nil, fail("MalformedXML")
	}
	return ok(nil), c.locked(func() error {
		b, err := c.find()
		if err == nil {
			b.versioned = x.Status == "Enabled"
		}
		return err
	})
}

func getBucketEncryption(c *call) (*answer, error) {
	type rule struct {
		Algorithm string `xml:"ApplyServerSideEncryptionByDefault>SSEAlgorithm"`
	}
	x := &struct {
		XMLName xml.Name `xml:"ServerSideEncryptionConfiguration"`
		Rule    rule
	}{Rule: rule{"AES256"}}
	if c.q.KMSByDefault {
		x.Rule.Algorithm = "aws:kms"
	}
	return ok(x), c.locked(func() error {
		if _, err := c.find(); err != nil {
			return err
		}
		if c.q.SSEIgnored {
			return fail("ServerSideEncryptionConfigurationNotFoundError").with("BucketName", c.bucket)
		}
		return nil
	})
}

type deleteXML struct {
	XMLName xml.Name `xml:"Delete"`
	Quiet   bool
	Objects []struct {
		Key       string
		VersionID string `xml:"VersionId"`
	} `xml:"Object"`
}

type deletedXML struct {
	Key                   text
	VersionID             string `xml:"VersionId,omitempty"`
	DeleteMarker          bool   `xml:",omitempty"`
	DeleteMarkerVersionID string `xml:"DeleteMarkerVersionId,omitempty"`
}

type deleteFailedXML struct {
	Key           text
	VersionID     string `xml:"VersionId,omitempty"`
	Code, Message string
}

// deleteObjects refuses keys one by one, also where none may be deleted.
func deleteObjects(c *call) (*answer, error) {
	if c.q.DeleteObjectsRefused != 0 {
		return nil, refusal(c.q.DeleteObjectsRefused)
	}
	if sum, _ := checksumOf(c.h); c.h.Get("Content-MD5") == "" && sum.algorithm == "" && c.h.Get("X-Amz-Trailer") == "" {
		return nil, fail("InvalidRequest", "Missing required header for this request: Content-MD5")
	}
	doc, err := c.document()
	if err != nil {
		return nil, err
	}
	var list deleteXML
	if xml.Unmarshal(doc, &list) != nil || len(list.Objects) == 0 || len(list.Objects) > 1000 {
		return nil, fail("MalformedXML")
	}
	x := &struct {
		XMLName xml.Name          `xml:"DeleteResult"`
		Deleted []deletedXML      `xml:"Deleted"`
		Errors  []deleteFailedXML `xml:"Error"`
	}{}
	return ok(x), c.locked(func() error {
		b, err := c.find()
		if err != nil {
			return err
		}
		for _, o := range list.Objects {
			id, marker, err := "", false, error(fail("AccessDenied"))
			if o.VersionID != "" || !c.q.denies("s3:DeleteObject") {
				id, marker, err = c.delete(b, o.Key, o.VersionID)
			}
			if err != nil {
				e := err.(*apiError)
				x.Errors = append(x.Errors, deleteFailedXML{literal(o.Key), o.VersionID, e.code, e.message})
				continue
			}
			d := deletedXML{Key: literal(o.Key), VersionID: o.VersionID, DeleteMarker: marker}
			if marker {
				d.DeleteMarkerVersionID = id
			}
			if !list.Quiet {
				x.Deleted = append(x.Deleted, d)
			}
		}
		return nil
	})
}
