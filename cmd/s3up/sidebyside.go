package main

import (
	"iter"

	"s3up/internal/tree"
)

// sideBySide goes through a walk and a listing, both in the order of keys, and hands
// out what has the same key together; one of the two is nil where there is none. An
// object whose key is mangled comes by itself. It ends when give returns false. The
// error is the listing's.
func sideBySide(walk iter.Seq[tree.File], listing iter.Seq2[*tree.Object, error], give func(*tree.File, *tree.Object) bool) error {
	nextFile, stopWalk := iter.Pull(walk)
	defer stopWalk()
	nextObject, stopListing := iter.Pull2(listing)
	defer stopListing()
	object, err, listed := nextObject() // first: a listing that is denied begins nothing
	if err != nil {
		return err
	}
	file, there := nextFile()
	for there || listed {
		f, o := &file, object
		switch {
		case listed && object.Mangled:
			f = nil
		case !listed || there && file.Key < object.Key:
			o = nil
		case !there || object.Key < file.Key:
			f = nil
		}
		this := file
		if f != nil {
			f = &this
		}
		if !give(f, o) {
			return nil
		}
		if f != nil {
			file, there = nextFile()
		}
		if o != nil {
			if object, err, listed = nextObject(); err != nil {
				return err
			}
		}
	}
	return nil
}
