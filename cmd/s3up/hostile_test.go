package main

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"

	"s3up/internal/store"
	"s3up/internal/tree"
	"s3up/internal/upload"
)

// Whatever a name or a store says, no line holds a character that acts on a
// terminal, or a byte that is no UTF-8, and none is without end.
var hostile = []string{
	"two\nlines\r", "\x1b]0;title\a", "\x1b[2J", "csi\u009b2J", "byte\x9b2J", "right\u202eleft", "\x00", "\xff\xfe", "a\u2028b",
	"zero\u200bwidth", strings.Repeat("long ", 1<<14),
}

func checkLine(t *testing.T, what, line string) {
	t.Helper()
	if !utf8.ValidString(line) || strings.ContainsFunc(line, func(r rune) bool { return r != ' ' && !unicode.IsGraphic(r) }) {
		t.Errorf("%s is printed raw: %.300q", what, line)
	}
	if len(line) > 4<<10 {
		t.Errorf("%s: a line of %d bytes", what, len(line))
	}
}

func TestNothingHostileIsPrinted(t *testing.T) {
	dir := t.TempDir()
	for i, text := range hostile {
		name := text[:min(len(text), 100)]
		stdout, stderr := create(t, filepath.Join(dir, "out")), create(t, filepath.Join(dir, "err"))
		out := &output{stdout: stdout, stderr: stderr}
		source := &task{source: name, key: name}
		job := &upload.Job{Source: upload.NewStream(name, strings.NewReader("")), Bucket: "b", Key: name}
		r := &upload.Result{Job: job, Status: upload.Uploaded, ETag: text, ETagKind: upload.ETagOpaque, Normalized: upload.Opaque, VersionID: name, Notes: []string{name}}
		o := cpOptions{connection: connection{verbose: true}, sources: []string{name}}
		l := &link{program: &program{}, out: out, facts: facts{bucket: "b", again: shellLine([]string{"s3up", "cp", name, "s3://b/" + name})}}
		c := &copying{link: l, o: o, several: true, known: true}
		c.report(source, r)
		c.noted(upload.Event{Job: job, Text: name})
		for _, err := range []error{
			answer("PutObject", 400, text, text), answer("PutObject", 403, "AccessDenied", text), answer("PutObject", 501, "NotImplemented", text),
			call("PutObject", 0, &store.GaveUp{Host: name, Last: errors.New(text)}), call("PutObject", 200, errors.New(text)), errors.New(text),
			call("ListParts", 0, &store.AnswerError{Host: name, What: "is larger than 16 MiB"}),
			&upload.Error{Kind: upload.Temporary, Msg: name, Err: errors.New(text)},
		} {
			failed := *r
			failed.Status, failed.Err, failed.Resumable = upload.Failed, err, true
			c.report(source, &failed)
			c.o.json = true
			c.report(source, &failed)
			c.o.json = false
			out.talk("%s", attemptLine(store.Attempt{Op: "PutObject", Bucket: "b", Key: name, Status: 400, Code: text, RequestID: text, Err: err}))
			out.talk("%s", attemptLine(store.Attempt{Op: "PutObject", Bucket: "b", Key: name, Err: err}))
		}
		lines := &progressLines{out: out, files: make(map[*upload.Job]*position)}
		lines.event(upload.Event{Kind: upload.Started, Job: job, Size: 1})
		lines.event(upload.Event{Kind: upload.Stage, Job: job, Text: upload.StageComplete})
		checkLine(t, "a bar", barLine(*startPosition(upload.Event{Job: job, Size: 1}), 1, 80))
		for _, file := range []string{"out", "err"} {
			data, err := os.ReadFile(filepath.Join(dir, file))
			if err != nil {
				t.Fatal(err)
			}
			all := strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
			if want := map[string]int{"out": 9, "err": 35}[file]; len(all) != want {
				t.Errorf("text %d: %d lines in %s, want %d", i, len(all), file, want)
			}
			for _, line := range all {
				if strings.HasPrefix(line, "{") { // of scripts, which want all of an ETag
					if !json.Valid([]byte(line)) || !isPlain(line) {
						t.Errorf("no plain JSON: %.300q", line)
					}
					continue
				}
				checkLine(t, file, line)
			}
		}
	}
}

