package main

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/urfave/cli/v2"

	"s3up/internal/store"
)

func endpointFlags() []cli.Flag {
	return []cli.Flag{
		toggleFlag(groupWhere, "use-accelerate-endpoint", "Amazon's edge locations, for buckets with Transfer Acceleration"),
		toggleFlag(groupWhere, "use-dualstack-endpoint", "Amazon's endpoint for IPv6 too; else AWS_USE_DUALSTACK_ENDPOINT, the\nprofile's"),
		toggleFlag(groupWhere, "use-fips-endpoint", "Amazon's endpoint with validated cryptography; else\nAWS_USE_FIPS_ENDPOINT, the profile's"),
		textFlag(groupWhere, "provider", "NAME", "what kind of store it is, where its host does not tell (default auto):\n"+strings.Join(store.Providers(), ", ")),
		textFlag(groupWhere, "request-payer", "WHO", "requester: pay for the requests, where the bucket's owner does not"),
		textFlag(groupWhere, "expected-bucket-owner", "ACCOUNT", "12 digits; if the bucket is another one's, nothing is stored"),
		toggleFlag(groupWhere, "no-sign-request", "without credentials, for buckets that anybody may write to"),
		toggleFlag(groupWhere, "sign-payload", "sign the bytes too, for buckets that demand it; they are read twice"),
		listFlag(groupWhere, "header", "NAME:VALUE", "on every request, signed; repeatable"),
	}
}

// endpoint reads the flags about where requests go, and what each of them carries.
func (v *values) endpoint(cfg *store.Config) {
	cfg.Accelerate = v.c.Bool("use-accelerate-endpoint")
	cfg.DualStack = v.optional("use-dualstack-endpoint")
	cfg.FIPS = v.optional("use-fips-endpoint")
	cfg.Provider = v.choice("provider", append([]string{"auto"}, store.Providers()...)...)
	cfg.RequestPayer = v.c.IsSet("request-payer")
	if v.c.IsSet("request-payer") && v.c.String("request-payer") != "requester" {
		v.refuse("request-payer", "must be requester")
	}
	cfg.BucketOwner = v.text("expected-bucket-owner", "an account of 12 digits")
	if cfg.BucketOwner != "" && !isAccount(cfg.BucketOwner) {
		v.refuse("expected-bucket-owner", "must be an account of 12 digits")
	}
	cfg.NoSign = v.c.Bool("no-sign-request")
	cfg.SignPayload = v.c.Bool("sign-payload")
	for _, line := range v.c.StringSlice("header") {
		v.header(cfg, line)
	}
	cfg.Bandwidth = v.bandwidth()
	switch {
	case cfg.NoSign && cfg.Profile != "":
		v.fail("--no-sign-request and --profile contradict each other: without a signature nobody's credentials are used; leave one of them out")
	case cfg.NoSign && cfg.SignPayload:
		v.fail("--no-sign-request and --sign-payload contradict each other; leave one of them out")
	case cfg.NoSign && cfg.RequestPayer:
		v.fail("--no-sign-request and --request-payer contradict each other: who pays has to say who it is; leave one of them out")
	}
}

// optional is what a toggle says, nil if it is not given.
func (v *values) optional(name string) *bool {
	if !v.c.IsSet(name) {
		return nil
	}
	on := v.c.Bool(name)
	return &on
}

// header reads NAME:VALUE. The value is not shown: it may be a secret.
func (v *values) header(cfg *store.Config, line string) {
	name, value, ok := strings.Cut(line, ":")
	name, value = strings.TrimSpace(name), strings.TrimSpace(value)
	if !ok {
		v.fail("--header: must be NAME:VALUE, such as X-Tenant:web")
		return
	}
	if err := store.CheckHeader(name, value); err != nil {
		v.fail("--header %s: %w", quoted(name), err)
		return
	}
	if cfg.Headers == nil {
		cfg.Headers = make(http.Header)
	}
	if cfg.Headers.Get(name) != "" {
		v.fail("--header %s: is given twice", quoted(name))
	}
	cfg.Headers.Set(name, value)
}

func isAccount(s string) bool {
	return len(s) == 12 && !strings.ContainsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}

// regionNote tells that a bucket is not where requests were sent first.
func regionNote(bucket, region, asked string) string {
	return fmt.Sprintf("the bucket %s is in %s, and not in %s: --region %s spares the detour", bucket, clip(region), asked, shellWord(clip(region)))
}
