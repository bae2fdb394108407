package store

import (
	"context"
	"io"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	// What is read of a body at once lasts a tenth of a second at most: the flow is even,
	// and connections that share it get their turn long before anything stalls.
	chunksPerSecond = 10
	leastChunk      = 512
)

// A throttle holds all bodies together to a rate, which may change with the time
// of day.
type throttle struct {
	rate  func(time.Time) int64 // bytes a second; 0: as fast as it goes
	now   func() time.Time
	sleep func(context.Context, time.Duration) error

	mu      sync.Mutex
	current int64
	limiter *rate.Limiter
}

func newThrottle(cfg Config) *throttle {
	if cfg.Bandwidth == nil {
		return nil
	}
	return &throttle{rate: cfg.Bandwidth, now: time.Now, sleep: sleep, limiter: rate.NewLimiter(rate.Inf, 0)}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// reserve takes the right to n bytes, or to as many of them as go at once, and
// says how long to wait for it.
func (t *throttle) reserve(n int) (granted int, wait time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	now := t.now()
	if r := t.rate(now); r != t.current {
		t.current = r
		limit, burst := rate.Inf, 0
		if r > 0 {
			limit, burst = rate.Limit(r), int(min(max(r/chunksPerSecond, leastChunk), block))
		}
		t.limiter.SetLimitAt(now, limit)
		t.limiter.SetBurstAt(now, burst)
	}
	if t.current <= 0 {
		return n, 0
	}
	n = min(n, t.limiter.Burst())
	return n, t.limiter.ReserveN(now, n).DelayFrom(now)
}

// limited is a body that is read as fast as the throttle lets it. Who waits does
// not write, and a connection that is not written to does not stall.
type limited struct {
	io.ReadCloser
	ctx      context.Context
	throttle *throttle
	left     int64 // bytes of it; net/http asks for more, to see that there are none
}

func (l *limited) Read(p []byte) (int, error) {
	n := int(min(int64(len(p)), l.left))
	if n == 0 {
		return l.ReadCloser.Read(p)
	}
	n, wait := l.throttle.reserve(n)
	if wait > 0 {
		if err := l.throttle.sleep(l.ctx, wait); err != nil {
			return 0, err
		}
	}
	n, err := l.ReadCloser.Read(p[:n])
	l.left -= int64(n)
	return n, err
}
