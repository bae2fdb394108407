package store

import (
	"cmp"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/http/httptrace"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

const (
	block  = 64 << 10 // what a body is handed to the kernel in
	record = 16 << 10 // the most that TLS puts into one write
)

// conn is a connection that notices when nothing moves on it. What must move
// depends on who has the word:
//
//	opening    the handshake: both directions are watched
//	sending    the request is being written: each write is watched; nobody
//	           expects an answer yet, and a slow source is not a stall
//	waiting    it is written: something must arrive
//	idle       in the pool: nothing is expected
//
// Deadlines are set for half of the window. When the first half ends, what the
// kernel still has to send is noted; less of it at the end of the second half
// is movement too. A kernel may hold megabytes, minutes on a slow line.
//
// Under TLS, which writes record by record, the writes of a body are gathered.
//
// A peer that resets the connection while a body is written to it has often said
// why. What has arrived of that is kept for the reader before the failure to
// write is reported, which makes net/http close the connection.
type conn struct {
	net.Conn
	blocks *sync.Pool // of *[block]byte

	writing sync.Mutex // before mu
	gather  *[block]byte
	held    int // bytes in gather

	reading sync.Mutex // after writing, before mu
	late    []byte     // read from a connection that was reset

	mu      sync.Mutex
	phase   phase
	owner   *exchange
	closing bool
	closed  bool
	failure error // the connection is dead
	read    watch
	write   watch
}

type phase int

const (
	opening phase = iota
	sending
	waiting
	idle
)

// watch is the state of one direction.
type watch struct {
	window   time.Duration
	deadline time.Time
	halves   int // deadlines that passed since something moved
	queue    int // unsent at the last of them
}

func newConn(c net.Conn, window time.Duration, blocks *sync.Pool) *conn {
	return &conn{Conn: c, blocks: blocks, read: watch{window: window}, write: watch{window: window}}
}

// exchange is one request on a connection and the windows it has.
type exchange struct {
	send, wait time.Duration
	whole      time.Duration // the whole answer, from its first byte on
	host       string
	gather     bool // below is TLS, and a body worth it
	conn       atomic.Pointer[conn]
	tls        atomic.Pointer[tls.Conn] // above conn, if it is there
	heard      atomic.Int64             // bytes of the answer
	answering  time.Time                // when it began, once the request was written; guarded by conn.mu
}

func (x *exchange) trace() *httptrace.ClientTrace {
	return &httptrace.ClientTrace{
		GotConn: func(info httptrace.GotConnInfo) {
			if c := unwrap(info.Conn); c != nil {
				if t, ok := info.Conn.(*tls.Conn); ok {
					x.tls.Store(t)
				}
				x.conn.Store(c)
				c.take(x)
			}
		},
		WroteRequest: func(info httptrace.WroteRequestInfo) {
			if c := x.conn.Load(); c != nil {
				c.sent(x, info.Err)
			}
		},
		PutIdleConn: func(error) {
			if c := x.conn.Load(); c != nil {
				c.release(x)
			}
		},
	}
}

// lastWord returns what ended the connection as TLS has it, once net/http has
// closed it; else nil. What net/http reports may be what it met first.
func (x *exchange) lastWord() error {
	c, t := x.conn.Load(), x.tls.Load()
	if t == nil || !c.isClosed() {
		return nil // it might wait
	}
	_, err := t.Read(make([]byte, 1))
	return err
}

// unwrap finds the conn below TLS, of which there are two layers through a
// proxy that speaks it too.
func unwrap(c net.Conn) *conn {
	for {
		switch t := c.(type) {
		case *conn:
			return t
		case interface{ NetConn() net.Conn }:
			c = t.NetConn()
		default:
			return nil
		}
	}
}

// take begins x on the connection.
func (c *conn) take(x *exchange) {
	if x.gather {
		c.writing.Lock()
		c.gather = c.blocks.Get().(*[block]byte)
		c.writing.Unlock()
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.owner, c.phase = x, sending
	c.write.window, c.read.window = x.send, x.wait
}

// sent begins to wait for the answer to x, unless writing it ended with err.
// What net/http still has in its own buffer comes after this and passes through.
func (c *conn) sent(x *exchange, err error) {
	if x.gather {
		c.ungather(err == nil)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.owner == x && c.phase == sending {
		c.phase = waiting
		c.watchRead()
	}
}

// ungather ends gathering and writes what there is, if it is of any use. The
// request cannot be told of a failure here: who waits for its answer is.
func (c *conn) ungather(write bool) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.gather == nil {
		return
	}
	if write {
		if err := c.flush(); err != nil {
			c.fail(err)
			c.Conn.Close()
		}
	}
	c.held = 0
	c.blocks.Put(c.gather)
	c.gather = nil
}

func (c *conn) flush() error {
	held := c.gather[:c.held]
	c.held = 0
	_, err := c.push(held)
	return err
}

// release ends x. The pool may have handed the connection on already.
func (c *conn) release(x *exchange) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.owner == x {
		c.owner, c.phase = nil, idle
	}
}

func (c *conn) watchRead() {
	c.read.halves = 0
	c.armRead()
}

func (c *conn) armRead() {
	c.read.deadline = time.Now().Add(c.read.window / 2)
	c.Conn.SetReadDeadline(c.read.deadline)
}

func (c *conn) watchWrite() {
	c.write.halves = 0
	c.armWrite()
}

func (c *conn) armWrite() {
	if !c.closing {
		c.write.deadline = time.Now().Add(c.write.window / 2)
		c.Conn.SetWriteDeadline(c.write.deadline)
	}
}

// moved notes that something went either way.
func (c *conn) moved() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == opening || c.phase == waiting {
		c.watchRead()
	}
	c.watchWrite()
}

