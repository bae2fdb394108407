package etag_test

import (
	"bytes"
	"context"
	"crypto/md5"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"

	"s3up/internal/etag"
)

// partsOf are the MD5s that crypto/md5 computes of the parts.
func partsOf(data []byte, partSize int) []etag.MD5 {
	var sums []etag.MD5
	for part := range slices.Chunk(data, partSize) {
		sums = append(sums, md5.Sum(part))
	}
	return sums
}

func random(n int, seed uint64) []byte {
	var key [32]byte
	key[0], key[1] = byte(seed), byte(seed>>8)
	data := make([]byte, n)
	rand.NewChaCha8(key).Read(data)
	return data
}

// FuzzHasher writes data in blocks, and ends parts, of the lengths that it is
// given, over and over.
func FuzzHasher(f *testing.F) {
	f.Add([]byte("abc"), []byte{1}, []byte{2})
	f.Add(random(1000, 1), []byte{64, 0, 63, 65}, []byte{128})
	f.Add(random(5000, 2), []byte{255, 255}, []byte{1, 200, 0, 77})
	f.Add(random(5000, 3), []byte{100}, []byte{})
	f.Fuzz(func(t *testing.T, data, blocks, parts []byte) {
		h := etag.NewHasher()
		var done, partStart, b, p int
		partLeft := func() int {
			if len(parts) == 0 {
				return len(data)
			}
			return 10*int(parts[p%len(parts)]) + p%2
		}
		left := partLeft()
		for ; done < len(data); b++ {
			n := len(data) - done
			if len(blocks) > 0 {
				n = min(n, 3*int(blocks[b%len(blocks)])+1)
			}
			n = min(n, left)
			h.Write(data[done : done+n])
			done += n
			if left -= n; left == 0 {
				if got, want := h.EndPart(), etag.MD5(md5.Sum(data[partStart:done])); got != want {
					t.Fatalf("part of bytes %d to %d: got %v, want %v", partStart, done, got, want)
				}
				partStart = done
				p++
				left = max(1, partLeft())
			}
			if got, want := h.Whole(), etag.MD5(md5.Sum(data[:done])); b%16 == 0 && got != want {
				t.Fatalf("first %d bytes: got %v, want %v", done, got, want)
			}
		}
		if got, want := h.Whole(), etag.MD5(md5.Sum(data)); got != want {
			t.Fatalf("whole: got %v, want %v", got, want)
		}
	})
}

func TestMultiHasher(t *testing.T) {
	data := random(10_000, 4)
	sizes := []int{1000, 64, 65, 640, 9_999, 10_000, 10_001, 1 << 20, 7, 4096, 8192, 5_000}
	for n := range len(sizes) + 1 {
		var asked []int64
		var want [][]etag.MD5
		for _, size := range sizes[:n] {
			asked = append(asked, int64(size))
			want = append(want, partsOf(data, size))
		}
		h := etag.NewMultiHasher(asked...)
		if wrote, err := io.CopyBuffer(struct{ io.Writer }{h}, struct{ io.Reader }{bytes.NewReader(data)}, make([]byte, 3333)); wrote != int64(len(data)) || err != nil {
			t.Fatalf("wrote %d, %v", wrote, err)
		}
		for i, got := range h.Parts() {
			if !slices.Equal(got, want[i]) {
				t.Errorf("part sizes %v: the MD5s of the parts of %d are not right", asked, asked[i])
			}
		}
	}
}

func TestSumParts(t *testing.T) {
	const part = 132_073 // more than is read at a time, and no multiple of a block
	data := random(20*part, 5)
	for _, size := range []int{0, 1, part - 1, part, part + 1, 2 * part, 5*part - 64, 17*part + 1, 20 * part} {
		for _, workers := range []int{0, 3} {
			got, err := etag.SumParts(t.Context(), bytes.NewReader(data), int64(size), part, workers)
			if err != nil {
				t.Fatalf("%d bytes, %d workers: %v", size, workers, err)
			}
			if want := partsOf(data[:size], part); !slices.Equal(got, want) {
				t.Errorf("%d bytes, %d workers: the MD5s of %d parts are not right", size, workers, len(want))
			}
		}
	}
	got, err := etag.SumParts(t.Context(), bytes.NewReader(data), 1000, 7, 2)
	if want := partsOf(data[:1000], 7); err != nil || !slices.Equal(got, want) {
		t.Errorf("small parts: got %v, %v, want %v", got, err, want)
	}
}

type failing struct {
	io.ReaderAt
	from int64
	err  error
}

func (f failing) ReadAt(p []byte, offset int64) (int, error) {
	if offset >= f.from {
		return 0, f.err
	}
	return f.ReaderAt.ReadAt(p, offset)
}

func TestSumPartsFails(t *testing.T) {
	data := bytes.NewReader(random(3_000_000, 6))
	if _, err := etag.SumParts(t.Context(), data, 3_000_001, 200_000, 2); err != io.ErrUnexpectedEOF {
		t.Errorf("a short source: got %v, want %v", err, io.ErrUnexpectedEOF)
	}
	broken := errors.New("broken")
	if _, err := etag.SumParts(t.Context(), failing{data, 1_500_000, broken}, 3_000_000, 200_000, 2); err != broken {
		t.Errorf("a broken source: got %v, want %v", err, broken)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := etag.SumParts(ctx, data, 3_000_000, 200_000, 2); err != context.Canceled {
		t.Errorf("cancelled: got %v, want %v", err, context.Canceled)
	}
}
