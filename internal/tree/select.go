package tree

import (
	"errors"
	"regexp"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
)

// Patterns match paths below the folder that is walked, or keys below a prefix. In a
// pattern, * is any characters and ? is one, slashes among them, and all else is
// itself; it matches the whole path. So it is with s5cmd.
type Patterns []pattern

type pattern struct {
	whole *regexp.Regexp
	start string // what a path has to begin with: all up to the first wildcard
	exact bool   // there is no wildcard
	open  bool   // it ends in *: what matches, matches with anything behind it too
}

// ParsePatterns reads patterns. The error says what is wrong with one.
func ParsePatterns(texts []string) (Patterns, error) {
	var all Patterns
	for _, text := range texts {
		switch {
		case text == "":
			return nil, errors.New("is empty")
		case strings.HasPrefix(text, "/"), strings.HasPrefix(text, "./"):
			return nil, errors.New("matches nothing: paths are taken below the folder, and begin with neither / nor ./")
		}
		expression := strings.NewReplacer(`\*`, `.*`, `\?`, `.`).Replace(regexp.QuoteMeta(text))
		p := pattern{whole: regexp.MustCompile(`(?s)^` + expression + `$`), start: text, exact: true, open: strings.HasSuffix(text, "*")}
		if i := strings.IndexAny(text, "*?"); i >= 0 {
			p.start, p.exact = text[:i], false
		}
		all = append(all, p)
	}
	return all, nil
}

// Match says whether one of the patterns matches.
func (ps Patterns) Match(rel string) bool {
	for _, p := range ps {
		if strings.HasPrefix(rel, p.start) && p.whole.MatchString(rel) {
			return true
		}
	}
	return false
}

// mayMatchBelow says whether one of them may match something in a folder, whose path
// ends in a slash.
func (ps Patterns) mayMatchBelow(dir string) bool {
	for _, p := range ps {
		if strings.HasPrefix(p.start, dir) || !p.exact && strings.HasPrefix(dir, p.start) {
			return true
		}
	}
	return false
}

// matchAllBelow says whether one of them matches all that is in a folder.
func (ps Patterns) matchAllBelow(dir string) bool {
	for _, p := range ps {
		if p.open && p.whole.MatchString(dir) {
			return true
		}
	}
	return false
}

// A Selection says which files of a walk are wanted. The zero value wants all.
type Selection struct {
	Include Patterns // if there are some: only what they match
	Exclude Patterns // never what they match, whatever Include says
	Glob    string   // for doublestar, beside both; "": all
}

// Takes says whether a file is wanted, by its path below the folder.
func (s Selection) Takes(rel string) bool {
	return (len(s.Include) == 0 || s.Include.Match(rel)) && !s.Exclude.Match(rel) &&
		(s.Glob == "" || doublestar.MatchUnvalidated(s.Glob, rel))
}

// Enters says whether something in a folder may be wanted, by the folder's path,
// which ends in a slash.
func (s Selection) Enters(dir string) bool {
	return (len(s.Include) == 0 || s.Include.mayMatchBelow(dir)) && !s.Exclude.matchAllBelow(dir) &&
		(s.Glob == "" || globEnters(s.Glob, strings.TrimSuffix(dir, "/")))
}

// globEnters compares the elements of a folder's path with those of a pattern, up to
// the first that stands for any number of folders.
func globEnters(glob, dir string) bool {
	if strings.ContainsAny(glob, `{\`) {
		return true // elements of it may not be what stands between two slashes
	}
	elements, wanted := strings.Split(dir, "/"), strings.Split(glob, "/")
	for i, element := range elements {
		switch {
		case i < len(wanted) && strings.Contains(wanted[i], "**"):
			return true
		case i >= len(wanted)-1 || !doublestar.MatchUnvalidated(wanted[i], element):
			return false
		}
	}
	return true
}

// Glob takes a pattern of files apart: into the folder in front of its first
// wildcard, and the pattern of what is below it. ok is false if it is no pattern.
func Glob(text string) (root, glob string, ok bool) {
	if !strings.ContainsAny(text, "*?[{") || !doublestar.ValidatePattern(text) {
		return "", "", false
	}
	root, glob = doublestar.SplitPattern(text)
	return root, glob, true
}
