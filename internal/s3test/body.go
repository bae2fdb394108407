package s3test

import (
	"bufio"
	"bytes"
	"crypto/md5"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"hash"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
)

// A wireReader counts the bytes of the body as they come.
type wireReader struct {
	r io.Reader
	n int64
}

func (w *wireReader) Read(p []byte) (int, error) {
	n, err := w.r.Read(p)
	w.n += int64(n)
	return n, err
}

var buffers = sync.Pool{New: func() any { b := make([]byte, 256<<10); return &b }}

// A received body: all its bytes came, and every sum that was sent with it is
// right.
type received struct {
	seg *segment
	sum checksum // the additional checksum it was sent with, or one asked for
}

// receive reads the request's body to its end. Nothing of it is kept unless all
// of it is as announced. algorithm names a checksum to compute in any case; keep
// holds the bytes even where Options.Discard says otherwise.
func (c *call) receive(max int64, algorithm string, keep bool) (*received, error) {
	h := c.h
	sha := h.Get("X-Amz-Content-Sha256")
	chunked := strings.HasPrefix(sha, "STREAMING-") && !c.q.ChunkedStored
	size := c.r.ContentLength
	if chunked {
		n, err := strconv.ParseInt(h.Get("X-Amz-Decoded-Content-Length"), 10, 64)
		if err != nil {
			return nil, fail("MissingContentLength")
		}
		size = n
	} else if !strings.HasPrefix(sha, "STREAMING-") && strings.Contains(h.Get("Content-Encoding"), "aws-chunked") {
		return nil, fail("InvalidRequest", "aws-chunked encoding is not supported when x-amz-content-sha256 %s is supplied.", sha)
	}
	if size < 0 {
		return nil, fail("MissingContentLength")
	}
	if size > max {
		return nil, fail("EntityTooLarge").with("ProposedSize", size).with("MaxSizeAllowed", max)
	}
	var wantMD5 []byte
	if text := h.Get("Content-MD5"); text != "" && !c.q.ContentMD5Ignored {
		var err error
		if wantMD5, err = base64.StdEncoding.DecodeString(text); err != nil || len(wantMD5) != md5.Size {
			return nil, fail("InvalidDigest").with("Content-MD5", text)
		}
	}
	var want checksum
	if c.op != "CompleteMultipartUpload" && !c.q.ChecksumsIgnored { // there the header is about the object
		var err error
		if want, err = checksumOf(h); err != nil {
			return nil, err
		}
	}
	trailer := ""
	if chunked {
		trailer = strings.ToLower(h.Get("X-Amz-Trailer"))
		if want.algorithm == "" {
			want.algorithm, _ = strings.CutPrefix(trailer, "x-amz-checksum-")
		}
	}
	if want.algorithm != "" {
		algorithm = want.algorithm
	}

	w, finish, drop, err := c.s.newSegment(size, keep)
	if err != nil {
		return nil, err
	}
	sinks := []io.Writer{w}
	var md5Hash, shaHash, sumHash hash.Hash
	add := func(h hash.Hash) hash.Hash { sinks = append(sinks, h); return h }
	believed := c.s.o.Discard && !keep && wantMD5 != nil && c.do != Corrupt
	if !believed {
		md5Hash = add(md5.New())
	}
	if len(sha) == 64 {
		shaHash = add(sha256.New())
	}
	if algorithm != "" {
		newHash := algorithms[algorithm]
		if newHash == nil {
			drop()
			return nil, fail("InvalidRequest", "The algorithm type you specified in x-amz-checksum- header is invalid.")
		}
		sumHash = add(newHash())
	}

	body := c.body
	var chunks *chunkReader
	if chunked {
		chunks = &chunkReader{r: bufio.NewReader(body)}
		body = chunks
	}
	if c.do == Corrupt && !keep {
		body = &flipReader{r: body, at: size / 2}
	}
	buf := buffers.Get().(*[]byte)
	n, err := io.CopyBuffer(io.MultiWriter(sinks...), onlyReader{io.LimitReader(body, size+1)}, *buf)
	buffers.Put(buf)
	switch {
	case n == size && err == nil:
	case errors.Is(err, errMalformedChunk):
		drop()
		return nil, fail("InvalidRequest", "%v", err)
	default:
		drop()
		return nil, fail("IncompleteBody", "You did not provide the number of bytes specified by the Content-Length HTTP header").
			with("BytesReceived", n).with("BytesExpected", size)
	}
	if err := c.checkSums(wantMD5, md5Hash, shaHash, sha); err != nil {
		drop()
		return nil, err
	}
	got := &received{}
	if sumHash != nil {
		got.sum = checksum{algorithm: algorithm, value: base64.StdEncoding.EncodeToString(sumHash.Sum(nil)), full: true}
		if chunks != nil && trailer != "" {
			want.value = chunks.trailer.Get(trailer)
			if want.value == "" {
				drop()
				return nil, fail("MalformedTrailerError")
			}
		}
		if want.value != "" && want.value != got.sum.value {
			drop()
			return nil, fail("BadDigest", "The %s you specified did not match the calculated checksum.", strings.ToUpper(algorithm))
		}
	}
	var sum [16]byte
	copy(sum[:], wantMD5)
	if md5Hash != nil {
		md5Hash.Sum(sum[:0])
	}
	if got.seg, err = finish(sum); err != nil {
		return nil, err
	}
	return got, nil
}

