package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// options reads a command line as the program does, with these variables and no
// other ones of its own.
func options(t *testing.T, env map[string]string, words ...string) (cpOptions, error) {
	t.Helper()
	for _, kv := range os.Environ() {
		if name, _, _ := strings.Cut(kv, "="); strings.HasPrefix(name, "S3UP_") || strings.HasPrefix(name, "AWS_") {
			t.Setenv(name, "")
		}
	}
	t.Setenv("AWS_CONFIG_FILE", os.DevNull)
	for name, value := range env {
		t.Setenv(name, value)
	}
	return optionsOf(t, append(words, "f", "s3://b/k")...)
}

// Every flag has a variable, which sets it, and whose name stands in the message
// where its value makes no sense.
func TestEveryFlagHasAVariable(t *testing.T) {
	anything := map[string]bool{"profile": true, "ca-bundle": true, "client-cert": true, "client-key": true, "endpoint-url": true, "lock": true, "cpuprofile": true, "memprofile": true,
		"include": true, "exclude": true, "last": true, "report": true, "sums": true}
	for _, f := range cpFlags() {
		name := f.Names()[0]
		variable := variableOf(name)
		nonsense := "no\x01sense"
		_, err := options(t, map[string]string{variable: nonsense})
		if anything[name] { // the store, or the disk, will say so
			if err != nil && !strings.Contains(err.Error(), variable) {
				t.Errorf("%s: %v", variable, err)
			}
			continue
		}
		if err == nil || !strings.HasPrefix(err.Error(), variable) || strings.Contains(err.Error(), "--"+name) {
			t.Errorf("%s=%q: got %v", variable, nonsense, err)
		}
	}
}

func TestVariables(t *testing.T) {
	env := map[string]string{
		"S3UP_PART_SIZE": "32MiB", "S3UP_JSON": "true", "S3UP_METADATA": "a=1,2\nb=3", "S3UP_ENDPOINT_URL": "http://h", "S3UP_REGION": "", "S3UP_QUIET": "1",
		"S3UP_HEADER": "X-Tenant: web", "S3UP_CONTENT_TYPE": "text/x-1",
	}
	o, err := options(t, env)
	if err != nil {
		t.Fatal(err)
	}
	if o.upload.PartSize != 32<<20 || !o.json || !o.quiet || o.store.Endpoint != "http://h" || o.store.Headers.Get("X-Tenant") != "web" ||
		len(o.properties.Metadata) != 2 || o.properties.Metadata["a"] != "1,2" || o.properties.ContentType != "text/x-1" {
		t.Errorf("got %+v", o)
	}
	// A flag comes first, and those that repeat are not added to.
	o, err = options(t, env, "--part-size", "8MiB", "--json=false", "--metadata", "c=4")
	if err != nil {
		t.Fatal(err)
	}
	if o.upload.PartSize != 8<<20 || o.json || len(o.properties.Metadata) != 1 || o.properties.Metadata["c"] != "4" {
		t.Errorf("got %+v", o)
	}
	for variable, want := range map[string]string{
		"S3UP_JSON=maybe":              "S3UP_JSON maybe: must be true or false",
		"S3UP_PART_SIZE=1MiB":          "S3UP_PART_SIZE 1MiB: must be 5MiB to 5GiB",
		"S3UP_METADATA=a=1\ncolour":    "S3UP_METADATA colour: must be KEY=VALUE",
		"S3UP_ACL=private":             "S3UP_ACL and --grant exclude each other; leave one of them out",
		"S3UP_HEADER=X-Secret hunter2": "S3UP_HEADER: must be NAME:VALUE, such as X-Tenant:web",
		"S3UP_VERBOSE=1":               "--quiet and S3UP_VERBOSE contradict each other",
		"S3UP_PROFILE=x":               "--no-sign-request and S3UP_PROFILE contradict each other: ",
	} {
		name, value, _ := strings.Cut(variable, "=")
		words := map[string][]string{"S3UP_ACL": {"--grant", "read=id=x"}, "S3UP_VERBOSE": {"-q"}, "S3UP_PROFILE": {"--no-sign-request"}}[name]
		if _, err := options(t, map[string]string{name: value}, words...); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", variable, err, want)
		}
	}
}

func TestAWSConfigurationFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "config")
	if err := os.WriteFile(file, []byte(`# mine
[default]
region = eu-west-1
s3 =
    max_concurrent_requests = 20
    multipart_threshold = 32MB
    multipart_chunksize = 1MB   # the AWS CLI takes more, too
    max_bandwidth = 8Mb/s
    addressing_style = virtual
    use_accelerate_endpoint = true
    use_dualstack_endpoint = true
    use_fips_endpoint = false
    payload_signing_enabled = true
    io_chunksize = 1MB
output = json
    multipart_threshold = 1TB

[profile "shop"]
s3 =
	max_bandwidth = 100KB/s
[profile odd]
s3=
  multipart_chunksize = lots
[profile few]
s3 =
 max_concurrent_requests = 0
[profile swift]
s3 =
 max_bandwidth = 10
[profile both]
s3 =
 addressing_style = both
[profile faster]
s3 =
 use_accelerate_endpoint = yes
[profile slow]
s3 =
 max_bandwidth = 10 MB
[services shop]
s3 =
  endpoint_url = http://h
  max_bandwidth = nonsense
`), 0o600); err != nil {
		t.Fatal(err)
	}
	with := func(more ...string) map[string]string {
		env := map[string]string{"AWS_CONFIG_FILE": file}
		for i := 0; i < len(more); i += 2 {
			env[more[i]] = more[i+1]
		}
		return env
	}
	o, err := options(t, with())
	if err != nil {
		t.Fatal(err)
	}
	if o.store.MaxConnections != 20 || o.upload.Slots != 80 || o.upload.Threshold != 32<<20 || o.upload.PartSize != 5<<20 ||
		o.store.Bandwidth(time.Now()) != 1<<20 || o.store.Addressing != "virtual" || !o.store.Accelerate || !*o.store.DualStack ||
		*o.store.FIPS || !o.store.SignPayload {
		t.Errorf("got %+v", o)
	}
	// Flags, their variables and Amazon's come first.
	o, err = options(t, with("S3UP_ADDRESSING_STYLE", "path", "AWS_USE_DUALSTACK_ENDPOINT", "false", "S3UP_USE_ACCELERATE_ENDPOINT", "false"),
		"--concurrency", "8", "--bwlimit", "off", "--part-size", "64MiB")
	if err != nil {
		t.Fatal(err)
	}
	if o.store.MaxConnections != 0 || o.upload.Slots != 8 || o.upload.PartSize != 64<<20 || o.store.Bandwidth != nil ||
		o.store.Addressing != "path" || o.store.Accelerate || o.store.DualStack != nil {
		t.Errorf("got %+v", o)
	}
	for _, env := range []map[string]string{with("AWS_PROFILE", "shop"), with("AWS_PROFILE", "odd", "S3UP_PROFILE", "shop"), with("AWS_DEFAULT_PROFILE", "shop")} {
		if o, err = options(t, env); err != nil || o.store.Bandwidth(time.Now()) != 100<<10 || o.store.Addressing != "auto" {
			t.Errorf("%v: %+v, %v", env, o, err)
		}
	}
	if o, err = options(t, with("AWS_PROFILE", "nobody")); err != nil || o.store.Bandwidth != nil {
		t.Errorf("%+v, %v", o, err)
	}
	for profile, want := range map[string]string{
		"odd":    "multipart_chunksize lots: must be a size, such as 16MB or 16777216",
		"few":    "max_concurrent_requests 0: must be a number from 1 on",
		"both":   "addressing_style both: must be auto, path or virtual",
		"faster": "use_accelerate_endpoint yes: must be true or false",
		"slow":   `max_bandwidth "10 MB": must be a rate, such as 10MB/s, 10Mb/s or 10485760`,
	} {
		if _, err := options(t, with(), "--profile", profile); err == nil || err.Error() != file+", profile "+profile+": "+want {
			t.Errorf("%s: got %v, want %s", profile, err, want)
		}
	}
	if o, err = options(t, with("AWS_PROFILE", "swift")); err != nil || o.store.Bandwidth(time.Now()) != leastRate {
		t.Errorf("%+v, %v", o, err)
	}
}

