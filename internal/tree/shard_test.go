package tree

import (
	"hash/fnv"
	"testing"
	"testing/quick"
)

// TestShards has each key in exactly one of the shares, whatever their number, and
// always in the same.
func TestShards(t *testing.T) {
	inOne := func(key string, of uint8) bool {
		n, in := uint64(of)+1, 0
		h := fnv.New64a()
		h.Write([]byte(key))
		for i := range n {
			if (Shard{i, n}).Has(key) {
				in++
				if n > 1 && h.Sum64()%n != i {
					return false
				}
			}
		}
		return in == 1
	}
	if err := quick.Check(inOne, &quick.Config{MaxCount: 2000}); err != nil {
		t.Error(err)
	}
	// Shares that some machines have worked at today are the same tomorrow.
	for key, want := range map[string]uint64{"": 5, "a": 4, "backups/2026/db.dump": 2, "site/index.html": 0, "日本": 1} {
		if !(Shard{want, 8}).Has(key) {
			for i := range uint64(8) {
				if (Shard{i, 8}).Has(key) {
					t.Errorf("%q is in share %d of 8, and was in %d", key, i, want)
				}
			}
		}
	}
	counts := make([]int, 7)
	for i := range 7000 {
		for s := range counts {
			if (Shard{uint64(s), 7}).Has("dir/file-" + string(rune('a'+i%26)) + string(rune('0'+i%1000))) {
				counts[s]++
			}
		}
	}
	for s, n := range counts {
		if n < 800 || n > 1200 {
			t.Errorf("share %d has %d of 7000 keys", s, n)
		}
	}
	if !(Shard{}).Has("any") {
		t.Error("the zero Shard has not all keys")
	}
}