func (c *call) checkSums(wantMD5 []byte, md5Hash, shaHash hash.Hash, sha string) error {
	if wantMD5 != nil && md5Hash != nil {
		if got := md5Hash.Sum(nil); !bytes.Equal(got, wantMD5) {
			return fail("BadDigest").with("ExpectedDigest", c.h.Get("Content-MD5")).
				with("CalculatedDigest", base64.StdEncoding.EncodeToString(got))
		}
	}
	if shaHash != nil {
		if got := hex.EncodeToString(shaHash.Sum(nil)); got != sha {
			return fail("XAmzContentSHA256Mismatch").with("ClientComputedContentSHA256", sha).with("S3ComputedContentSHA256", got)
		}
	}
	return nil
}

// document reads a body that is XML.
func (c *call) document() ([]byte, error) {
	got, err := c.receive(4<<20, "", true)
	if err != nil {
		return nil, err
	}
	return io.ReadAll(blob{got.seg}.reader(0, got.seg.size))
}

// A flipReader changes one bit of what it reads.
type flipReader struct {
	r  io.Reader
	at int64
}

func (f *flipReader) Read(p []byte) (int, error) {
	n, err := f.r.Read(p)
	if 0 <= f.at && f.at < int64(n) {
		p[f.at] ^= 1
	}
	f.at -= int64(n)
	return n, err
}

// onlyReader hides WriteTo, so that the buffer at hand is used.
type onlyReader struct{ io.Reader }

var errMalformedChunk = errors.New("malformed aws-chunked body")

// A chunkReader takes the aws-chunked framing off. The chunks' own signatures
// are not checked.
type chunkReader struct {
	r       *bufio.Reader
	left    int64
	begun   bool
	ended   bool
	trailer http.Header
}

func (k *chunkReader) Read(p []byte) (int, error) {
	if k.ended {
		return 0, io.EOF
	}
	if k.left == 0 {
		if err := k.next(); err != nil {
			return 0, err
		}
		if k.ended {
			return 0, io.EOF
		}
	}
	n, err := k.r.Read(p[:min(int64(len(p)), k.left)])
	k.left -= int64(n)
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return n, err
}

func (k *chunkReader) line() (string, error) {
	line, err := k.r.ReadString('\n')
	if err == io.EOF {
		err = io.ErrUnexpectedEOF
	}
	return strings.TrimRight(line, "\r\n"), err
}

// next reads a chunk's head, and after the last chunk the trailer.
func (k *chunkReader) next() error {
	if k.begun {
		line, err := k.line()
		if err != nil {
			return err
		}
		if line != "" {
			return fmt.Errorf("%w: %q where a chunk ends", errMalformedChunk, line)
		}
	}
	k.begun = true
	head, err := k.line()
	if err != nil {
		return err
	}
	hexSize, _, _ := strings.Cut(head, ";")
	if k.left, err = strconv.ParseInt(hexSize, 16, 64); err != nil {
		return fmt.Errorf("%w: chunk size %q", errMalformedChunk, hexSize)
	}
	if k.left > 0 {
		return nil
	}
	k.ended, k.trailer = true, http.Header{}
	for {
		line, err := k.line()
		if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
			return err
		}
		if line == "" {
			return nil
		}
		name, value, _ := strings.Cut(line, ":")
		k.trailer.Set(name, strings.TrimSpace(value))
	}
}
