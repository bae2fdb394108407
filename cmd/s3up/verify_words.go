package main

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"

	"s3up/internal/etag"
	"s3up/internal/store"
	"s3up/internal/verify"
)

// verifyWords tell what came of an object.
func verifyWords(k *check, r *verify.Result, url string) string {
	pair := fmt.Sprintf("%s %s and %s", r.Status, k.name(), url)
	switch r.Status {
	case extra:
		return fmt.Sprintf("extra %s  %s: there is no file or sum for it here", url, byteSize(r.Object.Size))
	case verify.Missing:
		return fmt.Sprintf("missing %s: there is no such object, for %s", url, k.name())
	case verify.Match:
		return fmt.Sprintf("%s  %s  %s", pair, byteSize(r.Object.Size), sameWords(r))
	case verify.Differs:
		return pair + ": " + differWords(r)
	}
	return sentence(pair+": "+unknownWords(r), unknownHint(r))
}

// sameWords say what proved that an object is the same.
func sameWords(r *verify.Result) string {
	e := r.By
	switch e.Kind {
	case verify.ByETag:
		return fmt.Sprintf("ETag %s = MD5", e.Stored)
	case verify.ByPartsETag:
		return fmt.Sprintf("ETag %s = that of %s", e.Stored, partsWords(r))
	case verify.ByChecksum:
		return fmt.Sprintf("%s %s at the store = its", e.Algorithm, e.Stored)
	case verify.ByPartsSum:
		return fmt.Sprintf("%s %s at the store = that of %s", e.Algorithm, e.Stored, partsWords(r))
	}
	return fmt.Sprintf("MD5 %s = what the uploader wrote into the metadata %s, which is no proof of what is stored", e.Stored, claimName(e))
}

// partsWords say how an object is cut.
func partsWords(r *verify.Result) string {
	switch {
	case r.PartSize == 0:
		return fmt.Sprintf("%s of several sizes", plural(r.Parts, "part"))
	case r.Told, r.Parts == 1:
		return fmt.Sprintf("%s of %s", plural(r.Parts, "part"), unspaced(r.PartSize))
	}
	return fmt.Sprintf("%s of %s, which was found by trying", plural(r.Parts, "part"), unspaced(r.PartSize))
}

func claimName(e verify.Evidence) string {
	return fmt.Sprintf("%s (%s)", e.Claim, verify.Claimants[e.Claim])
}

// differWords say what showed that an object differs, and where.
func differWords(r *verify.Result) string {
	e := r.By
	local := cmp.Or(e.Local, "another")
	words := ""
	switch e.Kind {
	case verify.BySize:
		words = fmt.Sprintf("the object has %s bytes, and here are %s", e.Stored, e.Local)
		if r.MoreThan {
			words += " or more"
		}
	case verify.ByETag:
		words = fmt.Sprintf("its ETag is %s, the MD5 here %s", e.Stored, local)
	case verify.ByPartsETag:
		words = fmt.Sprintf("its ETag is %s, that of %s here %s", e.Stored, partsWords(r), local)
	case verify.ByChecksum, verify.ByPartsSum:
		words = fmt.Sprintf("its %s is %s, here it is %s", e.Algorithm, e.Stored, local)
	case verify.ByClaim:
		words = fmt.Sprintf("whoever uploaded it wrote the MD5 %s into the metadata %s, here it is %s", e.Stored, claimName(e), local)
	}
	if r.BadPart > 0 {
		words += fmt.Sprintf("; the first part that differs is %d of %d, bytes %d to %d", r.BadPart, r.Parts, r.BadAt, r.BadAt+r.BadLen-1)
	}
	return words
}

// unknownWords say why nothing is proven.
func unknownWords(r *verify.Result) string {
	o := r.Object
	switch r.Reason {
	case verify.UnknownPartSize:
		return fmt.Sprintf("no usual size of parts gives the %s %s: it differs, or was cut otherwise", stored(r.By), r.By.Stored)
	case verify.NoSuchSum:
		return fmt.Sprintf("the store tells no digest of the sort that was given: its %s is %s", stored(r.By), clip(r.By.Stored))
	case verify.TooWeak:
		return "it is the same, but only by its " + stored(r.By)
	case verify.Contradiction:
		return "what the store tells of it contradicts itself: " + contradiction(r)
	}
	switch {
	case etag.IsDirectory(o.Bucket):
		return "in a directory bucket its ETag is no MD5, and the store tells nothing else of its bytes"
	case o.Encrypted != "":
		return fmt.Sprintf("under %s its ETag is no MD5, and the store tells nothing else of its bytes", o.Encrypted)
	case o.ETag == "":
		return "the store tells no ETag"
	}
	return fmt.Sprintf("its ETag %s is no MD5, and the store tells nothing else of its bytes", clip(o.ETag))
}

// unknownHint says what to do about what is unverifiable.
func unknownHint(r *verify.Result) string {
	switch {
	case r.Reason == verify.UnknownPartSize:
		return "--part-size SIZE, if you know"
	case r.Reason == verify.NoSuchSum && r.Object.Kind() == verify.Plain:
		return "give the MD5 (md5sum), or verify the files themselves"
	case r.Reason == verify.NoSuchSum:
		return "verify the files themselves"
	case r.Reason == verify.TooWeak:
		return "--require " + r.By.Strength.String() + ", if that is enough"
	case r.Object.Hidden:
		return "its checksums may not be seen: that needs kms:Decrypt"
	}
	return ""
}

