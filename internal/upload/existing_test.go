package upload_test

import (
	"bytes"
	"reflect"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

// seed uploads an object in parts of 1 KiB, and leaves it so.
func (st *stand) seed(t testing.TB, key string, data []byte, p upload.Properties) {
	t.Helper()
	r := st.upload(t, file(t, data), key, normalize(upload.NormalizeOff), func(r *run) { r.Properties = p })
	if r.Err != nil {
		t.Fatal(r.Err)
	}
}

func (st *stand) normalize(t testing.TB, job upload.NormalizeJob, change ...func(*upload.Options)) *upload.Result {
	t.Helper()
	o := st.options()
	for _, f := range change {
		f(&o)
	}
	client := upload.Client(st.store.Client)
	if st.engine != nil {
		client = st.engine
	}
	u, err := upload.New(client, o)
	if err != nil {
		t.Fatal(err)
	}
	if job.Bucket = st.bucket; job.Key == "" {
		job.Key = "k"
	}
	return u.Normalize(t.Context(), &job)
}

func stagedCopies(o *upload.Options) { o.Normalize = upload.NormalizeStaged }

// Whatever an object of parts carries, it carries afterwards, and its ETag is its
// MD5. What no copy can keep is left as it is.
func TestNormalizeKeepsEveryProperty(t *testing.T) {
	cases := map[string]upload.Properties{"none": {}, "metadata that is not ASCII": {Metadata: map[string]string{"city": "Köln €"}},
		"public-read-write": {ACL: "public-read-write"}}
	skips := map[string]upload.Skip{}
	for field := range reflect.TypeFor[upload.Properties]().Fields() {
		p := properties[field.Name]
		var set upload.Properties
		p.set(&set)
		cases[field.Name] = set
		switch {
		case field.Name == "CustomerKey":
			skips[field.Name] = upload.SkipCustomer
		case p.opaque:
			skips[field.Name] = upload.SkipKMS
		case p.locks:
			skips[field.Name] = upload.SkipLocked
		}
	}
	all := upload.Properties{}
	for name, p := range properties {
		if skips[name] == "" && name != "ACL" {
			p.set(&all)
		}
	}
	cases["all"] = all
	for name, set := range cases {
		for _, staged := range []bool{false, true} {
			if staged && skips[name] != "" {
				continue
			}
			t.Run(name+map[bool]string{true: "/staged"}[staged], func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{TLS: name == "CustomerKey", Quirks: s3test.Quirks{MetadataEncoded: true}})
				if skips[name] == upload.SkipLocked {
					st.SetObjectLock(st.bucket, "", 0)
				}
				data := random(3*KiB+7, name)
				st.seed(t, "k", data, set)
				before := st.carried(t, "k", set)
				how := func(*upload.Options) {}
				want := upload.SelfCopy
				if staged {
					how, want = stagedCopies, upload.StagedCopy
				}
				r := st.normalize(t, upload.NormalizeJob{AllowVersions: skips[name] != ""}, how)
				after := st.carried(t, "k", set)
				if skip := skips[name]; skip != "" {
					if r.Err != nil || r.Status != upload.Skipped || r.Skip != skip || aws.ToString(after.ETag) != aws.ToString(before.ETag) {
						t.Errorf("%s %q, %v; want skipped for %q", r.Status, r.Skip, r.Err, skip)
					}
					return
				}
				if set.StorageClass != "" {
					notes(t, r, "S3 bills it for 30 days all the same")
				} else {
					notes(t, r)
				}
				if r.Err != nil || r.Status != upload.NowMD5 || r.Normalized != want || r.ETag != md5Hex(data) || r.MD5 != md5Hex(data) || r.Was != composite(data, KiB) {
					t.Errorf("%s %s, ETag %s, was %s, %v", r.Status, r.Normalized, r.ETag, r.Was, r.Err)
				}
				if got := aws.ToString(after.ETag); got != `"`+md5Hex(data)+`"` {
					t.Errorf("the ETag is %s", got)
				}
				if diff := cmp.Diff(same(before), same(after)); diff != "" {
					t.Errorf("before and after differ:\n%s", diff)
				}
				if keys := st.Objects(st.bucket); len(keys) != 1 {
					t.Errorf("there are %q", keys)
				}
				st.nothingLeft(t, "k")
				if again := st.normalize(t, upload.NormalizeJob{}, how); again.Status != upload.Unchanged || again.ETagKind != upload.ETagMD5 {
					t.Errorf("again: %s, %v", again.Status, again.Err)
				}
			})
		}
	}
}

