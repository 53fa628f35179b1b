package tcp

import (
	"errors"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"backline/forwarded"
	"backline/wire"
)

func TestConnectionIsHandedOver(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	w := b.worker(1)
	for range 3 {
		client := b.dial()
		g := w.next()
		if host, _, _ := net.SplitHostPort(client.LocalAddr().String()); !strings.Contains(g.packet, host) {
			t.Errorf("the packet %q does not tell the address %s", g.packet, client.LocalAddr())
		}
		write(t, client, "to the function\n")
		wantLine(t, g, "to the function\n")
		write(t, g, "and back\n")
		wantLine(t, client, "and back\n")
		w.finish(g)
		wantEnd(t, client)
	}
	eventually(t, "three connections were served, and none is open", func() bool {
		served, open := b.Load("tcp.1")
		return served == 3 && open == 0
	})
}

// TestNoMoreThanWorkersHaveRoomFor: the kernel keeps the others.
func TestNoMoreThanWorkersHaveRoomFor(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	w := b.worker(2)
	clients := []net.Conn{b.dial(), b.dial(), b.dial(), b.dial()}
	held := []*given{w.next(), w.next()}
	if held[0].RemoteAddr().String() != clients[0].LocalAddr().String() {
		clients[0], clients[1] = clients[1], clients[0] // they were on their way side by side
	}
	for i := range clients[2:] {
		if n := b.Connections(); n > 2 || len(w.given) != 0 {
			t.Fatalf("%d connections were taken, %d handed over too many", n, len(w.given))
		}
		w.finish(held[i])
		wantEnd(t, clients[i])
		held = append(held, w.next())
	}
	write(t, clients[3], "at last")
	wantLine(t, held[3], "at last")
}

func TestLeastBusyWorker(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	one, two := b.worker(3), b.worker(3)
	for range 3 { // each gets one of two, and which of them first does not matter
		b.dial()
		b.dial()
		one.next()
		two.next()
	}
}

func TestDrain(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	old := b.worker(10)
	client := b.dial()
	held := old.next()
	fresh := b.worker(10)
	old.Drain()
	b.dial()
	b.dial()
	fresh.next()
	fresh.next()
	select {
	case <-old.Idle():
		t.Fatal("a worker with a connection is called idle")
	case <-old.stopped:
		t.Fatal("a worker with a connection was told to stop")
	default:
	}
	write(t, client, "still here")
	wantLine(t, held, "still here")
	old.finish(held)
	within(t, old.Idle(), "idle")
	within(t, old.stopped, "the word to stop")
	fresh.Drain()
}

func TestWorkerDies(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	w, other := b.worker(1), b.worker(1)
	clients := []net.Conn{b.dial(), b.dial()}
	theirs, kept := w.next(), other.next()
	if theirs.RemoteAddr().String() != clients[0].LocalAddr().String() {
		clients[0], clients[1] = clients[1], clients[0]
	}
	_ = theirs.Close() // as the kernel does
	w.die()
	wantEnd(t, clients[0])
	within(t, w.Idle(), "idle")
	write(t, clients[1], "here")
	wantLine(t, kept, "here")
	next := b.worker(1)
	b.dial()
	next.next()
	w.Close()
}

func TestWorkerBreaksTheProtocol(t *testing.T) {
	t.Parallel()
	for name, say := range map[string]func(w *worker){
		"a connection that is not open": func(w *worker) { w.done(7) },
		"another message":               func(w *worker) { w.say(wire.KindEnd, 0) },
		"no message":                    func(w *worker) { _, _ = w.conn.Write([]byte{1, 0, 0, 0, 'x'}) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, Options{})
			w := b.worker(1)
			say(w)
			if why := within(t, w.retired, "a replacement"); why != RetireProtocol {
				t.Errorf("it is to be replaced because of %q", why)
			}
			within(t, w.Idle(), "idle")
			if !b.logs.has("worker breaks the protocol") {
				t.Error("nothing was logged")
			}
		})
	}
}

func TestMaxConnections(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{MaxConnections: 2})
	w := b.worker(10)
	for range 2 {
		b.dial()
		w.finish(w.next())
	}
	if why := within(t, w.retired, "a replacement"); why != RetireMaxConnections {
		t.Errorf("it is to be replaced because of %q", why)
	}
}

func TestRetire(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{})
	w := b.worker(2)
	client := b.dial()
	held := w.next()
	b.Retire()
	b.Retire()
	if late, err := net.DialTimeout("tcp", b.Addr().String(), patience20); !errors.Is(err, syscall.ECONNREFUSED) {
		t.Errorf("somebody listens still: %v %v", late, err)
	}
	write(t, client, "here")
	wantLine(t, held, "here")
	select {
	case err := <-b.done:
		t.Errorf("Run has ended before its context: %v", err)
	default:
	}
}

func TestAnnouncements(t *testing.T) {
	t.Parallel()
	proxies, err := forwarded.ParsePeers([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ name, sent, client, rest string }{
		{"version 1", "PROXY TCP4 192.0.2.7 198.51.100.1 5123 443\r\nrest", "192.0.2.7", "rest"},
		{"IPv6", "PROXY TCP6 2001:db8::7 2001:db8::1 5123 443\r\nrest", "2001:db8::7", "rest"},
		{"unknown", "PROXY UNKNOWN\r\nrest", "127.0.0.1", "rest"},
		{"version 2", "\r\n\r\n\x00\r\nQUIT\n\x21\x11\x00\x0c\xc0\x00\x02\x09\xc6\x33\x64\x01\x14\x03\x01\xbbrest", "192.0.2.9", "rest"},
		{"none", "GET / HTTP/1.1\r\n", "", ""},
		{"half of one", "PROXY TCP4 192.0.2.7\r\n", "", ""},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, Options{Announced: true, Announcers: proxies})
			w := b.worker(1)
			client := b.dial()
			write(t, client, c.sent)
			if c.client == "" {
				_, err := client.Read(make([]byte, 1))
				if err == nil || !b.logs.has("because of its beginning") {
					t.Errorf("it was not refused: %v", err)
				}
				return
			}
			g := w.next()
			if !strings.Contains(g.packet, c.client) {
				t.Errorf("the packet %q does not tell %s", g.packet, c.client)
			}
			wantLine(t, g, c.rest)
		})
	}
}

// TestWhoIsNoProxyMaySayAnything: what looks like a header is the client's own.
func TestWhoIsNoProxyMaySayAnything(t *testing.T) {
	t.Parallel()
	b := setup(t, Options{Announced: true})
	w := b.worker(1)
	client := b.dial()
	g := w.next() // before it has said anything
	write(t, client, "PROXY TCP4 ")
	wantLine(t, g, "PROXY TCP4 ")
}

// TestNobodyHasRoomAnyMore: the worker that had room has gone while the client was on its way.
func TestNobodyHasRoomAnyMore(t *testing.T) {
	t.Parallel()
	proxies, err := forwarded.ParsePeers([]string{"127.0.0.1"})
	if err != nil {
		t.Fatal(err)
	}
	for name, patience := range map[string]time.Duration{"patient": patience20, "not patient": 0} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, Options{Announced: true, Announcers: proxies, Patience: patience})
			w := b.worker(1)
			client := b.dial()
			eventually(t, "it has its place", func() bool { return b.Connections() == 1 })
			w.die()
			within(t, w.Idle(), "idle")
			write(t, client, "PROXY UNKNOWN\r\n")
			if patience == 0 {
				wantEnd(t, client)
				return
			}
			b.worker(1).next()
		})
	}
}
