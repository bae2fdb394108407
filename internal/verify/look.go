package verify

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"golang.org/x/sync/errgroup"

	"s3up/internal/etag"
)

// Client is the part of *s3.Client that is used, and with that the list of
// permissions that are needed: s3:GetObject for HeadObject. GetObjectAttributes
// (s3:GetObjectAttributes) helps to name the part that differs, and is done
// without where it is denied or unknown.
type Client interface {
	HeadObject(context.Context, *s3.HeadObjectInput, ...func(*s3.Options)) (*s3.HeadObjectOutput, error)
	GetObjectAttributes(context.Context, *s3.GetObjectAttributesInput, ...func(*s3.Options)) (*s3.GetObjectAttributesOutput, error)
}

var _ Client = (*s3.Client)(nil)

// CustomerKey is what requests carry about an object that is encrypted with a key
// of one's own (SSE-C), as its headers have it. The zero value is none.
type CustomerKey struct{ Algorithm, Key, MD5 *string }

// ErrReplaced says that somebody wrote the key while the object was verified.
var ErrReplaced = errors.New("the object was replaced by somebody else meanwhile")

// status returns the HTTP status of an answer, 0 if there was none.
func status(err error) int {
	var e *smithyhttp.ResponseError
	if errors.As(err, &e) && e.Response != nil && e.Response.Response != nil {
		return e.HTTPStatusCode()
	}
	return 0
}

// isMissing says whether there is no object, as far as HEAD can tell.
func isMissing(err error) bool { return status(err) == http.StatusNotFound }

// refused says whether an answer refuses a request for good.
func refused(err error) bool {
	s := status(err)
	return s >= 400 && s < 500 && s != http.StatusRequestTimeout && s != http.StatusTooManyRequests || s == http.StatusNotImplemented
}

// Look asks for what there is to know of an object. It is nil if there is none.
func (v *Verifier) Look(ctx context.Context, bucket, key string) (*Object, error) {
	in := v.input(bucket, key)
	in.ChecksumMode = types.ChecksumModeEnabled
	out, err := v.client.HeadObject(ctx, in)
	hidden := false
	if refused(err) && !isMissing(err) {
		// To see the checksum of what KMS encrypts, one needs the key; and there are
		// stores that take no such header.
		in.ChecksumMode = ""
		if again, err2 := v.client.HeadObject(ctx, in); err2 == nil {
			out, err, hidden = again, nil, true
		}
	}
	switch {
	case isMissing(err):
		return nil, nil
	case err != nil:
		return nil, err
	}
	o := Looked(bucket, key, out)
	o.Hidden = hidden
	if o.Encrypted != "" {
		v.buckets.mu.Lock()
		v.buckets.encrypts[bucket] = true
		v.buckets.mu.Unlock()
	}
	return o, nil
}

func (v *Verifier) input(bucket, key string) *s3.HeadObjectInput {
	k := v.o.CustomerKey
	return &s3.HeadObjectInput{Bucket: &bucket, Key: &key,
		SSECustomerAlgorithm: k.Algorithm, SSECustomerKey: k.Key, SSECustomerKeyMD5: k.MD5}
}

// isStill says whether the object is the one that was looked at.
func (v *Verifier) isStill(ctx context.Context, o *Object) error {
	out, err := v.client.HeadObject(ctx, v.input(o.Bucket, o.Key))
	if isMissing(err) {
		return ErrReplaced
	}
	if err != nil {
		return err
	}
	return o.check(out, true)
}

// check compares an answer with what was seen before.
func (o *Object) check(out *s3.HeadObjectOutput, sized bool) error {
	then, now := o.Modified, aws.ToTime(out.LastModified)
	switch {
	case etag.Trim(aws.ToString(out.ETag)) != o.ETag, sized && aws.ToInt64(out.ContentLength) != o.Size,
		o.headed && (aws.ToString(out.VersionId) != o.VersionID || !then.Equal(now)):
		return ErrReplaced
	}
	return nil
}

// Layout asks how an object was cut into parts; ok is false if nobody tells.
func (v *Verifier) layout(ctx context.Context, o *Object) (l layout, ok bool, _ error) {
	n := o.Parts()
	if n == 1 {
		return whole(o.Size), true, nil
	}
	first, err := v.headPart(ctx, o, 1)
	switch {
	case err != nil && !refused(err):
		return layout{}, false, err
	case err == nil && int(aws.ToInt32(first.PartsCount)) == n:
		if part := aws.ToInt64(first.ContentLength); part > 0 && etag.Count(o.Size, part) == n {
			return layout{part: part}, true, nil // if the others are like it: see surely
		}
		return v.surely(ctx, o)
	}
	parts, err := v.attributes(ctx, o)
	if err != nil || len(parts) == 0 {
		return layout{}, false, err
	}
	return fromParts(parts, o)
}

// surely asks for the size of each part.
func (v *Verifier) surely(ctx context.Context, o *Object) (l layout, ok bool, _ error) {
	parts, err := v.attributes(ctx, o)
	if err != nil {
		return layout{}, false, err
	}
	if l, ok, err := fromParts(parts, o); ok || err != nil {
		return l, ok, err
	}
	if parts, err = v.headParts(ctx, o); err != nil {
		return layout{}, false, err
	}
	return fromParts(parts, o)
}

