// Package verify finds out whether an object is made of some bytes, from what the
// store tells of it: nothing is downloaded.
//
//	HEAD, listing ──▶ Object ──▶ evidence, in order ──┐
//	HEAD partNumber=1 ──▶ layout of its parts ────────┤
//	                                                  ▼
//	file, stream or sums ──one read──▶ digests ──▶ compared ──▶ Result
//
// Evidence is, in order: a size that differs; an ETag that is the MD5 of the bytes;
// one that is composed of the MD5s of parts, whose size the store tells, or else
// all sizes that are in use are tried side by side; checksums that the store keeps,
// of the whole object or composed of those of parts; and MD5s that uploaders leave
// in the metadata, which say what was to be stored rather than what is. An ETag
// under SSE-KMS or SSE-C has the same shape and is no MD5 (S3-FACTS §1): it is no
// evidence.
//
// Uploads compare by the same evidence to find out what need not be sent. For them,
// Options.OnlySame asks no more about what differs.
//
// What is equal proves that the bytes are the same, as far as the digest goes
// (Strength). What differs proves the contrary only where it is certain what it was
// made of: an ETag of parts that no usual size gives may have been made with
// another one. Where evidence of the store contradicts itself, nothing is proven.
package verify
