package main

import (
	"os"
	"strings"

	"github.com/urfave/cli/v2"

	"s3up/internal/tree"
)

// A choice says which of many files go up, and in what order.
type choice struct {
	recursive bool
	noFollow  bool // links
	selected  tree.Selection
	last      tree.Patterns // what goes up when all else is stored
	failFast  bool
	shard     tree.Shard

	filesFrom string // a list of names; "-" is stdin, "" none
	zero      bool   // they end in zero bytes
}

// chooseFlags are those of commands that walk folders.
func chooseFlags() []cli.Flag {
	return append(shardFlags(),
		listFlag(groupFiles, "include", "PATTERN", "only files that it matches, by their path below the folder: * is any\ncharacters, / among them, and ? is one; repeatable"),
		listFlag(groupFiles, "exclude", "PATTERN", "no files that it matches, whatever --include says, in whatever order;\n'node_modules/*' is a folder, which is not even read; repeatable"),
		toggleFlag(groupFiles, "follow-symlinks", "a link below the folder is what it leads to (the default)"),
		toggleFlag(groupFiles, "no-follow-symlinks", "links below the folder are passed by, with a note"),
		listFlag(groupFiles, "last", "PATTERN", "files that go up when all others are stored, and not at all if one of\nthem failed; repeatable"),
		toggleFlag(groupFiles, "fail-fast", "begin nothing more when one file has failed"),
	)
}

// fromFlags are those that name files otherwise than as arguments.
func fromFlags() []cli.Flag {
	return []cli.Flag{
		toggleFlag(groupFiles, "recursive", "a folder is all files below it, hidden ones too", "r"),
		textFlag(groupFiles, "files-from", "LIST", "a file of names, one a line, or - for stdin: below the folder that may\nbe given beside it, else below this one, and so are the keys"),
		textFlag(groupFiles, "files-from0", "LIST", "the same, with zero bytes between the names: of find -print0"),
	}
}

// choice reads the flags.
func (v *values) choose() choice {
	c := choice{
		recursive: v.c.Bool("recursive"),
		noFollow:  v.c.Bool("no-follow-symlinks"),
		selected:  tree.Selection{Include: v.patterns("include"), Exclude: v.patterns("exclude")},
		last:      v.patterns("last"),
		failFast:  v.c.Bool("fail-fast"),
		shard:     v.shard(os.Getenv),
		filesFrom: v.text("files-from", "the name of a file, or -"),
	}
	if list := v.text("files-from0", "the name of a file, or -"); list != "" {
		if c.filesFrom != "" && v.err == nil {
			v.err = usagef("leave one of them out", "--files-from and --files-from0 exclude each other")
		}
		c.filesFrom, c.zero = list, true
	}
	if c.noFollow && v.c.Bool("follow-symlinks") && v.err == nil {
		v.err = usagef("leave one of them out", "--follow-symlinks and --no-follow-symlinks contradict each other")
	}
	return c
}

// patterns reads a flag of patterns.
func (v *values) patterns(name string) tree.Patterns {
	texts := v.c.StringSlice(name)
	all, err := tree.ParsePatterns(texts)
	for i := range texts {
		if _, bad := tree.ParsePatterns(texts[i : i+1]); bad != nil {
			v.fail("--%s %s: %w", name, quoted(clip(texts[i])), err)
		}
	}
	return all
}

// listFlagName is the flag that names the list.
func (c *choice) listFlagName() string {
	if c.zero {
		return "--files-from0"
	}
	return "--files-from"
}

// isMany says whether more than one file may be meant, whatever is found.
func (o *cpOptions) isMany() bool {
	return len(o.sources) > 1 || o.recursive || o.filesFrom != ""
}

// below is the path of a file named by itself, for patterns: its base name.
func below(key string) string { return key[strings.LastIndexByte(key, '/')+1:] }

// openList opens the list of names.
func (t *task) openList() error {
	f, err := os.Open(t.source)
	if err == nil {
		t.list = f
	}
	return err
}
