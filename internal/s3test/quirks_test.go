package s3test_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"s3up/internal/s3test"
)

const p1, p2, p3 = "aaaaa", "bbbbb", "cc"

// Each quirk is shown by what a client sees without it and with it.
var quirkTests = map[string]struct {
	value         string // what is set, after the =
	see           func(*world) string
	without, with string
}{
	"server": {"MinIO", func(w *world) string {
		r := must(http.Get(w.URL()))(w.t)
		r.Body.Close()
		return r.Header.Get("Server")
	}, "AmazonS3", "MinIO"},

	"put-keeps-properties": {"", func(w *world) string {
		must(w.put("k", "x", func(in *s3.PutObjectInput) {
			in.Metadata, in.Tagging = map[string]string{"a": "1", "b": "2"}, aws.String("t=1")
		}))(w.t)
		must(w.put("k", "x", func(in *s3.PutObjectInput) { in.Metadata = map[string]string{"a": "3"} }))(w.t)
		out := must(w.c.HeadObject(w.t.Context(), &s3.HeadObjectInput{Bucket: aws.String("b"), Key: aws.String("k")}))(w.t)
		return fmt.Sprintf("%s, %s, %d tags", out.Metadata["a"], out.Metadata["b"], aws.ToInt32(out.TagCount))
	}, "3, , 0 tags", "3, 2, 1 tags"},
	"access-ignored": {"", func(w *world) string {
		must(w.put("k", "x", func(in *s3.PutObjectInput) { in.ACL = "public-read" }))(w.t)
		out := must(w.c.GetObjectAcl(w.t.Context(), &s3.GetObjectAclInput{Bucket: aws.String("b"), Key: aws.String("k")}))(w.t)
		return fmt.Sprintf("%d grants", len(out.Grants))
	}, "2 grants", "1 grants"},
	"requester-pays": {"", func(w *world) string {
		_, without := w.put("k", "x")
		_, with := w.put("k", "x", func(in *s3.PutObjectInput) { in.RequestPayer = types.RequestPayerRequester })
		return code(without) + " " + code(with)
	}, "ok ok", "AccessDenied ok"},
	"owner": {"123456789012", func(w *world) string {
		must(w.put("k", "x", func(in *s3.PutObjectInput) { in.ExpectedBucketOwner = aws.String("123456789012") }))(w.t)
		_, put := w.put("k", "x", func(in *s3.PutObjectInput) { in.ExpectedBucketOwner = aws.String("999999999999") })
		_, copied := w.selfCopy("k", func(in *s3.CopyObjectInput) { in.ExpectedSourceBucketOwner = aws.String("999999999999") })
		return code(put) + " " + code(copied)
	}, "ok ok", "AccessDenied AccessDenied"},
	"list-objects-plain": {"", func(w *world) string {
		must(w.put("a b+c", "x"))(w.t)
		out := must(w.c.ListObjectsV2(w.t.Context(), &s3.ListObjectsV2Input{Bucket: bucket, EncodingType: "url"}))(w.t)
		return *out.Contents[0].Key + " " + string(out.EncodingType)
	}, "a%20b%2Bc url", "a b+c "},
	"list-objects-mangled": {"", func(w *world) string {
		must(w.put("a\x01b", "x"))(w.t)
		out, err := w.c.ListObjectsV2(w.t.Context(), &s3.ListObjectsV2Input{Bucket: bucket})
		if err != nil {
			return "no XML"
		}
		return *out.Contents[0].Key
	}, "no XML", "a\uFFFDb"},
	"delete-objects-refused": {"501", func(w *world) string {
		_, err := w.c.DeleteObjects(w.t.Context(), &s3.DeleteObjectsInput{Bucket: bucket,
			Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("k")}}}})
		return code(err)
	}, "ok", "NotImplemented"},
	"front-end": {"", func(w *world) string {
		_, put := w.put("k", "x")  // the SDK adds x-id
		_, list := w.listUploads() // and signs Accept-Encoding
		return code(put) + " " + code(list)
	}, "ok ok", "InvalidArgument SignatureDoesNotMatch"},

	"self-copy-keeps-etag":        {"", selfCopyThenAround, "md5 md5", "composite md5"},
	"copy-keeps-etag":             {"", selfCopyThenAround, "md5 md5", "composite composite"},
	"self-copy-keeps-checksummed": {"", selfCopyChecksummed, "md5 md5", "composite md5"},
	"copy-refused":                {"501", selfCopyCode, "ok", "NotImplemented"},
	"copy-mistakes-question-mark": {"", func(w *world) string {
		must(w.put("k?versionId=x", "x"))(w.t)
		_, err := w.copy("b/k%3FversionId%3Dx", "k?versionId=x", func(in *s3.CopyObjectInput) { in.MetadataDirective = "REPLACE" })
		return code(err)
	}, "ok", "InvalidArgument"},
	"copy-ignores-conditions": {"", func(w *world) string {
		must(w.put("k", "x"))(w.t)
		_, err := w.selfCopy("k", func(in *s3.CopyObjectInput) { in.CopySourceIfMatch = aws.String("wrong") })
		return code(err)
	}, "PreconditionFailed", "ok"},
	"copy-ignores-destination": {"", func(w *world) string {
		must(w.put("k", "x"))(w.t)
		_, err := w.selfCopy("k", func(in *s3.CopyObjectInput) { in.IfMatch = aws.String("wrong") })
		return code(err)
	}, "PreconditionFailed", "ok"},
	"copy-merges-headers": {"", func(w *world) string {
		must(w.put("k", "x", func(in *s3.PutObjectInput) { in.CacheControl = aws.String("no-cache") }))(w.t)
		must(w.selfCopy("k"))(w.t)
		return aws.ToString(w.mustHead("k").CacheControl)
	}, "", "no-cache"},
	"self-copy-merges-headers": {"", func(w *world) string {
		must(w.put("k", "x", func(in *s3.PutObjectInput) {
			in.CacheControl, in.ContentLanguage = aws.String("no-cache"), aws.String("en")
		}))(w.t)
		must(w.selfCopy("k"))(w.t)
		head := w.mustHead("k")
		return aws.ToString(head.CacheControl) + aws.ToString(head.ContentLanguage)
	}, "", "no-cache"},
	"copy-loses": {"Cache-Control", func(w *world) string {
		must(w.put("k", "x"))(w.t)
		must(w.selfCopy("k", func(in *s3.CopyObjectInput) {
			in.CacheControl, in.ContentLanguage = aws.String("no-cache"), aws.String("de")
		}))(w.t)
		head := w.mustHead("k")
		return aws.ToString(head.CacheControl) + " " + aws.ToString(head.ContentLanguage)
	}, "no-cache de", " de"},
	"copy-onto-itself-allowed": {"", func(w *world) string {
		must(w.put("k", "x"))(w.t)
		_, err := w.copy("b/k", "k")
		return code(err)
	}, "InvalidRequest", "ok"},
	"copy-updates-in-place": {"", func(w *world) string {
		w.SetVersioning("b", true)
		must(w.put("k", "x"))(w.t)
		must(w.selfCopy("k"))(w.t)
		return fmt.Sprint(len(w.Versions("b", "k")))
	}, "2", "1"},
	"copy-no-version-id": {"", func(w *world) string {
		w.SetVersioning("b", true)
		must(w.put("k", "x"))(w.t)
		out := must(w.selfCopy("k"))(w.t)
		return fmt.Sprint(out.VersionId != nil)
	}, "true", "false"},
	"copy-no-etag": {"", func(w *world) string {
		must(w.put("k", "x"))(w.t)
		return kind(must(w.selfCopy("k"))(w.t).CopyObjectResult.ETag, "x")
	}, "md5", "none"},
	"copy-etag-unquoted": {"", func(w *world) string {
		must(w.put("k", "x"))(w.t)
		return *must(w.selfCopy("k"))(w.t).CopyObjectResult.ETag
	}, `"` + md5Hex("x") + `"`, md5Hex("x")},
	"copy-keeps-storage-class": {"", func(w *world) string {
		must(w.put("k", "x", func(in *s3.PutObjectInput) { in.StorageClass = "STANDARD_IA" }))(w.t)
		must(w.selfCopy("k"))(w.t)
		return string(w.mustHead("k").StorageClass)
	}, "", "STANDARD_IA"},
	"copy-checksum-of-nothing": {"", func(w *world) string {
		must(w.put("k", "x"))(w.t)
		must(w.selfCopy("k", func(in *s3.CopyObjectInput) { in.ChecksumAlgorithm = "CRC64NVME" }))(w.t)
		o, _ := w.Object("b", "k")
		return fmt.Sprint(o.Checksum == "AAAAAAAAAAA=")
	}, "false", "true"},

	"plain-etag":         {"", completeThenHead, "composite composite", "md5 md5"},
	"plain-etag-on-head": {"", completeThenHead, "composite composite", "composite md5"},
	"complete-no-etag":   {"", completeThenHead, "composite composite", "none composite"},
	"kms-by-default":     {"", putThenHead, "md5 AES256", "opaque aws:kms"},
	"opaque-etags":       {"", putThenHead, "md5 AES256", "opaque AES256"},
	"head-etag-unquoted": {"", func(w *world) string {
		must(w.put("k", "x"))(w.t)
		return *w.mustHead("k").ETag
	}, `"` + md5Hex("x") + `"`, md5Hex("x")},
	"part-no-etag": {"", func(w *world) string {
		return kind(must(w.part("k", w.create("k"), 1, p1))(w.t).ETag, p1)
	}, "md5", "none"},

	"list-uploads-refused": {"501", func(w *world) string {
		_, err := w.listUploads()
		return code(err)
	}, "ok", "NotImplemented"},
	"list-uploads-never404": {"", func(w *world) string {
		_, before := w.listUploads()
		w.create("g/1")
		_, after := w.listUploads()
		return code(before) + " " + code(after)
	}, "ok ok", "NoSuchUpload ok"},
	"list-uploads-exact-key": {"", func(w *world) string {
		w.create("g/1")
		w.create("g/2")
		byPrefix := must(w.listUploads(func(in *s3.ListMultipartUploadsInput) { in.Prefix = aws.String("g/") }))(w.t)
		byKey := must(w.listUploads(func(in *s3.ListMultipartUploadsInput) { in.Prefix = aws.String("g/1") }))(w.t)
		return fmt.Sprint(len(byPrefix.Uploads), len(byKey.Uploads))
	}, "2 1", "0 1"},
	"list-uploads-stuck": {"", func(w *world) string {
		w.create("g/1")
		w.create("g/2")
		out := must(w.listUploads(func(in *s3.ListMultipartUploadsInput) { in.MaxUploads = aws.Int32(1) }))(w.t)
		return fmt.Sprint(*out.IsTruncated, " ", aws.ToString(out.NextKeyMarker))
	}, "true g/1", "true "},
	"list-uploads-unpaged": {"", func(w *world) string {
		w.create("g/1")
		w.create("g/2")
		return fmt.Sprint(len(must(w.listUploads(func(in *s3.ListMultipartUploadsInput) { in.MaxUploads = aws.Int32(1) }))(w.t).Uploads))
	}, "1", "2"},
	"upload-id-marker-fails": {"", func(w *world) string {
		w.create("g/1")
		w.create("g/2")
		one := must(w.listUploads(func(in *s3.ListMultipartUploadsInput) { in.MaxUploads = aws.Int32(1) }))(w.t)
		_, err := w.listUploads(func(in *s3.ListMultipartUploadsInput) {
			in.KeyMarker, in.UploadIdMarker = one.NextKeyMarker, one.NextUploadIdMarker
		})
		return code(err)
	}, "ok", "InvalidArgument"},
	"initiated-missing":      {"", initiated, "12:00:00", "missing"},
	"initiated-wrong":        {"", initiated, "12:00:00", "20:48:33"},
	"initiated-is-last-part": {"", initiated, "12:00:00", "12:30:00"},
	"list-parts-refused": {"405", func(w *world) string {
		_, err := w.listParts("k", w.create("k"))
		return code(err)
	}, "ok", "MethodNotAllowed"},
	"list-parts-stuck": {"", func(w *world) string {
		id := w.create("k")
		w.parts("k", id, p1, p2)
		var marker *string
		pages := 0
		for more := true; more && pages < 5; pages++ {
			out := must(w.listParts("k", id, func(in *s3.ListPartsInput) { in.MaxParts, in.PartNumberMarker = aws.Int32(1), marker }))(w.t)
			marker, more = out.NextPartNumberMarker, *out.IsTruncated
		}
		return fmt.Sprint(pages, " pages")
	}, "2 pages", "5 pages"},
	"list-parts-no-checksums": {"", func(w *world) string {
		id := w.create("k", func(in *s3.CreateMultipartUploadInput) { in.ChecksumAlgorithm = "CRC32" })
		must(w.part("k", id, 1, p1, func(in *s3.UploadPartInput) { in.ChecksumAlgorithm = "CRC32" }))(w.t)
		return fmt.Sprint(must(w.listParts("k", id))(w.t).Parts[0].ChecksumCRC32 != nil)
	}, "true", "false"},

	"gone-upload-lists-empty": {"", listGone, "NoSuchUpload", "ok"},
	"gone-upload-no-such-key": {"", listGone, "NoSuchUpload", "NoSuchKey"},
	"gone-upload-is500": {"", func(w *world) string {
		id := w.create("k")
		parts := w.parts("k", id, p1)
		must(0, w.abort("k", id))(w.t)
		_, err := w.complete("k", id, parts)
		return code(err)
	}, "NoSuchUpload", "InternalError"},
	"abort-twice-ok": {"", func(w *world) string {
		id := w.create("k")
		return code(w.abort("k", id)) + " " + code(w.abort("k", id))
	}, "ok NoSuchUpload", "ok ok"},
	"abort-refused": {"405", func(w *world) string { return code(w.abort("k", w.create("k"))) }, "ok", "MethodNotAllowed"},
	"aborts-needed": {"2", func(w *world) string {
		id := w.create("k")
		w.parts("k", id, p1)
		must(0, w.abort("k", id))(w.t)
		_, first := w.listParts("k", id)
		w.abort("k", id)
		_, second := w.listParts("k", id)
		return code(first) + " " + code(second)
	}, "NoSuchUpload NoSuchUpload", "ok NoSuchUpload"},

	"complete-once": {"", func(w *world) string {
		id := w.create("k")
		parts := w.parts("k", id, p1)
		must(w.complete("k", id, parts))(w.t)
		_, err := w.complete("k", id, parts)
		return code(err)
	}, "ok", "NoSuchUpload"},
	"complete-ignores-conditions": {"", func(w *world) string {
		must(w.put("k", "x"))(w.t)
		id := w.create("k")
		_, err := w.complete("k", id, w.parts("k", id, p1), func(in *s3.CompleteMultipartUploadInput) { in.IfNoneMatch = aws.String("*") })
		return code(err)
	}, "PreconditionFailed", "ok"},
	"complete-ignores-object-size": {"", func(w *world) string {
		id := w.create("k")
		_, err := w.complete("k", id, w.parts("k", id, p1), func(in *s3.CompleteMultipartUploadInput) { in.MpuObjectSize = aws.Int64(4) })
		return code(err)
	}, "InvalidRequest", "ok"},
	"complete-refuses-subset": {"", func(w *world) string {
		id := w.create("k")
		_, err := w.complete("k", id, w.parts("k", id, p1, p2)[:1])
		return code(err)
	}, "ok", "InvalidPart"},
	"complete-refuses-gaps": {"", func(w *world) string {
		id := w.create("k")
		_, err := w.complete("k", id, slices.Delete(w.parts("k", id, p1, p2, p3), 1, 2))
		return code(err)
	}, "ok", "InvalidPart"},
	"complete-refuses-unequal": {"", func(w *world) string {
		id := w.create("k")
		_, err := w.complete("k", id, w.parts("k", id, p1, p2+"b", p3))
		return code(err)
	}, "ok", "InvalidPart"},
	"content-md5-ignored": {"", func(w *world) string {
		_, err := w.put("k", "x", func(in *s3.PutObjectInput) { in.ContentMD5 = md5Base64("y") })
		return code(err)
	}, "BadDigest", "ok"},
	"bad-digest-ends-upload": {"", func(w *world) string {
		id := w.create("k")
		_, err := w.part("k", id, 1, p1, func(in *s3.UploadPartInput) { in.ContentMD5 = md5Base64(p2) })
		_, again := w.part("k", id, 1, p1)
		return code(err) + " " + code(again)
	}, "BadDigest ok", "BadDigest NoSuchUpload"},
	"part-once": {"", func(w *world) string {
		id := w.create("k")
		must(w.part("k", id, 1, p1))(w.t)
		_, err := w.part("k", id, 1, p2)
		return code(err)
	}, "ok", "NotImplemented"},
	"chunked-stored":  {"", putChunked, "ok xyz", "ok 3\r\nxyz"},
	"chunked-refused": {"", putChunked, "ok xyz", "XAmzContentSHA256Mismatch "},
	"head-ignores-part-number": {"", func(w *world) string {
		w.upload("k", p1, p2, p3)
		out := must(w.head("k", func(in *s3.HeadObjectInput) { in.PartNumber = aws.Int32(1) }))(w.t)
		return fmt.Sprint(*out.ContentLength, " ", aws.ToInt32(out.PartsCount))
	}, "5 3", "12 0"},
	"attributes-refused": {"501", func(w *world) string {
		w.upload("k", p1, p2, p3)
		_, err := w.Client().GetObjectAttributes(w.t.Context(), &s3.GetObjectAttributesInput{Bucket: bucket, Key: aws.String("k"),
			ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesEtag}})
		return code(err)
	}, "ok", "NotImplemented"},
	"attributes-list-all-parts": {"", func(w *world) string { return attributesOfParts(w, "") }, "0 of 2", "2 of 2"},
	"attributes-list-no-parts":  {"", func(w *world) string { return attributesOfParts(w, "CRC32") }, "2 of 2", "none"},
	"head-tells-part-checksum": {"", func(w *world) string {
		attributesOfParts(w, "CRC32")
		out := must(w.head("k", func(in *s3.HeadObjectInput) { in.PartNumber, in.ChecksumMode = aws.Int32(2), types.ChecksumModeEnabled }))(w.t)
		return fmt.Sprint(strings.HasSuffix(aws.ToString(out.ChecksumCRC32), "-2"), " ", out.ChecksumType)
	}, "true COMPOSITE", "false "},
	"tags-on-create-lost": {"", func(w *world) string {
		id := w.create("k", func(in *s3.CreateMultipartUploadInput) { in.Tagging = aws.String("a=1") })
		must(w.complete("k", id, w.parts("k", id, p1)))(w.t)
		o, _ := w.Object("b", "k")
		return fmt.Sprint(o.Tags)
	}, "map[a:1]", "map[]"},
	"metadata-encoded": {"", func(w *world) string {
		must(w.put("k", "x", func(in *s3.PutObjectInput) { in.Metadata = map[string]string{"city": "Köln", "team": "web"} }))(w.t)
		out := must(w.c.HeadObject(w.t.Context(), &s3.HeadObjectInput{Bucket: aws.String("b"), Key: aws.String("k")}))(w.t)
		return out.Metadata["city"] + " " + out.Metadata["team"]
	}, "Köln web", "=?UTF-8?q?K=C3=B6ln?= web"},
	"put-ignores-conditions": {"", func(w *world) string {
		must(w.put("k", "x"))(w.t)
		_, err := w.put("k", "y", func(in *s3.PutObjectInput) { in.IfNoneMatch = aws.String("*") })
		return code(err)
	}, "PreconditionFailed", "ok"},
	"put-if-match-unquoted": {"", func(w *world) string {
		out := must(w.put("k", "x"))(w.t)
		_, err := w.put("k", "y", func(in *s3.PutObjectInput) { in.IfMatch = out.ETag })
		return code(err)
	}, "ok", "PreconditionFailed"},
	"part-checksums-not-on-complete": {"", func(w *world) string {
		id := w.create("k", func(in *s3.CreateMultipartUploadInput) { in.ChecksumAlgorithm = "CRC32" })
		out := must(w.part("k", id, 1, p1, func(in *s3.UploadPartInput) { in.ChecksumAlgorithm = "CRC32" }))(w.t)
		_, err := w.complete("k", id, []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: out.ETag}})
		return code(err)
	}, "InvalidRequest", "ok"},
	"checksums-ignored": {"", putAndCreateChecksummed, "BadDigest CRC64NVME", "ok "},
	"checksums-refused": {"400", putAndCreateChecksummed, "BadDigest CRC64NVME", "BadDigest InvalidRequest"},
	"complete-ignores-checksum": {"", func(w *world) string {
		id := w.create("k", func(in *s3.CreateMultipartUploadInput) { in.ChecksumAlgorithm = "CRC64NVME" })
		out := must(w.part("k", id, 1, p1, func(in *s3.UploadPartInput) { in.ChecksumAlgorithm = "CRC64NVME" }))(w.t)
		_, err := w.complete("k", id, []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: out.ETag}},
			func(in *s3.CompleteMultipartUploadInput) { in.ChecksumCRC64NVME = aws.String("AAAAAAAAAAA=") })
		return code(err)
	}, "BadDigest", "ok"},

	"versioned": {"", func(w *world) string {
		return fmt.Sprint(must(w.put("k", "x"))(w.t).VersionId != nil)
	}, "false", "true"},
	"versioning-suspended": {"", func(w *world) string {
		first := must(w.put("k", "x"))(w.t).VersionId
		second := must(w.put("k", "y"))(w.t).VersionId
		gone := must(w.c.DeleteObject(w.t.Context(), &s3.DeleteObjectInput{Bucket: aws.String("b"), Key: aws.String("k")}))(w.t)
		return fmt.Sprint(aws.ToString(first), aws.ToString(second), aws.ToBool(gone.DeleteMarker))
	}, "false", "nullnulltrue"},
	"storage-class-refused": {"", putClass, "ok STANDARD_IA", "InvalidStorageClass "},
	"storage-class-ignored": {"", putClass, "ok STANDARD_IA", "ok STANDARD"},
	"bucket-owner-enforced": {"", func(w *world) string {
		_, err := w.put("k", "x", func(in *s3.PutObjectInput) { in.ACL = "public-read" })
		_, same := w.put("k", "x", func(in *s3.PutObjectInput) { in.ACL = "bucket-owner-full-control" })
		return code(err) + " " + code(same)
	}, "ok ok", "AccessControlListNotSupported ok"},
	"object-lock-ignored": {"", func(w *world) string {
		_, err := w.put("k", "x", func(in *s3.PutObjectInput) { in.ObjectLockLegalHoldStatus, in.ContentMD5 = "ON", md5Base64("x") })
		return code(err)
	}, "InvalidRequest", "ok"},
	"sse-ignored": {"", putThenHead, "md5 AES256", "md5 "},
	"sse-refused": {"", func(w *world) string {
		_, err := w.put("k", "x", func(in *s3.PutObjectInput) { in.ServerSideEncryption = "AES256" })
		return code(err)
	}, "ok", "NotImplemented"},
	"deny": {"s3:GetObject", func(w *world) string {
		must(w.put("k", "x"))(w.t)
		_, get := w.get("k")
		_, head := w.head("k")
		_, from := w.selfCopy("k")
		return code(get) + " " + code(head) + " " + code(from)
	}, "ok ok ok", "AccessDenied Forbidden AccessDenied"},
}

