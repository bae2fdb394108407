package etag

import (
	"context"
	"errors"
	"io"
	"sync"
	"sync/atomic"
)

// readSize is how much of a part is read at a time: the buffers of 16 parts stay
// in a core's cache between reading and hashing.
const readSize = 64 << 10

// SumParts returns the MD5 of every part of the first size bytes of r, which is
// cut into parts of partSize bytes, the last of which may be smaller. Each of
// the workers, one for each core at best, hashes up to 16 parts side by side and
// has 64 KiB of memory for each. Calls of ReadAt are concurrent and not in the
// order of the file. An r that ends early is io.ErrUnexpectedEOF.
//
// The MD5 of the whole is no by-product: it takes the bytes in order, which is
// what a Hasher is for.
func SumParts(ctx context.Context, r io.ReaderAt, size, partSize int64, workers int) ([]MD5, error) {
	parts := int((size + partSize - 1) / partSize)
	workers = max(1, min(workers, parts))
	group := min(widest, (parts+workers-1)/workers)
	sums := make([]MD5, parts)

	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	var taken atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			buf := make([]byte, group*readSize)
			for {
				first := int(taken.Add(int64(group))) - group
				if first >= parts {
					return
				}
				if err := sumSideBySide(ctx, r, size, partSize, first, sums[first:min(first+group, parts)], buf); err != nil {
					stop(err)
					return
				}
			}
		})
	}
	wg.Wait()
	if err := context.Cause(ctx); err != nil {
		return nil, err
	}
	return sums, nil
}

// sumSideBySide computes the MD5s of consecutive parts, from the first on, which
// is counted from 0.
func sumSideBySide(ctx context.Context, r io.ReaderAt, size, partSize int64, first int, sums []MD5, buf []byte) error {
	lanes := make([]lane, len(sums))
	for i := range lanes {
		lanes[i].state = start
	}
	for done := int64(0); done < partSize && int64(first)*partSize+done < size; done += readSize {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		for i := range lanes {
			offset := int64(first+i)*partSize + done
			n := max(0, min(readSize, partSize-done, size-offset))
			lanes[i].in = buf[i*readSize:][:n]
			if got, err := r.ReadAt(lanes[i].in, offset); got < int(n) {
				if errors.Is(err, io.EOF) {
					err = io.ErrUnexpectedEOF
				}
				return err
			}
		}
		run(widest, lanes)
	}
	for i := range lanes {
		sums[i] = lanes[i].sum()
	}
	return nil
}
