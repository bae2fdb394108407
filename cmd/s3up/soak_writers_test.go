package main

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"

	"s3up/internal/s3test"
	"s3up/internal/s3test/faultproxy"
)

// A duel is two runs of the program at once that upload to one key.
type duel struct {
	same      bool   // one file, not two
	stale     string // --stale-after of both; "": the default
	versioned bool
	// hold is a request of the first one that waits until the second one has begun
	// and ended; the zero value: they run at once.
	hold held
}

// A held is one of a run's requests.
type held struct {
	op    string
	after int // so many of this name come before
}

// A side is one of the two.
type side struct {
	sum   *sums
	proxy *faultproxy.Proxy
	run   *soakRun
	reqs  []faultproxy.Record
}

// duelRequests is more than a run of some parts ever needs, however often the
// other one ends its upload.
const duelRequests = 150

// writers has two processes upload to one key.
func (r *round) writers() {
	r.duel(duel{same: r.rng.IntN(2) == 0, stale: []string{"0", ""}[r.rng.IntN(2)],
		versioned: r.store.versioned && r.mode == "self" && r.rng.IntN(2) == 0})
}

// duel has the two upload, and returns what came of each.
func (r *round) duel(d duel) (both []*side) {
	if d.versioned {
		if _, err := r.store.client.PutBucketVersioning(context.Background(), &s3.PutBucketVersioningInput{Bucket: &r.bucket,
			VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}}); err != nil {
			r.Fatal(err)
		}
	}
	paths := []string{r.path, r.path}
	both = []*side{{sum: r.sum}, {sum: r.sum}}
	if !d.same {
		paths[1], both[1].sum = r.file("two")
	}
	var flags []string
	if d.stale != "" {
		flags = []string{"--stale-after", d.stale}
	}
	var pause time.Duration // mixes the requests of both
	if d.hold.op == "" {
		pause = time.Duration(50+r.rng.IntN(500)) * time.Millisecond
	}
	for _, s := range both {
		s.proxy = r.proxy(faultproxy.Options{Pause: pause})
	}
	reached, release := make(chan struct{}), make(chan struct{})
	if d.hold.op == "" {
		close(reached)
	} else {
		r.stall = soakPatience.String() // or else the request is given up, and sent again
		r.slots = 1                     // or else another part learns meanwhile what the second one does
		both[0].proxy.Fault(s3test.Fault{Op: d.hold.op, After: d.hold.after, Do: s3test.Block,
			Hook: func() { close(reached) }, Hold: release})
	}
	defer func() {
		if r.Failed() {
			for _, s := range both {
				s.reqs = s.proxy.Requests()
			}
			r.story(both)
		}
	}()
	both[0].run = r.start(both[0].proxy, paths[0], flags...)
	select {
	case <-reached:
	case <-both[0].run.ctx.Done():
		r.Fatalf("no %v came", d.hold)
	}
	both[1].run = r.start(both[1].proxy, paths[1], flags...)
	r.wait(both[1].run)
	close(release)
	r.wait(both[0].run)
	for _, s := range both {
		s.proxy.Idle()
		s.reqs = s.proxy.Requests()
	}
	r.Logf("%+v, %s %s: exit %d and %d", d, r.mode, r.source, both[0].run.code, both[1].run.code)
	r.truthful(d, both[0], both[1])
	r.truthful(d, both[1], both[0])
	r.untouched(d, both[0], both[1])
	r.untouched(d, both[1], both[0])
	r.winner(d, both)
	r.nothingLeft(both[0].run, 0, cameBack(slices.Concat(both[0].reqs, both[1].reqs)))
	return both
}

// cameBack are the uploads that were aborted, and that a part brought back whose
// sender had given it up: versitygw stores such a part when it is done with it,
// and nobody is told.
func cameBack(reqs []faultproxy.Record) map[string]bool {
	ids := make(map[string]bool)
	for _, aborted := range reqs {
		if aborted.Op != "AbortMultipartUpload" || !aborted.OK() {
			continue
		}
		for _, rec := range reqs {
			if rec.Op == "UploadPart" && rec.UploadID == aborted.UploadID && rec.OK() && !rec.Delivered && rec.Answered.After(aborted.Forwarded) {
				ids[rec.UploadID] = true
			}
		}
	}
	return ids
}

