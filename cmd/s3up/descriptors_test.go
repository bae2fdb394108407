package main

import "testing"

func TestShareOut(t *testing.T) {
	for _, tt := range []struct{ descriptors, slots, wantFiles, wantSlots int }{
		{1024, 64, 64, 64},
		{204, 64, 64, 64},
		{100, 64, 22, 44},
		{32, 64, 5, 10},
		{256, 1024, 61, 122},
		{8, 64, 1, 1},
	} {
		files, slots := shareOut(fileWorkers, tt.slots, tt.descriptors)
		if files != tt.wantFiles || slots != tt.wantSlots {
			t.Errorf("of %d descriptors: %d files and %d slots, want %d and %d", tt.descriptors, files, slots, tt.wantFiles, tt.wantSlots)
		}
	}
}
