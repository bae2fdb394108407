package s3test

import (
	"cmp"
	"encoding/xml"
	"net/http"
	"time"
)

// A lock is what Object Lock says of a version.
type lock struct {
	mode  string // GOVERNANCE, COMPLIANCE, or ""
	until time.Time
	hold  bool
}

// A bucketLock is what a bucket with Object Lock gives to versions that ask for
// nothing. The zero value gives nothing.
type bucketLock struct {
	mode string
	days int
}

// SetObjectLock turns Object Lock of a bucket on, and versioning with it. Versions
// that ask for nothing get that mode for so many days, or none for mode "".
func (s *Server) SetObjectLock(name, mode string, days int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.buckets[name]
	b.versioned, b.lock = true, &bucketLock{mode, days}
}

const noBucketLock = "Bucket is missing Object Lock Configuration"

// lockOf reads what a request says about Object Lock, and applies the bucket's
// default.
func (c *call) lockOf() (l lock, err error) {
	const prefix = "X-Amz-Object-Lock-"
	mode, until, hold := c.h.Get(prefix+"Mode"), c.h.Get(prefix+"Retain-Until-Date"), c.h.Get(prefix+"Legal-Hold")
	if c.q.ObjectLockIgnored {
		return l, nil
	}
	var b *bucketLock
	c.locked(func() error {
		if there := c.s.buckets[c.bucket]; there != nil {
			b = there.lock
		}
		return nil
	})
	now := c.s.o.Now()
	switch {
	case mode == "" && until == "" && hold == "":
	case b == nil:
		return l, fail("InvalidRequest", noBucketLock)
	case (mode == "") != (until == ""):
		return l, fail("InvalidArgument", "x-amz-object-lock-retain-until-date and x-amz-object-lock-mode must both be supplied")
	case mode != "" && c.q.denies("s3:PutObjectRetention"), hold != "" && c.q.denies("s3:PutObjectLegalHold"):
		return l, fail("AccessDenied")
	case mode != "" && mode != "GOVERNANCE" && mode != "COMPLIANCE":
		return l, fail("InvalidArgument", "Unknown wormMode directive.")
	case hold != "" && hold != "ON" && hold != "OFF":
		return l, fail("InvalidArgument", "Legal Hold must be either of 'ON' or 'OFF'")
	}
	l.hold = hold == "ON"
	switch {
	case mode != "":
		if l.until, err = time.Parse(time.RFC3339, until); err != nil {
			return l, fail("InvalidArgument", "The retain until date must be provided in ISO 8601 format")
		}
		if !l.until.After(now) {
			return l, fail("InvalidArgument", "The retain until date must be in the future!")
		}
		l.mode = mode
	case b != nil && b.mode != "":
		l.mode, l.until = b.mode, now.AddDate(0, 0, b.days)
	}
	return l, nil
}

// checkLockBody: bodies of locked objects come with a checksum.
func (c *call) checkLockBody(asked bool) error {
	if sum, _ := checksumOf(c.h); asked && c.h.Get("Content-Md5") == "" && sum.algorithm == "" && c.h.Get("X-Amz-Trailer") == "" {
		return fail("InvalidRequest", "Content-MD5 OR x-amz-checksum- HTTP header is required for Put requests with Object Lock parameters")
	}
	return nil
}

// asksForLock says whether the request itself speaks of Object Lock.
func (c *call) asksForLock() bool {
	return cmp.Or(c.h.Get("X-Amz-Object-Lock-Mode"), c.h.Get("X-Amz-Object-Lock-Legal-Hold")) != "" && !c.q.ObjectLockIgnored
}

// protects says whether a version may not be deleted now.
func (c *call) protects(l lock) bool {
	bypass := l.mode == "GOVERNANCE" && c.h.Get("X-Amz-Bypass-Governance-Retention") == "true" && !c.q.denies("s3:BypassGovernanceRetention")
	return l.hold || l.until.After(c.s.o.Now()) && !bypass
}

// answerLock shows a lock to those who may see it.
func (c *call) answerLock(h http.Header, l lock) {
	if l.mode != "" && !c.q.denies("s3:GetObjectRetention") {
		h.Set("x-amz-object-lock-mode", l.mode)
		h.Set("x-amz-object-lock-retain-until-date", xmlTime(l.until))
	}
	if l.hold && !c.q.denies("s3:GetObjectLegalHold") {
		h.Set("x-amz-object-lock-legal-hold", "ON")
	}
}

func getObjectLockConfiguration(c *call) (*answer, error) {
	type retention struct {
		Mode string
		Days int
	}
	x := &struct {
		XMLName           xml.Name `xml:"ObjectLockConfiguration"`
		ObjectLockEnabled string
		Default           *retention `xml:"Rule>DefaultRetention"`
	}{ObjectLockEnabled: "Enabled"}
	return ok(x), c.locked(func() error {
		b, err := c.find()
		if err != nil {
			return err
		}
		if b.lock == nil {
			return fail("ObjectLockConfigurationNotFoundError").with("BucketName", c.bucket)
		}
		if b.lock.mode != "" {
			x.Default = &retention{b.lock.mode, b.lock.days}
		}
		return nil
	})
}

// lockedVersion finds the version that a call about its lock is for.
func (c *call) lockedVersion(f func(lock) error) error {
	return c.locked(func() error {
		b, err := c.find()
		if err != nil {
			return err
		}
		if b.lock == nil {
			return fail("InvalidRequest", noBucketLock)
		}
		v, err := c.current(b, c.key, c.query.Get("versionId"), http.Header{})
		if err != nil {
			return err
		}
		return f(v.lock)
	})
}

func getObjectRetention(c *call) (*answer, error) {
	x := &struct {
		XMLName         xml.Name `xml:"Retention"`
		Mode            string
		RetainUntilDate string
	}{}
	return ok(x), c.lockedVersion(func(l lock) error {
		x.Mode, x.RetainUntilDate = l.mode, xmlTime(l.until)
		if l.mode == "" {
			return fail("NoSuchObjectLockConfiguration")
		}
		return nil
	})
}

func getObjectLegalHold(c *call) (*answer, error) {
	x := &struct {
		XMLName xml.Name `xml:"LegalHold"`
		Status  string
	}{Status: "OFF"}
	return ok(x), c.lockedVersion(func(l lock) error {
		if l.hold {
			x.Status = "ON"
		}
		return nil
	})
}
