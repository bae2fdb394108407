package main

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/urfave/cli/v2"

	"s3up/internal/tree"
)

// shardFlags divide a tree among several machines.
func shardFlags() []cli.Flag {
	return []cli.Flag{
		textFlag(groupFiles, "shard", "I/N", "share I of N, from 0/N to N-1/N, by a hash of the key; auto is the\nindex of the task in an array job of Kubernetes, AWS Batch or Slurm"),
		textFlag(groupFiles, "shards", "N", "how many there are, for --shard auto where the job does not tell"),
	}
}

// shard reads the share of the keys that a run is for. What the environment says is
// for runs of many files: in a task that also uploads a file of its own, that one goes
// up whatever its key is.
func (v *values) shard(lookup func(string) string) tree.Shard {
	passedBy := v.origins["shard"] != "" && v.isOneFile()
	text := v.text("shard", "I/N or auto")
	of := v.number("shards", 0, 1<<31-1)
	if v.err != nil {
		return tree.Shard{}
	}
	if text == "auto" {
		if passedBy {
			return tree.Shard{}
		}
		s, err := arrayIndex(lookup, uint64(of))
		if err != nil {
			v.err = err
		}
		return s
	}
	switch index, count, ok := strings.Cut(text, "/"); {
	case text == "" && of > 0 && v.origins["shards"] == "":
		v.err = usagef("add --shard auto", "--shards needs --shard auto")
	case text == "":
	case of > 0:
		v.err = usagef("leave it out", "--shards is for --shard auto")
	default:
		i, err1 := strconv.ParseUint(index, 10, 31)
		n, err2 := strconv.ParseUint(count, 10, 31)
		switch {
		case !ok || err1 != nil || err2 != nil || n == 0:
			v.refuse("shard", "must be I/N, such as 0/8, or auto")
		case i >= n:
			v.refuse("shard", "shares are counted from 0: they are 0/"+count+" to "+strconv.FormatUint(n-1, 10)+"/"+count)
		case passedBy:
			return tree.Shard{}
		}
		return tree.Shard{Index: i, Of: n}
	}
	return tree.Shard{}
}

// isOneFile says whether the arguments are one file, or stdin, and where it goes.
func (v *values) isOneFile() bool {
	words := v.c.Args().Slice()
	if len(words) != 2 || v.c.Bool("recursive") || v.c.String("files-from") != "" || v.c.String("files-from0") != "" {
		return false
	}
	info, err := os.Stat(words[0])
	_, _, isGlob := tree.Glob(filepath.ToSlash(words[0]))
	return err == nil && !info.IsDir() || err != nil && !isGlob
}

// ownShare returns the tasks of this run's share, and how many are of others. Those
// that stand for many are of all of them.
func (o *cpOptions) ownShare(tasks []*task) (own []*task, elsewhere int) {
	for _, t := range tasks {
		if t.standsForMany() || o.shard.Has(t.key) {
			own = append(own, t)
		}
	}
	return own, len(tasks) - len(own)
}

// arrayIndex finds the share in what the engine of an array job tells each of its
// tasks. of, if it is given, is how many there are, whatever the engine says: a
// task that is repeated by itself is an array of one.
func arrayIndex(lookup func(string) string, of uint64) (tree.Shard, error) {
	for _, engine := range []struct{ index, count, first, last, step string }{
		{index: "AWS_BATCH_JOB_ARRAY_INDEX", count: "AWS_BATCH_JOB_ARRAY_SIZE"},
		{index: "SLURM_ARRAY_TASK_ID", count: "SLURM_ARRAY_TASK_COUNT", first: "SLURM_ARRAY_TASK_MIN", last: "SLURM_ARRAY_TASK_MAX", step: "SLURM_ARRAY_TASK_STEP"},
		{index: "JOB_COMPLETION_INDEX"},
	} {
		if lookup(engine.index) == "" {
			continue
		}
		number := func(name string, otherwise uint64) (uint64, error) {
			text := lookup(name)
			if name == "" || text == "" {
				return otherwise, nil
			}
			n, err := strconv.ParseUint(text, 10, 31)
			if err != nil {
				return 0, usagef("", "--shard auto: %s is no number: %s", name, quoted(clip(text)))
			}
			return n, nil
		}
		var n [5]uint64
		for i, name := range []string{engine.index, engine.count, engine.first, engine.last, engine.step} {
			var err error
			if n[i], err = number(name, []uint64{0, 0, 0, 0, 1}[i]); err != nil {
				return tree.Shard{}, err
			}
		}
		index, count, first, last, step := n[0], n[1], n[2], n[3], max(n[4], 1)
		switch {
		case of > 0:
			count = of
		case count == 0:
			return tree.Shard{}, usagef("set S3UP_SHARDS, or --shards, to the number of its tasks", "--shard auto: %s is set, and nothing tells how many there are", engine.index)
		case engine.first != "":
			if lookup(engine.last) != "" && (last-first)/step+1 != count || index < first {
				return tree.Shard{}, usagef("number its tasks from 0, and set S3UP_SHARDS to how many there are",
					"--shard auto: the tasks of this array are not numbered one after the other")
			}
			index = (index - first) / step
		}
		if index >= count {
			return tree.Shard{}, usagef("number the tasks from 0", "--shard auto: %s is %d, and there are %d shares", engine.index, index, count)
		}
		return tree.Shard{Index: index, Of: count}, nil
	}
	return tree.Shard{}, usagef("it is for Kubernetes Indexed Jobs, AWS Batch and Slurm; else say --shard I/N",
		"--shard auto: none of JOB_COMPLETION_INDEX, AWS_BATCH_JOB_ARRAY_INDEX and SLURM_ARRAY_TASK_ID is set")
}
