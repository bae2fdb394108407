package main

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"al.essio.dev/pkg/shellescape"
	"github.com/dustin/go-humanize"
)

// sentence joins what happened and what to type next.
func sentence(msg, hint string) string {
	switch {
	case hint == "":
		return msg
	case msg == "":
		return hint
	}
	return msg + "; " + hint
}

// oneLine keeps a text to one line, and keeps what names and stores may say from
// acting on the terminal.
func oneLine(s string) string {
	if isPlain(s) {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case isControl(r):
			quoted := strconv.QuoteRune(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		default:
			b.WriteRune(r)
		}
		s = s[size:]
	}
	return b.String()
}

// isPlain says whether a text can be printed as it is. A byte that is no UTF-8
// may be a control character to a terminal of another encoding.
func isPlain(s string) bool { return utf8.ValidString(s) && strings.IndexFunc(s, isControl) < 0 }

func isControl(r rune) bool {
	return r != ' ' && !unicode.IsGraphic(r)
}

// maxSaying is how much is shown of each thing that a store says.
const maxSaying = 300

// clip shortens what a store says: it may be of any length.
func clip(s string) string {
	if len(s) <= maxSaying {
		return s
	}
	return strings.ToValidUTF8(s[:maxSaying], "") + "…"
}

// shellLine returns a command line that can be typed.
func shellLine(words []string) string {
	quoted := make([]string, len(words))
	for i, w := range words {
		quoted[i] = shellWord(w)
	}
	return strings.Join(quoted, " ")
}

// typedAgain is shellLine of a command line that was typed, without what may be a
// secret in it: the values of headers, and the names that a URL begins with.
func typedAgain(words []string) string {
	shown := slices.Clone(words)
	for i := 0; i < len(shown) && shown[i] != "--"; i++ {
		switch flag, value, given := strings.Cut(shown[i], "="); {
		case flag != "--header" && flag != "-header":
			shown[i] = urlUser.ReplaceAllString(shown[i], "://***@")
		case given:
			shown[i] = flag + "=" + maskHeader(value)
		case i+1 < len(shown):
			i++
			shown[i] = maskHeader(shown[i])
		}
	}
	return shellLine(shown)
}

// urlUser is who a URL says is asking, before its host.
var urlUser = regexp.MustCompile(`://[^/?#\s]*@`)

// maskHeader leaves of NAME:VALUE the name.
func maskHeader(line string) string {
	name, _, ok := strings.Cut(line, ":")
	if !ok {
		return "***"
	}
	return name + ":***"
}

// shellWord quotes a word for the shell, in bash's way if it would otherwise
// break the line.
func shellWord(w string) string {
	if isPlain(w) {
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

func isAre(n int) string {
	if n == 1 {
		return "is"
	}
	return "are"
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
