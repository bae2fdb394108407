package store

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/textproto"
	"strings"

	v4 "github.com/aws/aws-sdk-go-v2/aws/signer/v4"
	"github.com/aws/smithy-go"
	"github.com/aws/smithy-go/middleware"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// everyRequest returns the headers that all requests of a call carry beside
// those of the call itself. They are signed.
func (c Config) everyRequest(op string) http.Header {
	h := c.Headers.Clone()
	if h == nil {
		h = make(http.Header)
	}
	if c.RequestPayer {
		h.Set("X-Amz-Request-Payer", "requester")
	}
	if c.BucketOwner != "" {
		h.Set("X-Amz-Expected-Bucket-Owner", c.BucketOwner)
		if op == "CopyObject" {
			h.Set("X-Amz-Source-Expected-Bucket-Owner", c.BucketOwner)
		}
	}
	return h
}

// addHeaders is for all calls: some of the SDK's inputs have no field for what a
// bucket wants of each request, and a field is easily forgotten.
func addHeaders(cfg Config) func(*middleware.Stack) error {
	return func(stack *middleware.Stack) error {
		h := cfg.everyRequest(stack.ID())
		if len(h) == 0 {
			return nil
		}
		return stack.Build.Add(middleware.BuildMiddlewareFunc("s3up:headers",
			func(ctx context.Context, in middleware.BuildInput, next middleware.BuildHandler) (middleware.BuildOutput, middleware.Metadata, error) {
				req, ok := in.Request.(*smithyhttp.Request)
				if !ok {
					return middleware.BuildOutput{}, middleware.Metadata{}, fmt.Errorf("unknown transport type %T", in.Request)
				}
				for name, values := range h {
					req.Header[name] = values
				}
				return next.HandleBuild(ctx, in)
			}), middleware.After)
	}
}

// signPayload has bodies hashed for the signature, over https too, where the SDK
// leaves that out by itself.
func signPayload(stack *middleware.Stack) error {
	switch stack.ID() {
	case "PutObject", "UploadPart":
		_, err := stack.Finalize.Swap((*v4.ComputePayloadSHA256)(nil).ID(), &v4.ComputePayloadSHA256{})
		return err
	}
	return nil
}

// sumDeletions gives requests that delete many objects a Content-MD5, which Amazon
// wants of them and every store takes; the SDK would send a checksum, which older
// stores do not know, and refuse the request for.
func sumDeletions(stack *middleware.Stack) error {
	if stack.ID() != "DeleteObjects" {
		return nil
	}
	if _, err := stack.Initialize.Remove("AWSChecksum:SetupInputContext"); err != nil {
		return err
	}
	if _, err := stack.Finalize.Remove("AWSChecksum:ComputeInputPayloadChecksum"); err != nil {
		return err
	}
	return smithyhttp.AddContentChecksumMiddleware(stack)
}

// roots are the elements that listings, and the like, are in. What has none, or another one, is
// the answer of something else than the store; the SDK takes it for an empty list.
var roots = map[string]string{
	"DeleteObjects":        "DeleteResult",
	"ListMultipartUploads": "ListMultipartUploadsResult",
	"ListObjectsV2":        "ListBucketResult",
	"ListParts":            "ListPartsResult",
	"GetObjectAttributes":  "GetObjectAttributesResponse",
}

// checkListings has a listing that is none fail as one that was cut does.
func checkListings(stack *middleware.Stack) error {
	root, ok := roots[stack.ID()]
	if !ok {
		return nil
	}
	return stack.Deserialize.Insert(middleware.DeserializeMiddlewareFunc("s3up:listing",
		func(ctx context.Context, in middleware.DeserializeInput, next middleware.DeserializeHandler) (middleware.DeserializeOutput, middleware.Metadata, error) {
			out, metadata, err := next.HandleDeserialize(ctx, in)
			if res, ok := out.RawResponse.(*smithyhttp.Response); ok && err == nil && res.StatusCode/100 == 2 {
				err = checkRoot(res, root)
			}
			return out, metadata, err
		}), "OperationDeserializer", middleware.After)
}

