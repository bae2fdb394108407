package main

import (
	"path/filepath"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"
)

func TestMain(m *testing.M) {
	testscript.Main(m, map[string]func(){"s3up": main})
}

// TestScripts runs the stories in testdata/script, each against an s3test server
// of its own. Those whose names begin with real_ are true of every store: where
// S3UP_TEST_ENDPOINT names one, they run against it, and the others do not.
func TestScripts(t *testing.T) {
	params := testscript.Params{
		Setup:               setUp,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"composite": cmdComposite,
			"exits":     cmdExits,
			"finish":    cmdFinish,
			"jsonl":     cmdJSONL,
			"md5":       cmdMD5,
			"mkfile":    cmdMkfile,
			"s3":        cmdS3,
			"signal":    cmdSignal,
			"start":     cmdStart,
		},
	}
	pattern := "*.txtar"
	if realStore() != nil {
		pattern = "real_*.txtar"
	}
	var err error
	params.Files, err = filepath.Glob(filepath.Join("..", "..", "testdata", "script", pattern))
	if err != nil || len(params.Files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	testscript.Run(t, params)
}
