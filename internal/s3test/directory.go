package s3test

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"encoding/hex"
	"encoding/xml"
	"hash/fnv"
	"slices"
	"strings"
	"time"
)

// Directory buckets are those of S3 Express One Zone. As at Amazon's, it is the
// name that makes a bucket one: BASE--ZONE--x-s3. They lack what other buckets
// have, list in no order, and take requests of sessions only:
// https://docs.aws.amazon.com/AmazonS3/latest/userguide/s3-express-differences.html

const directorySuffix = "--x-s3"

// sessionLife is how long a session lasts.
const sessionLife = 5 * time.Minute

// A session is the credentials that CreateSession gave for a bucket.
type session struct {
	bucket, key, secret, token string
	ends                       time.Time
}

func (c *call) isDirectory() bool { return strings.HasSuffix(c.bucket, directorySuffix) }

// service is what requests are signed for.
func (c *call) service() string {
	if c.isDirectory() {
		return "s3express"
	}
	return "s3"
}

// signer finds the secret of an access key that may sign the request.
func (c *call) signer(key string) (secret string, err error) {
	if !c.isDirectory() || c.op == "CreateSession" || c.op == "HeadBucket" || c.op == "CopyObject" {
		if key != c.s.o.AccessKey {
			return "", fail("InvalidAccessKeyId").with("AWSAccessKeyId", key)
		}
		return c.s.o.SecretKey, c.s.checkToken(c.h.Get("X-Amz-Security-Token"))
	}
	c.s.mu.Lock()
	defer c.s.mu.Unlock()
	s, ok := c.s.sessions[key]
	switch {
	case !ok:
		return "", fail("InvalidAccessKeyId").with("AWSAccessKeyId", key)
	case c.h.Get("X-Amz-S3session-Token") != s.token || s.bucket != c.bucket:
		return "", fail("AccessDenied")
	case !c.s.o.Now().Before(s.ends):
		return "", fail("ExpiredToken")
	}
	return s.secret, nil
}

type sessionXML struct {
	XMLName      xml.Name `xml:"CreateSessionResult"`
	AccessKey    string   `xml:"Credentials>AccessKeyId"`
	SecretKey    string   `xml:"Credentials>SecretAccessKey"`
	SessionToken string   `xml:"Credentials>SessionToken"`
	Expiration   string   `xml:"Credentials>Expiration"`
}

func createSession(c *call) (*answer, error) {
	if !c.isDirectory() {
		return nil, fail("MethodNotAllowed")
	}
	s := session{bucket: c.bucket, key: "ASIA" + rand.Text()[:16], secret: rand.Text(), token: rand.Text(), ends: c.s.o.Now().Add(sessionLife)}
	return ok(&sessionXML{AccessKey: s.key, SecretKey: s.secret, SessionToken: s.token, Expiration: xmlTime(s.ends)}), c.locked(func() error {
		if _, err := c.find(); err != nil {
			return err
		}
		if c.s.sessions == nil {
			c.s.sessions = make(map[string]session)
		}
		c.s.sessions[s.key] = s
		return nil
	})
}

// EndSessions has all sessions expire.
func (s *Server) EndSessions() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for key, one := range s.sessions {
		one.ends = time.Time{}
		s.sessions[key] = one
	}
}

// notInDirectories are headers that imply what directory buckets do not have.
var notInDirectories = []string{"X-Amz-Tagging", "X-Amz-Acl", "X-Amz-Grant-Read", "X-Amz-Grant-Read-Acp", "X-Amz-Grant-Write-Acp", "X-Amz-Grant-Full-Control",
	"X-Amz-Object-Lock-Mode", "X-Amz-Object-Lock-Retain-Until-Date", "X-Amz-Object-Lock-Legal-Hold", "X-Amz-Website-Redirect-Location",
	"X-Amz-Server-Side-Encryption-Customer-Algorithm", "X-Amz-Request-Payer"}

