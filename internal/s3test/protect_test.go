package s3test_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/s3test"
)

func (w *world) acl(key string) string {
	w.t.Helper()
	out := must(w.c.GetObjectAcl(w.t.Context(), &s3.GetObjectAclInput{Bucket: aws.String("b"), Key: &key}))(w.t)
	var grants []string
	for _, g := range out.Grants {
		who := aws.ToString(g.Grantee.URI) + aws.ToString(g.Grantee.ID) + aws.ToString(g.Grantee.EmailAddress)
		grants = append(grants, fmt.Sprint(g.Permission, " ", who[strings.LastIndexByte(who, '/')+1:]))
	}
	slices.Sort(grants)
	return strings.Join(grants, ", ")
}

func TestACLs(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	const owner = "FULL_CONTROL s3test-owner"
	must(w.put("k", "x", func(in *s3.PutObjectInput) { in.ACL = "public-read" }))(t)
	if got, want := w.acl("k"), owner+", READ AllUsers"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	must(w.selfCopy("k"))(t)
	if got := w.acl("k"); got != owner {
		t.Errorf("after a copy that says nothing: %s", got)
	}
	must(w.selfCopy("k", func(in *s3.CopyObjectInput) {
		in.GrantRead = aws.String(`id="me", uri="http://acs.amazonaws.com/groups/global/AuthenticatedUsers"`)
		in.GrantFullControl = aws.String(`emailAddress="a@b.c"`)
	}))(t)
	if got, want := w.acl("k"), "FULL_CONTROL a@b.c, READ AuthenticatedUsers, READ me"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
	for want, change := range map[string]func(*s3.PutObjectInput){
		"InvalidRequest":  func(in *s3.PutObjectInput) { in.ACL, in.GrantRead = "private", aws.String(`id="me"`) },
		"InvalidArgument": func(in *s3.PutObjectInput) { in.GrantRead = aws.String("me") },
	} {
		if _, err := w.put("k", "x", change); code(err) != want {
			t.Errorf("error %v, want %s", err, want)
		}
	}
	w.SetQuirks(func(q *s3test.Quirks) { q.Deny = []string{"s3:PutObjectAcl"} })
	if _, err := w.put("k", "x", func(in *s3.PutObjectInput) { in.ACL = "private" }); code(err) != "AccessDenied" {
		t.Errorf("without s3:PutObjectAcl: %v", err)
	}
}

