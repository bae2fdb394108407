package upload

import (
	"context"
	"hash"
	"io"
	"maps"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/crc"
)

// Checksum says which checksum of all its bytes an object gets beside its ETag,
// computed by the store and compared with that of what was read.
type Checksum string

const (
	// SumAuto is what proves most, on Amazon S3, where no ETag is an MD5: CRC64NVME
	// on the upload, and under encryption the MD5 that the store computes of the
	// copy. It is none elsewhere: other stores know no checksums, keep the composite
	// ETag of an object that has one (MinIO), or store nonsense (versitygw).
	SumAuto      Checksum = "auto"
	SumNone      Checksum = "none"
	SumCRC64NVME Checksum = "crc64nvme" // on the upload, to any store
	SumMD5       Checksum = "md5"       // of the copy that gives the ETag, or of what goes up in one piece; Amazon S3 only
)

// answeredSums are the checksums of a whole object as an answer has them, in
// base64.
type answeredSums struct{ crc, md5 string }

// wholeSums returns those that are of all bytes in one go: of an object of parts
// there may be others.
func wholeSums(kind types.ChecksumType, crc, md5 *string) answeredSums {
	whole := func(s *string) string {
		if kind == types.ChecksumTypeComposite || strings.Contains(aws.ToString(s), "-") {
			return ""
		}
		return aws.ToString(s)
	}
	return answeredSums{whole(crc), whole(md5)}
}

func shownSums(out *s3.HeadObjectOutput) answeredSums {
	return wholeSums(out.ChecksumType, out.ChecksumCRC64NVME, out.ChecksumMD5)
}

// sendsCRC says whether an object of this size (-1: nobody knows) that goes up in
// parts is to have a CRC64NVME.
func (t *transfer) sendsCRC(size int64) bool {
	switch t.o.Checksum {
	case SumCRC64NVME:
		return true
	case SumAuto:
		return t.o.ServerMD5 && !t.noCRC && (size < 0 || size > t.o.Limits.MaxCopy || t.hidesMD5() || t.u.encrypts(t.job.Bucket))
	}
	return false
}

// asksMD5 says whether the copy of an object whose ETag is no MD5 is to prove it.
func (t *transfer) asksMD5() bool {
	return t.o.ServerMD5 && (t.o.Checksum == SumAuto || t.o.Checksum == SumMD5)
}

// looksAtSums says whether HEAD is to show checksums.
func (t *transfer) looksAtSums() bool {
	return !t.hidden && (t.compares || t.o.IfChanged || t.existing != nil || t.o.Checksum == SumCRC64NVME || t.asksMD5())
}

// askSum adds to a copy that gives the ETag what its checksum is to be.
func (t *transfer) askSum(in *s3.CopyObjectInput) {
	if t.o.Checksum == SumMD5 {
		in.ChecksumAlgorithm = types.ChecksumAlgorithmMd5
	}
}

// encrypts remembers, or tells, that a bucket encrypts so that no ETag is an MD5,
// also when that is not asked for.
func (u *Uploader) encrypts(bucket string) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	return u.kms[bucket]
}

func (u *Uploader) sawEncryption(bucket string) {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.kms[bucket] = true
}

// takesSums says whether an upload that was found can be gone on with for what its
// parts have for checksums: a store wants the same of all of them, and an object
// that has one may keep its composite ETag (MinIO).
func (t *transfer) takesSums(f *found) bool {
	switch f.algorithm {
	case "":
		return t.o.Checksum != SumCRC64NVME
	case types.ChecksumAlgorithmCrc64nvme:
		return t.o.Checksum == SumCRC64NVME || t.o.Checksum == SumAuto && t.o.ServerMD5
	}
	return false
}

// isSame says whether a stored part is of these bytes: by its ETag, or by its
// checksum where ETags tell nothing. One whose ETag is its MD5 is not encrypted as
// was asked for.
func (t *transfer) isSame(s storedPart, p *part) bool {
	byETag, bySum := s.etag == p.md5.String(), p.crc != "" && s.crc == p.crc
	if t.props.isOpaque() {
		return bySum && !byETag
	}
	return byETag || bySum && (t.hidesMD5() || !t.u.knowsMD5(t.job.Bucket))
}

// firstTold returns the lowest number of a part that can be compared.
func (f *found) firstTold(opaque bool) int {
	first := 0
	for n, p := range f.parts {
		if (first == 0 || n < first) && (p.crc != "" || !opaque) {
			first = n
		}
	}
	return first
}

// fits compares a part of an upload that was found, and learns from it what the
// ETags of this bucket are.
func (t *transfer) fits(f *found, p *part, size int64) bool {
	stored := f.parts[p.number]
	if stored.size != p.size || !t.isSame(stored, p) {
		return false
	}
	if stored.etag == p.md5.String() || t.hidesMD5() {
		return true
	}
	// Only the checksum is the same: the bucket encrypts by default.
	t.mu.Lock()
	t.encrypted = true
	t.mu.Unlock()
	if t.mayResume(f, size) {
		t.u.sawEncryption(t.job.Bucket)
		return true
	}
	t.mu.Lock()
	t.encrypted = false
	t.mu.Unlock()
	return false
}

