package crc_test

import (
	"fmt"
	"hash/crc64"
	"math/rand/v2"
	"testing"

	"s3up/internal/crc"
)

var table = crc64.MakeTable(0x9a6c9329ac4bc9b5)

func sum(p []byte) crc.Sum {
	h := crc.New()
	h.Write(p)
	return crc.Sum(h.Sum64())
}

// The check value of the catalogue: https://reveng.sourceforge.io/crc-catalogue/all.htm
func TestSum(t *testing.T) {
	if got := sum([]byte("123456789")); got != 0xae8b14860a799888 || got.Base64() != "rosUhgp5mIg=" {
		t.Errorf("%x, %s", got, got.Base64())
	}
	if got := crc.Sum(0).Base64(); got != "AAAAAAAAAAA=" {
		t.Errorf("of nothing: %s", got)
	}
	data := make([]byte, 100_000)
	rand.NewChaCha8([32]byte{1}).Read(data)
	for _, n := range []int{0, 1, 7, 8, 9, 127, 128, 129, 1023, 4096, len(data)} {
		if got, want := uint64(sum(data[:n])), crc64.Checksum(data[:n], table); got != want {
			t.Errorf("%d bytes: %x, want %x", n, got, want)
		}
	}
}

func TestThen(t *testing.T) {
	data := make([]byte, 50_000)
	rand.NewChaCha8([32]byte{2}).Read(data)
	for _, cut := range []int{0, 1, 2, 3, 255, 4096, 4097, 33_333, len(data) - 1, len(data)} {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			if got, want := sum(data[:cut]).Then(sum(data[cut:]), int64(len(data)-cut)), sum(data); got != want {
				t.Errorf("%x, want %x", got, want)
			}
		})
	}
	var whole crc.Sum // of three parts, as an upload has them
	for _, part := range [][]byte{data[:20_000], data[20_000:40_000], data[40_000:]} {
		whole = whole.Then(sum(part), int64(len(part)))
	}
	if want := sum(data); whole != want {
		t.Errorf("%x, want %x", whole, want)
	}
}