// same is what has to be the same before and after: all that HEAD shows but for
// the ETag and when it was written, its tags and grants.
func same(c carried) map[string]any {
	head := reflect.ValueOf(*c.HeadObjectOutput)
	m := map[string]any{"tags": c.tags, "grants": c.grants, "stored": c.stored.Metadata}
	for i := range head.NumField() {
		switch name := head.Type().Field(i).Name; name {
		case "ETag", "LastModified", "ResultMetadata", "noSmithyDocumentSerde", "Expires":
		default:
			m[name] = head.Field(i).Interface()
		}
	}
	return m
}

// Each reason to leave an object as it is.
func TestNormalizeSkips(t *testing.T) {
	data := random(3*KiB, "skips")
	parts := func(o *s3test.Object) { o.Parts = []int64{KiB, KiB, KiB} }
	put := func(change ...func(*s3test.Object)) func(*stand) {
		return func(st *stand) { st.Put(st.bucket, "k", data, append([]func(*s3test.Object){parts}, change...)...) }
	}
	for name, test := range map[string]struct {
		quirks s3test.Quirks
		there  func(*stand)
		job    upload.NormalizeJob
		change func(*upload.Options)
		status upload.Status
		skip   upload.Skip
		kind   upload.Kind
		note   string
	}{
		"plain":          {there: put(func(o *s3test.Object) { o.Parts = nil }), status: upload.Unchanged},
		"too large":      {there: put(), change: func(o *upload.Options) { o.Limits.MaxCopy = 3*KiB - 1 }, status: upload.Skipped, skip: upload.SkipLarge},
		"just not":       {there: put(), change: func(o *upload.Options) { o.Limits.MaxCopy = 3 * KiB }, status: upload.NowMD5},
		"KMS":            {there: put(func(o *s3test.Object) { o.SSE = "aws:kms" }), status: upload.Skipped, skip: upload.SkipKMS},
		"archived":       {there: put(func(o *s3test.Object) { o.StorageClass = "GLACIER" }), status: upload.Skipped, skip: upload.SkipArchived},
		"deep archive":   {there: put(func(o *s3test.Object) { o.StorageClass = "DEEP_ARCHIVE" }), status: upload.Skipped, skip: upload.SkipArchived},
		"versions":       {quirks: s3test.Quirks{Versioned: true}, there: put(), status: upload.Skipped, skip: upload.SkipVersions},
		"versions, yes":  {quirks: s3test.Quirks{Versioned: true}, there: put(), job: upload.NormalizeJob{AllowVersions: true}, status: upload.NowMD5, note: "stays behind as a noncurrent one"},
		"staged, kept":   {quirks: s3test.Quirks{Versioned: true}, there: put(), job: upload.NormalizeJob{AllowVersions: true}, change: stagedCopies, status: upload.Skipped, skip: upload.SkipVersions},
		"versions, deny": {quirks: s3test.Quirks{Versioned: true, Deny: []string{"s3:GetObjectRetention"}}, there: put(), job: upload.NormalizeJob{AllowVersions: true}, status: upload.Skipped, skip: upload.SkipLocked, note: "s3:GetObjectRetention"},
		"by default": {there: func(st *stand) { put()(st); st.SetObjectLock(st.bucket, "GOVERNANCE", 1) }, job: upload.NormalizeJob{AllowVersions: true},
			status: upload.Skipped, skip: upload.SkipLocked},
		"opaque":         {there: put(func(o *s3test.Object) { o.ETag = "CJ+x" }), status: upload.Skipped, skip: upload.SkipOpaque},
		"of its own":     {there: put(func(o *s3test.Object) { o.Metadata = map[string]string{"s3up-staging": "1"} }), status: upload.Skipped, skip: upload.SkipStaging},
		"an odd date":    {there: put(func(o *s3test.Object) { o.Expires = "0" }), status: upload.Skipped, skip: upload.SkipHeader, note: `Expires header "0"`},
		"ACL not to see": {quirks: s3test.Quirks{Deny: []string{"s3:GetObjectAcl"}}, there: put(), status: upload.Skipped, skip: upload.SkipACL, note: "s3:GetObjectAcl, and --ignore-acl does without"},
		"ACL ignored":    {quirks: s3test.Quirks{Deny: []string{"s3:GetObjectAcl"}}, there: put(), job: upload.NormalizeJob{IgnoreACL: true}, status: upload.NowMD5},
		"no ACLs":        {quirks: s3test.Quirks{BucketOwnerEnforced: true}, there: put(), status: upload.NowMD5},
		"dry run":        {there: put(), job: upload.NormalizeJob{DryRun: true}, status: upload.WouldNormalize},
		"versions, dry":  {quirks: s3test.Quirks{Versioned: true}, there: put(), job: upload.NormalizeJob{AllowVersions: true, DryRun: true}, status: upload.WouldNormalize, note: "would stay behind as a noncurrent one"},
		"versions, gone": {quirks: s3test.Quirks{Versioned: true}, there: put(), job: upload.NormalizeJob{AllowVersions: true, DryRun: true}, change: func(o *upload.Options) { o.PruneVersion = true }, status: upload.WouldNormalize},
		"a class, dry":   {there: put(func(o *s3test.Object) { o.StorageClass = "GLACIER_IR" }), job: upload.NormalizeJob{DryRun: true}, status: upload.WouldNormalize, note: "and 0 days old: S3 bills it for 90 days"},
		"missing":        {there: func(*stand) {}, status: upload.Failed, kind: upload.NotFound},
		"kept":           {quirks: s3test.Quirks{SelfCopyKeepsETag: true}, there: put(), status: upload.KeptParts, note: "--normalize staged may give it the MD5"},
		"kept, staged":   {quirks: s3test.Quirks{SelfCopyKeepsETag: true}, there: put(), change: stagedCopies, status: upload.NowMD5},
		"kept by all":    {quirks: s3test.Quirks{CopyKeepsETag: true}, there: put(), change: stagedCopies, status: upload.KeptParts, note: "keeps the composite ETag"},
		"denied":         {quirks: s3test.Quirks{CopyRefused: 403}, there: put(), status: upload.Failed, kind: upload.Access},
		"not done":       {quirks: s3test.Quirks{CopyRefused: 501}, there: put(), status: upload.Failed, kind: upload.Other},
		"may not look":   {quirks: s3test.Quirks{Deny: []string{"s3:GetObject"}}, there: put(), status: upload.Failed, kind: upload.Access},
		"odd answers":    {quirks: s3test.Quirks{CopyNoETag: true, HeadETagUnquoted: true}, there: put(), status: upload.NowMD5},
		"another class":  {quirks: s3test.Quirks{StorageClassRefused: true}, there: put(func(o *s3test.Object) { o.StorageClass = "STANDARD_IA" }), status: upload.Failed, kind: upload.Usage, note: "S3 bills it for 30 days"},
		"encryption":     {quirks: s3test.Quirks{SSEIgnored: true}, there: put(), status: upload.Failed, kind: upload.Unprotected},
		"KMS by default": {quirks: s3test.Quirks{KMSByDefault: true}, there: put(func(o *s3test.Object) { o.SSE = "" }), status: upload.KeptParts},
		"and on Amazon":  {quirks: s3test.Quirks{KMSByDefault: true}, there: put(func(o *s3test.Object) { o.SSE = "" }), change: func(o *upload.Options) { o.ServerMD5 = true }, status: upload.NowMD5},
		"a lost header":  {quirks: s3test.Quirks{CopyLoses: []string{"Cache-Control"}}, there: put(func(o *s3test.Object) { o.CacheControl = "no-store" }), status: upload.NowMD5, note: `the copy lost the cache control "no-store"`},
		"lost grants":    {quirks: s3test.Quirks{CopyLoses: []string{"X-Amz-Acl"}}, there: put(func(o *s3test.Object) { o.ACL = "public-read" }), status: upload.NowMD5, note: "the copy changed the grants from "},
		"lost tags":      {quirks: s3test.Quirks{CopyLoses: []string{"X-Amz-Tagging"}}, there: put(func(o *s3test.Object) { o.Tags = map[string]string{"a": "b"} }), status: upload.NowMD5, note: "the copy lost tags"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			st := newStand(t, s3test.Options{Quirks: test.quirks})
			test.there(st)
			if test.change == nil {
				test.change = func(*upload.Options) {}
			}
			r := st.normalize(t, test.job, test.change)
			if r.Status != test.status || r.Skip != test.skip || upload.KindOf(r.Err) != test.kind {
				t.Errorf("%s %q, %v; want %s %q, kind %d", r.Status, r.Skip, r.Err, test.status, test.skip, test.kind)
			}
			if test.note == "" {
				notes(t, r)
			} else {
				notes(t, r, test.note)
			}
			o, there := st.Server.Object(st.bucket, "k")
			changed := there && o.Parts == nil
			if want := test.status == upload.NowMD5 || test.kind == upload.Unprotected || name == "plain" || name == "KMS by default"; changed != want {
				t.Errorf("changed: %v, want %v", changed, want)
			}
			if there && string(o.Bytes()) != string(data) {
				t.Error("it has other bytes")
			}
			if keys := st.Objects(st.bucket); there && len(keys) != 1 {
				t.Errorf("there are %q", keys)
			}
		})
	}
}

