package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"al.essio.dev/pkg/shellescape"
	"github.com/dustin/go-humanize"
)

// sentence joins what happened and what to type next.
func sentence(msg, hint string) string {
	if hint == "" {
		return msg
	}
	return msg + "; " + hint
}

// oneLine keeps a text to one line, and keeps what names may hold from acting
// on the terminal.
func oneLine(s string) string {
	if strings.IndexFunc(s, isControl) < 0 {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if isControl(r) {
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

func isControl(r rune) bool {
	return r != ' ' && !unicode.IsGraphic(r)
}

// shellLine returns a command line that can be typed.
func shellLine(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = shellWord(w)
	}
	return strings.Join(quoted, " ")
}

// shellWord quotes a word for the shell, in bash's way if it would otherwise
// break the line.
func shellWord(w string) string {
	if strings.IndexFunc(w, isControl) < 0 {
		return shellescape.Quote(w)
	}
	var b strings.Builder
	b.WriteString("$'")
	for i := range len(w) {
		switch c := w[i]; {
		case c == '\'' || c == '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c == '\n':
			b.WriteString(`\n`)
		case c == '\t':
			b.WriteString(`\t`)
		case c < ' ' || c >= 0x7f:
			fmt.Fprintf(&b, `\x%02x`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String() + "'"
}

func byteSize(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// span is a duration as people say it.
func span(d time.Duration) string {
	switch {
	case d < 100*time.Millisecond:
		return fmt.Sprintf("%dms", d.Milliseconds())
	case d < time.Minute:
		return fmt.Sprintf("%.1fs", d.Seconds())
	}
	return d.Round(time.Second).String()
}

// clockNote tells of a clock that is not the store's.
func clockNote(ahead time.Duration) string {
	where := "ahead of"
	if ahead < 0 {
		where = "behind"
	}
	return fmt.Sprintf("this machine's clock is %v %s the store's, whose time is used: set it (timedatectl set-ntp true)",
		ahead.Abs().Round(time.Minute), where)
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
