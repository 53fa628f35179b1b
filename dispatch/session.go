package dispatch

import "backline/wire"

// Sessions joins workers to the hub, of which the dispatcher knows no more than that kinds 64 to 127 are about it.
type Sessions interface {
	// Open is called with a worker's first such message. The session's messages go to out.
	Open(worker string, codec wire.Codec, out SessionOutput) Session
}

// Session is one worker's. Both methods are called on the goroutine that reads its control connection.
type Session interface {
	// Handle takes a message, which lives until it returns. An error means that the worker broke the protocol.
	Handle(m *wire.Message) error
	// Close says that the worker has gone.
	Close()
}

// SessionOutput is a worker's control connection.
type SessionOutput interface {
	// Add puts messages into the next packet, unless more than limit bytes wait already. 0: in any case. It never waits.
	Add(limit int, add func(*wire.Batch)) bool
}

// The kinds that a session gets.
const (
	firstOfSession wire.Kind = 64
	lastOfSession  wire.Kind = 127
)

// Add implements SessionOutput.
func (c *control) Add(limit int, add func(*wire.Batch)) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended || limit > 0 && c.pending.Size() > limit {
		return false
	}
	add(&c.pending)
	c.ready.Signal()
	return true
}

// inSession passes a message to the worker's session. Called on the goroutine that reads the control connection.
func (w *WorkerConn) inSession(m *wire.Message) {
	sessions := w.dispatcher.options.Sessions
	if sessions == nil || w.broke {
		return
	}
	if w.session == nil {
		w.session = sessions.Open(w.Name, w.codec, w.control)
	}
	if err := w.session.Handle(m); err != nil {
		w.broke = true
		w.dispatcher.log.Error("a worker broke the worker protocol; it is replaced", "worker", w.Name, "error", err)
		w.dispatcher.mu.Lock()
		defer w.dispatcher.mu.Unlock()
		w.replace(RetireProtocol)
	}
}

// closeSession ends what the worker has in the hub; on the same goroutine.
func (w *WorkerConn) closeSession() {
	if w.session != nil {
		w.session.Close()
	}
}
