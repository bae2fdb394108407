package tree

import (
	"path"
	"strings"
	"unicode/utf8"
)

// MaxKey is the longest key that S3 takes, in bytes.
const MaxKey = 1024

// A NameError says why a file's name makes no key.
type NameError struct{ Why string }

func (e *NameError) Error() string { return e.Why }

// BadKey says why S3 cannot have an object under this key; "" if it can.
func BadKey(key string) string {
	switch {
	case len(key) > MaxKey:
		return "a key has at most 1024 bytes"
	case !utf8.ValidString(key):
		return "a key is UTF-8"
	case strings.ContainsRune(key, 0):
		return "a key has no zero byte"
	}
	return ""
}

// Below returns a path, with slashes, as it is below a folder: it may be relative to
// it, or absolute and begin with base, which then is that folder's absolute path.
// ok is false if it is the folder itself, or leads out of it: a key never stands
// above its prefix.
func Below(base, name string) (rel string, ok bool) {
	if path.IsAbs(name) {
		base = strings.TrimSuffix(path.Clean(base), "/") + "/"
		if name, ok = strings.CutPrefix(path.Clean(name), base); !ok {
			return "", false
		}
	}
	for element := range strings.SplitSeq(name, "/") {
		if element == ".." {
			return "", false // also where it leads back in: through a link it may lead elsewhere
		}
	}
	rel = path.Clean(name)
	return rel, rel != "."
}
