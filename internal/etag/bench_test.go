package etag

import (
	"crypto/md5"
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"
)

// BenchmarkLanes tells how long lanes take together, as a multiple of the time
// that crypto/md5 takes for one of them. The two are timed in turn, and the best
// of each is compared, so that a busy machine does little harm.
func BenchmarkLanes(b *testing.B) {
	const size = 32 << 10
	data := newChance(1).bytes(maxWidth * size)

	b.Run("Hasher", func(b *testing.B) {
		h := NewHasher()
		compare(b, data[:size], func() { h.Write(data[:size]) })
	})
	b.Run("Hasher out of phase", func(b *testing.B) {
		h := NewHasher()
		h.Write(data[:5])
		h.EndPart()
		compare(b, data[:size], func() { h.Write(data[:size]) })
	})
	b.Run("plain Go/1", func(b *testing.B) {
		var s state
		compare(b, data[:size], func() { plainBlock1(&s, data[:size]) })
	})
	b.Run("plain Go/2", func(b *testing.B) {
		var s, t state
		compare(b, data[:size], func() { plainBlock2(&s, &t, data[:size], data[size:2*size]) })
	})
	for _, width := range widths(b) {
		for _, n := range []int{1, 2, 3, 4, 5, 6, 8, 16} {
			b.Run(fmt.Sprintf("width %d/%d", width, n), func(b *testing.B) {
				lanes := make([]lane, n)
				compare(b, data[:size], func() {
					for i := range lanes {
						lanes[i].in = data[i*size:][:size]
					}
					run(width, lanes)
				})
			})
		}
	}
}

// compare reports how long run takes as a multiple of the MD5 of p.
func compare(b *testing.B, p []byte, run func()) {
	h := md5.New()
	one, all := time.Duration(math.MaxInt64), time.Duration(math.MaxInt64)
	for b.Loop() {
		begin := time.Now()
		h.Write(p)
		between := time.Now()
		run()
		one, all = min(one, between.Sub(begin)), min(all, time.Since(between))
	}
	b.ReportMetric(float64(all)/float64(one), "x-md5")
	b.ReportMetric(0, "ns/op")
}

// BenchmarkMultiHasher tells how long so many part sizes take, as a multiple of
// the time of one MD5 of the whole.
func BenchmarkMultiHasher(b *testing.B) {
	data := newChance(1).bytes(32 << 10)
	for _, n := range []int{1, 2, 4, 8, 16} {
		b.Run(fmt.Sprint(n), func(b *testing.B) {
			var sizes []int64
			for i := range n {
				sizes = append(sizes, int64(i+1)<<20)
			}
			h := NewMultiHasher(sizes...)
			compare(b, data, func() { h.Write(data) })
		})
	}
}

// BenchmarkBatcher tells how long small files take whose MD5s are computed
// together, beside one each for itself, on all cores.
func BenchmarkBatcher(b *testing.B) {
	data := newChance(1).bytes(64 << 10)
	for _, way := range []struct {
		name string
		sum  func([]byte) MD5
	}{{"together", NewBatcher(runtime.GOMAXPROCS(0)).Sum}, {"alone", Sum}} {
		b.Run(way.name, func(b *testing.B) {
			b.SetParallelism(8)
			b.SetBytes(int64(len(data)))
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					way.sum(data)
				}
			})
		})
	}
}
