package main

import (
	"os"
	"slices"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/upload"
)

// cpOptions are what the flags and arguments of cp say.
type cpOptions struct {
	connection
	sources     []string
	destination string // as it was typed
	bucket, key string // a key that is empty or ends in a slash takes the source's base name

	upload     upload.Options
	properties upload.Properties // of all objects
	rules      []rule            // for some of them
	noGuess    bool              // of content types
	requireMD5 bool
	lock       string // a file that only one run may hold; "": none

	choice
	report, sums string // files; "": none

	dryRun   bool
	progress string   // auto, bar, lines, none
	notes    []string // about what was typed
}

// firstAnswer is how long a store that never answered is waited for.
const firstAnswer = 15 * time.Second

const (
	defaultSlots     = upload.DefaultSlots
	mostSlots        = 256 // that are used where nobody says how many
	maxSlots         = 1024
	maxPart          = 5 << 30
	maxParts         = 10_000
	maxObject        = maxParts * maxPart
	defaultRetry     = 5 * time.Minute
	defaultStall     = time.Minute
	defaultStale     = 12 * time.Hour
	shortestPatience = time.Second
)

// newCpOptions reads flags and arguments. All is checked before anything is sent.
func newCpOptions(v *values) (cpOptions, error) {
	o := v.cpOptions()
	if v.err != nil {
		return o, v.err
	}
	if err := o.arguments(v.c.Args().Slice()); err != nil {
		return o, err
	}
	if err := o.checkRecords(); err != nil {
		return o, err
	}
	if err := o.checkBucket(); err != nil {
		return o, err
	}
	return o, o.checkConditions()
}

// cpOptions reads the flags of cp, and of sync, which lacks some.
func (v *values) cpOptions() cpOptions {
	c := v.c
	o := cpOptions{
		connection: v.connection(),
		upload: upload.Options{
			PartSize:     v.size("part-size", 5*upload.MiB, maxPart),
			Threshold:    v.size("multipart-threshold", 1, maxPart),
			MaxMemory:    v.size("max-memory", minMemory, 1<<40),
			ReadOnce:     c.Bool("read-once"),
			ExpectedSize: v.size("expected-size", 1, maxObject),
			MinSize:      v.size("min-size", 1, maxObject),
			OnChange:     upload.OnChange(v.choice("on-change", "fail", "retry")),
			SizeAtStart:  c.Bool("size-at-start"),
			AllowEmpty:   c.Bool("allow-empty"),
			NoResume:     v.choice("resume", "auto", "never") == "never",
			StaleAfter:   v.duration("stale-after", defaultStale, 0),
			OnFailure:    upload.OnFailure(v.choice("on-failure", "auto", "keep", "abort")),
			Normalize:    upload.Normalize(v.choice("normalize", "auto", "self", "staged", "off")),
			Checksum:     upload.Checksum(v.choice("checksum", "auto", "none", "crc64nvme", "md5")),
			StoreMD5:     c.Bool("store-md5"),
			Limits:       upload.Limits{Parts: v.number("max-parts", 0, maxParts)},
			NoClobber:    c.Bool("no-clobber"),
			IfMatch:      v.etag("if-match"),
			IfChanged:    c.Bool("if-changed"),
			Publish:      upload.Publish(v.choice("publish", "direct", "staged")),
			PruneVersion: c.Bool("prune-version"),
		},
		properties: upload.Properties{
			StorageClass: types.StorageClass(v.word("storage-class", "a storage class, such as STANDARD_IA")),
		},
		rules:      v.rules(),
		noGuess:    c.Bool("no-guess-mime-type"),
		requireMD5: c.Bool("require-md5"),
		lock:       v.text("lock", "the name of a file"),
		choice:     v.choose(),
		report:     v.text("report", "the name of a file"),
		sums:       v.text("sums", "the name of a file"),
		dryRun:     c.Bool("dry-run"),
		progress:   v.choice("progress", "auto", "bar", "lines", "none"),
		notes:      metadataNotes(c.StringSlice("metadata")),
	}
	o.upload.Slots, o.upload.MostSlots = o.store.Connections, o.store.Connections
	if !c.IsSet("concurrency") {
		o.upload.MostSlots = mostSlots
	}
	o.upload.PageCache, _ = cgroupLimit(os.DirFS("/"))
	if o.upload.MaxMemory == 0 {
		o.upload.MaxMemory = defaultMemory(os.DirFS("/"))
	}
	v.headers(&o.properties)
	v.protection(&o.properties)
	return o
}

// arguments reads what is to be uploaded, and where to.
func (o *cpOptions) arguments(words []string) error {
	const usage = "type: s3up cp FILE s3://BUCKET/KEY"
	if len(words) == 0 {
		return usagef(usage, "nothing to upload")
	}
	o.sources, o.destination = words[:len(words)-1], words[len(words)-1]
	if len(o.sources) == 0 && o.filesFrom == "" {
		if isURL(o.destination) {
			return usagef("type: s3up cp FILE "+shellWord(o.destination), "no file to upload to %s", o.destination)
		}
		return usagef("type: s3up cp "+shellWord(o.destination)+" s3://BUCKET/KEY", "no destination")
	}
	if slices.ContainsFunc(o.sources, isURL) {
		return usagef(usage, "s3up only uploads: a source is a file or - for stdin, and the destination comes last")
	}
	if !isURL(o.destination) {
		return usagef(usage, "s3up only uploads: %q is no destination", o.destination)
	}
	var err error
	if o.bucket, o.key, err = parseURL(o.destination); err != nil {
		return err
	}
	if o.takesNames() {
		if o.key == "" && !strings.HasSuffix(o.destination, "/") {
			o.destination += "/"
		}
		if o.filesFrom != "" && len(o.sources) > 1 {
			return usagef("name all files in the list", "beside %s there may be one directory", o.listFlagName())
		}
		return nil
	}
	if o.filesFrom != "" {
		return usagef("end it in a slash: "+shellWord(o.destination+"/"), "%s needs a destination that ends in a slash", o.listFlagName())
	}
	if len(o.sources) > 1 {
		words := append([]string{"s3up", "cp"}, o.sources...)
		return usagef("type: "+shellLine(append(words, o.destination+"/")),
			"%s need a destination that ends in a slash", plural(len(o.sources), "source"))
	}
	return nil
}

// takesNames says whether keys end in the base names of the sources.
func (o *cpOptions) takesNames() bool { return o.key == "" || strings.HasSuffix(o.key, "/") }
