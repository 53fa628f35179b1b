package dispatch

import (
	"sync"
	"sync/atomic"
	"time"

	"backline"
	"backline/wire"
)

// Client is the far end of an exchange: the connection that the request came from. Its methods are called without the
// dispatcher's lock, mostly on the goroutine that reads the worker's socket: they must not block. For one exchange no
// two are called at once, but that an answer, or the end, may come while Wanted still hands the body to a new worker.
// What a message's slices point at is gone when the method returns.
type Client interface {
	// Answer delivers KindAnswer, KindAnswerOpen (both whole), KindStart or KindFile; of an event KindAct and, at last,
	// KindActed.
	Answer(ex *Exchange, m *wire.Message)
	// Data delivers the next piece of an answer that began with KindStart.
	Data(ex *Exchange, data []byte)
	// End says that the answer is complete.
	End(ex *Exchange)
	// Hint delivers header fields for 103 Early Hints.
	Hint(ex *Exchange, fields []backline.Field)
	// Wanted says that the worker can take n more bytes of the request's body; they are given to Exchange.SendBody.
	// The first call may come before Dispatcher.Submit returns. rewind says that the worker is new to the request: it
	// wants the body from its beginning, and what an earlier one wanted is void.
	Wanted(ex *Exchange, n int, rewind bool)
	// Fail says that no (further) answer will come.
	Fail(ex *Exchange, why *Failure)
}

// Exchange is one request and its answer. The connection fills in the first group, calls Dispatcher.Submit, and calls
// Release when it needs the exchange no more. With a handler that answers by itself, without a dispatcher, what
// concerns a worker does nothing.
type Exchange struct {
	Scope  backline.Scope
	Head   []byte // the buffer that Scope points into
	Client Client
	Job    *Job   // nil unless it is no request
	Event  *Event // nil unless it is an event of a WebSocket that the client holds
	Socket Socket // nil unless Scope.WebSocket; for WSGI the request is an ordinary one until it is accepted
	Body   []byte // the whole body if it is small, else empty
	More   int    // wire.BodyWhole, wire.BodyFollows or wire.BodyOnRead
	Length int64  // length of a collected body for CONTENT_LENGTH; -1: as the client said
	// Replayable says that Wanted(rewind) can deliver the body again.
	Replayable bool
	Start      time.Time // when the first byte of the head came
	// Urgent requests wait in front of all others, and are not refused because many wait.
	Urgent bool
	// Settled gets a value, if it has room for one, when nobody but the caller holds the exchange any more: no worker is
	// busy with it. nil: the caller does not care.
	Settled chan<- struct{}

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
	sent       time.Time // when its worker was given it
	packet     uint64    // the worker's packet that carries the request
	overdue    bool      // beyond the worker's concurrency when it was sent
	bodySent   bool      // some of it, or its end
	bodyAt     int64     // bytes of it that this worker has been sent
	bodyDone   bool      // all of it
	wanted     int       // bytes of it that the worker can take and has not got
	telling    bool      // somebody is telling the client so, and will also tell it
	renewed    bool      // that another worker has the request, and
	more       int       // that the worker can take as many bytes more
	creditOwed int       // bytes of answer that went to the client since the last credit
	unread     int       // bytes of answer that the worker sent and that still wait for the client

	order  uint64
	taking bool // its worker waits for the connection, by this token
	token  uint32
	parked bool        // an accepted WebSocket, counted in WorkerConn.sockets
	pinned *WorkerConn // the one that it belongs to, because that owns its session
	begins bool        // its answer may begin a session
	gone   bool        // the client has gone and the application, told so, has time to end by itself
	lost   bool        // given up on; counted in WorkerConn.lost

	owner   *Exchanges // where Release puts it
	encoded []byte     // the KindRequest message
	codec   wire.Codec
	form    form // what encoded is
	refs    atomic.Int32
}

// state is where an exchange stands, seen from the dispatcher.
type state uint8

const (
	stateNew state = iota
	stateQueued
	stateSent     // the worker has it, nothing answered yet
	stateAnswered // the answer has begun
	stateOpen     // the WebSocket is accepted
	stateEnded    // the client has all it will get; the application may still run
)

// Exchanges makes exchanges, and keeps the released ones to be used again. The zero value is ready.
type Exchanges struct{ free sync.Pool }

