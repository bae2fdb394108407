package contenttype

import (
	"bytes"
	"mime"
	"strings"
	"testing"
)

// Whatever a file is called and begins with, its type is a media type that can
// stand in a header, and the same each time.
func FuzzDetect(f *testing.F) {
	for _, seed := range []struct{ name, key, sample string }{
		{"", "", ""}, {"a.html", "b", "<meta charset=latin-1>"}, {"a.ts", "k", strings.Repeat("G"+strings.Repeat("x", 187), 3)}, {"a", "k.JSON", "{"},
		{"a.map", "", ")]}'"}, {"a.bin", "", "\x7fELF"}, {".", "..", "\xff\xfe"}, {"a.\n", "k.\x1b", "\xef\xbb\xbf<?xml encoding='x'?>"},
		{"a.txt", "", strings.Repeat("a", SampleSize-1) + "\xc3\xbc"}, {"a.mp4", "", "\x00\x00\x00\x18ftypM4A "}, {"x.ogg", "", "OggS\x80theora"},
	} {
		f.Add(seed.name, seed.key, []byte(seed.sample))
	}
	f.Fuzz(func(t *testing.T, name, key string, sample []byte) {
		before := bytes.Clone(sample)
		typ := Detect(name, key, sample)
		media, params, err := mime.ParseMediaType(typ)
		if err != nil || !strings.Contains(media, "/") {
			t.Errorf("Detect(%q, %q, %q) = %q: %v", name, key, sample, typ, err)
		}
		for param, value := range params {
			if param != "charset" || !strings.HasPrefix(value, "utf-") {
				t.Errorf("Detect(%q, %q, %q) = %q", name, key, sample, typ)
			}
		}
		if again := Detect(name, key, sample); again != typ || !bytes.Equal(sample, before) {
			t.Errorf("Detect(%q, %q, %q) = %q, then %q", name, key, sample, typ, again)
		}
	})
}