// listsSums says whether the store lists the checksums of an upload's parts, so
// that a later run knows them again; also when the context is cancelled.
func (t *transfer) listsSums(ctx context.Context, up *upload) bool {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.o.CleanupTimeout)
	defer cancel()
	parts, err := t.listParts(ctx, up.id)
	if err != nil {
		return false
	}
	for _, p := range parts {
		if p.crc != "" {
			return true
		}
	}
	return false
}

// crcOf returns the checksum of what a part has.
func crcOf(r io.Reader) string {
	h := crc.New()
	io.Copy(h, r)
	return crc.Sum(h.Sum64()).Base64()
}

// crcParts are the checksums of an object's parts, and of all of them. The zero
// value computes none.
type crcParts struct {
	hash  hash.Hash64
	parts []crc.Sum
	whole crc.Sum
}

func newCRCParts(wanted bool) crcParts {
	if !wanted {
		return crcParts{}
	}
	return crcParts{hash: crc.New()}
}

func (c *crcParts) write(p []byte) {
	if c.hash != nil {
		c.hash.Write(p)
	}
}

// endPart ends a part of size bytes, and starts the next.
func (c *crcParts) endPart(size int64) {
	if c.hash == nil {
		return
	}
	c.add(crc.Sum(c.hash.Sum64()), size)
	c.hash.Reset()
}

// add takes the checksum of the next part.
func (c *crcParts) add(sum crc.Sum, size int64) {
	c.parts, c.whole = append(c.parts, sum), c.whole.Then(sum, size)
}

// part returns the checksum of part n, counted from 1; "" if none is computed.
func (c *crcParts) part(n int) string {
	if c.hash == nil {
		return ""
	}
	return c.parts[n-1].Base64()
}

// all returns the checksum of all parts; "" if none is computed.
func (c *crcParts) all() string {
	if c.hash == nil {
		return ""
	}
	return c.whole.Base64()
}

// verifyChecksum compares the checksum of the whole object that the store shows
// with that of what was read, whichever there is.
func (t *transfer) verifyChecksum() error {
	got := t.summed
	if t.shown != nil && shownSums(t.shown) != (answeredSums{}) {
		got = shownSums(t.shown)
	}
	switch {
	case got.crc != "" && t.crc != "":
		if got.crc != t.crc {
			return fail(Integrity, "the store's CRC64NVME of the object is %s, that of what was read is %s", clip(got.crc), t.crc)
		}
		t.res.ChecksumAlgorithm, t.res.Checksum = string(types.ChecksumAlgorithmCrc64nvme), t.crc
	case got.md5 != "":
		if got.md5 != t.whole.Base64() {
			return fail(Integrity, "the store's MD5 of the object is %s, that of what was read is %s", clip(got.md5), t.whole.Base64())
		}
		t.res.ChecksumAlgorithm, t.res.Checksum = string(types.ChecksumAlgorithmMd5), got.md5
		if t.res.Normalized == Opaque {
			t.res.Normalized = ChecksumMD5
		}
	case t.hidden && (t.o.Checksum == SumCRC64NVME || t.o.Checksum == SumMD5):
		t.note("the checksum of the object may not be seen; that needs s3:GetObject, and kms:Decrypt of what KMS encrypts")
	case t.o.Checksum == SumCRC64NVME:
		t.note("the store shows no CRC64NVME of the object: it takes none, or does not say so")
	case t.o.Checksum == SumMD5:
		t.note("the store shows no MD5 checksum of the object: it computes one of what goes up in one piece, or is copied on the server")
	}
	return nil
}

// md5Key is the name of the metadata that other programs look for the MD5 of an
// object of parts in (rclone), in base64.
const md5Key = "md5chksum"

// storeMD5 puts the MD5 into the metadata, once it is known. Each request that
// gives the object its properties carries it from then on.
func (t *transfer) storeMD5() {
	if !t.o.StoreMD5 {
		return
	}
	m := maps.Clone(t.props.Metadata)
	if m == nil {
		m = make(map[string]string)
	}
	m[md5Key] = t.whole.Base64()
	t.props.Metadata = m
}

// checkMD5Key makes sure that there is room for the MD5 in the metadata, for an
// error of kind Usage.
func (t *transfer) checkMD5Key() error {
	if !t.o.StoreMD5 {
		return nil
	}
	for name := range t.props.Metadata {
		if strings.EqualFold(name, md5Key) {
			return fail(Usage, "the metadata %s is to hold the MD5, and was given another value", md5Key)
		}
	}
	p := t.props
	p.Metadata = maps.Clone(p.Metadata)
	if p.Metadata == nil {
		p.Metadata = make(map[string]string)
	}
	p.Metadata[md5Key] = t.whole.Base64()
	return p.Check()
}

// hashFirst reads a file before anything of it is sent, where its MD5 is to stand
// in the metadata and no copy follows that could put it there.
func (t *transfer) hashFirst(ctx context.Context, c cut) error {
	if !t.o.StoreMD5 || t.copies(c.size) || t.src.size < 0 || t.res.MD5 != "" {
		return nil
	}
	t.note("no copy will follow: the file is read once before it is sent, for the MD5 in its metadata")
	t.stage(StageHash)
	t.crcs = t.crcs || t.sendsCRC(c.size)
	return t.learn(ctx, c)
}

// lacksSum says whether a checksum was asked for that no answer has shown.
func (t *transfer) lacksSum() bool {
	return (t.o.Checksum == SumCRC64NVME || t.o.Checksum == SumMD5) && t.summed == (answeredSums{})
}
