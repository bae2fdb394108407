package store

import (
	"errors"
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
		return nil, &ConfigError{What: "endpoint", Value: withoutUser(s), Err: errors.New(bad)}
	}
	return u, nil
}

// withoutUser keeps a password that was put into a URL out of messages.
func withoutUser(s string) string {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		scheme, rest = "", s
	}
	authority, path, _ := strings.Cut(rest, "/")
	at := strings.LastIndexByte(authority, '@')
	if at < 0 {
		return s
	}
	s = authority[at+1:]
	if ok {
		s = scheme + "://" + s
	}
	if path != "" {
		s += "/" + path
	}
	return s
}

// usePath says whether the bucket goes into the path rather than the host name.
func usePath(style, endpoint string) bool {
	switch {
	case style == "path":
		return true
	case style == "virtual", endpoint == "":
		return false
	}
	u, err := url.Parse(endpoint)
	if err != nil {
		return false
	}
	host := u.Hostname()
	return !isAmazon(host) && !underDomain(host, virtualOnly...)
}

// virtualOnly are services that refuse buckets in the path: Alibaba OSS answers
// SecondLevelDomainForbidden, Tencent COS PathStyleDomainForbidden for buckets
// since 2024 (https://www.tencentcloud.com/document/product/436/57456).
var virtualOnly = []string{"aliyuncs.com", "myqcloud.com"}

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
