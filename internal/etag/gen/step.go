package main

import "math"

// A step is one of the 64 operations that a block goes through (RFC 1321,
// section 3.4): a = b + rotl(a + f(b, c, d) + word[x] + k, s).
type step struct {
	round int    // 0 to 3: the function f is F, G, H or I
	x     int    // the word of the block
	k     uint32 // the constant
	s     int    // the bits to rotate by
}

// steps returns the operations in order.
func steps() []step {
	rotations := [4][4]int{{7, 12, 17, 22}, {5, 9, 14, 20}, {4, 11, 16, 23}, {6, 10, 15, 21}}
	var all []step
	for i := range 64 {
		round := i / 16
		all = append(all, step{
			round: round,
			x:     [4]int{i, 5*i + 1, 3*i + 5, 7 * i}[round] % 16,
			k:     uint32(math.Floor(math.Abs(math.Sin(float64(i+1))) * (1 << 32))),
			s:     rotations[round][i%4],
		})
	}
	return all
}

// turned returns the four registers of a state in the roles a, b, c, d that
// they have in step i: each step writes a, which is b in the next.
func turned(state [4]string, i int) (a, b, c, d string) {
	return state[(64-i)%4], state[(65-i)%4], state[(66-i)%4], state[(67-i)%4]
}

// interleave returns the instructions of several lanes in turn, so that a core
// meets the independent ones side by side.
func interleave(lanes ...[]string) []string {
	var all []string
	for i := range lanes[0] {
		for _, l := range lanes {
			all = append(all, l[i])
		}
	}
	return all
}
