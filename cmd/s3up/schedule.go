package main

import (
	"container/heap"
	"sync"
)

// lookAhead is how many files are known before they are begun, at most.
const lookAhead = 1000

// maxLarge is how many large files are under way at once: enough for one to be copied
// on the server while others are sent, and few enough for each to be done soon.
const maxLarge = 8

// A schedule hands tasks to the workers who do them. Small files go in the order in
// which they came; large ones, the largest first, as soon as they are seen, so that
// none of them is begun when all else is done. It holds lookAhead tasks at most.
type schedule struct {
	isLarge func(*task) bool

	mu    sync.Mutex
	room  *sync.Cond // for who adds
	work  *sync.Cond // for who takes
	small []*task
	large largest
	begun int // large ones that are under way
	ended bool
}

func newSchedule(isLarge func(*task) bool) *schedule {
	s := &schedule{isLarge: isLarge}
	s.room, s.work = sync.NewCond(&s.mu), sync.NewCond(&s.mu)
	return s
}

// add waits for room for a task.
func (s *schedule) add(t *task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(s.small)+len(s.large) >= lookAhead {
		s.room.Wait()
	}
	if s.isLarge(t) {
		heap.Push(&s.large, t)
	} else {
		s.small = append(s.small, t)
	}
	s.work.Signal()
}

// end says that nothing more is added.
func (s *schedule) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.work.Broadcast()
}

// take waits for a task to do; done must be called with it. It returns nil when there
// are no more.
func (s *schedule) take() *task {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case len(s.large) > 0 && s.begun < maxLarge:
			s.begun++
			s.room.Signal()
			return heap.Pop(&s.large).(*task)
		case len(s.small) > 0:
			t := s.small[0]
			s.small[0] = nil
			s.small = s.small[1:]
			s.room.Signal()
			return t
		case s.ended && len(s.large) == 0:
			s.work.Broadcast() // nor for those who wait for a large one
			return nil
		}
		s.work.Wait()
	}
}

// done says that a task is done.
func (s *schedule) done(t *task) {
	if !s.isLarge(t) {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.begun--
	s.work.Signal()
}

// largest is a heap of tasks, see container/heap.
type largest []*task

func (l largest) Len() int           { return len(l) }
func (l largest) Less(i, j int) bool { return l[i].info.Size() > l[j].info.Size() }
func (l largest) Swap(i, j int)      { l[i], l[j] = l[j], l[i] }
func (l *largest) Push(t any)        { *l = append(*l, t.(*task)) }
func (l *largest) Pop() any {
	last := len(*l) - 1
	t := (*l)[last]
	(*l)[last] = nil
	*l = (*l)[:last]
	return t
}