func selfCopyThenAround(w *world) string {
	w.upload("k", p1, p2, p3)
	must(w.selfCopy("k"))(w.t)
	self := kind(w.mustHead("k").ETag, p1, p2, p3)
	w.upload("k", p1, p2, p3)
	must(w.copy("b/k", "k.tmp"))(w.t)
	must(w.copy("b/k.tmp", "k"))(w.t)
	return self + " " + kind(w.mustHead("k").ETag, p1, p2, p3)
}

func selfCopyChecksummed(w *world) string {
	var seen []string
	for _, algorithm := range []types.ChecksumAlgorithm{"", "CRC64NVME"} {
		id := w.create("k", func(in *s3.CreateMultipartUploadInput) { in.ChecksumAlgorithm = "CRC64NVME" })
		out := must(w.part("k", id, 1, p1, func(in *s3.UploadPartInput) { in.ChecksumAlgorithm = "CRC64NVME" }))(w.t)
		must(w.complete("k", id, []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: out.ETag}}))(w.t)
		must(w.selfCopy("k", func(in *s3.CopyObjectInput) { in.ChecksumAlgorithm = algorithm }))(w.t)
		seen = append(seen, kind(w.mustHead("k").ETag, p1))
	}
	return strings.Join(seen, " ")
}

// putAndCreateChecksummed shows what becomes of a wrong checksum, and of one that
// is asked for.
func putAndCreateChecksummed(w *world) string {
	_, put := w.put("k", "x", func(in *s3.PutObjectInput) { in.ChecksumCRC64NVME = aws.String("AAAAAAAAAAA=") })
	out, err := w.Client().CreateMultipartUpload(w.t.Context(), &s3.CreateMultipartUploadInput{
		Bucket: bucket, Key: aws.String("k"), ChecksumAlgorithm: "CRC64NVME"})
	if err != nil {
		return code(put) + " " + code(err)
	}
	return code(put) + " " + string(out.ChecksumAlgorithm)
}

