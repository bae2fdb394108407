package tree

import (
	"context"
	"encoding/binary"
	"errors"
	"iter"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/smithy-go"
	"golang.org/x/sync/errgroup"

	"s3up/internal/upload"
)

// Keys is a list of keys in their order, each of which takes only what it does not
// share with the one before: a million keys are a few tens of megabytes.
type Keys struct {
	coded []byte
	last  string
	n     int
}

// Add adds a key behind all others.
func (ks *Keys) Add(key string) {
	shared := 0
	for shared < min(len(key), len(ks.last)) && key[shared] == ks.last[shared] {
		shared++
	}
	ks.coded = binary.AppendUvarint(ks.coded, uint64(shared))
	ks.coded = binary.AppendUvarint(ks.coded, uint64(len(key)-shared))
	ks.coded = append(ks.coded, key[shared:]...)
	ks.last = key
	ks.n++
}

// Len returns how many there are.
func (ks *Keys) Len() int { return ks.n }

// All returns them in their order.
func (ks *Keys) All() iter.Seq[string] {
	return func(yield func(string) bool) {
		last := ""
		for rest := ks.coded; len(rest) > 0; {
			shared, n := binary.Uvarint(rest)
			own, m := binary.Uvarint(rest[n:])
			rest = rest[n+m:]
			last = last[:shared] + string(rest[:own])
			rest = rest[own:]
			if !yield(last) {
				return
			}
		}
	}
}

// A Deleter is what deletions ask for. They need s3:DeleteObject.
type Deleter interface {
	DeleteObject(context.Context, *s3.DeleteObjectInput, ...func(*s3.Options)) (*s3.DeleteObjectOutput, error)
	DeleteObjects(context.Context, *s3.DeleteObjectsInput, ...func(*s3.Options)) (*s3.DeleteObjectsOutput, error)
}

const (
	deletions = 1000 // in one request, at most
	deleting  = 4    // requests of many at once
	deleting1 = 16   // requests of one at once
)

// DeleteAll deletes objects, many in a request, or one by one where the store does
// not do that. told learns of each what came of it, one after the other.
func DeleteAll(ctx context.Context, client Deleter, bucket string, keys iter.Seq[string], told func(key string, err error)) {
	d := &deleter{client: client, bucket: bucket, told: told}
	var group errgroup.Group
	group.SetLimit(deleting)
	var many []string
	for key := range keys {
		if many = append(many, key); len(many) == deletions {
			all := many
			group.Go(func() error { d.delete(ctx, all); return nil })
			many = nil
		}
	}
	d.delete(ctx, many)
	group.Wait()
}

type deleter struct {
	client   Deleter
	bucket   string
	oneByOne atomic.Bool
	mu       sync.Mutex
	told     func(string, error)
}

func (d *deleter) tell(key string, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.told(key, err)
}

// delete deletes some objects.
func (d *deleter) delete(ctx context.Context, keys []string) {
	var together, alone []string
	for _, key := range keys {
		if d.oneByOne.Load() || !IsPlainText(key) {
			alone = append(alone, key)
		} else {
			together = append(together, key)
		}
	}
	if len(together) > 0 && !d.deleteTogether(ctx, together) {
		d.oneByOne.Store(true)
		alone = append(alone, together...)
	}
	var group errgroup.Group
	group.SetLimit(deleting1)
	for _, key := range alone {
		group.Go(func() error {
			_, err := d.client.DeleteObject(ctx, &s3.DeleteObjectInput{Bucket: &d.bucket, Key: &key})
			if statusOf(err) == http.StatusNotFound && upload.KindOf(err) == upload.NotFound && !isCode(err, "NoSuchBucket") {
				err = nil // somebody else was faster
			}
			d.tell(key, err)
			return nil
		})
	}
	group.Wait()
}

// IsPlainText says whether a key comes through XML as it is, with whoever reads it.
func IsPlainText(key string) bool {
	return strings.TrimSpace(key) == key && utf8.ValidString(key) && !strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r >= 0x7f && r < 0xa0 || r >= 0xFFFE && r <= 0xFFFF })
}

// deleteTogether deletes objects in one request. It returns false, and did nothing,
// if the store does not know such requests.
func (d *deleter) deleteTogether(ctx context.Context, keys []string) bool {
	in := &s3.DeleteObjectsInput{Bucket: &d.bucket, Delete: &types.Delete{Quiet: aws.Bool(false)}}
	for _, key := range keys {
		in.Delete.Objects = append(in.Delete.Objects, types.ObjectIdentifier{Key: &key})
	}
	out, err := d.client.DeleteObjects(ctx, in)
	switch statusOf(err) {
	case http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotImplemented:
		return false
	case http.StatusNotFound:
		if !isCode(err, "NoSuchBucket") {
			return false
		}
	}
	if err != nil {
		for _, key := range keys {
			d.tell(key, err)
		}
		return true
	}
	left := make(map[string]error, len(keys))
	for _, key := range keys {
		left[key] = &upload.Error{Kind: upload.Other, Msg: "the store does not say that it has deleted it"}
	}
	for _, gone := range out.Deleted {
		if _, ok := left[aws.ToString(gone.Key)]; ok {
			left[*gone.Key] = nil
		}
	}
	for _, e := range out.Errors {
		if _, ok := left[aws.ToString(e.Key)]; ok {
			left[*e.Key] = refused(aws.ToString(e.Code), aws.ToString(e.Message))
		}
	}
	for _, key := range keys {
		d.tell(key, left[key])
	}
	return true
}

// refused is the error for one of many keys, as if it had been asked for alone.
func refused(code, message string) error {
	if code == "NoSuchKey" {
		return nil
	}
	return &smithy.OperationError{ServiceID: s3.ServiceID, OperationName: "DeleteObjects", Err: &smithy.GenericAPIError{Code: code, Message: message}}
}

// statusOf returns the HTTP status of an answer, 0 if there was none.
func statusOf(err error) int {
	var e *awshttp.ResponseError
	if errors.As(err, &e) && e.Response != nil && e.Response.Response != nil {
		return e.HTTPStatusCode()
	}
	return 0
}

func isCode(err error, code string) bool {
	var e interface{ ErrorCode() string }
	return errors.As(err, &e) && e.ErrorCode() == code
}