func TestObjectLock(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	until := w.clock.now().Add(24 * time.Hour)
	locked := func(in *s3.PutObjectInput) {
		in.ObjectLockMode, in.ObjectLockRetainUntilDate, in.ContentMD5 = "COMPLIANCE", &until, md5Base64("x")
	}
	if _, err := w.put("k", "x", locked); code(err) != "InvalidRequest" {
		t.Errorf("in a bucket without Object Lock: %v", err)
	}
	if _, err := w.c.GetObjectLockConfiguration(t.Context(), &s3.GetObjectLockConfigurationInput{Bucket: aws.String("b")}); code(err) != "ObjectLockConfigurationNotFoundError" {
		t.Errorf("its configuration: %v", err)
	}
	w.SetObjectLock("b", "", 0)
	for _, change := range []func(*s3.PutObjectInput){
		func(in *s3.PutObjectInput) { in.ContentMD5 = nil },
		func(in *s3.PutObjectInput) { in.ObjectLockRetainUntilDate = nil },
		func(in *s3.PutObjectInput) {
			past := w.clock.now().Add(-time.Hour)
			in.ObjectLockRetainUntilDate = &past
		},
		func(in *s3.PutObjectInput) { in.ObjectLockMode = "FOREVER" },
	} {
		if _, err := w.put("k", "x", locked, change); !slices.Contains([]string{"InvalidRequest", "InvalidArgument"}, code(err)) {
			t.Errorf("a lock that makes no sense: %v", err)
		}
	}
	out := must(w.put("k", "x", locked))(t)
	head := w.mustHead("k")
	if head.ObjectLockMode != "COMPLIANCE" || !head.ObjectLockRetainUntilDate.Equal(until) || head.ObjectLockLegalHoldStatus != "" {
		t.Errorf("HEAD: %s until %v, %s", head.ObjectLockMode, head.ObjectLockRetainUntilDate, head.ObjectLockLegalHoldStatus)
	}
	in := &s3.DeleteObjectInput{Bucket: aws.String("b"), Key: aws.String("k"), VersionId: out.VersionId}
	if _, err := w.c.DeleteObject(t.Context(), in); code(err) != "AccessDenied" {
		t.Errorf("a locked version is deleted: %v", err)
	}
	w.clock.move(25 * time.Hour)
	must(w.c.DeleteObject(t.Context(), in))(t)

	// The bucket's default goes to whatever asks for nothing, copies and uploads in
	// parts among them; a hold is a thing of its own.
	w.SetObjectLock("b", "GOVERNANCE", 7)
	config := must(w.c.GetObjectLockConfiguration(t.Context(), &s3.GetObjectLockConfigurationInput{Bucket: aws.String("b")}))(t).ObjectLockConfiguration
	if config.ObjectLockEnabled != "Enabled" || config.Rule.DefaultRetention.Mode != "GOVERNANCE" || *config.Rule.DefaultRetention.Days != 7 {
		t.Errorf("configuration %+v", config)
	}
	id := w.create("k", func(in *s3.CreateMultipartUploadInput) { in.ObjectLockLegalHoldStatus = "ON" })
	if _, err := w.part("k", id, 1, p1); code(err) != "InvalidRequest" {
		t.Errorf("a part of a locked object without a checksum: %v", err)
	}
	tag := must(w.part("k", id, 1, p1, func(in *s3.UploadPartInput) { in.ContentMD5 = md5Base64(p1) }))(t).ETag
	must(w.complete("k", id, []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: tag}}))(t)
	if head = w.mustHead("k"); head.ObjectLockMode != "GOVERNANCE" || head.ObjectLockLegalHoldStatus != "ON" {
		t.Errorf("of parts: %s, %s", head.ObjectLockMode, head.ObjectLockLegalHoldStatus)
	}
	retention := must(w.c.GetObjectRetention(t.Context(), &s3.GetObjectRetentionInput{Bucket: aws.String("b"), Key: aws.String("k")}))(t).Retention
	hold := must(w.c.GetObjectLegalHold(t.Context(), &s3.GetObjectLegalHoldInput{Bucket: aws.String("b"), Key: aws.String("k")}))(t).LegalHold
	if retention.Mode != "GOVERNANCE" || hold.Status != "ON" {
		t.Errorf("retention %+v, hold %+v", retention, hold)
	}
	must(w.selfCopy("k"))(t)
	if head = w.mustHead("k"); head.ObjectLockMode != "GOVERNANCE" || head.ObjectLockLegalHoldStatus != "" {
		t.Errorf("a copy: %s, %s", head.ObjectLockMode, head.ObjectLockLegalHoldStatus)
	}
	w.SetObjectLock("b", "", 0)
	must(w.selfCopy("k"))(t)
	if _, err := w.c.GetObjectRetention(t.Context(), &s3.GetObjectRetentionInput{Bucket: aws.String("b"), Key: aws.String("k")}); code(err) != "NoSuchObjectLockConfiguration" {
		t.Errorf("retention of what is not locked: %v", err)
	}

	// Locks show to those who may see them.
	must(w.put("k", "x", locked, func(in *s3.PutObjectInput) {
		later := w.clock.now().Add(time.Hour)
		in.ObjectLockRetainUntilDate, in.ObjectLockLegalHoldStatus = &later, "ON"
	}))(t)
	w.SetQuirks(func(q *s3test.Quirks) { q.Deny = []string{"s3:GetObjectRetention", "s3:GetObjectLegalHold"} })
	if head = w.mustHead("k"); head.ObjectLockMode != "" || head.ObjectLockLegalHoldStatus != "" {
		t.Errorf("to those who may not see: %s, %s", head.ObjectLockMode, head.ObjectLockLegalHoldStatus)
	}
	w.SetQuirks(func(q *s3test.Quirks) { q.Deny = []string{"s3:PutObjectRetention"} })
	if _, err := w.put("k", "x", locked); code(err) != "AccessDenied" {
		t.Errorf("without s3:PutObjectRetention: %v", err)
	}
}
