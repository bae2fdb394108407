package upload

import (
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"s3up/internal/verify"
)

// Where two changes may get the same time, times do not tell that a file is what
// it was.
func TestFreshFiles(t *testing.T) {
	whole := time.Unix(1_000_000_000, 0)
	for _, tt := range []struct {
		name         string
		written, now time.Time
		fresh        bool
	}{
		{"a moment ago", whole.Add(time.Millisecond), whole.Add(40 * time.Millisecond), true},
		{"some moments ago", whole.Add(time.Millisecond), whole.Add(60 * time.Millisecond), false},
		{"in this second, of which no fraction is kept", whole, whole.Add(900 * time.Millisecond), true},
		{"in the last two, of which every other is kept", whole, whole.Add(2100 * time.Millisecond), true},
		{"before that", whole, whole.Add(3 * time.Second), false},
		{"in the future, by another machine's clock", whole.Add(time.Millisecond), whole.Add(-time.Hour), true},
	} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, tt.written, tt.written); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if got := isFresh(changedAt{info, tt.written}, tt.now); got != tt.fresh {
			t.Errorf("%s: fresh: %t, want %t", tt.name, got, tt.fresh)
		}
	}
	path := filepath.Join(t.TempDir(), "f")
	for range 20 { // a busy machine may look too late
		if err := os.WriteFile(path, []byte("just written"), 0o600); err != nil {
			t.Fatal(err)
		}
		src, err := Open(t.Context(), path)
		if err != nil {
			t.Fatal(err)
		}
		src.Close()
		if src.unsure {
			return
		}
	}
	t.Error("a file that was written just now is trusted to show the next change")
}

// changedAt is a file whose status was changed at a time.
type changedAt struct {
	fs.FileInfo
	at time.Time
}

func (c changedAt) Sys() any {
	st := *c.FileInfo.Sys().(*syscall.Stat_t)
	st.Ctim = syscall.NsecToTimespec(c.at.UnixNano())
	return &st
}

// What was changed in the second in which an object was made, or later, is not known
// to be in it, whatever its time of the last write says; nor what was changed before by
// a clock that is behind the store's.
func TestIsOlder(t *testing.T) {
	made := time.Unix(1_000_000_000, 0)
	for _, tt := range []struct {
		name             string
		written, changed time.Time
		ahead            time.Duration
		older            bool
	}{
		{"in the second before", made.Add(-time.Millisecond), made.Add(-time.Millisecond), 0, true},
		{"in this second", made, made, 0, false},
		{"at the end of this second", made.Add(time.Second - 1), made.Add(time.Second - 1), 0, false},
		{"later", made.Add(time.Hour), made.Add(time.Hour), 0, false},
		{"later, and the time was put back", made.Add(-time.Hour), made.Add(time.Hour), 0, false},
		{"before, with a time in the future", made.Add(time.Hour), made.Add(-time.Hour), 0, false},
		{"a minute before, by a clock that is an hour behind", made.Add(-time.Minute), made.Add(-time.Minute), time.Hour, false},
		{"two hours before, by that clock", made.Add(-2 * time.Hour), made.Add(-2 * time.Hour), time.Hour, true},
		{"a minute before, by a clock that is an hour ahead", made.Add(-time.Minute), made.Add(-time.Minute), -time.Hour, true},
	} {
		path := filepath.Join(t.TempDir(), "f")
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chtimes(path, tt.written, tt.written); err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		src := &Source{info: changedAt{info, tt.changed}}
		if got := src.isOlder(&verify.Object{Modified: made, Ahead: tt.ahead}); got != tt.older {
			t.Errorf("%s: older: %t, want %t", tt.name, got, tt.older)
		}
	}
}
