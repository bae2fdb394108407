// Package etag is the arithmetic of S3's ETags: the MD5 of a whole object, the
// composite ETag of a multipart object, and hashes that advance several MD5s side
// by side: Hasher the whole and the part, MultiHasher the parts of several sizes,
// SumParts many parts, Batcher many small files.
//
// An object stored by one PutObject, or by CopyObject, carries the MD5 of its
// bytes as ETag, 32 hex digits. A multipart object carries the MD5 of the
// concatenated raw MD5s of its parts, a dash and the number of parts. Neither
// holds for objects under SSE-KMS or SSE-C, whose ETags have the same shape and
// mean nothing: the shape of an ETag proves nothing, only comparing does.
//
// It knows no SDK and reads no files.
package etag
