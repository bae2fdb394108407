package upload_test

import (
	"context"
	"crypto/md5"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"s3up/internal/crc"
	"s3up/internal/s3test"
	"s3up/internal/upload"
)

func crc64(data []byte) string {
	h := crc.New()
	h.Write(data)
	return crc.Sum(h.Sum64()).Base64()
}

func md5Base64(data []byte) string {
	sum := md5.Sum(data)
	return base64.StdEncoding.EncodeToString(sum[:])
}

// Changes of a run.

// amazon makes the store one that is known to compute checksums.
func amazon(r *run) { r.ServerMD5 = true }

func checksum(c upload.Checksum) func(*run) { return func(r *run) { r.Checksum = c } }

func kms(r *run) { r.SSE = "aws:kms" }

// tooLarge makes objects of more than two parts too large to be copied.
func tooLarge(r *run) { r.Limits.MaxCopy = 2 * KiB }

func all(changes ...func(*run)) func(*run) {
	return func(r *run) {
		for _, f := range changes {
			f(r)
		}
	}
}

// Which checksum an object gets, on which stores.
func TestChecksum(t *testing.T) {
	const crcs, md5s = "CRC64NVME", "MD5"
	byDefault := s3test.Quirks{KMSByDefault: true}
	for name, test := range map[string]struct {
		quirks s3test.Quirks
		change func(*run)
		small  bool // in one piece
		tls    bool
		ends   upload.Normalized
		create string // the algorithm that the upload was created with
		sum    string // the algorithm of the object in the end
		begun  int    // uploads; default 1
		late   string // what is denied after all parts were sent
		notes  []string
	}{
		"nothing":                         {change: func(*run) {}, ends: upload.SelfCopy},
		"KMS elsewhere":                   {quirks: byDefault, change: func(*run) {}, ends: upload.Opaque},
		"too large elsewhere":             {change: tooLarge, ends: upload.TooLarge, notes: []string{"cannot be copied in one piece"}},
		"KMS on Amazon":                   {change: all(amazon, kms), ends: upload.ChecksumMD5, create: crcs, sum: md5s},
		"KMS on Amazon, by default":       {quirks: byDefault, change: amazon, ends: upload.ChecksumMD5, create: crcs, sum: md5s, begun: 2},
		"KMS on Amazon, DSSE":             {change: all(amazon, func(r *run) { r.SSE = "aws:kms:dsse" }), ends: upload.ChecksumMD5, create: crcs, sum: md5s},
		"KMS on Amazon, none":             {change: all(amazon, kms, checksum(upload.SumNone)), ends: upload.Opaque},
		"KMS on Amazon, crc64nvme":        {change: all(amazon, kms, checksum(upload.SumCRC64NVME)), ends: upload.Opaque, create: crcs, sum: crcs},
		"KMS on Amazon, md5":              {change: all(amazon, kms, checksum(upload.SumMD5)), ends: upload.ChecksumMD5, sum: md5s},
		"KMS on Amazon, too large":        {change: all(amazon, kms, tooLarge), ends: upload.Opaque, create: crcs, sum: crcs},
		"KMS on Amazon, copy refused":     {quirks: s3test.Quirks{CopyRefused: 403}, change: all(amazon, kms), ends: upload.Opaque, create: crcs, sum: crcs, notes: []string{"the copy that proves the MD5 of the whole was refused"}},
		"KMS on Amazon, may not decrypt":  {late: "kms:Decrypt", change: all(amazon, kms, tooLarge), ends: upload.Opaque, create: crcs, sum: crcs},
		"KMS, md5, may not decrypt":       {small: true, quirks: s3test.Quirks{ChecksumsIgnored: true, Deny: []string{"kms:Decrypt"}}, change: all(amazon, kms, checksum(upload.SumMD5)), ends: upload.Opaque, notes: []string{"may not be seen; that needs s3:GetObject, and kms:Decrypt"}},
		"KMS on Amazon, write-only":       {quirks: s3test.Quirks{Deny: []string{"s3:GetObject"}}, change: all(amazon, kms), ends: upload.Refused, create: crcs, sum: crcs, notes: []string{"the object may not be looked at"}},
		"own key on Amazon":               {tls: true, change: all(amazon, func(r *run) { r.CustomerKey = customerKey }), ends: upload.ChecksumMD5, create: crcs, sum: md5s},
		"own key on Amazon, too large":    {tls: true, change: all(amazon, tooLarge, func(r *run) { r.CustomerKey = customerKey }), ends: upload.Opaque, create: crcs, sum: crcs},
		"too large on Amazon":             {change: all(amazon, tooLarge), ends: upload.TooLarge, create: crcs, sum: crcs, notes: []string{"cannot be copied in one piece"}},
		"too large on Amazon, md5":        {change: all(amazon, tooLarge, checksum(upload.SumMD5)), ends: upload.TooLarge, notes: []string{"cannot be copied in one piece", "shows no MD5 checksum"}},
		"crc64nvme":                       {change: checksum(upload.SumCRC64NVME), ends: upload.SelfCopy, create: crcs, sum: crcs},
		"crc64nvme, staged":               {change: all(checksum(upload.SumCRC64NVME), normalize(upload.NormalizeStaged)), ends: upload.StagedCopy, create: crcs, sum: crcs},
		"crc64nvme on MinIO":              {quirks: s3test.Quirks{SelfCopyKeepsChecksummed: true}, change: checksum(upload.SumCRC64NVME), ends: upload.Kept, create: crcs, sum: crcs, notes: []string{"has a checksum; without one, or with --normalize staged"}},
		"crc64nvme on versitygw":          {quirks: must(s3test.Store("versitygw")), change: checksum(upload.SumCRC64NVME), ends: upload.Kept, create: crcs, sum: crcs, notes: []string{"has a checksum"}},
		"crc64nvme, not taken":            {quirks: s3test.Quirks{ChecksumsIgnored: true}, change: checksum(upload.SumCRC64NVME), ends: upload.SelfCopy, create: crcs, notes: []string{"shows no CRC64NVME"}},
		"md5 on Amazon":                   {change: all(amazon, checksum(upload.SumMD5)), ends: upload.SelfCopy, sum: md5s},
		"Amazon that takes none":          {quirks: s3test.Quirks{ChecksumsRefused: 501}, change: all(amazon, tooLarge), ends: upload.TooLarge, create: crcs, notes: []string{"cannot be copied", "takes no CRC64NVME of the object (501 NotImplemented)"}},
		"Amazon that knows none":          {quirks: s3test.Quirks{ChecksumsRefused: 400}, change: all(amazon, tooLarge), ends: upload.TooLarge, create: crcs, notes: []string{"cannot be copied", "takes no CRC64NVME of the object (400 InvalidRequest)"}},
		"Amazon that ignores them":        {quirks: s3test.Quirks{ChecksumsIgnored: true}, change: all(amazon, tooLarge), ends: upload.TooLarge, create: crcs, notes: []string{"cannot be copied"}},
		"one piece":                       {small: true, change: all(amazon), ends: upload.SinglePut},
		"one piece, KMS":                  {small: true, change: all(amazon, kms), ends: upload.Opaque},
		"one piece, crc64nvme":            {small: true, change: checksum(upload.SumCRC64NVME), ends: upload.SinglePut, sum: crcs},
		"one piece, md5":                  {small: true, change: all(amazon, checksum(upload.SumMD5)), ends: upload.SinglePut, sum: md5s},
		"one piece, md5, KMS":             {small: true, change: all(amazon, kms, checksum(upload.SumMD5)), ends: upload.ChecksumMD5, sum: md5s},
		"one piece, crc64nvme, not taken": {small: true, quirks: s3test.Quirks{ChecksumsIgnored: true}, change: checksum(upload.SumCRC64NVME), ends: upload.SinglePut, notes: []string{"shows no CRC64NVME"}},
	} {
		for _, kind := range sources {
			t.Run(name+"/"+kind.name, func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{Quirks: test.quirks, TLS: test.tls})
				size := int64(3*KiB + 5)
				if test.small {
					size = KiB
				}
				data := random(size, name)
				if test.late != "" {
					st.when("CompleteMultipartUpload", 0, func() {
						st.SetQuirks(func(q *s3test.Quirks) { q.Deny = []string{test.late} })
					})
				}
				r := st.upload(t, kind.of(t, data), "k", test.change, func(r *run) {
					if kind.name == "stream" {
						r.ExpectedSize = size
					}
				})
				if r.Normalized != test.ends {
					t.Errorf("normalized: %s, want %s; error %v", r.Normalized, test.ends, r.Err)
				}
				st.check(t, r, "k", data)
				notes(t, r, test.notes...)
				want := map[string]string{"CRC64NVME": crc64(data), "MD5": md5Base64(data)}[test.sum]
				if r.ChecksumAlgorithm != test.sum || r.Checksum != want {
					t.Errorf("the checksum is said to be %s %s, want %s %s", r.ChecksumAlgorithm, r.Checksum, test.sum, want)
				}
				o, _ := st.Server.Object("b", "k")
				if o.ChecksumAlgorithm != test.sum || o.Checksum != want || test.sum != "" && o.ChecksumType != "FULL_OBJECT" {
					t.Errorf("the object has %s %s %s, want %s %s", o.ChecksumType, o.ChecksumAlgorithm, o.Checksum, test.sum, want)
				}
				if test.small {
					return
				}
				created := 0
				algorithm := ""
				for _, rec := range st.Requests() {
					if rec.Op == "CreateMultipartUpload" {
						created++
						algorithm = max(algorithm, rec.Header.Get("X-Amz-Checksum-Algorithm"))
					}
				}
				if algorithm != test.create || test.quirks.ChecksumsRefused == 0 && created != max(test.begun, 1) {
					t.Errorf("%d uploads were created, with the algorithm %q, want %d, %q", created, algorithm, max(test.begun, 1), test.create)
				}
				st.nothingLeft(t, "k")
			})
		}
	}
}

