package main

import (
	"fmt"
	"go/format"
	"strings"
)

// plain returns the kernels in Go.
func plain() string {
	var w strings.Builder
	fmt.Fprint(&w, header, "package etag\n\nimport (\n\"encoding/binary\"\n\"math/bits\"\n)\n\n")
	fmt.Fprint(&w, "// plainBlock1 is block1 in Go.\nfunc plainBlock1(s *state, p []byte) {\n")
	plainBody(&w, []string{"p"}, []string{"s"})
	fmt.Fprint(&w, "// plainBlock2 is block2 in Go.\nfunc plainBlock2(s, t *state, p, q []byte) {\n")
	plainBody(&w, []string{"p", "q"}, []string{"s", "t"})
	src, err := format.Source([]byte(w.String()))
	if err != nil {
		panic(err)
	}
	return string(src)
}

func plainBody(w *strings.Builder, data, states []string) {
	regs := make([][4]string, len(data))
	for l := range data {
		for j, name := range []string{"a", "b", "c", "d"} {
			regs[l][j] = fmt.Sprint(name, l)
		}
		fmt.Fprintf(w, "%s := %s[0], %[3]s[1], %[3]s[2], %[3]s[3]\n", strings.Join(regs[l][:], ", "), states[l], states[l])
	}
	fmt.Fprintf(w, "for len(%s) >= blockSize", data[0])
	for _, d := range data[1:] {
		fmt.Fprintf(w, " && len(%s) >= blockSize", d)
	}
	fmt.Fprintln(w, " {")
	for l, d := range data {
		fmt.Fprintf(w, "old%d := state{%s}\n", l, strings.Join(regs[l][:], ", "))
		fmt.Fprintf(w, "x%d := %s[:blockSize:blockSize]\n", l, d)
	}
	for i, s := range steps() {
		if i%16 == 0 && i > 0 {
			fmt.Fprintf(w, "%s[0] = a0\n", states[0])
		}
		for l := range data {
			a, b, c, d := turned(regs[l], i)
			fmt.Fprintf(w, "%s += binary.LittleEndian.Uint32(x%d[%d:]) + %#x\n", a, l, 4*s.x, s.k)
			f := [4]string{"((%[3]s^%[4]s)&%[2]s^%[4]s)", "%[3]s&^%[4]s+%[2]s&%[4]s", "(%[3]s^%[4]s^%[2]s)", "(%[3]s^(%[2]s|^%[4]s))"}[s.round]
			fmt.Fprintf(w, "%[1]s = bits.RotateLeft32(%[1]s + "+f+", %[5]d) + %[2]s\n", a, b, c, d, s.s)
		}
	}
	for l := range data {
		for j, r := range regs[l] {
			fmt.Fprintf(w, "%s += old%d[%d]\n", r, l, j)
		}
		fmt.Fprintf(w, "*%s = state{%s}\n", states[l], strings.Join(regs[l][:], ", "))
		fmt.Fprintf(w, "%s = %[1]s[blockSize:]\n", data[l])
	}
	fmt.Fprint(w, "}\n}\n\n")
}
