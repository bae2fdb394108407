package upload

import (
	"bytes"
	"context"
	"io"
	"sync"

	"golang.org/x/sync/semaphore"
)

// held is the memory in which parts of files wait to be sent, where a file is read
// once: a buffer for a part, as many as the budget holds. Elsewhere the bytes of a
// file that was just read are in the kernel's cache, and cost nothing to read
// again.
type held struct {
	budget *semaphore.Weighted
	most   int64
	free   sync.Pool // of *[]byte, of any size
}

func newHeld(budget int64) *held { return &held{budget: semaphore.NewWeighted(budget), most: budget} }

// take waits for room for a part, and returns an empty buffer of that capacity.
func (h *held) take(ctx context.Context, size int64) ([]byte, error) {
	if err := h.budget.Acquire(ctx, size); err != nil {
		return nil, err
	}
	if b, ok := h.free.Get().(*[]byte); ok && int64(cap(*b)) >= size {
		return (*b)[:0:size], nil
	}
	return make([]byte, 0, size), nil
}

// give gives a buffer back.
func (h *held) give(b []byte) {
	if b == nil {
		return
	}
	h.budget.Release(int64(cap(b)))
	h.free.Put(&b)
}

// readsOnce says whether the file is to be read once only: it was asked for, or
// what is read again would come from far away, because the kernel's cache cannot
// hold it as long as it takes to send it.
func (t *transfer) readsOnce(part int64) bool {
	inFlight := part * int64(max(t.o.Slots, t.o.MostSlots)/weightPart+1)
	once := t.o.ReadOnce || t.o.PageCache > 0 && inFlight > t.o.PageCache/2 && isFarAway(t.src.file)
	if once && part > t.u.held.most {
		t.note("%s is read twice: what is sent at a time (%s) does not fit into the memory that it may take (%s)",
			t.src.name, byteSize(part), byteSize(t.u.held.most))
		return false
	}
	return once
}

// reader returns the bytes of the part from memory, if they are held.
func (p *part) reader() io.ReadSeeker {
	if p.held != nil {
		return bytes.NewReader(p.held)
	}
	return p.open()
}