// must is what s3test.Store knows.
func must(q s3test.Quirks, ok bool) s3test.Quirks {
	if !ok {
		panic("no such store")
	}
	return q
}

// A stream whose size nobody knows may become too large to be copied.
func TestChecksumOfUnknownSize(t *testing.T) {
	st := newStand(t, s3test.Options{})
	data := random(3*KiB, "unknown")
	r := st.upload(t, stream(t, data), "k", amazon)
	st.ends(t, r, "k", data, upload.SelfCopy)
	if r.Checksum != crc64(data) {
		t.Errorf("the checksum is said to be %q, want %q", r.Checksum, crc64(data))
	}
}

// A bucket that encrypts by default is known after the first upload.
func TestChecksumRemembered(t *testing.T) {
	st := newStand(t, s3test.Options{Quirks: s3test.Quirks{KMSByDefault: true}})
	o := st.options()
	o.ServerMD5 = true
	u, err := upload.New(st.store.Client, o)
	if err != nil {
		t.Fatal(err)
	}
	for range 3 {
		src := file(t, random(3*KiB, "remembered"))
		if r := u.Upload(t.Context(), &upload.Job{Source: src, Bucket: st.bucket, Key: "k"}); r.Err != nil || r.Normalized != upload.ChecksumMD5 {
			t.Errorf("%s, error %v", r.Normalized, r.Err)
		}
		src.Close()
	}
	if n := st.Count("CreateMultipartUpload"); n != 4 {
		t.Errorf("%d uploads were created, want 4", n)
	}
}

