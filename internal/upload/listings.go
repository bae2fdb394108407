package upload

import (
	"context"
	"net/url"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"

	"s3up/internal/etag"
)

// listings reads what a store lists, and is never led in circles by it: markers
// have to get on, and pages have to end (SERVERS.md, finding 9).
type listings struct {
	client Client
	limits Limits
	bucket string
	with   func(*s3.Options)
	many   bool // of many keys: what a page has torn apart is listed by itself
}

func (t *transfer) listings() listings {
	return listings{client: t.u.client, limits: t.o.Limits, bucket: t.job.Bucket, with: t.with}
}

// uploads calls each for every unfinished upload of a key that begins with
// prefix, until each says that it wants no more of them; answer is that of the
// page. An error that came before anything was listed, or that is no answer of the
// store's, and one of each's, is returned.
func (l listings) uploads(ctx context.Context, prefix string,
	each func(key string, u *types.MultipartUpload, answer middleware.Metadata) (more bool, err error)) (end Listing, err error) {
	// Keys may hold what XML cannot.
	wide := listedPrefix(l.bucket, prefix)
	in := &s3.ListMultipartUploadsInput{Bucket: &l.bucket, Prefix: &wide, EncodingType: types.EncodingTypeUrl}
	pages := make(map[string]bool)
	var torn []tornKey
	last := tornKey{}
	for {
		out, err := l.client.ListMultipartUploads(ctx, in, l.with)
		switch {
		case err != nil && in.UploadIdMarker != nil && status(err) != 0 && l.many:
			// versitygw refuses its own marker, if it is within a key.
			in.UploadIdMarker, torn = nil, append(torn, last)
			continue
		case code(err) == "NoSuchUpload":
			return end, nil // rclone serve s3: there never was one in this bucket
		case err != nil && in.KeyMarker != nil && status(err) != 0:
			end.Short = reason(err) // versitygw refuses its own marker
			return end, nil
		case err != nil:
			return end, err
		}
		end.Server = serverName(out.ResultMetadata)
		for i := range out.Uploads {
			u, key := &out.Uploads[i], listed(out.Uploads[i].Key, out.EncodingType)
			if wide != prefix && !strings.HasPrefix(key, prefix) {
				continue
			}
			if l.many {
				last.add(key, aws.ToString(u.UploadId))
			}
			if more, err := each(key, u, out.ResultMetadata); !more || err != nil {
				return end, err
			}
		}
		if !aws.ToBool(out.IsTruncated) {
			err := l.mend(ctx, torn, &end, each)
			return end, err
		}
		key, id := listed(out.NextKeyMarker, out.EncodingType), aws.ToString(out.NextUploadIdMarker)
		page := key + "\x00" + id
		if key == "" || pages[page] {
			end.Short = "its listing does not go on"
			return end, nil
		}
		if len(pages)+1 == l.limits.Pages {
			end.Short = "its listing does not end"
			return end, nil
		}
		pages[page] = true
		in.KeyMarker, in.UploadIdMarker = &key, optional(id)
	}
}

// A tornKey is one of whose uploads a page had some, and the next page maybe not the
// others.
type tornKey struct {
	key string
	ids map[string]bool // that were listed
}

func (k *tornKey) add(key, id string) {
	if k.key != key || k.ids == nil {
		*k = tornKey{key, make(map[string]bool)}
	}
	k.ids[id] = true
}

// mend lists what is missing of some keys.
func (l listings) mend(ctx context.Context, torn []tornKey, end *Listing,
	each func(string, *types.MultipartUpload, middleware.Metadata) (bool, error)) error {
	l.many = false
	for _, k := range torn {
		rest, err := l.uploads(ctx, k.key, func(key string, u *types.MultipartUpload, answer middleware.Metadata) (bool, error) {
			if key != k.key {
				return false, nil // those of a key come before those that it begins
			}
			if k.ids[aws.ToString(u.UploadId)] {
				return true, nil
			}
			return each(key, u, answer)
		})
		if err != nil {
			return err
		}
		if rest.Short != "" {
			end.Short = rest.Short
		}
	}
	return nil
}

// parts returns the parts of the upload that in names, and the answer to its first
// page.
func (l listings) parts(ctx context.Context, in s3.ListPartsInput) (map[int]storedPart, *s3.ListPartsOutput, error) {
	in.Bucket = &l.bucket
	parts := make(map[int]storedPart)
	var first *s3.ListPartsOutput
	for page := 1; ; page++ {
		out, err := l.client.ListParts(ctx, &in, l.with)
		if err != nil {
			return nil, nil, err
		}
		if first == nil {
			first = out
		}
		known := len(parts)
		for _, p := range out.Parts {
			parts[int(aws.ToInt32(p.PartNumber))] = storedPart{
				size: aws.ToInt64(p.Size), etag: etag.Trim(aws.ToString(p.ETag)), crc: aws.ToString(p.ChecksumCRC64NVME), modified: aws.ToTime(p.LastModified),
				summed: p.ChecksumCRC64NVME != nil || p.ChecksumCRC32 != nil || p.ChecksumCRC32C != nil || p.ChecksumSHA1 != nil || p.ChecksumSHA256 != nil}
		}
		next := aws.ToString(out.NextPartNumberMarker)
		if !aws.ToBool(out.IsTruncated) || next == "" || len(parts) == known || page == l.limits.Pages || len(parts) > l.limits.Parts {
			return parts, first, nil
		}
		in.PartNumberMarker = &next
	}
}

// abort ends an upload and makes sure that it is gone.
func (l listings) abort(ctx context.Context, key, id string, parts func(context.Context) (int, error)) error {
	left := errStillThere
	for range aborts {
		_, err := l.client.AbortMultipartUpload(ctx, &s3.AbortMultipartUploadInput{Bucket: &l.bucket, Key: &key, UploadId: &id}, l.with)
		if err != nil {
			if isGone(err) {
				return nil
			}
			return err
		}
		n, err := parts(ctx)
		switch {
		case isGone(err), err == nil && n == 0:
			return nil
		case err != nil && cannot(err):
			return nil // nobody can tell; the abort itself was accepted
		case status(err)/100 == 2:
			left = nil // so it cannot be read either; the next abort may tell
		case err != nil:
			return err
		default:
			left = errStillThere
		}
	}
	return left
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

// lastSign returns when an upload last moved: the newest of when it was begun and
// of its parts. It is zero if nobody can tell.
func lastSign(u *types.MultipartUpload, parts map[int]storedPart) time.Time {
	last := begun(u)
	for _, p := range parts {
		if p.modified.After(last) {
			last = p.modified
		}
	}
	return last
}

// begun returns when an upload was begun; zero if the store does not tell.
func begun(u *types.MultipartUpload) time.Time {
	if t := aws.ToTime(u.Initiated); t.After(launch) {
		return t
	}
	return time.Time{}
}

// storeTime returns the store's Date from an answer; zero if it sent none.
func storeTime(answer middleware.Metadata) time.Time {
	t, _ := awsmiddleware.GetServerTime(answer)
	return t
}
