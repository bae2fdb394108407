package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
	"unicode/utf16"

	"s3up/internal/upload"
)

// schema is the version of the JSON lines. Fields are only ever added.
const schema = 1

// A fileLine is what --json says of one source.
type fileLine struct {
	V              int            `json:"v"`
	Type           string         `json:"type"` // file
	Op             string         `json:"op"`   // upload, normalize
	Source         string         `json:"source"`
	Bucket         string         `json:"bucket"`
	Key            string         `json:"key"`
	Size           *int64         `json:"size"` // null: a stream that failed before its end
	Status         upload.Status  `json:"status"`
	MD5            string         `json:"md5"`
	ETag           string         `json:"etag"`
	ETagKind       string         `json:"etag_kind"`
	Normalized     string         `json:"normalized"`
	VersionID      string         `json:"version_id"`
	ContentType    string         `json:"content_type"`
	Parts          int            `json:"parts"`
	PartSize       int64          `json:"part_size"`
	PartsResumed   int            `json:"parts_resumed"`
	BytesSent      int64          `json:"bytes_sent"`
	Requests       map[string]int `json:"requests"`
	UploadsAborted int            `json:"uploads_aborted"`
	DurationMS     int64          `json:"duration_ms"`

	// The store's checksum of all bytes, in base64, which is that of the bytes that
	// were read.
	Checksum          string     `json:"checksum,omitempty"`
	ChecksumAlgorithm string     `json:"checksum_algorithm,omitempty"`
	Published         bool       `json:"published,omitempty"`      // by a copy from its staging key
	Pruned            string     `json:"pruned_version,omitempty"` // the version of parts that was deleted
	Found             *foundLine `json:"found,omitempty"`          // what was there, if a condition did not hold

	Why      string       `json:"why,omitempty"`      // it was sent, or skipped
	Evidence upload.Proof `json:"evidence,omitempty"` // that what was there is the same

	ETagReason string `json:"etag_reason,omitempty"` // for being no MD5, in words

	Locked    bool     `json:"locked,omitempty"`  // and not copied for that reason
	Lacking   bool     `json:"lacking,omitempty"` // of the properties that were asked for
	Notes     []string `json:"notes,omitempty"`
	Resumable bool     `json:"resumable,omitempty"` // failed, and the same command goes on with what was sent

	// Of a file that failed, or whose ETag is not what --require-md5 wants.
	ExitCode  int    `json:"exit_code,omitempty"`
	Error     string `json:"error,omitempty"`
	ErrorCode string `json:"error_code,omitempty"` // the store's, or the name of the exit code
	Hint      string `json:"hint,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

// A summaryLine is the last line of --json.
type summaryLine struct {
	V          int    `json:"v"`
	Type       string `json:"type"` // summary
	Uploaded   int    `json:"uploaded"`
	Unchanged  int    `json:"unchanged"`
	Skipped    int    `json:"skipped"`
	Failed     int    `json:"failed"`
	Bytes      int64  `json:"bytes"`
	BytesSent  int64  `json:"bytes_sent"`
	DurationMS int64  `json:"duration_ms"`
	Exit       int    `json:"exit"`

	Updated     int `json:"updated,omitempty"`
	WouldUpload int `json:"would_upload,omitempty"` // a dry run
	wouldSend   int64

	Deleted     int `json:"deleted,omitempty"`
	WouldDelete int `json:"would_delete,omitempty"` // a dry run
	NotDeleted  int `json:"not_deleted,omitempty"`  // objects without a file that --delete left, or could not delete

	Normalized     int `json:"normalized,omitempty"`      // they were unchanged, and have their MD5 as ETag now
	WouldNormalize int `json:"would_normalize,omitempty"` // a dry run

	Errors int      `json:"errors,omitempty"` // that concern the run and no single file
	Notes  []string `json:"notes,omitempty"`  // likewise
}

func newFileLine(t *task, r *upload.Result, p *problem) fileLine {
	l := fileLine{
		V: schema, Type: "file", Op: "upload",
		Source: t.source, Bucket: r.Job.Bucket, Key: r.Job.Key,
		Status: r.Status, MD5: r.MD5, ETag: r.ETag, ETagKind: string(r.ETagKind), Normalized: string(r.Normalized),
		VersionID: r.VersionID, ContentType: r.ContentType,
		Parts: r.Parts, PartSize: r.PartSize, PartsResumed: r.PartsResumed, BytesSent: r.BytesSent,
		Requests: r.Requests, UploadsAborted: r.UploadsAborted, DurationMS: r.Duration.Milliseconds(),
		Checksum: r.Checksum, ChecksumAlgorithm: r.ChecksumAlgorithm,
		Published: r.Published, Pruned: r.Pruned, Found: newFoundLine(r.Found),
		Why: t.why, Evidence: evidenceOf(r), Locked: r.Locked, Lacking: r.Lacking, Notes: r.Notes, Resumable: r.Resumable,
	}
	if r.Size >= 0 {
		l.Size = &r.Size
	}
	if isStored(r) && r.ETagKind != upload.ETagMD5 {
		l.ETagReason = whyNotMD5(r)
	}
	if r.Status == upload.NowMD5 || r.Status == upload.WouldNormalize {
		l.Op = "normalize"
	}
	if l.Requests == nil {
		l.Requests = map[string]int{}
	}
	if p != nil {
		l.ExitCode, l.Error, l.ErrorCode, l.Hint, l.RequestID = p.exit, p.why, p.code, p.hint, p.requestID
	}
	return l
}

// evidenceOf is what showed that an object need not be sent, if it was not.
func evidenceOf(r *upload.Result) upload.Proof {
	if r.Err != nil || r.Status == upload.Uploaded || r.Status == upload.Skipped {
		return ""
	}
	return r.By
}

// jsonLine encodes a line. Keys are for people to read too: "&" stays "&". What
// would act on a terminal is escaped, beyond what JSON asks for; bytes of a name
// that are no UTF-8 become U+FFFD.
func jsonLine(v any) string {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		panic(err) // of strings and numbers alone
	}
	line := strings.TrimSuffix(b.String(), "\n")
	if isPlain(line) {
		return line
	}
	var escaped strings.Builder
	for _, r := range line {
		if !isControl(r) {
			escaped.WriteRune(r)
			continue
		}
		for _, unit := range utf16.Encode([]rune{r}) {
			fmt.Fprintf(&escaped, `\u%04x`, unit)
		}
	}
	return escaped.String()
}
