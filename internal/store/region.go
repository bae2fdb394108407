package store

import (
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
)

// regions knows in which region each bucket is: the one that was configured,
// until a store says otherwise. It resolves endpoints, and so decides both where
// a request goes and what it is signed for.
type regions struct {
	s3.EndpointResolverV2
	configured string

	mu       sync.Mutex
	found    map[string]string
	resolved map[asked]smithyendpoints.Endpoint
}

func newRegions(configured string) *regions {
	return &regions{EndpointResolverV2: s3.NewDefaultEndpointResolverV2(), configured: configured, found: make(map[string]string),
		resolved: make(map[asked]smithyendpoints.Endpoint)}
}

// of returns the region of a bucket as far as it is known.
func (r *regions) of(bucket string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	if region := r.found[bucket]; region != "" {
		return region
	}
	return r.configured
}

// learn notes where a bucket is. It is false if that was known.
func (r *regions) learn(bucket, region string) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	news := r.found[bucket] != region
	r.found[bucket] = region
	return news
}

// ResolveEndpoint is asked for each attempt of a call.
func (r *regions) ResolveEndpoint(ctx context.Context, p s3.EndpointParameters) (smithyendpoints.Endpoint, error) {
	if p.Bucket != nil {
		p.Region = aws.String(r.of(*p.Bucket))
	}
	return r.resolve(ctx, p)
}

// isElsewhere says whether a refusal names another region than the one that the
// attempt was made in, and has the next one made there: once for each call, for
// who sends a request on and on does not know either.
func (c *call) isElsewhere(err error) bool {
	region := BucketRegion(err)
	if c.relocated || region == "" || region == c.region || checkRegion(region) != nil {
		return false
	}
	c.relocated = true
	if c.regions.learn(c.bucket, region) && c.cfg.OnRegion != nil {
		c.cfg.OnRegion(c.bucket, region)
	}
	return true
}

// CheckBucket says whether requests for a bucket can be addressed at all, before
// any is sent. The error is a [*ConfigError].
func (s *Store) CheckBucket(ctx context.Context, bucket string) error {
	o := s.Client.Options()
	e, err := s.regions.ResolveEndpoint(ctx, s3.EndpointParameters{
		Bucket: &bucket, Region: &o.Region, Endpoint: o.BaseEndpoint, ForcePathStyle: &o.UsePathStyle,
		Accelerate: &o.UseAccelerate, UseArnRegion: &o.UseARNRegion,
		UseDualStack: aws.Bool(o.EndpointOptions.UseDualStackEndpoint == aws.DualStackEndpointStateEnabled),
		UseFIPS:      aws.Bool(o.EndpointOptions.UseFIPSEndpoint == aws.FIPSEndpointStateEnabled),
	}.WithDefaults())
	if err != nil {
		why := strings.TrimPrefix(err.Error(), "endpoint rule error, ")
		return &ConfigError{What: "bucket", Value: bucket, Err: errors.New(why)}
	}
	if e.Properties.Get("backend") == "S3Express" {
		return s.checkDirectory(bucket)
	}
	return nil
}