func TestTimetable(t *testing.T) {
	// 2026-11-22 is a Sunday.
	at := func(day, hour, minute int) time.Time {
		return time.Date(2026, 11, 22+day, hour, minute, 30, 0, time.Local)
	}
	for _, tt := range []struct {
		text string
		at   time.Time
		want int64
	}{
		{"10MiB", at(0, 0, 0), 10 << 20},
		{"1.5MB/s", at(0, 0, 0), 1_500_000},
		{"off", at(0, 0, 0), 0},
		{"08:00,512KiB 19:00,10MiB 23:00,off", at(2, 7, 59), 0},
		{"08:00,512KiB 19:00,10MiB 23:00,off", at(2, 8, 0), 512 << 10},
		{"08:00,512KiB 19:00,10MiB 23:00,off", at(2, 18, 59), 512 << 10},
		{"08:00,512KiB 19:00,10MiB 23:00,off", at(0, 19, 0), 10 << 20},
		{"08:00,512KiB 19:00,10MiB 23:00,off", at(0, 0, 0), 0}, // Saturday's last
		{"19:00,10MiB 08:00,512KiB", at(6, 23, 59), 10 << 20},  // in any order
		{"Mon-08:00,1MiB Fri-18:00,off", at(0, 12, 0), 0},
		{"Mon-08:00,1MiB Fri-18:00,off", at(1, 8, 0), 1 << 20},
		{"Monday-08:00,1MiB fri-18:00,off", at(5, 17, 59), 1 << 20},
		{"Mon-08:00,1MiB Fri-18:00,off", at(5, 18, 0), 0},
		{"8:00,1MiB Sat-00:00,off", at(6, 0, 1), 0},
		{"08:00,1MiB", at(3, 0, 0), 1 << 20},
	} {
		table, err := parseTimetable(tt.text)
		if err != nil {
			t.Errorf("%s: %v", tt.text, err)
			continue
		}
		if got := table.at(tt.at); got != tt.want {
			t.Errorf("%s on %v: got %d, want %d", tt.text, tt.at, got, tt.want)
		}
	}
	for text, want := range map[string]string{
		"":                      "must be bytes a second with their unit",
		"512":                   "must be bytes a second with their unit",
		"fast":                  "must be bytes a second with their unit",
		"-1MiB":                 "must be bytes a second with their unit",
		"100B":                  "must be 1KiB or more, or off",
		"1MiB:2MiB":             "must be bytes a second with their unit",
		"08:00,512":             `"08:00,512": must be bytes a second with their unit`,
		"24:00,1MiB":            `"24:00,1MiB" is no entry of a timetable`,
		"08:00,1MiB 19:00":      `"19:00" is no entry of a timetable`,
		"Noday-08:00,1MiB":      `"Noday-08:00,1MiB" is no entry of a timetable`,
		"08:00,1MiB 8:00,2MiB":  `"8:00,2MiB": there is an entry for that time already`,
		"08:00,1MiB,2MiB 9,off": "must be bytes a second",
	} {
		if _, err := parseTimetable(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: got %v, want %s", text, err, want)
		}
	}
}

func TestEndpointFlags(t *testing.T) {
	for line, want := range map[string]string{
		"--provider acme":                             "--provider acme: must be auto, alibaba, backblaze, cloudflare, google, scaleway or tencent",
		"--request-payer bucketowner":                 "--request-payer bucketowner: must be requester",
		"--expected-bucket-owner me":                  "--expected-bucket-owner me: must be an account of 12 digits",
		"--header X-Y":                                "--header: must be NAME:VALUE, such as X-Tenant:web",
		"--header X-Amz-Meta-A:b":                     "--header X-Amz-Meta-A: s3up sets it by itself; --metadata is the flag for it",
		"--header X-Y:a --header x-y:b":               "--header x-y: is given twice",
		"--no-sign-request --profile x":               "--no-sign-request and --profile contradict each other: ",
		"--no-sign-request --sign-payload":            "--no-sign-request and --sign-payload contradict each other; leave one of them out",
		"--no-sign-request --request-payer requester": "--no-sign-request and --request-payer contradict each other: ",
		"--max-parts 10001":                           "--max-parts 10001: must be a number from 1 to 10000",
		"--bwlimit 512":                               "--bwlimit 512: must be bytes a second with their unit",
	} {
		if _, err := options(t, nil, strings.Fields(line)...); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", line, err, want)
		}
	}
	for url, want := range map[string][2]string{
		"s3://arn:aws:s3:eu-west-1:123456789012:accesspoint/mine/a/b":           {"arn:aws:s3:eu-west-1:123456789012:accesspoint/mine", "a/b"},
		"s3://arn:aws:s3:eu-west-1:123456789012:accesspoint:mine/a":             {"arn:aws:s3:eu-west-1:123456789012:accesspoint:mine", "a"},
		"s3://arn:aws-us-gov:s3::123456789012:accesspoint/m.mrap/":              {"arn:aws-us-gov:s3::123456789012:accesspoint/m.mrap", ""},
		"s3://mine-abcdefghijklmnopqrstuvwxyz0123456-s3alias/a":                 {"mine-abcdefghijklmnopqrstuvwxyz0123456-s3alias", "a"},
		"s3://arn:aws:s3-outposts:eu-west-1:123456789012:outpost/o/accesspoint": {},
		"s3://mine-abc--ol-s3/a": {},
	} {
		bucket, key, err := parseURL(url)
		if bucket != want[0] || key != want[1] || (err != nil) != (want[0] == "") {
			t.Errorf("%s: %q, %q, %v", url, bucket, key, err)
		}
	}
}
