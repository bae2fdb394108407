package main

import (
	"strings"
	"testing"

	"s3up/internal/upload"
)

// Conditions that exclude each other, or concern many files, are refused.
func TestConditionFlags(t *testing.T) {
	run := func(words ...string) error {
		_, err := optionsOf(t, append(words, "s3://b/")...)
		return err
	}
	for words, want := range map[string]string{
		"--no-clobber --if-changed a":          "--no-clobber and --if-changed exclude each other",
		"--no-clobber --if-match x a":          "--no-clobber and --if-match exclude each other",
		"--if-match x a b":                     "--if-match is for one file",
		"--if-match , a":                       "--if-match ,: must be the ETag of an object",
		"--publish staged --normalize self a":  "--publish staged and --normalize self exclude each other",
		"--prune-version --normalize off a":    "--prune-version and --normalize off exclude each other",
		"--publish somehow a":                  "--publish somehow: must be direct or staged",
		"--publish staged --if-changed a b":    "",
		"--publish staged --prune-version a":   "",
		"--no-clobber --normalize staged a b":  "",
		"--if-match 0123-2 --normalize self a": "",
	} {
		err := run(strings.Fields(words)...)
		if want == "" && err != nil || want != "" && (err == nil || !strings.Contains(err.Error(), want)) {
			t.Errorf("%s: error %v, want %q", words, err, want)
		}
	}
	if o, err := optionsOf(t, "--if-match", `"abc-2"`, "a", "s3://b/"); err != nil || o.upload.IfMatch != "abc-2" {
		t.Errorf("an ETag in quotes: %q, %v", o.upload.IfMatch, err)
	}
	o, err := optionsOf(t, "a", "s3://b/")
	if u := o.upload; err != nil || u.NoClobber || u.IfMatch != "" || u.IfChanged || u.PruneVersion || u.Publish != upload.PublishDirect {
		t.Errorf("without flags: %+v, %v", u, err)
	}
}

// optionsOf reads a command line of cp.
func optionsOf(t *testing.T, words ...string) (o cpOptions, _ error) {
	t.Helper()
	line, err := parseLine(append([]string{"cp"}, words...), commands())
	if err != nil {
		t.Fatal(err)
	}
	return o, find(commands(), "cp").read(line, func(v *values) (err error) {
		o, err = newCpOptions(v)
		return err
	})
}