func (c *conn) Read(p []byte) (int, error) {
	c.reading.Lock()
	defer c.reading.Unlock()
	if len(c.late) > 0 {
		n := copy(p, c.late)
		c.late = c.late[n:]
		return n, nil
	}
	c.mu.Lock()
	if c.phase == opening || c.phase == waiting {
		c.watchRead()
	}
	c.mu.Unlock()
	for {
		n, err := c.Conn.Read(p)
		if n > 0 {
			if absurd := c.hear(n); absurd != nil {
				return 0, c.fail(absurd)
			}
			c.moved()
			return n, err
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			c.mu.Lock()
			defer c.mu.Unlock()
			return n, cmp.Or(c.failure, err)
		}
		if stall := c.readLate(); stall != nil {
			return 0, c.fail(stall)
		}
	}
}

// hear counts what arrives, and says when no store answers so. An answer that
// comes byte by byte moves, and is yet to end some time.
func (c *conn) hear(n int) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	x := c.owner
	if x == nil {
		return nil
	}
	if x.heard.Add(int64(n)) > maxAnswer {
		return tooLarge(x.host)
	}
	now := time.Now()
	switch {
	case c.phase != waiting:
	case x.answering.IsZero():
		x.answering = now
	case x.whole > 0 && now.Sub(x.answering) > x.whole:
		return tooSlow(x.host, x.whole)
	}
	return nil
}

// readLate is called when a read deadline passed.
func (c *conn) readLate() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.phase == sending || c.phase == idle {
		c.Conn.SetReadDeadline(time.Time{})
		return nil
	}
	if time.Now().Before(c.read.deadline) {
		return nil // it was put off in the meantime
	}
	if c.read.stalled(c.Conn) {
		return &StallError{c.read.window}
	}
	c.armRead()
	return nil
}

func (c *conn) Write(p []byte) (int, error) {
	c.writing.Lock()
	defer c.writing.Unlock()
	if c.gather == nil {
		return c.push(p)
	}
	done := 0
	for done < len(p) {
		n := copy(c.gather[c.held:], p[done:])
		c.held += n
		done += n
		if c.held == block {
			if err := c.flush(); err != nil {
				return 0, err
			}
		}
	}
	return done, nil
}

// ReadFrom lets net/http send a body in larger blocks than its own.
func (c *conn) ReadFrom(r io.Reader) (int64, error) {
	buf := c.blocks.Get().(*[block]byte)
	defer c.blocks.Put(buf)
	return io.CopyBuffer(struct{ io.Writer }{c}, r, buf[:])
}

// push writes p and watches it go.
func (c *conn) push(p []byte) (int, error) {
	c.mu.Lock()
	failure := c.failure
	c.watchWrite()
	c.mu.Unlock()
	if failure != nil {
		return 0, failure // or TLS would wait for its farewell to be taken
	}
	done := 0
	for {
		n, err := c.Conn.Write(p[done:])
		done += n
		if n > 0 {
			c.moved()
		}
		if errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) {
			c.keepLate()
		}
		if err == nil || !errors.Is(err, os.ErrDeadlineExceeded) {
			return done, err
		}
		if stall := c.writeLate(); stall != nil {
			return done, c.fail(stall)
		}
	}
}

// keepLate reads what is left on a connection that was reset; that cannot wait,
// nor can a reader that is at it.
func (c *conn) keepLate() {
	c.reading.Lock()
	defer c.reading.Unlock()
	buf := make([]byte, record)
	n, _ := c.Conn.Read(buf)
	c.late = append(c.late, buf[:n]...)
}

// Close is what net/http does when it is through with a connection.
func (c *conn) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	return c.Conn.Close()
}

func (c *conn) isClosed() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.closed
}

func (c *conn) fail(err error) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.failure = err
	return err
}

// writeLate is called when a write deadline passed.
func (c *conn) writeLate() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.closing:
		return os.ErrDeadlineExceeded
	case time.Now().Before(c.write.deadline):
		return nil // it was put off in the meantime
	case c.write.stalled(c.Conn):
		return &StallError{c.write.window}
	}
	c.armWrite()
	return nil
}

// SetWriteDeadline is how TLS hurries its farewell; that deadline then rules.
func (c *conn) SetWriteDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.closing = true
	return c.Conn.SetWriteDeadline(t)
}

// stalled is asked when a deadline passed without a byte, and says whether it
// was the second one without the kernel having sent any either.
func (w *watch) stalled(c net.Conn) bool {
	queue := unsent(c)
	if w.halves > 0 && (queue < 0 || queue >= w.queue) {
		return true
	}
	w.halves++
	w.queue = queue
	return false
}