// stored names what the store tells.
func stored(e verify.Evidence) string {
	switch e.Kind {
	case verify.BySize:
		return "size"
	case verify.ByETag, verify.ByPartsETag:
		return "ETag"
	case verify.ByClaim:
		return "metadata " + claimName(e)
	}
	return string(e.Algorithm)
}

func contradiction(r *verify.Result) string {
	var same, other []string
	for _, e := range r.All {
		if e.Equal {
			same = append(same, stored(e))
		} else {
			other = append(other, stored(e))
		}
	}
	return fmt.Sprintf("it is the same by its %s, and not by its %s", strings.Join(same, ", "), strings.Join(other, ", "))
}

// A verifyLine is what --json says of one object.
type verifyLine struct {
	V      int           `json:"v"`
	Type   string        `json:"type"` // file
	Op     string        `json:"op"`   // verify, etag
	Source string        `json:"source"`
	Bucket string        `json:"bucket"`
	Key    string        `json:"key"`
	Size   *int64        `json:"size"` // of the object; null: there is none, or it was not seen
	Status verify.Status `json:"status"`

	Evidence  string `json:"evidence"` // what decided: size, etag, etag-parts, checksum, checksum-parts, metadata
	Strength  string `json:"strength"` // proof, checksum, claim
	Algorithm string `json:"algorithm"`
	Stored    string `json:"stored"` // as the store has it
	Local     string `json:"local"`  // the same of what is here
	Metadata  string `json:"metadata,omitempty"`
	Reason    string `json:"reason,omitempty"` // of what is unverifiable

	MD5       string `json:"md5"` // of what is here, if it was computed
	ETag      string `json:"etag"`
	ETagKind  string `json:"etag_kind"`
	Encrypted string `json:"encrypted,omitempty"`
	VersionID string `json:"version_id"`
	Parts     int    `json:"parts"`
	PartSize  int64  `json:"part_size"`                // 0: not known, or of several sizes
	Told      string `json:"part_size_from,omitempty"` // store, or found

	BadPart   int   `json:"first_bad_part,omitempty"`
	BadOffset int64 `json:"bad_offset,omitempty"`
	BadSize   int64 `json:"bad_size,omitempty"`

	ExitCode  int    `json:"exit_code,omitempty"`
	Error     string `json:"error,omitempty"`
	ErrorCode string `json:"error_code,omitempty"`
	Hint      string `json:"hint,omitempty"`
	RequestID string `json:"request_id,omitempty"`
}

func newVerifyLine(op, bucket string, k *check, r *verify.Result, p *problem) verifyLine {
	l := verifyLine{V: schema, Type: "file", Op: op, Source: k.source, Bucket: bucket, Key: k.key, Status: r.Status,
		Evidence: string(r.By.Kind), Algorithm: string(r.By.Algorithm), Stored: r.By.Stored, Local: r.By.Local, Metadata: r.By.Claim,
		Reason: string(r.Reason), MD5: r.MD5, Parts: r.Parts, PartSize: r.PartSize,
		BadPart: r.BadPart, BadOffset: r.BadAt, BadSize: r.BadLen}
	if r.By.Kind != "" {
		l.Strength = r.By.Strength.String()
	}
	if o := r.Object; o != nil {
		l.Size, l.ETag, l.ETagKind, l.Encrypted, l.VersionID = &o.Size, clip(o.ETag), string(o.Kind()), o.Encrypted, clip(o.VersionID)
		if r.Status != verify.Match && !o.IsLooked() {
			l.ETagKind = "" // a listing does not tell
		}
	}
	if r.PartSize > 0 {
		l.Told = "found"
		if r.Told {
			l.Told = "store"
		}
	}
	if p != nil {
		l.ExitCode, l.Error, l.ErrorCode, l.Hint, l.RequestID = p.exit, p.why, p.code, p.hint, p.requestID
	}
	return l
}

// aboutVerify knows what ends a comparison.
func aboutVerify(err error, f facts) (problem, bool) {
	var changed *verify.ChangedError
	switch {
	case errors.As(err, &changed):
		return problem{why: changed.Error(), hint: "run it again when nobody writes to it", exit: exitSourceChanged}, true
	case errors.Is(err, verify.ErrReplaced):
		return problem{why: err.Error(), hint: "look who else writes there, and run it again", exit: exitConflict}, true
	case store.StatusCode(err) == http.StatusBadRequest && operation(err) == "HeadObject" && store.Code(err) == "BadRequest":
		// An answer without a body says no more than that.
		return problem{why: reason(err, operation(err)), hint: "an object under SSE-C needs its key: --sse-c-key-file", exit: exitFailed}, true
	}
	return problem{}, false
}

// customerKeyHeaders is a key of one's own as headers have it.
func customerKeyHeaders(key []byte) verify.CustomerKey {
	if key == nil {
		return verify.CustomerKey{}
	}
	return verify.CustomerKey{Algorithm: aws.String("AES256"), Key: aws.String(base64.StdEncoding.EncodeToString(key)),
		MD5: aws.String(etag.Sum(key).Base64())}
}
