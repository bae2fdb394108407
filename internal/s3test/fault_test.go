package s3test_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/google/go-cmp/cmp"

	"s3up/internal/s3test"
)

// sees is what the client is told by a call: "ok" and the kind of the ETag, the
// code of an error, or a word for the broken connection.
func sees(err error, etag *string, parts ...string) string {
	switch {
	case err == nil:
		return "ok " + kind(etag, parts...)
	case strings.Contains(err.Error(), "unexpected EOF"), strings.Contains(err.Error(), "malformed MIME header"):
		return "cut"
	case strings.Contains(err.Error(), "EOF"), strings.Contains(err.Error(), "connection reset"), strings.Contains(err.Error(), "broken pipe"),
		strings.Contains(err.Error(), "closed network connection"):
		return "lost"
	case errors.Is(err, context.Canceled):
		return "canceled"
	}
	return code(err)
}

// What the client sees of PutObject and UploadPart, whose answers are headers,
// and of Complete and CopyObject, whose answers have a body; and what the store
// holds afterwards.
func TestActions(t *testing.T) {
	const nothing, right, wrong = "nothing", "right", "wrong"
	type outcome struct{ sees, stored string }
	tests := map[s3test.Action]struct{ put, part, complete, copy outcome }{
		s3test.None: {outcome{"ok md5", right}, outcome{"ok md5", right}, outcome{"ok composite", right}, outcome{"ok md5", right}},
		s3test.Status: {outcome{"InternalError", nothing}, outcome{"InternalError", nothing},
			outcome{"InternalError", nothing}, outcome{"InternalError", nothing}},
		s3test.Refuse: {outcome{"AccessDenied", nothing}, outcome{"AccessDenied", nothing},
			outcome{"AccessDenied", nothing}, outcome{"AccessDenied", nothing}},
		s3test.SlowDown:       {outcome{"SlowDown", nothing}, outcome{"SlowDown", nothing}, outcome{"SlowDown", nothing}, outcome{"SlowDown", nothing}},
		s3test.Lose:           {outcome{"lost", right}, outcome{"lost", right}, outcome{"lost", right}, outcome{"lost", right}},
		s3test.LoseUnexecuted: {outcome{"lost", nothing}, outcome{"lost", nothing}, outcome{"lost", nothing}, outcome{"lost", nothing}},
		s3test.Reset:          {outcome{"lost", nothing}, outcome{"lost", nothing}, outcome{"lost", nothing}, outcome{"lost", nothing}},
		s3test.Cut:            {outcome{"cut", right}, outcome{"cut", right}, outcome{"cut", right}, outcome{"cut", right}},
		s3test.CutClose:       {outcome{"cut", right}, outcome{"cut", right}, outcome{"cut", right}, outcome{"cut", right}},
		s3test.CutBody:        {outcome{"lost", nothing}, outcome{"lost", nothing}, outcome{"lost", nothing}, outcome{"lost", nothing}},
		s3test.Empty200:       {outcome{"ok none", right}, outcome{"ok none", right}, outcome{"ok none", right}, outcome{"ok none", right}},
		s3test.EmptyNoop:      {outcome{"ok none", nothing}, outcome{"ok none", nothing}, outcome{"ok none", nothing}, outcome{"ok none", nothing}},
		s3test.Error200: {outcome{"InternalError", nothing}, outcome{"InternalError", nothing},
			outcome{"InternalError", nothing}, outcome{"InternalError", nothing}},
		s3test.Error200Done: {outcome{"InternalError", right}, outcome{"InternalError", right},
			outcome{"InternalError", right}, outcome{"InternalError", right}},
		s3test.HTML200: {outcome{"ok none", nothing}, outcome{"ok none", nothing}, outcome{"html", nothing}, outcome{"html", nothing}},
		s3test.Corrupt: {outcome{"BadDigest", nothing}, outcome{"BadDigest", nothing}, outcome{"ok composite", right}, outcome{"ok md5", right}},
		s3test.CorruptQuiet: {outcome{"ok opaque", wrong}, outcome{"ok opaque", wrong},
			outcome{"ok composite", wrong}, outcome{"ok opaque", wrong}},
		s3test.WrongETag: {outcome{"ok opaque", right}, outcome{"ok opaque", right}, outcome{"ok opaque", right}, outcome{"ok opaque", right}},
		s3test.WrongObject: {outcome{"ok md5", right}, outcome{"ok md5", right},
			outcome{"ok other composite", wrong}, outcome{"ok opaque", wrong}},
	}
	const body = p1 + p2
	state := func(stored string, found bool) string {
		switch {
		case !found:
			return nothing
		case stored == body:
			return right
		}
		return wrong
	}
	check := func(t *testing.T, w *world, call string, got, want outcome) {
		t.Helper()
		if want.sees == "html" { // XML parsers differ in what they make of a page
			want.sees, got.sees = "an error or no ETag", map[bool]string{true: "an error or no ETag", false: got.sees}[got.sees != "ok md5" && got.sees != "ok composite"]
		}
		if got != want {
			t.Errorf("%s: got %q, want %q", call, got, want)
		}
		if n := w.Count("*"); n != 1 {
			t.Errorf("%s: %d requests, want 1", call, n)
		}
		if r := w.Requests()[0]; r.Fault.String() != strings.SplitN(t.Name(), "/", 2)[1] {
			t.Errorf("%s: the record says %s", call, r.Fault)
		}
	}
	for _, action := range s3test.Actions() {
		test, found := tests[action]
		if !found {
			continue // the stalls, below
		}
		t.Run(action.String(), func(t *testing.T) {
			w := newWorld(t, s3test.Options{})
			w.ResetRequests()
			w.Fault(s3test.Fault{Op: "PutObject", Do: action})
			out, err := w.put("k", body, func(in *s3.PutObjectInput) { in.ContentMD5 = md5Base64(body) })
			o, stored := w.Object("b", "k")
			var etag *string
			if err == nil {
				etag = out.ETag
			}
			check(t, w, "PutObject", outcome{sees(err, etag, body), state(string(o.Bytes()), stored)}, test.put)

			id := w.create("k")
			w.ResetRequests()
			w.Fault(s3test.Fault{Op: "UploadPart 2", Do: action})
			part, err := w.part("k", id, 2, body, func(in *s3.UploadPartInput) { in.ContentMD5 = md5Base64(body) })
			if etag = nil; err == nil {
				etag = part.ETag
			}
			got := outcome{sees(err, etag, body), nothing}
			if parts := w.Uploads("b")[0].Parts; len(parts) > 0 {
				got.stored = map[bool]string{true: right, false: wrong}[parts[0].ETag == md5Hex(body)]
			}
			check(t, w, "UploadPart", got, test.part)

			w.ResetStore()
			id = w.create("k")
			list := w.parts("k", id, p1, p2)
			w.ResetRequests()
			w.Fault(s3test.Fault{Op: "CompleteMultipartUpload", Do: action})
			done, err := w.complete("k", id, list)
			if etag = nil; err == nil {
				etag = done.ETag
			}
			o, stored = w.Object("b", "k")
			check(t, w, "Complete", outcome{sees(err, etag, p1, p2), state(string(o.Bytes()), stored)}, test.complete)

			w.ResetStore()
			w.upload("k", p1, p2)
			w.ResetRequests()
			w.Fault(s3test.Fault{Op: "CopyObject", Do: action})
			copied, err := w.copy("b/k", "k2")
			if etag = nil; err == nil && copied.CopyObjectResult != nil {
				etag = copied.CopyObjectResult.ETag
			}
			o, stored = w.Object("b", "k2")
			check(t, w, "CopyObject", outcome{sees(err, etag, p1, p2), state(string(o.Bytes()), stored)}, test.copy)
		})
	}
}

