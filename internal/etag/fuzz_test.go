package etag

import (
	"crypto/md5"
	"encoding/hex"
	"strconv"
	"strings"
	"testing"
)

// Whatever a server sends as an ETag is an MD5, a composite or neither, and only
// what could have come from here is one of the first two.
func FuzzETag(f *testing.F) {
	const sum = "d41d8cd98f00b204e9800998ecf8427e"
	for _, seed := range []string{"", `"`, `""`, sum, `"` + sum + `"`, "W/" + sum, `W/"` + sum + `"`, sum + "-1", sum + "-10000", sum + "--1",
		sum + "-+1", sum + "-0", sum + "-1-1", sum + "-99999999999999999999", sum + "-1\n", strings.ToUpper(sum), sum[1:], sum + "0", "\xff" + sum[1:],
		"ı" + sum[2:], strings.Repeat("9", 4000) + "-2"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, s string) {
		tag := Trim(s)
		if Trim(`"`+tag+`"`) != strings.Trim(tag, `"`) {
			t.Errorf("%q: Trim takes off more than the quotes", tag)
		}
		_, err := hex.DecodeString(tag)
		if got, want := IsMD5(tag), err == nil && len(tag) == 2*md5.Size; got != want {
			t.Errorf("IsMD5(%q) = %v", tag, got)
		}
		n := Parts(tag)
		if n < 0 || n > 0 && IsMD5(tag) {
			t.Errorf("Parts(%q) = %d", tag, n)
		}
		if n > 0 {
			digest, count, _ := strings.Cut(tag, "-")
			if number, err := strconv.Atoi(count); !IsMD5(digest) || err != nil || number != n {
				t.Errorf("Parts(%q) = %d", tag, n)
			}
		}
		parts := []MD5{Sum([]byte(s)), Sum([]byte(tag))}
		if c := Composite(parts); Parts(c) != len(parts) || IsMD5(c) {
			t.Errorf("the composite %q has %d parts", c, Parts(c))
		}
	})
}
