package contenttype

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"encoding/binary"
	"go/parser"
	"go/token"
	"mime"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf16"
)

func zipped(names ...string) []byte {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for i := 0; i+1 < len(names); i += 2 {
		f, _ := w.CreateHeader(&zip.FileHeader{Name: names[i], Method: zip.Store})
		f.Write([]byte(names[i+1]))
	}
	w.Close()
	return b.Bytes()
}

func gzipped(s string) []byte {
	var b bytes.Buffer
	w := gzip.NewWriter(&b)
	w.Write([]byte(s))
	w.Close()
	return b.Bytes()
}

func tarred(name, content string) []byte {
	var b bytes.Buffer
	w := tar.NewWriter(&b)
	w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(content))})
	w.Write([]byte(content))
	w.Close()
	return b.Bytes()
}

// packets is an MPEG transport stream, each packet after lead bytes.
func packets(lead int) []byte {
	var b []byte
	for range 4 {
		b = append(b, make([]byte, lead)...)
		p := make([]byte, 188)
		p[0] = 'G'
		b = append(b, p...)
	}
	return b
}

func ftyp(brand string) []byte {
	b := binary.BigEndian.AppendUint32(nil, 24)
	b = append(b, "ftyp"+brand+"\x00\x00\x02\x00"+brand+"mp41"...)
	return append(b, "\x00\x00\x00\x08free\x00\x00\x00\x08mdat"...)
}

func ogg(codec string) []byte {
	b := append([]byte("OggS\x00\x02"), make([]byte, 20)...)
	b = append(b, 1, byte(len(codec)))
	return append(b, codec...)
}

func matroska(doc string, codecs ...string) []byte {
	b := []byte("\x1a\x45\xdf\xa3\x93\x42\x82\x84" + doc + "\x18\x53\x80\x67\x16\x54\xae\x6b")
	for _, c := range codecs {
		b = append(b, 0x86, 0x80|byte(len(c)))
		b = append(b, c...)
	}
	return b
}

func inUTF16(order binary.AppendByteOrder, s string) []byte {
	b := order.AppendUint16(nil, 0xfeff)
	for _, u := range utf16.Encode([]rune(s)) {
		b = order.AppendUint16(b, u)
	}
	return b
}

