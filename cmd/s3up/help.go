package main

import (
	"fmt"
	"strings"

	"github.com/urfave/cli/v2"
)

const rootHead = `s3up uploads files and streams to S3. When it says uploaded, the object is made of exactly the bytes
that were read, and its ETag is their MD5, or the answer says why it cannot be. Run it again after a
failure and it goes on where it stopped.

Examples:
  s3up cp db.dump s3://backups/db.dump
  pg_dump shop | s3up cp - s3://backups/shop.sql
  s3up sync --delete dist s3://site/
  s3up verify db.dump s3://backups/db.dump

Commands:
`

const rootTail = `
Flags:
  -h, --help
  --version
`

const cpHelp = `s3up cp: upload files, or a stream

Usage:
  s3up cp [FLAG]... FILE... s3://BUCKET/KEY | s3://BUCKET/PREFIX/
  s3up cp [FLAG]... -r FOLDER... s3://BUCKET/PREFIX/
  s3up cp [FLAG]... --files-from LIST [FOLDER] s3://BUCKET/PREFIX/

Examples:
  s3up cp db.dump s3://backups/db.dump               one file
  s3up cp db.dump s3://backups/2026/                 the same under its own name: 2026/db.dump
  s3up cp *.tar.gz s3://releases/v1.4/               several: the slash at the end is needed
  s3up cp -r dist s3://site/                         all below it: dist/js/a.js becomes js/a.js
  pg_dump shop | s3up cp - s3://backups/shop.sql     a stream; one that is empty is refused
  s3up cp --json app.zip s3://releases/ | jq -r '.etag // empty'
  s3up cp --lock /run/lock/dump -q db.dump s3://b/   for cron: never two at once
  s3up cp -r dist s3://site/ --attr '*.html:cache-control=no-cache' --last index.html
  s3up cp -r /data s3://b/data/ --exclude '*.tmp' --if-changed --report run.ndjson --sums MD5SUMS
  find . -name '*.gz' -print0 | s3up cp --files-from0 - s3://b/logs/
  s3up cp db.dump s3://vault/ --sse aws:kms --storage-class STANDARD_IA --tagging team=web
  s3up cp --endpoint-url http://localhost:9000 db.dump s3://backups/db.dump
  s3up cp --endpoint-url https://10.0.0.7:9000 --ca-bundle ca.pem db.dump s3://backups/db.dump

A file above --multipart-threshold goes up in parts, and is then copied onto itself on the server:
that makes its ETag the MD5 of its bytes. A run that was ended leaves the parts that were sent, and
the same command again sends only what is missing. Flags may stand anywhere; -- ends them.
Each flag has a variable: S3UP_PART_SIZE=64MiB is --part-size 64MiB, S3UP_JSON=true is --json; of a
flag that repeats, each line is a value. A flag comes before its variable, and both before what is
under "s3 =" in the profile of the AWS configuration file (max_bandwidth, multipart_chunksize, …).
A slash at the end of the destination, or a bucket alone, takes the base name of the source, and of
a folder the path below it. A key is taken as it is typed: nothing in it is unescaped.

Of many files, one that fails does not stop the others. --include and --exclude are s5cmd's: what an
--exclude matches is left out, whatever the order; with the AWS CLI the last pattern that matches
decides. Run it again after a failure: with --if-changed, what is there already costs one HEAD.
`

const syncHelp = `s3up sync: make a prefix what a folder is

Usage:
  s3up sync [FLAG]... DIR s3://BUCKET/PREFIX/

Examples:
  s3up sync dist s3://site/                          uploads what differs, by content
  s3up sync --dry-run --delete dist s3://site/       what would happen
  s3up sync --delete --last index.html dist s3://site/
  s3up sync --lock /run/lock/photos -q photos s3://vault/photos/
  s3up sync --shard auto /data s3://lake/data/       a task of an array job, see docs/scale.md

The prefix is listed once. A file is unchanged if the object has its size and the ETag is the MD5 of
its bytes, or what parts of them make; the size of these is asked for where the listing cannot tell.
Where ETags are no MD5s (encryption with KMS or one's own key), the store's checksum or the MD5 in
the metadata tells; where there is none, size and time do, with a note. Times alone decide nothing.
Content alone is compared: other properties of what is unchanged stay as they are.
What --exclude or --include leaves out is neither uploaded nor deleted. Objects that stand for
folders in consoles (empty, with a slash at the end) are not deleted, nor are s3up's own staged
copies.
Hashes are remembered in $XDG_CACHE_HOME/s3up/hashes, else below ~/.cache; a file that was written
to within two seconds before it was read is read again. It may be deleted at any time.
`

const exitCodes = `
Exit codes:
    0  stored and verified, or nothing to do
    1  failed, no finer code
    2  usage or configuration; nothing was stored
    3  some files are stored, some are not, and not all of these for a temporary reason
    4  the object is not the bytes that were read; verify: something differs or is missing
    5  all that failed is temporary (network, 5xx, throttling): run it again, it goes on
    6  a condition did not hold, or somebody else wrote the key meanwhile; too much to delete
    7  credentials or permission
    8  not found: the source, the bucket, any file; or a stream that is empty or too short
    9  verify: nothing proves or refutes it
   10  stored and intact, but its ETag is not its MD5 (--require-md5; normalize: the store keeps it)
   11  the source changed while it was read
   12  another run holds --lock
  130, 143, 129  ended by SIGINT, SIGTERM, SIGHUP
`

// helpText returns what "help" and "--help" ask for.
func helpText(l commandLine, all []command) (string, error) {
	topic := l.verb
	if l.verb == "help" {
		topic = ""
		if len(l.args) > 0 {
			topic = l.args[0]
		}
	}
	if topic == "" || topic == "help" {
		return rootHead + commandList(all) + rootTail, nil
	}
	if c := find(all, topic); c != nil {
		return c.help + flagHelp(c.flags) + exitCodes, nil
	}
	return "", usagef("s3up help", "no help on %q", topic)
}

// flagColumn is where the words about a flag begin.
const flagColumn = 30

// flagHelp lists flags in their groups.
func flagHelp(flags []cli.Flag) string {
	var b strings.Builder
	for _, group := range flagGroups {
		there := false
		for _, f := range flags {
			if f.(cli.CategorizableFlag).GetCategory() != group || !f.(cli.VisibleFlag).IsVisible() {
				continue
			}
			if !there {
				fmt.Fprintf(&b, "\n%s:\n", group)
				there = true
			}
			value, usage := splitUsage(f.(cli.DocGenerationFlag).GetUsage())
			name := "--" + f.Names()[0]
			if len(f.Names()) > 1 {
				name = "-" + f.Names()[1] + ", " + name
			}
			if value != "" {
				name += " " + value
			}
			lines := strings.Split(usage, "\n")
			if len(name) > flagColumn-4 {
				fmt.Fprintf(&b, "  %s\n", name)
				name = ""
			}
			fmt.Fprintf(&b, "  %-*s%s\n", flagColumn-2, name, lines[0])
			for _, more := range lines[1:] {
				fmt.Fprintf(&b, "%*s%s\n", flagColumn, "", more)
			}
		}
	}
	return b.String()
}

// splitUsage takes the name of a flag's value out of what is said of it.
func splitUsage(usage string) (value, text string) {
	if before, rest, ok := strings.Cut(usage, "`"); ok {
		if value, after, ok := strings.Cut(rest, "`"); ok {
			return value, strings.TrimSpace(before + strings.TrimPrefix(after, " "))
		}
	}
	return "", usage
}
