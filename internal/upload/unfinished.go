package upload

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"net/http"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"

	"s3up/internal/etag"
)

// An upload is a multipart upload that parts go to.
type upload struct {
	id     string
	cut    cut
	stored map[int]storedPart // what it had when it was found
	sums   bool               // each part goes with its CRC64NVME
	proof  int                // a stored part that is sent again, to see how the upload is encrypted; 0: none

	mu        sync.Mutex
	completed map[int]string // the ETags of the parts it has now
	crcs      map[int]string // their checksums, if sums
	doubted   map[int]*part  // those whose ETag is not their MD5
}

// A storedPart is a part as ListParts tells of it.
type storedPart struct {
	size     int64
	etag     string // unquoted
	crc      string // its CRC64NVME in base64; "" if the store tells none
	summed   bool   // it has a checksum, of any kind
	modified time.Time
}

func newUpload(id string, c cut, stored map[int]storedPart) *upload {
	return &upload{id: id, cut: c, stored: stored, completed: make(map[int]string), crcs: make(map[int]string), doubted: make(map[int]*part)}
}

// sum is the checksum that a part goes with.
func (up *upload) sum(p *part) *string {
	if !up.sums {
		return nil
	}
	return &p.crc
}

// put notes that the store has a part.
func (up *upload) put(p *part, tag string) {
	up.mu.Lock()
	defer up.mu.Unlock()
	up.completed[p.number], up.crcs[p.number] = tag, p.crc
	delete(up.doubted, p.number)
}

// doubt notes that the store has a part, or something else: its ETag is not the
// part's MD5, on a store where no ETag was seen to be an MD5 so far.
func (up *upload) doubt(p *part, tag string) {
	up.mu.Lock()
	defer up.mu.Unlock()
	up.completed[p.number], up.crcs[p.number] = tag, p.crc
	up.doubted[p.number] = p
}

func (up *upload) doubtful() []*part {
	up.mu.Lock()
	defer up.mu.Unlock()
	var ps []*part
	for _, p := range up.doubted {
		ps = append(ps, p)
	}
	return ps
}

// parts returns what CompleteMultipartUpload wants to be told.
func (up *upload) parts() []types.CompletedPart {
	up.mu.Lock()
	defer up.mu.Unlock()
	var ps []types.CompletedPart
	for n, tag := range up.completed {
		p := types.CompletedPart{PartNumber: aws.Int32(int32(n)), ETag: aws.String(`"` + tag + `"`)}
		if up.sums {
			p.ChecksumCRC64NVME = aws.String(up.crcs[n])
		}
		ps = append(ps, p)
	}
	slices.SortFunc(ps, func(a, b types.CompletedPart) int { return int(*a.PartNumber - *b.PartNumber) })
	return ps
}

// composite returns the composite ETag of the parts' ETags as the store gave
// them, which are MD5s or not; "" if they do not look it.
func (up *upload) composite() string {
	var sums []etag.MD5
	for _, p := range up.parts() {
		var m etag.MD5
		if n, err := hex.Decode(m[:], []byte(etag.Trim(*p.ETag))); err != nil || n != len(m) {
			return ""
		}
		sums = append(sums, m)
	}
	return etag.Composite(sums)
}

// count returns how many parts the store has.
func (up *upload) count() int {
	up.mu.Lock()
	defer up.mu.Unlock()
	return len(up.completed)
}

// begin finds the upload that an earlier run left and that fits, or creates one.
func (t *transfer) begin(ctx context.Context, c cut) (*upload, error) {
	all, err := t.unfinished(ctx)
	if err != nil {
		return nil, err
	}
	up, err := t.choose(ctx, all, c)
	if err != nil {
		return nil, err
	}
	t.clear(ctx, all, up)
	if up == nil {
		if err := t.hashFirst(ctx, c); err != nil {
			return nil, err
		}
		if up, err = t.create(ctx, c); err != nil {
			return nil, err
		}
	}
	t.crcs = up.sums
	return up, nil
}

