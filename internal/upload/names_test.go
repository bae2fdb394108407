package upload_test

import (
	"context"
	"encoding/binary"
	"net"
	"sync/atomic"
	"testing"
)

// What a name server answers, in the last four bits of its flags (RFC 1035, 4.1.1).
const (
	nameFound  = 0
	nameFails  = 2 // SERVFAIL
	noSuchName = 3 // NXDOMAIN
)

// newNames makes a name server the one of this process for the length of a test,
// which may not be a parallel one. All names are 127.0.0.1, as long as its answer
// is nameFound.
func newNames(t testing.TB) (answer *atomic.Uint32) {
	t.Helper()
	conn, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	answer = new(atomic.Uint32)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1<<10)
		for {
			n, from, err := conn.ReadFrom(b)
			if err != nil {
				return
			}
			if reply := nameAnswer(b[:n], uint16(answer.Load())); reply != nil {
				conn.WriteTo(reply, from)
			}
		}
	}()
	before := net.DefaultResolver
	net.DefaultResolver = &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, "udp", conn.LocalAddr().String())
	}}
	t.Cleanup(func() {
		net.DefaultResolver = before
		conn.Close()
		<-done
	})
	return answer
}

// nameAnswer answers a query of one question, nil if it is none.
func nameAnswer(query []byte, code uint16) []byte {
	const header, typeA = 12, 1
	end := header
	for end < len(query) && query[end] != 0 {
		end += 1 + int(query[end])
	}
	if end+5 > len(query) {
		return nil
	}
	question := query[header : end+5]
	found := code == nameFound && binary.BigEndian.Uint16(query[end+1:]) == typeA
	reply := append([]byte{}, query[:2]...)                   // its id
	reply = binary.BigEndian.AppendUint16(reply, 0x8180|code) // an answer, recursion wanted and available
	for _, count := range []bool{true, found, false, false} { // questions, answers, authorities, others
		n := uint16(0)
		if count {
			n = 1
		}
		reply = binary.BigEndian.AppendUint16(reply, n)
	}
	reply = append(reply, question...)
	if found {
		reply = append(reply,
			0xc0, header, // the name of the question
			0, typeA, 0, 1, 0, 0, 0, 0, // class IN, good for no time
			0, 4, 127, 0, 0, 1)
	}
	return reply
}
