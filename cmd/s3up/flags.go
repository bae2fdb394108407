package main

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/dustin/go-humanize"
	"github.com/urfave/cli/v2"
)

// Groups of flags, in the order in which help shows them.
var flagGroups = []string{groupFiles, groupWhich, groupDo, groupProof, groupWhere, groupTLS, groupSent, groupResume, groupWhen, groupObject, groupAccess, groupETag, groupOutput}

const (
	groupFiles  = "Which files, and in what order"
	groupWhere  = "Where"
	groupTLS    = "TLS"
	groupSent   = "How it is cut and sent"
	groupResume = "After a failure"
	groupWhen   = "When it is written, and how it appears"
	groupObject = "What the object carries"
	groupAccess = "Who may read it, and what protects it"
	groupETag   = "Its ETag"
	groupWhich  = "Which"
	groupDo     = "What is done with them"
	groupProof  = "What is compared"
	groupOutput = "Output"
)

func cpFlags() []cli.Flag {
	flags := []cli.Flag{
		textFlag(groupSent, "multipart-threshold", "SIZE", "what is larger goes up in parts (default 64MiB)"),
		textFlag(groupSent, "part-size", "SIZE", "5MiB to 5GiB (default 16MiB; grows so that 10,000 parts are enough)"),
		textFlag(groupSent, "max-parts", "N", "of one upload; less for stores that take no 10,000"),
		textFlag(groupSent, "max-memory", "SIZE", "of what streams, and parts with --read-once, may hold in memory\n(default 256MiB, or a quarter of the control group's limit if less)"),
		toggleFlag(groupSent, "read-once", "hold each part in memory (--max-memory) until it is stored, so that a\nfile is read once only: for slow disks and network file systems"),
		textFlag(groupSent, "expected-size", "SIZE", "that a stream will have: gives equal parts from the start; a shorter\none is refused, unless --min-size allows it"),
		textFlag(groupSent, "min-size", "SIZE", "what is shorter is refused: most often, its producer has died"),
		toggleFlag(groupSent, "allow-empty", "an empty stream is an empty object, not a dead producer"),
		textFlag(groupSent, "on-change", "WHAT", "if a file changes while it is read: fail, or retry: begin again with\nwhat it is then, 5 times at most (default fail)"),
		toggleFlag(groupSent, "size-at-start", "of a file that grows, upload the bytes that it had at the start"),

		textFlag(groupResume, "resume", "WHEN", "auto, or never: start anew (default auto)"),
		textFlag(groupResume, "stale-after", "DURATION", "without a sign of life: then an unfinished upload of the same\nkey that does not fit is aborted; 0 is at once (default 12h)"),
		textFlag(groupResume, "lock", "FILE", "held while it runs; if another run holds it: exit 12, nothing is sent"),
		textFlag(groupResume, "on-failure", "WHAT", "keep or abort what was sent, or auto: keep what can be resumed\n(default auto)"),

		toggleFlag(groupWhen, "no-clobber", "only if there is no object under the key; else the file is skipped"),
		textFlag(groupWhen, "if-match", "ETAG", "only if the object that is there has this ETag; else exit 6"),
		toggleFlag(groupWhen, "if-changed", "only if the object that is there has other content; if it has other\nproperties alone, a copy onto itself sets them"),
		textFlag(groupWhen, "publish", "HOW", "direct; or staged: parts go to a second key beside it, and what was\nverified there is copied to the key in one step (default direct)"),
		toggleFlag(groupWhen, "prune-version", "in a bucket that keeps versions, delete the version of parts that\nthe copy leaves behind"),

		textFlag(groupObject, "content-type", "TYPE", "else by the name's extension, then by the content"),
		toggleFlag(groupObject, "no-guess-mime-type", "binary/octet-stream, which is S3's default, where no type is given"),
		textFlag(groupObject, "content-encoding", "CODING", "such as gzip, that the file has already"),
		textFlag(groupObject, "content-disposition", "VALUE", "such as 'attachment; filename=\"report.pdf\"'"),
		textFlag(groupObject, "content-language", "TAG", "such as de or en-US"),
		textFlag(groupObject, "cache-control", "VALUE", "such as max-age=3600 or no-cache"),
		textFlag(groupObject, "expires", "TIME", "after which caches ask again: 2027-01-31T12:00:00Z"),
		textFlag(groupObject, "website-redirect", "WHERE", "a path or a URL, for a bucket that is served as a website"),
		listFlag(groupObject, "metadata", "KEY=VALUE", "user metadata, 2 KiB in all; repeatable"),
		listFlag(groupObject, "attr", "RULE", "PATTERN:NAME=VALUE, one of these for the keys that match, such as\n'*.html:cache-control=no-cache' or 'img/**:metadata=team=web'; an\nempty value unsets it, the last rule holds; repeatable"),
		listFlag(groupObject, "attr-file", "FILE", "of such rules, one a line; # begins a comment"),
		textFlag(groupObject, "storage-class", "CLASS", "such as STANDARD_IA; else the bucket's default. Set by the copy, where\none follows, so that nothing of it is deleted early"),

		textFlag(groupETag, "normalize", "HOW", "what gives an object sent in parts its MD5 as ETag: self, a copy\nonto itself; staged, copies to a second key and back; off; auto is\nself (default auto)"),
		textFlag(groupETag, "checksum", "HOW", "that the store keeps of the whole object, and that is compared: none,\ncrc64nvme, md5 (Amazon S3 only), or auto: crc64nvme on Amazon S3 where\nthe ETag cannot be the MD5, and the MD5 of its copy (default auto)"),
		toggleFlag(groupETag, "store-md5", "put the MD5 into the metadata too, as md5chksum, where rclone looks\nfor it; where no copy follows, a file is read once more first"),
		toggleFlag(groupETag, "require-md5", "exit 10 if the object is stored and its ETag is not its MD5"),

		toggleFlag(groupOutput, "dry-run", "tell what would be uploaded, in which parts and as what; nothing is\nsent, and neither a store nor credentials are needed"),
		textFlag(groupOutput, "progress", "HOW", "bar, lines, none, or auto: bar on a terminal (default auto)"),
	}
	return slices.Concat(fromFlags(), chooseFlags(), connectionFlags(), flags, recordFlags(), accessFlags())
}

