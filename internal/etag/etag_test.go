package etag_test

import (
	"bytes"
	"testing"

	"s3up/internal/etag"
)

func TestComposite(t *testing.T) {
	// The same as: (printf a | md5sum; printf b | md5sum) | cut -c-32 | xxd -r -p | md5sum
	parts := []etag.MD5{etag.Sum([]byte("a")), etag.Sum([]byte("b"))}
	if got, want := etag.Composite(parts), "96e024ba2074fe77e8e965ba43a704be-2"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestShapes(t *testing.T) {
	const hex = "d41d8cd98f00b204e9800998ecf8427e"
	for _, tt := range []struct {
		in    string
		trim  string
		isMD5 bool
		parts int
	}{
		{`"` + hex + `"`, hex, true, 0},
		{hex, hex, true, 0},
		{`W/"` + hex + `"`, hex, true, 0},
		{`"` + hex + `-12"`, hex + "-12", false, 12},
		{hex + "-0", hex + "-0", false, 0},
		{hex + "-+1", hex + "-+1", false, 0},
		{hex + "-x", hex + "-x", false, 0},
		{"abc-2", "abc-2", false, 0},
		{"CKih16GjycICEAE=", "CKih16GjycICEAE=", false, 0},
		{"", "", false, 0},
	} {
		got := etag.Trim(tt.in)
		if got != tt.trim {
			t.Errorf("Trim(%q) = %q, want %q", tt.in, got, tt.trim)
		}
		if etag.IsMD5(got) != tt.isMD5 {
			t.Errorf("IsMD5(%q) = %v, want %v", got, !tt.isMD5, tt.isMD5)
		}
		if n := etag.Parts(got); n != tt.parts {
			t.Errorf("Parts(%q) = %d, want %d", got, n, tt.parts)
		}
	}
}

func TestMD5(t *testing.T) {
	m := etag.Sum(nil)
	if got, want := m.String(), "d41d8cd98f00b204e9800998ecf8427e"; got != want {
		t.Errorf("String() = %s, want %s", got, want)
	}
	if got, want := m.Base64(), "1B2M2Y8AsgTpgAmY7PhCfg=="; got != want {
		t.Errorf("Base64() = %s, want %s", got, want)
	}
}

func TestHasher(t *testing.T) {
	data := bytes.Repeat([]byte("0123456789"), 1000)
	for _, partSize := range []int{1, 63, 64, 65, 1000, 9999, 10000, 20000} {
		for _, block := range []int{1, 64, 100, 10000} {
			h := etag.NewHasher()
			for off := 0; off < len(data); off += partSize {
				part := data[off:min(off+partSize, len(data))]
				for b := 0; b < len(part); b += block {
					h.Write(part[b:min(b+block, len(part))])
				}
				if got, want := h.EndPart(), etag.Sum(part); got != want {
					t.Fatalf("parts of %d in blocks of %d: part at %d: got %v, want %v", partSize, block, off, got, want)
				}
			}
			if got, want := h.Whole(), etag.Sum(data); got != want {
				t.Fatalf("parts of %d in blocks of %d: whole: got %v, want %v", partSize, block, got, want)
			}
		}
	}
}
