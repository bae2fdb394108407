package main

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/rogpeppe/go-internal/testscript"
)

// A client is another program that uploads.
type client struct {
	built bool // by the Makefile; else it is looked for on PATH, where other programs are called mc
	// args store a file as an object, with properties that the program can give.
	args func(p clientPlace, file, object string) []string
	env  func(p clientPlace) []string
}

// A clientPlace is where a client is to upload to, and how.
type clientPlace struct {
	endpoint       *url.URL
	access, secret string
	home           string
	part           int // in MiB; 0: what it does by itself
}

var clients = map[string]client{
	"aws": {
		args: func(p clientPlace, file, object string) []string {
			return []string{"s3", "cp", "--no-progress", "--metadata", "owner=me", "--content-type", "text/x-test", "--cache-control", "no-store",
				file, "s3://" + object}
		},
		env: func(p clientPlace) []string {
			config := ""
			if p.part > 0 {
				config = fmt.Sprintf("[default]\ns3 =\n  multipart_threshold = 5MB\n  multipart_chunksize = %dMB\n", p.part)
			}
			name := filepath.Join(p.home, "aws.config")
			os.WriteFile(name, []byte(config), 0o600)
			return []string{"AWS_CONFIG_FILE=" + name}
		},
	},
	"rclone": {
		built: true,
		args: func(p clientPlace, file, object string) []string {
			words := []string{"copyto", "--header-upload", "Cache-Control: no-store", "--header-upload", "x-amz-meta-owner: me",
				"--header-upload", "x-amz-tagging: team=a%20b", "--s3-no-check-bucket", file, ":s3:" + object}
			if p.part > 0 {
				words = append(words, "--s3-upload-cutoff", "5Mi", "--s3-chunk-size", fmt.Sprint(p.part, "Mi"))
			}
			return words
		},
		env: func(p clientPlace) []string {
			return []string{"RCLONE_CONFIG=" + os.DevNull, "RCLONE_S3_PROVIDER=Other", "RCLONE_S3_ENDPOINT=" + p.endpoint.String(),
				"RCLONE_S3_ACCESS_KEY_ID=" + p.access, "RCLONE_S3_SECRET_ACCESS_KEY=" + p.secret, "RCLONE_S3_REGION=us-east-1"}
		},
	},
	"mc": {
		built: true,
		args: func(p clientPlace, file, object string) []string {
			return []string{"cp", "--quiet", "--attr", "Cache-Control=no-store;owner=me", "--tags", "team=a b", file, "there/" + object}
		},
		env: func(p clientPlace) []string {
			u := *p.endpoint
			u.User = url.UserPassword(p.access, p.secret)
			env := []string{"MC_HOST_there=" + u.String(), "MC_CONFIG_DIR=" + p.home}
			if p.part > 0 {
				env = append(env, fmt.Sprintf("MC_UPLOAD_MULTIPART_SIZE=%dMiB", p.part))
			}
			return env
		},
	},
	"s3cmd": {
		args: func(p clientPlace, file, object string) []string {
			words := []string{"put", "--no-progress", "--config", os.DevNull, "--no-ssl", "--mime-type", "text/x-test",
				"--add-header", "Cache-Control: no-store", "--add-header", "x-amz-meta-owner: me", "--host", p.endpoint.Host,
				"--host-bucket", p.endpoint.Host, "--access_key", p.access, "--secret_key", p.secret, "--region", "us-east-1"}
			if p.part > 0 {
				words = append(words, "--multipart-chunk-size-mb", fmt.Sprint(p.part))
			}
			return append(words, file, "s3://"+object)
		},
	},
}

// path returns where a client is, "" if it is not there.
func (c client) path(name string) string {
	if c.built {
		file, err := filepath.Abs(filepath.Join("..", "..", ".cache", "bin", name))
		if info, missing := os.Stat(file); err != nil || missing != nil || info.IsDir() {
			return ""
		}
		return file
	}
	file, err := exec.LookPath(name)
	if err != nil {
		return ""
	}
	return file
}

var toldOfClient sync.Map

// haveClient is the condition [client:NAME]. What is not there is told, once.
func haveClient(name string) (bool, error) {
	c, ok := clients[name]
	if !ok {
		return false, fmt.Errorf("no such client")
	}
	there := c.path(name) != ""
	if _, told := toldOfClient.LoadOrStore(name, true); !there && !told {
		fmt.Fprintf(os.Stderr, "*** NOT TESTED with %s: it is not here ***\n", name)
	}
	return there, nil
}

// cmdClient stores a file by another program, in parts of so many MiB, or as that
// does by itself.
//
//	client NAME FILE KEY [MIB]
func cmdClient(ts *testscript.TestScript, _ bool, args []string) {
	name := args[0]
	c := clients[name]
	endpoint, err := url.Parse(ts.Getenv("AWS_ENDPOINT_URL"))
	ts.Check(err)
	p := clientPlace{endpoint: endpoint, access: ts.Getenv("AWS_ACCESS_KEY_ID"), secret: ts.Getenv("AWS_SECRET_ACCESS_KEY"), home: ts.Getenv("WORK")}
	if len(args) > 3 {
		_, err := fmt.Sscan(args[3], &p.part)
		ts.Check(err)
	}
	if c.env != nil {
		for _, pair := range c.env(p) {
			key, value, _ := strings.Cut(pair, "=")
			old := ts.Getenv(key)
			ts.Setenv(key, value)
			defer ts.Setenv(key, old)
		}
	}
	ts.Check(ts.Exec(c.path(name), c.args(p, ts.MkAbs(args[1]), standOf(ts).bucket+"/"+args[2])...))
}

// cmdFlip flips a bit of each file that a pattern matches; once more, and it is what
// it was.
//
//	flip OFFSET PATTERN
func cmdFlip(ts *testscript.TestScript, _ bool, args []string) {
	var at int64
	_, err := fmt.Sscan(args[0], &at)
	ts.Check(err)
	files, err := filepath.Glob(ts.MkAbs(args[1]))
	ts.Check(err)
	for _, name := range files {
		f, err := os.OpenFile(name, os.O_RDWR, 0)
		ts.Check(err)
		b := make([]byte, 1)
		_, err = f.ReadAt(b, at)
		ts.Check(err)
		b[0] ^= 1
		_, err = f.WriteAt(b, at)
		ts.Check(err)
		ts.Check(f.Close())
	}
}
