package main

import (
	"errors"
	"slices"
	"strings"

	"github.com/aws/smithy-go"

	"s3up/internal/store"
	"s3up/internal/upload"
)

// answers says what the error codes of a store mean. {bucket}, {operation} and
// {class} (of storage) stand for those of the request that was refused, {with} for
// what was asked for in it, {saying} for the store's own words about it, {lacking}
// for what may be the reason that it was denied.
var answers = map[string]struct {
	exit      int
	why, hint string
}{
	"NoSuchBucket":                  {exitNotFound, "the bucket {bucket} does not exist", "create it, or check --endpoint-url"},
	"InvalidBucketName":             {exitUsage, "{bucket} is no name for a bucket", "check the destination"},
	"AccessDenied":                  {exitAccess, "access denied{saying}", "{lacking}"},
	"Forbidden":                     {exitAccess, "access denied{saying}", "{lacking}"},
	"AllAccessDisabled":             {exitAccess, "all access to the bucket {bucket} is disabled", "ask its owner"},
	"AccountProblem":                {exitAccess, "the store has a problem with the account", "ask its operator"},
	"InvalidAccessKeyId":            {exitAccess, "the store does not know the access key", "check AWS_ACCESS_KEY_ID or --profile, and --endpoint-url"},
	"XAdminUserNotFound":            {exitAccess, "the store does not know the access key", "check AWS_ACCESS_KEY_ID or --profile, and --endpoint-url"}, // versitygw
	"SignatureDoesNotMatch":         {exitAccess, "the secret key does not fit the access key", "check AWS_SECRET_ACCESS_KEY or --profile"},
	"InvalidToken":                  {exitAccess, "the session token is not valid", "check AWS_SESSION_TOKEN, or sign in again (aws sso login)"},
	"ExpiredToken":                  {exitAccess, "the credentials have expired", "renew them (aws sso login, or a new AWS_SESSION_TOKEN) and run it again"},
	"TokenRefreshRequired":          {exitAccess, "the credentials have expired", "renew them (aws sso login, or a new AWS_SESSION_TOKEN) and run it again"},
	"RequestTimeTooSkewed":          {exitAccess, "this machine's clock is wrong: the store takes 15 minutes of difference at most", "set the clock (timedatectl set-ntp true)"},
	"RequestExpired":                {exitAccess, "this machine's clock is wrong", "set the clock (timedatectl set-ntp true)"},
	"AuthorizationHeaderMalformed":  {exitUsage, "the store does not take requests for this region", "check --region and --endpoint-url"},
	"NotImplemented":                {exitFailed, "the store does not do {operation}{with}{saying}", ""},
	"MethodNotAllowed":              {exitFailed, "the store does not allow {operation}{saying}", "check --endpoint-url and --addressing-style"},
	"InvalidStorageClass":           {exitUsage, "the store does not know the storage class {class}", "leave it out, or name one that the store has: capitals matter"},
	"AccessControlListNotSupported": {exitUsage, "the bucket {bucket} takes no ACLs: its owner alone says who may", "leave out --acl and --grant"},
	"InvalidTag":                    {exitUsage, "the store does not take these tags{saying}", "check --tagging"},
	"KMS.NotFoundException":         {exitUsage, "the store does not know the KMS key{saying}", "check --sse-kms-key-id"},
	"KMS.DisabledException":         {exitFailed, "the KMS key is disabled{saying}", "have it enabled, or name another one"},
	"KeyTooLongError":               {exitUsage, "the key is too long", ""},
	"MetadataTooLarge":              {exitUsage, "this is more metadata than an object can have", "give fewer or shorter --metadata"},
	"EntityTooLarge":                {exitUsage, "this is more than the store takes in one piece", "lower --multipart-threshold"},
	"ObjectParentIsFile":            {exitConflict, "there is an object whose key this one would be a folder below, and the store keeps keys as files{saying}", "it cannot have both: delete that object first, or use another key"},
	"ExistingObjectIsDirectory":     {exitConflict, "there are objects below this key, and the store keeps keys as files{saying}", "it cannot have both: delete those objects first, or use another key"},
	"QuotaExceeded":                 {exitFailed, "the quota of the bucket {bucket} is used up", "make room, and run it again"},
	"XMinioStorageFull":             {exitFailed, "the store is full", "make room, and run it again"},
}

// common are the error codes of what one file cannot fail for alone.
var common = []string{
	"NoSuchBucket", "AllAccessDisabled", "AccountProblem", "InvalidAccessKeyId", "XAdminUserNotFound", "SignatureDoesNotMatch",
	"InvalidToken", "ExpiredToken", "TokenRefreshRequired", "RequestTimeTooSkewed", "QuotaExceeded", "XMinioStorageFull",
}