// checkDirectory refuses what a directory bucket does not do.
func (c *call) checkDirectory() error {
	if !c.isDirectory() {
		return nil
	}
	if c.h.Get("Content-Md5") != "" {
		return fail("NotImplemented", "This bucket does not support Content Md5 header.")
	}
	for _, name := range notInDirectories {
		if c.h.Get(name) != "" {
			return fail("NotImplemented").with("Header", name)
		}
	}
	switch c.op {
	case "GetObjectAcl", "GetObjectTagging", "GetObjectRetention", "GetObjectLegalHold", "GetObjectLockConfiguration",
		"GetBucketVersioning", "PutBucketVersioning", "ListObjectVersions":
		return fail("NotImplemented")
	case "ListObjectsV2", "ListMultipartUploads":
		prefix, delimiter := c.query.Get("prefix"), c.query.Get("delimiter")
		switch {
		case prefix != "" && !strings.HasSuffix(prefix, "/"):
			return fail("InvalidArgument", "This bucket does not support a prefix that does not end in a delimiter").with("ArgumentName", "prefix").with("ArgumentValue", prefix)
		case delimiter != "" && delimiter != "/":
			return fail("InvalidArgument").with("ArgumentName", "delimiter").with("ArgumentValue", delimiter)
		case c.query.Has("upload-id-marker"), c.query.Has("start-after"):
			return fail("NotImplemented")
		}
	case "PutObject", "CreateMultipartUpload", "CopyObject":
		if class := c.h.Get("X-Amz-Storage-Class"); cmp.Or(class, expressClass) != expressClass {
			return fail("InvalidStorageClass").with("StorageClassRequested", class)
		}
		if c.h.Get("X-Amz-Server-Side-Encryption") == "aws:kms:dsse" {
			return fail("NotImplemented")
		}
	}
	return nil
}

const expressClass = "EXPRESS_ONEZONE"

// directoryETag is random. It has the form of an MD5, which is the worst that it
// may have.
func directoryETag() string {
	var b [16]byte
	rand.Read(b[:])
	return hex.EncodeToString(b[:])
}

// scatter puts what is listed into the order of directory buckets, which is none.
func scatter[T any](all []T, key func(T) string) []T {
	order := func(s string) uint64 {
		h := fnv.New64a()
		h.Write([]byte(s))
		return h.Sum64()
	}
	all = slices.Clone(all)
	slices.SortStableFunc(all, func(a, b T) int { return cmp.Compare(order(key(a)), order(key(b))) })
	return all
}

// listDirectoryUploads pages by a marker that is no key.
func listDirectoryUploads(c *call) (*answer, error) {
	limit, err := c.limit("max-uploads")
	if err != nil {
		return nil, err
	}
	prefix, marker := c.query.Get("prefix"), c.query.Get("key-marker")
	x := &listUploadsXML{Bucket: c.bucket, Prefix: c.text(prefix), KeyMarker: c.text(marker), MaxUploads: limit, EncodingType: c.query.Get("encoding-type")}
	hide := func(u *upload) string { return base64.URLEncoding.EncodeToString([]byte(u.id)) }
	return ok(x), c.locked(func() error {
		b, err := c.find()
		if err != nil {
			return err
		}
		all := scatter(b.unfinished(), func(u *upload) string { return u.id })
		if i := slices.IndexFunc(all, func(u *upload) bool { return hide(u) == marker }); i >= 0 {
			all = all[i+1:]
		}
		for _, u := range all {
			if !strings.HasPrefix(u.key, prefix) {
				continue
			}
			if x.IsTruncated = len(x.Uploads) == limit; x.IsTruncated {
				break
			}
			x.Uploads = append(x.Uploads, uploadXML{c.text(u.key), u.id, initiator, u.class, c.initiated(u)})
			next := c.text(hide(u))
			x.NextKeyMarker = &next
		}
		if !x.IsTruncated {
			x.NextKeyMarker = nil
		}
		return nil
	})
}

// listDirectory is listObjects, on one page and in no order.
func listDirectory(c *call) (*answer, error) {
	prefix := c.query.Get("prefix")
	x := &listObjectsXML{Name: c.bucket, Prefix: c.text(prefix), MaxKeys: 1000, EncodingType: c.query.Get("encoding-type")}
	return ok(x), c.locked(func() error {
		b, err := c.find()
		if err != nil {
			return err
		}
		for _, key := range scatter(b.keys(), func(key string) string { return key }) {
			if v := b.latest(key); v != nil && strings.HasPrefix(key, prefix) {
				x.KeyCount++
				x.Contents = append(x.Contents, objectXML{c.text(key), xmlTime(v.modified), quote(v.etag, false), v.body.size(), v.class})
			}
		}
		return nil
	})
}
