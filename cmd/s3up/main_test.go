package main

import (
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"s3up": main, "measured": measured})
}

// TestScripts runs the stories in testdata/script, each against an s3test server
// of its own. Those whose names begin with real_ are true of every store: where
// S3UP_TEST_ENDPOINT names one, they run against it, and the others do not. Those
// whose names begin with big_ are too large for a server that lives in memory,
// and run against real stores alone, one after the other, unless S3UP_TEST_SMALL is
// set.
func TestScripts(t *testing.T) {
	for _, s := range []os.Signal{os.Interrupt, syscall.SIGHUP} {
		if signal.Ignored(s) { // by nohup: else what the stories start would ignore it too
			signal.Notify(make(chan os.Signal, 1), s)
		}
	}
	params := testscript.Params{
		Setup:               setUp,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Condition: func(name string) (bool, error) { // the name of a real store, or client: and that of a program
			if program, ok := strings.CutPrefix(name, "client:"); ok {
				return haveClient(program)
			}
			if expectations[name] == nil {
				return false, fmt.Errorf("no such store")
			}
			real := realStore()
			return real != nil && real.name == name, nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"client":      cmdClient,
			"composite":   cmdComposite,
			"exits":       cmdExits,
			"finish":      cmdFinish,
			"flip":        cmdFlip,
			"jsonl":       cmdJSONL,
			"md5":         cmdMD5,
			"memory":      cmdMemory,
			"missingOnly": cmdMissingOnly,
			"mkfile":      cmdMkfile,
			"s3":          cmdS3,
			"signal":      cmdSignal,
			"start":       cmdStart,
		},
	}
	all, err := filepath.Glob(filepath.Join("..", "..", "testdata", "script", "*.txtar"))
	if err != nil {
		t.Fatal(err)
	}
	real := realStore() != nil
	groups := [][]string{nil}
	for _, file := range all {
		name := filepath.Base(file)
		switch everywhere, big := strings.HasPrefix(name, "real_"), strings.HasPrefix(name, "big_"); {
		case big && real && os.Getenv("S3UP_TEST_SMALL") != "":
			t.Logf("*** NOT TESTED: %s ***", name)
		case big && real:
			groups = append(groups, []string{file})
		case everywhere, !big && !real:
			groups[0] = append(groups[0], file)
		}
	}
	if len(groups[0]) == 0 {
		t.Fatal("no scripts")
	}
	for _, files := range groups {
		params.Files = files
		t.Run("", func(t *testing.T) { testscript.Run(t, params) })
	}
}
