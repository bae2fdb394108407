// Package tree knows many files at once: which there are below some folders, what
// keys they get, and what is to be done for a prefix to be the same as a folder.
//
//	folders ─▶ Walk ──┬─▶ Merge ─▶ File, File, …    in the order of keys, as a listing is
//	          Selection                              walk.go, select.go, merge.go
//	a list of names ─▶ Names ─▶ File, File, …       in the order of the list: names.go
//
//	File, …  ┬─▶ Comparer ─▶ Decision, …            compare.go: with what is remembered of files
//	Object, …┘                                     (cache.go), and shards (shard.go)
//	List ─▶ Object, …                              list.go; what has no file: delete.go
//
// None of it is in memory as a whole. It knows no flags and no terminal.
package tree
