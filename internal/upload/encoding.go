package upload

import (
	"crypto/md5"
	"encoding/base64"
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
)

// How headers have what Properties hold in another form. All are nil, or empty,
// where there is nothing.

// tagging returns the tags as the query of a URL, in order. A space is %20, for
// stores that take + as it is.
func (p Properties) tagging() string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(p.Tags)) {
		pairs = append(pairs, url.QueryEscape(key)+"="+url.QueryEscape(p.Tags[key]))
	}
	return strings.ReplaceAll(strings.Join(pairs, "&"), "+", "%20")
}

func grantees(all []string) *string { return optional(strings.Join(all, ", ")) }

// All returns all grantees, whatever they are granted.
func (g Grants) All() []string { return slices.Concat(g.Read, g.ReadACP, g.WriteACP, g.FullControl) }

// kmsContext returns the encryption context as base64 of JSON, with its keys in
// order.
func (p Properties) kmsContext() *string {
	if len(p.KMSContext) == 0 {
		return nil
	}
	text, err := json.Marshal(p.KMSContext)
	if err != nil {
		panic(err) // of strings alone
	}
	return aws.String(base64.StdEncoding.EncodeToString(text))
}

// customer returns what goes with each request about an object that is encrypted
// with a key of one's own. The SDK neither encodes the key nor sums it.
func (p Properties) customer() (algorithm, key, keyMD5 *string) {
	if p.CustomerKey == nil {
		return nil, nil, nil
	}
	sum := md5.Sum(p.CustomerKey)
	return aws.String("AES256"), aws.String(base64.StdEncoding.EncodeToString(p.CustomerKey)),
		aws.String(base64.StdEncoding.EncodeToString(sum[:]))
}

func (p Properties) legalHold() types.ObjectLockLegalHoldStatus {
	if p.LegalHold {
		return types.ObjectLockLegalHoldStatusOn
	}
	return ""
}

func flag(set bool) *bool {
	if !set {
		return nil
	}
	return &set
}
