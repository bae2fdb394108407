package store

import (
	"context"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyauth "github.com/aws/smithy-go/auth"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
)

// asked is what an endpoint depends on. No rule looks at the key, the prefix or the
// source of a copy.
type asked struct {
	bucket, region, endpoint                                             string
	hasBucket, hasRegion, hasEndpoint                                    bool
	fips, dualStack, pathStyle, accelerate, global, objectLambda, useArn setting
	noAccessPoints, noMultiRegion, expressControl, noExpressSession      setting
}

// A setting is a *bool that can be compared.
type setting int8

func settingOf(b *bool) setting {
	switch {
	case b == nil:
		return 0
	case *b:
		return 1
	}
	return 2
}

func askedBy(p s3.EndpointParameters) asked {
	return asked{
		bucket: aws.ToString(p.Bucket), region: aws.ToString(p.Region), endpoint: aws.ToString(p.Endpoint),
		hasBucket: p.Bucket != nil, hasRegion: p.Region != nil, hasEndpoint: p.Endpoint != nil,
		fips: settingOf(p.UseFIPS), dualStack: settingOf(p.UseDualStack), pathStyle: settingOf(p.ForcePathStyle),
		accelerate: settingOf(p.Accelerate), global: settingOf(p.UseGlobalEndpoint), objectLambda: settingOf(p.UseObjectLambdaEndpoint),
		useArn: settingOf(p.UseArnRegion), noAccessPoints: settingOf(p.DisableAccessPoints),
		noMultiRegion: settingOf(p.DisableMultiRegionAccessPoints), expressControl: settingOf(p.UseS3ExpressControlEndpoint),
		noExpressSession: settingOf(p.DisableS3ExpressSessionAuth),
	}
}

// resolve returns the endpoint for p. Each is worked out once: the SDK asks twice for
// each attempt, and its rules need 100 KiB of stack, which every goroutine that sends
// would have to make room for again and again.
func (r *regions) resolve(ctx context.Context, p s3.EndpointParameters) (smithyendpoints.Endpoint, error) {
	key := askedBy(p)
	r.mu.Lock()
	known, ok := r.resolved[key]
	r.mu.Unlock()
	if !ok {
		var err error
		if known, err = r.EndpointResolverV2.ResolveEndpoint(ctx, p); err != nil {
			return known, err
		}
		r.mu.Lock()
		r.resolved[key] = known
		r.mu.Unlock()
	}
	return ownCopy(known), nil
}

// ownCopy returns a copy that the SDK may write to, as it does.
func ownCopy(e smithyendpoints.Endpoint) smithyendpoints.Endpoint {
	e.Headers = e.Headers.Clone()
	var all smithy.Properties
	all.SetAll(&e.Properties)
	if options, ok := smithyauth.GetAuthOptions(&e.Properties); ok {
		own := make([]*smithyauth.Option, len(options))
		for i, o := range options {
			own[i] = &smithyauth.Option{SchemeID: o.SchemeID}
			own[i].IdentityProperties.SetAll(&o.IdentityProperties)
			own[i].SignerProperties.SetAll(&o.SignerProperties)
		}
		smithyauth.SetAuthOptions(&all, own)
	}
	e.Properties = all
	return e
}