// attributesOfParts makes an object of two parts, and tells how many of them are
// listed.
func attributesOfParts(w *world, algorithm string) string {
	w.Put("b", "k", []byte(p1+p2), func(o *s3test.Object) {
		o.Parts, o.ChecksumAlgorithm, o.ChecksumType = []int64{5, 5}, algorithm, "COMPOSITE"
	})
	out := must(w.Client().GetObjectAttributes(w.t.Context(), &s3.GetObjectAttributesInput{Bucket: bucket, Key: aws.String("k"),
		ObjectAttributes: []types.ObjectAttributes{types.ObjectAttributesObjectParts}}))(w.t)
	if out.ObjectParts == nil {
		return "none"
	}
	return fmt.Sprint(len(out.ObjectParts.Parts), " of ", aws.ToInt32(out.ObjectParts.TotalPartsCount))
}

func selfCopyCode(w *world) string {
	must(w.put("k", "x"))(w.t)
	_, err := w.selfCopy("k")
	return code(err)
}

func completeThenHead(w *world) string {
	out := w.upload("k", p1, p2, p3)
	return kind(out.ETag, p1, p2, p3) + " " + kind(w.mustHead("k").ETag, p1, p2, p3)
}

func putThenHead(w *world) string {
	must(w.put("k", "x"))(w.t)
	out := w.mustHead("k")
	return kind(out.ETag, "x") + " " + string(out.ServerSideEncryption)
}