// story tells what both sides asked for, in the order in which it went to the
// store.
func (r *round) story(both []*side) {
	type line struct {
		at   time.Time
		text string
	}
	var lines []line
	for i, s := range both {
		for _, rec := range s.reqs {
			lines = append(lines, line{rec.Forwarded, fmt.Sprintf("%s-%s %d: %d %s %s", rec.Forwarded.Format("05.000"),
				rec.Answered.Format("05.000"), i+1, rec.Status, strings.Join(rec.Names()[1:], " "), rec.UploadID)})
			if !rec.Delivered {
				lines[len(lines)-1].text += " (the client did not see it)"
			}
		}
	}
	slices.SortFunc(lines, func(a, b line) int { return a.at.Compare(b.at) })
	for _, l := range lines {
		r.Log(l.text)
	}
}

// truthful checks that a run's end is what it says.
func (r *round) truthful(d duel, s, other *side) {
	if n := len(s.reqs); n > duelRequests {
		r.Errorf("%d requests: %s", n, s.run)
	}
	switch line := s.run.line; s.run.code {
	case exitOK:
		last := ""
		for _, rec := range s.reqs {
			if rec.Key == r.key && rec.Delivered && (rec.Op == "HeadObject" || rec.Op == "PutObject") && rec.OK() {
				last = rec.ETag
			}
		}
		if !s.sum.are(last) || line.ETag != last || line.MD5 != s.sum.md5 || line.Status != "uploaded" {
			r.tally.add(func() { r.tally.wrong++ })
			r.Errorf("exit 0, and its last look saw the ETag %s, want %s: %s", last, s.sum.md5, s.run)
		}
		if last == s.sum.composite && !(r.store.keeps && r.mode == "self") && r.source != "small" {
			r.Errorf("exit 0 with a composite ETag: %s", s.run)
		}
	case exitConflict:
		if !slices.ContainsFunc(other.reqs, func(rec faultproxy.Record) bool { return rec.OK() && (r.meddles(d, rec) || atOnce(s, rec)) }) {
			r.Errorf("exit 6, and nobody else did anything: %s", s.run)
		}
	default:
		r.Errorf("want exit 0 or 6: %s", s.run)
	}
}

// meddles says whether a request of the other one is a reason to give up. What
// makes an object of the same bytes is none.
func (r *round) meddles(d duel, rec faultproxy.Record) bool {
	if rec.Key != r.key {
		return false
	}
	return rec.Op == "AbortMultipartUpload" || !d.same && slices.Contains([]string{"PutObject", "CompleteMultipartUpload", "CopyObject"}, rec.Op)
}

// atOnce says whether the other one completed an upload while s did: versitygw then
// shows s the object half made, with the ETag of a part.
func atOnce(s *side, theirs faultproxy.Record) bool {
	return theirs.Op == "CompleteMultipartUpload" && slices.ContainsFunc(s.reqs, func(rec faultproxy.Record) bool {
		return rec.Op == theirs.Op && rec.UploadID == theirs.UploadID && rec.OK() &&
			rec.Forwarded.Before(theirs.Answered) && theirs.Forwarded.Before(rec.Answered)
	})
}

// untouched checks that no copy of s replaced an object that the other one had
// made after that of s, if s could have known: the condition of a self-copy is
// checked by the store, at a staged copy a look right before it has to do.
func (r *round) untouched(d duel, s, other *side) {
	if d.same {
		return
	}
	completed := func(reqs []faultproxy.Record, before time.Time) (last faultproxy.Record) {
		for _, rec := range reqs {
			if rec.Op == "CompleteMultipartUpload" && rec.OK() && rec.Answered.Before(before) && rec.Answered.After(last.Answered) {
				last = rec
			}
		}
		return last
	}
	looked := time.Time{}
	for _, rec := range s.reqs {
		if rec.Key != r.key || !rec.OK() {
			continue
		}
		if rec.Op == "HeadObject" {
			looked = rec.Forwarded
		}
		if rec.Op != "CopyObject" {
			continue
		}
		at := rec.Forwarded
		if r.mode == "staged" {
			at = looked
		}
		ours, theirs := completed(s.reqs, at), completed(other.reqs, at)
		if theirs.Forwarded.After(ours.Answered) {
			r.Errorf("a copy replaced the other one's newer object: %s\n%s", s.run, other.run)
		}
	}
}

