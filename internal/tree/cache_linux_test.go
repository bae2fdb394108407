package tree

import (
	"bufio"
	"fmt"
	"os"
	"strings"
	"testing"
)

// TestCacheMemory goes through a cache of many files: what is in memory of it does not
// grow with it.
func TestCacheMemory(t *testing.T) {
	dir, folder := t.TempDir(), t.TempDir()
	if err := os.WriteFile(folder+"/f", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	f := walked(t, folder)["f"]
	stamp, _ := stampOf(f.Info)
	c := cached(t, dir, folder)
	const files = 3 * letGo
	name := func(i int) string { return fmt.Sprintf("%s/%07d", strings.Repeat("a folder with a long name ", 4), i) }
	for i := range files {
		if c.pending[name(i)] = encode(name(i), stamp, Sums{}); len(c.pending) == cacheBatch {
			c.flush()
		}
	}
	c.Close(folder, 0)
	c = cached(t, dir, folder)
	most := int64(0)
	for i := range files {
		g := *f
		if g.Rel = name(i); c.Get(&g) == nil {
			t.Fatalf("%s is not known", g.Rel)
		}
		if i%(letGo/4) == letGo/4-1 {
			most = max(most, mapped(t, c.file))
		}
	}
	c.Close(folder, files)
	info, err := os.Stat(c.file)
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d KiB of %d were in memory", most>>10, info.Size()>>10)
	if most == 0 || most > info.Size()/2 {
		t.Errorf("%d bytes of %d were in memory at once", most, info.Size())
	}
}

// mapped returns how much of a file is part of the process's memory.
func mapped(t *testing.T, file string) (bytes int64) {
	t.Helper()
	maps, err := os.Open("/proc/self/smaps")
	if err != nil {
		t.Skip(err)
	}
	defer maps.Close()
	its := false
	for lines := bufio.NewScanner(maps); lines.Scan(); {
		line := lines.Text()
		var kib int64
		switch n, _ := fmt.Sscanf(line, "Rss: %d kB", &kib); {
		case n == 1 && its:
			bytes += kib << 10
		case strings.Contains(line, "/"):
			its = strings.HasSuffix(line, file)
		}
	}
	return bytes
}