func putClass(w *world) string {
	_, err := w.put("k", "x", func(in *s3.PutObjectInput) { in.StorageClass = "STANDARD_IA" })
	o, _ := w.Object("b", "k")
	return code(err) + " " + o.StorageClass
}

// putChunked shows the first bytes that are stored.
func putChunked(w *world) string {
	c := w.Client(func(o *s3.Options) { o.RequestChecksumCalculation = aws.RequestChecksumCalculationWhenSupported })
	_, err := c.PutObject(w.t.Context(), &s3.PutObjectInput{Bucket: bucket, Key: aws.String("k"), Body: strings.NewReader("xyz")})
	o, _ := w.Object("b", "k")
	return code(err) + " " + string(o.Bytes()[:min(len(o.Bytes()), 6)])
}

func listGone(w *world) string {
	id := w.create("k")
	must(0, w.abort("k", id))(w.t)
	_, err := w.listParts("k", id)
	return code(err)
}

func initiated(w *world) string {
	id := w.create("k")
	w.clock.move(30 * time.Minute)
	w.parts("k", id, p1)
	u := must(w.listUploads())(w.t).Uploads[0]
	if u.Initiated == nil {
		return "missing"
	}
	return u.Initiated.Format(time.TimeOnly)
}

func TestQuirks(t *testing.T) {
	for _, name := range s3test.QuirkNames() {
		test, found := quirkTests[name]
		if !found {
			t.Errorf("quirk %s has no test", name)
			continue
		}
		t.Run(name, func(t *testing.T) {
			set := name
			if test.value != "" {
				set += "=" + test.value
			}
			o := s3test.Options{TLS: strings.HasPrefix(name, "chunked-")} // the SDK chunks over https only
			if got := test.see(newWorld(t, o)); got != test.without {
				t.Errorf("without: got %q, want %q", got, test.without)
			}
			if err := o.Quirks.Set(set); err != nil {
				t.Fatal(err)
			}
			if got := test.see(newWorld(t, o)); got != test.with {
				t.Errorf("with %s: got %q, want %q", set, got, test.with)
			}
			w := newWorld(t, s3test.Options{TLS: o.TLS})
			w.SetQuirks(func(q *s3test.Quirks) { *q = o.Quirks })
			if got := test.see(w); got != test.with {
				t.Errorf("with %s, set later: got %q, want %q", set, got, test.with)
			}
		})
	}
}

