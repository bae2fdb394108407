package main

import (
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"s3up/internal/tree"
	"s3up/internal/verify"
)

// A file that somebody writes to, or puts another one in the place of, is seen to
// have changed; one that is left alone is not, and one that somebody has open to
// write to is to be read once more.
func TestLocalChanged(t *testing.T) {
	for name, change := range map[string]func(path string) error{
		"":         func(string) error { return nil },
		"written":  func(path string) error { return os.WriteFile(path, []byte("other"), 0o600) },
		"appended": func(path string) error { return os.WriteFile(path, []byte("bytes and more"), 0o600) },
		"removed":  os.Remove,
		"open": func(path string) error {
			f, err := os.OpenFile(path, os.O_WRONLY, 0)
			t.Cleanup(func() { f.Close() })
			return err
		},
		"replaced": func(path string) error {
			if err := os.WriteFile(path+"2", []byte("bytes"), 0o600); err != nil {
				return err
			}
			return os.Rename(path+"2", path)
		},
	} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, []byte("bytes"), 0o600); err != nil {
			t.Fatal(err)
		}
		past := time.Now().Add(-time.Hour)
		if err := os.Chtimes(path, past, past); err != nil {
			t.Fatal(err)
		}
		f, err := openLocal(t.Context(), path, nil)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if err := change(path); err != nil {
			t.Fatal(err)
		}
		if name == "open" {
			if unsure, err := f.local.Changed(); !unsure && runtime.GOOS == "linux" || err != nil {
				t.Errorf("open to write to: %v, %v", unsure, err)
			}
			continue
		}
		var changed *verify.ChangedError
		_, err = f.local.Changed()
		if errors.As(err, &changed) != (name != "") || name == "" && err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if p := explain(&verify.ChangedError{}, facts{}); p.exit != exitSourceChanged {
			t.Errorf("exit %d", p.exit)
		}
	}
}

// Reads of a stream that says nothing end with the context.
func TestInterruptible(t *testing.T) {
	r, w := io.Pipe()
	defer w.Close()
	ctx, cancel := context.WithCancelCause(t.Context())
	s := tree.Interruptible(ctx, r)
	go w.Write([]byte("ab"))
	var b [10]byte
	if n, err := io.ReadFull(s, b[:2]); n != 2 || err != nil || string(b[:2]) != "ab" {
		t.Fatalf("read %q, %v", b[:n], err)
	}
	why := errors.New("why")
	cancel(why)
	if _, err := s.Read(b[:]); err != why {
		t.Errorf("got %v, want %v", err, why)
	}
}
