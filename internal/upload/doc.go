// Package upload is the engine for one object: it reads a file or a stream,
// sends it, gives the object the MD5 of its bytes as ETag, and looks whether it
// is there.
//
//	Source ─▶ plan ─▶ read + hash, once ──parts──▶ send (slots) ─▶ complete ─▶ normalize ─▶ verify ─▶ Result
//	                  sums.go                      part.go         finish.go   normalize.go
//	                       ▲                                           │       staged.go
//	          look, resume, stale: unfinished.go             settle: after a refused write,
//	          conditions.go, changed.go                      look before you believe
//
// A small file is one PutObject, whose ETag is the MD5 at once. A larger one is
// a multipart upload whose parts go up concurrently, then a copy of the object
// onto itself, which gives it the plain MD5 as ETag. A regular file is read in
// order by one goroutine, which computes the MD5 of the whole and of the part;
// the senders read their part again through an io.SectionReader, and
// Content-MD5 ties the two reads together. Only streams are buffered, within a
// budget. Nothing is written to disk: what a later run needs to go on is what
// the store lists.
//
// An object is written under a condition, if one is asked for; with staged
// publishing the parts become an object under a second key, which is copied to its
// own once it was verified (publish.go).
//
// What others have sent is seen to by the same means: Normalize copies an object of
// parts that is there (existing.go), Unfinished lists uploads that nobody ended
// (uploads.go), through the guarded readers of listings.go.
//
// Uploads of one Uploader share its slots, so that the number of requests in
// flight is bounded over all files.
//
// The package knows no flags, no terminal and no environment. It tells what
// happens through Options.Event and what came of it in a Result; the words for
// people are the caller's, but for notes and errors, which name facts that only
// the engine knows.
package upload
