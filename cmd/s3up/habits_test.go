package main

import (
	"errors"
	"strings"
	"testing"
)

// Whoever types what another program takes is told what to type here.
func TestHabits(t *testing.T) {
	for line, want := range map[string]string{
		"cp f s3://b/k --no-overwrite":             "unknown flag --no-overwrite; --no-clobber writes only where there is no object",
		"cp --only-show-errors f s3://b/k":         "unknown flag --only-show-errors; --quiet is silent but for errors",
		"cp f s3://b/k --checksum-algorithm CRC32": "unknown flag --checksum-algorithm; type --checksum crc64nvme; see s3up help cp",
		"cp f s3://b/k --sse-c AES256":             "unknown flag --sse-c; a key is never typed: --sse-c-key-file FILE, or --sse-c-key-env NAME",
		"cp f s3://b/k --sse-c-key=hunter2":        "unknown flag --sse-c-key; a key is never typed: --sse-c-key-file FILE, or --sse-c-key-env NAME",
		"cp f s3://b/k --no-progress":              "unknown flag --no-progress; type --progress none",
		"cp f s3://b/k --sse":                      "--sse needs a value; type --sse AES256, aws:kms or aws:kms:dsse",
		"cp f s3://b/k --request-payer":            "--request-payer needs a value; type --request-payer requester",
		"cp f s3://b/k --part-size":                "--part-size needs a value",
	} {
		_, err := parseLine(strings.Fields(line), commands())
		var usage *usageError
		if !errors.As(err, &usage) {
			t.Errorf("%s: %v", line, err)
			continue
		}
		if got := sentence(usage.Msg, usage.Hint); got != want {
			t.Errorf("%s:\ngot  %s\nwant %s", line, got, want)
		}
	}
	for name := range habits {
		if _, ours := takesValue(commands()...)[name]; ours {
			t.Errorf("--%s is a flag", name)
		}
	}
	for pair, want := range map[string]bool{"a=1,b=2": true, "list=a,b,c": false, "a=1": false, "a=x, y=z w": false, "a=,=": false, "q=x,y z=1": false} {
		if got := severalInOne(pair); got != want {
			t.Errorf("%s: %t, want %t", pair, got, want)
		}
	}
}

// What may be a secret is in no line that is to be typed again.
func TestTypedAgain(t *testing.T) {
	for _, test := range []struct{ line, want string }{
		{"s3up cp f s3://b/k --header X-Tenant-Token:hunter2 --json", "s3up cp f s3://b/k --header 'X-Tenant-Token:***' --json"},
		{"s3up --header=X:hunter2 -header X:hunter2 -header=hunter2 f s3://b/k", "s3up '--header=X:***' -header 'X:***' '-header=***' f s3://b/k"},
		{"s3up cp f s3://b/k --metadata X:a -- --header X:f", "s3up cp f s3://b/k --metadata X:a -- --header X:f"},
		{"s3up cp --header", "s3up cp --header"},
		{"s3up f s3://b/k --endpoint-url https://me:hunter2@h:9000/", "s3up f s3://b/k --endpoint-url 'https://***@h:9000/'"},
	} {
		if got := typedAgain(strings.Fields(test.line)); got != test.want {
			t.Errorf("%s:\ngot  %s\nwant %s", test.line, got, test.want)
		}
	}
	p := &program{argv: strings.Fields("s3up --header X:hunter6 f s3://b/k")}
	if _, err := p.dispatch(); err == nil || strings.Contains(err.(*usageError).Hint, "hunter6") {
		t.Errorf("%+v", err)
	}
}
