package main

import (
	"os/exec"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"s3up/internal/upload"
)

func TestOneLine(t *testing.T) {
	for _, tt := range []struct{ in, want string }{
		{"plain", "plain"},
		{"grün 日本", "grün 日本"},
		{"two\nlines", `two\nlines`},
		{"\x1b[31mred", `\x1b[31mred`},
		{"right\u202eleft", `right\u202eleft`},
	} {
		if got := oneLine(tt.in); got != tt.want {
			t.Errorf("oneLine(%q): got %q, want %q", tt.in, got, tt.want)
		}
	}
}

// What is printed to be typed again is the same words to the shell, and one line.
func TestShellLine(t *testing.T) {
	bash, err := exec.LookPath("bash")
	if err != nil {
		t.Skip("no bash")
	}
	for _, word := range []string{"plain", "", "it's", `a "b" $c \d`, "two\nlines\t", "'\n'", "\x1b\x7f\\", "grün\n", "-x", "*"} {
		out, err := exec.Command(bash, "-c", "printf %s "+shellWord(word)).Output()
		if err != nil {
			t.Fatal(err)
		}
		if string(out) != word {
			t.Errorf("%s: got %q, want %q", shellWord(word), out, word)
		}
		if oneLine(shellWord(word)) != shellWord(word) {
			t.Errorf("%s breaks the line", shellWord(word))
		}
	}
}

func TestParseLine(t *testing.T) {
	for _, tt := range []struct {
		words []string
		want  commandLine
	}{
		{[]string{"cp", "a", "b"}, commandLine{verb: "cp", args: []string{"a", "b"}}},
		{[]string{"--json", "put", "a", "--part-size", "5MiB", "b", "-q"},
			commandLine{verb: "put", flags: []string{"--json", "--part-size", "5MiB", "-q"}, args: []string{"a", "b"}}},
		{[]string{"cp", "--metadata", "--x=--y", "--metadata=a=b", "-"},
			commandLine{verb: "cp", flags: []string{"--metadata", "--x=--y", "--metadata=a=b"}, args: []string{"-"}}},
		{[]string{"cp", "a", "--", "--json", "-"}, commandLine{verb: "cp", args: []string{"a", "--json", "-"}}},
		{[]string{"a", "cp"}, commandLine{args: []string{"a", "cp"}}},
		{[]string{"--", "cp"}, commandLine{args: []string{"cp"}}},
		{[]string{"cp", "-h"}, commandLine{verb: "cp", help: true}},
		{[]string{"--version"}, commandLine{version: true}},
	} {
		got, err := parseLine(tt.words, commands())
		if err != nil {
			t.Errorf("%q: %v", tt.words, err)
		}
		if d := cmp.Diff(tt.want, got, cmp.AllowUnexported(commandLine{})); d != "" {
			t.Errorf("%q: %s", tt.words, d)
		}
	}
}

func TestNearest(t *testing.T) {
	names := []string{"part-size", "profile", "progress", "region", "resume", "endpoint-url", "q", "cp"}
	for word, want := range map[string]string{
		"part-sze": "part-size", "partsize": "part-size", "endpoint": "endpoint-url", "pro": "profile",
		"regoin": "region", "recursive": "", "x": "", "cpp": "cp",
	} {
		if got := nearest(word, names); got != want {
			t.Errorf("nearest(%q): got %q, want %q", word, got, want)
		}
	}
}

func TestBarLine(t *testing.T) {
	const mib = upload.MiB
	for _, tt := range []struct {
		name  string
		p     position
		speed float64
		width int
		want  string
	}{
		{"begun", position{name: "db.dump", size: 100 * mib}, 0, 80,
			"db.dump          [............]    0%       0 B of 100 MiB        0 B/s    --:--"},
		{"half", position{name: "db.dump", size: 100 * mib, done: 50 * mib}, 10 * mib, 100,
			"db.dump                    [###########...........]   50%    50 MiB of 100 MiB     10 MiB/s     0:05"},
		{"hours", position{name: "db.dump", size: 1 << 40, done: 1 << 39}, 10 * mib, 60,
			"db.dump        50%   512 GiB of 1.0 TiB     10 MiB/s  14:33:49"},
		{"long name", position{name: "a/very/long/path/to/some/file.tar.gz", size: 100, done: 99}, 1, 70,
			"…file.tar.gz   99%      99 B of 100 B          1 B/s     0:01"},
		{"stream", position{name: "stdin", size: -1, done: 5 * mib}, mib, 80,
			"stdin                           5.0 MiB   1.0 MiB/s"},
		{"copying", position{name: "db.dump", size: 5, done: 5, stage: upload.StageNormalize}, 0, 80,
			"db.dump                       5 B  copying on the server"},
		{"empty", position{name: "e", size: 0}, 0, 80,
			"e                [############]  100%       0 B of 0 B            0 B/s    --:--"},
	} {
		if got := barLine(tt.p, tt.speed, tt.width); got != tt.want {
			t.Errorf("%s:\ngot  %q\nwant %q", tt.name, got, tt.want)
		}
	}
}

