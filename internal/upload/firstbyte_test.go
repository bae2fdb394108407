package upload_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"time"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

// A sluice lets only the first bytes of a source through until it is opened.
type sluice struct {
	at   int64
	open chan struct{}
}

func (g *sluice) pass(end int64) error {
	if end <= g.at {
		return nil
	}
	select {
	case <-g.open:
		return nil
	case <-time.After(10 * time.Second): // instead of hanging
		return errors.New("more was read, and nothing had been sent")
	}
}

type gatedFile struct {
	*memoryFile
	*sluice
}

func (f gatedFile) ReadAt(p []byte, offset int64) (int, error) {
	if err := f.pass(offset + int64(len(p))); err != nil {
		return 0, err
	}
	return f.memoryFile.ReadAt(p, offset)
}

type gatedStream struct {
	*bytes.Reader
	*sluice
}

func (s gatedStream) Read(p []byte) (int, error) {
	if err := s.pass(s.Size() - int64(s.Len()) + 1); err != nil {
		return 0, err
	}
	return s.Reader.Read(p[:1])
}

// The first part is sent before the third is read, however large the file is. Of a
// stream, what may go up in one piece is read before, and a part.
func TestFirstPartAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		parts int64 // that may be read
		of    func(data []byte, g *sluice) (*upload.Source, error)
	}{
		"file": {2, func(data []byte, g *sluice) (*upload.Source, error) {
			return upload.NewFile("gated", gatedFile{newMemoryFile(data), g})
		}},
		"stream": {3, func(data []byte, g *sluice) (*upload.Source, error) {
			return upload.NewStream("gated", io.Reader(gatedStream{bytes.NewReader(data), g})), nil
		}},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStand(t, s3test.Options{MinPartSize: 4 * KiB}) // more than tells the type of the content
			data := random(40*st.part, name)
			g := &sluice{test.parts * st.part, make(chan struct{})}
			st.Fault(s3test.Fault{Op: "UploadPart 1", Do: s3test.None, Hook: func() { close(g.open) }})
			src, err := test.of(data, g)
			if err != nil {
				t.Fatal(err)
			}
			st.check(t, st.upload(t, src, "k"), "k", data)
		})
	}
}
