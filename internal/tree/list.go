package tree

import (
	"context"
	"fmt"
	"iter"
	"net/url"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/etag"
	"s3up/internal/upload"
)

// A Lister is what a listing asks. It needs s3:ListBucket.
type Lister interface {
	ListObjectsV2(context.Context, *s3.ListObjectsV2Input, ...func(*s3.Options)) (*s3.ListObjectsV2Output, error)
}

// An Object is what a listing tells of one.
type Object struct {
	Key      string
	Size     int64
	ETag     string // without quotes
	Class    string // "" where the store does not tell
	Modified time.Time

	// Mangled says that nobody knows the key: it holds what XML cannot, and the store
	// has put U+FFFD in its place (versitygw, for names with control characters). Key is
	// most likely that of another object, or of none, and not in order.
	Mangled bool
}

// maxEmpty is how many pages in a row may have nothing on them and yet go on: a
// store may have looked at that many deleted keys for each.
const maxEmpty = 100

// List lists the objects whose keys begin with a prefix, in the order of their
// keys, byte by byte. It holds two pages of them: the next is fetched while one is
// looked at. The error, if there is one, comes last. A listing that cannot be right
// is an error: what is missing from it would be sent again, and what is wrong in it
// might be deleted. Nothing is handed out of a page on which something is wrong.
func List(ctx context.Context, client Lister, bucket, prefix string) iter.Seq2[*Object, error] {
	return func(yield func(*Object, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		l := &listing{client: client, bucket: bucket, prefix: prefix}
		next := l.fetch(ctx, nil)
		defer func() {
			cancel()
			if next != nil {
				<-next
			}
		}()
		for next != nil {
			p := <-next
			next = nil
			if p.err != nil {
				yield(nil, p.err)
				return
			}
			more, err := l.next(p.out)
			if err == nil && more != nil {
				next = l.fetch(ctx, more)
			}
			var objects []*Object
			if err == nil {
				objects, err = l.objects(p.out)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			for _, o := range objects {
				if !yield(o, nil) {
					return
				}
			}
		}
	}
}

// A listing is on its way through a prefix.
type listing struct {
	client         Lister
	bucket, prefix string
	token          string // that the current page was asked for with
	last           string // the last key
	empty          int    // pages in a row with nothing on them
}

// A page is one answer.
type page struct {
	out *s3.ListObjectsV2Output
	err error
}

// fetch asks for the page behind a token. What is received from the channel ends
// it.
func (l *listing) fetch(ctx context.Context, token *string) <-chan page {
	l.token = aws.ToString(token)
	c := make(chan page, 1)
	go func() {
		// Keys may hold what XML cannot.
		out, err := l.client.ListObjectsV2(ctx, &s3.ListObjectsV2Input{
			Bucket: &l.bucket, Prefix: &l.prefix, ContinuationToken: token, EncodingType: types.EncodingTypeUrl})
		c <- page{out, err}
	}()
	return c
}

// next returns the token for the page behind one; nil if there is none.
func (l *listing) next(out *s3.ListObjectsV2Output) (*string, error) {
	if l.empty++; len(out.Contents) > 0 {
		l.empty = 0
	}
	token := aws.ToString(out.NextContinuationToken)
	switch {
	case !aws.ToBool(out.IsTruncated):
		return nil, nil
	case token == "" || token == l.token || l.empty == maxEmpty:
		return nil, l.wrong("it says that it goes on, and does not")
	}
	return &token, nil
}

// objects reads the rows of a page.
func (l *listing) objects(out *s3.ListObjectsV2Output) ([]*Object, error) {
	objects := make([]*Object, len(out.Contents))
	for i := range out.Contents {
		var err error
		if objects[i], err = l.object(out, &out.Contents[i]); err != nil {
			return nil, err
		}
	}
	return objects, nil
}

// object reads a row.
func (l *listing) object(out *s3.ListObjectsV2Output, row *types.Object) (*Object, error) {
	key := aws.ToString(row.Key)
	// One that is encoded is all ASCII: a U+FFFD of its own is spelled out there.
	mangled := strings.ContainsRune(strings.TrimPrefix(key, l.prefix), utf8.RuneError)
	if out.EncodingType == types.EncodingTypeUrl { // the SDK does not decode what it asked for (S3-FACTS §10)
		plain, err := url.QueryUnescape(key)
		if err != nil {
			return nil, l.wrong("the key %.100q is not encoded as it says", key)
		}
		key = plain
	}
	switch {
	case key == "", !strings.HasPrefix(key, l.prefix):
		return nil, l.wrong("it has the key %.100q, which does not begin so", key)
	case key <= l.last && l.last != "" && !mangled:
		return nil, l.wrong("the key %.100q comes after %.100q, which is not the order that S3 lists in", key, l.last)
	case aws.ToInt64(row.Size) < 0:
		return nil, l.wrong("the object %.100q has less than no bytes", key)
	}
	if !mangled {
		l.last = key
	}
	return &Object{Key: key, Mangled: mangled, Size: aws.ToInt64(row.Size), ETag: etag.Trim(aws.ToString(row.ETag)), Class: string(row.StorageClass), Modified: aws.ToTime(row.LastModified)}, nil
}

func (l *listing) wrong(format string, args ...any) error {
	return &upload.Error{Kind: upload.Other,
		Msg: fmt.Sprintf("the store's listing of s3://%s/%s cannot be right: ", l.bucket, l.prefix) + fmt.Sprintf(format, args...)}
}