func TestDetect(t *testing.T) {
	long := strings.Repeat("a", SampleSize-1)
	for _, tt := range []struct {
		name, sample, want string
	}{
		{"empty.bin", "", "application/octet-stream"},
		{"empty.css", "", "text/css; charset=utf-8"},
		{"empty.json", "", "application/json"},
		{"empty.apk", "", "application/vnd.android.package-archive"},
		{"empty", "", "application/octet-stream"},
		{"empty.nonesuch", "", "application/octet-stream"},
		{"style.css", "body { color: red }", "text/css; charset=utf-8"},
		{"STYLE.CSS", "body { color: red }", "text/css; charset=utf-8"},
		{"app.js", "let a = 1", "text/javascript; charset=utf-8"},
		{"shebang.js", "#!/usr/bin/env node\n", "text/javascript; charset=utf-8"},
		{"mod.mjs", "export const a = 1", "text/javascript; charset=utf-8"},
		{"mod.cjs", "module.exports = 1", "text/javascript; charset=utf-8"},
		{"logo.svg", `<svg xmlns="http://www.w3.org/2000/svg"/>`, "image/svg+xml"},
		{"logo2.svg", `<?xml version="1.0"?><!-- grün --><svg/>`, "image/svg+xml"},
		{"data.json", `{"a": 1}`, "application/json"},
		{"num.json", `1`, "application/json"},
		{"app.js.map", `{"version":3}`, "application/json"},
		{"app.css.map", ")]}'\n{\"version\":3}", "application/json"},
		{"level.map", "\x89PNG\r\n\x1a\n", "image/png"},
		{"heights.map", "some text", "text/plain; charset=utf-8"},
		{"site.webmanifest", `{"name":"x"}`, "application/manifest+json"},
		{"x.ndjson", "{\"a\":1}\n{\"a\":2}\n", "application/x-ndjson"},
		{"x.jsonl", "{\"a\":1}\n", "application/x-ndjson"},
		{"m.wasm", "\x00asm\x01\x00\x00\x00", "application/wasm"},
		{"index.html", "<!DOCTYPE html><p>hi", "text/html; charset=utf-8"},
		{"frag.html", "<p>hi</p>", "text/html; charset=utf-8"},
		{"old.html", `<html><meta http-equiv="Content-Type" content="text/html; charset=iso-8859-1">`, "text/html"},
		{"new.html", `<html><meta charset="UTF-8">`, "text/html; charset=utf-8"},
		{"page", "<!DOCTYPE html><html><body>hi", "text/html; charset=utf-8"},
		{"a.ts", "export const a: number = 1", "text/plain; charset=utf-8"},
		{"short.ts", "G", "text/plain; charset=utf-8"},
		{"video.ts", string(packets(0)), "video/mp2t"},
		{"video.mts", string(packets(4)), "video/mp2t"},
		{"video.m2ts", string(packets(4)), "video/mp2t"},
		{"mod.mts", "export {}", "text/plain; charset=utf-8"},
		{"a.tsx", "<A/>", "text/plain; charset=utf-8"},
		{"README.md", "# Hi", "text/markdown; charset=utf-8"},
		{"a.yaml", "a: 1", "application/yaml"},
		{"a.toml", "a = 1", "application/toml"},
		{"a.csv", "a,b\n1,2\n", "text/csv; charset=utf-8"},
		{"a.tsv", "a\tb\n1\t2\n", "text/tab-separated-values; charset=utf-8"},
		{"a.txt", "grün", "text/plain; charset=utf-8"},
		{"bom.txt", "\xef\xbb\xbfhi", "text/plain; charset=utf-8"},
		{"utf16.txt", string(inUTF16(binary.LittleEndian, "grün")), "text/plain; charset=utf-16le"},
		{"utf16be.txt", string(inUTF16(binary.BigEndian, "grün")), "text/plain; charset=utf-16be"},
		{"utf16", string(inUTF16(binary.LittleEndian, "grün")), "text/plain; charset=utf-16le"},
		{"utf32.txt", "\xff\xfe\x00\x00a\x00\x00\x00", "text/plain"},
		{"latin1.txt", "gr\xfcn", "text/plain"},
		{"latin1", "gr\xfcn und mehr davon", "text/plain"},
		{"latin1end.txt", "caf\xc3", "text/plain"},
		{"cut1.txt", long + "ü", "text/plain; charset=utf-8"},
		{"cut2.txt", long[1:] + "€", "text/plain; charset=utf-8"},
		{"cut3.txt", long[2:] + "😀", "text/plain; charset=utf-8"},
		{"uncut.txt", long[1:] + "ü", "text/plain; charset=utf-8"},
		{"badend.txt", long + "\xff", "text/plain"},
		{"notcut.txt", long[3:] + "\xfcaaa", "text/plain"},
		{"a.xml", "<?xml version=\"1.0\"?><a/>", "text/xml; charset=utf-8"},
		{"u.xml", "<?xml version=\"1.0\" encoding=\"UTF-8\"?><a/>", "text/xml; charset=utf-8"},
		{"l.xml", "<?xml version=\"1.0\" encoding='ISO-8859-1'?><a/>", "text/xml"},
		{"feed.rss", "<rss/>", "application/rss+xml"},
		{"f.woff2", "wOF2", "font/woff2"},
		{"f.woff", "wOFF", "font/woff"},
		{"f.ttf", "\x00\x01\x00\x00", "font/ttf"},
		{"f.otf", "OTTO", "font/otf"},
		{"a.tar", string(tarred("a", "b")), "application/x-tar"},
		{"tarball", string(tarred("a", "b")), "application/x-tar"},
		{"a.tar.gz", string(gzipped("a")), "application/gzip"},
		{"a.tgz", string(gzipped("a")), "application/gzip"},
		{"a.json.gz", string(gzipped("{}")), "application/gzip"},
		{"a.svgz", string(gzipped("<svg/>")), "application/gzip"},
		{"backup", string(gzipped("a")), "application/gzip"},
		{"a.tar.zst", "\x28\xb5\x2f\xfd", "application/zstd"},
		{"a.tar.xz", "\xfd7zXZ\x00", "application/x-xz"},
		{"a.tar.bz2", "BZh9", "application/x-bzip2"},
		{"a.br", "\x0b\x02\x80", "application/octet-stream"},
		{"a.7z", "7z\xbc\xaf\x27\x1c", "application/x-7z-compressed"},
		{"a.deb", "!<arch>\ndebian-binary", "application/vnd.debian.binary-package"},
		{"a.rpm", "\xed\xab\xee\xdb", "application/x-rpm"},
		{"a.apk", string(zipped("AndroidManifest.xml", "x")), "application/vnd.android.package-archive"},
		{"alpine.apk", string(gzipped("a")), "application/gzip"},
		{"a.jar", string(zipped("META-INF/MANIFEST.MF", "x")), "application/java-archive"},
		{"a.war", string(zipped("WEB-INF/web.xml", "x")), "application/java-archive"},
		{"a.zip", string(zipped("a", "x")), "application/zip"},
		{"archive", string(zipped("a", "x")), "application/zip"},
		{"a.whl", string(zipped("a/__init__.py", "x")), "application/zip"},
		{"a.docx", string(zipped("word/document.xml", "x")), "application/vnd.openxmlformats-officedocument.wordprocessingml.document"},
		{"a.xlsx", string(zipped("xl/workbook.xml", "x")), "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"},
		{"a.epub", string(zipped("mimetype", "application/epub+zip")), "application/epub+zip"},
		{"a.parquet", "PAR1", "application/vnd.apache.parquet"},
		{"a.avro", "Obj\x01", "application/octet-stream"},
		{"a.orc", "ORC", "application/octet-stream"},
		{"a.sqlite", "SQLite format 3\x00", "application/vnd.sqlite3"},
		{"a.arrow", "ARROW1\x00\x00", "application/vnd.apache.arrow.file"},
		{"a.h5", "\x89HDF\r\n\x1a\n", "application/x-hdf5"},
		{"a.npy", "\x93NUMPY", "application/octet-stream"},
		{"a.safetensors", "\x10\x00\x00\x00\x00\x00\x00\x00{}", "application/octet-stream"},
		{"a.gguf", "GGUF", "application/octet-stream"},
		{"a.avif", string(ftyp("avif")), "image/avif"},
		{"a.heic", string(ftyp("heic")), "image/heic"},
		{"a.jxl", "\xff\x0a", "image/jxl"},
		{"a.webp", "RIFF\x00\x00\x00\x00WEBPVP8 ", "image/webp"},
		{"a.png", "\x89PNG\r\n\x1a\n", "image/png"},
		{"a.jpg", "\xff\xd8\xff\xe0", "image/jpeg"},
		{"photo", "\xff\xd8\xff\xe0\x00\x10JFIF\x00", "image/jpeg"},
		{"a.ico", "\x00\x00\x01\x00", "image/x-icon"},
		{"a.mp4", string(ftyp("isom")), "video/mp4"},
		{"sound.mp4", string(ftyp("M4A ")), "audio/mp4"},
		{"dash.m4s", string(ftyp("msdh")), "video/iso.segment"},
		{"a.m4a", string(ftyp("M4A ")), "audio/mp4"},
		{"a.mov", string(ftyp("qt  ")), "video/quicktime"},
		{"a.m3u8", "#EXTM3U\n", "application/vnd.apple.mpegurl"},
		{"a.mpd", "<?xml version=\"1.0\"?><MPD/>", "application/dash+xml"},
		{"a.webm", string(matroska("webm", "V_VP9", "A_OPUS")), "video/webm"},
		{"sound.webm", string(matroska("webm", "A_OPUS")), "audio/webm"},
		{"a.mkv", string(matroska("matroska", "V_AV1")), "video/matroska"},
		{"a.vtt", "WEBVTT\n", "text/vtt; charset=utf-8"},
		{"a.mp3", "ID3\x04", "audio/mpeg"},
		{"a.flac", "fLaC", "audio/flac"},
		{"a.ogg", string(ogg("\x01vorbis")), "audio/ogg"},
		{"film.ogg", string(ogg("\x80theora")), "video/ogg"},
		{"a.opus", string(ogg("OpusHead")), "audio/ogg"},
		{"a.wav", "RIFF\x00\x00\x00\x00WAVEfmt ", "audio/wav"},
		{"a.pdf", "%PDF-1.7", "application/pdf"},
		{"report", "%PDF-1.7", "application/pdf"},
		{"a.py", "#!/usr/bin/env python3\n", "text/x-python; charset=utf-8"},
		{"b.py", "import os\n", "text/x-python; charset=utf-8"},
		{"a.sh", "#!/bin/sh\n", "text/x-shellscript; charset=utf-8"},
		{"script", "#!/bin/sh\necho hi\n", "text/x-shellscript; charset=utf-8"},
		{"a.go", "package a\n", "text/plain; charset=utf-8"},
		{"a.php", "<?php echo 1;", "text/x-php; charset=utf-8"},
		{"a.pem", "-----BEGIN CERTIFICATE-----\n", "application/x-pem-file"},
		{"a.sql", "select 1;", "application/sql"},
		{"a.ics", "BEGIN:VCALENDAR", "text/calendar; charset=utf-8"},
		{"a.geojson", `{"type":"Feature"}`, "application/geo+json"},
		{"a.glb", "glTF\x02\x00\x00\x00", "model/gltf-binary"},
		{"a.iso", "\x00\x00", "application/octet-stream"},
		{"a.img", "\x00\x00", "application/octet-stream"},
		{"a.exe", "MZ", "application/octet-stream"},
		{"a.bin", "\x00\x01\x02\x03", "application/octet-stream"},
		{"picture.bin", "\x89PNG\r\n\x1a\n", "image/png"},
		{"table.dat", "1 2 3\n", "text/plain; charset=utf-8"},
		{"elf", "\x7fELF\x02\x01\x01" + strings.Repeat("\x00", 9) + "\x02\x00\x3e\x00", "application/x-executable"},
		{"Dockerfile", "FROM scratch\n", "text/plain; charset=utf-8"},
		{"LICENSE", "MIT License\n", "text/plain; charset=utf-8"},
		{"css", "body {}", "text/plain; charset=utf-8"},
		{".gitignore", "*.o\n", "text/plain; charset=utf-8"},
		{"noise.xyz", "\x00\x01\x02\x03\xff\xfe", "application/octet-stream"},
		{"dir.css/file", "\x00\x01\x02\x03\xff\xfe", "application/octet-stream"},
		{`dir.css\file`, "\x00\x01\x02\x03\xff\xfe", "application/octet-stream"},
		{"dot.", "\x00\x01", "application/octet-stream"},
	} {
		if got := Detect("/some.dir/"+tt.name, "", []byte(tt.sample)); got != tt.want {
			t.Errorf("%s: %s, want %s", tt.name, got, tt.want)
		}
	}
}

