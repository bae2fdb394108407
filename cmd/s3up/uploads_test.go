package main

import (
	"strings"
	"testing"
	"time"

	"s3up/internal/upload"
)

// What a store says of an upload neither acts on the terminal nor fills it.
func TestUploadLinesAreHarmless(t *testing.T) {
	now := time.Now()
	long := strings.Repeat("x", 1<<20)
	for name, x := range map[string]*upload.Unfinished{
		"controls": {Key: "a\x1b[2J\nb", ID: "i\r\x07", Initiator: "\x1b]0;me\x07", StorageClass: "\u202eCLASS", Parts: 1},
		"no UTF-8": {Key: "a\xff\xfe", ID: "\x9b2J", Parts: -1},
		"length":   {Key: long, ID: long, Initiator: long, StorageClass: long, Begun: now, Seen: now, Parts: 1},
	} {
		x.Bucket = "b"
		for _, line := range []string{uploadText(x, uploadLeft, "it moved"), jsonLine(newUploadLine(x, uploadLeft, "it moved", nil))} {
			if !isPlain(line) {
				t.Errorf("%s: %q", name, clip(line))
			}
		}
		if n := len(uploadText(x, uploadAborted, "")); n > 2000 {
			t.Errorf("%s: a line of %d bytes", name, n)
		}
	}
}

// Durations may be days.
func TestDays(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"7d": 168 * time.Hour, "0.5d": 12 * time.Hour, "36h": 36 * time.Hour, "90m": 90 * time.Minute, "0": 0,
		"d": -1, "-1d": -1, "1d2h": -1, "1x": -1, "": -1, "-5m": -1, "1e99d": -1, "NaNd": -1,
	} {
		var got time.Duration
		err := find(commands(), "uploads").read(commandLine{verb: "uploads", flags: []string{"--older-than", text}}, func(v *values) error {
			got = v.days("older-than")
			return v.err
		})
		if (err != nil) != (want < 0) || err == nil && got != want {
			t.Errorf("%q is %v, %v; want %v", text, got, err, want)
		}
	}
}
