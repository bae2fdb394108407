package main

import (
	"testing"

	"s3up/internal/upload"
)

// The reason that is told for an object that is left is that of this run.
func TestNormalizeReasons(t *testing.T) {
	for name, test := range map[string]struct {
		how    upload.Normalize
		skip   upload.Skip
		custom []string
		want   string
	}{
		"onto itself": {"self", upload.SkipVersions, nil, "the bucket keeps versions: the version of parts would stay behind, as --allow-versions allows"},
		"staged": {"staged", upload.SkipVersions, nil,
			"the bucket keeps versions, and those of the second key would stay behind; --normalize self with --allow-versions copies it onto itself"},
		"a header": {"auto", upload.SkipHeader, nil, "it carries what a copy cannot keep"},
		"a job": {"auto", upload.SkipHeader, []string{"an ACL of its own", "a website redirect"},
			"it has an ACL of its own and a website redirect, which a job of S3 Batch Operations cannot keep; s3up normalize without --batch-manifest can"},
	} {
		n := &normalizing{o: normalizeOptions{how: test.how}}
		if got := n.why(&upload.Result{Skip: test.skip, Custom: test.custom}); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}

// What was meant to be a pattern is told as a prefix and a pattern below it.
func TestWildcard(t *testing.T) {
	for key, want := range map[string][2]string{"a/b/*.iso": {"a/b/", "*.iso"}, "*": {"", "*"}, "a/x?/b*/c": {"a/", "x?/b*/c"}, "a/b": {"a/b", ""}} {
		prefix, pattern, ok := target{"b", key}.wildcard()
		if prefix.key != want[0] || pattern != want[1] || ok != (pattern != "") {
			t.Errorf("%q: %q and %q, %v", key, prefix.key, pattern, ok)
		}
	}
}