func TestDetectByKey(t *testing.T) {
	for _, tt := range []struct{ name, key, sample, want string }{
		{"-", "site/app.css", "a {}", "text/css; charset=utf-8"},
		{"", "site/app.css", "", "text/css; charset=utf-8"},
		{"/tmp/tmp.Xy12", "site/app.css", "a {}", "text/css; charset=utf-8"},
		{"app.js", "site/app.css", "a {}", "text/javascript; charset=utf-8"},
		{"/dev/stdin", "backup/db", "\x28\xb5\x2f\xfd", "application/zstd"},
		{"-", "film.ts", string(packets(0)), "video/mp2t"},
	} {
		if got := Detect(tt.name, tt.key, []byte(tt.sample)); got != tt.want {
			t.Errorf("%q as %q: %s, want %s", tt.name, tt.key, got, tt.want)
		}
	}
}

func TestOnlyTheSampleCounts(t *testing.T) {
	data := append(bytes.Repeat([]byte("a"), SampleSize), 0xff)
	if got, want := Detect("a.txt", "", data), "text/plain; charset=utf-8"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestTable(t *testing.T) {
	for ext, typ := range types {
		if ext != strings.ToLower(ext) || strings.Contains(ext, ".") {
			t.Errorf("no file has the extension %q", ext)
		}
		if strings.Count(typ, "/") != 1 || strings.ContainsAny(typ, "; ") || typ != strings.ToLower(typ) {
			t.Errorf("%s: %q is not a plain type", ext, typ)
		}
	}
}

// The package mime asks the machine.
func TestMachineIsNotAsked(t *testing.T) {
	files, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.go") {
			continue
		}
		src, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		f, err := parser.ParseFile(token.NewFileSet(), file, src, parser.ImportsOnly)
		if err != nil {
			t.Fatal(err)
		}
		for _, imp := range f.Imports {
			if path := strings.Trim(imp.Path.Value, `"`); path == "mime" || path == "os" {
				t.Errorf("%s imports %s", file, path)
			}
		}
	}
}

