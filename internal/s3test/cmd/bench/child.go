//go:build linux

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strconv"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// childCommand is the first argument of this program where it is to start another
// one, and to tell what that used.
const childCommand = "child"

// cost is what one process used, with those that it started.
type cost struct {
	CPU, Wall time.Duration
	Memory    int64 // bytes
	Read      int64 // bytes, from files and others
}

// run1 runs a program to its end, from a small process of its own: Linux counts as
// memory of a new program what the process had that started it, and this one,
// with the store in it, has more than some clients.
func run1(cmd *exec.Cmd) (cost, error) {
	self, err := os.Executable()
	if err != nil {
		return cost{}, err
	}
	answer, end, err := os.Pipe()
	if err != nil {
		return cost{}, err
	}
	defer answer.Close()
	defer end.Close()
	said, err := os.CreateTemp("", "bench-")
	if err != nil {
		return cost{}, err
	}
	defer os.Remove(said.Name())
	defer said.Close()
	args := cmd.Args
	cmd.Args = append([]string{self, childCommand, cmd.Path}, args[1:]...)
	cmd.Path = self
	cmd.Stdout, cmd.Stderr = said, said
	cmd.ExtraFiles = []*os.File{end}
	if err := cmd.Start(); err != nil {
		return cost{}, err
	}
	end.Close()
	if r, ok := cmd.Stdin.(*os.File); ok {
		r.Close() // it is the child's now
	}
	var c cost
	told := json.NewDecoder(answer).Decode(&c)
	if err := errors.Join(cmd.Wait(), told); err != nil {
		text, _ := os.ReadFile(said.Name())
		return c, fmt.Errorf("%s: %w: %s", strings.Join(args, " "), err, tail(string(text)))
	}
	return c, nil
}

// child is the small process: it runs a program and tells what that used.
func child(args []string) error {
	answer := os.NewFile(3, "answer")
	syscall.CloseOnExec(3)
	runtime.LockOSThread() // else the program might be killed when a thread ends
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	start := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	// What it read is known as long as nobody has taken note of its end.
	var end error
	for {
		end = unix.Waitid(unix.P_PID, cmd.Process.Pid, nil, unix.WEXITED|unix.WNOWAIT, nil)
		if end != unix.EINTR {
			break
		}
	}
	c := cost{Wall: time.Since(start), Read: bytesRead(cmd.Process.Pid)}
	if err := errors.Join(end, cmd.Wait()); err != nil {
		return err
	}
	var usage unix.Rusage
	if err := unix.Getrusage(unix.RUSAGE_CHILDREN, &usage); err != nil {
		return err
	}
	c.CPU = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	c.Memory = usage.Maxrss << 10
	return json.NewEncoder(answer).Encode(c)
}

// tail is the end of what a program said.
func tail(text string) string {
	const enough = 500
	text = strings.TrimSpace(text)
	return text[max(0, len(text)-enough):]
}

// bytesRead is how much a process has read, from wherever.
func bytesRead(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/io", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if n, ok := strings.CutPrefix(line, "rchar: "); ok {
			read, _ := strconv.ParseInt(strings.TrimSpace(n), 10, 64)
			return read
		}
	}
	return 0
}
