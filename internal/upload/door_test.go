package upload_test

import (
	"io"
	"net"
	"sync"
	"testing"

	"s3up/internal/s3test"
)

// A door is the way to a server, and can be shut: its clients then have no
// connection, and get none.
type door struct {
	to    string // address of the server
	addr  string // of the door
	reset bool   // while it is shut, connections are taken and reset, rather than refused

	mu    sync.RWMutex
	shut  bool
	ln    net.Listener
	conns map[net.Conn]bool // of clients
	wg    sync.WaitGroup
}

// newDoor opens a door to an address. It is shut for good when the test ends.
func newDoor(t testing.TB, to string) *door {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	d := &door{to: to, addr: ln.Addr().String(), ln: ln, conns: make(map[net.Conn]bool)}
	d.wg.Go(func() { d.serve(ln) })
	t.Cleanup(func() {
		d.close()
		d.ln.Close()
		d.wg.Wait()
	})
	return d
}

// close cuts all connections and lets in no new ones.
func (d *door) close() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.shut = true
	if !d.reset {
		d.ln.Close()
	}
	for conn := range d.conns {
		d.part(conn)
	}
	clear(d.conns)
}

// part ends a client's connection as the door does.
func (d *door) part(conn net.Conn) {
	if d.reset {
		s3test.ResetConn(conn)
		return
	}
	conn.Close()
}

// open lets clients in again. It is false if somebody else has the port for the
// moment.
func (d *door) open() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !d.shut {
		return true
	}
	if !d.reset {
		ln, err := net.Listen("tcp", d.addr)
		if err != nil {
			return false
		}
		d.ln = ln
		d.wg.Go(func() { d.serve(ln) })
	}
	d.shut = false
	return true
}

func (d *door) serve(ln net.Listener) {
	for {
		conn, err := ln.Accept()
		if err != nil {
			return
		}
		d.mu.Lock()
		if d.shut {
			d.part(conn)
		} else {
			d.conns[conn] = true
			d.wg.Go(func() { d.pass(conn) })
		}
		d.mu.Unlock()
	}
}

// A doorConn is a connection to the server behind a door.
type doorConn struct {
	net.Conn
	d *door
}

// Write gives bytes of a client to the server, none once the door is shut: while
// connections are cut one after the other, the next attempt may find another that
// is still there.
func (c doorConn) Write(b []byte) (int, error) {
	c.d.mu.RLock()
	defer c.d.mu.RUnlock()
	if c.d.shut {
		return 0, net.ErrClosed
	}
	return c.Conn.Write(b)
}

// pass carries bytes until either side ends.
func (d *door) pass(conn net.Conn) {
	defer conn.Close()
	server, err := net.Dial("tcp", d.to)
	if err != nil {
		return
	}
	d.wg.Go(func() {
		io.Copy(conn, server)
		conn.Close()
	})
	io.Copy(doorConn{server, d}, conn)
	server.Close()
}