// The other object is what WrongObject copies, if there is one.
func TestWrongObjectIsAnother(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	w.Put("b", "another", []byte("another"))
	w.Put("b", "k", []byte("k"))
	w.Fault(s3test.Fault{Op: "CopyObject", Do: s3test.WrongObject})
	out := must(w.selfCopy("k", func(in *s3.CopyObjectInput) { in.CopySourceIfMatch = aws.String(md5Hex("k")) }))(t)
	if got := kind(out.CopyObjectResult.ETag, "another"); got != "md5" {
		t.Errorf("the ETag is %s, not the other object's", *out.CopyObjectResult.ETag)
	}
}

// Stalls end when the client leaves, or with the server; until then there is
// nothing to see.
func TestStalls(t *testing.T) {
	tests := []struct {
		do       s3test.Action
		leaves   bool // the server notices that the client has left
		executed bool
	}{
		{s3test.Stall, true, false},
		{s3test.StallBody, false, false},
		{s3test.StallAnswer, true, true},
	}
	for _, tt := range tests {
		t.Run(tt.do.String(), func(t *testing.T) {
			ended := make(chan s3test.Record, 1)
			hit := make(chan struct{})
			w := newWorld(t, s3test.Options{Log: func(r s3test.Record) { ended <- r }})
			w.Fault(s3test.Fault{Op: "PutObject", Do: tt.do, Hook: func() { close(hit) }})
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			failed := make(chan error)
			go func() {
				_, err := w.c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("k"), Body: strings.NewReader("hello")})
				failed <- err
			}()
			<-hit
			select {
			case err := <-failed:
				t.Fatalf("the client was answered: %v", err)
			case r := <-ended:
				t.Fatalf("the request ended: %+v", r)
			default:
			}
			if tt.leaves {
				if tt.executed { // and see that it has been, before leaving
					for _, stored := w.Object("b", "k"); !stored; _, stored = w.Object("b", "k") {
					}
				}
				cancel()
			} else {
				w.Close()
			}
			if err := <-failed; err == nil {
				t.Error("no error")
			}
			<-ended
			if _, stored := w.Object("b", "k"); stored != tt.executed {
				t.Errorf("stored: %t, want %t", stored, tt.executed)
			}
		})
	}
}

