package upload_test

import (
	"context"
	"net/http"
	"sync"
	"testing"
	"time"

	"s3up/internal/s3test"
	"s3up/internal/store"
)

// A part that is late in the end is sent by a second request as well. Whichever is
// answered first counts, the other one is given up, and one that fails does no harm.
func TestLatePart(t *testing.T) {
	once := sourceKind{"file that is read once", file}
	for _, source := range append(sources, once) {
		for name, test := range map[string]struct {
			first, second s3test.Fault
		}{
			"the second is stored":  {first: s3test.Fault{Hold: make(chan struct{})}},
			"the first is stored":   {second: s3test.Fault{Hold: make(chan struct{})}},
			"the second is refused": {second: s3test.Fault{Do: s3test.Refuse}},
		} {
			t.Run(source.name+", "+name, func(t *testing.T) {
				t.Parallel()
				second := make(chan struct{}) // has come, or was refused
				came := sync.OnceFunc(func() { close(second) })
				st := newStand(t, s3test.Options{Log: func(r s3test.Record) {
					if r.Status == http.StatusForbidden {
						came()
					}
				}}, patient)
				first := test.first
				if first.Hold == nil {
					first.Hold = second
				}
				if test.second.Do == s3test.None {
					test.second.Hook = came
				}
				first.Op, test.second.Op = "UploadPart 3", "UploadPart 3"
				st.Fault(first)
				st.Fault(test.second)
				data := random(8*st.part+5, name)
				r := st.upload(t, source.of(t, data), "k", hurried(t), func(r *run) { r.ReadOnce = source.name == once.name })
				st.check(t, r, "k", data)
				if n := st.Count("UploadPart"); n != 10 {
					t.Errorf("9 parts were sent by %d requests, want one more", n)
				}
			})
		}
	}
}

// patient waits longer for an answer than any test takes.
func patient(c *store.Config) { c.StallTimeout = time.Hour }

// hurried ends a run that hangs.
func hurried(t *testing.T) func(*run) {
	return func(r *run) {
		var cancel context.CancelFunc
		r.ctx, cancel = context.WithTimeout(r.ctx, 20*time.Second)
		t.Cleanup(cancel)
	}
}