// The checksum goes as a header, over http and over https, with each part and with
// the whole; nothing is sent in chunks, and no byte is read for it again.
func TestChecksumWire(t *testing.T) {
	const header = "X-Amz-Checksum-Crc64nvme"
	for _, https := range []bool{false, true} {
		for _, kind := range sources {
			st := newStand(t, s3test.Options{TLS: https})
			data, small := random(3*KiB+5, "wire"), random(KiB, "small")
			r := st.upload(t, kind.of(t, data), "k", checksum(upload.SumCRC64NVME))
			st.ends(t, r, "k", data, upload.SelfCopy)
			if r.BytesSent != r.Size {
				t.Errorf("%d bytes were read to be sent, of %d", r.BytesSent, r.Size)
			}
			r = st.upload(t, kind.of(t, small), "small", checksum(upload.SumCRC64NVME))
			st.ends(t, r, "small", small, upload.SinglePut)
			for _, rec := range st.Requests() {
				want := map[string]string{}
				switch rec.Op {
				case "CreateMultipartUpload":
					want = map[string]string{"X-Amz-Checksum-Algorithm": "CRC64NVME", "X-Amz-Checksum-Type": "FULL_OBJECT"}
				case "UploadPart":
					want[header] = crc64(partOf(data, KiB, rec.Part))
				case "CompleteMultipartUpload":
					want = map[string]string{header: crc64(data), "X-Amz-Checksum-Type": "FULL_OBJECT"}
				case "PutObject":
					want[header] = crc64(small)
				case "HeadObject":
					want["X-Amz-Checksum-Mode"] = "ENABLED"
				}
				got := map[string]string{}
				for name := range rec.Header {
					if strings.Contains(name, "Checksum") || strings.Contains(name, "Trailer") || strings.Contains(name, "Decoded") {
						got[name] = rec.Header.Get(name)
					}
				}
				if diff := cmp.Diff(want, got); diff != "" || rec.Chunked {
					t.Errorf("https %t, %s, %s: chunked %t\n%s", https, kind.name, rec.Op, rec.Chunked, diff)
				}
			}
		}
	}
}

