package upload_test

import (
	"strings"
	"testing"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

// What a lock forbids is not said to lack a permission.
func TestLockedIsNotDenied(t *testing.T) {
	self := normalizeWith(upload.NormalizeSelf, func(r *run) { r.LegalHold, r.PruneVersion = true, true })
	for name, test := range map[string]struct {
		quirks      s3test.Quirks
		ends        upload.Normalized
		says, never string
	}{
		"deletion": {ends: upload.SelfCopy, says: "and stays behind, and is locked as the object is", never: "that needs"},
		"copy":     {quirks: s3test.Quirks{CopyRefused: 403}, ends: upload.Refused, says: "and a store that copies onto what is locked", never: "s3:PutObjectLegalHold"},
	} {
		st := newStand(t, s3test.Options{Quirks: test.quirks})
		st.SetObjectLock(st.bucket, "", 0)
		data := random(3*KiB, name)
		r := st.upload(t, file(t, data), "k", self)
		st.ends(t, r, "k", data, test.ends)
		if all := strings.Join(r.Notes, "\n"); !strings.Contains(all, test.says) || strings.Contains(all, test.never) {
			t.Errorf("%s: %s", name, all)
		}
	}
}
