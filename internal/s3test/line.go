package s3test

import (
	"net"
	"time"
)

// A line is a listener whose connections are as far away and as narrow as those
// to a store elsewhere.
type line struct {
	net.Listener
	rate   int64 // bytes a second of each connection; 0: any
	slow   int   // the connection, counted from 1, that is slower than the others
	opened int
}

const slower = 20 // times

// burst is what a connection takes at once: one read of net/http.
const burst = 64 << 10

func (l *line) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil || l.rate == 0 {
		return c, err
	}
	if tcp, ok := c.(*net.TCPConn); ok {
		tcp.SetReadBuffer(4 * burst) // else the kernel takes megabytes at once
	}
	rate := l.rate
	if l.opened++; l.opened == l.slow {
		rate /= slower
	}
	return &narrow{Conn: c, rate: rate}, nil
}

// narrow is a connection that gives away what it reads at a rate. It is read by
// one goroutine at a time.
type narrow struct {
	net.Conn
	rate int64
	free time.Time // when it has room again
}

func (c *narrow) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p[:min(len(p), burst)])
	if now := time.Now(); c.free.Before(now) {
		c.free = now
	}
	c.free = c.free.Add(time.Duration(n) * time.Second / time.Duration(c.rate))
	if wait := time.Until(c.free); wait > time.Millisecond {
		time.Sleep(wait)
	}
	return n, err
}

// travel waits as long as an answer is on its way.
func (c *call) travel() {
	if c.s.o.Latency == 0 {
		return
	}
	select {
	case <-time.After(c.s.o.Latency):
	case <-c.s.done:
	}
}
