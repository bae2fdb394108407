package main

import (
	"strings"
	"testing"
	"unicode/utf8"
)

// No line of help is wider than a terminal most often is, and each command has
// examples.
func TestHelpFits(t *testing.T) {
	all := commands()
	for _, c := range all {
		text, err := helpText(commandLine{verb: c.names[0], help: true}, all)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(text, "\nExamples:\n  s3up "+c.names[0]+" ") {
			t.Errorf("%s has no examples", c.names[0])
		}
		for line := range strings.Lines(text) {
			if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 100 {
				t.Errorf("%s: %d characters: %s", c.names[0], n, line)
			}
		}
	}
}
