package store

import (
	"sync/atomic"
	"testing"
	"time"

	"s3up/internal/s3test"
)

// The sessions of directory buckets live by the store's clock, and their requests
// are signed by it, however far from it this machine's is.
func TestSessionsByTheStoresClock(t *testing.T) {
	for _, off := range []time.Duration{5 * time.Minute, -5 * time.Minute, 20 * time.Minute, -20 * time.Minute} {
		srv, look, _ := openDirectory(t, s3test.Options{Now: func() time.Time { return time.Now().Add(off) }})
		for range 3 {
			if err := look(t.Context()); err != nil {
				t.Errorf("the store's clock is off by %v: %v", off, err)
			}
		}
		requests := 1
		if off.Abs() > 15*time.Minute {
			requests = 2 // of which the first is refused, and says what time it is
		}
		if n := srv.Count("CreateSession"); n != requests {
			t.Errorf("the store's clock is off by %v: got %d requests for a session, want %d", off, n, requests)
		}
		if n := srv.Count("HeadObject"); n != 3 {
			t.Errorf("the store's clock is off by %v: got %d requests for 3 looks", off, n)
		}
	}
}

// A clock that is set while the program runs is noticed by the answer to HEAD,
// which has no words: one that was right, and one that was wrong.
func TestClockIsSet(t *testing.T) {
	for _, bucket := range []string{"bucket", directoryBucket} {
		var off atomic.Int64
		_, look, _ := openBucket(t, bucket, s3test.Options{Now: func() time.Time { return time.Now().Add(time.Duration(off.Load())) }})
		for _, d := range []time.Duration{0, -20 * time.Minute, 0} {
			off.Store(int64(d))
			if err := look(t.Context()); err != nil {
				t.Errorf("%s, the store's clock is off by %v: %v", bucket, d, err)
			}
		}
	}
}
