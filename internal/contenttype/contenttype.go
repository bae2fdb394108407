// Package contenttype says what a file is, for its Content-Type.
//
// The extension decides, by a table of its own; the content decides where the
// extension is unknown, and for the few extensions that mean two things. The
// tables of the machine are never asked: a file gets the same type wherever it
// is uploaded from.
//
// Content-Encoding is not guessed: a .gz is an application/gzip.
package contenttype

import (
	"bytes"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/gabriel-vasile/mimetype"
)

// SampleSize is how much of a file's beginning [Detect] looks at.
const SampleSize = 4096

const unknown = "application/octet-stream"

// Detect returns the Content-Type of a file with that name, to be stored under
// that key, that begins with sample: its first SampleSize bytes, or all of it
// if it is shorter. The key's extension counts where the name's is unknown, as
// for a stream, which may have no name at all.
func Detect(name, key string, sample []byte) string {
	sample = sample[:min(len(sample), SampleSize)]
	ext := extension(name)
	typ, ok := types[ext]
	if !ok {
		ext = extension(key)
		typ, ok = types[ext]
	}
	switch {
	case len(sample) == 0 && !ok:
		return unknown
	case len(sample) == 0:
	case !ok:
		typ = byContent(sample)
	default:
		typ = settle(ext, typ, sample)
	}
	if strings.HasPrefix(typ, "text/") {
		if charset := charset(typ, sample); charset != "" {
			typ += "; charset=" + charset
		}
	}
	return typ
}

// extension returns what follows the last dot of a path's last element, in
// lower case.
func extension(path string) string {
	base := path[strings.LastIndexAny(path, `/\`)+1:]
	dot := strings.LastIndexByte(base, '.')
	if dot < 0 {
		return ""
	}
	return strings.ToLower(base[dot+1:])
}

func byContent(sample []byte) string {
	typ, _, _ := strings.Cut(mimetype.Detect(sample).String(), ";")
	return typ
}

// settle decides by content between the meanings that an extension has.
func settle(ext, typ string, sample []byte) string {
	switch ext {
	case "ts", "mts": // TypeScript
		if isTransportStream(sample) {
			return "video/mp2t"
		}
	case "mp4":
		if isAudioMP4(sample) {
			return "audio/mp4"
		}
	case "webm":
		if bytes.Contains(sample, []byte("A_")) && !bytes.Contains(sample, []byte("V_")) {
			return "audio/webm"
		}
	case "ogg":
		for _, codec := range []string{"\x80theora", "\x01video", "BBCD", "OVP80"} {
			if bytes.Contains(sample, []byte(codec)) {
				return "video/ogg"
			}
		}
	case "apk": // Alpine's are archives of another kind than Android's
		if bytes.HasPrefix(sample, []byte{0x1f, 0x8b}) {
			return "application/gzip"
		}
	case "map":
		// A source map may begin with )]}' lest it be run as a script.
		if b := bytes.TrimLeft(sample, "\xef\xbb\xbf \t\r\n"); !bytes.HasPrefix(b, []byte("{")) && !bytes.HasPrefix(b, []byte(")]}")) {
			return byContent(sample)
		}
	case "bin", "dat":
		return byContent(sample)
	}
	return typ
}

// isTransportStream looks for the byte that each packet of 188 bytes begins
// with, or of 192, where a time stamp of 4 comes first.
func isTransportStream(sample []byte) bool {
	for _, packets := range []struct{ from, size int }{{0, 188}, {4, 192}} {
		last := packets.from + 2*packets.size
		if len(sample) > last && sample[packets.from] == 'G' && sample[packets.from+packets.size] == 'G' && sample[last] == 'G' {
			return true
		}
	}
	return false
}

func isAudioMP4(sample []byte) bool {
	if len(sample) < 12 || string(sample[4:8]) != "ftyp" {
		return false
	}
	switch string(sample[8:12]) {
	case "M4A ", "M4B ", "M4P ", "F4A ", "F4B ":
		return true
	}
	return false
}

// declared finds the encoding that HTML and XML may name in themselves. A
// charset beside the type would overrule it.
var declared = regexp.MustCompile(`(?i)(?:<\?xml[^>]*encoding|<meta[^>]*charset)\s*=\s*["']?([a-z0-9_.:-]+)`)

// charset returns the encoding that the sample proves, or "".
func charset(typ string, sample []byte) string {
	switch {
	case bytes.HasPrefix(sample, []byte{0xff, 0xfe, 0, 0}), bytes.HasPrefix(sample, []byte{0, 0, 0xfe, 0xff}):
		return "" // UTF-32, which browsers do not speak
	case bytes.HasPrefix(sample, []byte{0xff, 0xfe}):
		return "utf-16le"
	case bytes.HasPrefix(sample, []byte{0xfe, 0xff}):
		return "utf-16be"
	case !utf8.Valid(uncut(sample)):
		return ""
	}
	if typ == "text/html" || typ == "text/xml" {
		if m := declared.FindSubmatch(sample); m != nil && !strings.EqualFold(string(m[1]), "utf-8") {
			return ""
		}
	}
	return "utf-8"
}

// uncut takes away the character that the end of a full sample cut through.
func uncut(sample []byte) []byte {
	if len(sample) < SampleSize {
		return sample
	}
	for i := 1; i < utf8.UTFMax; i++ {
		if tail := sample[len(sample)-i:]; utf8.RuneStart(tail[0]) {
			if !utf8.FullRune(tail) {
				return sample[:len(sample)-i]
			}
			break
		}
	}
	return sample
}
