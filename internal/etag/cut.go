package etag

import "slices"

const (
	mib = 1 << 20
	gib = 1 << 30

	// What S3 allows: https://docs.aws.amazon.com/AmazonS3/latest/userguide/qfacts.html
	maxParts = 10_000
	maxPart  = 5 * gib
)

// Count returns how many parts of one size, but for the last, size bytes make. An
// empty object of parts has one.
func Count(size, part int64) int { return int(max(1, (size+part-1)/part)) }

// A Tool is a program, or a library, that uploads to S3, and how it cuts a file by
// default.
type Tool struct {
	Name    string
	Aliases []string
	Words   string // what it is, for people
	// Exact says that its threshold and its part sizes are known from its source, at
	// any size. Of the others only the usual part size is.
	Exact bool

	least  int64 // the smallest file that goes up in parts
	growth growth
}

// PartSize returns the size of the parts that a file of this size goes up in; 0 is
// in one piece.
func (t Tool) PartSize(size int64) int64 {
	if size < t.least {
		return 0
	}
	return t.growth(size)
}

// A growth gives the size of parts, which has to grow where 10,000 of the usual
// size are not enough.
type growth func(size int64) int64

func fixed(part int64) growth { return func(int64) int64 { return part } }

// doubled is ChunksizeAdjuster of s3transfer/utils.py, in aws-cli and boto3.
func doubled(part int64) growth {
	return func(size int64) int64 {
		p := part
		for Count(size, p) > maxParts {
			p *= 2
		}
		return p
	}
}

// spread is aws_s3_calculate_optimal_mpu_part_size_and_num_parts of aws-c-s3,
// source/s3_util.c.
func spread(part int64) growth {
	return func(size int64) int64 { return max(part, (size+maxParts-1)/maxParts) }
}

// oneMore is initSize of aws-sdk-go-v2, feature/s3/manager/upload.go, and of
// aws-sdk-go, service/s3/s3manager/upload.go.
func oneMore(part int64) growth {
	return func(size int64) int64 {
		if size/part >= maxParts {
			return size/maxParts + 1
		}
		return part
	}
}

// wholeMiB is Calculator of rclone, fs/chunksize/chunksize.go.
func wholeMiB(part int64) growth {
	return func(size int64) int64 {
		if n := size / part; n < maxParts || n == maxParts && size%part == 0 {
			return part
		}
		p := (size/maxParts + mib - 1) / mib * mib
		if size/p == maxParts && size%maxParts != 0 {
			p += mib
		}
		return p
	}
}

// multiples is OptimalPartInfo of minio-go, api-put-object-common.go.
func multiples(part int64) growth {
	return func(size int64) int64 { return max(1, (size/maxParts+part-1)/part) * part }
}

// ownMiB is the plan of internal/upload.
func ownMiB(part int64) growth {
	return func(size int64) int64 {
		if Count(size, part) <= maxParts {
			return part
		}
		return min(((size+maxParts-1)/maxParts+mib-1)/mib*mib, maxPart)
	}
}

