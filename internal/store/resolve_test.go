package store

import (
	"fmt"
	"reflect"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	smithyauth "github.com/aws/smithy-go/auth"
	smithyendpoints "github.com/aws/smithy-go/endpoints"
	"github.com/aws/smithy-go/transport/http"
)

// What is remembered of endpoints is what the SDK's rules say, for each combination
// that they look at, and nobody who writes to an answer changes the next one.
func TestResolvedEndpoints(t *testing.T) {
	type change func(*s3.EndpointParameters)
	yes := aws.Bool(true)
	changes := []change{
		func(*s3.EndpointParameters) {},
		func(p *s3.EndpointParameters) { p.Bucket = aws.String("other") },
		func(p *s3.EndpointParameters) { p.Bucket = aws.String("bucket--use1-az4--x-s3") },
		func(p *s3.EndpointParameters) {
			p.Bucket, p.DisableS3ExpressSessionAuth = aws.String("bucket--use1-az4--x-s3"), yes
		},
		func(p *s3.EndpointParameters) {
			p.Bucket = aws.String("arn:aws:s3:us-east-1:123456789012:accesspoint:mine")
		},
		func(p *s3.EndpointParameters) {
			p.Bucket, p.UseArnRegion = aws.String("arn:aws:s3:eu-west-1:123456789012:accesspoint:mine"), yes
		},
		func(p *s3.EndpointParameters) { p.Bucket = aws.String("Not.A_Name/") },
		func(p *s3.EndpointParameters) { p.Bucket = nil },
		func(p *s3.EndpointParameters) { p.Region = aws.String("cn-north-1") },
		func(p *s3.EndpointParameters) { p.Endpoint = aws.String("https://store.example:9000/under") },
		func(p *s3.EndpointParameters) {
			p.Endpoint, p.ForcePathStyle = aws.String("https://store.example:9000/under"), yes
		},
		func(p *s3.EndpointParameters) { p.UseFIPS = yes },
		func(p *s3.EndpointParameters) { p.UseDualStack = yes },
		func(p *s3.EndpointParameters) { p.Accelerate = yes },
		func(p *s3.EndpointParameters) { p.UseGlobalEndpoint = yes },
		func(p *s3.EndpointParameters) {
			p.Key, p.Prefix, p.CopySource = aws.String("k"), aws.String("p/"), aws.String("b/k")
		},
	}
	r := newRegions("")
	for range 2 {
		for i, change := range changes {
			p := s3.EndpointParameters{Bucket: aws.String("bucket"), Region: aws.String("us-east-1")}
			change(&p)
			want, wantErr := s3.NewDefaultEndpointResolverV2().ResolveEndpoint(t.Context(), p)
			got, err := r.resolve(t.Context(), p)
			if fmt.Sprint(err) != fmt.Sprint(wantErr) || !reflect.DeepEqual(got, want) {
				t.Errorf("change %d: %+v, %v, want %+v, %v", i, got, err, want, wantErr)
			}
			spoil(&got)
		}
	}
}

// spoil writes wherever the SDK does, and might.
func spoil(e *smithyendpoints.Endpoint) {
	e.URI.Host = "elsewhere"
	if e.Headers != nil {
		e.Headers.Set("X-More", "1")
	}
	e.Properties.Set("backend", "another")
	options, _ := smithyauth.GetAuthOptions(&e.Properties)
	for _, o := range options {
		o.SchemeID = "another"
		http.SetSigV4SigningRegion(&o.SignerProperties, "elsewhere")
	}
}
