package tree

import (
	"iter"
	"slices"
	"strings"
)

// Merge makes one walk of several, in the order of keys. Of files with one key, that
// of the earlier walk comes first.
func Merge(walks ...iter.Seq[File]) iter.Seq[File] {
	if len(walks) == 1 {
		return walks[0]
	}
	return func(yield func(File) bool) {
		type head struct {
			file File
			next func() (File, bool)
		}
		var heads []*head
		for _, walk := range walks {
			next, stop := iter.Pull(walk)
			defer stop()
			if f, ok := next(); ok {
				heads = append(heads, &head{f, next})
			}
		}
		for len(heads) > 0 {
			least := slices.MinFunc(heads, func(a, b *head) int { return strings.Compare(a.file.Key, b.file.Key) })
			if !yield(least.file) {
				return
			}
			var ok bool
			if least.file, ok = least.next(); !ok {
				heads = slices.DeleteFunc(heads, func(h *head) bool { return h == least })
			}
		}
	}
}