// winner checks that the object is whole, and that somebody has been told so.
func (r *round) winner(d duel, both []*side) {
	tag, _ := r.head()
	said := func(s *side) bool { return s.run.code == exitOK }
	i := slices.IndexFunc(both, func(s *side) bool { return s.sum.are(tag) })
	if i < 0 {
		if slices.ContainsFunc(both, said) || tag != "" && !r.old.are(tag) || tag == "" && r.old != nil {
			r.tally.add(func() { r.tally.wrong++ })
			r.Errorf("the object's ETag is %q: %s\n%s", tag, both[0].run, both[1].run)
		}
		return
	}
	if content := r.content(); content != both[i].sum.md5 {
		r.tally.add(func() { r.tally.wrong++ })
		r.Errorf("the object's MD5 is %s, want %s", content, both[i].sum.md5)
	}
	if !said(both[i]) && !(d.same && slices.ContainsFunc(both, said)) {
		r.Errorf("the object is this one's, which ended so: %s", both[i].run)
	}
}

// TestTwoProcesses has two processes upload to one key: at once, in every way
// that makes a difference, and one of them wholly between two requests of the
// other one, where the ends are known. Without S3UP_SOAK, of those at once only
// one runs, which the seed chooses.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	seed := soakSeed(t)
	t.Logf("again: S3UP_SEED=%d go test -run TestTwoProcesses ./cmd/s3up", seed)
	store := newSoakStore(t)
	all := newTally()
	tests := []struct {
		mode string
		duel
		ends [2]int // with hold only
	}{
		{mode: "self", duel: duel{same: true, stale: "0"}},
		{mode: "self", duel: duel{same: true}},
		{mode: "self", duel: duel{stale: "0"}},
		{mode: "self", duel: duel{versioned: true}},
		{mode: "staged", duel: duel{same: true, stale: "0"}},
		{mode: "staged", duel: duel{}},
		{"self", duel{stale: "0", hold: held{"UploadPart", 1}}, [2]int{exitOK, exitOK}},
		{"self", duel{hold: held{"HeadObject", 1}}, [2]int{exitConflict, exitOK}},
		{"self", duel{hold: held{"CopyObject", 0}}, [2]int{exitConflict, exitOK}},
		{"self", duel{hold: held{"CopyObject", 0}, versioned: true}, [2]int{exitConflict, exitOK}},
		{"self", duel{hold: held{"HeadObject", 2}}, [2]int{exitConflict, exitOK}},
		{"staged", duel{hold: held{"HeadObject", 3}}, [2]int{exitConflict, exitOK}},
	}
	const atOnce = 6 // the first of them
	for i, test := range tests {
		if os.Getenv("S3UP_SOAK") == "" && i < atOnce && uint64(i) != seed%atOnce {
			continue
		}
		t.Run(fmt.Sprintf("%s %+v", test.mode, test.duel), func(t *testing.T) {
			if test.versioned && !store.versioned {
				t.Skip("the store keeps no versions")
			}
			r := newRound(t, store, all, seed+uint64(i))
			r.mode, r.source = test.mode, "file"
			r.begin(seed + uint64(i))
			both := r.duel(test.duel)
			codes := [2]int{both[0].run.code, both[1].run.code}
			all.add(func() { all.rounds["writers"]++ })
			if test.hold.op != "" && codes != test.ends {
				t.Errorf("exit %d, want %d: %s", codes, test.ends, both[0].run)
				r.story(both)
			}
		})
	}
	t.Log(all)
}
