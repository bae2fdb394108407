package s3test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

const maxSkew = 15 * time.Minute

// authenticate checks the signature in the Authorization header and that it was
// made for the bucket's region. It is written from Amazon's description rather
// than on the SDK's signer, so that the two check each other.
func (c *call) authenticate() error {
	if c.q.FrontEnd {
		if c.query.Has("x-id") {
			return fail("InvalidArgument", "Invalid query parameter(s): [x-id]")
		}
		c.h.Set("Accept-Encoding", "gzip(gfe)")
	}
	auth := c.h.Get("Authorization")
	if auth == "" {
		if c.s.o.Public {
			return nil
		}
		return fail("AccessDenied")
	}
	fields := map[string]string{}
	rest, isV4 := strings.CutPrefix(auth, "AWS4-HMAC-SHA256 ")
	for field := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(field), "=")
		fields[name] = value
	}
	scope := strings.Split(fields["Credential"], "/") // key/date/region/service/aws4_request
	if !isV4 || len(scope) != 5 || scope[3] != c.service() || scope[4] != "aws4_request" || fields["Signature"] == "" {
		return fail("AuthorizationHeaderMalformed")
	}
	secret, err := c.signer(scope[0])
	if err != nil {
		return err
	}
	if err := c.checkRegion(scope[2]); err != nil {
		return err
	}

	signed := strings.Split(fields["SignedHeaders"], ";")
	if missing := unsigned(c.h, signed); len(missing) > 0 {
		return fail("AccessDenied", "There were headers present in the request which were not signed").
			with("HeadersNotSigned", strings.Join(missing, ", "))
	}
	payload := c.h.Get("X-Amz-Content-Sha256")
	if payload == "" {
		return fail("InvalidRequest", "Missing required header for this request: x-amz-content-sha256")
	}
	stamp := c.h.Get("X-Amz-Date")
	when, err := time.Parse("20060102T150405Z", stamp)
	if err != nil || scope[1] != stamp[:8] {
		return fail("AccessDenied", "AWS authentication requires a valid Date or x-amz-date header")
	}
	canonical := strings.Join([]string{
		c.r.Method, canonicalPath(c.r.URL), canonicalQuery(c.query), canonicalHeaders(c.r, signed),
		fields["SignedHeaders"], payload,
	}, "\n")
	sum := sha256.Sum256([]byte(canonical))
	toSign := strings.Join([]string{"AWS4-HMAC-SHA256", stamp, strings.Join(scope[1:], "/"), hex.EncodeToString(sum[:])}, "\n")
	key := []byte("AWS4" + secret)
	for _, s := range append(scope[1:], toSign) {
		key = mac(key, s)
	}
	if !hmac.Equal([]byte(hex.EncodeToString(key)), []byte(fields["Signature"])) {
		return fail("SignatureDoesNotMatch").with("AWSAccessKeyId", scope[0]).with("StringToSign", toSign).
			with("SignatureProvided", fields["Signature"]).with("CanonicalRequest", canonical)
	}
	now := c.s.o.Now()
	if skew := now.Sub(when); !c.s.o.AnyDate && (skew > maxSkew || skew < -maxSkew) {
		return fail("RequestTimeTooSkewed").with("RequestTime", stamp).with("ServerTime", xmlTime(now)).
			with("MaxAllowedSkewMilliseconds", maxSkew.Milliseconds())
	}
	return nil
}

// checkRegion: one endpoint plays all regions. A request for a bucket elsewhere
// is sent there by 301, and served once it is signed for there.
func (c *call) checkRegion(signed string) error {
	home := c.s.o.Region
	c.s.mu.Lock()
	if b := c.s.buckets[c.bucket]; b != nil {
		home = b.region
	}
	c.s.mu.Unlock()
	if signed == home {
		return nil
	}
	e := fail("AuthorizationHeaderMalformed", "The authorization header is malformed; the region '%s' is wrong; expecting '%s'", signed, home).
		with("Region", home)
	if signed == c.s.o.Region {
		e = fail("PermanentRedirect").with("Bucket", c.bucket).with("Endpoint", c.bucket+".s3."+home+".amazonaws.com")
	}
	e.header.Set("x-amz-bucket-region", home)
	return e
}

func mac(key []byte, s string) []byte {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(s))
	return h.Sum(nil)
}

// unsigned lists the headers that Amazon wants signed and that are not.
func unsigned(h http.Header, signed []string) (missing []string) {
	have := map[string]bool{}
	for _, name := range signed {
		have[name] = true
	}
	if !have["host"] {
		missing = append(missing, "host")
	}
	for name := range h {
		if name = strings.ToLower(name); strings.HasPrefix(name, "x-amz-") && !have[name] {
			missing = append(missing, name)
		}
	}
	sort.Strings(missing)
	return missing
}

// canonicalPath is the path, each byte but the unreserved ones and / escaped,
// once: unlike other services, S3 does not escape it a second time.
func canonicalPath(u *url.URL) string {
	path, err := url.PathUnescape(u.EscapedPath())
	if err != nil {
		path = u.Path
	}
	return escape(path, true)
}

func canonicalQuery(query url.Values) string {
	var pairs []string
	for name, values := range query {
		for _, value := range values {
			pairs = append(pairs, escape(name, false)+"="+escape(value, false))
		}
	}
	sort.Strings(pairs)
	return strings.Join(pairs, "&")
}

func canonicalHeaders(r *http.Request, signed []string) string {
	var b strings.Builder
	for _, name := range signed {
		values := slices.Clone(r.Header.Values(name))
		switch name {
		case "host":
			values = []string{r.Host}
		case "content-length":
			values = []string{strconv.FormatInt(r.ContentLength, 10)}
		}
		for i, v := range values {
			values[i] = strings.Join(strings.Fields(v), " ")
		}
		fmt.Fprintf(&b, "%s:%s\n", name, strings.Join(values, ","))
	}
	return b.String()
}

// escape is Amazon's URI encoding.
func escape(s string, keepSlash bool) string {
	var b strings.Builder
	for _, ch := range []byte(s) {
		switch {
		case 'a' <= ch && ch <= 'z', 'A' <= ch && ch <= 'Z', '0' <= ch && ch <= '9',
			strings.IndexByte("-._~", ch) >= 0, keepSlash && ch == '/':
			b.WriteByte(ch)
		default:
			fmt.Fprintf(&b, "%%%02X", ch)
		}
	}
	return b.String()
}