// New gives an empty exchange that belongs to the caller until Release.
func (p *Exchanges) New() *Exchange {
	ex, ok := p.free.Get().(*Exchange)
	if !ok {
		ex = &Exchange{owner: p}
	}
	ex.refs.Store(1)
	ex.Length = -1
	return ex
}

// Release gives the caller's hold up. The exchange is used again when the dispatcher has let go of it too.
func (ex *Exchange) Release() {
	settled := ex.Settled // whoever holds it last may use it again at once, so it is not looked at afterwards
	switch refs := ex.refs.Add(-1); {
	case refs == 1 && settled != nil:
		select {
		case settled <- struct{}{}:
		default:
		}
		return
	case refs > 0:
		return
	case refs < 0:
		panic("dispatch: an exchange was released twice") // going on would mix up two clients' requests
	}
	head, encoded, fields := ex.Head[:0], ex.encoded[:0], ex.Scope.Fields[:0]
	if cap(head) > keepBuffer {
		head = nil
	}
	if cap(encoded) > keepBuffer {
		encoded = nil
	}
	*ex = Exchange{Head: head, encoded: encoded, owner: ex.owner}
	ex.Scope.Fields = fields
	ex.owner.free.Put(ex)
}

// Held tells whether anybody but the caller holds the exchange: after Disconnect, whether a worker is still busy with
// it.
func (ex *Exchange) Held() bool { return ex.refs.Load() > 1 }

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

// form is how the workers of an application want what they are sent.
type form uint8

const (
	formWSGI form = iota
	formASGI
	formEvents // WebSockets become events
)

func formOf(up *wire.Up) form {
	switch up.Interface {
	case "asgi":
		return formASGI
	case "sockets":
		return formEvents
	default:
		return formWSGI
	}
}

// encode writes the request as the workers want it, unless it is written so already.
func (ex *Exchange) encode(codec wire.Codec, as form, defaults *wire.Defaults) {
	if len(ex.encoded) > 0 && ex.form == as && ex.codec == codec {
		return
	}
	ex.form, ex.codec = as, codec
	if ex.Job != nil {
		ex.encoded = codec.AppendJob(ex.encoded[:0], ex.Job.Function, ex.Job.Arguments)
		return
	}
	request := wire.Request{
		Scope: &ex.Scope, Body: ex.Body, More: ex.More, Length: ex.Length, WSGI: as == formWSGI, Default: defaults,
	}
	if as == formEvents && ex.Socket != nil && ex.Event == nil {
		ex.Event = newConnect()
	}
	if ex.Event != nil {
		ex.encoded = codec.AppendEvent(ex.encoded[:0], ex.Event, &request)
		return
	}
	ex.encoded = codec.AppendRequest(ex.encoded[:0], &request)
}

// Took says that n bytes of the answer's body have been taken off the worker's hands, so it may send as many again.
// Credits are sent in quarters of a window; of a WebSocket's, which is another, whoever calls sees to that.
func (ex *Exchange) Took(n int) {
	d := ex.dispatcher
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	ex.creditOwed += n
	if ex.unread -= n; ex.unread == 0 {
		ex.clock = d.now // an application that waited for its client can only go on now
	}
	if w := ex.worker; w != nil && (ex.state == stateOpen || ex.state == stateAnswered && ex.creditOwed >= wire.Window/4) {
		w.pending.AddCredit(ex.stream, ex.creditOwed)
		ex.creditOwed = 0
		w.wake()
	}
}

// Waiting tells whether the exchange waits for a worker.
func (ex *Exchange) Waiting() bool {
	d := ex.dispatcher
	if d == nil {
		return false
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return ex.state == stateQueued
}

// Disconnect says that the client has gone. A request that still waits is dropped: nobody would read its answer.
func (ex *Exchange) Disconnect() {
	d := ex.dispatcher
	if d == nil {
		return
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	switch ex.state {
	case stateQueued:
		d.unqueue(ex)
		ex.state = stateEnded
		ex.Release()
	case stateSent, stateAnswered, stateOpen:
		if ex.Event != nil {
			return // what the application does then, and what follows, concerns others too
		}
		if ex.Socket != nil && (ex.form != formWSGI || ex.state == stateOpen) {
			ex.worker.closeSocket(ex, CloseLost, "")
			return
		}
		// A thread cannot be cancelled, so only its own time limit counts; an answer that has begun has none.
		ex.gone = ex.form != formWSGI || ex.state == stateSent
		ex.worker.abandon(ex, wire.KindDisconnect)
	}
}
