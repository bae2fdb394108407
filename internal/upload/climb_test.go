package upload

import (
	"slices"
	"testing"
	"time"
)

// A world sends parts as slots allow, on a clock of its own.
type world struct {
	now    time.Time
	slots  *slots
	took   func(inFlight int) time.Duration // a part that begins now
	queue  []*waiter                        // oldest first
	flying []flight                         // by their ends
	most   int                              // parts in flight, at any time
}

type flight struct {
	ends time.Time
	slot *slot
}

const partSize = 16 * MiB

// send sends parts. ahead is how many at most wait for a slot.
func (w *world) send(parts, ahead int) {
	for parts > 0 || len(w.queue) > 0 || len(w.flying) > 0 {
		for parts > 0 && len(w.queue) < ahead {
			parts--
			one := &waiter{weight: weightPart, ready: make(chan struct{})}
			w.queue = append(w.queue, one)
			w.slots.waiting.PushBack(one)
		}
		w.slots.serve()
		for len(w.queue) > 0 {
			select {
			case <-w.queue[0].ready:
				w.slots.serial++
				f := flight{slot: &slot{s: w.slots, weight: weightPart, serial: w.slots.serial}}
				f.ends = w.now.Add(w.took(len(w.flying) + 1))
				w.flying = append(w.flying, f)
				slices.SortFunc(w.flying, func(a, b flight) int { return a.ends.Compare(b.ends) })
				w.queue = w.queue[1:]
				continue
			default:
			}
			break
		}
		w.most = max(w.most, len(w.flying))
		first := w.flying[0]
		w.flying = w.flying[1:]
		w.now = first.ends
		first.slot.release(true, partSize)
	}
}

func newWorld(capacity, most int, took func(int) time.Duration) *world {
	w := &world{now: time.Unix(0, 0), took: took}
	w.slots = newSlots(capacity, most, func(int, bool) {})
	w.slots.climb.now = func() time.Time { return w.now }
	return w
}

// More requests are in flight where that moves more bytes, and there alone.
func TestClimb(t *testing.T) {
	alone := func(perSecond int64) func(int) time.Duration { // each connection has that, however many there are
		return func(int) time.Duration { return time.Duration(partSize) * time.Second / time.Duration(perSecond) }
	}
	shared := func(perSecond int64) func(int) time.Duration { // all share that
		return func(n int) time.Duration {
			return time.Duration(partSize) * time.Duration(n) * time.Second / time.Duration(perSecond)
		}
	}
	for _, tt := range []struct {
		name        string
		took        func(int) time.Duration
		most        int
		least, high int // parts in flight at any time
	}{
		{"slow connections", alone(10 * MiB), 256, 64, 64},
		{"a line that is full", shared(100 * MiB), 256, 16, 20},
		{"nothing more is allowed", alone(10 * MiB), 64, 16, 16},
		{"not asked for", alone(10 * MiB), 0, 16, 16},
	} {
		w := newWorld(DefaultSlots, tt.most, tt.took)
		w.send(3000, 4)
		if w.most < tt.least || w.most > tt.high {
			t.Errorf("%s: %d parts in flight at the most, want %d to %d", tt.name, w.most, tt.least, tt.high)
		}
		if limit := w.slots.limit; tt.high == 20 && limit > DefaultSlots*5/4 {
			t.Errorf("%s: the limit is %d in the end", tt.name, limit)
		}
	}
}

// A line that has room up to a point is climbed to there, and after a complaint
// nothing is tried any more.
func TestClimbEnds(t *testing.T) {
	knee := func(n int) time.Duration { // 30 connections of 10 MiB/s fill it
		return time.Duration(max(n, 30)) * time.Duration(partSize) * time.Second / (300 * MiB)
	}
	w := newWorld(DefaultSlots, 400, knee)
	w.send(3000, 4)
	if w.most < 28 || w.most > 48 {
		t.Errorf("%d parts in flight at the most, want some 30", w.most)
	}
	w.slots.throttled()
	if limit := w.slots.limit; limit > DefaultSlots/2 {
		t.Errorf("the limit is %d after a complaint, want half of the capacity at most", limit)
	}
	w.send(3000, 4)
	if limit := w.slots.limit; limit != DefaultSlots {
		t.Errorf("the limit is %d after many successes, want the capacity", limit)
	}
}

// Where nobody waits for a slot, more of them are of no use.
func TestClimbNobodyWaits(t *testing.T) {
	c := climb{most: 256, now: func() time.Time { return time.Unix(0, 0) }}
	limit := DefaultSlots
	for range 1000 {
		limit = c.next(limit, weightPart, partSize, false)
	}
	if limit != DefaultSlots {
		t.Errorf("the limit is %d", limit)
	}
}
