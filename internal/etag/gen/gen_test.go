package main

import (
	"os"
	"path/filepath"
	"testing"
)

func TestCommittedFilesAreUpToDate(t *testing.T) {
	for name, want := range files() {
		got, err := os.ReadFile(filepath.Join("..", name))
		if err != nil {
			t.Error(err)
		} else if string(got) != want {
			t.Errorf("%s is not what the generator writes: run go generate ./internal/etag", name)
		}
	}
}
