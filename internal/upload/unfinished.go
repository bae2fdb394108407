package upload

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/etag"
)

// An upload is a multipart upload that parts go to.
type upload struct {
	id     string
	cut    cut
	stored map[int]storedPart // what it had when it was found

	mu        sync.Mutex
	completed map[int]string // the ETags of the parts it has now
	doubted   map[int]*part  // those whose ETag is not their MD5
}

// A storedPart is a part as ListParts tells of it.
type storedPart struct {
	size     int64
	etag     string // unquoted
	modified time.Time
}

func newUpload(id string, c cut, stored map[int]storedPart) *upload {
	return &upload{id: id, cut: c, stored: stored, completed: make(map[int]string), doubted: make(map[int]*part)}
}

// put notes that the store has a part.
func (up *upload) put(p *part, tag string) {
	up.mu.Lock()
	defer up.mu.Unlock()
	up.completed[p.number] = tag
	delete(up.doubted, p.number)
}

// doubt notes that the store has a part, or something else: its ETag is not the
// part's MD5, on a store where no ETag was seen to be an MD5 so far.
func (up *upload) doubt(p *part, tag string) {
	up.mu.Lock()
	defer up.mu.Unlock()
	up.completed[p.number] = tag
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
		ps = append(ps, types.CompletedPart{PartNumber: aws.Int32(int32(n)), ETag: aws.String(`"` + tag + `"`)})
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
	var up *upload
	if t.mayResume(c.size) {
		if up, err = t.choose(ctx, all, c); err != nil {
			return nil, err
		}
	}
	t.clear(ctx, all, up)
	if up != nil {
		return up, nil
	}
	return t.create(ctx, c)
}

