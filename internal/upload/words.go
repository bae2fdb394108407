package upload

import (
	"errors"
	"fmt"
	"strings"

	"github.com/aws/smithy-go"
)

// reason says in few words why a request was refused, for a note.
func reason(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		if s := status(err); s != 0 {
			return fmt.Sprintf("%d %s", s, clip(e.ErrorCode()))
		}
		return clip(e.ErrorCode())
	}
	return clip(err.Error())
}

// maxSaying is how much of what a store says goes into a note or an error.
const maxSaying = 200

// clip shortens what a store says: it may be of any length.
func clip(s string) string {
	if len(s) <= maxSaying {
		return s
	}
	return strings.ToValidUTF8(s[:maxSaying], "") + "…"
}

// plural is a count of things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
