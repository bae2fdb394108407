package etag_test

import (
	"slices"
	"testing"

	"s3up/internal/etag"
)

func TestPartSizes(t *testing.T) {
	for _, tt := range []struct {
		size  int64
		n     int
		first []int64
		want  int64
		is    bool
	}{
		{1 << 30, 128, nil, 8 << 20, true},
		{1 << 30, 205, nil, 5 << 20, true},
		{1 << 30, 2, []int64{777 << 20}, 777 << 20, true},
		{1 << 30, 2, nil, 8 << 20, false},
		{100, 1, nil, 100, true},
	} {
		got := etag.PartSizes(tt.size, tt.n, 15, tt.first...)
		if slices.Contains(got, tt.want) != tt.is || len(got) > 15 {
			t.Errorf("%d in %d parts: %v", tt.size, tt.n, got)
		}
		for _, p := range got {
			if etag.Count(tt.size, p) != tt.n {
				t.Errorf("%d in parts of %d are not %d", tt.size, p, tt.n)
			}
		}
	}
}

// What tools make of sizes at the edges of their thresholds, of a part and of
// 10,000 parts; 0 is in one piece.
func TestTools(t *testing.T) {
	const mib = 1 << 20
	for _, tt := range []struct {
		tool       string
		size, want int64
	}{
		{"aws", 0, 0}, {"aws", 8*mib - 1, 0}, {"boto3", 8 * mib, 8 * mib}, {"aws", 80_000 * mib, 8 * mib}, {"aws", 80_000*mib + 1, 16 * mib},
		{"aws", 1 << 40, 128 * mib},
		{"rclone", 200*mib - 1, 0}, {"rclone", 200 * mib, 5 * mib}, {"rclone", 50_000 * mib, 5 * mib}, {"rclone", 50_000*mib + 1, 6 * mib},
		{"rclone", 60_000*mib + 1, 7 * mib},
		{"mc", 16*mib - 1, 0}, {"mc", 16 * mib, 16 * mib}, {"minio-go", 160_000 * mib, 16 * mib}, {"mc", 160_000*mib + 10_000, 32 * mib},
		{"s5cmd", 50 * mib, 0}, {"s5cmd", 50*mib + 1, 50 * mib}, {"s5cmd", 500_000 * mib, 50*mib + 1},
		{"s3cmd", 15 * mib, 0}, {"s3cmd", 15*mib + 1, 15 * mib},
		{"terraform", 5 * mib, 0}, {"go-sdk", 5*mib + 1, 5 * mib}, {"manager", 50_000 * mib, 5*mib + 1}, {"manager", 50_000*mib - 1, 5 * mib},
		{"transfermanager", 16*mib - 1, 0}, {"transfermanager", 16 * mib, 8 * mib},
		{"crt", 8 * mib, 0}, {"crt", 8*mib + 1, 8 * mib}, {"crt", 80_000*mib + 1, 8*mib + 1},
		{"restic", 200*mib - 1, 0}, {"restic", 200 * mib, 200 * mib},
		{"s3up", 64 * mib, 0}, {"s3up", 64*mib + 1, 16 * mib}, {"s3up", 160_000*mib + 1, 17 * mib},
	} {
		tool, ok := etag.FindTool(tt.tool)
		if got := tool.PartSize(tt.size); !ok || got != tt.want {
			t.Errorf("%s, %d bytes: parts of %d, want %d", tt.tool, tt.size, got, tt.want)
		}
	}
	if _, ok := etag.FindTool("nope"); ok {
		t.Error("a tool that nobody knows is known")
	}
	if got, want := etag.CutBy(1<<30, 8*mib), []string{"AWS CLI, boto3", "AWS SDK for Go (transfermanager)", "AWS CRT clients (AWS CLI with the CRT, Java CRT)"}; !slices.Equal(got, want) {
		t.Errorf("8 MiB: %v", got)
	}
	for _, tool := range etag.Tools() {
		for _, size := range []int64{0, 1, 5 * mib, 1 << 30, 48 << 40} {
			if p := tool.PartSize(size); tool.Exact && p > 0 && tool.Name != "s3cmd" && tool.Name != "restic" && etag.Count(size, p) > 10_000 {
				t.Errorf("%s cuts %d bytes into %d parts", tool.Name, size, etag.Count(size, p))
			}
		}
	}
}