// Tools returns the tools whose habits are known, the most common first. Each
// names what its row was read from; those that are not Exact are from their
// documentation.
func Tools() []Tool {
	return []Tool{
		// aws-cli awscli/s3transfer/manager.py: TransferConfig, multipart_threshold and
		// multipart_chunksize 8 MiB; upload.py: in parts if size >= threshold.
		{"aws", []string{"awscli", "aws-cli", "boto3", "s3transfer"}, "AWS CLI, boto3", true, 8 * mib, doubled(8 * mib)},
		// rclone backend/s3/s3.go: upload_cutoff 200 MiB, in parts if size >= cutoff;
		// chunk_size 5 MiB.
		{"rclone", nil, "rclone", true, 200 * mib, wholeMiB(5 * mib)},
		// minio-go constants.go: minPartSize 16 MiB; api-put-object.go: in one piece if
		// size < part size.
		{"mc", []string{"minio-go", "minio"}, "MinIO Client, minio-go", true, 16 * mib, multiples(16 * mib)},
		// s5cmd command/cp.go: part-size 50 MiB for s3manager, which puts in one piece
		// what is no larger than a part (nextReader in upload.go).
		{"s5cmd", nil, "s5cmd", true, 50*mib + 1, oneMore(50 * mib)},
		// s3cmd S3/Config.py: multipart_chunk_size_mb 15; S3/S3.py, object_put: in parts
		// if size > chunk size.
		{"s3cmd", nil, "s3cmd", true, 15*mib + 1, fixed(15 * mib)},
		// aws-sdk-go-v2 feature/s3/manager/upload.go: DefaultUploadPartSize 5 MiB.
		{"go-sdk", []string{"manager", "s3manager", "terraform"}, "AWS SDK for Go (manager), Terraform", true, 5*mib + 1, oneMore(5 * mib)},
		// aws-sdk-go-v2 feature/s3/transfermanager/options.go: 8 MiB, threshold 16 MiB.
		{"transfermanager", nil, "AWS SDK for Go (transfermanager)", true, 16 * mib, oneMore(8 * mib)},
		// aws-c-s3 source/s3_client.c: s_default_part_size 8 MiB, which is the threshold
		// too.
		{"crt", []string{"aws-crt"}, "AWS CRT clients (AWS CLI with the CRT, Java CRT)", true, 8*mib + 1, spread(8 * mib)},
		// restic internal/backend/s3/s3.go: PartSize 200 MiB for minio-go.
		{"restic", nil, "restic", true, 200 * mib, fixed(200 * mib)},
		// internal/upload/plan.go, where the object is not given its MD5 afterwards.
		{"s3up", nil, "s3up with --normalize off", true, 64*mib + 1, ownMiB(16 * mib)},

		{"s3gof3r", nil, "s3gof3r", false, 0, fixed(20 * mib)},
		{"js", []string{"lib-storage"}, "AWS SDK for JavaScript (lib-storage)", false, 5*mib + 1, spread(5 * mib)},
		{"php", nil, "AWS SDK for PHP", false, 16 * mib, spread(5 * mib)},
		{"ruby", nil, "AWS SDK for Ruby", false, 100 * mib, spread(5 * mib)},
		{"dotnet", nil, "AWS SDK for .NET", false, 16 * mib, spread(5 * mib)},
		{"cyberduck", nil, "Cyberduck", false, 100 * mib, fixed(10 * mib)},
	}
}

// FindTool returns the tool of that name, or one that cuts files in the same way.
func FindTool(name string) (Tool, bool) {
	for _, t := range Tools() {
		if t.Name == name || slices.Contains(t.Aliases, name) {
			return t, true
		}
	}
	return Tool{}, false
}

// CutBy returns what is known to cut a file of this size into such parts by
// default, for people.
func CutBy(size, part int64) []string {
	var words []string
	for _, t := range Tools() {
		if p := t.growth(size); p == part && (!t.Exact || t.PartSize(size) == part) {
			words = append(words, t.Words)
		}
	}
	return words
}

// PartSizes returns sizes of parts that cut size bytes into n parts, the
// likeliest first: those of first, then what tools make of this size, then what
// people choose, then whole MiB, of which there may be many: most are returned at
// most.
func PartSizes(size int64, n, most int, first ...int64) []int64 {
	if n == 1 {
		return []int64{max(1, size)}
	}
	var sizes []int64
	add := func(part int64) {
		if part > 0 && part < size && len(sizes) < most && Count(size, part) == n && !slices.Contains(sizes, part) {
			sizes = append(sizes, part)
		}
	}
	for _, part := range first {
		add(part)
	}
	for _, t := range Tools() {
		add(t.growth(size))
	}
	for _, m := range []int64{64, 100, 128, 32, 256, 512, 25, 1024, 2048, 4096, 5120, 6, 12, 24, 40, 48, 80, 96, 150, 200, 250, 300, 400, 500, 1000} {
		add(m * mib)
	}
	add((size + int64(n) - 1) / int64(n)) // all alike
	for _, mb := range []int64{5, 8, 10, 16, 20, 25, 50, 64, 100, 128, 250, 256, 500, 512, 1000, 5000} {
		add(mb * 1_000_000)
	}
	least := (size + int64(n) - 1) / int64(n)
	for part := (least + mib - 1) / mib * mib; len(sizes) < most && Count(size, part) == n; part += mib {
		add(part)
	}
	return sizes
}
