package main

import (
	"io/fs"
	"math"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// A sized is the fs.FileInfo of a file that is not there.
type sized int64

func (s sized) Size() int64      { return int64(s) }
func (sized) Name() string       { return "file" }
func (sized) Mode() fs.FileMode  { return 0o644 }
func (sized) ModTime() time.Time { return time.Time{} }
func (sized) IsDir() bool        { return false }
func (sized) Sys() any           { return nil }

func isOverTen(t *task) bool { return t.info.Size() > 10 }

func noBound() int { return math.MaxInt }

// Large files come first, the largest of them before the others, a few at a time;
// small ones in their order.
func TestScheduleOrder(t *testing.T) {
	s := newSchedule(isOverTen, noBound)
	for _, size := range []int64{1, 20, 2, 30, 3} {
		s.add(&task{info: sized(size)})
	}
	s.end()
	for i, want := range []int64{30, 20, 1, 2, 3} {
		if got := s.take(); got.info.Size() != want {
			t.Errorf("task %d: size %d, want %d", i, got.info.Size(), want)
		}
	}
	if s.take() != nil {
		t.Error("there is a task more than were added")
	}

	s = newSchedule(isOverTen, noBound)
	var first *task
	for range maxLarge + 1 {
		s.add(&task{info: sized(20)})
	}
	s.add(&task{info: sized(1)})
	s.end()
	for i := range maxLarge {
		next := s.take()
		if next.info.Size() != 20 {
			t.Errorf("large task %d has size %d", i, next.info.Size())
		}
		first = next
	}
	if next := s.take(); next.info.Size() != 1 {
		t.Errorf("with %d large ones under way, one of size %d was begun", maxLarge, next.info.Size())
	}
	s.done(first)
	if next := s.take(); next.info.Size() != 20 {
		t.Error("no large one was begun when another was done")
	}
}

// A million files pass through and leave nothing behind, and each is done once.
func TestScheduleOfAMillion(t *testing.T) {
	const files = 1_000_000
	s := newSchedule(isOverTen, noBound)
	var done, bytes, large, most atomic.Int64
	var workers sync.WaitGroup
	for range fileWorkers {
		workers.Go(func() {
			for next := s.take(); next != nil; next = s.take() {
				if isOverTen(next) {
					most.Store(max(most.Load(), large.Add(1)))
					large.Add(-1)
				}
				bytes.Add(next.info.Size())
				done.Add(1)
				s.done(next)
			}
		})
	}
	heap := func() int64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	before, want, grown := heap(), int64(0), int64(0)
	for i := range files {
		size := int64(i % 10)
		if i%1000 == 0 {
			size = 100
		}
		want += size
		s.add(&task{source: "file", key: "file", info: sized(size)})
		if i%100_000 == 99_999 {
			grown = max(grown, heap()-before)
		}
	}
	s.end()
	workers.Wait()
	if done.Load() != files || bytes.Load() != want {
		t.Errorf("%d files of %d bytes were done, want %d of %d", done.Load(), bytes.Load(), files, want)
	}
	if most.Load() > maxLarge {
		t.Errorf("%d large files at once", most.Load())
	}
	if grown > 4<<20 {
		t.Errorf("%d bytes more on the heap with 100,000 files more", grown)
	}
}

// No more small files are under way at once than the bound says, which may rise; large
// ones do not count, nor do streams.
func TestScheduleBound(t *testing.T) {
	bound := 2
	s := newSchedule(isOverTen, func() int { return bound })
	for range 10 {
		s.add(&task{info: sized(1)})
	}
	s.add(&task{info: sized(20)})
	var begun []*task
	begin := func(want int) {
		t.Helper()
		for range want {
			if !s.mayBegin() {
				t.Fatalf("after %d, none may be begun", len(begun))
			}
			begun = append(begun, s.take())
		}
		if s.mayBegin() {
			t.Errorf("more than %d may be begun", len(begun))
		}
	}
	begin(3) // the large one, and two small ones
	s.done(begun[0])
	begin(0)
	s.done(begun[1])
	begin(1)
	bound = 4
	begin(2)

	bound = 0
	s = newSchedule(isOverTen, func() int { return bound })
	s.add(&task{info: sized(1), more: true})
	s.add(&task{info: sized(1)})
	begin(1) // the stream
	s.done(begun[len(begun)-1])
	begin(0)
}
