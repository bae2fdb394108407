package main

import "s3up/internal/tree"

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
