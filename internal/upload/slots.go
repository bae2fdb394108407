package upload

import (
	"container/list"
	"context"
	"sync"
	"time"
)

// What a request in flight weighs.
const (
	weightPart  = 4
	weightSmall = 1
)

// DefaultSlots is the capacity that all uploads of an Uploader share: 16 parts,
// or 64 small objects.
const DefaultSlots = 64

// slots bounds the requests that carry bodies, over all files. Who waits is
// served in the order of asking. It starts with a quarter of its capacity and
// grows with each success; it halves when the store says that it is too much,
// and then grows by one for each round of successes. Beyond its capacity it climbs
// only as long as that moves more bytes.
type slots struct {
	mu       sync.Mutex
	capacity int
	climb    climb
	limit    int // now; more than capacity only where the climb says so
	used     int
	steady   bool // the store has complained once: grow slowly
	credit   int  // weight of successes since the limit last grew
	waiting  list.List
	serial   int // of the newest request
	calm     int // complaints about requests up to this serial have been heard
	told     func(limit int, lowered bool)
}

type waiter struct {
	weight int
	ready  chan struct{}
}

// A slot is the right to have one request in flight.
type slot struct {
	s      *slots
	weight int
	serial int
}

// newSlots returns slots that climb up to most, and that call told when the limit
// was lowered, and when it was raised again by another part.
func newSlots(capacity, most int, told func(limit int, lowered bool)) *slots {
	if capacity <= 0 {
		capacity = DefaultSlots
	}
	return &slots{capacity: capacity, climb: climb{most: most, now: time.Now}, limit: max(capacity/4, min(weightPart, capacity)), told: told}
}

// now returns the limit.
func (s *slots) now() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.limit
}

// acquire waits for room. A request that weighs more than there is in all gets
// all there is.
func (s *slots) acquire(ctx context.Context, weight int) (*slot, error) {
	s.mu.Lock()
	w := &waiter{weight: min(weight, s.capacity), ready: make(chan struct{})}
	element := s.waiting.PushBack(w)
	s.serve()
	s.mu.Unlock()
	select {
	case <-w.ready:
	case <-ctx.Done():
		s.mu.Lock()
		defer s.mu.Unlock()
		select {
		case <-w.ready: // it came at the same moment
			s.used -= w.weight
		default:
			s.waiting.Remove(element)
		}
		s.serve()
		return nil, ctx.Err()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.serial++
	return &slot{s: s, weight: w.weight, serial: s.serial}, nil
}

// serve lets in who waits, as long as there is room. One request is always let
// in, however low the limit. The caller holds s.mu.
func (s *slots) serve() {
	for e := s.waiting.Front(); e != nil; e = s.waiting.Front() {
		w := e.Value.(*waiter)
		if s.used > 0 && s.used+w.weight > s.limit {
			return
		}
		s.used += w.weight
		s.waiting.Remove(e)
		close(w.ready)
	}
}

// release gives the slot back, after a request that carried n bytes. A success
// makes the limit grow: at first by its own weight, which doubles the limit with
// each round; after the first complaint by one for each round.
func (t *slot) release(success bool, n int64) {
	s := t.s
	s.mu.Lock()
	before := s.limit
	s.used -= t.weight
	if success && s.limit < s.capacity {
		s.credit += t.weight
		if !s.steady {
			s.limit, s.credit = min(s.limit+t.weight, s.capacity), 0
		} else if s.credit >= s.limit {
			s.limit, s.credit = s.limit+1, 0
		}
	} else if success && !s.steady {
		s.limit = s.climb.next(s.limit, t.weight, n, s.waiting.Len() > 0)
	}
	limit, again := s.limit, s.steady && s.limit/weightPart > before/weightPart
	s.serve()
	s.mu.Unlock()
	if again {
		s.told(limit, false)
	}
}

// throttled is called when the store said SlowDown. Requests that were under
// way already when the limit was halved complain of the old one and are not
// heard again.
func (s *slots) throttled() (limit int) {
	s.mu.Lock()
	s.steady = true
	s.limit = min(s.limit, s.capacity)
	before := s.limit
	if s.used == 0 || s.calm < s.serial {
		s.calm = s.serial
		s.limit, s.credit = max(s.limit/2, 1), 0
	}
	limit = s.limit
	s.mu.Unlock()
	if limit < before {
		s.told(limit, true)
	}
	return limit
}
