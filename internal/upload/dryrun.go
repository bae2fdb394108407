package upload

import "s3up/internal/contenttype"

// DryRun tells what Upload would do, as far as that is known without the store:
// the size, the content type and the parts. Nothing is sent, the Uploader needs no
// Client, and of a stream nothing is read: its size stays -1, and its type is what
// was asked for, or empty.
func (u *Uploader) DryRun(job *Job) *Result {
	t := u.transfer(job)
	if t.res.Err = t.foretell(); t.res.Err == nil {
		t.res.Status = WouldUpload
	}
	t.res.ContentType = t.props.ContentType
	return t.res
}

func (t *transfer) foretell() error {
	if err := t.check(); err != nil || t.src.size < 0 {
		return err
	}
	if err := t.lookAtSource(false); err != nil || t.src.size <= t.o.Threshold {
		return err
	}
	if err := t.mayPublish(t.src.size); err != nil {
		return err
	}
	c, err := t.o.Limits.plan(t.src.size, t.o.PartSize)
	if err == nil {
		t.res.Parts, t.res.PartSize = c.parts(), c.part
	}
	return err
}

// lookAtSource makes sure that a file is large enough, and finds out its type, if
// that is not done later, when the file is read.
func (t *transfer) lookAtSource(later bool) error {
	if err := t.tooShort(t.src.size); err != nil {
		return err
	}
	if t.props.ContentType != "" || later {
		return nil
	}
	sample, err := t.src.sample()
	if err == nil {
		t.findType(sample)
	}
	return err
}

// findType finds out the type of a file by its first bytes, if it is not known.
func (t *transfer) findType(first []byte) {
	if t.props.ContentType == "" {
		t.props.ContentType = contenttype.Detect(t.src.name, t.job.Key, first)
	}
}
