package dispatch

import (
	"sync"
	"sync/atomic"
	"time"

	"backline"
	"backline/wire"
)

// Client is the far end of an exchange: the connection that the request came from. Its methods are called without the
// dispatcher's lock, for one exchange never two at once, mostly on the goroutine that reads the worker's socket: they
// must not block. What a message's slices point at is gone when the method returns.
type Client interface {
	// Answer delivers KindAnswer, KindAnswerOpen (both whole), KindStart or KindFile.
	Answer(ex *Exchange, m *wire.Message)
	// Data delivers the next piece of an answer that began with KindStart.
	Data(ex *Exchange, data []byte)
	// End says that the answer is complete.
	End(ex *Exchange)
	// Hint delivers header fields for 103 Early Hints.
	Hint(ex *Exchange, fields []backline.Field)
	// Wanted says that the worker can take n more bytes of the request's body; they are given to Exchange.SendBody.
	// The first call may come before Dispatcher.Submit returns. rewind says that the body begins again, for another
	// worker.
	Wanted(ex *Exchange, n int, rewind bool)
	// Fail says that no (further) answer will come.
	Fail(ex *Exchange, why *Failure)
}

// Exchange is one request and its answer. The connection fills in the first group, calls Dispatcher.Submit, and calls
// Release when it needs the exchange no more.
type Exchange struct {
	Scope  backline.Scope
	Head   []byte // the buffer that Scope points into
	Client Client
	Body   []byte // the whole body if it is small, else empty
	More   int    // wire.BodyWhole, wire.BodyFollows or wire.BodyOnRead
	Length int64  // length of a collected body for CONTENT_LENGTH; -1: as the client said
	// Replayable says that Wanted(rewind) can deliver the body again.
	Replayable bool
	Start      time.Time // when the first byte of the head came

	// Filled in by the dispatcher.
	Queued     time.Duration // how long it waited for a worker
	WorkerName string
	WorkerPID  int

	// Guarded by Dispatcher.mu.
	dispatcher *Dispatcher
	worker     *WorkerConn // nil while it waits, and after the end
	stream     uint32
	state      state
	retried    bool
	enqueued   time.Time
	clock      time.Time // when the application last got something to work on, or gave something
	packet     uint64    // the worker's packet that carries the request
	overdue    bool      // beyond the worker's concurrency when it was sent
	bodySent   bool
	creditOwed int // bytes of answer that went to the client since the last credit
	unread     int // bytes of answer that the worker sent and that still wait for the client

	order uint64
	gone  bool // the client has gone and an ASGI application has been told
	lost  bool // given up on; counted in WorkerConn.lost

	encoded []byte // the KindRequest message
	codec   wire.Codec
	wsgi    bool // what encoded is
	refs    atomic.Int32
}

// state is where an exchange stands, seen from the dispatcher.
type state uint8

const (
	stateNew state = iota
	stateQueued
	stateSent     // the worker has it, nothing answered yet
	stateAnswered // the answer has begun
	stateEnded    // the client has all it will get; the application may still run
)

var exchanges = sync.Pool{New: func() any { return new(Exchange) }}

// NewExchange gives an empty exchange that belongs to the caller until Release.
func NewExchange() *Exchange {
	ex := exchanges.Get().(*Exchange)
	ex.refs.Store(1)
	ex.Length = -1
	return ex
}

// Release gives the caller's hold up. The exchange is used again when the dispatcher has let go of it too.
func (ex *Exchange) Release() {
	if ex.refs.Add(-1) > 0 {
		return
	}
	head, encoded, fields := ex.Head[:0], ex.encoded[:0], ex.Scope.Fields[:0]
	if cap(head) > keepBuffer {
		head = nil
	}
	if cap(encoded) > keepBuffer {
		encoded = nil
	}
	*ex = Exchange{Head: head, encoded: encoded}
	ex.Scope.Fields = fields
	exchanges.Put(ex)
}

// keepBuffer is how large a buffer may stay with an exchange that is used again.
const keepBuffer = 8 << 10

// Safe tells whether the method is one that may be sent to the application twice (RFC 9110 9.2.1).
func (ex *Exchange) Safe() bool {
	switch string(ex.Scope.Method) {
	case "GET", "HEAD", "OPTIONS":
		return true
	}
	return false
}

// encode writes the request as the workers want it, unless it is written so already.
func (ex *Exchange) encode(codec wire.Codec, wsgi bool, defaults *wire.Defaults) {
	if len(ex.encoded) > 0 && ex.wsgi == wsgi && ex.codec == codec {
		return
	}
	ex.wsgi, ex.codec = wsgi, codec
	ex.encoded = codec.AppendRequest(ex.encoded[:0], &wire.Request{
		Scope: &ex.Scope, Body: ex.Body, More: ex.More, Length: ex.Length, WSGI: wsgi, Default: defaults,
	})
}

// SendBody passes a piece of the request's body on. The caller keeps within what Client.Wanted allowed. The data is
// copied.
func (ex *Exchange) SendBody(data []byte, more bool) {
	d := ex.dispatcher
	d.mu.Lock()
	defer d.mu.Unlock()
	w := ex.worker
	if w == nil {
		return
	}
	ex.clock, ex.bodySent = time.Now(), true
	for len(data) > wire.MaxPiece {
		w.pending.AddBody(ex.stream, data[:wire.MaxPiece], true)
		data = data[wire.MaxPiece:]
	}
	w.pending.AddBody(ex.stream, data, more)
	w.wake()
}

// Took says that n bytes of the answer's body have been taken off the worker's hands, so it may send as many again.
// Credits are sent in quarters of a window.
func (ex *Exchange) Took(n int) {
	d := ex.dispatcher
	d.mu.Lock()
	defer d.mu.Unlock()
	ex.creditOwed += n
	ex.unread -= n
	if w := ex.worker; w != nil && ex.state == stateAnswered && ex.creditOwed >= wire.Window/4 {
		w.pending.AddCredit(ex.stream, ex.creditOwed)
		ex.creditOwed = 0
		w.wake()
	}
}

// Waiting tells whether the exchange waits for a worker.
func (ex *Exchange) Waiting() bool {
	ex.dispatcher.mu.Lock()
	defer ex.dispatcher.mu.Unlock()
	return ex.state == stateQueued
}

// Disconnect says that the client has gone. A request that still waits is dropped: nobody would read its answer.
func (ex *Exchange) Disconnect() {
	d := ex.dispatcher
	d.mu.Lock()
	defer d.mu.Unlock()
	switch ex.state {
	case stateQueued:
		d.queue.remove(ex)
		ex.state = stateEnded
		ex.Release()
	case stateSent, stateAnswered:
		ex.gone = true
		ex.worker.abandon(ex, wire.KindDisconnect)
	}
}
