package s3test_test

import (
	"fmt"
	"hash/crc64"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"s3up/internal/s3test"
)

// The properties come with Create, the ETag is the composite one until a copy,
// and the copy has only what it restates.
func TestMultipart(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	id := w.create("k", func(in *s3.CreateMultipartUploadInput) {
		in.ContentType, in.Metadata, in.Tagging = aws.String("text/plain"), map[string]string{"one": "1"}, aws.String("a=1")
		in.StorageClass = "STANDARD_IA"
	})
	w.clock.move(time.Minute)
	must(w.part("k", id, 2, "late"))(t)
	w.clock.move(time.Minute)
	parts := w.parts("k", id, p1, p2, p3)
	want := []s3test.Upload{{Key: "k", UploadID: *id, Initiated: w.clock.now().Add(-2 * time.Minute), Parts: []s3test.Part{
		{Number: 1, Size: 5, ETag: md5Hex(p1), LastModified: w.clock.now()},
		{Number: 2, Size: 5, ETag: md5Hex(p2), LastModified: w.clock.now()},
		{Number: 3, Size: 2, ETag: md5Hex(p3), LastModified: w.clock.now()}}}}
	if diff := cmp.Diff(want, w.Uploads("b")); diff != "" {
		t.Error(diff)
	}
	if _, found := w.Object("b", "k"); found {
		t.Error("there is an object before Complete")
	}
	out := must(w.complete("k", id, parts, func(in *s3.CompleteMultipartUploadInput) { in.MpuObjectSize = aws.Int64(12) }))(t)
	if want := `"` + composite(p1, p2, p3) + `"`; *out.ETag != want || *out.Key != "k" || *out.Bucket != "b" {
		t.Errorf("Complete: %+v, want %s", out, want)
	}
	o, _ := w.Object("b", "k")
	if string(o.Bytes()) != p1+p2+p3 || o.ETag != composite(p1, p2, p3) || o.MD5 != md5Hex(p1+p2+p3) || o.ContentType != "text/plain" ||
		o.Metadata["one"] != "1" || o.Tags["a"] != "1" || o.StorageClass != "STANDARD_IA" || len(o.Parts) != 3 {
		t.Errorf("object: %+v %q", o, o.Bytes())
	}
	if len(w.Uploads("b")) != 0 {
		t.Error("the upload is still listed")
	}
	head := must(w.head("k", func(in *s3.HeadObjectInput) { in.PartNumber = aws.Int32(3) }))(t)
	if *head.ContentLength != 2 || *head.PartsCount != 3 {
		t.Errorf("part 3: %+v", head)
	}

	must(w.selfCopy("k"))(t)
	o, _ = w.Object("b", "k")
	if o.ETag != md5Hex(p1+p2+p3) || o.Parts != nil || o.ContentType != "binary/octet-stream" || len(o.Metadata) != 0 ||
		o.StorageClass != "STANDARD" || o.Tags["a"] != "1" {
		t.Errorf("after the copy: %+v", o)
	}
}

