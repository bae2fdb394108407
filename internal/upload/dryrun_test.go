package upload_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"s3up/internal/upload"
)

// A dry run foretells what the upload then does, and needs no store for it.
func TestDryRun(t *testing.T) {
	u, err := upload.New(nil, upload.Options{PartSize: KiB, Threshold: 2 * KiB, MinSize: 10, Limits: upload.Limits{MinPart: KiB, Parts: 4}})
	if err != nil {
		t.Fatal(err)
	}
	type foretold struct {
		Status   upload.Status
		Size     int64
		Type     string
		Parts    int
		PartSize int64
		Kind     upload.Kind
	}
	for name, test := range map[string]struct {
		src        *upload.Source
		properties upload.Properties
		want       foretold
	}{
		"one piece":    {file(t, random(2*KiB, "")), upload.Properties{}, foretold{upload.WouldUpload, 2 * KiB, "application/octet-stream", 0, 0, upload.Other}},
		"parts":        {file(t, random(2*KiB+1, "")), upload.Properties{ContentType: "a/b"}, foretold{upload.WouldUpload, 2*KiB + 1, "a/b", 3, KiB, upload.Other}},
		"larger parts": {file(t, random(5*KiB, "")), upload.Properties{}, foretold{upload.WouldUpload, 5 * KiB, "application/octet-stream", 1, MiB, upload.Other}},
		"stream":       {upload.NewStream("stdin", nil), upload.Properties{}, foretold{upload.WouldUpload, -1, "", 0, 0, upload.Other}},
		"too short":    {file(t, random(9, "")), upload.Properties{}, foretold{upload.Failed, 9, "", 0, 0, upload.TooShort}},
		"refused":      {file(t, random(99, "")), upload.Properties{Tags: tags(11)}, foretold{upload.Failed, 99, "", 0, 0, upload.Usage}},
	} {
		r := u.DryRun(&upload.Job{Source: test.src, Bucket: "b", Key: "k", Properties: test.properties})
		test.src.Close()
		got := foretold{r.Status, r.Size, r.ContentType, r.Parts, r.PartSize, upload.KindOf(r.Err)}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
}
