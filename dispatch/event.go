package dispatch

import (
	"crypto/rand"

	"backline/wire"
)

// Event is what an exchange carries that is something which has happened to a WebSocket. The edge holds the socket, and
// each event of it is an exchange of its own, one after the other, that any worker may have. The first is the handshake
// itself, a request like others until a worker with events is to have it.
type Event = wire.Event

// newConnect is the first event of a socket. Whoever knows a socket's name may send to it, so it cannot be guessed.
func newConnect() *Event {
	return &Event{What: wire.EventConnect, ID: rand.Text()[:idLength]}
}

const idLength = 20 // of 32 letters: 100 bits

// patient tells whether the exchange is waited for by nobody who could be told to come again: what has happened to a
// socket waits for as long as it takes. There is at most one such exchange a socket, so their number is bounded.
func (ex *Exchange) patient() bool { return ex.Event != nil && ex.Event.What != wire.EventConnect }

// repeats tells whether an event that a dead worker had begun goes to another one. A handshake is a GET. That a socket
// has ended is said at least once, because somebody may have to clean up, and so is a gap; a message may do something
// twice.
func (d *Dispatcher) repeats(ex *Exchange) bool {
	if ex.retried {
		return false
	}
	switch ex.Event.What {
	case wire.EventConnect:
		return d.options.Retry
	case wire.EventDisconnect, wire.EventGap:
		return true
	default:
		return d.options.Redeliver
	}
}
