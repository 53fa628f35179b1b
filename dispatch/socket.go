package dispatch

import (
	"cmp"
	"slices"
	"time"
	"unicode/utf8"

	"backline"
	"backline/wire"
)

// Socket is the far end of an exchange that is a WebSocket, beside its Client, which gets what is not one: the answer
// that an application gives instead of accepting, and failures. The same rules hold for its methods.
type Socket interface {
	// Accept delivers KindAccept: from now on messages go both ways.
	Accept(ex *Exchange, m *wire.Message)
	// Message delivers a message for the client, or a piece of one; last ends it.
	Message(ex *Exchange, data []byte, text, last bool)
	// Take says that the application wants the connection itself. Exchange.Claim and then Give answer it, or Keep; that
	// may be later, and from another goroutine.
	Take(ex *Exchange)
	// Close says that the application closes the socket, or refuses it if it is not accepted.
	Close(ex *Exchange, code int, reason []byte)
	// Join says that the socket becomes a member of a group, before it is accepted or after; Leave ends that.
	Join(ex *Exchange, group []byte)
	Leave(ex *Exchange, group []byte)
	// Enter says that the accepted socket becomes a member that is present under a name, or that gets what it has missed;
	// Exchange.TellGap answers where that is not known.
	Enter(ex *Exchange, a *wire.Action, name string)
}

// park takes an accepted socket out of the requests in flight: limits count what runs, and a socket mostly waits. The
// caller holds the lock.
func (w *WorkerConn) park(ex *Exchange) {
	ex.parked = true
	w.inflight--
	w.sockets++
	w.finishDrain()
}

// ends counts a socket that has ended among the requests again, because its task still runs. One of WSGI's keeps a
// thread or greenlet of its own, in nobody's way, until the application has returned.
func (w *WorkerConn) ends(ex *Exchange) {
	if !w.wsgi {
		w.unpark(ex)
	}
}

// unpark counts a socket among the requests in flight.
func (w *WorkerConn) unpark(ex *Exchange) {
	if ex.parked {
		ex.parked = false
		w.sockets--
		w.inflight++
	}
}

// Shrink gives up what was needed to begin a WebSocket: an idle one should not keep the buffers of its handshake. The
// connection calls it when the socket has been accepted; what Scope points at afterwards has the same bytes elsewhere.
func (ex *Exchange) Shrink() {
	s := &ex.Scope
	size := len(s.Method) + len(s.Target) + len(s.Path) + len(s.Query)
	for _, f := range s.Fields {
		size += len(f.Name) + len(f.Value)
	}
	kept := make([]byte, 0, size)
	keep := func(b []byte) []byte {
		kept = append(kept, b...)
		return kept[len(kept)-len(b) : len(kept) : len(kept)]
	}
	s.Method, s.Target, s.Path, s.Query = keep(s.Method), keep(s.Target), keep(s.Path), keep(s.Query)
	fields := make([]backline.Field, len(s.Fields))
	for i, f := range s.Fields {
		fields[i] = backline.Field{Name: keep(f.Name), Value: keep(f.Value)}
	}
	s.Fields, ex.Head, ex.encoded = fields, nil, nil
}

// SendMessage passes a whole WebSocket message from the client on. The caller keeps within what Client.Wanted allowed,
// counted by wire.Cost, give or take one message. The data is copied.
func (ex *Exchange) SendMessage(data []byte, text bool) {
	d := ex.dispatcher
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	w := ex.worker
	if w == nil || ex.state != stateOpen {
		return
	}
	for len(data) > wire.MaxPiece {
		n := wire.MaxPiece
		for text && !utf8.RuneStart(data[n]) {
			n--
		}
		w.pending.AddReceive(ex.stream, data[:n], text, false)
		data = data[n:]
	}
	w.pending.AddReceive(ex.stream, data, text, true)
	w.wake()
}

// TellGap says that what a WebSocket has missed of a group is not known.
func (ex *Exchange) TellGap(group string) {
	d := ex.dispatcher
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if ex.worker != nil && ex.state == stateOpen {
		ex.worker.pending.AddGap(ex.stream, group)
		ex.worker.wake()
	}
}

// CloseSocket says that the WebSocket has ended, by whichever side, and with which code (RFC 6455 7.4).
func (ex *Exchange) CloseSocket(code int, reason string) {
	d := ex.dispatcher
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if ex.worker != nil && ex.state == stateOpen {
		ex.worker.closeSocket(ex, code, reason)
	}
}

// closeSocket ends the socket towards the worker. The caller holds the lock.
func (w *WorkerConn) closeSocket(ex *Exchange, code int, reason string) {
	w.ends(ex)
	ex.state, ex.clock, ex.gone = stateEnded, time.Now(), !w.wsgi
	w.pending.AddClosed(ex.stream, code, reason)
	w.wake()
	w.dispatcher.watch()
}

// Sockets is how many WebSockets the worker holds.
func (w *WorkerConn) Sockets() int {
	w.dispatcher.mu.Lock()
	defer w.dispatcher.mu.Unlock()
	return w.sockets
}

// Calm is closed when the worker drains and no request is left but, perhaps, sockets.
func (w *WorkerConn) Calm() <-chan struct{} { return w.calm }

// CloseSockets closes up to n sockets, the oldest first, so that their clients connect again, to another worker.
func (w *WorkerConn) CloseSockets(n int) {
	d := w.dispatcher
	d.mu.Lock()
	var open []*Exchange
	for _, ex := range w.streams {
		if ex != nil && ex.state == stateOpen {
			open = append(open, ex)
		}
	}
	slices.SortFunc(open, func(a, b *Exchange) int { return cmp.Compare(a.order, b.order) })
	open = open[:min(n, len(open))]
	for _, ex := range open {
		ex.refs.Add(1) // the worker may be done with it before its client is told
		w.closeSocket(ex, FailRestart.Close, "")
	}
	d.mu.Unlock()
	failAll(open, FailRestart)
}