// What only a checksum of all bytes can find out, where ETags tell nothing.
func TestChecksumFindsOut(t *testing.T) {
	for name, test := range map[string]struct {
		quirks s3test.Quirks
		fault  s3test.Fault
		change func(*run)
		why    string
	}{
		"a part that rots":               {fault: s3test.Fault{Op: "UploadPart 2", Do: s3test.CorruptQuiet}, change: all(amazon, kms), why: "BadDigest"},
		"a part that rots, too large":    {fault: s3test.Fault{Op: "UploadPart 2", Do: s3test.CorruptQuiet}, change: all(amazon, kms, tooLarge), why: "BadDigest"},
		"another object, store is blind": {quirks: s3test.Quirks{CompleteIgnoresChecksum: true}, fault: s3test.Fault{Op: "CompleteMultipartUpload", Do: s3test.WrongObject}, change: all(amazon, kms, tooLarge), why: "the store's CRC64NVME of the object is "},
		"another object, copied":         {fault: s3test.Fault{Op: "CopyObject", Do: s3test.WrongObject}, change: all(amazon, kms), why: "the store's MD5 of the object is "},
		"a copy that rots":               {fault: s3test.Fault{Op: "CopyObject", Do: s3test.CorruptQuiet}, change: all(amazon, kms), why: "the store's MD5 of the object is "},
		"another object, opaque ETags":   {quirks: s3test.Quirks{OpaqueETags: true, CompleteIgnoresChecksum: true}, fault: s3test.Fault{Op: "CompleteMultipartUpload", Do: s3test.WrongObject}, change: checksum(upload.SumCRC64NVME), why: "the store's CRC64NVME of the object is "},
	} {
		for _, kind := range sources {
			t.Run(name+"/"+kind.name, func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{Quirks: test.quirks})
				st.Fault(test.fault)
				data := random(3*KiB, name)
				r := st.upload(t, kind.of(t, data), "k", test.change, func(r *run) { r.ExpectedSize = 3 * KiB })
				if upload.KindOf(r.Err) != upload.Integrity || !strings.Contains(r.Err.Error(), test.why) {
					t.Errorf("error %v of kind %d, want %q", r.Err, upload.KindOf(r.Err), test.why)
				}
				st.nothingLeft(t, "k")
			})
		}
	}
}

