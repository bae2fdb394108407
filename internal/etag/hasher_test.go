package etag_test

import (
	"crypto/md5"
	"math/rand/v2"
	"testing"

	"s3up/internal/etag"
)

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
