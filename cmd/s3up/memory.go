package main

import (
	"bytes"
	"io/fs"
	"math"
	"os"
	"path"
	"runtime/debug"
	"strconv"
	"strings"

	"s3up/internal/upload"
)

// minMemory is the least that a stream needs: two of the smallest parts.
const minMemory = 10 << 20

// besideStreams is what the program needs beside the buffers of streams.
const besideStreams = 48 << 20

// defaultMemory is what streams may take if nobody says: a quarter of the memory
// that the control group allows, what GOMEMLIMIT leaves, at most 256 MiB.
func defaultMemory(root fs.FS) int64 {
	most := int64(upload.DefaultMaxMemory)
	if limit, ok := cgroupLimit(root); ok {
		most = min(most, limit/4)
	}
	if limit := debug.SetMemoryLimit(-1); limit < math.MaxInt64 {
		most = min(most, limit-besideStreams)
	}
	return max(most, minMemory)
}

// cgroupLimit returns the memory limit of the process's control group or of one
// above it, whichever is lowest. In a container the group's own path may not be
// mounted; its limit then stands at the root.
func cgroupLimit(root fs.FS) (int64, bool) {
	table, err := fs.ReadFile(root, "proc/self/cgroup")
	if err != nil {
		return 0, false
	}
	var lowest int64
	for line := range strings.Lines(string(table)) {
		fields := strings.SplitN(strings.TrimSpace(line), ":", 3)
		if len(fields) != 3 {
			continue
		}
		var dir, name string
		switch {
		case fields[0] == "0" && fields[1] == "":
			dir, name = "sys/fs/cgroup", "memory.max"
		case fields[1] == "memory":
			dir, name = "sys/fs/cgroup/memory", "memory.limit_in_bytes"
		default:
			continue
		}
		for group := path.Clean("/" + fields[2]); ; group = path.Dir(group) {
			if limit, ok := readLimit(root, path.Join(dir, group, name)); ok && (lowest == 0 || limit < lowest) {
				lowest = limit
			}
			if group == "/" {
				break
			}
		}
	}
	return lowest, lowest > 0
}

// readLimit reads a limit; "max" and the huge number of version 1 are none.
func readLimit(root fs.FS, name string) (int64, bool) {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return 0, false
	}
	n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	return n, err == nil && n > 0 && n < 1<<60
}

// keepTo makes the collector keep a stream to its budget, unless GOMEMLIMIT says
// how much there is.
func keepTo(budget int64) {
	if os.Getenv("GOMEMLIMIT") == "" {
		debug.SetMemoryLimit(budget + besideStreams)
	}
}
