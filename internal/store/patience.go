package store

import (
	"sync"
	"time"
)

// patience is how long it is worth trying, shared by all calls of a Store: what
// one call learns about the store counts for all.
type patience struct {
	now         func() time.Time
	firstAnswer time.Duration
	retryFor    time.Duration

	mu       sync.Mutex
	first    time.Time // start of the first attempt of all
	answered bool      // the store has answered something, if only a refusal
	progress time.Time // end of the last attempt that succeeded
}

func newPatience(cfg Config, now func() time.Time) *patience {
	return &patience{now: now, firstAnswer: cfg.FirstAnswer, retryFor: cfg.RetryFor}
}

// begin notes the start of an attempt.
func (p *patience) begin() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.first.IsZero() {
		p.first = p.now()
	}
}

// answer notes that the store answered.
func (p *patience) answer() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.answered = true
}

// advance notes that an attempt succeeded.
func (p *patience) advance() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.progress = p.now()
}

// left is how much longer it is worth trying a call whose trouble began then,
// zero or less when it is not. whole is what there was to begin with. The time
// that an attempt took before it failed is not trouble yet: it may have moved.
func (p *patience) left(trouble time.Time) (left, whole time.Duration, answered bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if !p.answered {
		return p.first.Add(p.firstAnswer).Sub(p.now()), p.firstAnswer, false
	}
	since := trouble
	if p.progress.After(since) {
		since = p.progress
	}
	return since.Add(p.retryFor).Sub(p.now()), p.retryFor, true
}

// within bounds what a single step may take: a store that has never answered is
// not waited for longer than patience lasts. A step that sets out late has a
// fair share all the same, as it may be the one that would have succeeded.
func (p *patience) within(d time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answered {
		return d
	}
	left := p.firstAnswer
	if !p.first.IsZero() {
		left = p.first.Add(p.firstAnswer).Sub(p.now())
	}
	return min(d, max(left, p.firstAnswer/5))
}

// firstWait is how long the store may keep silent after a request. Before its
// first answer that is not more than the patience there is for it.
func (p *patience) firstWait(d time.Duration) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.answered {
		return d
	}
	return min(d, p.firstAnswer)
}
