// Package store sets up the connection to an S3 store, once: the endpoint and
// how buckets are addressed, credentials, the transport, stalls and retries.
// It hands out a plain *s3.Client; it knows no files and no objects.
//
//	call ─▶ retries (one per call, patience shared) ─▶ sign ─▶ transport ─▶ conn
//	          what is worth trying again                  │       every byte
//	          how long it is worth it                     │       re-arms a deadline
//	                                                      └─ answers: region, "it is alive"
//
// # Retries
//
// A call is tried again for as long as there is patience, not for a number of
// attempts. A store that has never answered anything gets [Config.FirstAnswer];
// one that has gets [Config.RetryFor] without any call succeeding. A call that
// ran out of patience returns a [*GaveUp] around its last error.
//
// Errors that no repetition mends are returned at once, and so are those that
// need a decision: BadDigest of an object, a refused condition, a missing upload. A list
// of parts or keys that arrived otherwise than it was sent is sent again twice.
//
// # Stalls
//
// There is no time limit on a request: a slow transfer that moves is never cut.
// A connection on which no byte moved for [Config.StallTimeout] is given up,
// and the call is tried again. CompleteMultipartUpload and the copies may stay
// silent for minutes while the store works; they have [Config.LongStallTimeout].
//
// # Endpoints
//
// A bucket that a store says to be in another region is looked for there, once for
// each call. What buckets want of every request is added to every request, and
// signed; see [Config.Headers]. Kinds of stores that have to be treated in their
// own way stand in one table (providers.go), each with its source.
//
// # Bandwidth
//
// Bodies are read no faster than [Config.Bandwidth] lets them, all together. A body
// that waits for its turn is not a stall.
//
// # TLS
//
// Certificates are verified, by the authorities of [Config.CABundle] if there is
// one. A certificate of the store that does not hold, and a [*ClientCertError],
// which is the store's verdict on ours, end a call at once.
//
// # Answers
//
// Answers are small, and are bounded: in bytes, in markup, and in the time from
// the first byte to the last. One that is beyond that is an [*AnswerError] and
// ends the call. A listing that is none, a web page for one, counts as cut, and is
// asked for again. Redirects are not followed: what was signed for one host does
// not go to another.
//
// # Bodies
//
// Bodies of PutObject and UploadPart are sent as they are: no chunked framing,
// no checksum that was not asked for, and not hashed for the signature, neither
// over https nor over http. Content-MD5, which is signed, ties them to the
// request. A body is thus read exactly once per attempt.
package store