func TestCompleteRefused(t *testing.T) {
	part := func(n int, body string) types.CompletedPart {
		return types.CompletedPart{PartNumber: aws.Int32(int32(n)), ETag: aws.String(md5Hex(body))}
	}
	one, two, three, five := part(1, p1), part(2, p2), part(3, p3), part(5, p1)
	type list = []types.CompletedPart
	for _, tt := range []struct {
		name   string
		parts  list
		change func(*s3.CompleteMultipartUploadInput)
		want   string
	}{
		{"all", list{one, two, three}, nil, "EntityTooSmall"}, // as 3 is not the last
		{"right", list{one, two, five}, nil, "ok"},
		{"gap", list{one, five}, nil, "ok"},
		{"small one last", list{one, three}, nil, "ok"},
		{"quoted", list{{PartNumber: aws.Int32(1), ETag: aws.String(`"` + md5Hex(p1) + `"`)}}, nil, "ok"},
		{"none", nil, nil, "MalformedXML"},
		{"wrong ETag", list{one, part(2, p1)}, nil, "InvalidPart"},
		{"no such part", list{one, part(4, p2)}, nil, "InvalidPart"},
		{"order", list{two, one}, nil, "InvalidPartOrder"},
		{"twice", list{one, one}, nil, "InvalidPartOrder"},
		{"wrong key", list{one}, func(in *s3.CompleteMultipartUploadInput) { in.Key = aws.String("other") }, "NoSuchUpload"},
		{"wrong id", list{one}, func(in *s3.CompleteMultipartUploadInput) { in.UploadId = aws.String("other") }, "NoSuchUpload"},
		{"wrong bucket", list{one}, func(in *s3.CompleteMultipartUploadInput) { in.Bucket = aws.String("nope") }, "NoSuchBucket"},
		{"wrong size", list{one}, func(in *s3.CompleteMultipartUploadInput) { in.MpuObjectSize = aws.Int64(6) }, "InvalidRequest"},
		{"none match", list{one}, func(in *s3.CompleteMultipartUploadInput) { in.IfNoneMatch = aws.String("*") }, "PreconditionFailed"},
		{"match, wrong", list{one}, func(in *s3.CompleteMultipartUploadInput) { in.IfMatch = aws.String("wrong") }, "PreconditionFailed"},
		{"match", list{one}, func(in *s3.CompleteMultipartUploadInput) { in.IfMatch = aws.String(md5Hex("there")) }, "ok"},
	} {
		w := newWorld(t, s3test.Options{})
		must(w.put("k", "there"))(t)
		id := w.create("k")
		for n, body := range map[int]string{1: p1, 2: p2, 3: p3, 5: p1} {
			must(w.part("k", id, n, body))(t)
		}
		if tt.name == "all" {
			tt.parts = append(tt.parts, five)
		}
		change := tt.change
		if change == nil {
			change = func(*s3.CompleteMultipartUploadInput) {}
		}
		_, err := w.complete("k", id, tt.parts, change)
		if got := code(err); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
		// A refused Complete leaves the upload and the object as they were.
		if _, err := w.listParts("k", id); (err == nil) != (tt.want != "ok") {
			t.Errorf("%s: the upload is there: %t", tt.name, err == nil)
		}
		if o, _ := w.Object("b", "k"); (string(o.Bytes()) == "there") != (tt.want != "ok") {
			t.Errorf("%s: the object is %q", tt.name, o.Bytes())
		}
	}
}

func TestUploadPart(t *testing.T) {
	w := newWorld(t, s3test.Options{MaxPutSize: 10})
	id := w.create("k")
	for _, tt := range []struct {
		name   string
		n      int
		change func(*s3.UploadPartInput)
		want   string
	}{
		{"right", 1, func(in *s3.UploadPartInput) { in.ContentMD5 = md5Base64("hello") }, "ok"},
		{"empty", 1, func(in *s3.UploadPartInput) { in.Body = strings.NewReader("") }, "ok"},
		{"last number", 10000, func(*s3.UploadPartInput) {}, "ok"},
		{"number 0", 0, func(*s3.UploadPartInput) {}, "InvalidArgument"},
		{"number 10001", 10001, func(*s3.UploadPartInput) {}, "InvalidArgument"},
		{"wrong MD5", 1, func(in *s3.UploadPartInput) { in.ContentMD5 = md5Base64("other") }, "BadDigest"},
		{"bad MD5", 1, func(in *s3.UploadPartInput) { in.ContentMD5 = aws.String("other") }, "InvalidDigest"},
		{"too large", 1, func(in *s3.UploadPartInput) { in.Body = strings.NewReader("12345678901") }, "EntityTooLarge"},
		{"no such upload", 1, func(in *s3.UploadPartInput) { in.UploadId = aws.String("nope") }, "NoSuchUpload"},
		{"another key's upload", 1, func(in *s3.UploadPartInput) { in.Key = aws.String("k2") }, "NoSuchUpload"},
		{"checksum that Create did not ask for", 1, func(in *s3.UploadPartInput) { in.ChecksumAlgorithm = "CRC32" }, "InvalidRequest"},
	} {
		before := len(w.Uploads("b")[0].Parts)
		out, err := w.part("k", id, tt.n, "hello", tt.change)
		if got := code(err); got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, got, tt.want)
		}
		if err == nil && tt.name == "right" && kind(out.ETag, "hello") != "md5" {
			t.Errorf("ETag: %s", *out.ETag)
		}
		if after := len(w.Uploads("b")[0].Parts); tt.want != "ok" && after != before {
			t.Errorf("%s: stored all the same", tt.name)
		}
	}
	must(0, w.abort("k", id))(t)
	if _, err := w.part("k", id, 1, "hello"); code(err) != "NoSuchUpload" {
		t.Errorf("after the abort: %v", err)
	}
	if err := w.abort("k", id); code(err) != "NoSuchUpload" {
		t.Errorf("second abort: %v", err)
	}
}

