package upload_test

import (
	"bytes"
	"maps"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

func ifChanged(r *run) { r.IfChanged = true }

// What is there already is not sent: whether it is the same is told by the ETag,
// plain or composite, of whatever part size.
func TestIfChanged(t *testing.T) {
	const large, small = 6*KiB + 5, 1000
	for name, test := range map[string]struct {
		size   int64
		part   int64 // of the object that is there; 0: in one piece
		quirks s3test.Quirks
		change func(*run)
		status upload.Status
		notes  []string
		file   bool // a stream is uploaded, with a note
	}{
		"in one piece":                        {size: small, status: upload.Unchanged},
		"large, in one piece":                 {size: large, status: upload.Unchanged, file: true},
		"in other parts, told":                {size: large, part: 2500, status: upload.Unchanged, file: true, notes: []string{"is composite"}},
		"in other parts, guessed":             {size: large, part: 4 * KiB, quirks: s3test.Quirks{HeadIgnoresPartNumber: true}, status: upload.Unchanged, file: true, notes: []string{"is composite"}},
		"in as many other parts":              {size: large, part: KiB + 3, status: upload.Unchanged, file: true, notes: []string{"is composite"}},
		"in other parts, not guessed":         {size: large, part: 2500, quirks: s3test.Quirks{HeadIgnoresPartNumber: true}, status: upload.Uploaded, file: true},
		"small, in one part":                  {size: small, part: small, status: upload.Unchanged, file: true, notes: []string{"is composite"}},
		"in parts, and is to stay so":         {size: large, part: KiB, change: normalize(upload.NormalizeOff), status: upload.Unchanged, file: true},
		"opaque":                              {size: small, quirks: s3test.Quirks{KMSByDefault: true}, status: upload.Uploaded, notes: []string{"cannot be told, because its ETag is no MD5: it is uploaded"}},
		"large, opaque":                       {size: large, quirks: s3test.Quirks{KMSByDefault: true}, status: upload.Uploaded, file: true, notes: []string{"cannot be told, because its ETag is no MD5"}},
		"opaque, and not said so":             {size: small, quirks: s3test.Quirks{OpaqueETags: true}, status: upload.Uploaded, notes: []string{"this store's ETags are not MD5s"}},
		"not to be looked at":                 {size: small, quirks: s3test.Quirks{Deny: []string{"s3:GetObject"}}, status: upload.Uploaded, notes: []string{"may not be looked at, and is uploaded"}},
		"in a bucket that keeps versions":     {size: small, quirks: s3test.Quirks{Versioned: true}, status: upload.Unchanged},
		"to be published, and there in parts": {size: large, part: KiB, change: publish, status: upload.Unchanged, file: true},
	} {
		for _, kind := range sources {
			t.Run(kind.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{Quirks: test.quirks})
				data := random(test.size, "same")
				if test.part > 0 {
					st.completed(t, "k", data, test.part, func(in *s3.CreateMultipartUploadInput) {
						typ := "application/octet-stream"
						in.ContentType = &typ
					})
				} else {
					key, typ := "k", "application/octet-stream"
					if _, err := st.client.PutObject(t.Context(), &s3.PutObjectInput{Bucket: &st.bucket, Key: &key, ContentType: &typ, Body: bytes.NewReader(data)}); err != nil {
						t.Fatal(err)
					}
				}
				before := st.Versions(st.bucket, "k")
				change := test.change
				if change == nil {
					change = func(*run) {}
				}
				r := st.upload(t, kind.of(t, data), "k", ifChanged, change)
				want := test.status
				if test.file && kind.name == aStream.name {
					want = upload.Uploaded
				}
				if r.Err != nil || r.Status != want || r.MD5 != md5Hex(data) || r.Size != test.size {
					t.Fatalf("%s, %v, MD5 %s, size %d; want %s", r.Status, r.Err, r.MD5, r.Size, want)
				}
				if want == upload.Uploaded {
					if kind.name == aFile.name && test.part == 0 {
						notes(t, r, test.notes...)
					}
					return
				}
				notes(t, r, test.notes...)
				sentNothing(t, r)
				if after := st.Versions(st.bucket, "k"); r.ETag != before[0].ETag || r.ETag != after[0].ETag || len(after) != 1 {
					t.Errorf("ETag %s, versions before %v, after %v", r.ETag, before, after)
				}
				wantKind := upload.ETagMD5
				if test.part > 0 {
					wantKind = upload.ETagMultipart
				}
				if r.ETagKind != wantKind || wantKind == upload.ETagMultipart && r.PartSize != min(test.part, test.size) {
					t.Errorf("ETag of kind %s, parts of %d", r.ETagKind, r.PartSize)
				}

				// Other bytes are sent, of the same size or not.
				for _, other := range [][]byte{random(test.size, "other"), data[:test.size-1]} {
					r = st.upload(t, kind.of(t, other), "k", ifChanged, change)
					if r.Err != nil || r.Status != upload.Uploaded || r.BytesSent != int64(len(other)) {
						t.Errorf("other bytes: %s, %v, %d sent", r.Status, r.Err, r.BytesSent)
					}
					st.check(t, r, "k", other)
				}
			})
		}
	}
}