// The first half of a stalled answer arrives.
func TestStallAnswerHalf(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	w.Put("b", "k", []byte("0123456789"))
	w.Fault(s3test.Fault{Op: "GetObject", Do: s3test.StallAnswer})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := must(w.c.GetObject(ctx, &s3.GetObjectInput{Bucket: bucket, Key: aws.String("k")}))(t)
	defer out.Body.Close()
	half := make([]byte, 5)
	if _, err := io.ReadFull(out.Body, half); err != nil || string(half) != "01234" {
		t.Fatalf("got %q, %v", half, err)
	}
	cancel()
	if rest, err := io.ReadAll(out.Body); len(rest) > 0 || !errors.Is(err, context.Canceled) {
		t.Errorf("got %q, %v", rest, err)
	}
}

// With Content-Length, a cut body cannot be taken for a whole one.
func TestCutHalf(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	w.Put("b", "k", []byte("0123456789"))
	w.Fault(s3test.Fault{Op: "GetObject", Do: s3test.Cut})
	if got, err := w.get("k"); got != "01234" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("got %q, %v", got, err)
	}
	w.Fault(s3test.Fault{Op: "GetObject", Do: s3test.CutClose})
	if got, err := w.get("k"); got != "01234" || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
}

func TestFaultMatching(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	fails := func(f s3test.Fault, calls string) string {
		w.ClearFaults()
		f.Do = s3test.SlowDown
		w.Fault(f)
		id := w.create("k")
		var seen []string
		for _, n := range calls {
			_, err := w.part("k", id, int(n-'0'), p1)
			seen = append(seen, map[bool]string{true: "x", false: "-"}[code(err) == "SlowDown"])
		}
		return strings.Join(seen, "")
	}
	for _, tt := range []struct {
		f     s3test.Fault
		calls string
		want  string
	}{
		{s3test.Fault{Op: "UploadPart"}, "1234", "x---"},
		{s3test.Fault{Op: "UploadPart 3"}, "123334", "--x---"},
		{s3test.Fault{Op: "UploadPart 3", Times: 2}, "123334", "--xx--"},
		{s3test.Fault{Op: "UploadPart", After: 2, Times: 1}, "1234", "--x-"},
		{s3test.Fault{Op: "UploadPart", After: 1, Times: -1}, "1234", "-xxx"},
		{s3test.Fault{Op: "UploadPart", Times: -1, Key: "other"}, "12", "--"},
		{s3test.Fault{Op: "UploadPart", Times: -1, Key: "k"}, "12", "xx"},
		{s3test.Fault{Op: "PutObject", Times: -1}, "12", "--"},
		{s3test.Fault{Op: "*", After: 1}, "12", "x-"}, // the create is let through
	} {
		if got := fails(tt.f, tt.calls); got != tt.want {
			t.Errorf("%+v: got %s, want %s", tt.f, got, tt.want)
		}
	}

	// Of two that match, the first set hits first; each request is hit once.
	w.ClearFaults()
	w.Fault(s3test.Fault{Op: "PutObject", Do: s3test.SlowDown})
	w.Fault(s3test.Fault{Op: "*", Do: s3test.Refuse})
	var got []string
	for range 3 {
		_, err := w.put("k", "x")
		got = append(got, code(err))
	}
	if diff := cmp.Diff([]string{"SlowDown", "AccessDenied", "ok"}, got); diff != "" {
		t.Error(diff)
	}
	defer func() {
		if recover() == nil {
			t.Error("a fault on an operation that does not exist is accepted")
		}
	}()
	w.Fault(s3test.Fault{Op: "UploadParts"})
}

