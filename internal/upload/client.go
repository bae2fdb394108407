package upload

import (
	"context"
	"maps"
	"sync"
	"time"

	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// Client is the part of *s3.Client that the engine uses, and with that the list
// of permissions that it needs (S3-FACTS §13):
//
//	s3:PutObject                    PutObject, CreateMultipartUpload, UploadPart, CompleteMultipartUpload
//	s3:PutObject, s3:GetObject      CopyObject
//	s3:GetObject                    HeadObject
//	s3:AbortMultipartUpload         AbortMultipartUpload
//	s3:ListMultipartUploadParts     ListParts
//	s3:ListBucketMultipartUploads   ListMultipartUploads
//	s3:DeleteObject, s3:ListBucket  DeleteObject and ListObjectsV2, for staged copies and publishing only
//	s3:DeleteObjectVersion          DeleteObject, to prune a version, or to publish in a bucket that keeps versions
//
// For properties of their own: s3:PutObjectTagging, s3:PutObjectAcl,
// s3:PutObjectRetention and s3:PutObjectLegalHold with PutObject,
// CreateMultipartUpload and CopyObject. These help, and are done without where
// they are denied:
//
//	s3:GetBucketObjectLockConfiguration  GetObjectLockConfiguration
//	s3:GetObjectRetention                GetObjectRetention
//	s3:GetObjectLegalHold                GetObjectLegalHold
//	s3:GetObjectTagging                  GetObjectTagging, of an object that may be the same already
//
// Normalize, of objects that are there already, needs s3:GetObjectAcl for
// GetObjectAcl, and s3:PutObjectAcl where there is one to restate.
//
// It must send bodies as they are (no aws-chunked), read them once, and retry
// by itself what passes; see package store.
type Client interface {
	PutObject(context.Context, *s3.PutObjectInput, ...func(*s3.Options)) (*s3.PutObjectOutput, error)
	HeadObject(context.Context, *s3.HeadObjectInput, ...func(*s3.Options)) (*s3.HeadObjectOutput, error)
	CopyObject(context.Context, *s3.CopyObjectInput, ...func(*s3.Options)) (*s3.CopyObjectOutput, error)
	DeleteObject(context.Context, *s3.DeleteObjectInput, ...func(*s3.Options)) (*s3.DeleteObjectOutput, error)
	ListObjectsV2(context.Context, *s3.ListObjectsV2Input, ...func(*s3.Options)) (*s3.ListObjectsV2Output, error)
	CreateMultipartUpload(context.Context, *s3.CreateMultipartUploadInput, ...func(*s3.Options)) (*s3.CreateMultipartUploadOutput, error)
	UploadPart(context.Context, *s3.UploadPartInput, ...func(*s3.Options)) (*s3.UploadPartOutput, error)
	CompleteMultipartUpload(context.Context, *s3.CompleteMultipartUploadInput, ...func(*s3.Options)) (*s3.CompleteMultipartUploadOutput, error)
	AbortMultipartUpload(context.Context, *s3.AbortMultipartUploadInput, ...func(*s3.Options)) (*s3.AbortMultipartUploadOutput, error)
	ListMultipartUploads(context.Context, *s3.ListMultipartUploadsInput, ...func(*s3.Options)) (*s3.ListMultipartUploadsOutput, error)
	GetObjectAcl(context.Context, *s3.GetObjectAclInput, ...func(*s3.Options)) (*s3.GetObjectAclOutput, error)
	GetObjectTagging(context.Context, *s3.GetObjectTaggingInput, ...func(*s3.Options)) (*s3.GetObjectTaggingOutput, error)
	GetObjectLockConfiguration(context.Context, *s3.GetObjectLockConfigurationInput, ...func(*s3.Options)) (*s3.GetObjectLockConfigurationOutput, error)
	GetObjectRetention(context.Context, *s3.GetObjectRetentionInput, ...func(*s3.Options)) (*s3.GetObjectRetentionOutput, error)
	GetObjectLegalHold(context.Context, *s3.GetObjectLegalHoldInput, ...func(*s3.Options)) (*s3.GetObjectLegalHoldOutput, error)
	ListParts(context.Context, *s3.ListPartsInput, ...func(*s3.Options)) (*s3.ListPartsOutput, error)
}

var _ Client = (*s3.Client)(nil)

// A counter counts the requests of one upload by operation, each attempt of a
// retried call by itself.
type counter struct {
	mu sync.Mutex
	n  map[string]int
}

// option makes a call counted. The Deserialize step runs once for each attempt.
func (c *counter) option(o *s3.Options) {
	o.APIOptions = append(o.APIOptions, func(stack *middleware.Stack) error {
		return stack.Deserialize.Add(middleware.DeserializeMiddlewareFunc("s3upCount",
			func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (
				middleware.DeserializeOutput, middleware.Metadata, error) {
				c.mu.Lock()
				if c.n == nil {
					c.n = make(map[string]int)
				}
				c.n[stack.ID()]++
				c.mu.Unlock()
				return next.HandleDeserialize(ctx, in)
			}), middleware.Before)
	})
}

// count returns how many attempts there were of an operation.
func (c *counter) count(operation string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[operation]
}

func (c *counter) counts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return maps.Clone(c.n)
}

type attemptsKey struct{}

// Attempts tells how often the call with this context may be tried at most
// before the engine looks what came of it; 0 is as often as it may help. A
// Client that retries by itself is to ask for it.
func Attempts(ctx context.Context) int {
	n, _ := ctx.Value(attemptsKey{}).(int)
	return n
}

func withAttempts(ctx context.Context, n int) context.Context {
	return context.WithValue(ctx, attemptsKey{}, n)
}

type retryKey struct{}

// Retry says whether the engine expects of the call with this context that a
// refusal with this error code passes. A Client that retries by itself is to ask
// for it.
func Retry(ctx context.Context, code string) bool {
	return code != "" && ctx.Value(retryKey{}) == code
}

func withRetry(ctx context.Context, code string) context.Context {
	return context.WithValue(ctx, retryKey{}, code)
}

type againKey struct{}

// Again is to be called by a Client that retries by itself before it tries the
// call with this context once more. An error is why the call must not be made
// again, and ends it.
func Again(ctx context.Context) error {
	if look, ok := ctx.Value(againKey{}).(func() error); ok {
		return look()
	}
	return nil
}

func withAgain(ctx context.Context, look func() error) context.Context {
	return context.WithValue(ctx, againKey{}, look)
}

// serverTime returns the store's Date from an answer, or the local time if it
// sent none. Ages of uploads are told by the store's clock alone.
func serverTime(answer middleware.Metadata) time.Time {
	if t, ok := awsmiddleware.GetServerTime(answer); ok && !t.IsZero() {
		return t
	}
	return time.Now()
}

// hasStatus says whether an answer came with this HTTP status.
func hasStatus(answer middleware.Metadata, status int) bool {
	res, ok := awsmiddleware.GetRawResponse(answer).(*smithyhttp.Response)
	return ok && res.StatusCode == status
}
