// Package smallfile reads the files that settings name: keys, certificates,
// rules. Their names may be mistyped; what waits for a writer, or never ends, is
// refused and not read.
package smallfile

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
)

// Max is the most that a file may have.
const Max = 1 << 20

var errOdd = errors.New("not a regular file")

// Read returns what is in a file. Open files of the process itself, as shells name
// them (/dev/fd/63), may be pipes.
func Read(name string) ([]byte, error) {
	if !IsDescriptor(name) {
		if err := Check(name); err != nil {
			return nil, err
		}
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	data, err := io.ReadAll(io.LimitReader(f, Max+1))
	if err == nil && len(data) > Max {
		err = fmt.Errorf("has more than the %d bytes that such a file may have", Max)
	}
	return data, err
}

// Check refuses what opening may wait for, or reading never end: pipes, sockets,
// devices. A folder is told by whoever opens it.
func Check(name string) error {
	info, err := os.Stat(name)
	if err == nil && !info.Mode().IsRegular() && !info.IsDir() && name != os.DevNull {
		err = errOdd
	}
	return err
}

// IsDescriptor says whether a name is that of an open file of the process.
func IsDescriptor(name string) bool {
	return name == "/dev/stdin" || strings.HasPrefix(name, "/dev/fd/") || strings.HasPrefix(name, "/proc/self/fd/")
}
