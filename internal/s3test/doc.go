// Package s3test is an S3 server inside the process, for tests and for the
// demo. It does what Amazon S3 does for the calls that s3up makes, has a switch
// for each thing that other stores do differently, and breaks by name:
//
//	srv := s3test.New(t, s3test.Options{MinPartSize: 1 << 10})
//	srv.CreateBucket("b")
//	srv.SetQuirks(func(q *s3test.Quirks) { q.SelfCopyKeepsETag = true })
//	srv.Fault(s3test.Fault{Op: "UploadPart 3", Times: 1, Do: s3test.Lose})
//
// The way of a request:
//
//	ServeHTTP ─▶ route ─▶ fault, before ─▶ signature, permissions ─▶ operation ─▶ fault, after ─▶ journal ─▶ answer
//	             op name   not executed:     sigv4.go, Deny             object.go    executed: the
//	             server.go Status, Refuse,                              copy.go      answer is lost,
//	                       Stall, HTML200…                              multipart.go cut, empty, wrong…
//	                                                                    list.go
//
// Bodies are blobs: immutable rows of segments that objects, parts and copies
// share, so that neither Complete nor Copy moves a byte. One lock guards the
// maps; it is never held while a body is read or hashed.
//
// A request is in the journal from its arrival on, and complete there before the
// client can see the answer.
//
// A bucket whose name ends in --x-s3 is a directory bucket (directory.go), as at
// Amazon's.
//
// What it does not: presigned requests, changes of ACLs, tags and locks of an
// object that is there, what ACLs are about, lifecycle, replication, ListObjects
// of version 1, the CRC64NVME that Amazon adds to objects sent without a checksum,
// the signatures of the single chunks of an aws-chunked body, and durability.
// Everything is gone when the server closes.
//
// Where Amazon's documentation and running servers differ, Amazon's answer is
// the default and the other is a quirk. Where Amazon's own answer is not known,
// the stricter one is taken, so that a client that passes here has not been
// helped.
package s3test
