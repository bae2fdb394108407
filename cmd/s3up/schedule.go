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
// which they came, no more of them at once than most says: what waits to be sent has left
// the processor's cache by then, and each worker has a stack to keep. Large ones go the
// largest first, as soon as they are seen, so that none of them is begun when all else is
// done. It holds lookAhead tasks at most.
type schedule struct {
	isLarge func(*task) bool
	most    func() int

	mu    sync.Mutex
	room  *sync.Cond      // for who adds
	idle  []chan struct{} // workers who wait; the last one goes first: its stack has grown already
	small []*task
	large largest
	begun int // large ones that are under way
	busy  int // small ones that are; streams, which wait for who writes them, do not count
	ended bool
}

func newSchedule(isLarge func(*task) bool, most func() int) *schedule {
	s := &schedule{isLarge: isLarge, most: most}
	s.room = sync.NewCond(&s.mu)
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
	s.wake()
}

// end says that nothing more is added.
func (s *schedule) end() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended = true
	s.wake()
}

// wake calls a worker, if there is something to do for one. The caller holds s.mu.
func (s *schedule) wake() {
	if n := len(s.idle); n > 0 && (s.mayBegin() || s.isOver()) {
		close(s.idle[n-1])
		s.idle = s.idle[:n-1]
	}
}

// mayBegin says whether there is a task that may be begun now.
func (s *schedule) mayBegin() bool {
	return len(s.large) > 0 && s.begun < maxLarge || len(s.small) > 0 && (s.busy < s.most() || s.small[0].isStream())
}

// isOver says whether there will be nothing to do for one more worker.
func (s *schedule) isOver() bool { return s.ended && len(s.large)+len(s.small) == 0 }

// take waits for a task to do; done must be called with it. It returns nil when there
// are no more.
func (s *schedule) take() *task {
	s.mu.Lock()
	defer s.mu.Unlock()
	for !s.mayBegin() && !s.isOver() {
		called := make(chan struct{})
		s.idle = append(s.idle, called)
		s.mu.Unlock()
		<-called
		s.mu.Lock()
	}
	if s.isOver() {
		s.wake()
		return nil
	}
	var t *task
	if len(s.large) > 0 && s.begun < maxLarge {
		s.begun++
		t = heap.Pop(&s.large).(*task)
	} else {
		t = s.small[0]
		s.small[0] = nil
		s.small = s.small[1:]
		if !t.isStream() {
			s.busy++
		}
	}
	s.room.Signal()
	s.wake()
	return t
}

// done says that a task is done. Who says it takes the next one.
func (s *schedule) done(t *task) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.isLarge(t):
		s.begun--
	case !t.isStream():
		s.busy--
	}
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
