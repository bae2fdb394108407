package upload

import (
	"errors"
	"fmt"

	"github.com/aws/smithy-go"
)

// reason says in few words why a request was refused, for a note.
func reason(err error) string {
	var e smithy.APIError
	if errors.As(err, &e) {
		if s := status(err); s != 0 {
			return fmt.Sprintf("%d %s", s, e.ErrorCode())
		}
		return e.ErrorCode()
	}
	return err.Error()
}

// plural is a count of things.
func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