func TestFaultAnswer(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	for _, tt := range []struct {
		f    s3test.Fault
		want string
	}{
		{s3test.Fault{Do: s3test.Status}, "500 InternalError"},
		{s3test.Fault{Do: s3test.Status, Status: 503}, "503 SlowDown"},
		{s3test.Fault{Do: s3test.Status, Status: 520}, "520 InternalError"},
		{s3test.Fault{Do: s3test.Status, Code: "ExpiredToken"}, "400 ExpiredToken"},
		{s3test.Fault{Do: s3test.Status, Code: "Strange"}, "500 Strange"},
		{s3test.Fault{Do: s3test.Status, Status: 409, Code: "ConditionalRequestConflict", Message: "m"}, "409 ConditionalRequestConflict m"},
		{s3test.Fault{Do: s3test.Refuse, Code: "SignatureDoesNotMatch"}, "403 SignatureDoesNotMatch"},
		{s3test.Fault{Do: s3test.Error200, Code: "SlowDown"}, "200 SlowDown"},
	} {
		tt.f.Op, tt.f.Header = "PutObject", http.Header{"Retry-After": {"7"}}
		w.ResetRequests()
		w.Fault(tt.f)
		_, err := w.put("k", "x")
		got := fmt.Sprint(w.Requests()[0].Status, " ", w.Requests()[0].Code)
		if tt.f.Message != "" {
			got += " " + message(err)
		}
		if got != tt.want || !strings.Contains(err.Error(), w.Requests()[0].Code) {
			t.Errorf("%+v: got %s, want %s (%v)", tt.f, got, tt.want, err)
		}
	}
	w.Fault(s3test.Fault{Op: "*", Header: http.Header{"x-extra": {"1"}}})
	r := must(http.Get(w.URL()))(t)
	r.Body.Close()
	if r.Header.Get("X-Extra") != "1" {
		t.Error("the fault's header is not in the answer")
	}
}

