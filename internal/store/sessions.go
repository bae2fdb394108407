package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// sessions are the credentials that requests to directory buckets are signed with:
// those of a session of each bucket, which lasts for five minutes. The SDK has a
// provider of its own, which asks under the context of whoever needs a session
// first: if that one gives up, so do all that wait with it. And what it is told,
// the SDK passes on as text alone: a call keeps the answer.
type sessions struct {
	create func(context.Context, *s3.CreateSessionInput, ...func(*s3.Options)) (*s3.CreateSessionOutput, error)
	now    func() time.Time

	asking chan struct{} // held by the one who asks

	mu   sync.Mutex
	last map[string]oneSession // by bucket
}

type oneSession struct {
	aws.Credentials
	begun time.Time
}

var _ s3.ExpressCredentialsProvider = (*sessions)(nil)

// sessionWindow is how long before its end a session is not used any more, so that
// no request sets out with one that ends on the way.
const sessionWindow = time.Minute

func newSessions(now func() time.Time) *sessions {
	return &sessions{now: now, asking: make(chan struct{}, 1), last: make(map[string]oneSession)}
}

// Retrieve is asked for each attempt of a call.
func (s *sessions) Retrieve(ctx context.Context, bucket string) (aws.Credentials, error) {
	if creds, ok := s.holding(bucket); ok {
		return creds, nil
	}
	select {
	case s.asking <- struct{}{}:
		defer func() { <-s.asking }()
	case <-ctx.Done():
		return aws.Credentials{}, ctx.Err()
	}
	if creds, ok := s.holding(bucket); ok {
		return creds, nil // somebody else has asked meanwhile
	}
	creds, err := s.ask(ctx, bucket)
	if err != nil {
		if c := callFrom(ctx); c != nil {
			c.sessionless = err
		}
		return creds, err
	}
	s.mu.Lock()
	s.last[bucket] = oneSession{creds, s.now()}
	s.mu.Unlock()
	return creds, nil
}

// apart is the context of a call for another one: it says how long to wait, and
// nothing else.
type apart struct{ context.Context }

func (apart) Value(any) any { return nil }

func (s *sessions) ask(ctx context.Context, bucket string) (creds aws.Credentials, _ error) {
	out, err := s.create(apart{ctx}, &s3.CreateSessionInput{Bucket: &bucket})
	if err != nil {
		return creds, err
	}
	got := out.Credentials
	if got == nil || aws.ToString(got.AccessKeyId) == "" || aws.ToString(got.SecretAccessKey) == "" || aws.ToString(got.SessionToken) == "" {
		return creds, errors.New("the answer to CreateSession has no credentials: it does not come from the store")
	}
	return aws.Credentials{
		AccessKeyID: *got.AccessKeyId, SecretAccessKey: *got.SecretAccessKey, SessionToken: *got.SessionToken,
		CanExpire: true, Expires: aws.ToTime(got.Expiration),
	}, nil
}

func (s *sessions) holding(bucket string) (aws.Credentials, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, ok := s.last[bucket]
	return last.Credentials, ok && s.now().Before(last.Expires.Add(-sessionWindow))
}

// renew makes the next request of a bucket begin a session, because the store calls
// expired what a request was signed with that began at some time. It is false if the
// bucket never had one.
func (s *sessions) renew(bucket string, begun time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	last, ok := s.last[bucket]
	if ok && !begun.Before(last.begun) {
		s.last[bucket] = oneSession{begun: last.begun} // no session holds
	}
	return ok
}

// checkDirectory says what a directory bucket does not take of what was configured,
// before any request is sent to it.
func (s *Store) checkDirectory(bucket string) error {
	why := ""
	switch {
	case s.noSign:
		why = "is a directory bucket, which takes no requests without a signature: leave out --no-sign-request"
	case s.requestPayer:
		why = "is a directory bucket, for whose requests its owner pays: leave out --request-payer"
	default:
		return nil
	}
	return &ConfigError{What: "bucket", Value: bucket, Err: errors.New(why)}
}