func fromParts(parts []storedPart, o *Object) (layout, bool, error) {
	sizes := make([]int64, len(parts))
	for i, p := range parts {
		sizes[i] = p.size
	}
	if len(sizes) == 0 || !fits(sizes, o.Parts(), o.Size) {
		return layout{}, false, nil
	}
	return newLayout(sizes), true, nil
}

// headPart looks at one part. ErrReplaced is one of another object.
func (v *Verifier) headPart(ctx context.Context, o *Object, n int) (*s3.HeadObjectOutput, error) {
	in := v.input(o.Bucket, o.Key)
	in.PartNumber = aws.Int32(int32(n))
	if !o.Hidden && len(o.Checksums) > 0 {
		in.ChecksumMode = types.ChecksumModeEnabled
	}
	out, err := v.client.HeadObject(ctx, in)
	if err != nil {
		return nil, err
	}
	return out, o.check(out, false)
}

// A storedPart is what the store tells of a part.
type storedPart struct {
	size int64
	sums []Checksum
}

// headParts looks at all parts, one by one. It returns none if the store tells
// nothing of parts.
func (v *Verifier) headParts(ctx context.Context, o *Object) ([]storedPart, error) {
	parts := make([]storedPart, o.Parts())
	var mu sync.Mutex
	silent := false
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(16)
	for i := range parts {
		g.Go(func() error {
			mu.Lock()
			stop := silent
			mu.Unlock()
			if stop {
				return nil
			}
			out, err := v.headPart(gctx, o, i+1)
			if refused(err) || err == nil && int(aws.ToInt32(out.PartsCount)) != len(parts) {
				mu.Lock()
				silent = true
				mu.Unlock()
				return nil
			}
			if err != nil {
				return err
			}
			parts[i] = storedPart{aws.ToInt64(out.ContentLength), o.ofPart(out)}
			return nil
		})
	}
	if err := g.Wait(); err != nil || silent {
		return nil, err
	}
	return parts, nil
}

// ofPart returns the checksums in an answer about a part, but for those that are the
// object's all the same.
func (o *Object) ofPart(out *s3.HeadObjectOutput) []Checksum {
	var own []Checksum
	for _, s := range checksums("", out.ChecksumSHA512, out.ChecksumSHA256, out.ChecksumSHA1, out.ChecksumMD5,
		out.ChecksumCRC64NVME, out.ChecksumCRC32C, out.ChecksumCRC32) {
		is := s.Parts == 0
		for _, c := range o.Checksums {
			is = is && !bytes.Equal(c.Value, s.Value)
		}
		if is {
			own = append(own, s)
		}
	}
	return own
}

type attemptsKey struct{}

// attempts is how often a request is tried that only helps. A store that does not
// know it may answer with the object itself, which cannot be read as an answer.
const attempts = 2

// Attempts tells how often the call with this context may be tried at most; 0 is
// as often as it may help. A Client that retries by itself is to ask for it.
func Attempts(ctx context.Context) int {
	n, _ := ctx.Value(attemptsKey{}).(int)
	return n
}

// attributes asks for the parts of an object. There are none where the store does
// not know the request, denies it, or tells nothing of parts: Amazon does not, of
// an object without checksums.
func (v *Verifier) attributes(ctx context.Context, o *Object) ([]storedPart, error) {
	k := v.o.CustomerKey
	in := &s3.GetObjectAttributesInput{Bucket: &o.Bucket, Key: &o.Key,
		ObjectAttributes:     []types.ObjectAttributes{types.ObjectAttributesEtag, types.ObjectAttributesObjectParts},
		SSECustomerAlgorithm: k.Algorithm, SSECustomerKey: k.Key, SSECustomerKeyMD5: k.MD5}
	if o.VersionID != "" {
		in.VersionId = &o.VersionID
	}
	var parts []storedPart
	for {
		out, err := v.client.GetObjectAttributes(context.WithValue(ctx, attemptsKey{}, attempts), in)
		switch {
		case err != nil:
			return nil, ctx.Err() // what is wrong with the store, other requests tell
		case etag.Trim(aws.ToString(out.ETag)) != "" && etag.Trim(aws.ToString(out.ETag)) != o.ETag:
			return nil, ErrReplaced
		case out.ObjectParts == nil:
			return nil, nil
		}
		for _, p := range out.ObjectParts.Parts {
			if int(aws.ToInt32(p.PartNumber)) <= len(parts) {
				return nil, nil // not in order: a listing that does not advance
			}
			parts = append(parts, storedPart{aws.ToInt64(p.Size), checksums("", p.ChecksumSHA512, p.ChecksumSHA256, p.ChecksumSHA1,
				p.ChecksumMD5, p.ChecksumCRC64NVME, p.ChecksumCRC32C, p.ChecksumCRC32)})
		}
		if !aws.ToBool(out.ObjectParts.IsTruncated) || len(parts) >= o.Parts() || len(out.ObjectParts.Parts) == 0 {
			if len(parts) != o.Parts() {
				return nil, nil
			}
			return parts, nil
		}
		last := out.ObjectParts.Parts[len(out.ObjectParts.Parts)-1]
		in.PartNumberMarker = aws.String(strconv.Itoa(int(aws.ToInt32(last.PartNumber))))
	}
}
