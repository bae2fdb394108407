package main

import (
	"cmp"
	"context"
	"os"
	"sync"
	"time"

	"github.com/urfave/cli/v2"

	"s3up/internal/store"
	"s3up/internal/upload"
	"s3up/internal/verify"
)

// connection is what the flags that all commands have say: where the store is,
// how patient to be with it, and how to talk about it.
type connection struct {
	origins              origins
	store                store.Config
	json, quiet, verbose bool
}

// connectionFlags are the flags that all commands have.
func connectionFlags() []cli.Flag {
	flags := []cli.Flag{
		textFlag(groupWhere, "endpoint-url", "URL", "the store; else AWS_ENDPOINT_URL, the profile's, Amazon's"),
		textFlag(groupWhere, "region", "NAME", "else AWS_REGION, the profile's, us-east-1"),
		textFlag(groupWhere, "profile", "NAME", "of the AWS configuration; else AWS_PROFILE, default"),
		textFlag(groupWhere, "addressing-style", "STYLE", "auto, path or virtual: where the bucket's name stands (default auto)"),

		textFlag(groupTLS, "ca-bundle", "FILE", "PEM certificates of the authorities to trust, and of no others; else\nAWS_CA_BUNDLE, the profile's, the system's"),
		textFlag(groupTLS, "client-cert", "FILE", "a PEM certificate for stores that ask for one (mutual TLS)"),
		textFlag(groupTLS, "client-key", "FILE", "its PEM key, without a passphrase; else in the same file"),
		toggleFlag(groupTLS, "no-verify-ssl", "take any certificate: the store may then be somebody else"),

		textFlag(groupSent, "bwlimit", "RATE", "bytes a second of all requests together (10MiB), or a timetable:\n'08:00,512KiB 19:00,10MiB 23:00,off', 'Mon-08:00,1MiB Sat-00:00,off'"),
		textFlag(groupSent, "concurrency", "N", "slots for requests: a part takes four, a small file one (default 64,\nand up to 256 while that moves more bytes)"),
		textFlag(groupSent, "retry-for", "DURATION", "without any success: then give up (default 5m)"),
		textFlag(groupSent, "stall-timeout", "DURATION", "without a byte moving: then try another connection (default 60s)"),

		toggleFlag(groupOutput, "json", "results as JSON on stdout, one object per line, the last a summary"),
		toggleFlag(groupOutput, "quiet", "nothing but errors; JSON, if asked for, stays", "q"),
		toggleFlag(groupOutput, "verbose", "a line for each request, with the store's request id", "v"),
	}
	return append(append(flags, endpointFlags()...), profileFlags()...)
}

// newValues reads the flags of a command, and their defaults from the environment
// and the AWS configuration file.
func newValues(c *cli.Context) *values {
	v := &values{c: c, origins: make(origins)}
	v.environment(c.Command.Flags, os.LookupEnv)
	v.awsFile(c.Command.Flags, os.Getenv)
	return v
}

// connection reads the flags that all commands have.
func (v *values) connection() connection {
	const fileName = "the name of a file"
	c := connection{
		origins: v.origins,
		store: store.Config{
			Endpoint:     v.text("endpoint-url", "a URL, such as https://s3.example.com"),
			Region:       v.word("region", "the name of a region, such as eu-central-1"),
			Profile:      v.text("profile", "the name of a profile"),
			Addressing:   v.choice("addressing-style", "auto", "path", "virtual"),
			CABundle:     v.text("ca-bundle", fileName),
			ClientCert:   v.text("client-cert", fileName),
			ClientKey:    v.text("client-key", fileName),
			NoVerifyTLS:  v.c.Bool("no-verify-ssl"),
			Connections:  v.number("concurrency", defaultSlots, maxSlots),
			StallTimeout: v.duration("stall-timeout", defaultStall, shortestPatience),
			RetryFor:     v.duration("retry-for", defaultRetry, shortestPatience),
			UserAgent:    "s3up/" + programVersion(),
		},
		json:    v.c.Bool("json"),
		quiet:   v.c.Bool("quiet"),
		verbose: v.c.Bool("verbose"),
	}
	v.endpoint(&c.store)
	c.store.MaxConnections = v.requests
	c.store.FirstAnswer = min(firstAnswer, c.store.RetryFor)
	switch {
	case v.err != nil:
	case c.quiet && c.verbose:
		v.err = usagef("leave one of them out", "--quiet and --verbose contradict each other")
	case c.store.NoVerifyTLS && c.store.CABundle != "":
		v.err = usagef("leave one of them out", "--ca-bundle and --no-verify-ssl contradict each other")
	case c.store.ClientKey != "" && c.store.ClientCert == "":
		v.err = usagef("add --client-cert FILE", "--client-key needs its certificate")
	}
	return c
}