// create begins an upload. The answer tells whether the bucket encrypts with
// KMS: then no copy will follow that could set the storage class or the MD5 in the
// metadata, or the ETags of the parts will tell nothing, and the upload is begun
// again with what it lacks.
func (t *transfer) create(ctx context.Context, c cut) (*upload, error) {
	size := c.size
	if t.src.size < 0 {
		size = cmp.Or(t.o.ExpectedSize, -1)
	}
	refused := ""
	for try := 1; ; try++ {
		in := &s3.CreateMultipartUploadInput{Bucket: &t.job.Bucket, Key: &t.key}
		t.stated = t.createProperties()
		t.stated.create(in)
		sums := t.sendsCRC(size)
		if sums {
			in.ChecksumAlgorithm, in.ChecksumType = types.ChecksumAlgorithmCrc64nvme, types.ChecksumTypeFullObject
		}
		out, err := t.u.client.CreateMultipartUpload(ctx, in, t.with)
		if s := status(err); sums && t.o.Checksum == SumAuto && (s == http.StatusBadRequest || s == http.StatusNotImplemented) {
			t.noCRC, refused = true, reason(err) // or for something else, which the next answer tells
			continue
		}
		if err != nil {
			return nil, err
		}
		if aws.ToString(out.UploadId) == "" {
			if try < tries {
				continue
			}
			return nil, fail(Temporary, "the answer to CreateMultipartUpload has no upload id: it does not come from the store")
		}
		t.encryption(out.ServerSideEncryption, out.SSECustomerAlgorithm)
		if refused != "" {
			t.note("the store takes no CRC64NVME of the object (%s): it is verified by its parts", refused)
			refused = ""
		}
		if t.hidesMD5() && !t.props.isOpaque() {
			t.u.sawEncryption(t.job.Bucket)
		}
		up := newUpload(*out.UploadId, c, nil)
		up.sums = sums && (out.ChecksumAlgorithm == types.ChecksumAlgorithmCrc64nvme || t.isDirectory())
		if err := t.hashFirst(ctx, c); err != nil {
			t.leaveNothing(context.WithoutCancel(ctx), up)
			return nil, err
		}
		now := t.createProperties()
		if in.StorageClass == now.StorageClass && len(in.Metadata) == len(now.Metadata) && sums == t.sendsCRC(size) || try == tries {
			return up, nil
		}
		t.leaveNothing(ctx, up)
	}
}

// A found upload is an unfinished one of exactly this key.
type found struct {
	id    string
	parts map[int]storedPart
	class types.StorageClass // "" where the store does not tell
	// algorithm of the checksum that each part has, "" for none.
	algorithm types.ChecksumAlgorithm
	idle      time.Duration // since its last sign of life, by the store's clock; < 0: nobody can tell
}

// bytes returns how much of the object it has.
func (f *found) bytes() int64 {
	var n int64
	for _, p := range f.parts {
		n += p.size
	}
	return n
}

// launch is the day that S3 learned multipart uploads. A store that says that
// one began earlier does not know (moto: always this day).
var launch = time.Date(2010, 11, 11, 0, 0, 0, 0, time.UTC)

// unfinished lists the uploads of exactly this key. A listing that is denied,
// not implemented or odd is a note: what it tells is a help, not a need.
func (t *transfer) unfinished(ctx context.Context) ([]*found, error) {
	var all []*found
	looked := 0
	end, err := t.listings().uploads(ctx, t.key, func(key string, u *types.MultipartUpload, answer middleware.Metadata) (bool, error) {
		if key != t.key || aws.ToString(u.UploadId) == "" || *u.UploadId == t.gone {
			return true, nil
		}
		if looked++; looked > t.o.Limits.Looks {
			t.note("the store lists more than %d unfinished uploads of this key: the others were not looked at", t.o.Limits.Looks)
			return false, nil
		}
		f, err := t.look(ctx, u, serverTime(answer))
		if f != nil {
			all = append(all, f)
		}
		return true, err
	})
	switch {
	case err == nil && end.Short != "":
		t.note("the store did not list all unfinished uploads: %s", end.Short)
	case err == nil:
	case t.o.NoResume && status(err) == http.StatusForbidden: // nobody asked for what it tells
	case cannot(err) || isAnswer(err):
		t.note("unfinished uploads of this key cannot be listed (%s): none is resumed or cleaned up%s", reason(err),
			lacking(err, "s3:ListBucketMultipartUploads", "--resume never"))
	default:
		return nil, err
	}
	return all, nil
}

// isAnswer says whether a store that answers kept on failing, or answered what
// nobody can read: waiting longer is of no use for what is only a help.
func isAnswer(err error) bool { return status(err) >= 500 || status(err)/100 == 2 }

