package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bmatcuk/doublestar/v4"
	"github.com/urfave/cli/v2"

	"s3up/internal/tree"
	"s3up/internal/upload"
	"s3up/internal/verify"
)

const verifyHelp = `s3up verify: is what is stored made of these bytes? Nothing is downloaded

Usage:
  s3up verify [FLAG]... FILE... s3://BUCKET/KEY | s3://BUCKET/PREFIX/
  s3up verify [FLAG]... DIRECTORY s3://BUCKET/PREFIX/
  s3up verify [FLAG]... --sums FILE s3://BUCKET/PREFIX/

Examples:
  s3up verify db.dump s3://backups/db.dump && rm db.dump
  s3up verify site/ s3://www/                      every file below, and what is there beside
  s3up verify *.tar.gz s3://releases/v1.4/
  zcat db.gz | s3up verify - s3://backups/db       a stream
  s3up verify --sums MD5SUMS s3://releases/v1.4/   without the files; - is stdin
  s3up verify --require proof db.dump s3://vault/db.dump
  s3up verify --json site/ s3://www/ | jq -r 'select(.status == "differs").key'

What proves it, in order: the size; an ETag that is the MD5 of the bytes; one that is made of the
MD5s of parts, of the size that the store tells, or else of all sizes that are in use, tried in one
read of the file; checksums that the store keeps (CRC32, CRC32C, CRC64NVME, SHA1, SHA256, SHA512,
MD5); and what uploaders wrote into the metadata (md5chksum of rclone, s3cmd-attrs, md5), which is
weaker: it tells what was to be stored. The answer says which it was, and --require what is enough.
ETags under SSE-KMS and SSE-C are no MD5s, and prove nothing.

Each object is match, differs, missing, unverifiable (nothing proves or refutes it) or failed; what
a listing has and the directory has not is extra. Sums are compared with what the store keeps: MD5s
with the ETags that s3up makes, SHA256s where there is a SHA256. The exit code is 0 if all match; 4
if something differs or is missing, whatever else happened; 8 if nothing is there at all; then that
of what failed; 9 if something is unverifiable.
`

func verifyFlags() []cli.Flag {
	return slices.Concat(connectionFlags(), []cli.Flag{
		textFlag(groupProof, "sums", "FILE", "of md5sum, sha256sum or their like, BSD's form too: its names are\nkeys below the destination, and no file is read; - is stdin"),
		textFlag(groupProof, "part-size", "SIZE", "to try first, of an object whose parts the store does not tell"),
		textFlag(groupProof, "require", "WHAT", "proof: a digest of the store's, MD5 or SHA; checksum: or a CRC of the\nstore's; claim: or what the uploader wrote (default claim)"),
		toggleFlag(groupProof, "allow-unverifiable", "exit 0 where nothing proves or refutes it"),
		toggleFlag(groupProof, "exact", "exit 4 also for objects that are there beside: below the prefix, those\nthat are not among the files or sums"),
		textFlag(groupOutput, "progress", "HOW", "bar, lines, none, or auto: bar on a terminal (default auto)"),
	}, customerKeyFlags())
}

// verifyOptions are what the flags and arguments of verify say.
type verifyOptions struct {
	connection
	sources     []string // none: sums
	bucket, key string
	sums        string
	partSize    int64
	require     verify.Strength
	allow       bool // what is unverifiable
	exact       bool
	progress    string
	customerKey []byte
}

func newVerifyOptions(v *values) (verifyOptions, error) {
	o := verifyOptions{
		connection:  v.connection(),
		sums:        v.text("sums", "the name of a file, or - for stdin"),
		partSize:    v.size("part-size", 1, maxPart),
		require:     verify.Strength(max(0, slices.Index(verify.Strengths(), v.choice("require", verify.Strengths()...)))),
		allow:       v.c.Bool("allow-unverifiable"),
		exact:       v.c.Bool("exact"),
		progress:    v.choice("progress", "auto", "bar", "lines", "none"),
		customerKey: v.customerKey(),
	}
	if v.err != nil {
		return o, v.err
	}
	return o, o.arguments(v.c.Args().Slice())
}

