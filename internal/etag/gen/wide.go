package main

import (
	"fmt"
	"strings"
)

// A vector is a kind of register, which holds one word of each of its lanes.
type vector struct {
	name      string // of the registers: Y or Z
	lanes     int
	blend     string // inserts 16 bytes into a register
	move      string // between registers and memory, aligned or not
	registers bool   // there are 32, enough for the block
}

var (
	avx2   = vector{name: "Y", lanes: 8, blend: "VINSERTI128", move: "VMOVDQU"}
	avx512 = vector{name: "Z", lanes: 16, blend: "VINSERTI32X4", move: "VMOVDQU32", registers: true}
)

// wide returns the kernels of 8 and 16 lanes for amd64 with AVX2 and AVX-512F.
func wide() string {
	var w strings.Builder
	fmt.Fprint(&w, header, "//go:build !purego\n\n#include \"textflag.h\"\n\n")
	for i, s := range steps() {
		fmt.Fprintf(&w, "DATA sines<>+%d(SB)/4, $%#08x\n", 4*i, s.k)
	}
	fmt.Fprint(&w, "GLOBL sines<>(SB), RODATA|NOPTR, $256\n")
	avx2.kernel(&w)
	avx512.kernel(&w)
	return w.String()
}

// Registers: 0 to 3 are the state, 4 to 7 are computed in. Of 32, 16 to 31 are
// the words of the block; of 16, 8 to 11 serve to turn the block, whose words go
// to the stack.
func (v vector) reg(n int) string { return fmt.Sprint(v.name, n) }

// word returns where word x of the block is.
func (v vector) word(x int) string {
	if v.registers {
		return v.reg(16 + x)
	}
	return fmt.Sprintf("%d(DX)", 4*v.lanes*x)
}

// kernel writes the function. SI points to the pointers, DI to the state, BX is
// the offset of the block, CX the blocks left, R8 points to the constants, DX
// to the words on the stack.
func (v vector) kernel(w *strings.Builder) {
	ins := func(format string, args ...any) { fmt.Fprintf(w, "\t"+format+"\n", args...) }
	fmt.Fprintf(w, "\n// func block%d(s *states%[1]d, p *[%[1]d]*byte, n int)\n", v.lanes)
	if v.registers {
		fmt.Fprintf(w, "TEXT ·block%d(SB), NOSPLIT, $0-24\n", v.lanes)
	} else {
		fmt.Fprintf(w, "TEXT ·block%d(SB), 0, $%d-24\n", v.lanes, 16*4*v.lanes+32)
		ins("LEAQ words-%d(SP), DX", 16*4*v.lanes+32)
		ins("ADDQ $31, DX")
		ins("ANDQ $~31, DX")
	}
	ins("MOVQ s+0(FP), DI")
	ins("MOVQ p+8(FP), SI")
	ins("MOVQ n+16(FP), CX")
	ins("LEAQ sines<>(SB), R8")
	ins("XORL BX, BX")
	ins("TESTQ CX, CX")
	ins("JEQ  done")
	for j := range 4 {
		ins("%s %d(DI), %s", v.move, 4*v.lanes*j, v.reg(j))
	}
	fmt.Fprint(w, "\nloop:\n")
	for quarter := range 4 {
		v.turn(ins, quarter)
	}
	for i, s := range steps() {
		v.step(ins, i, s)
	}
	for j := range 4 {
		ins("VPADDD %d(DI), %s, %[2]s", 4*v.lanes*j, v.reg(j))
		ins("%s %s, %d(DI)", v.move, v.reg(j), 4*v.lanes*j)
	}
	ins("ADDQ $64, BX")
	ins("DECQ CX")
	ins("JNE  loop")
	ins("VZEROUPPER")
	fmt.Fprint(w, "\ndone:\n")
	ins("RET")
}