// look finds out what an unfinished upload has and when it last moved. It
// returns nil if the upload is gone already.
func (t *transfer) look(ctx context.Context, u *types.MultipartUpload, now time.Time) (*found, error) {
	f := &found{id: *u.UploadId, class: u.StorageClass, algorithm: u.ChecksumAlgorithm, idle: -1}
	parts, algorithm, err := t.listUpload(ctx, f.id)
	if f.algorithm = cmp.Or(f.algorithm, algorithm); !anySum(parts) {
		f.algorithm = "" // versitygw names one that no part has
	}
	switch {
	case err == nil:
		f.parts = parts
	case isGone(err):
		return nil, nil
	case cannot(err), isAnswer(err):
		if status(err) == http.StatusForbidden && !t.o.NoResume {
			t.note("the parts of an unfinished upload cannot be listed (%s): it is not resumed%s", reason(err),
				lacking(err, "s3:ListMultipartUploadParts", "--resume never"))
		}
		return f, nil // its parts may have come in just now
	default:
		return nil, err
	}
	if alive := lastSign(u, f.parts); !alive.IsZero() {
		f.idle = max(now.Sub(alive), 0)
	}
	return f, nil
}

// listParts returns the parts of an upload.
func (t *transfer) listParts(ctx context.Context, id string) (map[int]storedPart, error) {
	parts, _, err := t.listUpload(ctx, id)
	return parts, err
}

// listUpload returns the parts of an upload, and which checksum they have.
func (t *transfer) listUpload(ctx context.Context, id string) (map[int]storedPart, types.ChecksumAlgorithm, error) {
	in := s3.ListPartsInput{Key: &t.key, UploadId: &id}
	// Of parts with a checksum the store tells those only who bring the key; with it,
	// it may not tell of others.
	in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = t.props.customer()
	parts, first, err := t.listings().parts(ctx, in)
	if in.SSECustomerKey != nil && (status(err) == http.StatusBadRequest || status(err) == http.StatusForbidden) {
		in.SSECustomerAlgorithm, in.SSECustomerKey, in.SSECustomerKeyMD5 = nil, nil, nil
		parts, first, err = t.listings().parts(ctx, in)
	}
	if err != nil {
		return nil, "", err
	}
	return parts, first.ChecksumAlgorithm, nil
}

// anySum says whether parts have checksums.
func anySum(parts map[int]storedPart) bool {
	for _, p := range parts {
		if p.summed {
			return true
		}
	}
	return false
}

// choose takes the upload that fits and has most of the file.
func (t *transfer) choose(ctx context.Context, all []*found, c cut) (*upload, error) {
	var best *found
	var bestCut cut
	for _, f := range all {
		if best != nil && f.bytes() <= best.bytes() || !t.hasClass(f) || !t.mayResume(f, c.size) {
			continue
		}
		fc, ok := t.o.Limits.infer(f.parts, c)
		if !ok {
			continue
		}
		p, err := t.likePart(ctx, f, fc)
		if err != nil {
			return nil, err
		}
		if p != nil && t.fits(f, p, c.size) {
			best, bestCut = f, fc
		}
	}
	if best == nil {
		return nil, nil
	}
	return t.goOn(best, bestCut), nil
}

// likePart returns what the first part that can be compared has to be; nil if
// there is none.
func (t *transfer) likePart(ctx context.Context, f *found, c cut) (*part, error) {
	first := f.firstTold(t.hidesMD5())
	if first == 0 {
		return nil, nil
	}
	offset, size := c.at(first)
	md5, err := t.src.sum(ctx, offset, size)
	if err != nil {
		return nil, err
	}
	p := t.filePart(first, offset, size, md5)
	if f.algorithm != "" {
		p.crc = crcOf(p.open())
	}
	return p, nil
}

// goOn takes an upload that was found.
func (t *transfer) goOn(f *found, c cut) *upload {
	t.inherited, t.stated = true, t.createProperties()
	up := newUpload(f.id, c, f.parts)
	up.sums = f.algorithm == types.ChecksumAlgorithmCrc64nvme
	switch {
	case !t.hidesMD5():
		t.u.sawMD5(t.job.Bucket)
	case t.props.isOpaque() && !t.copies(c.size):
		up.proof = f.firstTold(true)
	}
	return up
}

// hasClass says whether an upload was begun for the storage class that one would
// be begun for now: parts keep theirs.
func (t *transfer) hasClass(f *found) bool {
	const standard = types.StorageClassStandard
	return f.class == "" || t.isDirectory() || f.class == cmp.Or(t.createProperties().StorageClass, standard)
}

// firstPart returns the lowest number of a part.
func firstPart(parts map[int]storedPart) int {
	first := 0
	for n := range parts {
		if first == 0 || n < first {
			first = n
		}
	}
	return first
}

