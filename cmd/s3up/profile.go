package main

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"

	"github.com/urfave/cli/v2"
)

// profileFlags are for those who look where time and memory go: docs/performance.md.
func profileFlags() []cli.Flag {
	return []cli.Flag{
		&cli.StringFlag{Name: "cpuprofile", Category: groupOutput, Hidden: true, Usage: "`FILE` to write where CPU time goes to"},
		&cli.StringFlag{Name: "memprofile", Category: groupOutput, Hidden: true, Usage: "`FILE` to write what has memory to, in the end"},
	}
}

// profiled runs something and writes the profiles that were asked for. The error
// is one of usage.
func (p *program) profiled(v *values, run func() (int, error)) (code int, err error) {
	const fileName = "the name of a file"
	cpu, memory := v.text("cpuprofile", fileName), v.text("memprofile", fileName)
	if v.err != nil {
		return 0, v.err
	}
	if cpu != "" {
		f, err := os.Create(cpu)
		if err != nil {
			return 0, usagef("", "--cpuprofile %s: %s", quoted(cpu), rootCause(err))
		}
		defer f.Close()
		if err := pprof.StartCPUProfile(f); err != nil {
			return 0, usagef("", "--cpuprofile %s: %s", quoted(cpu), rootCause(err))
		}
		defer pprof.StopCPUProfile()
	}
	if memory == "" {
		return run()
	}
	f, err := os.Create(memory)
	if err != nil {
		return 0, usagef("", "--memprofile %s: %s", quoted(memory), rootCause(err))
	}
	code, err = run()
	runtime.GC() // what is left is in use
	if written := errors.Join(pprof.Lookup("allocs").WriteTo(f, 0), f.Close()); written != nil {
		fmt.Fprintf(p.stderr, "s3up: --memprofile %s: %s\n", quoted(memory), oneLine(rootCause(written)))
	}
	return code, err
}
