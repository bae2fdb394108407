package store

import (
	"context"
	"encoding/xml"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/aws/retry"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

const (
	backoffFrom = 500 * time.Millisecond
	backoffTo   = 30 * time.Second
)

// fullJitter spreads the retries of many calls that failed at the same moment:
// https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter/
func fullJitter(attempt int, _ error) time.Duration {
	bound := backoffTo
	if attempt < 7 {
		bound = min(bound, backoffFrom<<max(attempt-1, 0))
	}
	return rand.N(bound)
}

// calls is what all calls of a Store have in common.
type calls struct {
	cfg      Config
	patience *patience
	identity *identity
	creds    *renewed
	regions  *regions
	sessions *sessions

	skew   atomic.Int64 // by how much the store's clock is ahead, at its last answer
	skewed sync.Once    // OnSkew was told

	mu      sync.Mutex
	renewed time.Time // when the credentials were last invalidated
}

// call is one call of the client, with all its attempts, which follow one
// another. It decides as the SDK's retryer for this call alone; the SDK's own
// retryer is shared by all calls and counts attempts.
type call struct {
	*calls
	ctx         context.Context
	op          string
	bucket, key string
	part        int32
	most        int       // attempts; 0: as many as patience allows
	trouble     time.Time // end of the first attempt that failed
	slow        int       // failures of attempts that took longer than patience lasts, and moved
	asked       bool      // has had the credentials renewed
	dated       bool      // was made again because of the clock
	relocated   bool      // was made again in another region
	misread     int       // answers that name what XML cannot hold
	garbled     int       // times that the store got another list than was sent

	// Of the last attempt:
	attempt int
	begun   time.Time
	region  string
	host    string
	signed  time.Time // the time that it was signed with
	body    *body     // nil if it has none
	session *session  // that it was signed with, in a directory bucket
	// Why there is no session to sign it with: an error of another call, which was
	// made as often as it helps.
	sessionless error
}

type callKey struct{}

func callFrom(ctx context.Context) *call {
	c, _ := ctx.Value(callKey{}).(*call)
	return c
}

// addCall gives the call that stack is for its own retryer and observer. It
// runs once for each call.
func addCall(stack *middleware.Stack, shared *calls) error {
	c := &call{calls: shared, op: stack.ID()}
	theirs, ok := stack.Finalize.Get("Retry")
	if !ok {
		return nil
	}
	loop, ok := theirs.(*retry.Attempt)
	if !ok {
		return errors.New("the SDK's retry loop is not the one known")
	}
	ours := retry.NewAttemptMiddleware(c, smithyhttp.RequestCloner, func(m *retry.Attempt) {
		m.OperationMeter = loop.OperationMeter
		m.ClientSkew = loop.ClientSkew
		m.DisableClockSkewCorrection = loop.DisableClockSkewCorrection
	})
	if _, err := stack.Finalize.Swap("Retry", ours); err != nil {
		return err
	}
	if err := stack.Initialize.Add(middleware.InitializeMiddlewareFunc("s3up:call", c.initialize), middleware.Before); err != nil {
		return err
	}
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("s3up:attempt", c.finalize), "Retry", middleware.After)
}

func (c *call) initialize(ctx context.Context, in middleware.InitializeInput, next middleware.InitializeHandler) (middleware.InitializeOutput, middleware.Metadata, error) {
	c.bucket, c.key, c.part = target(in.Parameters)
	c.ctx = ctx
	if c.cfg.Attempts != nil {
		c.most = c.cfg.Attempts(ctx)
	}
	return next.HandleInitialize(context.WithValue(ctx, callKey{}, c), in)
}

// target finds what a call is about in its input, one of the SDK's structs.
func target(input any) (bucket, key string, part int32) {
	v := reflect.Indirect(reflect.ValueOf(input))
	if v.Kind() != reflect.Struct {
		return "", "", 0
	}
	get := func(name string, to any) {
		if f := v.FieldByName(name); f.IsValid() && f.Kind() == reflect.Pointer && !f.IsNil() {
			if to := reflect.ValueOf(to).Elem(); f.Type().Elem() == to.Type() {
				to.Set(f.Elem())
			}
		}
	}
	get("Bucket", &bucket)
	get("Key", &key)
	get("PartNumber", &part)
	return bucket, key, part
}

