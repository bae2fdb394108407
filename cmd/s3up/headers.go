package main

import (
	"errors"
	"fmt"
	"mime"
	"strings"
	"time"
	"unicode/utf8"

	"s3up/internal/upload"
)

// A header is a property of an object whose value is a text: there is a flag of
// its name, and a rule can give it. set refuses what S3 or HTTP has no use for.
type header struct {
	name string
	set  func(p *upload.Properties, value string) error
}

var headers = []header{
	{"content-type", func(p *upload.Properties, v string) error {
		p.ContentType = v
		if t, _, err := mime.ParseMediaType(v); err != nil || !strings.Contains(t, "/") {
			return errors.New("must be a media type, such as text/plain or text/html; charset=utf-8")
		}
		return isValue(v)
	}},
	{"content-encoding", func(p *upload.Properties, v string) error {
		p.ContentEncoding = v
		for coding := range strings.SplitSeq(v, ",") {
			switch coding = strings.TrimSpace(coding); {
			case coding == "" || !isToken(coding):
				return errors.New("must be a coding, such as gzip, br or zstd")
			case coding == "aws-chunked":
				return errors.New("aws-chunked is a way of sending, and no object has it")
			}
		}
		return nil
	}},
	{"content-disposition", func(p *upload.Properties, v string) error {
		p.ContentDisposition = v
		if _, _, err := mime.ParseMediaType(v); err != nil && isASCII(v) {
			return errors.New(`must be as in inline or attachment; filename="report.pdf"`)
		}
		if !isASCII(v) {
			return errors.New("must be ASCII: a name with other letters is written as filename*=UTF-8''gr%C3%BCn.pdf")
		}
		return isValue(v)
	}},
	{"content-language", func(p *upload.Properties, v string) error {
		p.ContentLanguage = v
		for tag := range strings.SplitSeq(v, ",") {
			if tag = strings.TrimSpace(tag); tag == "" || !isToken(tag) || strings.ContainsAny(tag, "_.") {
				return errors.New("must be a language, such as de or en-US")
			}
		}
		return nil
	}},
	{"cache-control", func(p *upload.Properties, v string) error {
		p.CacheControl = v
		return isValue(v)
	}},
	{"expires", func(p *upload.Properties, v string) (err error) {
		p.Expires, err = parseTime(v) // "" is the zero time, and no time
		return err
	}},
	{"website-redirect", func(p *upload.Properties, v string) error {
		p.WebsiteRedirect = v
		if !strings.HasPrefix(v, "/") && !strings.HasPrefix(v, "http://") && !strings.HasPrefix(v, "https://") {
			return errors.New("must be a path that begins with a slash, or a URL that begins with http:// or https://")
		}
		return isValue(v)
	}},
}

// headers reads the flags of that name, and those of metadata.
func (v *values) headers(p *upload.Properties) {
	for _, h := range headers {
		if !v.c.IsSet(h.name) {
			continue
		}
		value := strings.TrimSpace(v.c.String(h.name)) // HTTP does not keep what is around it
		if value == "" {
			v.refuse(h.name, "must be a value")
		} else if err := h.set(p, value); err != nil {
			v.refuse(h.name, err.Error())
		}
	}
	for _, pair := range v.c.StringSlice("metadata") {
		if err := addMetadata(p, pair); err != nil {
			v.fail("--metadata %s: %w", quoted(clip(pair)), err)
		}
	}
}

// addMetadata adds KEY=VALUE, once for each key.
func addMetadata(p *upload.Properties, pair string) error {
	key, value, err := metadatum(pair)
	if err != nil {
		return err
	}
	if _, twice := p.Metadata[key]; twice {
		return errors.New("the key is given twice")
	}
	if p.Metadata == nil {
		p.Metadata = make(map[string]string)
	}
	p.Metadata[key] = value
	return nil
}

// metadatum takes KEY=VALUE apart. Keys are lower case: S3 stores them so.
func metadatum(pair string) (key, value string, err error) {
	key, value, ok := strings.Cut(pair, "=")
	key = strings.ToLower(key)
	switch {
	case !ok:
		err = errors.New("must be KEY=VALUE")
	case key == "" || !isToken(key):
		err = errors.New("the key must be letters, digits and hyphens")
	case !isLine(value) || !utf8.ValidString(value):
		err = errors.New("the value must be one line of UTF-8 without control characters")
	}
	return key, value, err
}

// parseTime reads a time of RFC 3339, or the beginning of a day in UTC.
func parseTime(s string) (time.Time, error) {
	for _, layout := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(layout, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("must be a time, such as 2027-01-31T12:00:00Z, or a day, such as 2027-01-31")
}

// isValue says whether a text can be the value of a header.
func isValue(s string) error {
	switch {
	case !isLine(s):
		return errors.New("must be one line without control characters")
	case !isASCII(s):
		return errors.New("must be ASCII")
	}
	return nil
}

func isASCII(s string) bool { return !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7f }) }

// isLine refuses tabs too: they do not come through as they are, and the signature
// is then that of something else.
func isLine(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}
