package store

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// maxSkew is by how much clocks may differ before the SDK signs by the store's:
// the least that its own retries go by.
const maxSkew = 4 * time.Minute

// clockSigner signs requests of sessions by the store's clock too: the SDK adds the
// difference to the time of all others, and leaves it out there.
type clockSigner struct {
	s3.HTTPSignerV4
	calls *calls
}

func (s *clockSigner) SignHTTP(ctx context.Context, creds aws.Credentials, r *http.Request, hash, service, region string, at time.Time, opts ...func(*v4.SignerOptions)) error {
	if r.Header.Get("X-Amz-S3session-Token") != "" {
		at = at.Add(time.Duration(s.calls.skew.Load()))
	}
	if c := callFrom(ctx); c != nil {
		c.signed = at
	}
	return s.HTTPSignerV4.SignHTTP(ctx, creds, r, hash, service, region, at, opts...)
}

// isSkewed says whether the store that gave an answer has another time than the
// request was signed with.
func (c *call) isSkewed(err error) bool {
	var e *smithyhttp.ResponseError
	if !errors.As(err, &e) || e.Response == nil || e.Response.Response == nil {
		return false
	}
	date, err := http.ParseTime(e.Response.Header.Get("Date"))
	return err == nil && c.signed.Sub(date).Abs() > maxSkew
}
