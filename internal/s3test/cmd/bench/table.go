//go:build linux

package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"slices"
	"strings"

	"github.com/dustin/go-humanize"
)

// spread is the least, the middle and the most of some figures.
func spread(all []float64) (least, middle, most float64) {
	sorted := slices.Sorted(slices.Values(all))
	return sorted[0], sorted[len(sorted)/2], sorted[len(sorted)-1]
}

func median(all []float64) float64 {
	if len(all) == 0 {
		return 0
	}
	_, middle, _ := spread(all)
	return middle
}

// printHead tells what was measured where.
func (b *bench) printHead(w io.Writer) {
	fmt.Fprintf(w, "%s, %d cores, %s/%s, %s; %d rounds in turn.\n\n", processor(), runtime.NumCPU(), runtime.GOOS, runtime.GOARCH, runtime.Version(), b.rounds)
	fmt.Fprintln(w, "| client | version |\n|---|---|")
	for _, c := range b.clients {
		fmt.Fprintf(w, "| %s | %s |\n", c.name, strings.ReplaceAll(c.says, "|", "/"))
	}
	fmt.Fprintln(w)
}

// processor is what /proc/cpuinfo calls it.
func processor() string {
	text, _ := os.ReadFile("/proc/cpuinfo")
	for line := range strings.Lines(string(text)) {
		if name, value, ok := strings.Cut(line, ":"); ok && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return "a processor without a name"
}

// print prints what a scenario cost: least, middle and most of all rounds.
func (b *bench) print(w io.Writer, s scenario, rows map[string]figures) {
	size := humanize.IBytes(uint64(s.bytes(b)))
	if s.what == folder {
		size = fmt.Sprintf("%s files of %s", humanize.Comma(int64(b.many)), humanize.IBytes(uint64(b.small)))
	}
	if s.what == again {
		size = fmt.Sprintf("%s files of %s", humanize.Comma(int64(b.tree)), humanize.IBytes(treeFile))
	}
	fmt.Fprintf(w, "### %s (%s)\n\n", s.title, size)
	fmt.Fprintln(w, "| client | CPU s | CPU s/GiB | wall s | peak MiB | times read | requests |\n|---|---|---|---|---|---|---|")
	gib := float64(s.bytes(b)) / (1 << 30)
	for _, c := range b.clients {
		f, ok := rows[c.name]
		if !ok {
			continue
		}
		name := c.name
		if s.what == sum {
			name = "md5sum"
		}
		three := func(all []float64, by float64) string {
			least, middle, most := spread(all)
			return fmt.Sprintf("%.2f / **%.2f** / %.2f", least/by, middle/by, most/by)
		}
		fmt.Fprintf(w, "| %s | %s | %.2f | %s | %.0f | %.1f | %.0f |\n", name, three(f.cpu, 1), median(f.cpu)/gib, three(f.wall, 1),
			slices.Max(f.memory), median(f.reads), median(f.requests))
	}
	fmt.Fprintln(w)
}

// A goal is a ratio that s3up is to keep.
type goal struct {
	scenario, than string // what it is compared with, and in which scenario of its own, if that is another one
	figure         string // cpu, wall
	most           float64
}

// goals are those of the project: the cost of one md5sum of the file is what no
// uploader that checks the whole can go below.
var goals = []goal{
	{"http", "s5cmd", "cpu", 0.75}, {"http", "rclone", "cpu", 0.45}, {"http", "aws", "cpu", 0.75},
	{"https", "s5cmd", "cpu", 0.70}, {"https", "rclone", "cpu", 0.50}, {"https", "aws", "cpu", 0.75},
	{"http", "md5sum", "wall", 1.2},
	{"far", "aws", "wall", 0.7}, {"far", "s5cmd", "wall", 0.7}, {"far", "rclone", "wall", 0.7}, {"far", "mc", "wall", 0.7},
	{"far", "md5sum", "wall", 1.25},
	{"small", "s5cmd", "cpu", 0.6}, {"small", "rclone", "cpu", 0.4}, {"small-far", "s5cmd", "wall", 1.0},
	{"resume", "md5sum", "wall", 1.2}, {"sync", "aws", "wall", 0.5},
}

// memoryGoals are how many MiB s3up may have at any time: 30 for a file, and 30 beside
// the memory of a stream.
var memoryGoals = map[string]float64{"http": 30, "https": 30, "far": 30, "late": 30, "resume": 30, "stream": 256 + 30}

// printGoals compares what was measured with the goals.
func (b *bench) printGoals(w io.Writer) {
	fmt.Fprintln(w, "### Goals\n\n| scenario | s3up beside | figure | goal | reached | |\n|---|---|---|---|---|---|")
	of := func(f figures, figure string) float64 {
		if figure == "cpu" {
			return median(f.cpu)
		}
		return median(f.wall)
	}
	row := func(g goal, mine, other float64) {
		verdict := "yes"
		if mine > g.most*other {
			verdict = "**no**"
		}
		fmt.Fprintf(w, "| %s | %s | %s | ≤ %.2f | %.2f | %s |\n", g.scenario, g.than, g.figure, g.most, mine/other, verdict)
	}
	for _, g := range goals {
		mine, theirs := b.figures[g.scenario]["s3up"], b.figures[g.scenario][g.than]
		if g.than == "md5sum" {
			theirs = b.figures["md5sum"]["s3up"]
		}
		if len(mine.cpu) == 0 || len(theirs.cpu) == 0 {
			continue
		}
		other := of(theirs, g.figure)
		if g.scenario == "far" && g.than == "md5sum" {
			other = max(other, float64(b.big)/(16*narrowly)) // what 16 connections allow
		}
		row(g, of(mine, g.figure), other)
	}
	for _, s := range scenarios {
		most, limited := memoryGoals[s.name]
		f := b.figures[s.name]["s3up"]
		if !limited || len(f.memory) == 0 {
			continue
		}
		verdict, peak := "yes", slices.Max(f.memory)
		if peak > most {
			verdict = "**no**"
		}
		fmt.Fprintf(w, "| %s | | peak MiB | ≤ %.0f | %.0f | %s |\n", s.name, most, peak, verdict)
	}
	fmt.Fprintln(w)
}
