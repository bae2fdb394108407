package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"

	"s3up/internal/smallfile"
	"s3up/internal/upload"
)

// A rule gives one header, or one key of the metadata, to the objects whose keys
// match a pattern.
type rule struct {
	pattern string // for doublestar.Match with the whole key
	header  *header
	value   string // of the header; "" takes away what was given before
	key     string // of the metadata, if header is nil
}

// ruleText takes PATTERN:NAME=VALUE apart at the first colon that a name and an
// equals sign follow.
var ruleText = regexp.MustCompile(`^(.+?):([a-z-]+)=(.*)$`)

// parseRule reads a rule. A pattern that begins with a slash is one of the whole
// key, any other one of its last elements: *.html matches site/index.html.
func parseRule(text string) (rule, error) {
	if !isLine(text) {
		return rule{}, errors.New("must be one line without control characters")
	}
	m := ruleText.FindStringSubmatch(text)
	if m == nil {
		return rule{}, errors.New("must be PATTERN:NAME=VALUE, such as '*.html:cache-control=no-cache'")
	}
	r := rule{pattern: "**/" + m[1], value: m[3]}
	if whole, ok := strings.CutPrefix(m[1], "/"); ok {
		r.pattern = whole
	}
	if !doublestar.ValidatePattern(r.pattern) {
		return r, fmt.Errorf("%q is no pattern: see whether its brackets are closed", m[1])
	}
	if m[2] == "metadata" {
		var err error
		r.key, r.value, err = metadatum(m[3])
		return r, err
	}
	i := slices.IndexFunc(headers, func(h header) bool { return h.name == m[2] })
	if i < 0 {
		return r, fmt.Errorf("there is no rule for %s, but for metadata and %s", m[2], headerNames())
	}
	r.header = &headers[i]
	if r.value = strings.TrimSpace(r.value); r.value == "" {
		return r, nil
	}
	return r, r.header.set(new(upload.Properties), r.value)
}

func headerNames() string {
	var names []string
	for _, h := range headers {
		names = append(names, h.name)
	}
	return strings.Join(names, ", ")
}

// apply gives a header to the object of a key, if the rule is for it.
func (r rule) apply(p *upload.Properties, key string) {
	switch {
	case !doublestar.MatchUnvalidated(r.pattern, key):
	case r.header == nil:
		p.Metadata = maps.Clone(p.Metadata)
		if p.Metadata == nil {
			p.Metadata = make(map[string]string)
		}
		if p.Metadata[r.key] = r.value; r.value == "" {
			delete(p.Metadata, r.key)
		}
	default:
		r.header.set(p, r.value) // it was tried when the rule was read
	}
}

// rules reads --attr-file and --attr, in this order: of two rules for one header
// the last holds, and the command line is nearer to whoever typed it.
func (v *values) rules() []rule {
	var all []rule
	for _, name := range v.c.StringSlice("attr-file") {
		data, err := smallfile.Read(name)
		if err != nil {
			v.fail("--attr-file %s: %s", quoted(name), rootCause(err))
			return nil
		}
		rules, err := readRules(bytes.NewReader(data))
		if err != nil {
			v.fail("--attr-file %s: %w", quoted(name), err)
			return nil
		}
		all = append(all, rules...)
	}
	for _, text := range v.c.StringSlice("attr") {
		r, err := parseRule(text)
		if err != nil {
			v.fail("--attr %s: %w", quoted(clip(text)), err)
			return nil
		}
		all = append(all, r)
	}
	return all
}

// readRules reads a rule from each line; empty ones and those that begin with #
// are none.
func readRules(in io.Reader) ([]rule, error) {
	var rules []rule
	lines := bufio.NewScanner(in)
	for n := 1; lines.Scan(); n++ {
		text := strings.TrimSpace(lines.Text())
		if text == "" || strings.HasPrefix(text, "#") {
			continue
		}
		r, err := parseRule(text)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		rules = append(rules, r)
	}
	return rules, lines.Err()
}

// defaultType is what S3 makes of an object without a type (S3-FACTS §12). It is
// sent, so that all stores do.
const defaultType = "binary/octet-stream"

// propertiesOf returns what the object of a key is to carry. The error is one of
// usage.
func (o *cpOptions) propertiesOf(key string) (upload.Properties, error) {
	p := o.properties
	for _, r := range o.rules {
		r.apply(&p, key)
	}
	if p.ContentType == "" && o.noGuess {
		p.ContentType = defaultType
	}
	if err := p.Check(); err != nil {
		return p, usagef("", "%s%s/%s: %v", scheme, o.bucket, key, err)
	}
	return p, nil
}
