package upload

import (
	"context"
	"errors"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
	"golang.org/x/sync/errgroup"
)

// Unfinished is an upload that was begun, and neither completed nor aborted. Its
// parts are stored, and paid for.
type Unfinished struct {
	Bucket, Key, ID string
	Initiator       string    // who began it, as the store has it; "" if it does not tell
	StorageClass    string    // of its parts; "" if the store does not tell
	Begun           time.Time // zero if the store does not tell
	LastSign        time.Time // of life: the newest of Begun and of its parts; zero if nobody can tell
	Seen            time.Time // when it was looked at, by the store's clock, as is all else; zero if the store does not tell
	Parts           int       // -1: they could not be listed
	Bytes           int64     // of its parts
	Err             error     // why they could not be listed
}

// Age returns how long ago it was begun, and whether that can be told.
func (x *Unfinished) Age() (time.Duration, bool) { return x.since(x.Begun) }

// Idle returns how long ago it showed its last sign of life, and whether that can
// be told: not without a list of its parts, of which one may have come just now.
func (x *Unfinished) Idle() (time.Duration, bool) { return x.since(x.LastSign) }

func (x *Unfinished) since(t time.Time) (time.Duration, bool) {
	if t.IsZero() || x.Seen.IsZero() {
		return 0, false
	}
	return max(x.Seen.Sub(t), 0), true
}

// A Listing is how a listing of unfinished uploads went.
type Listing struct {
	// Short says why the store did not list all, "" if it did.
	Short string
	// Server is how the store calls itself, "" if it does not.
	Server string
}

// looksAhead is how many uploads are looked at before their turn comes.
const looksAhead = 32

// Unfinished lists the unfinished uploads of keys that begin with prefix, looks at
// the parts of those that want says are of interest, and calls each with them, in
// the order of the listing and one at a time. One that is gone when it is looked at
// is left out. An error of each ends it.
func (u *Uploader) Unfinished(ctx context.Context, bucket, prefix string, want func(key, id string) bool, each func(*Unfinished) error) (Listing, error) {
	var l Listing
	g, ctx := errgroup.WithContext(ctx)
	queue := make(chan chan *Unfinished, looksAhead)
	g.Go(func() error {
		defer close(queue)
		var err error
		all := u.listings(bucket)
		all.many = true
		l, err = all.uploads(ctx, prefix, func(key string, m *types.MultipartUpload, answer middleware.Metadata) (bool, error) {
			if aws.ToString(m.UploadId) == "" || !want(key, *m.UploadId) {
				return true, nil
			}
			looked := make(chan *Unfinished, 1)
			select {
			case queue <- looked:
			case <-ctx.Done():
				return false, ctx.Err()
			}
			g.Go(func() error {
				x := &Unfinished{Bucket: bucket, Key: key, ID: *m.UploadId, Begun: begun(m), StorageClass: string(m.StorageClass),
					Initiator: nameOf(m.Initiator), Seen: storeTime(answer)}
				there, err := u.look(ctx, x)
				if err != nil {
					return err
				}
				if !there {
					x = nil
				}
				looked <- x
				return nil
			})
			return true, nil
		})
		return err
	})
	g.Go(func() error {
		for looked := range queue {
			select {
			case x := <-looked:
				if x == nil {
					continue
				}
				if err := each(x); err != nil {
					return err
				}
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		return nil
	})
	err := g.Wait()
	return l, err
}

// UnfinishedUpload looks at the one upload of a key with this id. It is nil if
// there is none. When it was begun is not told.
func (u *Uploader) UnfinishedUpload(ctx context.Context, bucket, key, id string) (*Unfinished, error) {
	x := &Unfinished{Bucket: bucket, Key: key, ID: id}
	there, err := u.look(ctx, x)
	switch {
	case err != nil:
		return nil, err
	case !there:
		return nil, nil
	case x.Err != nil:
		return nil, x.Err
	}
	return x, nil
}

// Look looks again at an upload, and says whether it is still there.
func (u *Uploader) Look(ctx context.Context, x *Unfinished) (bool, error) { return u.look(ctx, x) }

// look finds out what an upload has, and when it last moved.
func (u *Uploader) look(ctx context.Context, x *Unfinished) (there bool, _ error) {
	s, err := u.slots.acquire(ctx, weightSmall)
	if err != nil {
		return false, err
	}
	parts, first, err := u.listings(x.Bucket).parts(ctx, s3.ListPartsInput{Key: &x.Key, UploadId: &x.ID})
	s.release(err == nil, 0)
	x.Parts, x.Bytes, x.Err, x.LastSign = -1, 0, nil, time.Time{}
	switch {
	case err == nil:
	case isGone(err):
		return false, nil
	case cannot(err), isAnswer(err):
		x.Err = err // its parts may have come in just now
		return true, nil
	default:
		return false, err
	}
	if seen := storeTime(first.ResultMetadata); !seen.IsZero() {
		x.Seen = seen
	}
	x.LastSign = x.Begun
	x.Parts = len(parts)
	for _, p := range parts {
		x.Bytes += p.size
		if p.modified.After(x.LastSign) {
			x.LastSign = p.modified
		}
	}
	if x.StorageClass == "" {
		x.StorageClass = string(first.StorageClass)
	}
	if x.Initiator == "" {
		x.Initiator = nameOf(first.Initiator)
	}
	return true, nil
}

// AbortUpload ends an upload and makes sure that it is gone.
func (u *Uploader) AbortUpload(ctx context.Context, x *Unfinished) error {
	s, err := u.slots.acquire(ctx, weightSmall)
	if err != nil {
		return err
	}
	l := u.listings(x.Bucket)
	err = l.abort(ctx, x.Key, x.ID, func(ctx context.Context) (int, error) {
		parts, _, err := l.parts(ctx, s3.ListPartsInput{Key: &x.Key, UploadId: &x.ID})
		return len(parts), err
	})
	s.release(err == nil, 0)
	if errors.Is(err, errStillThere) {
		return fail(Temporary, "%v: somebody goes on sending parts", err)
	}
	return err
}

func (u *Uploader) listings(bucket string) listings {
	return listings{client: u.client, limits: u.o.Limits, bucket: bucket, with: func(*s3.Options) {}}
}

// nameOf is how a store names who began an upload.
func nameOf(who *types.Initiator) string {
	if who == nil {
		return ""
	}
	if name := aws.ToString(who.DisplayName); name != "" {
		return name
	}
	return aws.ToString(who.ID)
}

// serverName is how a store calls itself in an answer.
func serverName(answer middleware.Metadata) string {
	res, ok := awsmiddleware.GetRawResponse(answer).(*smithyhttp.Response)
	if !ok {
		return ""
	}
	return res.Header.Get("Server")
}
