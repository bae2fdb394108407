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
	if err := t.lookAtSource(); err != nil || t.src.size <= t.o.Threshold {
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

// lookAtSource makes sure that a file is large enough, and finds out its type.
func (t *transfer) lookAtSource() error {
	if err := t.tooShort(t.src.size); err != nil {
		return err
	}
	if t.props.ContentType != "" {
		return nil
	}
	sample, err := t.src.sample()
	if err == nil {
		t.props.ContentType = contenttype.Detect(t.src.name, t.job.Key, sample)
	}
	return err
}