// A store that takes no checksum says so, if one was asked for.
func TestChecksumRefused(t *testing.T) {
	for _, size := range []int64{KiB, 3 * KiB} {
		st := newStand(t, s3test.Options{Quirks: s3test.Quirks{ChecksumsRefused: 501}})
		r := st.upload(t, file(t, random(size, "")), "k", checksum(upload.SumCRC64NVME))
		if r.Err == nil || !strings.Contains(r.Err.Error(), "NotImplemented") || st.object(t, "k") != nil {
			t.Errorf("error %v", r.Err)
		}
	}
	if _, err := upload.New(nil, upload.Options{Checksum: upload.SumMD5}); upload.KindOf(err) != upload.Usage {
		t.Errorf("MD5 on any store: %v", err)
	}
}

// The answer to a write under KMS is lost: the checksum tells that it was done.
func TestChecksumSettles(t *testing.T) {
	for _, op := range []string{"CompleteMultipartUpload", "CopyObject"} {
		for _, quirks := range []s3test.Quirks{{}, {CompleteOnce: true}} {
			st := newStand(t, s3test.Options{Quirks: quirks})
			st.Fault(s3test.Fault{Op: op, Do: s3test.Lose})
			data := random(3*KiB, op)
			r := st.upload(t, file(t, data), "k", amazon, kms)
			st.ends(t, r, "k", data, upload.ChecksumMD5)
			st.nothingLeft(t, "k")
		}
	}
}

