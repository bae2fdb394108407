package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
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

func parseLine(words []string, commands []*cli.Command) (commandLine, error) {
	var l commandLine
	takesValue := map[string]bool{"help": false, "h": false, "version": false}
	for _, c := range commands {
		for _, f := range c.Flags {
			for _, name := range f.Names() {
				takesValue[name] = f.(cli.DocGenerationFlag).TakesValue()
			}
		}
	}
	for i := 0; i < len(words); i++ {
		word := words[i]
		if word == "--" {
			l.args = append(l.args, words[i+1:]...)
			break
		}
		if word == "-" || !strings.HasPrefix(word, "-") {
			if l.verb == "" && len(l.args) == 0 && isCommand(word, commands) {
				l.verb = word
			} else {
				l.args = append(l.args, word)
			}
			continue
		}
		name, _, hasValue := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(word, "-"), "-"), "=")
		takes, known := takesValue[name]
		switch {
		case !known:
			return l, unknownFlag(word, name, takesValue)
		case name == "help" || name == "h":
			l.help = true
		case name == "version":
			l.version = true
		case !takes || hasValue:
			l.flags = append(l.flags, word)
		case i+1 == len(words):
			return l, usagef("", "%s needs a value", word)
		default:
			i++
			l.flags = append(l.flags, word, words[i])
		}
	}
	return l, nil
}

func isCommand(word string, commands []*cli.Command) bool {
	return word == "help" || slices.ContainsFunc(commands, func(c *cli.Command) bool { return c.HasName(word) })
}

func unknownFlag(word, name string, known map[string]bool) error {
	hint := "see s3up help cp"
	if near := nearest(name, keys(known)); near != "" {
		hint = "did you mean --" + near + "?"
	}
	flag, _, _ := strings.Cut(word, "=")
	return usagef(hint, "unknown flag %s", flag)
}

// noVerb is the error for a line without a command: with the line to type, if
// it is clear what was meant.
func (p *program) noVerb(l commandLine, commands []*cli.Command) error {
	if slices.ContainsFunc(l.args, isURL) && !looksLikeVerb(l.args) {
		words := append([]string{p.argv[0], "cp"}, p.argv[1:]...)
		return usagef("type: "+shellLine(words), "no command")
	}
	var names []string
	for _, c := range commands {
		names = append(names, c.Names()...)
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
