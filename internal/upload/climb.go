package upload

import "time"

// A climb finds out whether more requests in flight than usual move more bytes: a
// line on which each connection is slow is filled by many, and one that is full
// already, or a busy store, is not. It tries a quarter more for a round, and stays
// there if that was worth it.
type climb struct {
	most int // never more than this; less than the capacity is no climb
	now  func() time.Time

	from int     // the limit to go back to if the one on trial is not worth it; 0: none is on trial
	rate float64 // bytes a second at that limit
	rest int     // rounds before the next trial

	// The round that is under way. What was sent under the limit before it is not
	// counted.
	early int // weight of the requests that are still to come of those
	began time.Time
	done  int // weight of the others that succeeded
	bytes int64
	idle  bool // nobody waited for a slot: more of them would not be used
}

const (
	worth      = 1.1 // times the bytes a second, of a quarter more requests
	climbPause = 16  // rounds between a trial that was not worth it and the next
)

// next counts a success at this limit, and returns the next one.
func (c *climb) next(limit, weight int, n int64, waits bool) int {
	if c.most <= 0 {
		return limit
	}
	if c.began.IsZero() {
		c.round(limit)
	}
	if c.early > 0 {
		if c.early -= weight; c.early <= 0 {
			c.began = c.now()
		}
		return limit
	}
	c.done += weight
	c.bytes += n
	c.idle = c.idle || !waits
	if c.done < limit {
		return limit
	}
	rate := float64(c.bytes) / max(c.now().Sub(c.began), time.Microsecond).Seconds()
	switch {
	case c.from == 0 && c.rest > 0:
		c.rest--
	case c.from > 0 && (c.idle || rate < worth*c.rate):
		limit, c.from, c.rest = c.from, 0, climbPause
	case !c.idle && limit < c.most:
		c.from, c.rate = limit, rate
		limit = min(limit+max(limit/4, 1), c.most)
	default:
		c.from = 0
	}
	c.round(limit)
	return limit
}

// round begins another one.
func (c *climb) round(limit int) {
	c.early, c.began, c.done, c.bytes, c.idle = limit, c.now(), 0, 0, false
}
