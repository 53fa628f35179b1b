package edge

import (
	"runtime"
	"syscall"
	"testing"

	"backline/dispatch"
	"backline/wire"
)

// nothing is a handler whose own cost is none.
func nothing() handler {
	m := &wire.Message{Kind: wire.KindAnswer, Status: 200, Data: []byte("hello")}
	return handler{answer: func(ex *dispatch.Exchange) { ex.Client.Answer(ex, m) }}
}

// loop gives a function that asks n times on one connection, and allocates nothing itself.
func (b *bundle) loop(n int) func() {
	c := b.dial()
	request := []byte("GET /hello HTTP/1.1\r\nHost: localhost\r\nUser-Agent: test\r\nAccept: */*\r\n\r\n")
	answer := make([]byte, 4096)
	return func() {
		for range n {
			if _, err := c.Write(request); err != nil {
				b.t.Fatal(err)
			}
			if _, err := c.Read(answer); err != nil {
				b.t.Fatal(err)
			}
		}
	}
}

// TestAllocations: a request on a kept-alive connection costs the garbage collector nothing. Not parallel, because the
// measure counts everybody's.
func TestAllocations(t *testing.T) {
	b := start(t, Options{Access: noAccess}, nothing())
	const each = 100
	ask := b.loop(each)
	ask()
	perRequest := testing.AllocsPerRun(20, ask) / each
	if limit := 0.2 + raceCost; perRequest > limit { // a collection may empty the pools in between
		t.Errorf("%.2f allocations for a request, expected %.1f at most", perRequest, limit)
	}
}

// TestIdleConnections keeps 5,000 clients that have had an answer. The issue is what they cost here, so the clients
// themselves are bare sockets.
func TestIdleConnections(t *testing.T) {
	const clients = 5000
	if overTLS {
		t.Skip("TestIdleSecureConnections is this with TLS")
	}
	needDescriptors(t, 2*clients)
	b := start(t, Options{Access: noAccess}, nothing())
	before := inUse()
	sockets := make([]descriptor, 0, clients)
	answer := make([]byte, 4096)
	defer func() {
		for _, each := range sockets {
			_ = each.Close()
		}
	}()
	for range clients {
		socket := b.dialDescriptor()
		sockets = append(sockets, socket)
		if _, err := socket.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		if n, err := socket.Read(answer); err != nil || n == 0 {
			t.Fatalf("%d bytes, %v", n, err)
		}
	}
	if n := b.Connections(); n != clients {
		t.Errorf("%d connections, expected %d", n, clients)
	}
	each := float64(inUse()-before) / clients
	t.Logf("%.0f bytes for an idle connection", each)
	if each > idleCost {
		t.Errorf("%.0f bytes for an idle connection, expected %d at most", each, idleCost)
	}
}

// needDescriptors skips a test for which this process may not have enough.
func needDescriptors(t testing.TB, n int) {
	t.Helper()
	const others = 200
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil || limit.Cur < uint64(n+others) {
		t.Skipf("needs %d descriptors, this process may have %d", n+others, limit.Cur)
	}
}

// inUse is heap and stacks after a collection, or rather two: pools give up what they keep at the second.
func inUse() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// BenchmarkKeepAlive is one client's request after request, system calls of both ends included.
func BenchmarkKeepAlive(b *testing.B) {
	s := start(b, Options{Access: noAccess}, nothing())
	ask := s.loop(1)
	ask()
	b.ReportAllocs()
	for b.Loop() {
		ask()
	}
}
