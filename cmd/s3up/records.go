package main

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"regexp"
	"strings"
	"sync"

	"github.com/urfave/cli/v2"

	"s3up/internal/smallfile"
	"s3up/internal/upload"
)

// recordFlags are those for files that tell what became of a run.
func recordFlags() []cli.Flag {
	return []cli.Flag{
		textFlag(groupOutput, "report", "FILE", "the lines of --json go there too, as they come: after a crash it is\nwhole up to its last line"),
		textFlag(groupOutput, "sums", "FILE", "the MD5 of all that is now in place, by its key below the destination,\nfor md5sum -c; FILE.partial until the run ends"),
	}
}

// records are the files that tell what became of a run. Each line is one write, so
// that the end of the program, however sudden, cuts none.
type records struct {
	report, sums *record // nil: not wanted
	begun        bool    // the sums of an earlier run are gone
	lock         fs.FileInfo
}

// A record is a file that gets a line at a time.
type record struct {
	flag, name string

	mu     sync.Mutex
	file   *os.File
	info   fs.FileInfo
	failed error // the first write that did
}

// partialSums is the name of --sums while it is not complete.
func partialSums(name string) string { return name + ".partial" }

// openRecords makes the files, in the place of those of earlier runs and of nothing
// else. The error is one of usage.
func (o *cpOptions) openRecords(tasks []*task) (r records, err error) {
	report, sums := o.report, o.sums
	if o.lock != "" {
		r.lock, _ = os.Stat(o.lock)
	}
	if err := o.mayReplace("--report", report, tasks, isReport); err != nil {
		return r, err
	}
	if err := o.mayReplace("--sums", sums, tasks, isSums); err != nil {
		return r, err
	}
	if report != "" {
		if r.report, err = openRecord("--report", report, report); err != nil {
			return r, err
		}
	}
	if sums != "" {
		if info, err := os.Stat(sums); err == nil && !info.Mode().IsRegular() {
			return r, usagef("name one that can be replaced", "--sums %s: is no regular file", quoted(sums))
		}
		if r.sums, err = openRecord("--sums", sums, partialSums(sums)); err != nil {
			return r, err
		}
	}
	return r, nil
}

// mayReplace refuses a file that is to be uploaded, or is none that s3up has written.
func (o *cpOptions) mayReplace(flag, path string, tasks []*task, isOurs func(line string) bool) error {
	info, err := os.Stat(path)
	if path == "" || err != nil || !info.Mode().IsRegular() {
		return nil
	}
	for _, t := range tasks {
		named := t.info
		if t.list != nil {
			named, _ = os.Stat(o.filesFrom)
		}
		if named != nil && os.SameFile(named, info) {
			return usagef("name another file", "%s %s: is what is to be uploaded, and would be replaced", flag, quoted(path))
		}
	}
	f, err := os.Open(path)
	if err != nil {
		return nil // whoever is to write to it says so
	}
	defer f.Close()
	head := make([]byte, 4<<10)
	n, _ := io.ReadFull(f, head)
	if line, _, _ := strings.Cut(string(head[:n]), "\n"); n > 0 && !isOurs(line) {
		return usagef("name another file, or remove it", "%s %s: is there already, and s3up has not written it", flag, quoted(path))
	}
	return nil
}

func isReport(line string) bool { return strings.HasPrefix(line, `{"v":`) }

var sumsLine = regexp.MustCompile(`^\\?[0-9a-f]{32}  .`)

func isSums(line string) bool { return sumsLine.MatchString(line) }

// checkRecords refuses names that contradict each other.
func (o *cpOptions) checkRecords() error {
	switch {
	case o.sums != "" && o.dryRun:
		return usagef("leave one of them out", "--sums tells what is in place, and --dry-run puts nothing there")
	case o.sums != "" && (o.sums == o.report || partialSums(o.sums) == o.report):
		return usagef("name two files", "--report and --sums are one file")
	}
	return nil
}

func openRecord(flag, name, path string) (*record, error) {
	refuse := func(err error) error {
		return usagef("it must be a file that can be written", "%s %s: %s", flag, quoted(name), rootCause(err))
	}
	if !smallfile.IsDescriptor(path) && !strings.HasPrefix(path, "/dev/std") {
		if err := smallfile.Check(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return nil, refuse(err)
		}
	}
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC|os.O_APPEND, 0o666)
	if err != nil {
		return nil, refuse(err)
	}
	info, err := f.Stat()
	if err != nil {
		f.Close()
		return nil, refuse(err)
	}
	return &record{flag: flag, name: name, file: f, info: info}, nil
}

// own says whether a file is one of the records, or the lock.
func (r *records) own(info fs.FileInfo) bool {
	return info != nil && (r.report != nil && os.SameFile(r.report.info, info) || r.sums != nil && os.SameFile(r.sums.info, info) ||
		r.lock != nil && os.SameFile(r.lock, info))
}

// line adds a line.
func (r *record) line(text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, err := r.file.WriteString(text + "\n"); err != nil && r.failed == nil {
		r.failed = err
	}
}

// begin takes away the sums of an earlier run, before anything of them is replaced.
func (r *records) begin() error {
	if r.sums == nil {
		return nil
	}
	r.begun = true
	if err := os.Remove(r.sums.name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return usagef("it must be a file that can be replaced", "--sums %s: %s", quoted(r.sums.name), rootCause(err))
	}
	return nil
}

// end closes the files, and gives the sums their name if the run came to its end;
// those of a run that did not come to begin go away. It returns what went wrong with
// each.
func (r *records) end(whole bool) (problems []string) {
	for _, record := range []*record{r.report, r.sums} {
		if record == nil {
			continue
		}
		err := record.failed
		if err == nil && record.info.Mode().IsRegular() {
			err = record.file.Sync()
		}
		err = errors.Join(err, record.file.Close())
		switch {
		case record != r.sums:
		case !r.begun:
			os.Remove(partialSums(record.name))
		case err == nil && whole:
			err = os.Rename(partialSums(record.name), record.name)
		}
		if err != nil {
			problems = append(problems, "write "+record.flag+" "+quoted(record.name)+": "+rootCause(err))
		}
	}
	return problems
}

// hasSum says whether an object is in place, with an MD5 that is known.
func hasSum(r *upload.Result) bool { return r.Err == nil && isStored(r) && r.MD5 != "" }