// The same bytes with other properties get those by one copy: any property that
// can be asked for, and only where it is not there.
func TestIfChangedProperties(t *testing.T) {
	for name, p := range properties {
		for _, kind := range sources {
			if p.opaque { // nobody can tell whether it is the same
				continue
			}
			t.Run(kind.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{})
				if p.locks {
					st.SetObjectLock(st.bucket, "", 0)
				}
				data := random(1000, name)
				st.ends(t, st.upload(t, kind.of(t, data), "k"), "k", data, upload.SinglePut)
				asked := func(r *run) { p.set(&r.Properties) }
				r := st.upload(t, kind.of(t, data), "k", ifChanged, asked)
				if r.Err != nil || r.Status != upload.Updated || r.BytesSent != 0 || r.Requests["CopyObject"] != 1 {
					t.Fatalf("%s, %v, requests %v", r.Status, r.Err, r.Requests)
				}
				if got := p.read(st.carried(t, "k", upload.Properties{})); got != p.want {
					t.Errorf("it is %q, want %q", got, p.want)
				}
				if r.ETag != md5Hex(data) || r.ETagKind != upload.ETagMD5 {
					t.Errorf("ETag %s of kind %s", r.ETag, r.ETagKind)
				}
				if p.locks {
					notes(t, r, "with the properties that it had, stays behind")
				} else {
					notes(t, r)
				}
				want := upload.Unchanged
				if name == "ACL" || name == "Grants" { // HEAD does not show them
					want = upload.Updated
				}
				if r = st.upload(t, kind.of(t, data), "k", ifChanged, asked); r.Err != nil || r.Status != want {
					t.Errorf("once more: %s, %v, want %s", r.Status, r.Err, want)
				}
			})
		}
	}
}

// The copy that sets properties may be lost, refused, or meet somebody else.
func TestIfChangedCopy(t *testing.T) {
	data, theirs := random(1000, "same"), random(1000, "theirs")
	for name, test := range map[string]struct {
		quirks s3test.Quirks
		fault  s3test.Fault
		part   int64
		status upload.Status
		kind   upload.Kind
		n      upload.Normalized
		notes  []string
	}{
		"made":                {status: upload.Updated, n: upload.Already},
		"lost":                {fault: s3test.Fault{Do: s3test.Lose}, status: upload.Updated, n: upload.Already},
		"lost and refused":    {fault: s3test.Fault{Do: s3test.Error200Done, Code: "AccessDenied"}, status: upload.Updated, n: upload.Already},
		"refused":             {fault: s3test.Fault{Do: s3test.Refuse}, status: upload.Uploaded, n: upload.SinglePut, notes: []string{"the copy that would set these was refused (403 AccessDenied): it is uploaded"}},
		"not done":            {quirks: s3test.Quirks{CopyRefused: 501}, status: upload.Uploaded, n: upload.SinglePut, notes: []string{"refused (501 NotImplemented)"}},
		"in parts":            {part: 1000, status: upload.Updated, n: upload.SelfCopy},
		"in parts, kept":      {part: 1000, quirks: s3test.Quirks{SelfCopyKeepsETag: true}, status: upload.Updated, n: upload.Kept},
		"in place":            {quirks: s3test.Quirks{Versioned: true, CopyUpdatesInPlace: true}, status: upload.Updated, n: upload.Already},
		"loses it":            {quirks: s3test.Quirks{CopyLoses: []string{"Cache-Control"}}, status: upload.Updated, n: upload.Already, notes: []string{"has not kept the cache control"}},
		"another object":      {fault: s3test.Fault{Do: s3test.None}, kind: upload.Conflict},
		"the tags, unseen":    {quirks: s3test.Quirks{Deny: []string{"s3:GetObjectTagging"}}, status: upload.Updated, n: upload.Already},
		"credentials expired": {fault: s3test.Fault{Do: s3test.Status, Code: "ExpiredToken", Times: -1}, kind: upload.Access},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStand(t, s3test.Options{Quirks: test.quirks})
			if test.part > 0 {
				st.completed(t, "k", data, test.part)
			} else {
				st.Put(st.bucket, "k", data)
			}
			if test.fault.Do != s3test.None || test.kind == upload.Conflict {
				test.fault.Op = "CopyObject"
				if test.kind == upload.Conflict {
					test.fault.Hook = func() { st.Put(st.bucket, "k", theirs) }
				}
				st.Fault(test.fault)
			}
			r := st.upload(t, file(t, data), "k", ifChanged, func(r *run) {
				r.CacheControl, r.Tags = "no-store", map[string]string{"a": "1"}
			})
			if upload.KindOf(r.Err) != test.kind || test.status != "" && r.Status != test.status || r.Normalized != test.n {
				t.Fatalf("%s, normalized %s, error %v of kind %d; want %s, %s, %d", r.Status, r.Normalized, r.Err, upload.KindOf(r.Err), test.status, test.n, test.kind)
			}
			if test.kind != upload.Other {
				if r.Status != upload.Failed {
					t.Errorf("status %s", r.Status)
				}
				return
			}
			notes(t, r, test.notes...)
			o := st.object(t, "k")
			if !bytes.Equal(o.body, data) || o.cacheControl != "no-store" && name != "loses it" || r.ETag != o.etag {
				t.Errorf("cache control %q, ETag %s, the result says %s", o.cacheControl, o.etag, r.ETag)
			}
		})
	}
	// Tags that nobody asked for stay.
	st := newStand(t, s3test.Options{})
	st.Put(st.bucket, "k", data, func(o *s3test.Object) { o.Tags = map[string]string{"scanned": "yes"} })
	r := st.upload(t, file(t, data), "k", ifChanged, func(r *run) { r.CacheControl = "no-store" })
	if o, _ := st.Server.Object(st.bucket, "k"); r.Status != upload.Updated || !maps.Equal(o.Tags, map[string]string{"scanned": "yes"}) {
		t.Errorf("%s, %v, tags %v", r.Status, r.Err, o.Tags)
	}
}