// An unfinished upload under KMS is gone on with by the checksums of its parts: no
// ETag tells what is in them.
func TestResumeBySums(t *testing.T) {
	type create = s3.CreateMultipartUploadInput
	sums := func(in *create) { in.ChecksumAlgorithm, in.ChecksumType = "CRC64NVME", "FULL_OBJECT" }
	encrypted := func(key string) func(*create) {
		return func(in *create) { in.ServerSideEncryption, in.SSEKMSKeyId = "aws:kms", aws.String(key) }
	}
	mine := func(r *run) { r.SSE, r.KMSKeyID = "aws:kms", "mine" }
	three := []int{1, 2, 4}
	for name, test := range map[string]struct {
		quirks  s3test.Quirks
		create  []func(*create)
		change  func(*run)
		wrong   int // the number of a part that has other bytes
		resumed int
		sent    int // parts; -1: more than there are
		ends    upload.Normalized
		notes   []string
	}{
		"asked for":                    {create: []func(*create){sums, encrypted("mine")}, change: all(amazon, mine), resumed: 3, sent: 2, ends: upload.ChecksumMD5},
		"by default":                   {quirks: s3test.Quirks{KMSByDefault: true}, create: []func(*create){sums}, change: amazon, resumed: 3, sent: 2, ends: upload.ChecksumMD5},
		"a part differs":               {create: []func(*create){sums, encrypted("mine")}, change: all(amazon, mine), wrong: 4, resumed: 2, sent: 3, ends: upload.ChecksumMD5},
		"the first differs":            {create: []func(*create){sums, encrypted("mine")}, change: all(amazon, mine), wrong: 1, sent: 5, ends: upload.ChecksumMD5, notes: []string{"was left alone"}},
		"another key, and a copy":      {create: []func(*create){sums, encrypted("theirs")}, change: all(amazon, mine), resumed: 3, sent: 2, ends: upload.ChecksumMD5},
		"too large":                    {create: []func(*create){sums, encrypted("mine")}, change: all(amazon, mine, tooLarge), resumed: 2, sent: 3, ends: upload.Opaque},
		"too large, by default":        {quirks: s3test.Quirks{KMSByDefault: true}, create: []func(*create){sums}, change: all(amazon, tooLarge), resumed: 3, sent: 2, ends: upload.Opaque},
		"too large, another key":       {create: []func(*create){sums, encrypted("theirs")}, change: all(amazon, mine, tooLarge), sent: -1, ends: upload.Opaque, notes: []string{"not encrypted as was asked for: starting anew"}},
		"too large, with tags":         {create: []func(*create){sums, encrypted("mine")}, change: all(amazon, mine, tooLarge, func(r *run) { r.Tags = tags(1) }), sent: 5, ends: upload.Opaque, notes: []string{"was left alone"}},
		"too large, with a context":    {create: []func(*create){sums, encrypted("mine")}, change: all(amazon, mine, tooLarge, func(r *run) { r.KMSContext = map[string]string{"a": "b"} }), sent: 5, ends: upload.Opaque, notes: []string{"was left alone"}},
		"not encrypted":                {create: []func(*create){sums}, change: all(amazon, mine), sent: 5, ends: upload.ChecksumMD5, notes: []string{"was left alone"}},
		"no checksums":                 {create: []func(*create){encrypted("mine")}, change: all(amazon, mine), sent: 5, ends: upload.ChecksumMD5, notes: []string{"was left alone"}},
		"checksums are not listed":     {quirks: s3test.Quirks{ListPartsNoChecksums: true}, create: []func(*create){sums, encrypted("mine")}, change: all(amazon, mine), sent: 5, ends: upload.ChecksumMD5, notes: []string{"was left alone"}},
		"wanted, too large":            {create: []func(*create){sums}, change: all(amazon, tooLarge), resumed: 3, sent: 2, ends: upload.TooLarge, notes: []string{"cannot be copied"}},
		"wanted, not by the earlier":   {change: all(amazon, tooLarge), resumed: 3, sent: 2, ends: upload.TooLarge, notes: []string{"cannot be copied"}},
		"asked for, not by an earlier": {change: checksum(upload.SumCRC64NVME), sent: 5, ends: upload.SelfCopy, notes: []string{"was left alone"}},
		"asked for by both":            {create: []func(*create){sums}, change: checksum(upload.SumCRC64NVME), resumed: 3, sent: 2, ends: upload.SelfCopy},
		"not wanted":                   {create: []func(*create){sums}, change: func(*run) {}, sent: 5, ends: upload.SelfCopy, notes: []string{"was left alone"}},
		"another algorithm":            {create: []func(*create){func(in *create) { in.ChecksumAlgorithm = "CRC32" }}, change: amazon, sent: 5, ends: upload.SelfCopy, notes: []string{"was left alone"}},
	} {
		for _, kind := range sources {
			if kind.name == "stream" && (test.ends == upload.Opaque && strings.HasPrefix(name, "too large") && !strings.Contains(name, "default")) {
				continue // a stream cannot be sent again, so nothing is left to chance
			}
			t.Run(name+"/"+kind.name, func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{Quirks: test.quirks})
				data := random(5*KiB, name)
				in := &create{Bucket: &st.bucket, Key: aws.String("k")}
				for _, f := range test.create {
					f(in)
				}
				up, err := st.client.CreateMultipartUpload(t.Context(), in)
				if err != nil {
					t.Fatal(err)
				}
				for _, n := range three {
					body := partOf(data, KiB, n)
					if n == test.wrong {
						body = random(KiB, "wrong")
					}
					if _, err := st.client.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: &st.bucket, Key: in.Key, UploadId: up.UploadId,
						PartNumber: aws.Int32(int32(n)), Body: strings.NewReader(string(body)), ChecksumAlgorithm: in.ChecksumAlgorithm}); err != nil {
						t.Fatal(err)
					}
				}
				st.ResetRequests()
				r := st.upload(t, kind.of(t, data), "k", test.change, func(r *run) {
					r.ContentType = "binary/octet-stream"
					if kind.name == "stream" {
						r.ExpectedSize = 5 * KiB
					}
				})
				st.ends(t, r, "k", data, test.ends)
				sent := 0
				for _, rec := range st.Requests() {
					if rec.Op == "UploadPart" {
						sent++
					}
				}
				if r.PartsResumed != test.resumed || sent != test.sent && test.sent >= 0 {
					t.Errorf("%d parts were there already, %d were sent, want %d, %d", r.PartsResumed, sent, test.resumed, test.sent)
				}
				notes(t, r, test.notes...)
				wish := new(run)
				test.change(wish)
				if o, _ := st.Server.Object("b", "k"); wish.KMSKeyID != "" && o.KMSKeyID != wish.KMSKeyID {
					t.Errorf("the object is encrypted with %q", o.KMSKeyID)
				}
			})
		}
	}
}

