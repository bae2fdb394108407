package store

import (
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/s3test"
)

const directoryBucket = "fast--use1-az4--x-s3"

func openDirectory(t *testing.T, o s3test.Options, change ...func(*Config)) (*s3test.Server, func(context.Context) error, *log) {
	t.Helper()
	return openBucket(t, directoryBucket, o, change...)
}

// openBucket opens a server with one bucket, and gives a look at its one object.
func openBucket(t *testing.T, bucket string, o s3test.Options, change ...func(*Config)) (*s3test.Server, func(context.Context) error, *log) {
	t.Helper()
	o.AccessKey, o.SecretKey = os.Getenv("AWS_ACCESS_KEY_ID"), os.Getenv("AWS_SECRET_ACCESS_KEY")
	srv := s3test.New(t, o)
	srv.CreateBucket(bucket)
	srv.Put(bucket, "key", nil)
	s, l := open(t, srv.URL(), change...)
	key := "key"
	return srv, func(ctx context.Context) error {
		_, err := s.Client.HeadObject(ctx, &s3.HeadObjectInput{Bucket: &bucket, Key: &key})
		return err
	}, l
}

// All calls share one session, and another one follows it when it ends before its
// time: to HEAD, the store cannot say that it has.
func TestSessions(t *testing.T) {
	srv, look, _ := openDirectory(t, s3test.Options{})
	lookAll := func(sessions int) {
		t.Helper()
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if err := look(t.Context()); err != nil {
					t.Error(err)
				}
			})
		}
		all.Wait()
		if n := srv.Count("CreateSession"); n != sessions {
			t.Errorf("got %d sessions, want %d", n, sessions)
		}
	}
	lookAll(1)
	srv.EndSessions()
	lookAll(2)
}

// A session that ends before the request goes out that it was begun for is followed
// by another one like any other.
func TestSessionEndsAtOnce(t *testing.T) {
	srv, look, _ := openDirectory(t, s3test.Options{})
	srv.Fault(s3test.Fault{Op: "HeadObject", Hook: srv.EndSessions})
	if err := look(t.Context()); err != nil {
		t.Error(err)
	}
	if n := srv.Count("CreateSession"); n != 2 {
		t.Errorf("got %d sessions, want 2", n)
	}
}

// A session that is refused ends a call as a refusal of its own would, at once.
func TestSessionRefused(t *testing.T) {
	srv, look, l := openDirectory(t, s3test.Options{Quirks: s3test.Quirks{Deny: []string{"s3express:CreateSession"}}})
	err := look(t.Context())
	if Code(err) != "AccessDenied" || StatusCode(err) != 403 || IsTemporary(err) {
		t.Errorf("got code %q, status %d: %v", Code(err), StatusCode(err), err)
	}
	if n := srv.Count("CreateSession"); n != 1 {
		t.Errorf("got %d requests for a session, want 1", n)
	}
	if all := l.all(); len(all) != 1 || all[0].Op != "CreateSession" {
		t.Errorf("got the attempts %+v", all)
	}
}

// A refusal is one for all that wait for it, and for no other bucket.
func TestSessionsOfBuckets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSessions(time.Now)
		refused := errors.New("refused")
		asked, answer := 0, make(chan struct{})
		s.create = func(_ context.Context, in *s3.CreateSessionInput, _ ...func(*s3.Options)) (*s3.CreateSessionOutput, error) {
			if *in.Bucket == "denied" {
				asked++
				<-answer
				return nil, refused
			}
			return &s3.CreateSessionOutput{Credentials: &types.SessionCredentials{
				AccessKeyId: in.Bucket, SecretAccessKey: in.Bucket, SessionToken: in.Bucket,
			}}, nil
		}
		var all sync.WaitGroup
		for range 8 {
			all.Go(func() {
				if _, err := s.Retrieve(t.Context(), "denied"); err != refused {
					t.Errorf("got %v", err)
				}
			})
		}
		synctest.Wait() // all wait
		other := false
		all.Go(func() {
			creds, err := s.Retrieve(t.Context(), "other")
			other = err == nil && creds.SessionToken == "other"
		})
		synctest.Wait()
		if !other {
			t.Error("no session of another bucket meanwhile")
		}
		close(answer)
		all.Wait()
		if asked != 1 {
			t.Errorf("asked %d times for what was refused, want 1", asked)
		}
		if _, err := s.Retrieve(t.Context(), "denied"); err != refused || asked != 2 {
			t.Errorf("asked %d times after a refusal, want once more: %v", asked, err)
		}
	})
}

// Who gives up while a session is begun takes nobody with it who waits for it too.
func TestSessionOfACallThatEnds(t *testing.T) {
	srv, look, _ := openDirectory(t, s3test.Options{})
	ctx, cancel := context.WithCancel(t.Context())
	asked := make(chan struct{})
	srv.Fault(s3test.Fault{Op: "CreateSession", Times: 1, Hook: func() { close(asked) }, Hold: make(chan struct{})})
	var both sync.WaitGroup
	both.Go(func() {
		if err := look(ctx); err == nil {
			t.Error("a call that was cancelled: no error")
		}
	})
	<-asked
	both.Go(func() {
		if err := look(t.Context()); err != nil {
			t.Error(err)
		}
	})
	cancel()
	both.Wait()
}

// How a call is to be tried is not how a session is to be begun for it.
func TestSessionIsACallOfItsOwn(t *testing.T) {
	type of struct{}
	srv, look, _ := openDirectory(t, s3test.Options{}, func(c *Config) {
		c.Again = func(ctx context.Context) error {
			if ctx.Value(of{}) != nil {
				return errors.New("asked again for the call")
			}
			return nil
		}
	})
	srv.Fault(s3test.Fault{Op: "CreateSession", Times: 1, Do: s3test.SlowDown})
	if err := look(context.WithValue(t.Context(), of{}, true)); err != nil {
		t.Error(err)
	}
}
