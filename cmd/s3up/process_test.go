package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"strings"
	"syscall"

	"github.com/rogpeppe/go-internal/testscript"
)

// cmdExits runs a program that must end with an exit code.
//
//	exits CODE PROGRAM ARG...
func cmdExits(ts *testscript.TestScript, _ bool, args []string) {
	err := ts.Exec(args[1], args[2:]...)
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		ts.Fatalf("%v", err)
	}
	code := 0
	if exit != nil {
		code = exitCode(exit.ProcessState)
	}
	if want := args[0]; strconv.Itoa(code) != want {
		ts.Fatalf("exit code %d, want %s", code, want)
	}
}

// exitCode is the code as a shell has it.
func exitCode(state *os.ProcessState) int {
	if status, ok := state.Sys().(syscall.WaitStatus); ok && status.Signaled() {
		return 128 + int(status.Signal())
	}
	return state.ExitCode()
}

// A process is a program that runs beside the script. Unlike testscript's own,
// it gets any signal, and its exit code can be told.
type process struct {
	cmd            *exec.Cmd
	stdin          io.Closer // nothing comes, and it does not end before the program is to
	stdout, stderr bytes.Buffer
}

// cmdStart starts a program.
//
//	start NAME PROGRAM ARG...
func cmdStart(ts *testscript.TestScript, _ bool, args []string) {
	p := &process{cmd: exec.Command(args[1], args[2:]...)}
	p.cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"PATH", "HOME", "XDG_CACHE_HOME", "TERM", "GORACE", "AWS_ENDPOINT_URL", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
		"AWS_REGION", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE", "AWS_EC2_METADATA_DISABLED", peakFile} {
		p.cmd.Env = append(p.cmd.Env, name+"="+ts.Getenv(name))
	}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	var err error
	p.stdin, err = p.cmd.StdinPipe()
	ts.Check(err)
	ts.Check(p.cmd.Start())
	standOf(ts).procs[args[0]] = p
}

var signals = map[string]syscall.Signal{
	"HUP": syscall.SIGHUP, "INT": syscall.SIGINT, "KILL": syscall.SIGKILL, "TERM": syscall.SIGTERM,
}

// cmdSignal sends a signal to a program that was started.
//
//	signal NAME HUP|INT|KILL|TERM
func cmdSignal(ts *testscript.TestScript, _ bool, args []string) {
	ts.Check(standOf(ts).procs[args[0]].cmd.Process.Signal(signals[args[1]]))
}

// cmdFinish waits for a program that was started, which must end with an exit
// code, if one is given. Its output is then in NAME.out and NAME.err.
//
//	finish NAME [CODE]
func cmdFinish(ts *testscript.TestScript, _ bool, args []string) {
	st := standOf(ts)
	p := st.procs[args[0]]
	delete(st.procs, args[0])
	p.cmd.Wait()
	ts.Logf("%s%s", p.stdout.String(), p.stderr.String())
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".out"), p.stdout.Bytes(), 0o666))
	ts.Check(os.WriteFile(ts.MkAbs(args[0]+".err"), p.stderr.Bytes(), 0o666))
	if code := exitCode(p.cmd.ProcessState); len(args) > 1 && strconv.Itoa(code) != args[1] {
		ts.Fatalf("exit code %d, want %s", code, args[1])
	}
}

// measured is a command of stories: it runs another one, and writes down how much
// memory that had at most. A process begins with what the one has that starts it,
// and the tests have a lot.
//
//	measured COMMAND [ARG]...
func measured() {
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Run()
	if usage, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		os.WriteFile(os.Getenv(peakFile), []byte(strconv.FormatInt(int64(usage.Maxrss)>>10, 10)), 0o666) // Linux counts in KiB
	}
	os.Exit(exitCode(cmd.ProcessState))
}

const peakFile = "PEAK_FILE"

// cmdMemory checks how much memory the last measured command had at most, in MiB.
//
//	memory MIB
func cmdMemory(ts *testscript.TestScript, _ bool, args []string) {
	most, err := strconv.ParseInt(args[0], 10, 64)
	ts.Check(err)
	got, err := strconv.ParseInt(ts.ReadFile(ts.Getenv(peakFile)), 10, 64)
	ts.Check(err)
	ts.Logf("%d MiB", got)
	if got > most {
		ts.Fatalf("%d MiB of memory, want at most %d", got, most)
	}
}

// cmdMissingOnly checks, by the JSON in a file, that a resumed upload of equal
// parts sent what was missing and nothing else.
//
//	missingOnly FILE
func cmdMissingOnly(ts *testscript.TestScript, _ bool, args []string) {
	var line fileLine
	text, _, _ := strings.Cut(ts.ReadFile(args[0]), "\n")
	ts.Check(json.Unmarshal([]byte(text), &line))
	if line.PartsResumed == 0 || line.Size == nil {
		ts.Fatalf("nothing was resumed: %s", text)
	}
	if want := *line.Size - int64(line.PartsResumed)*line.PartSize; line.BytesSent != want {
		ts.Fatalf("%d bytes sent, want %d", line.BytesSent, want)
	}
}

// killAll ends the programs that a script that failed has left.
func (st *stand) killAll() {
	for _, p := range st.procs {
		p.cmd.Process.Kill()
		p.cmd.Wait()
	}
}

// volatile are the fields of JSON lines that are not the same twice.
var volatile = regexp.MustCompile(`("duration_ms":)\d+|("request_id":)"[^"]*"`)

// cmdJSONL writes the JSON lines of the last stdout to a file: field by field,
// one in a line, with those that are never the same twice as 0.
//
//	jsonl FILE
func cmdJSONL(ts *testscript.TestScript, _ bool, args []string) {
	text := volatile.ReplaceAllString(ts.ReadFile("stdout"), "${1}${2}0")
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(strings.ReplaceAll(text, ",\"", ",\n\"")), 0o666))
}
