package tree

import "io/fs"

// A File is one of the files that a walk finds, and the key that it gets. Walks
// hand out files in the order of their keys, byte by byte: that is the order in
// which S3 lists objects, so that the two can be merged without holding either.
type File struct {
	Path string      // to open it by
	Rel  string      // below the folder that was walked, with slashes
	Key  string      // never above the prefix that all of them go to
	Info fs.FileInfo // of what is uploaded: behind a link, if links are followed

	// Err is why the file, or the folder of this name, cannot be read. All else of it
	// may be missing then.
	Err error
}