// create begins an upload. The answer tells whether the bucket encrypts with
// KMS: then no copy will follow that could set the storage class, and the upload
// is begun again with it.
func (t *transfer) create(ctx context.Context, c cut) (*upload, error) {
	for try := 1; ; try++ {
		in := &s3.CreateMultipartUploadInput{Bucket: &t.job.Bucket, Key: &t.key}
		t.createProperties().create(in)
		out, err := t.u.client.CreateMultipartUpload(ctx, in, t.with)
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
		up := newUpload(*out.UploadId, c, nil)
		if in.StorageClass == t.createProperties().StorageClass || try == tries {
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
	idle  time.Duration      // since its last sign of life, by the store's clock; < 0: nobody can tell
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
	// Other keys that begin as this one does may hold what XML cannot.
	in := &s3.ListMultipartUploadsInput{Bucket: &t.job.Bucket, Prefix: &t.key, EncodingType: types.EncodingTypeUrl}
	pages := make(map[string]bool)
	looked := 0
	for {
		out, err := t.u.client.ListMultipartUploads(ctx, in, t.with)
		switch {
		case code(err) == "NoSuchUpload":
			return all, nil // rclone serve s3: there never was one in this bucket
		case err != nil && in.KeyMarker != nil && status(err) != 0:
			// versitygw refuses its own marker (SERVERS.md, finding 9).
			t.note("the store did not list all unfinished uploads: %s", reason(err))
			return all, nil
		case err != nil && (cannot(err) || isAnswer(err)):
			t.note("unfinished uploads of this key cannot be listed (%s): none is resumed or cleaned up", reason(err))
			return nil, nil
		case err != nil:
			return nil, err
		}
		now := serverTime(out.ResultMetadata)
		for i := range out.Uploads {
			if u := &out.Uploads[i]; listed(u.Key, out.EncodingType) == t.key && aws.ToString(u.UploadId) != "" && *u.UploadId != t.gone {
				if looked++; looked > t.o.Limits.Looks {
					t.note("the store lists more than %d unfinished uploads of this key: the others were not looked at", t.o.Limits.Looks)
					return all, nil
				}
				f, err := t.look(ctx, u, now)
				if err != nil {
					return nil, err
				}
				if f != nil {
					all = append(all, f)
				}
			}
		}
		if !aws.ToBool(out.IsTruncated) {
			return all, nil
		}
		key, id := listed(out.NextKeyMarker, out.EncodingType), aws.ToString(out.NextUploadIdMarker)
		page := key + "\x00" + id
		if key == "" || pages[page] {
			t.note("the store did not list all unfinished uploads: its listing does not go on")
			return all, nil
		}
		if len(pages)+1 == t.o.Limits.Pages {
			t.note("the store did not list all unfinished uploads: its listing does not end")
			return all, nil
		}
		pages[page] = true
		in.KeyMarker, in.UploadIdMarker = &key, optional(id)
	}
}

// listed returns a key as a listing has it. The SDK does not decode those that
// it asked to be encoded (S3-FACTS §10); not all stores do encode them.
func listed(key *string, encoding types.EncodingType) string {
	s := aws.ToString(key)
	if encoding == types.EncodingTypeUrl {
		if plain, err := url.QueryUnescape(s); err == nil {
			return plain
		}
	}
	return s
}

// isAnswer says whether a store that answers kept on failing, or answered what
// nobody can read: waiting longer is of no use for what is only a help.
func isAnswer(err error) bool { return status(err) >= 500 || status(err)/100 == 2 }

// look finds out what an unfinished upload has and when it last moved. It
// returns nil if the upload is gone already.
func (t *transfer) look(ctx context.Context, u *types.MultipartUpload, now time.Time) (*found, error) {
	f := &found{id: *u.UploadId, class: u.StorageClass, idle: -1}
	parts, err := t.listParts(ctx, f.id)
	switch {
	case err == nil:
		f.parts = parts
	case isGone(err):
		return nil, nil
	case cannot(err), isAnswer(err):
		return f, nil // its parts may have come in just now
	default:
		return nil, err
	}
	var alive time.Time
	if begun := aws.ToTime(u.Initiated); begun.After(launch) {
		alive = begun
	}
	for _, p := range f.parts {
		if p.modified.After(alive) {
			alive = p.modified
		}
	}
	if !alive.IsZero() {
		f.idle = max(now.Sub(alive), 0)
	}
	return f, nil
}

// listParts returns the parts of an upload.
func (t *transfer) listParts(ctx context.Context, id string) (map[int]storedPart, error) {
	parts := make(map[int]storedPart)
	in := &s3.ListPartsInput{Bucket: &t.job.Bucket, Key: &t.key, UploadId: &id}
	for page := 1; ; page++ {
		out, err := t.u.client.ListParts(ctx, in, t.with)
		if err != nil {
			return nil, err
		}
		known := len(parts)
		for _, p := range out.Parts {
			parts[int(aws.ToInt32(p.PartNumber))] = storedPart{
				size: aws.ToInt64(p.Size), etag: etag.Trim(aws.ToString(p.ETag)), modified: aws.ToTime(p.LastModified)}
		}
		next := aws.ToString(out.NextPartNumberMarker)
		if !aws.ToBool(out.IsTruncated) || next == "" || len(parts) == known || page == t.o.Limits.Pages || len(parts) > t.o.Limits.Parts {
			return parts, nil // some listings never end (SERVERS.md, finding 9)
		}
		in.PartNumberMarker = &next
	}
}

// choose takes the upload that fits and has most of the file.
func (t *transfer) choose(ctx context.Context, all []*found, c cut) (*upload, error) {
	var best *found
	var bestCut cut
	for _, f := range all {
		if best != nil && f.bytes() <= best.bytes() || !t.hasClass(f) {
			continue
		}
		fc, ok := t.o.Limits.infer(f.parts, c)
		if !ok {
			continue
		}
		first := firstPart(f.parts)
		offset, size := fc.at(first)
		md5, err := t.src.sum(ctx, offset, size)
		if err != nil {
			return nil, err
		}
		if f.parts[first].etag == md5.String() {
			best, bestCut = f, fc
		}
	}
	if best == nil {
		return nil, nil
	}
	t.u.sawMD5(t.job.Bucket)
	return newUpload(best.id, bestCut, best.parts), nil
}

// hasClass says whether an upload was begun for the storage class that one would
// be begun for now: parts keep theirs.
func (t *transfer) hasClass(f *found) bool {
	const standard = types.StorageClassStandard
	return f.class == "" || f.class == cmp.Or(t.createProperties().StorageClass, standard)
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
				t.note("a stale upload of this key (%s, id %s) could not be aborted: %s", byteSize(f.bytes()), clip(f.id), reason(err))
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

// abort ends an upload and makes sure that it is gone.
func (t *transfer) abort(ctx context.Context, id string) error {
	for range aborts {
		_, err := t.u.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{
			Bucket: &t.job.Bucket, Key: &t.key, UploadId: &id}, t.with)
		if err != nil {
			if isGone(err) {
				return nil
			}
			return err
		}
		parts, err := t.listParts(ctx, id)
		switch {
		case isGone(err), err == nil && len(parts) == 0:
			return nil
		case err != nil && cannot(err):
			return nil // nobody can tell; the abort itself was accepted
		case err != nil:
			return err
		}
	}
	return errors.New("it still has parts after having been aborted " + plural(aborts, "time"))
}

// leave sees to an upload that failed: its parts are kept where a later run can
// go on with them, else it is aborted, also when the context is cancelled.
func (t *transfer) leave(ctx context.Context, up *upload, cause error) {
	if t.keeps(ctx, up, cause) {
		t.res.Resumable = t.canResume()
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), t.o.CleanupTimeout)
	defer cancel()
	if err := t.abort(ctx, up.id); err != nil {
		t.note("the multipart upload %s could not be aborted: %s; a lifecycle rule (AbortIncompleteMultipartUpload) clears such uploads",
			clip(up.id), reason(err))
	}
}

// canResume says whether a later run will know the parts again.
func (t *transfer) canResume() bool {
	return t.src.size >= 0 && t.u.knowsMD5(t.job.Bucket) && !t.isEncrypted() && t.mayResume(t.src.size)
}

// keeps decides whether what was sent is worth keeping: a later run must be able
// to recognize it by the MD5s of its parts.
func (t *transfer) keeps(ctx context.Context, up *upload, cause error) bool {
	switch {
	case t.o.OnFailure == OnFailureAbort, up.count() == 0 && len(up.stored) == 0:
		return false
	case t.o.OnFailure == OnFailureKeep:
		return true
	case !t.canResume():
		return false
	case ctx.Err() != nil:
		return true
	}
	return passes(KindOf(cause))
}