func TestQuirksSet(t *testing.T) {
	for _, bad := range []string{"", "nope", "copy-refused", "copy-refused=x", "plain-etag=maybe"} {
		if err := new(s3test.Quirks).Set(bad); err == nil {
			t.Errorf("%q: no error", bad)
		}
	}
	var q s3test.Quirks
	for _, set := range []string{"plain-etag", "versioned", "versioned=false", "copy-refused=403", "server=x", "deny=s3:GetObject", "deny=s3:PutObject"} {
		if err := q.Set(set); err != nil {
			t.Error(err)
		}
	}
	want := s3test.Quirks{PlainETag: true, CopyRefused: 403, Server: "x", Deny: []string{"s3:GetObject", "s3:PutObject"}}
	if diff := cmp.Diff(want, q); diff != "" {
		t.Error(diff)
	}
}

// What SERVERS.md says of the stores after Complete, a self-copy, and a copy to
// another key and back.
func TestStores(t *testing.T) {
	want := map[string]string{
		"aws": "composite md5 md5", "minio": "composite md5 md5", "minio-old": "composite composite md5",
		"versitygw": "composite composite md5", "seaweedfs": "composite composite composite", "ceph": "composite composite composite",
		"rclone": "md5 md5 md5", "gofakes3": "md5 md5 md5", "moto": "composite md5 md5", "s3rver": "md5 md5 md5", "r2": "composite md5 md5",
	}
	for _, name := range s3test.StoreNames() {
		t.Run(name, func(t *testing.T) {
			q, _ := s3test.Store(name)
			w := newWorld(t, s3test.Options{Quirks: q})
			w.upload("k", p1, p2, p3)
			got := kind(w.mustHead("k").ETag, p1, p2, p3) + " " + selfCopyThenAround(w)
			if got != want[name] {
				t.Errorf("got %q, want %q", got, want[name])
			}
		})
	}
	if _, known := s3test.Store("nope"); known {
		t.Error("a store that does not exist is known")
	}
}
