package main

import (
	"fmt"
	"strings"
)

// arm64Lane is what one chain needs: its state, two registers to compute in, the
// pointer to its bytes, and the pointer to its state.
type arm64Lane struct {
	state             [4]string
	t, u              string
	data, memory      string
	dataArg, stateArg string
}

// arm64 returns the kernels of one and two lanes for arm64.
func arm64() string {
	var w strings.Builder
	fmt.Fprint(&w, header, "//go:build !purego\n\n#include \"textflag.h\"\n\n")
	for i, s := range steps() {
		fmt.Fprintf(&w, "DATA sines<>+%d(SB)/4, $%#08x\n", 4*i, s.k)
	}
	fmt.Fprint(&w, "GLOBL sines<>(SB), RODATA|NOPTR, $256\n\n")
	lane0 := arm64Lane{[4]string{"R4", "R5", "R6", "R7"}, "R12", "R13", "R0", "R1", "p_base+8(FP)", "s+0(FP)"}
	fmt.Fprint(&w, "// func block1(s *state, p []byte)\nTEXT ·block1(SB), NOSPLIT, $0-32\n\tMOVD p_len+16(FP), R19\n")
	arm64Body(&w, lane0)

	lane0.dataArg = "p_base+16(FP)"
	lane1 := arm64Lane{[4]string{"R8", "R9", "R10", "R11"}, "R14", "R15", "R2", "R3", "q_base+40(FP)", "t+8(FP)"}
	fmt.Fprint(&w, "\n// func block2(s, t *state, p, q []byte)\nTEXT ·block2(SB), NOSPLIT, $0-64\n\tMOVD p_len+24(FP), R19\n")
	arm64Body(&w, lane0, lane1)
	return w.String()
}

// arm64Body advances the lanes by R19 bytes. R20 points to the constants; R21
// and R22 hold those of two steps.
func arm64Body(w *strings.Builder, lanes ...arm64Lane) {
	ins := func(format string, args ...any) { fmt.Fprintf(w, "\t"+format+"\n", args...) }
	ins("LSR  $6, R19")
	ins("CBZ  R19, done")
	ins("MOVD $sines<>(SB), R20")
	for _, l := range lanes {
		ins("MOVD %s, %s", l.dataArg, l.data)
		ins("MOVD %s, %s", l.stateArg, l.memory)
		ins("LDPW (%s), (%s, %s)", l.memory, l.state[0], l.state[1])
		ins("LDPW 8(%s), (%s, %s)", l.memory, l.state[2], l.state[3])
	}
	fmt.Fprint(w, "\nloop:\n")
	for i, s := range steps() {
		if i%2 == 0 {
			ins("LDPW %d(R20), (R21, R22)", 4*i)
		}
		var all [][]string
		for _, l := range lanes {
			all = append(all, l.step(i, s))
		}
		for _, s := range interleave(all...) {
			ins("%s", s)
		}
	}
	for _, l := range lanes {
		for half := range 2 {
			lo, hi := l.state[2*half], l.state[2*half+1]
			ins("LDPW %d(%s), (%s, %s)", 8*half, l.memory, l.t, l.u)
			ins("ADDW %s, %s", l.t, lo)
			ins("ADDW %s, %s", l.u, hi)
			ins("STPW (%s, %s), %d(%s)", lo, hi, 8*half, l.memory)
		}
		ins("ADD  $64, %s", l.data)
	}
	ins("SUB  $1, R19")
	ins("CBNZ R19, loop")
	fmt.Fprint(w, "\ndone:\n")
	ins("RET")
}

// step returns step i. What depends on b, the result of the step before, comes
// last and is short: that is the chain.
func (l arm64Lane) step(i int, s step) []string {
	a, b, c, d := turned(l.state, i)
	var out []string
	ins := func(format string, args ...any) { out = append(out, fmt.Sprintf(format, args...)) }
	ins("MOVWU %d(%s), %s", 4*s.x, l.data, l.u)
	ins("ADDW %s, %s", [2]string{"R21", "R22"}[i%2], a)
	ins("ADDW %s, %s", l.u, a)
	switch s.round {
	case 0: // d ^ (b & (c ^ d))
		ins("EORW %s, %s, %s", d, c, l.t)
		ins("ANDW %s, %s", b, l.t)
		ins("EORW %s, %s", d, l.t)
	case 1: // (c &^ d) + (b & d): no bit is in both, and the first term does not wait for b
		ins("BICW %s, %s, %s", d, c, l.t)
		ins("ADDW %s, %s", l.t, a)
		ins("ANDW %s, %s, %s", b, d, l.t)
	case 2: // b ^ (c ^ d)
		ins("EORW %s, %s, %s", d, c, l.t)
		ins("EORW %s, %s", b, l.t)
	case 3: // c ^ (b | ^d)
		ins("ORNW %s, %s, %s", d, b, l.t)
		ins("EORW %s, %s", c, l.t)
	}
	ins("ADDW %s, %s", l.t, a)
	ins("RORW $%d, %s", 32-s.s, a)
	ins("ADDW %s, %s", b, a)
	return out
}