// Whatever a file is called and begins with, its type is a media type that can
// stand in a header, and the same each time.
func FuzzDetect(f *testing.F) {
	for _, seed := range []struct{ name, key, sample string }{
		{"", "", ""}, {"a.txt", "k", "x"}, {"a.html", "b", "<meta charset=latin-1>"}, {"a.ts", "k", strings.Repeat("G"+strings.Repeat("x", 187), 3)},
		{"a", "k.JSON", "{"}, {"a.map", "", ")]}'"}, {"a.bin", "", "\x7fELF"}, {".", "..", "\xff\xfe"}, {"a.\n", "k.\x1b", "\xef\xbb\xbf<?xml encoding='x'?>"},
		{"a.txt", "", strings.Repeat("a", SampleSize-1) + "\xc3\xbc"}, {"a.mp4", "", "\x00\x00\x00\x18ftypM4A "}, {"x.ogg", "", "OggS\x80theora"},
	} {
		f.Add(seed.name, seed.key, []byte(seed.sample))
	}
	f.Fuzz(func(t *testing.T, name, key string, sample []byte) {
		typ := Detect(name, key, sample)
		media, params, err := mime.ParseMediaType(typ)
		if err != nil || strings.Count(media, "/") != 1 {
			t.Errorf("Detect(%q, %q, %q) = %q: %v", name, key, sample, typ, err)
		}
		for param, value := range params {
			if param != "charset" || !strings.HasPrefix(value, "utf-") {
				t.Errorf("Detect(%q, %q, %q) = %q", name, key, sample, typ)
			}
		}
		if again := Detect(name, key, sample); again != typ {
			t.Errorf("Detect(%q, %q, %q) = %q, then %q", name, key, sample, typ, again)
		}
	})
}