// given returns the flags whose values a store.ConfigError may be about, by what
// it calls them.
func (o *connection) given() map[string]string {
	given := make(map[string]string)
	for _, flag := range []struct{ value, what, name string }{
		{o.store.Endpoint, "endpoint", "--endpoint-url"},
		{o.store.Profile, "profile", "--profile"},
		{o.store.CABundle, "CA bundle", "--ca-bundle"},
		{o.store.ClientCert, "client certificate", "--client-cert"},
		{o.store.ClientCert, "client key", "--client-key"}, // which may be missing
		{o.store.Region, "region", "--region"},
		{isOn(&o.store.Accelerate), "accelerate endpoint", "--use-accelerate-endpoint"},
		{isOn(o.store.DualStack), "dual-stack endpoint", "--use-dualstack-endpoint"},
		{isOn(o.store.FIPS), "FIPS endpoint", "--use-fips-endpoint"},
	} {
		if flag.value != "" {
			given[flag.what] = o.origins.named(flag.name)
		}
	}
	return given
}

func isOn(toggle *bool) string {
	if toggle == nil || !*toggle {
		return ""
	}
	return "true"
}

// A link is one run's connection to its store, and what it says of it.
type link struct {
	*program
	how   connection
	out   *output
	start time.Time
	facts facts
	store *store.Store // nil until it is open

	mu    sync.Mutex
	notes []string // that concern the run and no single object
	alike map[string]*alike
	kinds []string // the keys of alike, in their order
}

func (p *program) newLink(o connection) *link {
	return &link{
		program: p, how: o, start: time.Now(),
		out:   &output{stdout: p.stdout, stderr: p.stderr, quiet: o.quiet},
		facts: facts{region: o.store.Region, profile: cmp.Or(o.store.Profile, os.Getenv("AWS_PROFILE")), again: typedAgain(p.argv), given: o.given(), owner: o.store.BucketOwner, signed: o.store.SignPayload, unsigned: o.store.NoSign},
	}
}

// open connects to the store for requests about a bucket. throttled is called
// when the store says that it gets too many.
func (l *link) open(ctx context.Context, bucket string, throttled func()) error {
	cfg := l.how.store
	cfg.Attempts, cfg.Retry, cfg.Again = attempts, upload.Retry, upload.Again
	cfg.OnThrottle = throttled
	cfg.OnSkew = func(ahead time.Duration) { l.note(clockNote(ahead)) }
	cfg.OnRegion = func(bucket, region string) { l.note(regionNote(bucket, region, l.facts.region)) }
	if l.how.verbose {
		cfg.OnAttempt = func(a store.Attempt) { l.out.talk("%s", attemptLine(a)) }
	}
	if cfg.NoVerifyTLS {
		l.out.talk("warning: --no-verify-ssl: whoever is between here and the store can read and change what is sent")
	}
	s, err := store.Open(ctx, cfg)
	if err != nil {
		return err
	}
	l.facts.bucket, l.facts.region, l.store = bucket, s.Region, s
	return s.CheckBucket(ctx, bucket)
}

// attempts tells how often a call may be tried at most, if whoever makes it says so.
func attempts(ctx context.Context) int { return max(upload.Attempts(ctx), verify.Attempts(ctx)) }

// note tells what concerns the run and no single object.
func (l *link) note(note string) {
	l.mu.Lock()
	l.notes = append(l.notes, note)
	l.mu.Unlock()
	l.out.talk("note: %s", note)
}

// told answers the first signal.
func (l *link) told() { l.out.talk("stopping; a second Ctrl-C stops at once") }
