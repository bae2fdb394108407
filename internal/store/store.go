package store

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/credentials/endpointcreds"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go/logging"
	"github.com/aws/smithy-go/middleware"
)

// Config says which store and how to treat it. The zero value is Amazon S3, or
// whatever the environment and the AWS profile say, with all defaults.
type Config struct {
	Endpoint   string // URL; "" = AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, the profile's, else Amazon
	Region     string // "" = AWS_REGION, the profile's, else us-east-1
	Profile    string // "" = AWS_PROFILE, else default
	Addressing string // "auto" (also ""), "path" or "virtual"; see [Open]

	// CABundle is a PEM file with the only authorities whose certificates are
	// trusted; "" = AWS_CA_BUNDLE, the profile's, else those of the system.
	// ClientCert is one with the certificate to show to stores that ask for one,
	// ClientKey one with its key; "" = the same file.
	CABundle, ClientCert, ClientKey string
	// NoVerifyTLS takes any certificate that the store has. The services that
	// give credentials are verified all the same: tokens are sent to them.
	NoVerifyTLS bool

	// Accelerate sends through Amazon's edge locations. DualStack and FIPS are for
	// IPv6 and for validated cryptography; nil = AWS_USE_DUALSTACK_ENDPOINT and
	// AWS_USE_FIPS_ENDPOINT, the profile's, else no.
	Accelerate      bool
	DualStack, FIPS *bool

	// NoSign sends requests without a signature, and wants no credentials.
	NoSign bool
	// SignPayload hashes bodies for the signature, for buckets that demand it: each
	// is then read twice.
	SignPayload bool
	// RequestPayer agrees to pay for the requests. BucketOwner is the account that
	// must own the bucket; Amazon refuses all requests if it does not. Headers go on
	// each request; see [CheckHeader].
	RequestPayer bool
	BucketOwner  string
	Headers      http.Header

	// Provider is the kind of store, where its host does not tell: one of
	// [Providers], or "auto" (also "").
	Provider string

	Connections    int // requests in flight at once, for the size of the pool; default 64
	MaxConnections int // more of them are never open; 0 = no bound

	// Bandwidth is asked for the bytes a second that all bodies together may go out
	// at, at that time; 0 is as fast as it goes. May be nil.
	Bandwidth func(time.Time) int64

	StallTimeout     time.Duration // a connection without a byte moving; default 60s
	DialTimeout      time.Duration // until a connection is there; default 30s, and no longer than StallTimeout
	LongStallTimeout time.Duration // the same while the store completes or copies; default 15m
	FirstAnswer      time.Duration // patience before the store answered anything; default 15s
	RetryFor         time.Duration // patience without any call succeeding; default 5m
	// CredentialsTimeout is how long the first credentials may take; default 1m, and
	// 5s where an instance's are asked for.
	CredentialsTimeout time.Duration

	// Backoff is the wait before attempt+1, after attempt (from 1) ended with
	// err. The default is drawn from zero to a bound that doubles from 0.5s to
	// 30s. A store that says Retry-After is waited for, whatever Backoff says.
	Backoff func(attempt int, err error) time.Duration

	// Attempts is asked with the context of each call how often it may be tried
	// at most; 0 is for as long as there is patience. May be nil.
	Attempts func(context.Context) int

	// Retry is asked with the context of each call whether a refusal with this
	// error code, which is for good otherwise, may pass. May be nil.
	Retry func(ctx context.Context, code string) bool

	// Again is asked with the context of each call before it is tried once more; an
	// error ends the call. May be nil.
	Again func(context.Context) error

	// OnAttempt is told of each attempt when it is over, OnThrottle whenever
	// the store asked for fewer requests. Both are called from many goroutines
	// at once and must not block.
	OnAttempt  func(Attempt)
	OnThrottle func()

	// OnSkew is told once how far this machine's clock is ahead of the store's
	// (behind it, if negative), where that is more than the store might take for
	// a signature. Requests are signed by the store's clock then. May be nil.
	OnSkew func(ahead time.Duration)

	// OnRegion is told once of each bucket that turned out to be in another region
	// than the configured one. Its requests go there from then on. May be nil.
	OnRegion func(bucket, region string)

	UserAgent string // "name/version" of the program
}

// Attempt is one request that was made, or tried, for a call.
type Attempt struct {
	Op          string // "UploadPart"
	Bucket, Key string
	Part        int32 // part number; 0 if the call has none
	Number      int   // 1 for the first attempt of the call
	Status      int   // HTTP status; 0 if there was no answer
	Code        string
	RequestID   string
	Sent        int64 // bytes of the body that were read to be sent
	Duration    time.Duration
	Err         error // nil when the attempt succeeded
}