// What comes between is told for what it is: somebody else's object is left alone,
// a lost answer is looked into, and other bytes are an integrity failure.
func TestNormalizeMeanwhile(t *testing.T) {
	data, other := random(3*KiB, "mine"), random(3*KiB, "another's")
	for name, test := range map[string]struct {
		quirks s3test.Quirks
		fault  s3test.Fault
		early  func(*stand) // while it is looked at
		then   func(*stand) // before the copy
		after  func(*stand) // after it
		kind   upload.Kind
		status upload.Status
		left   []byte
	}{
		"a lost answer":          {fault: s3test.Fault{Op: "CopyObject", Times: 1, Do: s3test.Lose}, status: upload.NowMD5, left: data},
		"busy for a while":       {fault: s3test.Fault{Op: "CopyObject", Times: 2, Do: s3test.Status, Status: 503}, status: upload.NowMD5, left: data},
		"written before":         {then: func(st *stand) { st.Put(st.bucket, "k", other) }, status: upload.Failed, kind: upload.Conflict, left: other},
		"written early":          {quirks: s3test.Quirks{CopyIgnoresConditions: true}, early: func(st *stand) { st.Put(st.bucket, "k", other) }, status: upload.Failed, kind: upload.Conflict, left: other},
		"deleted early":          {early: func(st *stand) { st.remove(t, "k") }, status: upload.Failed, kind: upload.Conflict},
		"deleted before":         {then: func(st *stand) { st.remove(t, "k") }, status: upload.Failed, kind: upload.Conflict},
		"written after":          {after: func(st *stand) { st.Put(st.bucket, "k", other) }, status: upload.Failed, kind: upload.Conflict, left: other},
		"the condition ignored":  {quirks: s3test.Quirks{CopyIgnoresConditions: true}, status: upload.NowMD5, left: data},
		"other bytes, a sum":     {fault: s3test.Fault{Op: "CopyObject", Times: 1, Do: s3test.CorruptQuiet}, status: upload.Failed, kind: upload.Integrity},
		"another object is read": {quirks: s3test.Quirks{CopyIgnoresConditions: true}, fault: s3test.Fault{Op: "CopyObject", Times: 1, Do: s3test.WrongObject}, status: upload.Failed, kind: upload.Integrity},
	} {
		t.Run(name, func(t *testing.T) {
			st := newStand(t, s3test.Options{Quirks: test.quirks})
			r := st.upload(t, file(t, data), "k", normalize(upload.NormalizeOff), func(r *run) { r.Checksum = upload.SumCRC64NVME })
			if r.Err != nil || r.Checksum == "" {
				t.Fatal(r.Err)
			}
			if name == "another object is read" {
				st.Put(st.bucket, "a", other[:KiB])
			}
			if test.fault.Op != "" {
				st.Fault(test.fault)
			}
			if test.then != nil {
				st.when("CopyObject", 0, func() { test.then(st) })
			}
			if test.early != nil {
				st.when("GetObjectAcl", 0, func() { test.early(st) })
			}
			if test.after != nil {
				st.when("HeadObject", 2, func() { test.after(st) })
			}
			r = st.normalize(t, upload.NormalizeJob{})
			if r.Status != test.status || upload.KindOf(r.Err) != test.kind {
				t.Errorf("%s, %v; want %s, kind %d", r.Status, r.Err, test.status, test.kind)
			}
			if o, there := st.Server.Object(st.bucket, "k"); test.left != nil && (!there || string(o.Bytes()) != string(test.left)) {
				t.Error("it has other bytes in the end")
			}
			if r.Status == upload.NowMD5 && (r.ETag != md5Hex(data) || r.Checksum == "") {
				t.Errorf("ETag %s, checksum %q", r.ETag, r.Checksum)
			}
		})
	}
}

