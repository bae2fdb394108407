package upload

import (
	"testing"
)

const (
	GiB = 1 << 30
	TiB = 1 << 40
)

func TestPlan(t *testing.T) {
	for _, tt := range []struct {
		size, wish, part int64
		parts            int
	}{
		{64*MiB + 1, 16 * MiB, 16 * MiB, 5},
		{16 * MiB, 16 * MiB, 16 * MiB, 1},
		{16*MiB + 1, 16 * MiB, 16 * MiB, 2},
		{5 * MiB * 10_000, 5 * MiB, 5 * MiB, 10_000},
		{5*MiB*10_000 + 1, 5 * MiB, 6 * MiB, 8334},
		{16 * MiB * 10_000, 16 * MiB, 16 * MiB, 10_000},
		{16*MiB*10_000 + 1, 16 * MiB, 17 * MiB, 9412},
		{TiB, 16 * MiB, 105 * MiB, 9987},
		{5 * TiB, 16 * MiB, 525 * MiB, 9987},
		{5 * TiB, GiB, GiB, 5120},
		{10_000*5*GiB - 1, 5 * MiB, 5 * GiB, 10_000},
		{10_000 * 5 * GiB, 5 * MiB, 5 * GiB, 10_000}, // 48.8 TiB
	} {
		c, err := Limits{}.withDefaults().plan(tt.size, tt.wish)
		if err != nil || c.part != tt.part || c.parts() != tt.parts || c.size != tt.size {
			t.Errorf("plan(%d, %d): %d parts of %d bytes, %v, want %d of %d", tt.size, tt.wish, c.parts(), c.part, err, tt.parts, tt.part)
		}
		if offset, size := c.at(c.parts()); offset+size != c.size || size < 1 || size > c.part {
			t.Errorf("plan(%d, %d): the last part is %d bytes at %d", tt.size, tt.wish, size, offset)
		}
	}
	if _, err := (Limits{}).withDefaults().plan(10_000*5*GiB+1, 16*MiB); KindOf(err) != Usage {
		t.Errorf("a byte more than 10,000 parts hold: %v of kind %d, want %d", err, KindOf(err), Usage)
	}
}

// What a set of stored parts can be of.
func TestInfer(t *testing.T) {
	l := Limits{MinPart: 10, MaxPart: 1000, Parts: 100}
	const size = 105
	for name, tt := range map[string]struct {
		wish  int64
		parts map[int]int64
		want  int64 // 0: nothing
	}{
		"nothing":                          {20, nil, 0},
		"as wished":                        {20, map[int]int64{1: 20, 3: 20}, 20},
		"the last, as wished":              {20, map[int]int64{6: 5}, 20},
		"larger":                           {20, map[int]int64{1: 30, 4: 15}, 30},
		"smaller":                          {20, map[int]int64{2: 10, 11: 5}, 10},
		"only the last":                    {20, map[int]int64{4: 9}, 32},
		"only the last, which can be none": {20, map[int]int64{4: 8}, 0},
		"too small":                        {20, map[int]int64{1: 7, 2: 7}, 0},
		"two sizes":                        {20, map[int]int64{1: 30, 2: 20}, 0},
		"beyond the end":                   {20, map[int]int64{1: 20, 7: 20}, 0},
		"number 0":                         {20, map[int]int64{0: 20}, 0},
		"a last part that is too long":     {20, map[int]int64{1: 20, 6: 20}, 0},
		"a whole file":                     {20, map[int]int64{1: size}, size},
		"an empty part":                    {20, map[int]int64{1: 0}, 0},
	} {
		parts := make(map[int]storedPart)
		for n, s := range tt.parts {
			parts[n] = storedPart{size: s}
		}
		c, ok := l.infer(parts, cut{size, tt.wish})
		if ok != (tt.want != 0) || ok && c != (cut{size, tt.want}) {
			t.Errorf("%s: parts of %d, %t, want %d", name, c.part, ok, tt.want)
		}
	}
}

// The parts of a stream: equal for four fifths of all numbers, then twice as
// large with each step, up to half of the memory.
func TestStreamCut(t *testing.T) {
	c := streamCut{part: 16 * MiB, equal: 8000, step: 100, largest: 128 * MiB, parts: 10_000}
	for n, want := range map[int]int64{1: 16, 8000: 16, 8001: 32, 8100: 32, 8101: 64, 8200: 64, 8201: 128, 10_000: 128} {
		if got := c.size(n); got != want*MiB {
			t.Errorf("part %d has %d bytes, want %d MiB", n, got, want)
		}
	}
	if got, want := c.reach(), int64(8000*16+100*32+100*64+1800*128)*MiB; got != want {
		t.Errorf("reach %d, want %d", got, want)
	}
}

func TestCopySource(t *testing.T) {
	for _, tt := range []struct{ bucket, want string }{
		{"b", "b/a%20b/%2B"},
		{"mine-abc-s3alias", "mine-abc-s3alias/a%20b/%2B"},
		{"arn:aws:s3:us-east-1:123456789012:accesspoint/mine",
			"arn%3Aaws%3As3%3Aus-east-1%3A123456789012%3Aaccesspoint/mine/object/a%20b/%2B"},
	} {
		if got := *copySource(tt.bucket, "a b/+"); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.bucket, got, tt.want)
		}
	}
}
