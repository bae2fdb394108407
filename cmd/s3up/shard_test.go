package main

import (
	"testing"

	"s3up/internal/tree"
)

// TestArrayIndex finds the share of a task in what its engine tells it.
func TestArrayIndex(t *testing.T) {
	for name, c := range map[string]struct {
		env  map[string]string
		of   uint64
		want tree.Shard
		why  string
	}{
		"nothing":                  {why: "--shard auto: none of JOB_COMPLETION_INDEX, AWS_BATCH_JOB_ARRAY_INDEX and SLURM_ARRAY_TASK_ID is set"},
		"kubernetes":               {env: map[string]string{"JOB_COMPLETION_INDEX": "3"}, of: 8, want: tree.Shard{Index: 3, Of: 8}},
		"kubernetes, and no count": {env: map[string]string{"JOB_COMPLETION_INDEX": "3"}, why: "--shard auto: JOB_COMPLETION_INDEX is set, and nothing tells how many there are"},
		"kubernetes, too few":      {env: map[string]string{"JOB_COMPLETION_INDEX": "8"}, of: 8, why: "--shard auto: JOB_COMPLETION_INDEX is 8, and there are 8 shares"},
		"no number":                {env: map[string]string{"JOB_COMPLETION_INDEX": "x\n"}, of: 8, why: `--shard auto: JOB_COMPLETION_INDEX is no number: "x\n"`},
		"batch":                    {env: map[string]string{"AWS_BATCH_JOB_ARRAY_INDEX": "0", "AWS_BATCH_JOB_ARRAY_SIZE": "2"}, want: tree.Shard{Index: 0, Of: 2}},
		"batch on kubernetes":      {env: map[string]string{"AWS_BATCH_JOB_ARRAY_INDEX": "1", "AWS_BATCH_JOB_ARRAY_SIZE": "2", "JOB_COMPLETION_INDEX": "7"}, want: tree.Shard{Index: 1, Of: 2}},
		"slurm": {env: map[string]string{"SLURM_ARRAY_TASK_ID": "5", "SLURM_ARRAY_TASK_COUNT": "4", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_MAX": "7", "SLURM_ARRAY_TASK_STEP": "2"},
			want: tree.Shard{Index: 2, Of: 4}},
		"slurm, with gaps": {env: map[string]string{"SLURM_ARRAY_TASK_ID": "7", "SLURM_ARRAY_TASK_COUNT": "3", "SLURM_ARRAY_TASK_MIN": "1", "SLURM_ARRAY_TASK_MAX": "7", "SLURM_ARRAY_TASK_STEP": "1"},
			why: "--shard auto: the tasks of this array are not numbered one after the other"},
		"slurm, one of them again": {env: map[string]string{"SLURM_ARRAY_TASK_ID": "3", "SLURM_ARRAY_TASK_COUNT": "1", "SLURM_ARRAY_TASK_MIN": "3", "SLURM_ARRAY_TASK_MAX": "3", "SLURM_ARRAY_TASK_STEP": "1"},
			of: 4, want: tree.Shard{Index: 3, Of: 4}},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := arrayIndex(func(name string) string { return c.env[name] }, c.of)
			why := ""
			if err != nil {
				why = err.Error()
			}
			if got != c.want || why != c.why {
				t.Errorf("got %v, %q; want %v, %q", got, why, c.want, c.why)
			}
		})
	}
}
