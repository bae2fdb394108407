package s3test

import (
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
	"unicode"
)

// Options are what a server is made of. The zero value is Amazon S3 in
// us-east-1 with one pair of keys and everything in memory.
type Options struct {
	AccessKey    string // default AKIAS3TEST
	SecretKey    string // default s3test-secret
	SessionToken string // if set, requests must carry it
	Public       bool   // requests without a signature are served too

	// Region is the server's own (default us-east-1). A request signed for
	// another one is refused as on AWS, with the right one in the answer.
	Region string
	// Domain ends the Host header of virtual-host style requests
	// (BUCKET.DOMAIN); default s3test.local. BUCKET.localhost works too.
	Domain string

	MinPartSize int64 // of every part but the last; default 5 MiB
	MaxCopySize int64 // of a copy's source; default 5 GiB
	MaxPutSize  int64 // of one PutObject or part; default 5 GiB

	// Discard keeps sizes and MD5s but no bodies, for big files and
	// benchmarks. A Content-MD5 that the client sends is then believed rather
	// than checked, which costs the server nothing; other bodies are hashed.
	// GetObject answers zeros. What only a second look at the bytes could tell
	// is unknown: the MD5 of a multipart object comes from WholeMD5, and where
	// that is nil or says false, a copy keeps the source's ETag; full-object
	// checksums are taken as the client gives them.
	Discard  bool
	WholeMD5 func(bucket, key string) (md5 [16]byte, ok bool)

	// Dir holds the bodies larger than 64 KiB, in a folder of the server's own
	// that Close removes. Empty: everything stays in memory.
	Dir string

	// TLS is https, with a certificate of an authority of the server's own (see
	// CertPool and CAFile) unless there is a Certificate.
	TLS         bool
	Certificate *tls.Certificate
	ClientCAs   *x509.CertPool // if set, clients must show a certificate of one of these
	MaxTLS      uint16         // the highest version, such as tls.VersionTLS12; 0: any

	// Latency and ConnRate imitate a store that is far away: each answer is that late,
	// and each connection takes no more bytes a second. For benchmarks.
	// SlowConn, counted from 1, takes a twentieth of ConnRate.
	Latency  time.Duration
	ConnRate int64
	SlowConn int

	HTTP2 bool // offer HTTP/2 as well (with TLS); faults then end streams, not connections

	// Now is the server's clock: Date, Initiated, LastModified and the age of
	// signatures. Default time.Now.
	Now func() time.Time
	// AnyDate serves signatures of any age, for a Now far from the client's.
	AnyDate bool

	Quirks Quirks

	// Log is called for each request after its answer, from the request's own
	// goroutine.
	Log func(Record)
	// Forget keeps no Records. Count and Log work all the same.
	Forget bool
}

