package etag

import (
	"crypto/md5"
	"encoding"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// after returns the state s after the blocks of p, as crypto/md5 computes it.
func after(t *testing.T, s state, p []byte) state {
	t.Helper()
	const magic = "md5\x01" // what its MarshalBinary begins with; the state follows
	marshaled := []byte(magic)
	for _, word := range s {
		marshaled = binary.BigEndian.AppendUint32(marshaled, word)
	}
	h := md5.New()
	if err := h.(encoding.BinaryUnmarshaler).UnmarshalBinary(append(marshaled, make([]byte, blockSize+8)...)); err != nil {
		t.Fatal(err)
	}
	h.Write(p)
	marshaled, err := h.(encoding.BinaryMarshaler).MarshalBinary()
	if err != nil {
		t.Fatal(err)
	}
	for i := range s {
		s[i] = binary.BigEndian.Uint32(marshaled[len(magic)+4*i:])
	}
	return s
}

// chance is a source of data and states that is the same in every run.
type chance struct{ *rand.ChaCha8 }

func newChance(seed uint64) chance {
	var key [32]byte
	binary.LittleEndian.PutUint64(key[:], seed)
	return chance{rand.NewChaCha8(key)}
}

func (c chance) bytes(n int) []byte {
	p := make([]byte, n)
	c.Read(p)
	return p
}

func (c chance) state() state {
	p := c.bytes(16)
	return state{binary.LittleEndian.Uint32(p), binary.LittleEndian.Uint32(p[4:]), binary.LittleEndian.Uint32(p[8:]), binary.LittleEndian.Uint32(p[12:])}
}

func TestOneLane(t *testing.T) {
	c := newChance(1)
	for name, block1 := range map[string]func(*state, []byte){"plain": plainBlock1, "block1": block1} {
		for _, n := range []int{0, 1, 2, 3, 100} {
			s, p := c.state(), c.bytes(n*blockSize)
			want := after(t, s, p)
			if block1(&s, p); s != want {
				t.Errorf("%s, %d blocks: got %x, want %x", name, n, s, want)
			}
		}
	}
}

func TestTwoLanes(t *testing.T) {
	c := newChance(2)
	for name, block2 := range map[string]func(_, _ *state, p, q []byte){"plain": plainBlock2, "block2": block2} {
		for _, n := range []int{0, 1, 2, 3, 100} {
			for apart := range blockSize + 1 {
				p := c.bytes(n*blockSize + apart)
				s, u := c.state(), c.state()
				p, q := p[:n*blockSize], p[apart:]
				wantS, wantU := after(t, s, p), after(t, u, q)
				if block2(&s, &u, p, q); s != wantS || u != wantU {
					t.Errorf("%s, %d blocks, %d bytes apart: got %x %x, want %x %x", name, n, apart, s, u, wantS, wantU)
				}
			}
		}
	}
}

// widths are those of the kernels that run on this machine.
func widths(t testing.TB) []int {
	var w []int
	for _, width := range []int{2, 8, 16} {
		if width <= widest {
			w = append(w, width)
		} else {
			t.Logf("NOT TESTED: no kernel of %d lanes on this machine", width)
		}
	}
	return w
}

// TestManyLanes runs every number of lanes in kernels of every width. The lanes
// stand at different places within a block and take inputs of different lengths.
func TestManyLanes(t *testing.T) {
	for _, width := range widths(t) {
		for n := range 2*maxWidth + 2 {
			checkLanes(t, width, n, uint64(n))
		}
	}
}

func FuzzManyLanes(f *testing.F) {
	f.Add(uint8(5), uint64(1))
	f.Add(uint8(16), uint64(2))
	all := widths(f)
	f.Fuzz(func(t *testing.T, n uint8, seed uint64) {
		for _, width := range all {
			checkLanes(t, width, int(n)%40, seed)
		}
	})
}

func checkLanes(t *testing.T, width, n int, seed uint64) {
	t.Helper()
	c := newChance(seed)
	r := rand.New(c)
	lanes := make([]lane, n)
	data := make([][]byte, n)
	for i := range lanes {
		lanes[i].state = start
	}
	for range 3 {
		for i := range lanes {
			lanes[i].in = c.bytes(r.IntN(10 * blockSize))
			data[i] = append(data[i], lanes[i].in...)
		}
		run(width, lanes)
	}
	for i := range lanes {
		if got, want := lanes[i].sum(), Sum(data[i]); got != want {
			t.Fatalf("width %d, lane %d of %d, %d bytes, seed %d: got %v, want %v", width, i, n, len(data[i]), seed, got, want)
		}
	}
}

func TestSumOfEveryLength(t *testing.T) {
	data := newChance(3).bytes(3 * blockSize)
	for n := range data {
		l := []lane{{state: start, in: data[:n]}}
		run(2, l)
		if got, want := l[0].sum(), Sum(data[:n]); got != want {
			t.Errorf("%d bytes: got %v, want %v", n, got, want)
		}
	}
}

// TestLength needs the upper half of the length: 512 MiB are 2^32 bits.
func TestLength(t *testing.T) {
	l := lane{state: state{1, 2, 3, 4}, size: 1 << 40}
	var last [blockSize]byte
	last[0] = 0x80
	binary.LittleEndian.PutUint64(last[56:], 8<<40)
	var want MD5
	for i, word := range after(t, l.state, last[:]) {
		binary.LittleEndian.PutUint32(want[4*i:], word)
	}
	if got := l.sum(); got != want {
		t.Errorf("got %v, want %v", got, want)
	}
}

func ExampleHasher() {
	h := NewHasher()
	h.Write([]byte("a"))
	a := h.EndPart()
	h.Write([]byte("b"))
	b := h.EndPart()
	fmt.Println(h.Whole())
	fmt.Println(Composite([]MD5{a, b}))
	// Output:
	// 187ef4436122d1cc2f40dc2b92f0eba0
	// 96e024ba2074fe77e8e965ba43a704be-2
}