// The same Complete may come again, another one not.
func TestCompleteAgain(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	id := w.create("k")
	parts := w.parts("k", id, p1, p2)
	first := must(w.complete("k", id, parts))(t)
	must(w.selfCopy("k"))(t)
	again := must(w.complete("k", id, parts))(t)
	if *again.ETag != *first.ETag {
		t.Errorf("got %s, want %s", *again.ETag, *first.ETag)
	}
	if o, _ := w.Object("b", "k"); o.ETag != md5Hex(p1+p2) {
		t.Error("the second Complete has written the object again")
	}
	if _, err := w.complete("k", id, parts[:1]); code(err) != "NoSuchUpload" {
		t.Errorf("with other parts: %v", err)
	}
	for name, err := range map[string]error{
		"UploadPart": second(w.part("k", id, 1, p1)), "ListParts": second(w.listParts("k", id)), "Abort": w.abort("k", id),
	} {
		if code(err) != "NoSuchUpload" {
			t.Errorf("%s after Complete: %v", name, err)
		}
	}
}

func second[T any](_ T, err error) error { return err }

func TestChecksums(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	crc := func(s string) *string {
		sum := crc64.Checksum([]byte(s), crc64.MakeTable(0x9a6c9329ac4bc9b5))
		return aws.String(base64Of(sum))
	}
	// CRC64NVME is of the whole object.
	upload := func(whole *string, kind types.ChecksumType) error {
		id := w.create("k", func(in *s3.CreateMultipartUploadInput) {
			in.ChecksumAlgorithm, in.ChecksumType = "CRC64NVME", "FULL_OBJECT"
		})
		var parts []types.CompletedPart
		for i, body := range []string{p1, p2} {
			out := must(w.part("k", id, i+1, body, func(in *s3.UploadPartInput) { in.ChecksumCRC64NVME = crc(body) }))(t)
			parts = append(parts, types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: out.ETag})
		}
		listed := must(w.listParts("k", id))(t)
		if listed.ChecksumAlgorithm != "CRC64NVME" || *listed.Parts[1].ChecksumCRC64NVME != *crc(p2) {
			t.Errorf("ListParts: %+v", listed)
		}
		_, err := w.complete("k", id, parts, func(in *s3.CompleteMultipartUploadInput) {
			in.ChecksumCRC64NVME, in.ChecksumType = whole, kind
		})
		return err
	}
	if err := upload(crc("wrong"), "FULL_OBJECT"); code(err) != "BadDigest" {
		t.Errorf("wrong whole checksum: %v", err)
	}
	if err := upload(crc(p1+p2), "COMPOSITE"); code(err) != "InvalidRequest" {
		t.Errorf("a checksum of another kind than the upload's: %v", err)
	}
	bare := w.create("k", func(in *s3.CreateMultipartUploadInput) { in.ChecksumAlgorithm = "CRC64NVME" })
	if _, err := w.part("k", bare, 1, p1); code(err) != "InvalidRequest" {
		t.Errorf("a part without the upload's checksum: %v", err)
	}
	if err := upload(crc(p1+p2), "FULL_OBJECT"); err != nil {
		t.Error(err)
	}
	head := must(w.head("k", func(in *s3.HeadObjectInput) { in.ChecksumMode = "ENABLED" }))(t)
	if head.ChecksumType != "FULL_OBJECT" || *head.ChecksumCRC64NVME != *crc(p1 + p2) {
		t.Errorf("HEAD: %+v", head)
	}
	// A copy has its own checksum of the whole, whatever the source's was.
	id := w.create("c", func(in *s3.CreateMultipartUploadInput) { in.ChecksumAlgorithm = "SHA256" })
	var parts []types.CompletedPart
	for i, body := range []string{p1, p2} {
		out := must(w.part("c", id, i+1, body, func(in *s3.UploadPartInput) { in.ChecksumAlgorithm = "SHA256" }))(t)
		parts = append(parts, types.CompletedPart{PartNumber: aws.Int32(int32(i + 1)), ETag: out.ETag, ChecksumSHA256: out.ChecksumSHA256})
	}
	must(w.complete("c", id, parts))(t)
	if o, _ := w.Object("b", "c"); o.ChecksumType != "COMPOSITE" || !strings.HasSuffix(o.Checksum, "-2") {
		t.Errorf("composite: %+v", o)
	}
	must(w.selfCopy("c"))(t)
	if o, _ := w.Object("b", "c"); o.ChecksumType != "FULL_OBJECT" || o.ChecksumAlgorithm != "SHA256" || strings.Contains(o.Checksum, "-") {
		t.Errorf("after the copy: %+v", o)
	}
	for _, bad := range [][2]string{{"SHA256", "FULL_OBJECT"}, {"CRC64NVME", "COMPOSITE"}} {
		_, err := w.c.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: bucket, Key: aws.String("k"),
			ChecksumAlgorithm: types.ChecksumAlgorithm(bad[0]), ChecksumType: types.ChecksumType(bad[1])})
		if code(err) != "InvalidRequest" {
			t.Errorf("%v: %v", bad, err)
		}
	}
}