// Store is a connection to an S3 store. It may be used by many goroutines at
// once and needs no closing.
type Store struct {
	Client   *s3.Client
	Region   string
	Endpoint string // URL in use, from wherever it came; "" is Amazon's own for the region
	AWS      bool   // the endpoint is Amazon's

	// What stores of this kind allow, where it is less than Amazon does; else 0.
	MaxParts   int
	MaxCopy    int64
	EqualParts bool // all parts of an upload but the last must be of one size

	regions              *regions
	noSign, requestPayer bool
}

// RegionOf is where requests for a bucket go: [Store.Region], unless the store
// said that it is elsewhere.
func (s *Store) RegionOf(bucket string) string { return s.regions.of(bucket) }

// Tokens are renewed this long before they end, so that a request does not set
// out with one that expires on the way.
const expiryWindow = 5 * time.Minute

// leastDial lets a lost SYN be sent once more, as it is after a second.
const leastDial = 2 * time.Second

func (c Config) withDefaults() Config {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&c.StallTimeout, time.Minute)
	def(&c.DialTimeout, 30*time.Second)
	c.DialTimeout = min(c.DialTimeout, max(c.StallTimeout, leastDial))
	def(&c.LongStallTimeout, 15*time.Minute)
	def(&c.FirstAnswer, 15*time.Second)
	def(&c.RetryFor, 5*time.Minute)
	c.LongStallTimeout = max(c.LongStallTimeout, c.StallTimeout)
	if c.Connections <= 0 {
		c.Connections = 64
	}
	if c.Backoff == nil {
		c.Backoff = fullJitter
	}
	return c
}

// Open sets up the connection. It sends nothing to the store, but retrieves
// the credentials, so that their absence is known before any work is done:
// the error is then an [ErrNoCredentials]. A [*ConfigError] is a mistake in the
// configuration.
//
// With Addressing "auto", buckets are part of the host name on Amazon and of
// the path on every other endpoint, as in the AWS CLI; the few services that
// refuse paths get host names. Where a host name cannot carry the bucket (an IP
// address, dots in the bucket over https) the path does, even with "virtual".
func Open(ctx context.Context, cfg Config) (*Store, error) {
	cfg = cfg.withDefaults()
	if err := checkAddressing(cfg.Addressing); err != nil {
		return nil, err
	}
	if cfg.Endpoint != "" {
		if _, err := parseEndpoint(cfg.Endpoint); err != nil {
			return nil, err
		}
	}
	files, err := readTLS(cfg)
	if err != nil {
		return nil, err
	}
	awsCfg, err := loadConfig(ctx, cfg, files)
	if err != nil {
		return nil, err
	}

	patience := newPatience(cfg, time.Now)
	id := &identity{files: files}
	calls := &calls{cfg: cfg, patience: patience, identity: id, creds: newRenewed(awsCfg.Credentials, cfg, time.Now), sessions: newSessions(time.Now)}
	httpClient := newTransport(awsCfg.HTTPClient, cfg, patience, id)
	var kind provider
	client := s3.NewFromConfig(awsCfg, func(o *s3.Options) {
		if cfg.Endpoint != "" {
			o.BaseEndpoint = &cfg.Endpoint
		}
		kind, err = providerOf(cfg.Provider, aws.ToString(o.BaseEndpoint))
		o.UsePathStyle = usePath(cfg.Addressing, aws.ToString(o.BaseEndpoint), kind)
		o.UseAccelerate = cfg.Accelerate
		o.UseARNRegion = true // an access point's ARN names the region
		calls.regions = newRegions(o.Region)
		o.EndpointResolverV2 = calls.regions
		o.HTTPClient = httpClient
		if cfg.NoSign {
			o.Credentials = aws.AnonymousCredentials{}
		} else {
			o.Credentials = calls.creds
		}
		o.ExpressCredentials = calls.sessions
		o.HTTPSignerV4 = &clockSigner{o.HTTPSignerV4, calls}
		o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenRequired
		o.ResponseChecksumValidation = aws.ResponseChecksumValidationWhenRequired
		o.ContinueHeaderThresholdBytes = -1
		payload := unsignedPayload
		if cfg.SignPayload {
			payload = signPayload
		}
		o.APIOptions = append(o.APIOptions, payload, addHeaders(cfg), checkListings, sumDeletions, func(stack *middleware.Stack) error {
			return addCall(stack, calls)
		})
		if kind.bare {
			o.APIOptions = append(o.APIOptions, bareRequests)
		}
		if cfg.UserAgent != "" {
			o.APIOptions = append(o.APIOptions, userAgent(cfg.UserAgent))
		}
	})
	if err != nil {
		return nil, err
	}
	s := &Store{
		Client:     client,
		Region:     client.Options().Region,
		Endpoint:   aws.ToString(client.Options().BaseEndpoint),
		MaxParts:   kind.maxParts,
		MaxCopy:    kind.maxCopy,
		EqualParts: kind.equalParts,
		regions:    calls.regions,
		noSign:     cfg.NoSign, requestPayer: cfg.RequestPayer,
	}
	calls.sessions.create = client.CreateSession
	s.AWS = true
	if s.Endpoint != "" {
		u, err := parseEndpoint(s.Endpoint)
		if err != nil {
			return nil, err
		}
		s.AWS = isAmazon(u.Hostname())
	}
	if err := checkRegion(s.Region); err != nil {
		return nil, err
	}
	o := client.Options().EndpointOptions
	if err := checkTogether(cfg.Addressing, s.Endpoint, cfg.Accelerate, o.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled,
		o.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled); err != nil {
		return nil, err
	}
	if err := checkProxy(httpClient.next.Proxy, cmp.Or(s.Endpoint, "https://s3."+s.Region+".amazonaws.com")); err != nil {
		return nil, err
	}
	if cfg.NoSign {
		return s, nil
	}
	creds, err := firstCredentials(ctx, awsCfg.Credentials, cfg.credentialsTimeout(awsCfg.Credentials))
	if err != nil {
		return nil, err
	}
	calls.creds.keep(creds)
	return s, nil
}

