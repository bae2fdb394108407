package main

import (
	"strings"

	"s3up/internal/tree"
)

// A target is a key, or what keys begin with.
type target struct{ bucket, key string }

// String is the URL, of a key that a store made up no more than fits a line.
func (t target) String() string {
	key := t.key
	if len(key) > tree.MaxKey {
		key = clip(key)
	}
	return scheme + t.bucket + "/" + key
}

// wildcard splits a URL that was maybe meant to be a pattern, which none is: into the
// prefix in front of its first wildcard, and the pattern of what is below that.
func (t target) wildcard() (prefix target, pattern string, ok bool) {
	first := strings.IndexAny(t.key, "*?")
	if first < 0 {
		return t, "", false
	}
	folder := strings.LastIndexByte(t.key[:first], '/') + 1
	return target{t.bucket, t.key[:folder]}, t.key[folder:], true
}

// targets takes URLs apart; "-" stands for those on stdin, one a line.
func (p *program) targets(words []string, usage string) ([]target, error) {
	if len(words) == 0 {
		return nil, usagef(usage, "no URL of a bucket")
	}
	var all []target
	for _, word := range words {
		urls := []string{word}
		if word == "-" {
			var err error
			if urls, err = readLines(p.stdin); err != nil {
				return nil, usagef("", "read the URLs on stdin: %s", rootCause(err))
			}
		}
		for _, url := range urls {
			if !isURL(url) {
				return nil, usagef(usage, "%q is no URL of a store", clip(url))
			}
			bucket, key, err := parseURL(url)
			if err != nil {
				return nil, err
			}
			all = append(all, target{bucket, key})
		}
	}
	if len(all) == 0 {
		return nil, usagef(usage, "no URL on stdin")
	}
	return all, nil
}