// Too large for a copy, and encrypted otherwise than it is to be.
func TestIfChangedUploads(t *testing.T) {
	st := newStand(t, s3test.Options{})
	data := random(3*KiB, "large")
	st.Put(st.bucket, "k", data)
	r := st.upload(t, file(t, data), "k", ifChanged, func(r *run) { r.Limits.MaxCopy, r.CacheControl = 2*KiB, "x" })
	st.ends(t, r, "k", data, upload.TooLarge)
	if len(r.Notes) != 2 || !strings.Contains(r.Notes[0], "is too large to be given these by a copy: it is uploaded") {
		t.Errorf("notes %q", r.Notes)
	}
	// The bucket's default has become KMS: the copy encrypts.
	r = st.upload(t, file(t, data), "k", func(r *run) { r.SSE = "AES256" })
	st.ends(t, r, "k", data, upload.SelfCopy)
	r = st.upload(t, file(t, data), "k", ifChanged, func(r *run) { r.SSE = "aws:kms" })
	if r.Err != nil || r.Status != upload.Updated || r.ETagKind != upload.ETagOpaque {
		t.Errorf("%s, %v, ETag of kind %s", r.Status, r.Err, r.ETagKind)
	}
	if o, _ := st.Server.Object(st.bucket, "k"); o.SSE != "aws:kms" {
		t.Errorf("encrypted with %q", o.SSE)
	}
}

// Where no ETag is an MD5, the store's checksum tells; to whoever may see it.
func TestIfChangedByChecksum(t *testing.T) {
	for _, size := range []int64{1000, 6*KiB + 5} {
		st := newStand(t, s3test.Options{Quirks: s3test.Quirks{KMSByDefault: true}})
		data := random(size, "summed")
		st.upload(t, file(t, data), "k", checksum(upload.SumCRC64NVME))
		r := st.upload(t, file(t, data), "k", ifChanged)
		if r.Err != nil || r.Status != upload.Unchanged || r.By != upload.ByChecksum || r.ETagKind != upload.ETagOpaque || r.Normalized != upload.Opaque || r.MD5 != md5Hex(data) {
			t.Errorf("%d bytes: %s by %q, %v, ETag of kind %s, normalized %s, MD5 %s", size, r.Status, r.By, r.Err, r.ETagKind, r.Normalized, r.MD5)
		}
		sentNothing(t, r)
		r = st.upload(t, file(t, data), "k", ifChanged, func(r *run) { r.CacheControl, r.Checksum = "ours", upload.SumCRC64NVME })
		o, _ := st.Server.Object(st.bucket, "k")
		if r.Err != nil || r.Status != upload.Updated || r.BytesSent != 0 || o.CacheControl != "ours" || r.ETagKind != upload.ETagOpaque {
			t.Errorf("%d bytes, with other properties: %s, %v, %q, ETag of kind %s (%q)", size, r.Status, r.Err, o.CacheControl, r.ETagKind, r.Notes)
		}
		st.upload(t, file(t, data), "k", checksum(upload.SumCRC64NVME))
		other := random(size, "others")
		if r = st.upload(t, file(t, other), "k", ifChanged, checksum(upload.SumCRC64NVME)); r.Err != nil || r.Status != upload.Uploaded || r.BytesSent != size {
			t.Errorf("%d other bytes: %s, %v, %d sent", size, r.Status, r.Err, r.BytesSent)
		}
		st.SetQuirks(func(q *s3test.Quirks) { q.Deny = []string{"kms:Decrypt"} })
		r = st.upload(t, file(t, other), "k", ifChanged)
		if size == 1000 && (r.Err != nil || r.Status != upload.Uploaded) { // parts are not taken from those who may not decrypt
			t.Errorf("%d bytes whose checksum may not be seen: %s, %v", size, r.Status, r.Err)
		}
	}
}
