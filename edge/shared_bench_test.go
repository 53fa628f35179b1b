package edge

import (
	"fmt"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"backline/channel"
	"backline/dispatch"
	"backline/wire"
)

// membersOf opens bare sockets that are in the group "all".
func membersOf(b *bundle, hub *counted, n int, more string) []descriptor {
	b.t.Helper()
	sockets := make([]descriptor, 0, n)
	b.t.Cleanup(func() {
		for _, each := range sockets {
			_ = each.Close()
		}
	})
	answer := make([]byte, 1024)
	for range n {
		socket := b.dialDescriptor()
		sockets = append(sockets, socket)
		if _, err := socket.Write([]byte(upgrade + more + "\r\n")); err != nil {
			b.t.Fatal(err)
		}
		if got, err := socket.Read(answer); err != nil || !strings.HasPrefix(string(answer[:got]), "HTTP/1.1 101") {
			b.t.Fatalf("%q, %v", answer[:got], err)
		}
	}
	eventually(b.t, "all are members", func() bool { return hub.has("all") == n })
	return sockets
}

// joining is a handler that accepts every WebSocket, which is then in "all".
func joining() handler {
	m := &wire.Message{Kind: wire.KindAccept}
	return handler{answer: func(ex *dispatch.Exchange) {
		ex.Socket.Join(ex, []byte("all"))
		ex.Socket.Accept(ex, m)
	}}
}

// BenchmarkBroadcast is one publication to many sockets. An operation is a delivery; cpu-us is the processor time that
// one takes in this process, the kernel included, without that of the clients, who have a thread for themselves.
func BenchmarkBroadcast(b *testing.B) {
	for _, n := range []int{1, 100, 5000} {
		for name, more := range map[string]string{"plain": "", "deflate": "Sec-WebSocket-Extensions: permessage-deflate\r\n"} {
			b.Run(fmt.Sprintf("%d %s", n, name), func(b *testing.B) {
				needDescriptors(b, 2*n)
				hub := newCounted()
				s := start(b, Options{Layer: hub, Access: noAccess}, joining())
				sockets := membersOf(s, hub, n, more)
				data := []byte(strings.Repeat(`{"user": 17, "text": "hello"}`, 6))
				runtime.LockOSThread()
				defer runtime.UnlockOSThread()
				frame := make([]byte, 4096)
				before := processorTime(syscall.RUSAGE_SELF) - processorTime(rusageThread)
				b.ResetTimer()
				times := (b.N + n - 1) / n
				for range times {
					hub.Publish("all", &channel.Publication{Socket: &channel.SocketMessage{Data: data, Text: true}})
					for _, each := range sockets {
						if _, err := each.Read(frame); err != nil {
							b.Fatal(err)
						}
					}
				}
				used := processorTime(syscall.RUSAGE_SELF) - processorTime(rusageThread) - before
				b.ReportMetric(float64(used.Nanoseconds())/1e3/float64(times*n), "cpu-us/delivery")
			})
		}
	}
}

const rusageThread = 1 // RUSAGE_THREAD, which package syscall does not name

func processorTime(whose int) time.Duration {
	var u syscall.Rusage
	_ = syscall.Getrusage(whose, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// TestIdleMembers: what a socket that idles costs more when it is in a group.
func TestIdleMembers(t *testing.T) {
	const clients = 2000
	if overTLS {
		t.Skip("it is the same with TLS")
	}
	needDescriptors(t, 2*clients)
	hub := channel.New(channel.Options{})
	accepted := make(chan *dispatch.Exchange, clients)
	b := start(t, Options{Layer: hub, Access: noAccess}, handler{answer: func(ex *dispatch.Exchange) {
		ex.Socket.Accept(ex, &wire.Message{Kind: wire.KindAccept})
		accepted <- ex
	}})
	for range clients {
		socket := b.dialDescriptor()
		defer socket.Close()
		answer := make([]byte, 1024)
		if _, err := socket.Write([]byte(upgrade + "\r\n")); err != nil {
			t.Fatal(err)
		}
		if n, err := socket.Read(answer); err != nil || n == 0 {
			t.Fatalf("%d bytes, %v", n, err)
		}
	}
	exchanges := make([]*dispatch.Exchange, clients)
	for i := range exchanges {
		exchanges[i] = <-accepted
	}
	before := inUse()
	for _, ex := range exchanges {
		ex.Socket.Join(ex, []byte("room"))
	}
	each := float64(inUse()-before) / clients
	t.Logf("%.0f bytes for a member", each)
	if each > 250 {
		t.Errorf("%.0f bytes for a member, expected 250 at most: 80 of the edge, the rest of the hub", each)
	}
	runtime.KeepAlive(exchanges)
}
