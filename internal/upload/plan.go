package upload

import (
	"strings"

	"github.com/dustin/go-humanize"
)

// MiB is the unit that part sizes grow in.
const MiB = 1 << 20

// Defaults of Options.
const (
	DefaultPartSize  = 16 * MiB
	DefaultThreshold = 64 * MiB
	DefaultMaxMemory = 256 * MiB
)

// Limits are what a store allows (S3-FACTS §2). The zero value of a field is
// Amazon's limit.
type Limits struct {
	MinPart int64 // of every part but the last: 5 MiB
	MaxPart int64 // 5 GiB
	MaxPut  int64 // of one PutObject: 5 GiB
	MaxCopy int64 // of the source of a CopyObject: 5 GiB
	Parts   int   // of one upload: 10,000
	// EqualParts says that the store takes parts of one size only, but for the last.
	EqualParts bool

	// A listing is not followed for more pages than that, and not more unfinished
	// uploads of a key are looked at: some listings never end. 1,000 each.
	Pages, Looks int
}

func (l Limits) withDefaults() Limits {
	set := func(field *int64, value int64) {
		if *field == 0 {
			*field = value
		}
	}
	set(&l.MinPart, 5*MiB)
	set(&l.MaxPart, 5<<30)
	set(&l.MaxPut, 5<<30)
	set(&l.MaxCopy, 5<<30)
	setDefault(&l.Parts, 10_000)
	setDefault(&l.Pages, 1000)
	setDefault(&l.Looks, 1000)
	return l
}

// A cut is how an object of a known size is divided: into parts of one size,
// the last of which may be smaller.
type cut struct{ size, part int64 }

// parts returns how many there are.
func (c cut) parts() int { return int((c.size + c.part - 1) / c.part) }

// at returns where part n, counted from 1, begins and how long it is.
func (c cut) at(n int) (offset, size int64) {
	offset = int64(n-1) * c.part
	return offset, min(c.part, c.size-offset)
}

// plan cuts an object of a known size into parts of the size that was asked
// for, or of more whole MiB where there would be too many.
func (l Limits) plan(size, part int64) (cut, error) {
	if largest := int64(l.Parts) * l.MaxPart; size > largest {
		return cut{}, fail(Usage, "%s is more than the %s that an S3 object can have", byteSize(size), byteSize(largest))
	}
	if c := (cut{size, part}); c.parts() <= l.Parts {
		return c, nil
	}
	part = (size + int64(l.Parts) - 1) / int64(l.Parts)
	part = min((part+MiB-1)/MiB*MiB, l.MaxPart)
	return cut{size, part}, nil
}

// checkPart says what is wrong with a part size.
func (l Limits) checkPart(part int64) error {
	if part < l.MinPart || part > l.MaxPart {
		return fail(Usage, "a part size of %s is not possible: S3 takes parts of %s to %s",
			byteSize(part), byteSize(l.MinPart), byteSize(l.MaxPart))
	}
	return nil
}

// byteSize is a number of bytes in words.
func byteSize(n int64) string { return humanize.IBytes(uint64(max(n, 0))) }

// mayHaveParts refuses a key that XML cannot hold, of which no answer to the
// creation of a multipart upload can be read: https://www.w3.org/TR/xml/#charsets
func mayHaveParts(key string) error {
	for _, r := range key {
		if r < ' ' && !strings.ContainsRune("\t\n\r", r) || r == 0xFFFE || r == 0xFFFF {
			return fail(Usage, "the key has the character %U, with which S3 takes objects in one piece only", r)
		}
	}
	return nil
}