// An upload under KMS that is interrupted goes on where it stopped, also where it
// was when it was completed and not copied yet; where the store does not list
// checksums, it is dropped.
func TestInterruptedUnderKMS(t *testing.T) {
	for name, test := range map[string]struct {
		quirks s3test.Quirks
		change func(*run)
		op     string
		sent   int // bytes, of the second run
	}{
		"asked for":            {change: kms, op: "UploadPart 4", sent: 2 * KiB},
		"by default":           {quirks: s3test.Quirks{KMSByDefault: true}, change: func(*run) {}, op: "UploadPart 4", sent: 2 * KiB},
		"too large":            {change: all(kms, tooLarge), op: "UploadPart 4", sent: 3 * KiB},
		"not listed":           {quirks: s3test.Quirks{ListPartsNoChecksums: true}, change: kms, op: "UploadPart 4", sent: 5 * KiB},
		"on the copy":          {change: kms, op: "CopyObject"},
		"on a copy by default": {quirks: s3test.Quirks{KMSByDefault: true}, change: func(*run) {}, op: "CopyObject"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStand(t, s3test.Options{Quirks: test.quirks})
			ctx, cancel := context.WithCancelCause(t.Context())
			defer cancel(nil)
			st.Fault(s3test.Fault{Op: test.op, Do: s3test.Stall, Hook: func() { cancel(errors.New("SIGTERM")) }})
			data := random(5*KiB, name)
			r := st.upload(t, file(t, data), "k", amazon, test.change, oneAtATime, with(ctx))
			if want := test.sent < 5*KiB; upload.KindOf(r.Err) != upload.Interrupted || r.Resumable != want {
				t.Errorf("resumable: %t, error %v, want %t", r.Resumable, r.Err, want)
			}
			if !r.Resumable {
				st.nothingLeft(t, "k")
			}
			r = st.upload(t, file(t, data), "k", amazon, test.change)
			if r.Err != nil || r.BytesSent != int64(test.sent) {
				t.Errorf("%d bytes were sent, want %d; error %v", r.BytesSent, test.sent, r.Err)
			}
			st.check(t, r, "k", data)
			st.nothingLeft(t, "k")
		})
	}
}

