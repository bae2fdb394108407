package upload_test

import (
	"testing"

	"s3up/internal/s3test"
	"s3up/internal/upload"
)

// The version of parts is deleted once the copy was verified, and no other: never
// where the copy is not known to be another version.
func TestPruneVersion(t *testing.T) {
	prune := func(r *run) { r.PruneVersion = true }
	for name, test := range map[string]struct {
		quirks s3test.Quirks
		faults []s3test.Fault
		change func(*run)
		ends   upload.Normalized
		left   int // versions, beside the one that was there before
		notes  []string
	}{
		"amazon":           {quirks: s3test.Quirks{}, ends: upload.SelfCopy, left: 1},
		"in place":         {quirks: s3test.Quirks{CopyUpdatesInPlace: true}, ends: upload.SelfCopy, left: 1},
		"in place, kept":   {quirks: s3test.Quirks{CopyUpdatesInPlace: true, SelfCopyKeepsETag: true}, ends: upload.Kept, left: 1, notes: []string{"keeps the composite ETag"}},
		"kept":             {quirks: s3test.Quirks{SelfCopyKeepsETag: true}, ends: upload.Kept, left: 1, notes: []string{"keeps the composite ETag"}},
		"no id answered":   {quirks: s3test.Quirks{CopyNoVersionID: true}, ends: upload.SelfCopy, left: 1},
		"complete lost":    {faults: []s3test.Fault{{Op: "CompleteMultipartUpload", Do: s3test.Lose}}, ends: upload.SelfCopy, left: 1},
		"complete empty":   {faults: []s3test.Fault{{Op: "CompleteMultipartUpload", Do: s3test.Empty200}}, ends: upload.SelfCopy, left: 1},
		"copy lost":        {faults: []s3test.Fault{{Op: "CopyObject", Do: s3test.Lose}}, ends: upload.SelfCopy, left: 1},
		"copy refused":     {quirks: s3test.Quirks{CopyRefused: 501}, ends: upload.Refused, left: 1, notes: []string{"was refused"}},
		"deletion refused": {quirks: s3test.Quirks{Deny: []string{"s3:DeleteObjectVersion"}}, ends: upload.SelfCopy, left: 2, notes: []string{"could not be deleted (403 AccessDenied), and stays behind"}},
		"deletion lost":    {faults: []s3test.Fault{{Op: "DeleteObject", Do: s3test.Lose}}, ends: upload.SelfCopy, left: 1},
		"a page":           {faults: []s3test.Fault{{Op: "DeleteObject", Do: s3test.HTML200}}, ends: upload.SelfCopy, left: 1},
		"only pages":       {faults: []s3test.Fault{{Op: "DeleteObject", Times: -1, Do: s3test.HTML200}}, ends: upload.SelfCopy, left: 2, notes: []string{"though deleting it was answered with success"}},
		"no copy":          {change: normalize(upload.NormalizeOff), ends: upload.Off, left: 1},
	} {
		test.quirks.Versioned = true
		for _, kind := range sources {
			t.Run(kind.name+"/"+name, func(t *testing.T) {
				t.Parallel()
				st := newStand(t, s3test.Options{Quirks: test.quirks})
				st.Put(st.bucket, "k", []byte("old"))
				old := st.Versions(st.bucket, "k")
				for _, f := range test.faults {
					st.Fault(f)
				}
				change := test.change
				if change == nil {
					change = func(*run) {}
				}
				data := random(3*KiB+5, name)
				r := st.upload(t, kind.of(t, data), "k", prune, change)
				st.ends(t, r, "k", data, test.ends)
				notes(t, r, test.notes...)
				versions := st.Versions(st.bucket, "k")
				if len(versions) != 1+test.left || versions[0].VersionID != old[0].VersionID || versions[test.left].VersionID != r.VersionID {
					t.Fatalf("versions %v, the result says %s", versions, r.VersionID)
				}
				if (r.Pruned != "") != (st.Count("DeleteObject") > 0 && name != "deletion refused" && name != "only pages") {
					t.Errorf("pruned %q, after %d deletions", r.Pruned, st.Count("DeleteObject"))
				}
				for _, v := range versions {
					if v.VersionID == r.Pruned {
						t.Errorf("version %s is there", r.Pruned)
					}
				}
			})
		}
	}
	// A run that died before its copy has left the version.
	st := newStand(t, s3test.Options{Quirks: s3test.Quirks{Versioned: true}})
	data := random(3*KiB+5, "died")
	st.completed(t, "k", data, KiB)
	st.ends(t, st.upload(t, file(t, data), "k", prune), "k", data, upload.SelfCopy)
	if vs := st.Versions(st.bucket, "k"); len(vs) != 1 || vs[0].ETag != md5Hex(data) {
		t.Errorf("versions %v", vs)
	}
}
