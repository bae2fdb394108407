package upload

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"
)

const (
	lateCheck = 250 * time.Millisecond
	lateFrom  = time.Second // less is not worth a second request
	paceOf    = 3           // parts that must have ended before any is late
	paceLast  = 32          // of which the pace is taken
)

// A pace knows the parts of an upload that are under way, and how long others took.
// One connection of many may be far slower than the others, and the end of a file
// would wait for it.
type pace struct {
	mu     sync.Mutex
	flying []*inFlight // in the order of their beginning
	took   []time.Duration
}

// An inFlight is a part under way.
type inFlight struct {
	part  *part
	began time.Time
	ctx   context.Context
	end   context.CancelCauseFunc
	twice bool           // it is sent by a second request too; guarded by pace.mu
	other sync.WaitGroup // that one
}

// errStored ends a request for a part that another request has stored.
var errStored = errors.New("another request has stored the part")

func (c *pace) begin(ctx context.Context, p *part) *inFlight {
	f := &inFlight{part: p, began: time.Now()}
	f.ctx, f.end = context.WithCancelCause(ctx)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.flying = append(c.flying, f)
	return f
}

// land takes out a part whose own request ended with err, waits for the other
// request, if there is one, and returns what came of both.
func (c *pace) land(f *inFlight, err error) error {
	c.mu.Lock()
	c.flying = slices.DeleteFunc(c.flying, func(other *inFlight) bool { return other == f })
	if err == nil {
		c.took = append(c.took[max(0, len(c.took)-paceLast+1):], time.Since(f.began))
		f.end(errStored)
	}
	c.mu.Unlock()
	f.other.Wait()
	if context.Cause(f.ctx) == errStored {
		err = nil
	}
	f.end(nil)
	return err
}

// late returns a part that takes much longer than others did, and will for as long as
// one of them takes; nil if there is none. It is sent twice at most.
func (c *pace) late(now time.Time) *inFlight {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.took) < paceOf {
		return nil
	}
	usual := slices.Sorted(slices.Values(c.took))[len(c.took)/2]
	for _, f := range c.flying {
		age, sent := now.Sub(f.began), f.part.high.Load()
		if f.twice || age < max(2*usual, lateFrom) {
			continue
		}
		if left := f.part.size - sent; left == 0 || float64(age)*float64(left) > float64(usual)*float64(sent) {
			f.twice = true
			f.other.Add(1)
			return f
		}
	}
	return nil
}

// sendLate sends parts that are late a second time, on another connection, when all
// others are under way or stored: until ctx ends. Only where there is room, as long as
// the store does not complain, and where the ETag of a part that is stored twice
// stays the same.
func (t *transfer) sendLate(ctx context.Context, up *upload) {
	tick := time.NewTicker(lateCheck)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			if t.hidesMD5() || !t.u.knowsMD5(t.job.Bucket) || up.proof != 0 {
				continue
			}
			for slot := t.u.slots.spare(weightPart); slot != nil; slot = t.u.slots.spare(weightPart) {
				f := up.pace.late(now)
				if f == nil {
					slot.release(false, 0)
					break
				}
				go t.sendSecond(up, f, slot)
			}
		}
	}
}

// sendSecond sends a part by a second request. If that fails, the first one counts.
func (t *transfer) sendSecond(up *upload, f *inFlight, slot *slot) {
	defer f.other.Done()
	p := f.part
	second := &part{number: p.number, size: p.size, md5: p.md5, crc: p.crc, open: p.open, held: p.held, once: p.once, again: p.again}
	second.high.Store(p.size) // the first request tells how far it got
	if err := t.uploadPart(f.ctx, up, second); err == nil {
		f.end(errStored)
	}
	slot.release(false, 0)
}
