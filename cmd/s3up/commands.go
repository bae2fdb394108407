package main

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/urfave/cli/v2"
)

// A command is one of the things that s3up does.
type command struct {
	names []string // the first is the one to use
	short string   // for the list of commands
	help  string   // how to call it, with examples
	flags []cli.Flag
	// run does it, and returns the exit code. The error is one of usage: nothing
	// was sent.
	run func(*program, *values) (int, error)
}

// commands are all that there are.
func commands() []command {
	return []command{
		{names: []string{"cp", "put"}, short: "upload files, or a stream", help: cpHelp, flags: cpFlags(), run: runCp},
		{names: []string{"sync"}, short: "make a prefix what a folder is", help: syncHelp, flags: syncFlags(), run: runSync},
		{names: []string{"normalize"}, short: "give objects that are there their MD5 as ETag", help: normalizeHelp, flags: normalizeFlags(), run: runNormalize},
		{names: []string{"uploads"}, short: "list unfinished uploads, and abort them", help: uploadsHelp, flags: uploadsFlags(), run: runUploads},
		{names: []string{"verify"}, short: "tell whether what is stored is what is here", help: verifyHelp, flags: verifyFlags(), run: runVerify},
		{names: []string{"etag"}, short: "tell ETags before an upload, and explain those that are there", help: etagHelp, flags: etagFlags(), run: runETag},
	}
}

func runCp(p *program, v *values) (int, error) {
	o, err := newCpOptions(v)
	if err != nil {
		return 0, err
	}
	return p.cp(o)
}

// read reads the flags of a command line and hands them to run. The error is one
// of usage.
func (c command) read(line commandLine, run func(*values) error) error {
	app := &cli.App{
		Name: "s3up", HideHelp: true, HideVersion: true,
		DisableSliceFlagSeparator: true, // a comma in a --metadata value stays
		Writer:                    io.Discard, ErrWriter: io.Discard,
		ExitErrHandler: func(*cli.Context, error) {},
		Commands: []*cli.Command{{
			Name: c.names[0], Aliases: c.names[1:], Flags: c.flags, HideHelp: true,
			OnUsageError: func(_ *cli.Context, err error, _ bool) error { return err },
			Action: func(ctx *cli.Context) error {
				v := newValues(ctx)
				return v.origins.inWords(run(v))
			},
		}},
	}
	return app.Run(line.ordered())
}

// is says whether a word names the command.
func (c command) is(word string) bool { return slices.Contains(c.names, word) }

// find returns the command that a word names, nil if there is none.
func find(all []command, word string) *command {
	for i := range all {
		if all[i].is(word) {
			return &all[i]
		}
	}
	return nil
}

// takesValue tells of each flag of some commands whether a value follows it. A
// flag of two commands is the same in both.
func takesValue(some ...command) map[string]bool {
	takes := map[string]bool{"help": false, "h": false, "version": false}
	for _, c := range some {
		for _, f := range c.flags {
			for _, name := range f.Names() {
				takes[name] = f.(cli.DocGenerationFlag).TakesValue()
			}
		}
	}
	return takes
}

// commandList is what help says of all commands.
func commandList(all []command) string {
	var b strings.Builder
	for _, c := range all {
		fmt.Fprintf(&b, "  %-11s%s\n", strings.Join(c.names, ", "), c.short)
	}
	fmt.Fprintf(&b, "  %-11s%s\n", "help", "tell about a command: s3up help cp")
	return b.String()
}