// Uploads with a key of one's own and with checksums are listed to those only who
// bring the key, and others only without it: stale ones are found all the same.
func TestStaleWithOwnKey(t *testing.T) {
	var now atomic.Int64
	start := time.Now()
	st := newStand(t, s3test.Options{TLS: true, AnyDate: true, Now: func() time.Time { return start.Add(time.Duration(now.Load())) }})
	own := &s3.CreateMultipartUploadInput{Bucket: &st.bucket, Key: aws.String("k"), ChecksumAlgorithm: "CRC64NVME", SSECustomerAlgorithm: aws.String("AES256"),
		SSECustomerKey: aws.String(base64.StdEncoding.EncodeToString(customerKey)), SSECustomerKeyMD5: aws.String(md5Base64(customerKey))}
	for _, in := range []*s3.CreateMultipartUploadInput{own, {Bucket: &st.bucket, Key: own.Key, ChecksumAlgorithm: "CRC64NVME"}} {
		if _, err := st.client.CreateMultipartUpload(t.Context(), in); err != nil {
			t.Fatal(err)
		}
	}
	now.Store(int64(13 * time.Hour))
	data := random(3*KiB, "own")
	r := st.upload(t, file(t, data), "k", amazon, func(r *run) { r.CustomerKey = customerKey })
	st.ends(t, r, "k", data, upload.ChecksumMD5)
	notes(t, r)
	if r.UploadsAborted != 2 {
		t.Errorf("%d uploads were aborted, want 2", r.UploadsAborted)
	}
}

// The MD5 stands in the metadata, whatever way the object took.
func TestStoreMD5(t *testing.T) {
	const first, late = "is read once before it is sent", "the MD5 is not in the metadata"
	for name, test := range map[string]struct {
		quirks s3test.Quirks
		size   int64
		change func(*run)
		file   []string // notes
		stream []string
		lost   bool // for a stream
	}{
		"one piece":            {size: KiB, change: func(*run) {}},
		"copied":               {size: 3 * KiB, change: func(*run) {}},
		"copied staged":        {size: 3 * KiB, change: normalize(upload.NormalizeStaged)},
		"kept":                 {size: 3 * KiB, quirks: s3test.Quirks{SelfCopyKeepsETag: true}, change: func(*run) {}, file: []string{"keeps the composite"}, stream: []string{"keeps the composite"}},
		"not copied":           {size: 3 * KiB, change: normalize(upload.NormalizeOff), file: []string{first}, stream: []string{late}, lost: true},
		"KMS":                  {size: 3 * KiB, change: kms, file: []string{first}, stream: []string{late}, lost: true},
		"KMS by default":       {size: 3 * KiB, quirks: s3test.Quirks{KMSByDefault: true}, change: func(*run) {}, file: []string{first}, stream: []string{late}, lost: true},
		"KMS on Amazon":        {size: 3 * KiB, change: all(amazon, kms)},
		"too large, on Amazon": {size: 3 * KiB, change: all(amazon, tooLarge), file: []string{first, "cannot be copied"}, stream: []string{late, "cannot be copied"}, lost: true},
	} {
		for _, kind := range sources {
			t.Run(name+"/"+kind.name, func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{Quirks: test.quirks})
				data := random(test.size, name)
				r := st.upload(t, kind.of(t, data), "k", test.change, func(r *run) {
					r.StoreMD5, r.Metadata = true, map[string]string{"owner": "me"}
					if kind.name == "stream" {
						r.ExpectedSize = test.size
					}
				})
				st.check(t, r, "k", data)
				want := map[string]string{"owner": "me", "md5chksum": md5Base64(data)}
				says := test.file
				if kind.name == "stream" {
					if says = test.stream; test.lost {
						delete(want, "md5chksum")
					}
				}
				notes(t, r, says...)
				if diff := cmp.Diff(want, st.object(t, "k").metadata); diff != "" {
					t.Error(diff)
				}
				st.nothingLeft(t, "k")
			})
		}
	}
	for why, metadata := range map[string]map[string]string{
		"was given another value": {"MD5ChkSum": "x"},
		"bytes of metadata":       {"a": strings.Repeat("x", 2040)},
	} {
		st := newStand(t, s3test.Options{})
		r := st.upload(t, file(t, random(KiB, "")), "k", func(r *run) { r.StoreMD5, r.Metadata = true, metadata })
		if upload.KindOf(r.Err) != upload.Usage || !strings.Contains(fmt.Sprint(r.Err), why) || st.Count("*") != 0 {
			t.Errorf("error %v, want %q", r.Err, why)
		}
	}
}
