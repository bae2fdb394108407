//go:build !(amd64 || arm64) || purego

package etag

// block1 advances an MD5 by the whole blocks of p.
func block1(s *state, p []byte) { plainBlock1(s, p) }

// block2 advances two MD5s side by side: s by the whole blocks of p, and t by
// as many of q, which is not shorter.
func block2(s, t *state, p, q []byte) { plainBlock2(s, t, p, q) }
