// Package tree knows many files at once: which there are below some folders, what
// keys they get, and what is to be done for a prefix to be the same as a folder.
//
//	folders ─▶ Walk ──┬─▶ Merge ─▶ File, File, …    in the order of keys, as a listing is
//	          Selection                              walk.go, select.go, merge.go
//	a list of names ─▶ Names ─▶ File, File, …       in the order of the list: names.go
//
// None of it is in memory as a whole. It knows no flags and no terminal.
package tree
