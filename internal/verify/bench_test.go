//go:build unix

package verify_test

import (
	"crypto/md5"
	"fmt"
	"syscall"
	"testing"
	"time"

	"s3up/internal/etag"
	"s3up/internal/s3test"
	"s3up/internal/verify"
)

// cpu is what this process has used.
func cpu(b *testing.B) time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		b.Fatal(err)
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkVerify tells how much CPU it takes to verify an object of parts, in
// md5sums of the same bytes: at most 1.3 is wanted where the store tells the size of
// the parts, and 5 where eight are tried.
func BenchmarkVerify(b *testing.B) {
	const size, part = 256 * mib, 128 * mib // of two parts there are many sizes that may be
	data := random(size, 50)
	begun := cpu(b)
	md5.Sum(data)
	md5sum := cpu(b) - begun
	s, err := s3test.Start(s3test.Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	s.CreateBucket(bucket)
	s.Put(bucket, "k", data, func(o *s3test.Object) { o.Parts = cut(size, part) })
	for _, guesses := range []int{0, 8, verify.DefaultGuesses} {
		name := "told"
		if guesses > 0 {
			name = fmt.Sprint("guesses=", guesses)
			if n := len(etag.PartSizes(size, 2, guesses)); n != guesses {
				b.Fatalf("only %d sizes", n)
			}
			s.SetQuirks(func(q *s3test.Quirks) {
				if err := q.Set("head-ignores-part-number"); err != nil {
					b.Fatal(err)
				}
			})
		}
		b.Run(name, func(b *testing.B) {
			b.SetBytes(size)
			v := verify.New(s.Client(), verify.Options{Guesses: guesses})
			begun := cpu(b)
			for b.Loop() {
				r, err := v.Verify(b.Context(), file(data), bucket, "k", nil, nil)
				if err != nil || r.Status != verify.Match || r.Told != (guesses == 0) {
					b.Fatal(short(r), err)
				}
			}
			b.ReportMetric(float64(cpu(b)-begun)/float64(b.N)/float64(md5sum), "md5sums")
		})
	}
}
