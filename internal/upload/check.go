package upload

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// What S3 takes of headers with a request, in bytes of their names and values
// (S3-FACTS §2).
const (
	maxMetadata = 2 << 10 // x-amz-meta-*, names without that, in UTF-8
	maxSystem   = 2 << 10 // the headers that have a meaning of their own, in ASCII
	maxHeaders  = 8 << 10 // all of them
)

// Check says what S3 would refuse in properties that are each well-formed by
// themselves, an error of kind Usage.
func (p Properties) Check() error {
	var user, system int
	for name, value := range p.Metadata {
		user += len(name) + len(value)
	}
	if user > maxMetadata {
		return fail(Usage, "%d bytes of metadata are more than the %d that an object can have", user, maxMetadata)
	}
	for name, value := range p.system() {
		if value == "" {
			continue
		}
		if strings.ContainsFunc(value, func(r rune) bool { return r > unicode.MaxASCII }) {
			return fail(Usage, "%s: %q is not ASCII, and S3 keeps nothing else in it", name, value)
		}
		system += len(name) + len(value)
	}
	if system > maxSystem {
		return fail(Usage, "%d bytes of headers are more than the %d that an object can have beside its metadata", system, maxSystem)
	}
	grants := strings.Join(p.Grants.All(), ", ")
	if all := user + system + len(p.tagging()) + len(grants); all > maxHeaders {
		return fail(Usage, "%d bytes of metadata, headers, tags and grants are more than the %d that a request can have", all, maxHeaders)
	}
	if p.ACL != "" && grants != "" {
		return fail(Usage, "an ACL by its name and grants exclude each other")
	}
	for _, check := range []func(Properties) error{Properties.checkTags, Properties.checkEncryption, Properties.checkLock} {
		if err := check(p); err != nil {
			return err
		}
	}
	return nil
}

// What S3 takes of tags, in characters.
const (
	maxTags     = 10
	maxTagKey   = 128
	maxTagValue = 256
)

func (p Properties) checkTags() error {
	if len(p.Tags) > maxTags {
		return fail(Usage, "%d tags are more than the %d that an object can have", len(p.Tags), maxTags)
	}
	for key, value := range p.Tags {
		switch {
		case key == "" || utf8.RuneCountInString(key) > maxTagKey:
			return fail(Usage, "tag %q: its key must have 1 to %d characters", clip(key), maxTagKey)
		case utf8.RuneCountInString(value) > maxTagValue:
			return fail(Usage, "tag %q: its value must have %d characters at most", key, maxTagValue)
		case strings.HasPrefix(strings.ToLower(key), "aws:"):
			return fail(Usage, "tag %q: keys that begin with aws: are Amazon's own", key)
		case strings.ContainsFunc(key+value, isNoTagRune):
			return fail(Usage, "tag %q: only letters, digits, spaces and + - = . _ : / @ may stand in it", key)
		}
	}
	return nil
}

func isNoTagRune(r rune) bool {
	return !unicode.IsLetter(r) && !unicode.IsDigit(r) && !unicode.IsMark(r) && r != ' ' && !strings.ContainsRune("+-=._:/@", r)
}

// customerKeySize is the length of a key for AES256.
const customerKeySize = 32

func (p Properties) checkEncryption() error {
	kms := strings.HasPrefix(string(p.SSE), "aws:kms")
	switch {
	case p.CustomerKey != nil && len(p.CustomerKey) != customerKeySize:
		return fail(Usage, "a key of one's own must have %d bytes, and has %d", customerKeySize, len(p.CustomerKey))
	case p.CustomerKey != nil && p.SSE != "":
		return fail(Usage, "encryption by the store (%s) and with a key of one's own exclude each other", p.SSE)
	case !kms && (p.KMSKeyID != "" || len(p.KMSContext) > 0 || p.BucketKey):
		return fail(Usage, "a KMS key, its context and a bucket key need encryption with aws:kms or aws:kms:dsse")
	case p.BucketKey && p.SSE == types.ServerSideEncryptionAwsKmsDsse:
		return fail(Usage, "a bucket key is for aws:kms only")
	}
	return nil
}

func (p Properties) checkLock() error {
	if (p.LockMode == "") != p.LockUntil.IsZero() {
		return fail(Usage, "a lock needs a mode and the time until which it holds")
	}
	return nil
}