func textFlag(group, name, value, usage string) cli.Flag {
	return &cli.StringFlag{Name: name, Category: group, Usage: "`" + value + "` " + usage}
}

func toggleFlag(group, name, usage string, aliases ...string) cli.Flag {
	return &cli.BoolFlag{Name: name, Aliases: aliases, Category: group, Usage: usage}
}

// listFlag can be given more than once.
func listFlag(group, name, value, usage string) cli.Flag {
	return &cli.StringSliceFlag{Name: name, Category: group, Usage: "`" + value + "` " + usage}
}

// values reads flags. The first that is wrong is the error.
type values struct {
	c        *cli.Context
	origins  origins
	requests int // at once; 0: as many as the slots allow
	err      error
}

// refuse notes that a flag's value is not possible, and what is.
func (v *values) refuse(name, allowed string) {
	if v.err == nil {
		v.err = usagef("", "--%s %s: %s", name, quoted(clip(v.c.String(name))), allowed)
	}
}

// fail notes an error in words of its own.
func (v *values) fail(format string, args ...any) {
	if v.err == nil {
		v.err = usagef("", "%v", fmt.Errorf(format, args...))
	}
}

func quoted(value string) string {
	if value == "" || strings.ContainsFunc(value, func(r rune) bool { return unicode.IsSpace(r) || isControl(r) }) {
		return strconv.Quote(value)
	}
	return value
}

// text returns a value as it is; given but empty is wrong.
func (v *values) text(name, what string) string {
	s := v.c.String(name)
	if v.c.IsSet(name) && s == "" {
		v.refuse(name, "must be "+what)
	}
	return s
}

// choice returns one of some words; the first is the default.
func (v *values) choice(name string, words ...string) string {
	if !v.c.IsSet(name) {
		return words[0]
	}
	s := v.c.String(name)
	if !slices.Contains(words, s) {
		v.refuse(name, "must be "+strings.Join(words[:len(words)-1], ", ")+" or "+words[len(words)-1])
	}
	return s
}

// size returns a number of bytes between two bounds; 0 if the flag is not given.
func (v *values) size(name string, least, most int64) int64 {
	if !v.c.IsSet(name) {
		return 0
	}
	n, err := humanize.ParseBytes(v.c.String(name))
	switch {
	case err != nil:
		v.refuse(name, "must be a size, such as 16MiB, 16MB or 16777216")
	case n > math.MaxInt64 || int64(n) < least || int64(n) > most:
		v.refuse(name, fmt.Sprintf("must be %s to %s", unspaced(least), unspaced(most)))
	}
	return int64(n)
}

// unspaced is a size as one types it: exactly that many bytes.
func unspaced(n int64) string {
	text := strings.Replace(strings.ReplaceAll(byteSize(n), " ", ""), ".0", "", 1)
	if same, err := humanize.ParseBytes(text); err != nil || int64(same) != n {
		return strconv.FormatInt(n, 10)
	}
	return text
}

// duration returns a time that is not shorter than another one.
func (v *values) duration(name string, ifNotGiven, least time.Duration) time.Duration {
	if !v.c.IsSet(name) {
		return ifNotGiven
	}
	d, err := time.ParseDuration(v.c.String(name))
	switch {
	case err != nil:
		v.refuse(name, "must be a duration, such as 90s, 10m or 12h")
	case d < least:
		v.refuse(name, fmt.Sprintf("must be %v or more", least))
	}
	return d
}

// number returns a count between 1 and most.
func (v *values) number(name string, ifNotGiven, most int) int {
	if !v.c.IsSet(name) {
		return ifNotGiven
	}
	n, err := strconv.Atoi(v.c.String(name))
	if err != nil || n < 1 || n > most {
		v.refuse(name, fmt.Sprintf("must be a number from 1 to %d", most))
	}
	return n
}

// word returns a value of letters, digits and the likes of them.
func (v *values) word(name, what string) string {
	s := v.text(name, what)
	if !isToken(s) {
		v.refuse(name, "must be "+what)
	}
	return s
}

// isToken says whether a text can be the name of a header; empty can.
func isToken(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || strings.ContainsRune("-_.", r))
	})
}