func TestHold(t *testing.T) {
	ended := make(chan s3test.Record, 1)
	w := newWorld(t, s3test.Options{Log: func(r s3test.Record) { ended <- r }})
	for _, leave := range []bool{false, true} {
		w.ResetStore()
		hit, hold := make(chan struct{}), make(chan struct{})
		w.Fault(s3test.Fault{Op: "PutObject", Hook: func() { close(hit) }, Hold: hold})
		ctx, cancel := context.WithCancel(t.Context())
		result := make(chan error)
		go func() {
			_, err := w.c.PutObject(ctx, &s3.PutObjectInput{Bucket: bucket, Key: aws.String("k"), Body: strings.NewReader("hello")})
			result <- err
		}()
		<-hit
		if _, stored := w.Object("b", "k"); stored {
			t.Error("stored while held")
		}
		if leave {
			cancel()
		} else {
			close(hold)
		}
		if err := <-result; (err != nil) != leave {
			t.Errorf("leave=%t: %v", leave, err)
		}
		r := <-ended
		if o, stored := w.Object("b", "k"); stored == leave || stored && string(o.Bytes()) != "hello" {
			t.Errorf("leave=%t: stored=%t %q", leave, stored, o.Bytes())
		}
		if r.Bytes != 5 && !leave {
			t.Errorf("%d bytes recorded, want 5", r.Bytes)
		}
		cancel()
	}
}

// Close lets go of whatever is held or stalled.
func TestCloseWhileHeld(t *testing.T) {
	w := newWorld(t, s3test.Options{})
	hit := make(chan struct{}, 2)
	w.Fault(s3test.Fault{Op: "HeadObject", Hold: make(chan struct{}), Hook: func() { hit <- struct{}{} }})
	w.Fault(s3test.Fault{Op: "ListParts", Do: s3test.Stall, Hook: func() { hit <- struct{}{} }})
	failed := make(chan error, 2)
	go func() { _, err := w.head("k"); failed <- err }()
	go func() { _, err := w.listParts("k", aws.String("id")); failed <- err }()
	<-hit
	<-hit
	if got := w.Peak("*"); got != 2 {
		t.Errorf("peak: got %d, want 2", got)
	}
	w.Close()
	for range 2 {
		if err := <-failed; err == nil {
			t.Error("no error")
		}
	}
}

func TestParseFault(t *testing.T) {
	for spec, want := range map[string]s3test.Fault{
		"UploadPart 3:lose:1":  {Op: "UploadPart 3", Times: 1, Do: s3test.Lose},
		"*:LoseUnexecuted":     {Op: "*", Do: s3test.LoseUnexecuted},
		"PutObject:block":      {Op: "PutObject"},
		"HeadObject:refuse:-1": {Op: "HeadObject", Times: -1, Do: s3test.Refuse},
		"CopyObject:status:-1:status=501:code=NotImplemented:message=no:after=2:key=a/b=c": {Op: "CopyObject", Do: s3test.Status,
			Times: -1, Status: 501, Code: "NotImplemented", Message: "no", After: 2, Key: "a/b=c"},
		"CopyObject:status:times=3": {Op: "CopyObject", Do: s3test.Status, Times: 3},
	} {
		got, err := s3test.ParseFault(spec)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%s: %v\n%s", spec, err, diff)
		}
	}
	for _, bad := range []string{"", "UploadPart", "UploadPart:nope", "Nope:lose", "UploadPart x:lose", "UploadPart 0:lose", "UploadPart:lose:x", "UploadPart:lose:1:2", "UploadPart:lose:a=1"} {
		if f, err := s3test.ParseFault(bad); err == nil {
			t.Errorf("%q: got %+v, want an error", bad, f)
		}
	}
	for _, a := range s3test.Actions() {
		if got, found := s3test.ActionByName(a.String()); got != a || !found {
			t.Errorf("ActionByName(%s) is %s, %t", a, got, found)
		}
	}
	names := []string{}
	for _, a := range s3test.Actions() {
		names = append(names, a.String())
	}
	slices.Sort(names)
	if len(slices.Compact(names)) != len(s3test.Actions()) || slices.Contains(names, "") {
		t.Errorf("names: %q", names)
	}
}
