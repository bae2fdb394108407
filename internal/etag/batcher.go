package etag

import (
	"runtime"
	"sync"
)

// A Batcher computes the MD5s of what many goroutines have in memory at the same
// time, side by side: 16 of them take as long as two do one after the other, where
// there is AVX-512. It is safe for use by several goroutines, and starts none.
type Batcher struct {
	most int // batches at once

	mu      sync.Mutex
	hashing int // batches under way
	waiting []*request
	free    []*request
}

// A request is a goroutine's wish for the MD5 of its data.
type request struct {
	data  []byte
	sum   MD5
	woken chan bool // whether it is to hash the next batch; else it has its sum

	batch []*request // that it hashes, if it is to
	lanes [maxWidth]lane
}

// NewBatcher returns a Batcher for so many cores. The wider a kernel is, the fewer
// of them hash at once: the others read meanwhile, and make the next batch large.
func NewBatcher(cores int) *Batcher { return &Batcher{most: max(1, cores/max(2, widest/2))} }

// Room is how many MD5s are computed at once, in all batches.
func (b *Batcher) Room() int { return b.most * widest }

// Sum returns the MD5 of data, which must not change meanwhile. Who comes when fewer
// batches are under way than may be hashes one of those that wait, and its own.
func (b *Batcher) Sum(data []byte) MD5 {
	r, first := b.enter(data)
	if first || <-r.woken {
		runtime.Gosched() // who is about to come may come
		b.hashBatch(r)
		b.next()
	}
	sum := r.sum
	b.leave(r)
	return sum
}

// enter says whether the request is to hash a batch at once. Else it is woken.
func (b *Batcher) enter(data []byte) (r *request, first bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.free); n > 0 {
		r, b.free = b.free[n-1], b.free[:n-1]
	} else {
		r = &request{woken: make(chan bool, 1)}
	}
	r.data = data
	if b.hashing < b.most {
		b.hashing++
		return r, true
	}
	b.waiting = append(b.waiting, r)
	return r, false
}

func (b *Batcher) leave(r *request) {
	b.mu.Lock()
	defer b.mu.Unlock()
	r.data = nil
	b.free = append(b.free, r)
}

// hashBatch hashes what a request has, and those that have waited longest.
func (b *Batcher) hashBatch(r *request) {
	b.mu.Lock()
	r.batch = append(append(r.batch[:0], r), b.take(widest-1)...)
	b.mu.Unlock()
	lanes := r.lanes[:len(r.batch)]
	for i, other := range r.batch {
		lanes[i] = lane{state: start, in: other.data}
	}
	run(widest, lanes)
	for i, other := range r.batch {
		other.sum = lanes[i].sum()
		if other != r {
			other.woken <- false
		}
	}
}

// next has whoever waits longest hash the next batch.
func (b *Batcher) next() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if first := b.take(1); len(first) > 0 {
		first[0].woken <- true
		return
	}
	b.hashing--
}

// take takes at most n of those who wait, for as long as the lock is held.
func (b *Batcher) take(n int) []*request {
	n = min(n, len(b.waiting))
	taken := b.waiting[:n]
	b.waiting = b.waiting[n:]
	return taken
}
