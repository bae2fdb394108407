package main

import (
	"fmt"
	"strings"
)

// amd64Lane is what one chain needs: its state, two registers to compute in,
// the pointer to its bytes, and the argument that points to its state.
type amd64Lane struct {
	state     [4]string
	t, u      string
	data      string
	stateArg  string
	dataStart string
}

// amd64 returns the kernels of one and two lanes in general-purpose registers,
// for every amd64.
func amd64() string {
	var w strings.Builder
	fmt.Fprint(&w, header, "//go:build !purego\n\n#include \"textflag.h\"\n\n")
	lane0 := amd64Lane{[4]string{"AX", "BX", "CX", "DX"}, "R12", "R13", "SI", "s+0(FP)", "p_base+8(FP)"}
	fmt.Fprint(&w, "// func block1(s *state, p []byte)\nTEXT ·block1(SB), NOSPLIT, $8-32\n\tMOVQ p_len+16(FP), BP\n")
	amd64Body(&w, lane0)

	lane0.dataStart = "p_base+16(FP)"
	lane1 := amd64Lane{[4]string{"R8", "R9", "R10", "R11"}, "R14", "R15", "DI", "t+8(FP)", "q_base+40(FP)"}
	fmt.Fprint(&w, "\n// func block2(s, t *state, p, q []byte)\nTEXT ·block2(SB), NOSPLIT, $8-64\n\tMOVQ p_len+24(FP), BP\n")
	amd64Body(&w, lane0, lane1)
	return w.String()
}

// amd64Body advances the lanes by BP bytes. There is no register for the
// pointers to the states: they are fetched again at the end of each block.
func amd64Body(w *strings.Builder, lanes ...amd64Lane) {
	ins := func(format string, args ...any) { fmt.Fprintf(w, "\t"+format+"\n", args...) }
	ins("SHRQ $6, BP")
	ins("JEQ  done")
	for _, l := range lanes {
		ins("MOVQ %s, %s", l.dataStart, l.data)
		ins("MOVQ %s, %s", l.stateArg, l.t)
		for j, r := range l.state {
			ins("MOVL %d(%s), %s", 4*j, l.t, r)
		}
	}
	fmt.Fprint(w, "\nloop:\n")
	for i, s := range steps() {
		var all [][]string
		for _, l := range lanes {
			all = append(all, l.step(i, s))
		}
		for _, s := range interleave(all...) {
			ins("%s", s)
		}
	}
	for _, l := range lanes {
		ins("MOVQ %s, %s", l.stateArg, l.t)
		for j, r := range l.state {
			ins("ADDL %d(%s), %s", 4*j, l.t, r)
			ins("MOVL %s, %d(%s)", r, 4*j, l.t)
		}
		ins("ADDQ $64, %s", l.data)
	}
	ins("DECQ BP")
	ins("JNE  loop")
	fmt.Fprint(w, "\ndone:\n")
	ins("RET")
}

// step returns step i. What depends on b, the result of the step before, comes
// last and is short: that is the chain.
func (l amd64Lane) step(i int, s step) []string {
	a, b, c, d := turned(l.state, i)
	var out []string
	ins := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	ins("MOVL %d(%s), %s", 4*s.x, l.data, l.u)
	ins("LEAL %d(%s)(%s*1), %s", int32(s.k), a, l.u, a)
	switch s.round {
	case 0: // d ^ (b & (c ^ d))
		ins("MOVL %s, %s", c, l.t)
		ins("XORL %s, %s", d, l.t)
		ins("ANDL %s, %s", b, l.t)
		ins("XORL %s, %s", d, l.t)
	case 1: // (c &^ d) + (b & d): no bit is in both, and the first term does not wait for b
		ins("MOVL %s, %s", d, l.t)
		ins("NOTL %s", l.t)
		ins("ANDL %s, %s", c, l.t)
		ins("ADDL %s, %s", l.t, a)
		ins("MOVL %s, %s", d, l.t)
		ins("ANDL %s, %s", b, l.t)
	case 2: // b ^ (c ^ d); t ends as b ^ c, which the next step begins with
		if i == 32 {
			ins("MOVL %s, %s", c, l.t)
			ins("XORL %s, %s", d, l.t)
		}
		ins("XORL %s, %s", b, l.t)
	case 3: // c ^ (b | ^d)
		ins("MOVL %s, %s", d, l.t)
		ins("NOTL %s", l.t)
		ins("ORL  %s, %s", b, l.t)
		ins("XORL %s, %s", c, l.t)
	}
	ins("ADDL %s, %s", l.t, a)
	ins("ROLL $%d, %s", s.s, a)
	ins("ADDL %s, %s", b, a)
	if s.round == 2 && i != 47 {
		ins("XORL %s, %s", d, l.t)
	}
	return out
}
