// S3up uploads files and streams to S3 and leaves objects whose ETag is the MD5
// of their bytes.
//
//	words in                                                words out
//	commands.go, args.go
//	     └─▶ cp.go, flags.go ─▶ copying.go ──▶ upload ─events─▶ progress.go, bars.go  (stderr)
//	         url.go, sources.go  connection.go  store ─attempts▶ verbose.go           (stderr)
//	                             signals.go
//	                                 └─────────results────────▶ output.go, json.go    (stdout)
//	                                 └─────────errors─────────▶ errors.go, answers.go (stderr, exit code)
//
// This package alone knows flags, the terminal and the environment, and it alone
// has words for people. Results go to stdout, one line per object; all talk goes
// to stderr.
package main

import (
	"errors"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"syscall"
)

func main() {
	os.Exit(run(os.Args, os.Stdin, os.Stdout, os.Stderr))
}

// A program is one run: how it was called and what it talks through.
type program struct {
	argv           []string
	stdin          *os.File
	stdout, stderr *os.File
}

// run does what argv asks for and returns the exit code.
func run(argv []string, stdin, stdout, stderr *os.File) int {
	// A reader that went away is an error of the write, not the end of an upload.
	signal.Notify(make(chan os.Signal, 1), syscall.SIGPIPE)
	log.SetOutput(io.Discard) // net/http tells there what servers say out of turn
	p := &program{argv: argv, stdin: stdin, stdout: stdout, stderr: stderr}
	code, err := p.dispatch()
	if err != nil {
		var wrong *usageError
		if !errors.As(err, &wrong) {
			wrong = &usageError{Msg: err.Error()}
		}
		fmt.Fprintln(stderr, "s3up:", oneLine(sentence(wrong.Msg, wrong.Hint)))
		return exitUsage
	}
	return code
}

// dispatch reads the command line and runs the command that it names. The error
// is one of usage.
func (p *program) dispatch() (int, error) {
	all := commands()
	line, err := parseLine(p.argv[1:], all)
	if err != nil {
		return 0, err
	}
	switch {
	case line.version:
		return p.print(versionText())
	case line.help || line.verb == "help":
		text, err := helpText(line, all)
		if err != nil {
			return 0, err
		}
		return p.print(text)
	case line.verb == "" && len(line.args) == 0:
		return 0, &usageError{Msg: "no command", Hint: "s3up help tells what there is"}
	case line.verb == "":
		return 0, p.noVerb(line, all)
	}
	c := find(all, line.verb)
	code := exitOK
	err = c.read(line, func(v *values) (err error) {
		code, err = p.profiled(v, func() (int, error) { return c.run(p, v) })
		return err
	})
	return code, err
}

// print writes what was asked for to stdout.
func (p *program) print(text string) (int, error) {
	if _, err := io.WriteString(p.stdout, text); err != nil {
		fmt.Fprintln(p.stderr, "s3up: write the answer to stdout:", oneLine(rootCause(err)))
		return exitFailed, nil
	}
	return exitOK, nil
}
