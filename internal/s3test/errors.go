package s3test

import (
	"encoding/xml"
	"fmt"
	"net/http"
)

// apiError is a refusal as S3 words it.
type apiError struct {
	status  int
	code    string
	message string
	fields  []xmlField
	header  http.Header
}

type xmlField struct {
	XMLName xml.Name
	Value   string `xml:",chardata"`
}

func (e *apiError) Error() string { return e.code + ": " + e.message }

// fail makes the error of that code, with Amazon's text unless another is given.
func fail(code string, text ...any) *apiError {
	k, ok := known[code]
	if !ok {
		k = knownError{http.StatusBadRequest, code}
	}
	e := &apiError{status: k.status, code: code, message: k.message, header: http.Header{}}
	if len(text) > 0 {
		e.message = fmt.Sprintf(text[0].(string), text[1:]...)
	}
	return e
}

// with adds an element to the error's XML.
func (e *apiError) with(name string, value any) *apiError {
	e.fields = append(e.fields, xmlField{XMLName: xml.Name{Local: name}, Value: fmt.Sprint(value)})
	return e
}

// refusal is the error for a quirk or a fault that is given as an HTTP status.
func refusal(status int) *apiError {
	codes := map[int]string{403: "AccessDenied", 404: "NoSuchKey", 405: "MethodNotAllowed", 409: "OperationAborted",
		412: "PreconditionFailed", 501: "NotImplemented", 503: "SlowDown"}
	code, ok := codes[status]
	switch {
	case !ok && status >= 500:
		code = "InternalError"
	case !ok:
		code = "InvalidRequest"
	}
	e := fail(code)
	e.status = status
	return e
}

type knownError struct {
	status  int
	message string
}

var known = map[string]knownError{
	"AccessControlListNotSupported":        {400, "The bucket does not allow ACLs"},
	"AccessDenied":                         {403, "Access Denied"},
	"AuthorizationHeaderMalformed":         {400, "The authorization header is malformed"},
	"BadDigest":                            {400, "The Content-MD5 you specified did not match what we received."},
	"BucketAlreadyOwnedByYou":              {409, "Your previous request to create the named bucket succeeded and you already own it."},
	"BucketNotEmpty":                       {409, "The bucket you tried to delete is not empty"},
	"EntityTooLarge":                       {400, "Your proposed upload exceeds the maximum allowed size"},
	"EntityTooSmall":                       {400, "Your proposed upload is smaller than the minimum allowed size"},
	"IncompleteBody":                       {400, "The request body terminated unexpectedly"},
	"InternalError":                        {500, "We encountered an internal error. Please try again."},
	"InvalidAccessKeyId":                   {403, "The AWS Access Key Id you provided does not exist in our records."},
	"InvalidArgument":                      {400, "Invalid Argument"},
	"InvalidBucketName":                    {400, "The specified bucket is not valid."},
	"InvalidDigest":                        {400, "The Content-MD5 you specified was invalid."},
	"InvalidObjectState":                   {403, "The operation is not valid for the object's storage class"},
	"InvalidPart":                          {400, "One or more of the specified parts could not be found.  The part may not have been uploaded, or the specified entity tag may not match the part's entity tag."},
	"InvalidPartNumber":                    {416, "The requested partnumber is not satisfiable"},
	"InvalidPartOrder":                     {400, "The list of parts was not in ascending order. Parts must be ordered by part number."},
	"InvalidRange":                         {416, "The requested range is not satisfiable"},
	"InvalidRequest":                       {400, "Invalid Request"},
	"InvalidStorageClass":                  {400, "The storage class you specified is not valid"},
	"InvalidTag":                           {400, "The tag provided was not a valid tag."},
	"InvalidToken":                         {400, "The provided token is malformed or otherwise invalid."},
	"KeyTooLongError":                      {400, "Your key is too long"},
	"MalformedTrailerError":                {400, "The request contained trailing data that was not well-formed or did not conform to our published schema."},
	"MalformedXML":                         {400, "The XML you provided was not well-formed or did not validate against our published schema"},
	"MetadataTooLarge":                     {400, "Your metadata headers exceed the maximum allowed metadata size"},
	"MethodNotAllowed":                     {405, "The specified method is not allowed against this resource."},
	"MissingContentLength":                 {411, "You must provide the Content-Length HTTP header."},
	"NoSuchBucket":                         {404, "The specified bucket does not exist"},
	"NoSuchKey":                            {404, "The specified key does not exist."},
	"NoSuchObjectLockConfiguration":        {404, "The specified object does not have a ObjectLock configuration"},
	"NoSuchUpload":                         {404, "The specified upload does not exist. The upload ID may be invalid, or the upload may have been aborted or completed."},
	"NoSuchVersion":                        {404, "The specified version does not exist."},
	"NotImplemented":                       {501, "A header you provided implies functionality that is not implemented"},
	"NotModified":                          {304, "Not Modified"},
	"ObjectLockConfigurationNotFoundError": {404, "Object Lock configuration does not exist for this bucket"},
	"OperationAborted":                     {409, "A conflicting conditional operation is currently in progress against this resource. Please try again."},
	"ConditionalRequestConflict":           {409, "The conditional request cannot succeed due to a conflicting operation against this resource."},
	"ExpiredToken":                         {400, "The provided token has expired."},
	"RequestTimeout":                       {400, "Your socket connection to the server was not read from or written to within the timeout period. Idle connections will be closed."},
	"ServiceUnavailable":                   {503, "Please reduce your request rate."},
	"PermanentRedirect":                    {301, "The bucket you are attempting to access must be addressed using the specified endpoint. Please send all future requests to this endpoint."},
	"PreconditionFailed":                   {412, "At least one of the pre-conditions you specified did not hold"},
	"RequestTimeTooSkewed":                 {403, "The difference between the request time and the current time is too large."},
	"ServerSideEncryptionConfigurationNotFoundError": {404, "The server side encryption configuration was not found"},
	"SignatureDoesNotMatch":                          {403, "The request signature we calculated does not match the signature you provided. Check your key and signing method."},
	"SlowDown":                                       {503, "Please reduce your request rate."},
	"XAmzContentSHA256Mismatch":                      {400, "The provided 'x-amz-content-sha256' header does not match what was computed."},
}
