package store

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// sessions are what requests to directory buckets are signed with: one of each
// bucket. The SDK has a provider of its own, which asks under the context of whoever
// needs a session first: if that one gives up, so do all that wait with it. And what
// it is told, the SDK passes on as text alone: a call keeps the answer.
type sessions struct {
	create func(context.Context, *s3.CreateSessionInput, ...func(*s3.Options)) (*s3.CreateSessionOutput, error)
	now    func() time.Time

	mu   sync.Mutex
	last map[string]*session // by bucket
}

// session is begun by the first who needs it. All who need it meanwhile wait for
// what comes of it, were it a refusal.
type session struct {
	asked     chan struct{} // closed when there is an answer, which is all below
	creds     aws.Credentials
	err       error
	abandoned bool // who asked has given up, which says nothing of the store
}

var _ s3.ExpressCredentialsProvider = (*sessions)(nil)

const (
	sessionLife = 5 * time.Minute // at Amazon's
	// sessionWindow is how long before its end a session is not used any more, so
	// that no request sets out with one that ends on the way.
	sessionWindow = time.Minute
)

func newSessions(now func() time.Time) *sessions {
	return &sessions{now: now, last: make(map[string]*session)}
}

// Retrieve is asked for each attempt of a call.
func (s *sessions) Retrieve(ctx context.Context, bucket string) (aws.Credentials, error) {
	for {
		one, first := s.of(bucket)
		if first {
			one.creds, one.err = s.ask(ctx, bucket)
			one.abandoned = one.err != nil && ctx.Err() != nil
			close(one.asked)
		} else {
			select {
			case <-one.asked:
			case <-ctx.Done():
				return aws.Credentials{}, ctx.Err()
			}
			if one.abandoned {
				continue
			}
		}
		if c := callFrom(ctx); c != nil {
			c.session, c.sessionless = one, one.err
		}
		return one.creds, one.err
	}
}

// of is the session of a bucket, and whether the caller is to ask for it.
func (s *sessions) of(bucket string) (_ *session, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.last[bucket]; one != nil && one.holds(s.now()) {
		return one, false
	}
	one := &session{asked: make(chan struct{})}
	s.last[bucket] = one
	return one, true
}

func (s *session) holds(now time.Time) bool {
	select {
	case <-s.asked:
		return s.err == nil && now.Before(s.creds.Expires.Add(-sessionWindow))
	default:
		return true
	}
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
	life := sessionLife
	if date, ok := awsmiddleware.GetServerTime(out.ResultMetadata); ok && got.Expiration != nil && got.Expiration.After(date) {
		life = got.Expiration.Sub(date) // its end is by the store's clock
	}
	return aws.Credentials{
		AccessKeyID: *got.AccessKeyId, SecretAccessKey: *got.SecretAccessKey, SessionToken: *got.SessionToken,
		CanExpire: true, Expires: s.now().Add(life),
	}, nil
}

// renew makes the next request of a bucket begin a session, because the store calls
// expired the one that a request was signed with. It is false if that had none.
func (s *sessions) renew(bucket string, used *session) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if used != nil && s.last[bucket] == used {
		delete(s.last, bucket)
	}
	return used != nil
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
