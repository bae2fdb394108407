// Package tree knows many files at once: which there are below some folders, what
// keys they get, and what is to be done for a prefix to be the same as a folder.
//
//	folders ─▶ walk ─▶ File, File, …    in the order of keys, as a listing is
//
// It knows no flags and no terminal.
package tree
