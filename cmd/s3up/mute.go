package main

import (
	"context"
	"net/http"
	"slices"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3up/internal/store"
	"s3up/internal/verify"
)

// askLimit bounds how long a second answer is waited for.
const askLimit = 15 * time.Second

// askAgain asks with GET why HEAD was refused. Answers to HEAD have no body: 400 is a
// bad name of a bucket as well as credentials that have expired, 403 a wrong secret
// key, 404 a bucket that is not there. GET says which it is, and is refused for the
// same reason; of an object that is there after all, it asks for one byte.
func (l *link) askAgain(ctx context.Context, bucket, key string, k verify.CustomerKey) error {
	ctx, cancel := context.WithTimeout(ctx, askLimit) // what is known already is worth no long retries
	defer cancel()
	out, err := l.store.Client.GetObject(ctx, &s3.GetObjectInput{Bucket: &bucket, Key: &key, Range: aws.String("bytes=0-0"),
		SSECustomerAlgorithm: k.Algorithm, SSECustomerKey: k.Key, SSECustomerKeyMD5: k.MD5})
	if err == nil {
		out.Body.Close()
	}
	return err
}

// named returns the error that says why a HEAD was refused, or the one that there is.
func (l *link) named(ctx context.Context, bucket, key string, k verify.CustomerKey, err error) error {
	if operation(err) != "HeadObject" || !slices.Contains([]int{http.StatusBadRequest, http.StatusForbidden}, store.StatusCode(err)) {
		return err
	}
	again := l.askAgain(ctx, bucket, key, k)
	code := store.Code(again)
	if _, known := answers[code]; !known || code == "AccessDenied" || code == "Forbidden" {
		return err
	}
	return again
}

// notMissing returns the error of what is wrong beyond an object that is not there:
// there is no bucket, or, as versitygw has it, no such access key. It is nil if the
// object is all that is missing.
func (l *link) notMissing(ctx context.Context, bucket, key string) error {
	if err := l.askAgain(ctx, bucket, key, verify.CustomerKey{}); slices.Contains(common, store.Code(err)) {
		return err
	}
	return nil
}
