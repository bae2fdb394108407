package main

import (
	"os/exec"
	"slices"
	"strings"
	"testing"
)

// arrows are the packages of the project that each package may need, directly
// or through others; see docs/layout.md. What is not named here needs none.
var arrows = map[string][]string{
	"s3up/cmd/s3up":                    {"s3up/internal/contenttype", "s3up/internal/crc", "s3up/internal/etag", "s3up/internal/smallfile", "s3up/internal/store", "s3up/internal/tree", "s3up/internal/upload", "s3up/internal/verify"},
	"s3up/internal/store":              {"s3up/internal/smallfile"},
	"s3up/internal/tree":               {"s3up/internal/contenttype", "s3up/internal/crc", "s3up/internal/etag", "s3up/internal/upload", "s3up/internal/verify"},
	"s3up/internal/upload":             {"s3up/internal/contenttype", "s3up/internal/crc", "s3up/internal/etag", "s3up/internal/verify"},
	"s3up/internal/verify":             {"s3up/internal/crc", "s3up/internal/etag"},
	"s3up/internal/s3test/cmd/bench":   {"s3up/internal/s3test"},
	"s3up/internal/s3test/cmd/demo":    {"s3up/internal/s3test"},
	"s3up/internal/s3test/cmd/s3testd": {"s3up/internal/s3test"},
	"s3up/internal/s3test/faultproxy":  {"s3up/internal/s3test"},
}

// onlyStandard are the packages that need nothing but the standard library, and
// what is as good as part of it: which instructions the processor has.
var onlyStandard = []string{"s3up/internal/etag", "s3up/internal/s3test/cmd/withstore"}

const instructions = "golang.org/x/sys/cpu"

// TestArrows keeps packages from needing each other in circles of habit: what
// knows flags stands above what knows objects, and that above what knows bytes.
func TestArrows(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-f", "{{.ImportPath}} {{join .Deps \" \"}}", "s3up/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		pkg, deps, _ := strings.Cut(strings.TrimSpace(line), " ")
		for _, dep := range strings.Fields(deps) {
			own := strings.HasPrefix(dep, "s3up/")
			if own && !slices.Contains(arrows[pkg], dep) {
				t.Errorf("%s needs %s", pkg, dep)
			}
			if domain, _, _ := strings.Cut(dep, "/"); !own && dep != instructions && strings.Contains(domain, ".") && slices.Contains(onlyStandard, pkg) {
				t.Errorf("%s needs %s, and may only need the standard library", pkg, dep)
			}
		}
	}
}