// infer finds the one uniform cut of the file that all these parts are of: all
// have one size, but for the last part of the file. wish is the cut that would
// be made now; it decides where the parts leave a choice.
func (l Limits) infer(parts map[int]storedPart, wish cut) (cut, bool) {
	if len(parts) == 0 {
		return cut{}, false
	}
	if wish.holds(parts) {
		return wish, true
	}
	var largest int64
	for _, p := range parts {
		largest = max(largest, p.size)
	}
	c := cut{wish.size, largest}
	if largest >= l.MinPart && largest <= l.MaxPart && c.parts() <= l.Parts && c.holds(parts) {
		return c, true
	}
	// Only the last part is there, and it is smaller than the others were.
	n := firstPart(parts)
	if len(parts) == 1 && n > 1 && (wish.size-largest)%int64(n-1) == 0 {
		c := cut{wish.size, (wish.size - largest) / int64(n-1)}
		if c.part >= l.MinPart && c.part <= l.MaxPart && c.parts() <= l.Parts && c.holds(parts) {
			return c, true
		}
	}
	return cut{}, false
}

// holds says whether each of these parts is one of the cut's.
func (c cut) holds(parts map[int]storedPart) bool {
	for n, p := range parts {
		if n < 1 || n > c.parts() {
			return false
		}
		if _, size := c.at(n); size != p.size {
			return false
		}
	}
	return true
}

// clear aborts the uploads that are not gone on with and show no life, and names
// the others.
func (t *transfer) clear(ctx context.Context, all []*found, chosen *upload) {
	for _, f := range all {
		switch {
		case chosen != nil && f.id == chosen.id:
		case t.o.StaleAfter == 0 || f.idle >= t.o.StaleAfter:
			if err := t.abort(ctx, f.id); err != nil {
				t.note("a stale upload of this key (%s, id %s) could not be aborted: %s%s", byteSize(f.bytes()), clip(f.id), reason(err),
					lacking(err, "s3:AbortMultipartUpload", "a longer --stale-after"))
			} else {
				t.res.UploadsAborted++
			}
		case f.idle < 0:
			t.note("another unfinished upload of this key (%s, id %s), of an age that the store does not tell, was left alone",
				byteSize(f.bytes()), clip(f.id))
		default:
			t.note("another unfinished upload of this key (%s, id %s), which moved %s ago, was left alone",
				byteSize(f.bytes()), clip(f.id), f.idle.Round(time.Second))
		}
	}
}

// aborts is how often an upload is aborted that does not go away: parts that
// were under way may have been stored after an abort (S3-FACTS §10).
const aborts = 5

var errStillThere = errors.New("it still has parts after having been aborted " + plural(aborts, "time"))

// abort ends an upload and makes sure that it is gone.
func (t *transfer) abort(ctx context.Context, id string) error {
	return t.listings().abort(ctx, t.key, id, func(ctx context.Context) (int, error) {
		parts, err := t.listParts(ctx, id)
		return len(parts), err
	})
}

// leave sees to an upload that failed: its parts are kept where a later run can
// go on with them, else it is aborted, also when the context is cancelled.
func (t *transfer) leave(ctx context.Context, up *upload, cause error) {
	can := t.canResume(ctx, up)
	if t.keeps(ctx, up, cause, can) {
		t.res.Resumable = can
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.o.CleanupTimeout)
	defer cancel()
	defer t.leaveStaging(ctx)
	if err := t.abort(ctx, up.id); err != nil {
		t.note("the multipart upload %s could not be aborted: %s; a lifecycle rule (AbortIncompleteMultipartUpload) clears such uploads%s",
			clip(up.id), reason(err), lacking(err, "s3:AbortMultipartUpload", "--on-failure keep"))
	}
}

// canResume says whether a later run will know the parts again.
func (t *transfer) canResume(ctx context.Context, up *upload) bool {
	f := &found{}
	if up.sums {
		f.algorithm = types.ChecksumAlgorithmCrc64nvme
	}
	if t.src.size < 0 || !t.mayResume(f, t.src.size) {
		return false
	}
	if t.hidesMD5() {
		return up.sums && t.listsSums(ctx, up)
	}
	return t.u.knowsMD5(t.job.Bucket)
}

// keeps decides whether what was sent is worth keeping: a later run must be able
// to recognize it by the MD5s of its parts, or by their checksums.
func (t *transfer) keeps(ctx context.Context, up *upload, cause error, can bool) bool {
	switch {
	case t.o.OnFailure == OnFailureAbort, up.count() == 0 && len(up.stored) == 0:
		return false
	case t.o.OnFailure == OnFailureKeep:
		return true
	case !can:
		return false
	case ctx.Err() != nil:
		return true
	}
	return passes(KindOf(cause))
}