func TestUploadPartCopy(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	must(w.put("from", "0123456789"))(t)
	id := w.create("k")
	part := func(n int32, change func(*s3.UploadPartCopyInput)) (*s3.UploadPartCopyOutput, error) {
		in := &s3.UploadPartCopyInput{Bucket: bucket, Key: aws.String("k"), UploadId: id, PartNumber: &n, CopySource: aws.String("b/from")}
		change(in)
		return w.c.UploadPartCopy(t.Context(), in)
	}
	one := must(part(1, func(in *s3.UploadPartCopyInput) { in.CopySourceRange = aws.String("bytes=0-5") }))(t)
	two := must(part(2, func(*s3.UploadPartCopyInput) {}))(t)
	if kind(one.CopyPartResult.ETag, "012345") != "md5" || kind(two.CopyPartResult.ETag, "0123456789") != "md5" {
		t.Errorf("ETags: %s %s", *one.CopyPartResult.ETag, *two.CopyPartResult.ETag)
	}
	must(w.complete("k", id, []types.CompletedPart{{PartNumber: aws.Int32(1), ETag: one.CopyPartResult.ETag}, {PartNumber: aws.Int32(2), ETag: two.CopyPartResult.ETag}}))(t)
	if got := must(w.get("k"))(t); got != "0123450123456789" {
		t.Errorf("content: %q", got)
	}
}

func TestListParts(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	id := w.create("k&<>", func(in *s3.CreateMultipartUploadInput) { in.StorageClass = "STANDARD_IA" })
	for _, n := range []int{7, 3, 10000, 1, 4} {
		must(w.part("k&<>", id, n, fmt.Sprint(n)))(t)
	}
	for size := int32(1); size <= 6; size++ {
		pages := s3.NewListPartsPaginator(w.c, &s3.ListPartsInput{Bucket: bucket, Key: aws.String("k&<>"), UploadId: id, MaxParts: &size})
		var got []string
		n := int32(0)
		for ; pages.HasMorePages(); n++ {
			page := must(pages.NextPage(t.Context()))(t)
			if *page.Key != "k&<>" || page.StorageClass != "STANDARD_IA" {
				t.Errorf("page: %+v", page)
			}
			for _, p := range page.Parts {
				got = append(got, fmt.Sprint(*p.PartNumber, " ", *p.Size, " ", kind(p.ETag, fmt.Sprint(*p.PartNumber))))
			}
		}
		if diff := cmp.Diff([]string{"1 1 md5", "3 1 md5", "4 1 md5", "7 1 md5", "10000 5 md5"}, got); diff != "" {
			t.Error(diff)
		}
		if want := (5 + size - 1) / size; n != want {
			t.Errorf("pages of %d: got %d, want %d", size, n, want)
		}
	}
}