func loadConfig(ctx context.Context, cfg Config, files tlsFiles) (aws.Config, error) {
	service := files.httpClient().WithTimeout(cfg.credentialsAttempt()) // for those that give credentials
	opts := append(files.options(),
		config.WithHTTPClient(service),
		config.WithEndpointCredentialOptions(func(o *endpointcreds.Options) { o.HTTPClient = service }),
		config.WithDefaultRegion("us-east-1"),
		config.WithLogger(logging.Nop{}), // the program alone speaks on stderr
		config.WithCredentialsCacheOptions(func(o *aws.CredentialsCacheOptions) {
			o.ExpiryWindow = expiryWindow
		}),
	)
	if cfg.Region != "" {
		opts = append(opts, config.WithRegion(cfg.Region))
	}
	if cfg.Profile != "" {
		opts = append(opts, config.WithSharedConfigProfile(cfg.Profile))
	}
	if cfg.NoSign {
		opts = append(opts, config.WithCredentialsProvider(aws.AnonymousCredentials{}))
	}
	if cfg.DualStack != nil {
		state := aws.DualStackEndpointStateDisabled
		if *cfg.DualStack {
			state = aws.DualStackEndpointStateEnabled
		}
		opts = append(opts, config.WithUseDualStackEndpoint(state))
	}
	if cfg.FIPS != nil {
		state := aws.FIPSEndpointStateDisabled
		if *cfg.FIPS {
			state = aws.FIPSEndpointStateEnabled
		}
		opts = append(opts, config.WithUseFIPSEndpoint(state))
	}
	awsCfg, err := config.LoadDefaultConfig(ctx, opts...)
	if err == nil {
		return awsCfg, nil
	}
	if ctx.Err() != nil {
		return awsCfg, ctx.Err()
	}
	var unknown config.SharedConfigProfileNotExistError
	if errors.As(err, &unknown) {
		return awsCfg, &ConfigError{What: "profile", Value: unknown.Profile, Err: errors.New("not found in the AWS configuration files")}
	}
	return awsCfg, &ConfigError{What: "AWS configuration", Err: err}
}

// userAgent names the program beside the SDK, which would escape a slash.
func userAgent(program string) func(*middleware.Stack) error {
	if name, version, ok := strings.Cut(program, "/"); ok {
		return awsmiddleware.AddUserAgentKeyValue(name, version)
	}
	return awsmiddleware.AddUserAgentKey(program)
}

// unsignedPayload leaves bodies out of the signature on plain http as well,
// where the SDK would read them twice. Over https it does so by itself.
func unsignedPayload(stack *middleware.Stack) error {
	switch stack.ID() {
	case "PutObject", "UploadPart":
		return v4.SwapComputePayloadSHA256ForUnsignedPayloadMiddleware(stack)
	}
	return nil
}
