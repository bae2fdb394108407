package main

import (
	"fmt"
	"strings"
)

// habits are flags of the AWS CLI and its likes that are called otherwise here, or
// are not needed, with what to type.
var habits = map[string]string{
	"no-overwrite":         "--no-clobber writes only where there is no object",
	"if-none-match":        "--no-clobber writes only where there is no object",
	"only-show-errors":     "--quiet is silent but for errors",
	"no-progress":          "type --progress none",
	"debug":                "--verbose tells of each request",
	"output":               "--json gives one object a line",
	"checksum-algorithm":   "type --checksum crc64nvme; see s3up help cp",
	"sse-c":                "a key is never typed: --sse-c-key-file FILE, or --sse-c-key-env NAME",
	"sse-c-key":            "a key is never typed: --sse-c-key-file FILE, or --sse-c-key-env NAME",
	"cli-read-timeout":     "type --stall-timeout DURATION",
	"cli-connect-timeout":  "type --stall-timeout DURATION",
	"content-md5":          "it goes with each request by itself",
	"metadata-directive":   "what was asked for is stated on each copy by itself",
	"multipart-chunk-size": "type --part-size SIZE",
	"s3-chunk-size":        "type --part-size SIZE",
	"chunk-size":           "type --part-size SIZE",
	"transfers":            "type --concurrency N",
}

// bare are flags that take a value here, and none or a usual one elsewhere.
var bare = map[string]string{
	"sse":           "type --sse AES256, aws:kms or aws:kms:dsse",
	"request-payer": "type --request-payer requester",
}

// metadataNotes tell of values that were most likely meant to be several.
func metadataNotes(pairs []string) []string {
	var notes []string
	for _, pair := range pairs {
		if severalInOne(pair) {
			notes = append(notes, fmt.Sprintf("--metadata %s is one value, with its commas; of several, each has a --metadata of its own", quoted(clip(pair))))
		}
	}
	return notes
}

// severalInOne says whether a value of --metadata looks like several, as other
// programs take them: a=1,b=2.
func severalInOne(pair string) bool {
	_, value, _ := strings.Cut(pair, "=")
	for _, rest := range strings.Split(value, ",")[1:] {
		if key, _, ok := strings.Cut(rest, "="); ok && key != "" && isToken(key) {
			return true
		}
	}
	return false
}
