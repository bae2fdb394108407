// Rclone is rclone with the parts of it that the tests need: its S3 server for
// a local folder, and its uploads to S3. Without its other 60 backends it is
// built in a third of the time. It is a module of its own, so that s3up depends on
// nothing of rclone's.
package main

import (
	_ "github.com/rclone/rclone/backend/local"
	_ "github.com/rclone/rclone/backend/s3"
	"github.com/rclone/rclone/cmd"
	_ "github.com/rclone/rclone/cmd/copyto"
	_ "github.com/rclone/rclone/cmd/serve/s3"
)

func main() { cmd.Main() }
