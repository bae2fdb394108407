package main

import (
	"cmp"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

// A usageError is a command line that makes no sense. Nothing was sent.
type usageError struct {
	Msg  string
	Hint string // what to type; may be empty
}

func (e *usageError) Error() string { return e.Msg }

func usagef(hint, format string, args ...any) *usageError {
	return &usageError{Msg: fmt.Sprintf(format, args...), Hint: hint}
}

// A commandLine is a command line taken apart. Flags may stand anywhere in it;
// "--" ends them.
type commandLine struct {
	verb          string   // "" if the first word is no command
	flags         []string // as they were typed, each followed by its value
	args          []string // the other words
	help, version bool
}

// ordered returns the words in the order that the cli package wants: it stops to
// look for flags at the first word that is none.
func (l commandLine) ordered() []string {
	words := append([]string{"s3up", l.verb}, l.flags...)
	return append(append(words, "--"), l.args...)
}

func parseLine(words []string, all []command) (commandLine, error) {
	var l commandLine
	var names []string // of the flags
	takes := takesValue(all...)
	for i := 0; i < len(words); i++ {
		word := words[i]
		if word == "--" {
			l.args = append(l.args, words[i+1:]...)
			break
		}
		if word == "-" || !strings.HasPrefix(word, "-") {
			if l.verb == "" && len(l.args) == 0 && (word == "help" || find(all, word) != nil) {
				l.verb = word
			} else {
				l.args = append(l.args, word)
			}
			continue
		}
		name, _, hasValue := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-"), "=")
		follows, known := takes[name]
		switch {
		case !known:
			return l, unknownFlag(word, name, keys(takes), cmp.Or(l.verb, "cp"))
		case name == "help" || name == "h":
			l.help = true
		case name == "version":
			l.version = true
		case !follows || hasValue:
			l.flags = append(l.flags, word)
		case i+1 == len(words):
			return l, usagef("", "%s needs a value", word)
		default:
			i++
			l.flags = append(l.flags, word, words[i])
		}
		names = append(names, name)
	}
	if c := find(all, l.verb); c != nil {
		own := takesValue(*c)
		for _, name := range names {
			if _, ok := own[name]; !ok {
				return l, usagef(fmt.Sprintf("s3up %s has it", haveFlag(all, name)), "s3up %s has no flag --%s", l.verb, name)
			}
		}
	}
	return l, nil
}

func unknownFlag(word, name string, known []string, verb string) error {
	hint := "see s3up help " + verb
	if near := nearest(name, known); near != "" {
		hint = "did you mean --" + near + "?"
	}
	flag, _, _ := strings.Cut(word, "=")
	return usagef(hint, "unknown flag %s", flag)
}

// haveFlag names the commands that have a flag.
func haveFlag(all []command, flag string) string {
	var names []string
	for _, c := range all {
		if _, ok := takesValue(c)[flag]; ok {
			names = append(names, c.names[0])
		}
	}
	return strings.Join(names, ", ")
}

// noVerb is the error for a line without a command: with the line to type, if
// it is clear what was meant.
func (p *program) noVerb(l commandLine, all []command) error {
	if slices.ContainsFunc(l.args, isURL) && !looksLikeVerb(l.args) {
		words := append([]string{p.argv[0], "cp"}, p.argv[1:]...)
		return usagef("type: "+againLine(words), "no command")
	}
	var names []string
	for _, c := range all {
		names = append(names, c.names...)
	}
	hint := fmt.Sprintf("there are %s and help", strings.Join(names, ", "))
	if near := nearest(l.args[0], names); near != "" {
		hint += "; did you mean " + near + "?"
	}
	return usagef(hint, "unknown command %q", l.args[0])
}

// looksLikeVerb says whether the first of some arguments is rather a command
// that is not known than a file: there are files behind it, and it is none.
func looksLikeVerb(args []string) bool {
	if len(args) < 3 || isURL(args[0]) {
		return false
	}
	_, err := os.Stat(args[0])
	return errors.Is(err, fs.ErrNotExist)
}

// nearest returns the one of some names that was probably meant, or "".
func nearest(word string, names []string) string {
	if len(word) < 2 {
		return ""
	}
	slices.Sort(names)
	best, least := "", max(len(word)/3, 1)+1
	for _, name := range names {
		if len(name) < 2 {
			continue
		}
		distance := editDistance(word, name)
		if len(word) > 2 && strings.HasPrefix(name, word) {
			distance = 0
		}
		if distance < least {
			best, least = name, distance
		}
	}
	return best
}

// editDistance counts the letters to insert, delete or replace.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := diagonal
			if a[i] != b[j] {
				cost++
			}
			diagonal = row[j+1]
			row[j+1] = min(cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

func keys(m map[string]bool) []string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	return names
}
