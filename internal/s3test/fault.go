package s3test

import (
	"bytes"
	"cmp"
	"crypto/md5"
	"encoding/hex"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// A Fault breaks the requests that it matches, by name:
//
//	srv.Fault(s3test.Fault{Op: "UploadPart 3", Do: s3test.Lose})
//
// Of several faults that match a request, the one that was set first hits it.
type Fault struct {
	// Op is the operation as the SDK names it, with a part number or without
	// ("UploadPart", "UploadPart 3"), or "*".
	Op    string
	Key   string // only requests for exactly this key; empty: for any
	After int    // the first so many matching requests get through
	Times int    // how often it hits: 0 is once, -1 for ever

	Do      Action
	Status  int    // of the answer, where the action is a refusal; default goes by Code, else by the action
	Code    string // of the error that is answered; default goes by the status
	Message string
	Header  http.Header // added to the answer, whatever that is

	// Hook is called when the fault hits, before anything is done. It runs on
	// the request's goroutine and may use the server.
	Hook func()
	// Hold keeps the request waiting, after Hook, until it is closed, the client
	// leaves (then nothing is done) or the server closes.
	Hold <-chan struct{}
}

// An Action is what a fault does to a request. "Executed" says that the store
// changed as it would have without the fault.
type Action int

// Where an answer is lost on a connection that was used before, Go's own
// transport repeats a GET or a HEAD without anybody asking; the record shows
// both.
const (
	None           Action = iota // proceed as if nothing were: for Hook and Hold
	Status                       // not executed: the answer is Fault.Status
	Refuse                       // not executed: 403 AccessDenied
	SlowDown                     // not executed: 503 SlowDown
	Lose                         // executed, then the connection is closed without an answer
	LoseUnexecuted               // not executed: the connection is closed at once
	Cut                          // executed; the answer ends in the middle, short of its Content-Length
	CutClose                     // executed; the answer has no Content-Length and ends in the middle
	CutBody                      // not executed: the connection is closed when half of the body has come
	Empty200                     // executed; 200 without a body, an ETag or any other of the operation's headers
	EmptyNoop                    // not executed; the same answer
	Error200                     // not executed; 200 with an error in the body
	Error200Done                 // executed; the same answer
	HTML200                      // not executed; 200 with a page of HTML, as from a proxy
	Stall                        // not executed: the body is taken, then silence until the client leaves
	StallBody                    // not executed: half of the body is taken, then silence until the server closes
	StallAnswer                  // executed; half of the answer, then silence until the client leaves
	Corrupt                      // one bit of a part's or an object's body flips on the way to the server: BadDigest, if it was sent with a sum
	CorruptQuiet                 // the bit flips in the store, after all checks: ETags are those of the wrong bytes, but Complete's stays that of the parts
	WrongETag                    // executed; the answer's ETag is another one
	WrongObject                  // CopyObject copies, Complete assembles other bytes than it should
	Reset                        // not executed: the connection is reset
	Block          = None
)

var actionNames = [...]string{"none", "status", "refuse", "slow-down", "lose", "lose-unexecuted", "cut", "cut-close", "cut-body",
	"empty-200", "empty-noop", "error-200", "error-200-done", "html-200", "stall", "stall-body", "stall-answer",
	"corrupt", "corrupt-quiet", "wrong-etag", "wrong-object", "reset"}

// String is the action's name as ActionByName takes it: "lose-unexecuted".
func (a Action) String() string {
	if a < 0 || int(a) >= len(actionNames) {
		return "Action(" + strconv.Itoa(int(a)) + ")"
	}
	return actionNames[a]
}

// Actions lists all of them.
func Actions() []Action {
	all := make([]Action, len(actionNames))
	for i := range all {
		all[i] = Action(i)
	}
	return all
}

// ActionByName finds an action: "lose-unexecuted", "LoseUnexecuted".
func ActionByName(name string) (Action, bool) {
	plain := func(s string) string { return strings.ToLower(strings.ReplaceAll(s, "-", "")) }
	for i, n := range actionNames {
		if plain(n) == plain(name) {
			return Action(i), true
		}
	}
	return None, plain(name) == "block"
}

// ParseFault reads OP[ PART]:ACTION[:TIMES][:NAME=VALUE]..., where NAME is
// times, after, key, status, code or message:
//
//	UploadPart 3:lose:1
//	CopyObject:status:-1:status=501:code=NotImplemented
func ParseFault(spec string) (Fault, error) {
	bad := func(format string, args ...any) (Fault, error) {
		return Fault{}, fmt.Errorf("fault %q: %s", spec, fmt.Sprintf(format, args...))
	}
	fields := strings.Split(spec, ":")
	if len(fields) < 2 {
		return bad("OP:ACTION[:TIMES] expected, as in %q", "UploadPart 3:lose:1")
	}
	f := Fault{Op: fields[0]}
	if err := f.check(); err != nil {
		return bad("%v", err)
	}
	known := false
	if f.Do, known = ActionByName(fields[1]); !known {
		return bad("action %q is unknown; known are %s", fields[1], strings.Join(actionNames[:], ", "))
	}
	for i, field := range fields[2:] {
		name, value, named := strings.Cut(field, "=")
		if !named && i == 0 {
			name, value = "times", field
		}
		var number *int
		switch name {
		case "times":
			number = &f.Times
		case "after":
			number = &f.After
		case "status":
			number = &f.Status
		case "key":
			f.Key = value
		case "code":
			f.Code = value
		case "message":
			f.Message = value
		default:
			return bad("%q is none of times, after, key, status, code, message", field)
		}
		if number != nil {
			n, err := strconv.Atoi(value)
			if err != nil {
				return bad("%s: %q is not a number", name, value)
			}
			*number = n
		}
	}
	return f, nil
}

// check refuses a fault that could never hit.
func (f *Fault) check() error {
	op, number, numbered := strings.Cut(f.Op, " ")
	if _, known := operations[op]; !known && op != "*" {
		return fmt.Errorf("operation %q is unknown", op)
	}
	if numbered {
		if n, err := strconv.Atoi(number); err != nil || n < 1 {
			return fmt.Errorf("part number %q", number)
		}
	}
	return nil
}

// Faults are those that can still hit, in the order they were armed. The zero
// value has none.
type Faults struct {
	mu    sync.Mutex
	armed []*armedFault
}

type armedFault struct {
	Fault
	seen, hits int
}

// Fault arms a fault. It panics on an operation that does not exist.
func (s *Server) Fault(f Fault) { s.faults.Arm(f) }

// ClearFaults takes all faults away. Requests that are held or stalled stay so.
func (s *Server) ClearFaults() { s.faults.Clear() }

// Arm adds a fault. It panics on an operation that does not exist.
func (t *Faults) Arm(f Fault) {
	if err := f.check(); err != nil {
		panic("s3test: fault: " + err.Error())
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.armed = append(t.armed, &armedFault{Fault: f})
}

// Clear takes all faults away.
func (t *Faults) Clear() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.armed = nil
}

// Take finds the fault that hits a request, nil for none, and counts it as a
// hit.
func (t *Faults) Take(target Target) *Fault {
	t.mu.Lock()
	defer t.mu.Unlock()
	names := target.Names()
	for i, f := range t.armed {
		if !slices.Contains(names, f.Op) || f.Key != "" && f.Key != target.Key {
			continue
		}
		if f.seen++; f.seen <= f.After {
			continue
		}
		if f.hits++; f.hits == max(f.Times, 1) && f.Times >= 0 {
			t.armed = slices.Delete(slices.Clone(t.armed), i, i+1)
		}
		return &f.Fault
	}
	return nil
}

// before does what a fault does instead of the operation. It says whether the
// request is done with.
func (c *call) before(f *Fault) bool {
	c.rec.Fault = f.Do
	if f.Hook != nil {
		f.Hook()
	}
	if f.Hold != nil && !c.hold(f.Hold) {
		c.hangUp()
		return true
	}
	c.do, c.extra = f.Do, f.Header
	switch f.Do {
	case Status:
		c.send(c.refuse(f.error(http.StatusInternalServerError)))
	case Refuse:
		c.send(c.refuse(f.error(http.StatusForbidden)))
	case SlowDown:
		c.send(c.refuse(f.error(http.StatusServiceUnavailable)))
	case LoseUnexecuted:
		c.hangUp()
	case Reset:
		c.record(0)
		ResetConn(c.hijack())
	case CutBody:
		io.CopyN(io.Discard, c.body, c.r.ContentLength/2)
		c.hangUp()
	case EmptyNoop:
		c.drain()
		c.send(empty200())
	case Error200:
		c.send(c.error200(f))
	case HTML200:
		c.drain()
		page := "<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body>Please sign in to use this network.</body></html>\n"
		a := empty200()
		a.header.Set("Content-Type", "text/html")
		a.body, a.size = strings.NewReader(page), int64(len(page))
		c.send(a)
	case Stall:
		c.drain()
		c.wait(nil)
		c.hangUp()
	case StallBody:
		io.CopyN(io.Discard, c.body, c.r.ContentLength/2)
		c.wait(nil)
		c.hangUp()
	default:
		return false
	}
	return true
}

// after does what a fault does to the answer. It says whether the request is
// done with.
func (c *call) after(f *Fault, a *answer) bool {
	switch f.Do {
	case Lose:
		c.hangUp()
	case Cut:
		c.sendHalf(a, true, false)
	case CutClose:
		c.sendHalf(a, false, false)
	case StallAnswer:
		c.sendHalf(a, true, true)
	case Empty200:
		c.send(empty200())
	case Error200Done:
		c.send(c.error200(f))
	case WrongETag:
		sum := md5.Sum([]byte(c.rec.RequestID))
		etag := `"` + hex.EncodeToString(sum[:]) + `"`
		if a.etag != nil {
			*a.etag = etag
		} else if a.header.Get("ETag") != "" {
			a.header.Set("ETag", etag)
		}
		return false
	default:
		return false
	}
	return true
}

// error is the refusal that the fault asks for.
func (f *Fault) error(status int) *apiError {
	if k, isKnown := known[f.Code]; isKnown {
		status = k.status
	}
	status = cmp.Or(f.Status, status)
	e := refusal(status)
	if f.Code != "" {
		e = fail(f.Code)
		e.status = status
	}
	e.message = cmp.Or(f.Message, e.message)
	return e
}

func empty200() *answer { return &answer{status: http.StatusOK, header: http.Header{}} }

// error200 is an error that looks like a success until its body is read.
func (c *call) error200(f *Fault) *answer {
	e := f.error(http.StatusInternalServerError)
	a := c.refuse(e)
	a.status = http.StatusOK
	return a
}

// drain takes the rest of the body.
func (c *call) drain() { io.Copy(io.Discard, c.body) }

// hold waits for a fault's Hold. It is false if there is nobody to go on for.
// That a client has left is noticed only once its body is read, so the body is
// read ahead.
func (c *call) hold(until <-chan struct{}) bool {
	select {
	case <-until:
		return true
	default:
	}
	if c.r.ContentLength > 0 {
		ahead, err := io.ReadAll(c.wire)
		if err != nil {
			return false
		}
		c.body = bytes.NewReader(ahead)
	}
	return c.wait(until)
}

// wait returns true if until is closed, false if the client or the server goes
// before.
func (c *call) wait(until <-chan struct{}) bool {
	select {
	case <-until:
		return true
	case <-c.r.Context().Done():
	case <-c.s.done:
	}
	return false
}

// hijack takes the connection out of the HTTP server's hands. HTTP/2 has none to
// give: there the stream ends, and nothing after the call is run.
func (c *call) hijack() net.Conn {
	conn, _, err := http.NewResponseController(c.w).Hijack()
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return conn
}

// hangUp closes the connection without an answer.
func (c *call) hangUp() {
	c.record(0)
	c.hijack().Close()
}

// ResetConn closes a connection so that the peer sees a reset.
func ResetConn(conn net.Conn) {
	if c, isTLS := conn.(interface{ NetConn() net.Conn }); isTLS {
		conn = c.NetConn()
	}
	if c, isTCP := conn.(*net.TCPConn); isTCP {
		c.SetLinger(0)
	}
	conn.Close()
}

// sendHalf sends the answer up to the middle of its body, or of its headers if
// there is no body; then it closes the connection, or waits in silence until the
// client does.
func (c *call) sendHalf(a *answer, lengthKnown, stall bool) {
	c.record(a.status)
	raw, body := c.raw(a, lengthKnown)
	half := body / 2
	if len(raw) > body {
		half = body + (len(raw)-body)/2
	}
	conn := c.hijack()
	defer conn.Close()
	conn.Write(raw[:half])
	if !stall {
		return
	}
	left := make(chan struct{})
	go func() {
		io.Copy(io.Discard, conn)
		close(left)
	}()
	select {
	case <-left:
	case <-c.s.done:
		conn.Close()
		<-left
	}
}
