package verify

import (
	"context"

	"s3up/internal/etag"
)

// An Explanation is what there is to know of an object's ETag without its bytes.
type Explanation struct {
	Object   *Object
	PartSize int64 // 0: not known, or they are of several sizes
	Told     bool  // how it was cut, by the store
	// PartSizes are those that it may have been cut by, where nobody tells.
	PartSizes []int64
	Tools     []string // that cut an object of this size so by default
}

// Explain tells what an object's ETag is. It is nil if there is no object.
func (v *Verifier) Explain(ctx context.Context, bucket, key string) (*Explanation, error) {
	o, err := v.Look(ctx, bucket, key)
	if o == nil || err != nil {
		return nil, err
	}
	x := &Explanation{Object: o}
	if o.Parts() == 0 {
		return x, nil
	}
	l, told, err := v.layout(ctx, o)
	switch {
	case err != nil:
		return nil, err
	case !told:
		x.PartSizes = etag.PartSizes(o.Size, o.Parts(), v.o.Guesses, v.o.PartSizes...)
	case l.sizes == nil:
		x.Told, x.PartSize, x.Tools = true, l.part, etag.CutBy(o.Size, l.part)
	default:
		x.Told = true
	}
	return x, nil
}