// turn loads 16 bytes of each lane and turns them into four words of all lanes.
// A register takes 16 bytes of every fourth lane, so that the turn stays within
// its 128-bit pieces.
func (v vector) turn(ins func(string, ...any), quarter int) {
	for r := range 4 {
		row := v.reg(4 + r)
		ins("MOVQ %d(SI), R9", 8*r)
		ins("VMOVDQU %d(R9)(BX*1), X%d", 16*quarter, 4+r)
		for piece := 1; piece < v.lanes/4; piece++ {
			ins("MOVQ %d(SI), R%d", 8*(4*piece+r), 9+piece)
			ins("%s $%d, %d(R%d)(BX*1), %s, %[5]s", v.blend, piece, 16*quarter, 9+piece, row)
		}
	}
	r := func(n int) string { return v.reg(4 + n) }
	ins("VPUNPCKLDQ %s, %s, %s", r(1), r(0), r(4))
	ins("VPUNPCKHDQ %s, %s, %s", r(1), r(0), r(5))
	ins("VPUNPCKLDQ %s, %s, %s", r(3), r(2), r(6))
	ins("VPUNPCKHDQ %s, %s, %s", r(3), r(2), r(7))
	for k, op := range []string{"VPUNPCKLQDQ", "VPUNPCKHQDQ"} {
		for half := range 2 {
			to := r(0)
			if v.registers {
				to = v.word(4*quarter + 2*half + k)
			}
			ins("%s %s, %s, %s", op, r(6+half), r(4+half), to)
			if !v.registers {
				ins("%s %s, %s", v.move, to, v.word(4*quarter+2*half+k))
			}
		}
	}
}

// step writes step i.
func (v vector) step(ins func(string, ...any), i int, s step) {
	a, b, c, d := turned([4]string{v.reg(0), v.reg(1), v.reg(2), v.reg(3)}, i)
	t, u := v.reg(4), v.reg(5)
	if v.registers {
		ins("VPADDD.BCST %d(R8), %s, %[2]s", 4*i, a)
		ins("VPADDD %s, %s, %[2]s", v.word(s.x), a)
		ins("VMOVDQA32 %s, %s", d, t)
		ins("VPTERNLOGD $%#02x, %s, %s, %s", ternary(s.round), b, c, t)
		ins("VPADDD %s, %s, %[2]s", t, a)
		ins("VPROLD $%d, %s, %[2]s", s.s, a)
		ins("VPADDD %s, %s, %[2]s", b, a)
		return
	}
	ins("VPBROADCASTD %d(R8), %s", 4*i, u)
	ins("VPADDD %s, %s, %[2]s", u, a)
	ins("VPADDD %s, %s, %[2]s", v.word(s.x), a)
	switch s.round {
	case 0: // d ^ (b & (c ^ d))
		ins("VPXOR %s, %s, %s", c, d, t)
		ins("VPAND %s, %s, %[2]s", b, t)
		ins("VPXOR %s, %s, %[2]s", d, t)
	case 1: // (c &^ d) + (b & d)
		ins("VPANDN %s, %s, %s", c, d, t)
		ins("VPADDD %s, %s, %[2]s", t, a)
		ins("VPAND %s, %s, %s", b, d, t)
	case 2: // b ^ (c ^ d)
		ins("VPXOR %s, %s, %s", c, d, t)
		ins("VPXOR %s, %s, %[2]s", b, t)
	case 3: // c ^ (b | ^d)
		ins("VPCMPEQD %s, %[1]s, %[1]s", t)
		ins("VPXOR %s, %s, %[2]s", d, t)
		ins("VPOR %s, %s, %[2]s", b, t)
		ins("VPXOR %s, %s, %[2]s", c, t)
	}
	ins("VPADDD %s, %s, %[2]s", t, a)
	ins("VPSLLD $%d, %s, %s", s.s, a, t)
	ins("VPSRLD $%d, %s, %[2]s", 32-s.s, a)
	ins("VPOR %s, %s, %[2]s", t, a)
	ins("VPADDD %s, %s, %[2]s", b, a)
}

// ternary returns the truth table of a round's function of b, c and d, as
// VPTERNLOGD takes it with d in the destination, c in the second and b in the
// third operand.
func ternary(round int) int {
	table := 0
	for i := range 8 {
		d, c, b := i>>2&1, i>>1&1, i&1
		table |= [4]int{d ^ b&(c^d), c ^ d&(b^c), b ^ c ^ d, c ^ (b | (d ^ 1))}[round] << i
	}
	return table
}
