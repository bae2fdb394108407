package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/term"
)

// canAsk says whether there is somebody to ask.
func (p *program) canAsk() bool {
	return term.IsTerminal(int(p.stdin.Fd())) && term.IsTerminal(int(p.stderr.Fd()))
}

// mustAsk is the error for a command that needs a yes where nobody can be asked.
func (p *program) mustAsk(what string) error {
	words := append([]string{}, p.argv...)
	return usagef("type: "+shellLine(append(words, "--yes")), "%s needs a yes, and there is no terminal to ask at", what)
}

// confirm asks at the terminal. It waits no longer than for the context.
func (p *program) confirm(ctx context.Context, question string) (bool, error) {
	fmt.Fprintf(p.stderr, "s3up: %s [y/N] ", oneLine(question))
	answered := make(chan string, 1)
	go func() {
		line, _ := bufio.NewReader(io.LimitReader(p.stdin, 1<<10)).ReadString('\n')
		answered <- line
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(p.stderr)
		return false, context.Cause(ctx)
	case line := <-answered:
		switch strings.ToLower(strings.TrimSpace(line)) {
		case "y", "yes":
			return true, nil
		}
		return false, nil
	}
}

// readLines returns the lines of a file, without those that are empty.
func readLines(f *os.File) ([]string, error) {
	var lines []string
	scan := bufio.NewScanner(f)
	for scan.Scan() {
		if line := strings.TrimSuffix(scan.Text(), "\r"); line != "" {
			lines = append(lines, line)
		}
	}
	return lines, scan.Err()
}