// checkRoot says whether the body of an answer is an XML document of this kind.
func checkRoot(res *smithyhttp.Response, root string) error {
	name, err := peekRoot(res)
	switch {
	case err == io.EOF:
		err = fmt.Errorf("there is no %s in it", root)
	case err == nil && name != root:
		err = fmt.Errorf("it is a document %.40q, not a %s", name, root)
	}
	if err != nil {
		return &smithy.DeserializationError{Err: err}
	}
	return nil
}

// peekRoot returns the name of the first element of a body, which is then yet to
// be read.
func peekRoot(res *smithyhttp.Response) (string, error) {
	const enough = 64 << 10
	var head bytes.Buffer
	d := xml.NewDecoder(io.TeeReader(io.LimitReader(res.Body, enough), &head))
	defer func() {
		res.Body = struct {
			io.Reader
			io.Closer
		}{io.MultiReader(&head, res.Body), res.Body}
	}()
	for {
		token, err := d.Token()
		if err != nil {
			return "", err
		}
		if start, ok := token.(xml.StartElement); ok {
			return start.Name.Local, nil
		}
	}
}

// taken are headers that the program sets, or HTTP does, by name or, if they end
// in a hyphen, by how they begin; with the flag that sets them, if there is one.
// A test compares them with what is seen on the wire.
var taken = map[string]string{
	"host": "--endpoint-url", "authorization": "--profile", "date": "", "expect": "", "user-agent": "",
	"accept-encoding": "", "amz-sdk-": "",

	// Between two hops, or framing: no proxy passes them on as they are.
	"connection": "", "keep-alive": "", "proxy-": "", "te": "", "trailer": "", "transfer-encoding": "", "upgrade": "",
	"content-length": "", "content-md5": "", "forwarded": "", "via": "", "x-amzn-trace-id": "",

	"content-type": "--content-type", "content-encoding": "--content-encoding", "content-disposition": "--content-disposition",
	"content-language": "--content-language", "cache-control": "--cache-control", "expires": "--expires", "range": "",
	"if-": "",

	"x-amz-meta-": "--metadata", "x-amz-acl": "--acl", "x-amz-grant-": "--grant", "x-amz-tagging": "--tagging", "x-amz-tagging-": "--tagging",
	"x-amz-server-side-": "--sse", "x-amz-storage-class": "--storage-class", "x-amz-object-lock-": "--object-lock-mode",
	"x-amz-website-": "--website-redirect", "x-amz-request-payer": "--request-payer", "x-amz-expected-bucket-owner": "--expected-bucket-owner",
	"x-amz-source-expected-bucket-owner": "--expected-bucket-owner", "x-amz-metadata-directive": "--metadata",
	"x-amz-content-sha256": "--sign-payload", "x-amz-security-token": "--profile",
	"x-amz-date": "", "x-amz-copy-": "", "x-amz-checksum-": "", "x-amz-sdk-": "", "x-amz-trailer": "", "x-amz-decoded-": "", "x-amz-mp-": "",
	"x-amz-annotation-": "", "x-amz-object-": "", "x-amz-bypass-": "", "x-amz-if-": "", "x-amz-mfa": "", "x-amz-write-": "",
}

// CheckHeader says why a header cannot be sent with each request.
func CheckHeader(name, value string) error {
	lower := strings.ToLower(name)
	switch {
	case textproto.TrimString(name) == "" || strings.ContainsFunc(name, notInToken):
		return errors.New("the name of a header is letters, digits and hyphens")
	case strings.ContainsFunc(value, func(r rune) bool { return r < ' ' || r > '~' }):
		return errors.New("the value of a header is one line of ASCII without control characters")
	case strings.TrimSpace(value) == "":
		return errors.New("the header has no value")
	}
	for known, flag := range taken {
		if lower == known || strings.HasSuffix(known, "-") && strings.HasPrefix(lower, known) {
			if flag != "" {
				return fmt.Errorf("s3up sets it by itself; %s is the flag for it", flag)
			}
			return errors.New("s3up or HTTP sets it by itself")
		}
	}
	return nil
}

func notInToken(r rune) bool {
	return !(r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9' || r == '-' || r == '_')
}