// By key, and then in the order of their making, even within one tick.
func TestListMultipartUploads(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	var want []string
	ids := map[string][]string{}
	for range 2 {
		for _, key := range []string{"k2", "k", "k/x", "j"} {
			ids[key] = append(ids[key], *w.create(key))
		}
	}
	for _, key := range []string{"j", "k", "k/x", "k2"} {
		for _, id := range ids[key] {
			want = append(want, key+" "+id)
		}
	}
	list := func(prefix string, size int32) (got []string) {
		pages := s3.NewListMultipartUploadsPaginator(w.c, &s3.ListMultipartUploadsInput{Bucket: bucket, MaxUploads: &size, Prefix: &prefix})
		for pages.HasMorePages() {
			page := must(pages.NextPage(t.Context()))(t)
			if len(page.Uploads) > int(size) {
				t.Errorf("a page of %d", len(page.Uploads))
			}
			for _, u := range page.Uploads {
				got = append(got, *u.Key+" "+*u.UploadId)
				if !u.Initiated.Equal(w.clock.now()) {
					t.Errorf("initiated %v", u.Initiated)
				}
			}
		}
		return got
	}
	for size := int32(1); size <= 9; size++ {
		if diff := cmp.Diff(want, list("", size)); diff != "" {
			t.Errorf("pages of %d: %s", size, diff)
		}
		if diff := cmp.Diff(want[2:], list("k", size)); diff != "" {
			t.Errorf("prefix k, pages of %d: %s", size, diff)
		}
	}
	var seen []string
	for _, u := range w.Uploads("b") {
		seen = append(seen, u.Key+" "+u.UploadID)
	}
	if diff := cmp.Diff(want, seen); diff != "" {
		t.Error(diff)
	}
	must(0, w.abort("k", aws.String(ids["k"][0])))(t)
	if got := list("k", 1000); len(got) != 5 || got[0] != want[3] {
		t.Errorf("after an abort: %q", got)
	}
}

func TestListObjects(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	for _, key := range []string{"a", "b/1", "b/2", "b/c/3", "d", "ü x"} {
		w.Put("b", key, []byte(key))
	}
	for _, tt := range []struct {
		prefix, delimiter, after string
		want                     string
	}{
		{"", "", "", "a b/1 b/2 b/c/3 d ü x"},
		{"b/", "", "", "b/1 b/2 b/c/3"},
		{"", "/", "", "a b// d ü x"},
		{"b/", "/", "", "b/1 b/2 b/c//"},
		{"", "", "b/1", "b/2 b/c/3 d ü x"},
		{"", "/", "b/1", "b// d ü x"},
		{"nope", "", "", ""},
	} {
		for size := int32(1); size <= 7; size++ {
			pages := s3.NewListObjectsV2Paginator(w.c, &s3.ListObjectsV2Input{Bucket: bucket, MaxKeys: &size, Prefix: &tt.prefix,
				Delimiter: &tt.delimiter, StartAfter: &tt.after})
			var got []string
			for pages.HasMorePages() {
				page := must(pages.NextPage(t.Context()))(t)
				if int(*page.KeyCount) != len(page.Contents)+len(page.CommonPrefixes) || *page.KeyCount > size {
					t.Errorf("page: %+v", page)
				}
				var items []string
				for _, o := range page.Contents {
					items = append(items, *o.Key)
					if kind(o.ETag, *o.Key) != "md5" || *o.Size != int64(len(*o.Key)) {
						t.Errorf("%+v", o)
					}
				}
				for _, p := range page.CommonPrefixes {
					items = append(items, *p.Prefix+"/")
				}
				got = append(got, items...)
			}
			if size == 1 || tt.delimiter == "" { // within a page, prefixes come after keys
				if joined := strings.Join(got, " "); joined != tt.want {
					t.Errorf("%+v, pages of %d: got %q", tt, size, joined)
				}
			} else if len(strings.Join(got, " ")) != len(tt.want) {
				t.Errorf("%+v, pages of %d: got %q", tt, size, got)
			}
		}
	}
	// The SDK gives back keys as they are written: encoded, if that is asked for.
	out := must(w.c.ListObjectsV2(t.Context(), &s3.ListObjectsV2Input{Bucket: bucket, Prefix: aws.String("ü"), EncodingType: "url"}))(t)
	if *out.Contents[0].Key != "%C3%BC%20x" || out.EncodingType != "url" {
		t.Errorf("encoded: %+v", out)
	}
}
