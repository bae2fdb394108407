package main

import (
	"slices"
	"strings"

	"s3up/internal/upload"
)

// A permission is an action of IAM's that a call needs, with the flag that makes
// it need it: nobody needs it without.
type permission struct{ action, flag string }

func (p permission) String() string {
	if p.flag == "" {
		return p.action
	}
	return p.action + " (for " + p.flag + ")"
}

// extraPermissions are those that some properties need beside s3:PutObject.
func extraPermissions(p upload.Properties) []permission {
	var all []permission
	need := func(asked bool, action, flag string) {
		if asked {
			all = append(all, permission{action, flag})
		}
	}
	need(len(p.Tags) > 0, "s3:PutObjectTagging", "--tagging")
	need(p.ACL != "", "s3:PutObjectAcl", "--acl")
	need(len(p.Grants.All()) > 0, "s3:PutObjectAcl", "--grant")
	need(p.LockMode != "", "s3:PutObjectRetention", "--object-lock-mode")
	need(p.LegalHold, "s3:PutObjectLegalHold", "--legal-hold")
	if strings.HasPrefix(string(p.SSE), "aws:kms") {
		need(true, "kms:GenerateDataKey", "--sse "+string(p.SSE))
		need(true, "kms:Decrypt", "--sse "+string(p.SSE))
	}
	return all
}

// needed returns what IAM calls the right to make a call that was refused.
func needed(op string, p upload.Properties) string {
	base, ok := permissions[op]
	if !ok {
		return "more rights"
	}
	extra := extraPermissions(p)
	switch op {
	case "PutObject", "CreateMultipartUpload", "CopyObject":
	case "UploadPart", "CompleteMultipartUpload":
		extra = slices.DeleteFunc(extra, func(p permission) bool { return !strings.HasPrefix(p.action, "kms:") })
	default:
		extra = nil
	}
	all := []string{base}
	for _, p := range extra {
		all = append(all, p.String())
	}
	return strings.Join(all, ", ")
}

// rights says what a call that was denied needs.
func rights(op string, f facts) string {
	if f.unsigned { // there are no credentials that could lack anything
		return "leave out --no-sign-request, or have a policy of the bucket " + f.bucket + " allow everybody " + needed(op, f.properties)
	}
	return "the credentials need " + needed(op, f.properties) + " on " + f.bucket
}

// lacking says all that may be the reason that a call was denied.
func lacking(op string, f facts) string { return rights(op, f) + owned(f) + demands(op, f) }

// demands says which flags a bucket's policy may want, of a call that was denied
// although the credentials may have all rights.
func demands(op string, f facts) string {
	var flags []string
	switch op {
	case "PutObject", "CreateMultipartUpload":
		if f.properties.SSE == "" && f.properties.CustomerKey == nil {
			flags = append(flags, "--sse")
		}
	}
	switch op {
	case "PutObject", "UploadPart":
		if !f.signed && !f.unsigned {
			flags = append(flags, "--sign-payload")
		}
	}
	if len(flags) == 0 {
		return ""
	}
	return "; a policy of the bucket may want " + strings.Join(flags, " or ")
}

// owned says whose the bucket has to be.
func owned(f facts) string {
	if f.owner == "" {
		return ""
	}
	return ", which has to belong to " + f.owner + " (--expected-bucket-owner)"
}
