package store

import (
	"context"
	"fmt"
	"net/url"
	"slices"

	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// A provider is a kind of store that has to be treated in a way of its own, and
// cannot be found out by trying: by its host or by name.
type provider struct {
	name  string
	hosts []string // domains that are known to be of this kind

	virtual    bool  // refuses buckets in the path
	bare       bool  // what is not part of the S3 protocol is neither signed nor asked for
	maxParts   int   // of one upload; 0: Amazon's 10,000
	maxCopy    int64 // bytes that a copy may have; 0: Amazon's 5 GiB
	equalParts bool  // refuses an upload whose parts, but for the last, are not all of one size
}

var providers = []provider{
	// SecondLevelDomainForbidden for a bucket in the path:
	// https://www.alibabacloud.com/help/en/oss/developer-reference/use-amazon-s3-sdks-to-access-oss
	{name: "alibaba", hosts: []string{"aliyuncs.com"}, virtual: true},

	// "supports copying objects up to 5 GB", decimal:
	// https://www.backblaze.com/apidocs/s3-copy-object and rclone's copy cutoff of 4,768 MiB
	{name: "backblaze", hosts: []string{"backblazeb2.com"}, maxCopy: 5_000_000_000},

	// "all parts except the last must be of the same size":
	// https://developers.cloudflare.com/r2/objects/multipart-objects/
	{name: "cloudflare", hosts: []string{"r2.cloudflarestorage.com"}, equalParts: true},

	// Its front end changes Accept-Encoding, which the SDK signs, and does not know
	// the parameter x-id: https://github.com/rclone/rclone/issues/6670 and
	// https://github.com/rclone/rclone/blob/master/backend/s3/provider/GCS.yaml
	{name: "google", hosts: []string{"storage.googleapis.com"}, bare: true},

	// "Maximum number of parts: 1,000":
	// https://www.scaleway.com/en/docs/object-storage/reference-content/optimize-object-storage-performance/
	// and https://github.com/rclone/rclone/blob/master/backend/s3/provider/Scaleway.yaml
	{name: "scaleway", hosts: []string{"scw.cloud"}, maxParts: 1000},

	// PathStyleDomainForbidden for buckets since 2024:
	// https://www.tencentcloud.com/document/product/436/57456
	{name: "tencent", hosts: []string{"myqcloud.com"}, virtual: true},
}

// Providers are the names that [Config.Provider] can have beside "auto".
func Providers() []string {
	var names []string
	for _, p := range providers {
		names = append(names, p.name)
	}
	return names
}

// providerOf returns what is known of the store at an endpoint: nothing, for
// most.
func providerOf(name, endpoint string) (provider, error) {
	if name == "" || name == "auto" {
		u, err := url.Parse(endpoint)
		if err != nil {
			return provider{}, nil // told elsewhere
		}
		i := slices.IndexFunc(providers, func(p provider) bool { return underDomain(u.Hostname(), p.hosts...) })
		if i < 0 {
			return provider{}, nil
		}
		return providers[i], nil
	}
	i := slices.IndexFunc(providers, func(p provider) bool { return p.name == name })
	if i < 0 {
		return provider{}, &ConfigError{What: "provider", Value: name, Err: fmt.Errorf("must be one of %v", Providers())}
	}
	return providers[i], nil
}

// unsignedHeaders are those of the SDK that proxies and front ends change, or
// that mean something to Amazon only.
var unsignedHeaders = []string{"Accept-Encoding", "Amz-Sdk-Invocation-Id", "Amz-Sdk-Request"}

type setAsideKey struct{}

// bareRequests takes what is no part of the S3 protocol out of the signature.
// The headers are sent all the same; net/http wants to be told not to have
// answers compressed.
func bareRequests(stack *middleware.Stack) error {
	err := stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("s3up:bare",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			req, ok := in.Request.(*smithyhttp.Request)
			if !ok {
				return middleware.FinalizeOutput{}, middleware.Metadata{}, fmt.Errorf("unknown transport type %T", in.Request)
			}
			if query := req.URL.Query(); query.Has("x-id") {
				query.Del("x-id")
				req.URL.RawQuery = query.Encode()
			}
			aside := make(map[string][]string)
			for _, name := range unsignedHeaders {
				if values := req.Header.Values(name); len(values) > 0 {
					aside[name] = values
					req.Header.Del(name)
				}
			}
			return next.HandleFinalize(middleware.WithStackValue(ctx, setAsideKey{}, aside), in)
		}), "Signing", middleware.Before)
	if err != nil {
		return err
	}
	return stack.Finalize.Insert(middleware.FinalizeMiddlewareFunc("s3up:restore",
		func(ctx context.Context, in middleware.FinalizeInput, next middleware.FinalizeHandler) (middleware.FinalizeOutput, middleware.Metadata, error) {
			if req, ok := in.Request.(*smithyhttp.Request); ok {
				aside, _ := middleware.GetStackValue(ctx, setAsideKey{}).(map[string][]string)
				for name, values := range aside {
					req.Header[name] = values
				}
			}
			return next.HandleFinalize(ctx, in)
		}), "Signing", middleware.After)
}
