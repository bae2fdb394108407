package tree

// A Shard is one of the shares that the keys of a tree are divided into, for several
// machines to work at. Each key is in exactly one of the shares of a number, and
// stays there for ever: the hash is FNV-1a with 64 bits, of the bytes of the whole
// key, modulo that number. The zero Shard has all keys.
type Shard struct {
	Index uint64 // counted from 0
	Of    uint64
}

// Has says whether a key is in the share.
func (s Shard) Has(key string) bool {
	if s.Of <= 1 {
		return true
	}
	const offset, prime = 14695981039346656037, 1099511628211 // http://www.isthe.com/chongo/tech/comp/fnv/
	h := uint64(offset)
	for i := range len(key) {
		h = (h ^ uint64(key[i])) * prime
	}
	return h%s.Of == s.Index
}