// concernsAll says whether a file failed for a reason for which the others of the run
// will fail too: a store that stays away, a bucket that is not there, credentials
// that are worth nothing.
func concernsAll(err error) bool {
	var gaveUp *store.GaveUp
	return errors.As(err, &gaveUp) || errors.Is(err, store.ErrNoCredentials) || slices.Contains(common, store.Code(err))
}

// permissions are what the calls need, as IAM names it.
var permissions = map[string]string{
	"PutObject":               "s3:PutObject",
	"CreateMultipartUpload":   "s3:PutObject",
	"UploadPart":              "s3:PutObject",
	"CompleteMultipartUpload": "s3:PutObject",
	"CopyObject":              "s3:PutObject and s3:GetObject",
	"HeadObject":              "s3:GetObject",
	"GetObjectAcl":            "s3:GetObjectAcl",
	"AbortMultipartUpload":    "s3:AbortMultipartUpload",
	"ListParts":               "s3:ListMultipartUploadParts",
	"ListMultipartUploads":    "s3:ListBucketMultipartUploads",
	"DeleteObject":            "s3:DeleteObject",

	"CreateSession": "s3express:CreateSession",

	"GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",

	"ListObjectsV2":       "s3:ListBucket",
	"DeleteObjects":       "s3:DeleteObject",
	"GetObjectAttributes": "s3:GetObjectAttributes",
}

// aboutAnswer knows what a store said.
func aboutAnswer(err error, f facts) (problem, bool) {
	var engine *upload.Error
	if errors.As(err, &engine) {
		return problem{}, false // it says more than the answer
	}
	if region := store.BucketRegion(err); region != "" && region != f.region {
		return problem{why: "the bucket " + f.bucket + " is in " + clip(region) + ", and not in " + f.region,
			hint: "--region " + shellWord(clip(region)), exit: exitUsage}, true
	}
	if to, ok := store.Redirect(err); ok {
		if to != "" {
			to = ": " + clip(to)
		}
		return problem{why: "the bucket " + f.bucket + " is at another endpoint" + to, hint: "check --region and --endpoint-url", exit: exitUsage}, true
	}
	a, ok := answers[store.Code(err)]
	if store.Code(err) == "InvalidRequest" && f.locks && makesObject(err) {
		// The code stands for many things; of those this is the one at hand.
		a.exit, a.why, a.hint, ok = exitUsage, "the store does not take the request{saying}", "--object-lock-mode and --legal-hold need a bucket with Object Lock", true
	}
	if c := store.Code(err); !ok && makesObject(err) && (c == "InvalidRequest" || c == "InvalidArgument") {
		if odd := f.oftenRefused(); odd != "" {
			a.exit, a.why, a.hint, ok = exitUsage, "the store does not take {operation} with "+odd+"{saying}", "leave that out", true
		}
	}
	if c := store.Code(err); !ok && c == "InvalidRequest" && makesObject(err) {
		// rclone serve s3 has no code for these: its words alone tell.
		switch said := saying(err); {
		case strings.HasSuffix(said, "is the name of an object)"):
			a, ok = answers["ObjectParentIsFile"]
		case strings.HasSuffix(said, "is the name of a directory)"):
			a, ok = answers["ExistingObjectIsDirectory"]
		}
	}
	if !ok {
		return problem{}, false
	}
	with := ""
	if len(f.asked) > 0 && makesObject(err) && store.Code(err) == "NotImplemented" {
		with, a.hint = " with "+strings.Join(f.asked, ", "), "leave that out"
	}
	op := operation(err)
	names := strings.NewReplacer("{bucket}", f.bucket, "{lacking}", lacking(op, f),
		"{class}", string(f.properties.StorageClass), "{operation}", op, "{with}", with, "{saying}", saying(err))
	return problem{why: names.Replace(a.why), hint: names.Replace(a.hint), exit: a.exit}, true
}

// oftenRefused are the flags that were given and that stores refuse as requests which
// make no sense.
func (f facts) oftenRefused() string {
	return strings.Join(slices.DeleteFunc(slices.Clone(f.asked), func(flag string) bool {
		return flag != "--sse" && flag != "--checksum"
	}), ", ")
}

// saying quotes the store's own words about a refusal, if there are any.
func saying(err error) string {
	var answer smithy.APIError
	if !errors.As(err, &answer) {
		return ""
	}
	text := strings.TrimSuffix(strings.TrimSpace(answer.ErrorMessage()), ".")
	if text == "" || text == answer.ErrorCode() || store.StatusCode(err) >= 500 {
		return "" // an ailing store says nothing that helps
	}
	return " (" + clip(text) + ")"
}

// makesObject says whether a call carries the properties of the object.
func makesObject(err error) bool {
	op := operation(err)
	return op == "PutObject" || op == "CreateMultipartUpload" || op == "CopyObject"
}