// Quirks are the ways in which other stores differ from Amazon S3; each names
// one that does it. The zero value is Amazon S3. An int is the HTTP status of a
// refusal (501, 405, 403), 0 for none.
type Quirks struct {
	Server string // the Server header, default AmazonS3

	// CopyObject

	SelfCopyKeepsETag        bool     // a self-copy keeps -N; another key and back gives the MD5: versitygw, MinIO before 2025-07-18, Garage
	SelfCopyKeepsChecksummed bool     // the same, only for objects with a full-object checksum and unless the copy asks for one: MinIO
	CopyKeepsETag            bool     // every copy keeps -N: Ceph, SeaweedFS, CloudServer
	CopyRefused              int      // 501: Ceph with default encryption; 403: a policy; 405: old gateways
	CopyMistakesQuestionMark bool     // a source whose key holds ?versionId=, however it is escaped, is 400 InvalidArgument: versitygw
	CopyIgnoresConditions    bool     // x-amz-copy-source-if-*: Ceph 16, moto, gofakes3, s3rver
	CopyIgnoresDestination   bool     // If-Match and If-None-Match on the copy's target: all measured but SeaweedFS
	CopyMergesHeaders        bool     // with REPLACE, headers that are not restated stay: gofakes3
	SelfCopyMergesHeaders    bool     // a self-copy with REPLACE keeps Cache-Control and Content-Disposition that are not restated: versitygw
	CopyOntoItselfAllowed    bool     // a self-copy that changes nothing: gofakes3
	CopyUpdatesInPlace       bool     // a self-copy keeps the version id and LastModified: versitygw
	CopyNoVersionID          bool     // no version id in the answer: Ceph 16, rclone's gofakes3
	CopyNoETag               bool     // no ETag in the answer: rclone serve s3
	CopyETagUnquoted         bool     // Ceph 16, SeaweedFS
	CopyKeepsStorageClass    bool     // SeaweedFS, gofakes3
	CopyLoses                []string // headers that a copy drops although it restates them: gateways
	CopyChecksumOfNothing    bool     // x-amz-checksum-algorithm stores the checksum of no bytes: versitygw 1.8.0

	// ETags

	PlainETag        bool // Complete makes the plain MD5 at once: rclone serve s3, s3rver
	PlainETagOnHead  bool // Complete answers -N, HEAD the plain MD5: gofakes3
	KMSByDefault     bool // the bucket encrypts with aws:kms: ETags are 32 hex digits but no MD5
	OpaqueETags      bool // the same with nothing in the headers that says so: Google Cloud Storage, proxies
	HeadETagUnquoted bool // gateways
	CompleteNoETag   bool // <ETag></ETag>: Ceph 16
	PartNoETag       bool // proxies that drop headers

	// Listings

	ListUploadsRefused   int  // 501: s3rver; 403: a policy
	ListUploadsNever404  bool // 404 NoSuchUpload for a bucket that never had an upload: rclone serve s3, gofakes3
	ListUploadsExactKey  bool // a prefix finds only the upload of exactly that key: MinIO
	ListUploadsStuck     bool // truncated, without the next markers: SeaweedFS
	ListUploadsUnpaged   bool // max-uploads is ignored: moto
	UploadIDMarkerFails  bool // 400 for the server's own NextUploadIdMarker: versitygw
	InitiatedMissing     bool // SeaweedFS
	InitiatedWrong       bool // always 2010-11-10: moto
	InitiatedIsLastPart  bool // the time of the newest part: versitygw
	ListPartsRefused     int  // 405: s3rver
	ListPartsStuck       bool // pages that never end: SeaweedFS at MaxParts=1
	ListPartsNoChecksums bool // Ceph, moto, rclone's gofakes3
	ListObjectsPlain     bool // encoding-type is ignored, and no answer says so: older stores
	ListObjectsMangled   bool // with ListObjectsPlain: characters that XML cannot hold are U+FFFD: versitygw

	DeleteObjectsRefused int // 501: Google Cloud Storage, gateways

	// Uploads that are gone

	GoneUploadListsEmpty bool // ListParts answers 200 without parts: SeaweedFS
	GoneUploadNoSuchKey  bool // ListParts answers NoSuchKey: Ceph 16
	GoneUploadIs500      bool // Complete answers InternalError: Ceph 16
	AbortTwiceOK         bool // MinIO, SeaweedFS
	AbortRefused         int  // 405: s3rver
	AbortsNeeded         int  // the upload is gone only after so many aborts: AWS, while parts are in flight

	// Parts and Complete

	CompleteOnce               bool // repeating it is NoSuchUpload: MinIO, gofakes3
	CompleteIgnoresConditions  bool // If-Match and If-None-Match: Ceph 16, gofakes3, s3rver
	CompleteIgnoresObjectSize  bool // x-amz-mp-object-size: all measured but versitygw
	CompleteRefusesSubset      bool // every stored part must be named: Ceph 16, rclone serve s3
	CompleteRefusesGaps        bool // part numbers must be 1..N: rclone serve s3
	CompleteRefusesUnequal     bool // all parts but the last must be of one size: Cloudflare R2
	ContentMD5Ignored          bool // a wrong one is accepted: moto, s3rver
	BadDigestEndsUpload        bool // rclone serve s3
	PartOnce                   bool // storing a part again is 501: rclone serve s3
	ChunkedStored              bool // aws-chunked framing is stored as data: gofakes3, s3rver
	ChunkedRefused             bool // aws-chunked is XAmzContentSHA256Mismatch: Ceph 16
	HeadIgnoresPartNumber      bool // Ceph 16, gofakes3, s3rver
	HeadTellsPartChecksum      bool // of a part, HEAD tells its checksum rather than the object's: MinIO
	AttributesRefused          int  // GetObjectAttributes: 501, older gateways; 403, a policy
	AttributesListAllParts     bool // also those of an object without a checksum: MinIO, rclone serve s3
	AttributesListNoParts      bool // whatever checksum it has: versitygw
	TagsOnCreateLost           bool // Ceph 16
	MetadataEncoded            bool // metadata that is not ASCII is read as RFC 2047 has it: Amazon, MinIO
	PutIgnoresConditions       bool // s3rver
	PutIfMatchUnquoted         bool // a quoted If-Match never matches: Ceph 16
	PartChecksumsNotOnComplete bool // checksums of parts are not required in Complete: gofakes3, Ceph

	ChecksumsIgnored        bool // x-amz-checksum-* are not looked at and not kept, and no answer tells of them: older Ceph, gateways
	ChecksumsRefused        int  // asking for a checksum: 501 or 400, older gateways
	CompleteIgnoresChecksum bool // that of the whole is not compared: gateways

	// Buckets

	Versioned           bool // every bucket has versioning on
	VersioningSuspended bool // or had: the version of all that is written is "null"
	StorageClassRefused bool // any but STANDARD and REDUCED_REDUNDANCY is 400: MinIO
	StorageClassIgnored bool // versitygw, rclone serve s3
	PutKeepsProperties  bool // what replaces an object in one piece keeps its headers, metadata and tags that are not restated: versitygw
	AccessIgnored       bool // nothing is kept of ACLs and grants: MinIO, versitygw, rclone serve s3
	BucketOwnerEnforced bool // ACLs are refused: buckets of Amazon's since 2023-04, unless set up otherwise
	ObjectLockIgnored   bool // nothing is locked and no answer says so: gateways that drop what they do not know
	SSEIgnored          bool // nothing is encrypted and no answer says so: versitygw, Ceph, rclone
	SSERefused          bool // asking for encryption is 501: MinIO without a KMS

	RequesterPays bool   // requests that do not say that they pay are refused
	Owner         string // the account that owns all buckets: an x-amz-expected-bucket-owner that is another one is refused
	FrontEnd      bool   // a proxy changes Accept-Encoding, and x-id is refused: Google Cloud Storage

	// Deny lists actions that the credentials lack, such as s3:GetObject,
	// s3:ListBucketMultipartUploads, s3:AbortMultipartUpload.
	Deny []string
}

