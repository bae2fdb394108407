package s3test

import (
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
)

// AccessKey is the access key id that the server knows.
func (s *Server) AccessKey() string { return s.o.AccessKey }

// SecretKey is the secret that goes with it.
func (s *Server) SecretKey() string { return s.o.SecretKey }

// SessionToken is the token that requests must carry, "" for none.
func (s *Server) SessionToken() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.token
}

// RenewToken makes the session token expire, and another one valid.
func (s *Server) RenewToken(token string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.expired == nil {
		s.expired = make(map[string]bool)
	}
	s.expired[s.token] = true
	s.token = token
	delete(s.expired, token)
}

func (s *Server) checkToken(token string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case token == s.token:
		return nil
	case s.expired[token]:
		return fail("ExpiredToken")
	}
	return fail("InvalidToken")
}

// Region is the server's region.
func (s *Server) Region() string { return s.o.Region }

// Client is an SDK client of this server: path style, the right keys, checksums
// only where S3 requires them, and no retries. Set RetryMaxAttempts for those.
func (s *Server) Client(optFns ...func(*s3.Options)) *s3.Client {
	return s3.New(s3.Options{
		BaseEndpoint:               aws.String(s.URL()),
		Region:                     s.o.Region,
		Credentials:                credentials.NewStaticCredentialsProvider(s.o.AccessKey, s.o.SecretKey, s.SessionToken()),
		UsePathStyle:               true,
		RequestChecksumCalculation: aws.RequestChecksumCalculationWhenRequired,
		ResponseChecksumValidation: aws.ResponseChecksumValidationWhenRequired,
		RetryMaxAttempts:           1,
		HTTPClient: awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
			if s.o.TLS {
				t.TLSClientConfig = s.clientTLS()
			}
		}),
	}, optFns...)
}