// MinIO rewrites an object with a checksum only if the copy asks for one.
func TestNormalizeMinIO(t *testing.T) {
	quirks, _ := s3test.Store("minio")
	st := newStand(t, s3test.Options{Quirks: quirks})
	st.SetQuirks(func(q *s3test.Quirks) { q.SSEIgnored, q.SSERefused = false, false })
	data := random(3*KiB, "minio")
	r := st.upload(t, file(t, data), "k", normalize(upload.NormalizeOff), func(r *run) { r.Checksum = upload.SumCRC64NVME })
	if r.Err != nil {
		t.Fatal(r.Err)
	}
	was := r.Checksum
	if r = st.normalize(t, upload.NormalizeJob{}); r.Status != upload.NowMD5 || r.ETag != md5Hex(data) || r.Checksum != was || was == "" {
		t.Errorf("%s, ETag %s, checksum %q, was %q, %v", r.Status, r.ETag, r.Checksum, was, r.Err)
	}
}

// A checksum of the whole that is no CRC64NVME tells other bytes as well.
func TestNormalizeOtherSum(t *testing.T) {
	st := newStand(t, s3test.Options{})
	data := random(2*KiB, "crc32")
	up, err := st.client.CreateMultipartUpload(t.Context(), &s3.CreateMultipartUploadInput{Bucket: &st.bucket, Key: aws.String("k"),
		ChecksumAlgorithm: "CRC32", ChecksumType: "FULL_OBJECT"})
	if err != nil {
		t.Fatal(err)
	}
	var parts []types.CompletedPart
	for n := range 2 {
		number := aws.Int32(int32(n + 1))
		part, err := st.client.UploadPart(t.Context(), &s3.UploadPartInput{Bucket: &st.bucket, Key: aws.String("k"), UploadId: up.UploadId,
			PartNumber: number, ChecksumAlgorithm: "CRC32", Body: bytes.NewReader(data[n*KiB : (n+1)*KiB])})
		if err != nil {
			t.Fatal(err)
		}
		parts = append(parts, types.CompletedPart{PartNumber: number, ETag: part.ETag, ChecksumCRC32: part.ChecksumCRC32})
	}
	if _, err := st.client.CompleteMultipartUpload(t.Context(), &s3.CompleteMultipartUploadInput{Bucket: &st.bucket, Key: aws.String("k"),
		UploadId: up.UploadId, MultipartUpload: &types.CompletedMultipartUpload{Parts: parts}}); err != nil {
		t.Fatal(err)
	}
	st.Fault(s3test.Fault{Op: "CopyObject", Times: 1, Do: s3test.CorruptQuiet})
	r := st.normalize(t, upload.NormalizeJob{})
	if upload.KindOf(r.Err) != upload.Integrity || !strings.Contains(r.Err.Error(), "its CRC32 was ") {
		t.Errorf("%s, %v", r.Status, r.Err)
	}
}