// Store returns the quirks of a store as SERVERS.md has them; see StoreNames.
// The name "aws" has none.
func Store(name string) (Quirks, bool) {
	q, ok := stores[name]
	return q, ok
}

// StoreNames lists the names that Store knows, sorted.
func StoreNames() []string {
	var names []string
	for name := range stores {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}

var stores = map[string]Quirks{
	"aws": {},
	"minio": {Server: "MinIO", HeadTellsPartChecksum: true, AttributesListAllParts: true, SelfCopyKeepsChecksummed: true, CopyIgnoresDestination: true, ListUploadsExactKey: true,
		AbortTwiceOK: true, CompleteOnce: true, CompleteIgnoresObjectSize: true, StorageClassRefused: true, AccessIgnored: true, SSERefused: true, SSEIgnored: true},
	"minio-old": {Server: "MinIO", HeadTellsPartChecksum: true, AttributesListAllParts: true, SelfCopyKeepsETag: true, CopyIgnoresDestination: true, ListUploadsExactKey: true,
		AbortTwiceOK: true, CompleteOnce: true, CompleteIgnoresObjectSize: true, StorageClassRefused: true, AccessIgnored: true, SSERefused: true, SSEIgnored: true},
	"versitygw": {Server: "VERSITYGW", AttributesListNoParts: true, SelfCopyKeepsETag: true, CopyMistakesQuestionMark: true, CopyIgnoresDestination: true, SelfCopyMergesHeaders: true,
		CopyUpdatesInPlace: true, CopyChecksumOfNothing: true, UploadIDMarkerFails: true, InitiatedIsLastPart: true,
		StorageClassIgnored: true, PutKeepsProperties: true, AccessIgnored: true, SSEIgnored: true},
	"seaweedfs": {Server: "SeaweedFS", CopyKeepsETag: true, CopyETagUnquoted: true, CopyKeepsStorageClass: true,
		ListUploadsStuck: true, InitiatedMissing: true, GoneUploadListsEmpty: true, AbortTwiceOK: true,
		CompleteIgnoresObjectSize: true, SSEIgnored: true},
	"ceph": {CopyKeepsETag: true, CopyIgnoresConditions: true, CopyIgnoresDestination: true, CopyNoVersionID: true,
		CopyETagUnquoted: true, CompleteNoETag: true, ListPartsNoChecksums: true, GoneUploadNoSuchKey: true, GoneUploadIs500: true,
		CompleteIgnoresConditions: true, CompleteIgnoresObjectSize: true, CompleteRefusesSubset: true, ChunkedRefused: true,
		HeadIgnoresPartNumber: true, TagsOnCreateLost: true, SSEIgnored: true, PartChecksumsNotOnComplete: true,
		PutIfMatchUnquoted: true},
	"rclone": {PlainETag: true, AttributesListAllParts: true, ListUploadsNever404: true, CopyNoETag: true, CopyIgnoresDestination: true, CompleteIgnoresObjectSize: true,
		CompleteRefusesSubset: true, CompleteRefusesGaps: true, BadDigestEndsUpload: true, PartOnce: true,
		StorageClassIgnored: true, AccessIgnored: true, SSEIgnored: true, PartChecksumsNotOnComplete: true},
	"gofakes3": {PlainETagOnHead: true, ListUploadsNever404: true, CopyIgnoresConditions: true, CopyIgnoresDestination: true, CopyMergesHeaders: true,
		CopyOntoItselfAllowed: true, CopyKeepsStorageClass: true, CompleteOnce: true, CompleteIgnoresConditions: true,
		CompleteIgnoresObjectSize: true, ChunkedStored: true, HeadIgnoresPartNumber: true, SSEIgnored: true, PartChecksumsNotOnComplete: true},
	"moto": {CopyIgnoresConditions: true, CopyIgnoresDestination: true, ListUploadsUnpaged: true, InitiatedWrong: true,
		ListPartsNoChecksums: true, CompleteIgnoresObjectSize: true, ContentMD5Ignored: true, SSEIgnored: true},
	"s3rver": {PlainETag: true, CopyIgnoresConditions: true, CopyIgnoresDestination: true, ListUploadsRefused: 501,
		ListPartsRefused: 405, AbortRefused: 405, CompleteIgnoresConditions: true, CompleteIgnoresObjectSize: true,
		ContentMD5Ignored: true, ChunkedStored: true, HeadIgnoresPartNumber: true, PutIgnoresConditions: true, SSEIgnored: true},
	"r2": {CompleteRefusesUnequal: true, SSEIgnored: true},
}

// Set changes one quirk by its name in kebab case: "self-copy-keeps-etag",
// "copy-refused=501", "deny=s3:GetObject" (which adds to the list).
func (q *Quirks) Set(text string) error {
	name, value, given := strings.Cut(text, "=")
	v := reflect.ValueOf(q).Elem()
	for i := range v.NumField() {
		if kebab(v.Type().Field(i).Name) != name {
			continue
		}
		switch f := v.Field(i); f.Kind() {
		case reflect.Bool:
			if given && value != "true" && value != "false" {
				return fmt.Errorf("quirk %q: true or false expected", text)
			}
			f.SetBool(value != "false")
		case reflect.Int:
			n, err := strconv.Atoi(value)
			if err != nil {
				return fmt.Errorf("quirk %q: a number expected, as in %s=501", text, name)
			}
			f.SetInt(int64(n))
		case reflect.String:
			f.SetString(value)
		case reflect.Slice:
			f.Set(reflect.Append(f, reflect.ValueOf(value)))
		}
		return nil
	}
	return fmt.Errorf("quirk %q is unknown; known are %s", name, strings.Join(QuirkNames(), ", "))
}

// QuirkNames lists the names that Set takes, in the order of the fields.
func QuirkNames() []string {
	var names []string
	for f := range reflect.TypeFor[Quirks]().Fields() {
		names = append(names, kebab(f.Name))
	}
	return names
}

// kebab turns SelfCopyKeepsETag into self-copy-keeps-etag.
func kebab(name string) string {
	name = strings.NewReplacer("ETag", "Etag").Replace(name)
	var b strings.Builder
	runes := []rune(name)
	for i, r := range runes {
		if unicode.IsUpper(r) && i > 0 &&
			(!unicode.IsUpper(runes[i-1]) || i+1 < len(runes) && unicode.IsLower(runes[i+1])) {
			b.WriteByte('-')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// Permissions lists those that Deny can take away, sorted.
func Permissions() []string {
	known := map[string]bool{
		"s3:PutObjectTagging": true, "s3:PutObjectAcl": true, "s3:PutObjectRetention": true, "s3:PutObjectLegalHold": true,
		"s3:BypassGovernanceRetention": true, "s3:GetObjectVersion": true, "s3:DeleteObjectVersion": true,
		"kms:GenerateDataKey": true, "kms:Decrypt": true,
	}
	for _, op := range operations {
		known[op.action] = true
	}
	delete(known, "")
	return slices.Sorted(maps.Keys(known))
}

func (q *Quirks) denies(action string) bool {
	for _, d := range q.Deny {
		if strings.EqualFold(d, action) {
			return true
		}
	}
	return false
}