// arguments reads what is to be verified, and where it is.
func (o *verifyOptions) arguments(words []string) error {
	const usage = "type: s3up verify FILE s3://BUCKET/KEY"
	if len(words) == 0 {
		return usagef(usage, "nothing to verify")
	}
	destination := words[len(words)-1]
	o.sources = words[:len(words)-1]
	if !isURL(destination) || slices.ContainsFunc(o.sources, isURL) {
		return usagef(usage, "the object comes last, and there is one: s3://BUCKET/KEY or s3://BUCKET/PREFIX/")
	}
	var err error
	if o.bucket, o.key, err = parseURL(destination); err != nil {
		return err
	}
	switch {
	case o.sums != "" && len(o.sources) > 0:
		return usagef("leave one of them out", "--sums takes the place of files, and %q is given too", o.sources[0])
	case o.sums == "" && len(o.sources) == 0:
		return usagef("type: s3up verify FILE "+shellWord(destination), "no file to compare with %s", destination)
	}
	if o.sources, err = expand(o.sources); err != nil {
		return err
	}
	if len(o.sources) == 1 && isFolder(o.sources[0]) {
		if err := notInDirectory(o.bucket, unordered, "name the files"); err != nil {
			return err
		}
	}
	switch {
	case o.takesNames():
	case o.exact && o.origins["exact"] == "":
		return usagef("leave it out", "--exact is about what is below a prefix, and %s is one object", destination)
	case len(o.sources) > 1:
		return usagef("add a slash at its end", "%s need a destination that ends in a slash", plural(len(o.sources), "source"))
	case len(o.sources) == 1 && isFolder(o.sources[0]):
		return usagef("type: s3up verify "+shellWord(o.sources[0])+" "+shellWord(destination+"/"), "%s is a directory: it needs a destination that ends in a slash", o.sources[0])
	}
	for i, source := range o.sources {
		switch {
		case isFolder(source) && len(o.sources) > 1:
			return usagef("verify one directory at a time", "%s is a directory, and there are other sources", source)
		case o.takesNames() && isDescriptor(source):
			return usagef("name the object: s3://BUCKET/KEY", "%s has no name to end the key in", source)
		case slices.Contains(o.sources[:i], stdinName) && source == stdinName:
			return usagef("", "stdin is given twice")
		}
	}
	return nil
}

// takesNames says whether keys end in the names of the sources.
func (o *verifyOptions) takesNames() bool { return o.key == "" || strings.HasSuffix(o.key, "/") }

func isFolder(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.IsDir()
}

// expand expands patterns, where the shell has not: a word that is no file, but
// matches some.
func expand(words []string) ([]string, error) {
	var all []string
	for _, word := range words {
		if _, err := os.Lstat(word); err != nil && word != stdinName && strings.ContainsAny(word, "*?[{") {
			files, err := doublestar.FilepathGlob(word, doublestar.WithFilesOnly())
			if err != nil {
				return nil, usagef("", "%s: it is no pattern", quoted(word))
			}
			if len(files) == 0 {
				return nil, usagef("", "%s matches no file", quoted(word))
			}
			all = append(all, files...)
			continue
		}
		all = append(all, word)
	}
	return all, nil
}

func runVerify(p *program, v *values) (int, error) {
	o, err := newVerifyOptions(v)
	if err != nil {
		return 0, err
	}
	var sums []*check
	if o.sums != "" {
		if sums, err = p.sumChecks(o); err != nil {
			return 0, err
		}
	}
	return p.verify(o, "verify", sums), nil
}

// sumChecks makes checks of the lines of a file of sums, one of each key. What is
// wrong with a line is so for all: a check that passes it by would look like one of
// all that is in the file.
func (p *program) sumChecks(o verifyOptions) ([]*check, error) {
	var in io.Reader = p.stdin
	if o.sums != stdinName {
		f, err := os.Open(o.sums)
		if err != nil {
			return nil, usagef("check the path", "--sums %s: %s", quoted(o.sums), rootCause(err))
		}
		defer f.Close()
		in = f
	}
	all, err := readSums(in)
	if err == nil && len(all) == 0 {
		err = errors.New("there are no sums in it")
	}
	if err == nil && !o.takesNames() && slices.ContainsFunc(all, func(s sum) bool { return s.name != all[0].name }) {
		err = errors.New("it has several names: the destination has to end in a slash")
	}
	var found []*bundle
	if err == nil {
		found, err = bundles(all, func(s sum) (string, error) {
			if !o.takesNames() {
				return o.key, nil
			}
			below, err := s.below()
			if err != nil {
				return "", err
			}
			return belowPrefix(o.key, below)
		})
	}
	if err != nil {
		return nil, usagef("", "--sums %s: %s", quoted(o.sums), rootCause(err))
	}
	checks := make([]*check, len(found))
	for i, b := range found {
		checks[i] = &check{source: b.name, key: b.key, local: verify.Local{Name: b.name, Size: -1, Sums: b.sums}}
	}
	return checks, nil
}

func belowPrefix(prefix, name string) (string, error) {
	key := prefix + name
	if why := tree.BadKey(key); why != "" {
		return "", usagef("", "%s", why)
	}
	return key, nil
}

// fileCheck is the check of a file or a stream.
func (o *verifyOptions) fileCheck(source string) *check {
	c := &check{source: source, key: o.key}
	if o.takesNames() {
		c.key, c.err = belowPrefix(o.key, filepath.Base(source))
	}
	return c
}

// verifyObject returns how objects are verified.
func (o *verifyOptions) engine() verify.Options {
	e := verify.Options{Least: o.require, CustomerKey: customerKeyHeaders(o.customerKey)}
	if o.partSize > 0 {
		e.PartSizes = []int64{o.partSize}
	}
	for shift := range 3 { // s3up's own, and those of runs with other options
		e.PartSizes = append(e.PartSizes, upload.DefaultPartSize<<shift)
	}
	return e
}

// verify compares, and returns the exit code.
func (p *program) verify(o verifyOptions, op string, sums []*check) int {
	c := newVerifying(p, o, op)
	ctx, release := onSignals(context.Background(), c.told, os.Exit)
	defer release()
	if err := c.run(ctx, sums); err != nil {
		c.refuse(causeOf(ctx, err))
	}
	return c.finish(ctx)
}