func TestMeter(t *testing.T) {
	start := time.Unix(0, 0)
	m := meter{[]sample{{at: start}}}
	var got []float64
	for second, sent := range []int64{0, 100, 200, 300, 300, 300, 300, 300, 300, 300, 300, 300, 300} {
		got = append(got, m.speed(start.Add(time.Duration(second)*time.Second), sent))
	}
	want := []float64{0, 100, 100, 100, 75, 60, 50, 300. / 7, 300. / 8, 200. / 8, 100. / 8, 0, 0}
	if d := cmp.Diff(want, got); d != "" {
		t.Error(d)
	}
}

func TestDefaultMemory(t *testing.T) {
	file := func(text string) *fstest.MapFile { return &fstest.MapFile{Data: []byte(text)} }
	for _, tt := range []struct {
		name string
		root fstest.MapFS
		want int64
	}{
		{"no groups", fstest.MapFS{}, 256 << 20},
		{"v2, no limit", fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("max\n")}, 256 << 20},
		{"v2, a large limit", fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("8589934592\n")}, 256 << 20},
		{"v2, a small limit", fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("268435456\n")}, 64 << 20},
		{"v2, the group above is smaller", fstest.MapFS{
			"proc/self/cgroup":                 file("0::/a/b\n"),
			"sys/fs/cgroup/a/b/memory.max":     file("1073741824\n"),
			"sys/fs/cgroup/a/memory.max":       file("536870912\n"),
			"sys/fs/cgroup/other/memory.max":   file("1048576\n"),
			"sys/fs/cgroup/a/b/c/memory.max":   file("1048576\n"),
			"sys/fs/cgroup/cgroup.controllers": file("memory\n"),
		}, 128 << 20},
		{"v1", fstest.MapFS{
			"proc/self/cgroup":                           file("5:cpu,cpuacct:/docker/x\n4:memory:/docker/x\n0::/\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": file("536870912\n"),
		}, 128 << 20},
		{"v1, no limit", fstest.MapFS{
			"proc/self/cgroup":                           file("4:memory:/\n"),
			"sys/fs/cgroup/memory/memory.limit_in_bytes": file("9223372036854771712\n"),
		}, 256 << 20},
		{"hardly any", fstest.MapFS{"proc/self/cgroup": file("0::/\n"), "sys/fs/cgroup/memory.max": file("20971520\n")}, 10 << 20},
	} {
		if got := defaultMemory(tt.root); got != tt.want {
			t.Errorf("%s: got %d, want %d", tt.name, got, tt.want)
		}
	}
}

// Each outcome of the ETag is told in words.
func TestETagWords(t *testing.T) {
	for _, tt := range []struct {
		normalized upload.Normalized
		kind       upload.ETagKind
		want       string
	}{
		{upload.SinglePut, upload.ETagMD5, "ETag E = MD5"},
		{upload.SelfCopy, upload.ETagMD5, "ETag E = MD5, after a copy onto itself"},
		{upload.StagedCopy, upload.ETagMD5, "ETag E = MD5, after a copy to a second key and back"},
		{upload.Already, upload.ETagMD5, "ETag E = MD5, without a copy"},
		{upload.Kept, upload.ETagMultipart, "MD5 M, ETag E: the store keeps it through copies"},
		{upload.TooLarge, upload.ETagMultipart, "MD5 M, ETag E: too large to be copied in one piece"},
		{upload.Opaque, upload.ETagOpaque, "MD5 M, ETag E: the store's ETags are no MD5s here"},
		{upload.Off, upload.ETagMultipart, "MD5 M, ETag E: left as it is by --normalize off"},
		{upload.Refused, upload.ETagMultipart, "MD5 M, ETag E: the copy that would change it was refused"},
	} {
		r := &upload.Result{Job: &upload.Job{Bucket: "b"}, MD5: "M", ETag: "E", ETagKind: tt.kind, Normalized: tt.normalized}
		if got := etagWords(r); got != tt.want {
			t.Errorf("%s: got %q, want %q", tt.normalized, got, tt.want)
		}
		if hint := md5Hint(r, &upload.Options{Normalize: upload.NormalizeAuto}); (hint == "") != (tt.kind == upload.ETagMD5) {
			t.Errorf("%s: got %q as hint", tt.normalized, hint)
		}
	}
}
