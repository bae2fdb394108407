package main

import (
	"fmt"
	"strings"

	"s3up/internal/store"
)

// attemptLine tells of one request. It names nothing that is secret: no headers
// and no URL.
func attemptLine(a store.Attempt) string {
	var b strings.Builder
	fmt.Fprintf(&b, "%s s3://%s", a.Op, a.Bucket)
	if a.Key != "" {
		fmt.Fprintf(&b, "/%s", a.Key)
	}
	if a.Part > 0 {
		fmt.Fprintf(&b, " part %d", a.Part)
	}
	if a.Number > 1 {
		fmt.Fprintf(&b, " attempt %d", a.Number)
	}
	switch {
	case a.Status != 0 && a.Code != "":
		fmt.Fprintf(&b, ": %d %s", a.Status, clip(a.Code))
	case a.Status != 0 && a.Err != nil:
		fmt.Fprintf(&b, ": %d, %s", a.Status, rootCause(a.Err))
	case a.Status != 0:
		fmt.Fprintf(&b, ": %d", a.Status)
	case a.Err != nil:
		fmt.Fprintf(&b, ": %s", rootCause(a.Err))
	}
	if a.RequestID != "" {
		fmt.Fprintf(&b, ", request id %s", clip(a.RequestID))
	}
	fmt.Fprintf(&b, ", %s", span(a.Duration))
	return b.String()
}
