package store

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
)

func checkAddressing(style string) error {
	switch style {
	case "", "auto", "path", "virtual":
		return nil
	}
	return &ConfigError{What: "addressing style", Value: style, Err: errors.New("must be auto, path or virtual")}
}

func parseEndpoint(s string) (*url.URL, error) {
	u, err := url.Parse(s)
	bad := ""
	switch {
	case err != nil || u.Scheme != "http" && u.Scheme != "https":
		bad = "must be a URL that starts with https:// or http://"
	case u.Hostname() == "":
		bad = "has no host"
	case u.User != nil:
		bad = "must not carry a user or a password"
	case u.RawQuery != "" || u.Fragment != "":
		bad = "must end with the host or a path"
	}
	if bad != "" {
		return nil, &ConfigError{What: "endpoint", Value: withoutSecrets(s), Err: errors.New(bad)}
	}
	return u, nil
}

// withoutSecrets keeps what is secret in a URL out of messages: a password, which
// ends at the last "@" whatever is in it, and what a query may sign.
func withoutSecrets(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		scheme, rest = "", s
	}
	rest = rest[strings.LastIndexByte(rest, '@')+1:]
	if i := strings.IndexAny(rest, "?#"); i >= 0 {
		rest = rest[:i] + "…"
	}
	if ok {
		return scheme + "://" + rest
	}
	return rest
}

// checkRegion keeps what cannot name a region out of host names and signatures.
func checkRegion(region string) error {
	if strings.ContainsFunc(region, func(r rune) bool {
		return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_' || r == '.')
	}) {
		return &ConfigError{What: "region", Value: region, Err: errors.New("must be the name of a region, such as eu-central-1")}
	}
	return nil
}

// checkProxy finds out whether the environment names a proxy that is no URL. What
// it names may hold a password.
func checkProxy(proxy func(*http.Request) (*url.URL, error), endpoint string) error {
	if proxy == nil {
		return nil
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return nil // told elsewhere
	}
	to, err := proxy(&http.Request{URL: u})
	if err == nil && to == nil {
		return nil
	}
	if err == nil && strings.Trim(to.Path, "/") == "" { // what cannot be parsed is tried behind http://
		switch to.Scheme {
		case "http", "https", "socks5", "socks5h":
			return nil
		}
	}
	return &ConfigError{What: "proxy", Err: errors.New("must be a URL that starts with http://, https:// or socks5://")}
}

// usePath says whether the bucket goes into the path rather than the host name.
func usePath(style, endpoint string, p provider) bool {
	switch {
	case style == "path":
		return true
	case style == "virtual", endpoint == "", p.virtual:
		return false
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	return !isAmazon(u.Hostname())
}

// checkTogether refuses what Amazon's own endpoints alone have, elsewhere, and
// what they have not together. It is asked about what holds in the end, by
// whatever has set it.
func checkTogether(style, endpoint string, accelerate, dualStack, fips bool) error {
	var what string
	switch {
	case accelerate:
		what = "accelerate endpoint"
	case dualStack:
		what = "dual-stack endpoint"
	case fips:
		what = "FIPS endpoint"
	default:
		return nil
	}
	why := ""
	switch {
	case endpoint != "":
		why = "is one of Amazon's own, and the endpoint is " + withoutSecrets(endpoint) + ": leave one of them out"
	case accelerate && style == "path":
		why = "has the bucket in the host name, and the addressing style is path: leave one of them out"
	case accelerate && fips:
		why = "is no FIPS endpoint: leave one of them out"
	default:
		return nil
	}
	return &ConfigError{What: what, Err: errors.New(why)}
}

func isAmazon(host string) bool {
	return underDomain(host, "amazonaws.com", "amazonaws.com.cn", "amazonaws.eu", "api.aws", "api.amazonwebservices.com.cn")
}

func underDomain(host string, domains ...string) bool {
	host = strings.ToLower(strings.TrimSuffix(host, "."))
	for _, d := range domains {
		if host == d || strings.HasSuffix(host, "."+d) {
			return true
		}
	}
	return false
}