func (st *stand) remove(t testing.TB, key string) {
	t.Helper()
	if _, err := st.client.DeleteObject(t.Context(), &s3.DeleteObjectInput{Bucket: &st.bucket, Key: &key}); err != nil {
		t.Fatal(err)
	}
}

func TestForesee(t *testing.T) {
	const plain, parts = "0123456789abcdef0123456789abcdef", `"0123456789abcdef0123456789abcdef-2"`
	for name, test := range map[string]struct {
		key, tag, class string
		size            int64
		want            upload.Skip
	}{
		"plain":        {"k", plain, "STANDARD", 1, ""},
		"parts":        {"k", parts, "STANDARD", 5 << 30, ""},
		"too large":    {"k", parts, "STANDARD", 5<<30 + 1, upload.SkipLarge},
		"archived":     {"k", parts, "DEEP_ARCHIVE", 1, upload.SkipArchived},
		"opaque":       {"k", "x", "", 1, upload.SkipOpaque},
		"staging":      {"a/.s3up-0123456789abcdef-0123456789abcdef", parts, "", 1, upload.SkipStaging},
		"like staging": {"a/.s3up-0123456789abcdef", parts, "", 1, ""},
	} {
		if got := (upload.Limits{}).Foresee(test.key, test.tag, test.size, test.class); got != test.want {
			t.Errorf("%s: %q, want %q", name, got, test.want)
		}
	}
}