// finalize surrounds one attempt.
func (c *call) finalize(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
	if c.attempt++; c.attempt > 1 && c.cfg.Again != nil {
		if err := c.cfg.Again(c.ctx); err != nil {
			return middleware.FinalizeOutput{}, middleware.Metadata{}, err
		}
	}
	c.begun = c.patience.now()
	c.signed = c.begun
	c.region = c.regions.of(c.bucket)
	c.body, c.session, c.sessionless = nil, nil, nil
	c.patience.begin()

	out, metadata, err := next.HandleFinalize(ctx, in)

	if c.sessionless != nil {
		return out, metadata, c.sessionless // the attempt was none
	}
	if err == nil {
		c.patience.advance()
	}
	if skew, ok := awsmiddleware.GetAttemptSkew(metadata); ok {
		c.skew.Store(int64(skew))
		if skew.Abs() > maxSkew && c.cfg.OnSkew != nil {
			c.skewed.Do(func() { c.cfg.OnSkew(-skew) })
		}
	}
	if c.cfg.OnThrottle != nil && isThrottle(err) {
		c.cfg.OnThrottle()
	}
	if c.cfg.OnAttempt != nil {
		a := Attempt{
			Op: c.op, Bucket: c.bucket, Key: c.key, Part: c.part,
			Number: c.attempt, Duration: c.patience.now().Sub(c.begun), Err: err,
			Status: StatusCode(err), Code: Code(err), RequestID: RequestID(err),
		}
		if err == nil {
			if res, ok := awsmiddleware.GetRawResponse(metadata).(*smithyhttp.Response); ok {
				a.Status = res.StatusCode
			}
			a.RequestID, _ = awsmiddleware.GetRequestIDMetadata(metadata)
		}
		if c.body != nil {
			a.Sent = c.body.read.Load()
		}
		c.cfg.OnAttempt(a)
	}
	return out, metadata, err
}

// The SDK asks these in turn, after each attempt.

func (c *call) MaxAttempts() int { return c.most }

func (c *call) IsErrorRetryable(err error) bool {
	if c.ctx.Err() != nil || c.sessionless != nil {
		return false
	}
	if c.isElsewhere(err) {
		return true
	}
	if isUnreadable(err) && !fitsXML(c.key) {
		c.misread++ // the answer names the key, and never reads otherwise, unless it was cut
		return c.misread < misreadAttempts && retryable(err)
	}
	if c.isGarbled(err) {
		c.garbled++
		return c.garbled < garbledAttempts
	}
	// Answers to HEAD have no body that could say what the matter is.
	mute := c.op == "HeadObject"
	if (Code(err) == "ExpiredToken" || mute && StatusCode(err) == http.StatusBadRequest) && !c.asked {
		c.asked = true
		return c.sessions.renew(c.bucket, c.session) || c.renew(c.ctx, c.begun)
	}
	if mute && StatusCode(err) == http.StatusForbidden && !c.dated && c.isSkewed(err) {
		c.dated = true // the next attempt is signed by the store's clock
		return true
	}
	return retryable(err) || c.cfg.Retry != nil && c.cfg.Retry(c.ctx, Code(err))
}

func (c *call) RetryDelay(attempt int, err error) (time.Duration, error) {
	now := c.patience.now()
	if c.trouble.IsZero() {
		c.trouble = now
	}
	left, whole, answered := c.patience.left(c.trouble)
	if left <= 0 && answered && c.slow < slowAttempts && c.moved() && now.Sub(c.begun) >= whole {
		c.slow++
		c.trouble, left = now, whole
	}
	if left <= 0 {
		return 0, &GaveUp{Host: c.host, After: whole, Answered: answered, NoCert: c.identity.missing(), Last: err}
	}
	delay := max(c.cfg.Backoff(attempt, err), retryAfter(err, c.patience.now()))
	return min(delay, left), nil
}

func (c *call) GetAttemptToken(context.Context) (func(error) error, error)      { return noToken, nil }
func (c *call) GetRetryToken(context.Context, error) (func(error) error, error) { return noToken, nil }
func (c *call) GetInitialToken() func(error) error                              { return noToken }

func noToken(error) error { return nil }

// slowAttempts is how often an attempt that took longer than patience lasts is
// no reason to lose it: on a slow line, a part can take longer than that.
const slowAttempts = 3

// misreadAttempts is how often an answer may be unreadable that names a key which
// XML cannot hold.
const misreadAttempts = 3

// garbledAttempts is how often a list may arrive otherwise than it was sent.
const garbledAttempts = 3

// isGarbled says whether the store got something else than the list, of parts or of keys,
// that is the call's body. The bytes of objects are its caller's business, and so is what
// the parts come to: BadDigest says that of a list of parts.
func (c *call) isGarbled(err error) bool {
	switch c.op {
	case "CompleteMultipartUpload", "DeleteObjects":
	default:
		return false
	}
	switch Code(err) {
	case "InvalidPartOrder", "MalformedXML", "XAmzContentSHA256Mismatch":
		return true
	case "BadDigest":
		return c.op == "DeleteObjects"
	}
	return false
}

