//go:build linux

package main

import (
	"context"
	"debug/buildinfo"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A place is where a client is to upload to.
type place struct {
	url    string // of the store
	bucket string
	key    string // or a prefix that ends in a slash
	ca     string // a file with the authority of the store's certificate; "" over http
}

// A client is a program that uploads. Its defaults are what is measured.
type client struct {
	name    string
	version []string // arguments that print it
	env     func(p place, home string) []string
	file    func(p place, path string) []string
	folder  func(p place, path string) []string
	stream  func(p place) []string              // from stdin; nil: it cannot
	sync    func(p place, path string) []string // nil: it is not compared
	stamps  bool                                // sync finds out by what this client alone stored with the objects

	path string
	says string // its version
}

const (
	accessKey = "AKIAS3TEST"
	secretKey = "s3test-secret"
)

// awsEnv is the environment that most clients read. Programs in Go take the
// authority from SSL_CERT_FILE.
func awsEnv(p place, home string) []string {
	env := []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "AWS_ACCESS_KEY_ID=" + accessKey, "AWS_SECRET_ACCESS_KEY=" + secretKey,
		"AWS_REGION=us-east-1", "AWS_DEFAULT_REGION=us-east-1", "AWS_EC2_METADATA_DISABLED=true", "AWS_CONFIG_FILE=/dev/null",
		"AWS_SHARED_CREDENTIALS_FILE=/dev/null"}
	if p.ca != "" {
		env = append(env, "SSL_CERT_FILE="+p.ca, "AWS_CA_BUNDLE="+p.ca)
	}
	return env
}

func (p place) s3() string { return "s3://" + p.bucket + "/" + p.key }

// clients are all that are measured, s3up first.
func clients() []*client {
	return []*client{
		{
			name: "s3up", version: []string{"--version"}, env: awsEnv,
			file: func(p place, path string) []string { return []string{"cp", "--endpoint-url", p.url, path, p.s3()} },
			folder: func(p place, path string) []string {
				return []string{"cp", "-r", "--endpoint-url", p.url, path, p.s3()}
			},
			stream: func(p place) []string { return []string{"cp", "--endpoint-url", p.url, "-", p.s3()} },
			sync:   func(p place, path string) []string { return []string{"sync", "--endpoint-url", p.url, path, p.s3()} },
		},
		{
			name: "aws", version: []string{"--version"}, env: awsEnv,
			file: func(p place, path string) []string {
				return []string{"s3", "cp", "--no-progress", "--endpoint-url", p.url, path, p.s3()}
			},
			folder: func(p place, path string) []string {
				return []string{"s3", "cp", "--recursive", "--no-progress", "--endpoint-url", p.url, path, p.s3()}
			},
			stream: func(p place) []string { return []string{"s3", "cp", "--endpoint-url", p.url, "-", p.s3()} },
			sync: func(p place, path string) []string {
				return []string{"s3", "sync", "--no-progress", "--endpoint-url", p.url, path, p.s3()}
			},
		},
		{
			name: "s5cmd", version: []string{"version"}, env: awsEnv,
			file: func(p place, path string) []string { return []string{"--endpoint-url", p.url, "cp", path, p.s3()} },
			folder: func(p place, path string) []string {
				return []string{"--endpoint-url", p.url, "cp", path + "/", p.s3()}
			},
			stream: func(p place) []string { return []string{"--endpoint-url", p.url, "pipe", p.s3()} },
			sync: func(p place, path string) []string {
				return []string{"--endpoint-url", p.url, "sync", path + "/", p.s3()}
			},
		},
		{
			name: "rclone", version: []string{"version"},
			env: func(p place, home string) []string {
				return append(awsEnv(p, home), "RCLONE_CONFIG=/dev/null", "RCLONE_S3_PROVIDER=Other", "RCLONE_S3_ENDPOINT="+p.url,
					"RCLONE_S3_ACCESS_KEY_ID="+accessKey, "RCLONE_S3_SECRET_ACCESS_KEY="+secretKey, "RCLONE_S3_REGION=us-east-1",
					"RCLONE_S3_LIST_VERSION=2") // the store has no other
			},
			file:   func(p place, path string) []string { return []string{"copyto", path, ":s3:" + p.bucket + "/" + p.key} },
			folder: func(p place, path string) []string { return []string{"copy", path, ":s3:" + p.bucket + "/" + p.key} },
			stream: func(p place) []string { return []string{"rcat", ":s3:" + p.bucket + "/" + p.key} },
			sync:   func(p place, path string) []string { return []string{"sync", path, ":s3:" + p.bucket + "/" + p.key} },
			stamps: true,
		},
		{
			name: "mc", version: []string{"--version"},
			env: func(p place, home string) []string {
				u, _ := url.Parse(p.url)
				u.User = url.UserPassword(accessKey, secretKey)
				return append(awsEnv(p, home), "MC_HOST_bench="+u.String(), "MC_CONFIG_DIR="+home)
			},
			file: func(p place, path string) []string {
				return []string{"cp", "--quiet", path, "bench/" + p.bucket + "/" + p.key}
			},
			folder: func(p place, path string) []string {
				return []string{"cp", "--quiet", "--recursive", path + "/", "bench/" + p.bucket + "/" + p.key}
			},
			stream: func(p place) []string { return []string{"pipe", "--quiet", "bench/" + p.bucket + "/" + p.key} },
		},
	}
}

// findClients finds out which clients there are, and in which version.
func (b *bench) findClients(ctx context.Context) error {
	for _, c := range clients() {
		if c.name != "s3up" && !b.options.peers.MatchString(c.name) {
			continue
		}
		c.path = filepath.Join(b.bin, c.name)
		if c.name == "s3up" {
			c.path = b.s3up
		}
		if _, err := os.Stat(c.path); err != nil && c.name != "s3up" {
			if c.path, err = exec.LookPath(c.name); err != nil {
				fmt.Fprintf(os.Stderr, "*** NOT MEASURED: %s is not here ***\n", c.name)
				continue
			}
		}
		if abs, err := filepath.Abs(c.path); err == nil {
			c.path = abs
		}
		out, err := exec.CommandContext(ctx, c.path, c.version...).CombinedOutput()
		if err != nil {
			return fmt.Errorf("%s %s: %w: %s", c.path, strings.Join(c.version, " "), err, out)
		}
		c.says, _, _ = strings.Cut(strings.TrimSpace(string(out)), "\n")
		if built, err := buildinfo.ReadFile(c.path); err == nil && built.Main.Version != "(devel)" && built.Main.Version != "" {
			c.says += ", module " + built.Main.Version
		}
		b.clients = append(b.clients, c)
	}
	return nil
}