func create(t *testing.T, name string) *os.File {
	t.Helper()
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// JSON says what was meant, escaped as it is.
func TestJSONLineIsEscaped(t *testing.T) {
	for _, text := range hostile {
		line := jsonLine(map[string]string{"t": text})
		var back map[string]string
		if err := json.Unmarshal([]byte(line), &back); err != nil {
			t.Fatalf("%.300q: %v", line, err)
		}
		if want := strings.ToValidUTF8(text, "\ufffd"); utf8.ValidString(text) && back["t"] != want {
			t.Errorf("%.300q became %.300q", text, back["t"])
		}
	}
}

// A URL that is taken has a bucket and a key that a store can have, and is the
// same words.
func FuzzParseURL(f *testing.F) {
	for _, seed := range []string{"s3://b/k", "s3://b", "s3://b/", "s3:///k", "s3://b//k", "s3://b/k?versionId=1", "s3://b/%2f", "S3://b/k",
		"s3://arn:aws:s3:::b/k", "s3://b--x-s3/k", "s3://b..c/k", "s3://b/\x00", "s3://b/\xff", "s3://b/\n", "https://b/k", "s3://-b/k",
		"s3://B_c.d/ü", "s3://" + strings.Repeat("b", 300), "s3://b/" + strings.Repeat("k", 1025), "s3://b/" + strings.Repeat("k", 5000)} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, url string) {
		bucket, key, err := parseURL(url)
		if err != nil {
			checkLine(t, "the error", oneLine(err.Error()))
			return
		}
		if got := scheme + bucket + "/" + key; got != url && got != url+"/" {
			t.Errorf("%q became %q", url, got)
		}
		if bucket == "" || len(bucket) > 255 || strings.ContainsAny(bucket, "/\\@:?#% \n") || len(key) > tree.MaxKey || !utf8.ValidString(key) {
			t.Errorf("%q was taken: bucket %q, key %q", url, bucket, key)
		}
	})
}

// Metadata that is taken can stand in headers, and says what was given.
func FuzzMetadata(f *testing.F) {
	for _, seed := range [][2]string{{"a=b", "c=d"}, {"a", "b"}, {"=", "="}, {"A=1", "a=2"}, {"a=x\ny", "b=\x7f"}, {"a=\xff", "b=ü"}, {"a b=c", "k=v=w"},
		{"a=", "b=" + strings.Repeat("v", 3000)}, {"x-amz=1", "a.b_c=\t"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		pairs := []string{one, two}
		var p upload.Properties
		for _, pair := range pairs {
			if err := addMetadata(&p, pair); err != nil {
				return
			}
		}
		if err := p.Check(); err != nil {
			return
		}
		if len(p.Metadata) != len(pairs) {
			t.Errorf("%q became %d entries", pairs, len(p.Metadata))
		}
		for name, value := range p.Metadata {
			if name == "" || name != strings.ToLower(name) || strings.ContainsAny(name+value, "\r\n\x00") || !utf8.ValidString(value) || len(name)+len(value) > 2048 {
				t.Errorf("%q became %q=%q", pairs, name, value)
			}
		}
	})
}

// A tag that is taken says what was given, and can stand in a header.
func FuzzTagging(f *testing.F) {
	for _, seed := range [][2]string{{"a=b", "c=d"}, {"a", "b="}, {"=", "=v"}, {"a=1", "a=2"}, {"a=x\ny", "b=\x7f"}, {"a=\xff", "b=ü"}, {"a&b=c", "k=v=w&x"},
		{"aws:a=b", "a=" + strings.Repeat("v", 300)}, {"a+b=c d", "%41=%"}} {
		f.Add(seed[0], seed[1])
	}
	f.Fuzz(func(t *testing.T, one, two string) {
		pairs := []string{one, two}
		var p upload.Properties
		for _, pair := range pairs {
			if err := addTag(&p, pair); err != nil {
				return
			}
		}
		if err := p.Check(); err != nil {
			return
		}
		if len(p.Tags) != len(pairs) {
			t.Errorf("%q became %d tags", pairs, len(p.Tags))
		}
		for key, value := range p.Tags {
			if pair := key + "=" + value; pair != one && pair != two {
				t.Errorf("%q became %q", pairs, pair)
			}
			if key == "" || strings.HasPrefix(key, "aws:") || !utf8.ValidString(key+value) || utf8.RuneCountInString(key) > 128 || utf8.RuneCountInString(value) > 256 {
				t.Errorf("%q was taken: %q=%q", pairs, key, value)
			}
		}
	})
}

func FuzzOneLine(f *testing.F) {
	for _, seed := range hostile[:len(hostile)-1] {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		line := oneLine(s)
		if !isPlain(line) {
			t.Errorf("%q became %q", s, line)
		}
		if oneLine(line) != line {
			t.Errorf("%q is changed again", line)
		}
		if word := shellWord(s); !isPlain(word) {
			t.Errorf("%q is typed as %q", s, word)
		}
	})
}