// moved says whether some of the body went out in the last attempt.
func (c *call) moved() bool { return c.body != nil && c.body.read.Load() > 0 }

// renew makes the next attempt get new credentials, if they are of a kind that
// can be had anew. An attempt that began before another call had them renewed
// needs only to be repeated.
func (c *calls) renew(ctx context.Context, begun time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if begun.Before(c.renewed) {
		return true
	}
	if !c.creds.renew(ctx) {
		return false
	}
	c.renewed = c.patience.now()
	return true
}

// retryAfter is how long the store asks to be left alone, at most backoffTo.
// The SDK sees to x-amz-retry-after by itself.
func retryAfter(err error, now time.Time) time.Duration {
	var e *smithyhttp.ResponseError
	if !errors.As(err, &e) || e.Response == nil || e.Response.Response == nil {
		return 0
	}
	v := e.Response.Header.Get("Retry-After")
	if seconds, err := strconv.Atoi(v); err == nil {
		return min(time.Duration(max(seconds, 0))*time.Second, backoffTo)
	}
	if t, err := http.ParseTime(v); err == nil {
		return min(max(t.Sub(now), 0), backoffTo)
	}
	return 0
}

// retryable says whether sending the same request once more may help.
func retryable(err error) bool {
	var skew interface{ RetryableError() bool }
	var source *BodyError
	var absurd *AnswerError
	var dns *net.DNSError
	switch {
	case errors.As(err, &skew): // the SDK corrects the clock
		return skew.RetryableError()
	case errors.As(err, &source), errors.As(err, &absurd), neverMends(err), isVerdict(Code(err)):
		return false
	case isThrottle(err), isTemporaryAnswer(err), isCut(err):
		return true
	case errors.As(err, &dns): // "no such host" is also what a lost network says
		return true
	}
	return retry.IsErrorRetryables(retry.DefaultRetryables).IsErrorRetryable(err) == aws.TrueTernary
}

// isVerdict says that the store has judged the request itself. The status does
// not tell: the SDK turns an error that came with status 200 into a 500.
func isVerdict(code string) bool {
	switch code {
	case "AccessDenied", "AuthorizationHeaderMalformed", "BadDigest", "ConditionalRequestConflict",
		"EntityTooLarge", "EntityTooSmall", "InvalidAccessKeyId", "InvalidArgument", "InvalidBucketName",
		"InvalidDigest", "InvalidObjectState", "InvalidPart", "InvalidPartOrder", "InvalidRequest",
		"InvalidStorageClass", "InvalidTag", "KeyTooLongError", "MalformedXML", "MetadataTooLarge",
		"MethodNotAllowed", "NoSuchBucket", "NoSuchKey", "NoSuchUpload", "NoSuchVersion", "NotImplemented",
		"PermanentRedirect", "PreconditionFailed", "SignatureDoesNotMatch",
		"XAmzContentChecksumMismatch", "XAmzContentSHA256Mismatch":
		return true
	}
	return false
}

func isThrottle(err error) bool {
	if err == nil {
		return false
	}
	switch StatusCode(err) {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		return true
	}
	_, ok := retry.DefaultThrottleErrorCodes[Code(err)]
	return ok
}

// isTemporaryAnswer says that the store, or a proxy before it, is ailing.
func isTemporaryAnswer(err error) bool {
	switch Code(err) {
	case "InternalError", "IncompleteBody", "OperationAborted", "RequestTimeout":
		return true
	}
	switch status := StatusCode(err); status {
	case 408, 499, 500, 502, 503, 504:
		return true
	default: // 52x and 530 are Cloudflare's
		return status >= 520 && status <= 530
	}
}

// isCut says that an answer began and did not arrive whole, or that something
// else than the store answered with success.
func isCut(err error) bool {
	var netErr net.Error
	return StatusCode(err) != 0 && (errors.Is(err, io.ErrUnexpectedEOF) || errors.As(err, &netErr)) || isUnreadable(err)
}

// isUnreadable says that an answer with success is not one that the call has.
func isUnreadable(err error) bool {
	var syntax *xml.SyntaxError
	var unreadable *smithy.DeserializationError
	return StatusCode(err)/100 == 2 && (errors.As(err, &syntax) || errors.As(err, &unreadable))
}

// fitsXML says whether XML can hold a key, by the characters that it has
// (https://www.w3.org/TR/xml/#charsets).
func fitsXML(key string) bool {
	return utf8.ValidString(key) && !strings.ContainsFunc(key, func(r rune) bool {
		return r < ' ' && r != '\t' && r != '\n' && r != '\r' || r == '\uFFFE' || r == '\uFFFF'
	})
}
