package main

import (
	"strings"
	"testing"

	"s3up/internal/store"
)

// A tab does not come through: Go and stores sign it each in their own way.
func TestTabsAreRefused(t *testing.T) {
	for _, words := range [][]string{
		{"--metadata", "a=1\t2"}, {"--cache-control", "no-cache,\tno-store"}, {"--content-disposition", "inline;\tfilename=x"},
		{"--website-redirect", "/a\tb"}, {"--attr", "*:cache-control=a\tb"}, {"--content-type", "text/plain;\tcharset=utf-8"},
	} {
		if _, err := options(t, nil, words...); err == nil || !strings.Contains(err.Error(), "without control characters") {
			t.Errorf("%q: %v", words, err)
		}
	}
}

// What is around a value is no part of it, as HTTP has it: a store that shows the
// value without it has not changed anything.
func TestValuesAreTrimmed(t *testing.T) {
	o, err := options(t, nil, "--cache-control", " no-cache ", "--content-language", "de ", "--attr", "*:content-encoding= gzip")
	if err != nil {
		t.Fatal(err)
	}
	p, err := o.propertiesOf("k")
	if err != nil || p.CacheControl != "no-cache" || p.ContentLanguage != "de" || p.ContentEncoding != "gzip" {
		t.Errorf("got %+v, %v", p, err)
	}
	if _, err := options(t, nil, "--cache-control", " "); err == nil {
		t.Error("a value of nothing but space is taken")
	}
}

// On Amazon S3 a class that it does not know is refused before anything is sent;
// other stores may have it.
func TestStorageClasses(t *testing.T) {
	for class, want := range map[string]string{
		"FOO":         "--storage-class FOO: there is no such class; there are STANDARD, ",
		"glacier":     "--storage-class glacier: there is no such class; did you mean GLACIER?",
		"standard-ia": "--storage-class standard-ia: there is no such class; did you mean STANDARD_IA?",
		"GLACIER_IR":  "",
		"":            "",
	} {
		var words []string
		if class != "" {
			words = []string{"--storage-class", class}
		}
		o, err := options(t, nil, words...)
		if err != nil {
			t.Fatal(err)
		}
		got := ""
		if err, ok := o.suits(&store.Store{AWS: true}).(*usageError); ok {
			got = sentence(err.Msg, err.Hint)
		}
		if (got == "") != (want == "") || !strings.HasPrefix(got, want) {
			t.Errorf("%q: %q, want %q", class, got, want)
		}
		if err := o.suits(&store.Store{Endpoint: "http://ceph"}); err != nil {
			t.Errorf("%q at another store: %v", class, err)
		}
	}
}
