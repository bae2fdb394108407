package etag

import (
	"crypto/md5"
	"runtime"
	"sync"
	"testing"
)

// Many goroutines get the MD5 of what is theirs, over and over, whatever the sizes.
func TestBatcher(t *testing.T) {
	for _, most := range []int{1, 3} {
		b := &Batcher{most: most}
		var workers sync.WaitGroup
		for g := range 40 {
			workers.Go(func() {
				c := newChance(uint64(g))
				for range 50 {
					data := c.bytes(int(c.Uint64() % (5 * blockSize)))
					if got, want := b.Sum(data), MD5(md5.Sum(data)); got != want {
						t.Errorf("%d bytes: got %v, want %v", len(data), got, want)
					}
				}
			})
		}
		workers.Wait()
		if b.hashing != 0 || len(b.waiting) != 0 || len(b.free) > 40 {
			t.Errorf("at most %d: in the end %d hash, %d wait, and there are %d requests", most, b.hashing, len(b.waiting), len(b.free))
		}
	}
}

// Those that come while a batch is hashed are the next one.
func TestBatcherGathers(t *testing.T) {
	b := &Batcher{most: 1, hashing: 1}
	data := newChance(1).bytes(3 * blockSize)
	var workers sync.WaitGroup
	for range widest {
		workers.Go(func() {
			if got, want := b.Sum(data), MD5(md5.Sum(data)); got != want {
				t.Errorf("got %v, want %v", got, want)
			}
		})
	}
	for came := 0; came < widest; runtime.Gosched() {
		b.mu.Lock()
		came = len(b.waiting)
		b.mu.Unlock()
	}
	b.next()
	workers.Wait()
	batches := 0
	for _, r := range b.free {
		if len(r.batch) > 0 {
			batches++
		}
	}
	if batches != 1 || b.hashing != 0 {
		t.Errorf("%d batches for %d that waited, and %d are under way", batches, widest, b.hashing)
	}
}
