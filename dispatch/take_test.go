package dispatch

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"testing"

	"backline/dispatch/dispatchtest"
	"backline/wire"
)

// taking submits a request whose worker wants its connection, under this token.
func (b *bundle) taking(w *attached, token int) (c *client, stream uint32) {
	b.t.Helper()
	c = b.request("GET", "/ws")
	c.ex.Scope.WebSocket, c.ex.Socket = true, c
	b.Submit(c.ex)
	stream = w.Expect(wire.KindRequest).Stream
	w.Send(dispatchtest.Tuple{wire.KindTake, stream, token})
	c.expect("take")
	return c, stream
}

// connection is two connected sockets, one as a descriptor that is to be given away.
func connection(t *testing.T) (descriptor int, far net.Conn) {
	t.Helper()
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	file := os.NewFile(uintptr(pair[1]), "client")
	defer file.Close()
	if far, err = net.FileConn(file); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = far.Close() })
	return pair[0], far
}

func TestTake(t *testing.T) {
	b := setup(t, Options{QueueSize: 8})
	w := b.attach("wsgi", 1)
	c, stream := b.taking(w, 70_000)
	if !c.ex.Claim() || w.link.Sockets() != 1 || b.InFlight() != 0 {
		t.Fatalf("%d sockets and %d requests, expected one socket", w.link.Sockets(), b.InFlight())
	}
	descriptor, far := connection(t)
	c.ex.Give(descriptor)
	token, given := w.NextGiven()
	if token != 70_000 || given == nil {
		t.Fatalf("got %v for token %d", given, token)
	}
	if _, err := given.Write([]byte("hello")); err != nil {
		t.Fatal(err)
	}
	_ = given.Close() // it was the last one: who has given it away has none
	if all, err := io.ReadAll(far); string(all) != "hello" || err != nil {
		t.Errorf("the client got %q, %v", all, err)
	}
	w.Send(dispatchtest.Tuple{wire.KindClose, stream, 1000, ""}, dispatchtest.Tuple{wire.KindDone, stream})
	c.expect("close 1000 ")
	eventually(t, "the socket is gone", func() bool { return w.link.Sockets() == 0 })
}

func TestTakeThatIsRefused(t *testing.T) {
	b := setup(t, Options{QueueSize: 8})
	w := b.attach("wsgi", 1)
	c, stream := b.taking(w, 1)
	c.ex.Keep()
	if token, given := w.NextGiven(); token != 1 || given != nil {
		t.Fatalf("got %v for token %d, expected nothing", given, token)
	}
	if c.ex.Claim() {
		t.Error("it can be claimed though it was refused")
	}
	w.Send(dispatchtest.Tuple{wire.KindAccept, stream, nil, []dispatchtest.Tuple{}})
	c.expect("accept ")
	w.Send(dispatchtest.Tuple{wire.KindClose, stream, 1000, ""}, dispatchtest.Tuple{wire.KindDone, stream})
	c.expect("close 1000 ")
}

// TestTakeByAWorkerThatHasGone: another worker has the request then, which has asked for nothing.
func TestTakeByAWorkerThatHasGone(t *testing.T) {
	b := setup(t, Options{QueueSize: 8, Retry: true})
	first := b.attach("wsgi", 1)
	c, _ := b.taking(first, 1)
	second := b.attach("wsgi", 1)
	first.Die()
	stream := second.Expect(wire.KindRequest).Stream
	if c.ex.Claim() {
		t.Error("it can be claimed for the worker that has not asked")
	}
	descriptor, far := connection(t)
	c.ex.Give(descriptor)
	if n, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read %d, %v from what nobody has; expected its end", n, err)
	}
	second.Answer(stream, "here")
	c.expect("answer 200 here")
}

// TestGivenToAWorkerThatDies: what has not left is closed.
func TestGivenToAWorkerThatDies(t *testing.T) {
	b := setup(t, Options{QueueSize: 8})
	w := b.attach("wsgi", 1)
	c, _ := b.taking(w, 1)
	if !c.ex.Claim() {
		t.Fatal("not claimed")
	}
	w.Die()
	c.expect("fail worker")
	descriptor, far := connection(t)
	c.ex.Give(descriptor)
	if n, err := far.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
		t.Errorf("read %d, %v from what nobody has; expected its end", n, err)
	}
}

func TestTakeWhereItMayNotBe(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		kind   string
		socket bool
		before []dispatchtest.Tuple
	}{
		"asgi":           {"asgi", true, nil},
		"no WebSocket":   {"wsgi", false, nil},
		"a second time":  {"wsgi", true, []dispatchtest.Tuple{{wire.KindTake, 0, 1}}},
		"once accepted":  {"wsgi", true, []dispatchtest.Tuple{{wire.KindAccept, 0, nil, []dispatchtest.Tuple{}}}},
		"once it begins": {"wsgi", true, []dispatchtest.Tuple{{wire.KindStart, 0, 200, []dispatchtest.Tuple{}, []byte("a")}}},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t, Options{QueueSize: 8})
			w := b.attach(c.kind, 1)
			client := b.request("GET", "/ws")
			if c.socket {
				client.ex.Scope.WebSocket, client.ex.Socket = true, client
			}
			b.Submit(client.ex)
			w.Expect(wire.KindRequest)
			w.Send(append(c.before, dispatchtest.Tuple{wire.KindTake, 0, 2})...)
			if why := <-w.retired; why != RetireProtocol {
				t.Errorf("retired because of %q", why)
			}
		})
	}
}
