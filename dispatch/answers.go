package dispatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"time"

	"backline/wire"
)

// readLoop delivers what the worker sends, straight to the clients' connections: handing answers to other goroutines
// cost a fifth of the throughput in the prototype.
func (w *WorkerConn) readLoop() {
	defer w.down()
	reader := wire.NewReader(w.conn)
	var messages wire.Messages
	var m wire.Message
	for {
		payload, err := reader.Next()
		if err == nil {
			err = w.deliver(&messages, &m, payload)
		}
		if err != nil {
			w.explain(err)
			return
		}
	}
}

// explain logs why the connection ended, unless that is what always happens when a process ends.
func (w *WorkerConn) explain(err error) {
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) || errors.Is(err, net.ErrClosed) ||
		errors.Is(err, os.ErrDeadlineExceeded) || isReset(err) {
		return
	}
	w.dispatcher.log.Error("a worker broke the worker protocol; it is replaced", "worker", w.Name, "error", err)
	w.dispatcher.mu.Lock()
	defer w.dispatcher.mu.Unlock()
	w.replace(RetireProtocol)
}

// deliver handles one packet.
func (w *WorkerConn) deliver(messages *wire.Messages, m *wire.Message, payload []byte) error {
	if err := messages.Open(payload); err != nil {
		return err
	}
	ended := 0
	w.dispatcher.setClock(time.Now())
	for {
		more, err := messages.Next(m)
		if err != nil {
			return err
		}
		if !more {
			break
		}
		if isLast(m.Kind) || m.Kind == wire.KindAccept {
			ended++
		}
		if err := w.handle(m); err != nil {
			return err
		}
	}
	w.hear(ended)
	return nil
}

// beginsAnswer tells whether a message of this kind carries a status.
func beginsAnswer(kind wire.Kind) bool {
	switch kind {
	case wire.KindAnswer, wire.KindAnswerOpen, wire.KindStart, wire.KindFile, wire.KindAccept:
		return true
	}
	return false
}

// isLast tells whether a stream's number is free after a message of this kind.
func isLast(kind wire.Kind) bool {
	return kind == wire.KindAnswer || kind == wire.KindDone || kind == wire.KindError || kind == wire.KindReturn ||
		kind == wire.KindActed
}

// hear notes a sign of life and how fast the worker works.
func (w *WorkerConn) hear(ended int) {
	d := w.dispatcher
	d.mu.Lock()
	defer d.unlock()
	now := d.now
	if ended > 0 {
		pace := max(1, now.Sub(w.lastSign())/time.Duration(ended))
		if w.pace == 0 {
			w.pace = pace // approaching it from zero would take the first slow requests for quick ones
		}
		w.pace += (pace - w.pace) / 8
	}
	w.heard, w.unheard, w.suspect = now, time.Time{}, false
	if ended > 0 {
		d.feed()
	}
}

// prefetch is how many requests beyond its concurrency the worker may hold: what it works off in about a millisecond.
func (w *WorkerConn) prefetch() int {
	if w.pace <= 0 || w.pace > quick {
		return 0
	}
	return min(w.dispatcher.options.Prefetch, int(time.Millisecond/w.pace))
}

// quick is the time per request below which fetching ahead pays: a round trip to a worker is some 50 us.
const quick = 250 * time.Microsecond

// handle delivers one message. Messages for streams that were given up are dropped.
func (w *WorkerConn) handle(m *wire.Message) error {
	switch m.Kind {
	case wire.KindAlive:
		return nil
	case wire.KindTrace, wire.KindOffload, wire.KindStall, wire.KindReport, wire.KindCrowd:
		return fmt.Errorf("a message of kind %d on the main connection; it belongs on the control connection", m.Kind)
	}
	ex, before, err := w.advance(m)
	if ex == nil || err != nil {
		return err
	}
	client := ex.Client
	switch {
	case m.Bad != nil:
		w.dispatcher.log.Error("the application's answer cannot be sent",
			"worker", w.Name, "path", string(ex.Scope.Path), "error", m.Bad)
		client.Fail(ex, FailApp)
	case before == stateSent && (m.Kind == wire.KindData || m.Kind == wire.KindEnd):
		client.Fail(ex, FailApp)
	case before == stateSent && m.Kind == wire.KindDone:
		client.Fail(ex, FailNoAnswer)
	default:
		w.pass(ex, before, m)
	}
	if isLast(m.Kind) {
		ex.Release()
	}
	return nil
}

// pass calls the client's method for a message.
func (w *WorkerConn) pass(ex *Exchange, before state, m *wire.Message) {
	switch m.Kind {
	case wire.KindReturn, wire.KindAct, wire.KindActed:
		ex.Client.Answer(ex, m)
	case wire.KindAnswer, wire.KindAnswerOpen, wire.KindStart, wire.KindFile:
		if before == stateSent {
			ex.Client.Answer(ex, m)
		}
		if m.Kind == wire.KindFile {
			w.haveFile(m.Stream)
		}
	case wire.KindAccept:
		ex.Socket.Accept(ex, m)
	case wire.KindTake:
		ex.Socket.Take(ex)
	case wire.KindSend, wire.KindSendPart:
		ex.Socket.Message(ex, m.Data, m.Text, m.Kind == wire.KindSend)
	case wire.KindClose:
		ex.Socket.Close(ex, m.Status, m.Data)
	case wire.KindSocketJoin:
		ex.Socket.Join(ex, m.Data)
	case wire.KindSocketEnter:
		ex.Socket.Enter(ex, &m.Actions[0], string(m.Data))
	case wire.KindSocketLeave:
		ex.Socket.Leave(ex, m.Data)
	case wire.KindData:
		ex.Client.Data(ex, m.Data)
	case wire.KindEnd:
		ex.Client.End(ex)
	case wire.KindError, wire.KindDone:
		ex.Client.Fail(ex, FailApp)
	case wire.KindHint:
		ex.Client.Hint(ex, m.Fields)
	case wire.KindRead:
		w.dispatcher.wantMore(ex, m.N)
	}
}

// haveFile says that the client's side has opened the file which it is to send. Until then the worker keeps the
// application from going on: it may be about to remove the file.
func (w *WorkerConn) haveFile(stream uint32) {
	w.dispatcher.mu.Lock()
	defer w.dispatcher.mu.Unlock()
	w.pending.AddCredit(stream, 1)
	w.wake()
}

// advance moves the message's stream to its next state. It gives nil when nobody waits for the message any more, and
// the state before it otherwise.
func (w *WorkerConn) advance(m *wire.Message) (*Exchange, state, error) {
	d := w.dispatcher
	d.mu.Lock()
	defer d.mu.Unlock()
	if int(m.Stream) >= len(w.streams) || w.streams[m.Stream] == nil {
		return nil, 0, fmt.Errorf("a message of kind %d for stream %d, which is not open", m.Kind, m.Stream)
	}
	ex := w.streams[m.Stream]
	before := ex.state
	if !allowed(ex, m.Kind) {
		return nil, 0, fmt.Errorf("a message of kind %d for stream %d, which is beyond it, no WebSocket or no job",
			m.Kind, m.Stream)
	}
	if before == stateSent && (beginsAnswer(m.Kind) || m.Kind == wire.KindActed) {
		w.measure(ex, m.Data)
	}
	if before != stateEnded {
		w.progress(ex, m)
	}
	switch {
	case isLast(m.Kind):
		w.close(m.Stream)
		ex.worker = nil
		if before == stateEnded {
			ex.Release()
		}
	case m.Bad != nil && before == stateOpen:
		w.closeSocket(ex, CloseInternal, "")
	case m.Bad != nil && before != stateEnded:
		w.abandon(ex, wire.KindDisconnect)
	}
	if before == stateEnded {
		return nil, before, nil
	}
	return ex, before, nil
}

// measure notes what the beginning of an answer says of its worker. Long polls take long in the best of workers:
// counting them would make laggards of those that have sessions, and all new ones would go to the one that has none.
func (w *WorkerConn) measure(ex *Exchange, body []byte) {
	if ex.pinned == nil {
		w.latency += (w.dispatcher.now.Sub(ex.sent) - w.latency) / 16
		w.answered++
	}
	if ex.begins {
		w.learn(body)
	}
}

// progress notes what a message for somebody who still waits says of its exchange.
func (w *WorkerConn) progress(ex *Exchange, m *wire.Message) {
	ex.state = next(ex.state, m)
	switch {
	case ex.state == stateOpen && !ex.parked:
		w.park(ex)
	case ex.state == stateEnded:
		w.ends(ex)
	}
	ex.clock = w.dispatcher.now
	ex.overdue = false // the application has it: it must not be taken back
	switch m.Kind {
	case wire.KindRead:
		ex.wanted += m.N
	case wire.KindTake:
		ex.taking, ex.token = true, uint32(m.N)
	}
	if ex.state == stateAnswered {
		ex.unread += len(m.Data)
	}
}

// allowed tells whether a message of this kind may come now. What comes after the end is nobody's any more.
func allowed(ex *Exchange, kind wire.Kind) bool {
	if isEventful := kind == wire.KindAct || kind == wire.KindActed; ex.Event != nil || isEventful {
		return ex.Event != nil && (isEventful || kind == wire.KindDone || kind == wire.KindError)
	}
	if ex.Job != nil || kind == wire.KindReturn {
		return ex.Job != nil && (kind == wire.KindReturn || kind == wire.KindDone)
	}
	switch kind {
	case wire.KindAccept, wire.KindClose:
		return ex.Socket != nil && (ex.state == stateSent || ex.state == stateEnded ||
			ex.state == stateOpen && kind == wire.KindClose)
	case wire.KindTake:
		return ex.Socket != nil && ex.form == formWSGI && !ex.taking && (ex.state == stateSent || ex.state == stateEnded)
	case wire.KindSend, wire.KindSendPart, wire.KindSocketEnter:
		return ex.Socket != nil && (ex.state == stateOpen || ex.state == stateEnded)
	case wire.KindSocketJoin, wire.KindSocketLeave:
		return ex.Socket != nil && ex.state != stateAnswered
	}
	return !beginsAnswer(kind) || ex.state != stateAnswered && ex.state != stateOpen
}

// next is the state after a message.
func next(now state, m *wire.Message) state {
	switch {
	case m.Bad != nil:
		return stateEnded
	case m.Kind == wire.KindStart, m.Kind == wire.KindAct && now == stateSent:
		return stateAnswered
	case m.Kind == wire.KindAct:
		return now
	case m.Kind == wire.KindAccept:
		return stateOpen
	case now == stateOpen && (m.Kind == wire.KindSend || m.Kind == wire.KindSendPart):
		return now
	case m.Kind == wire.KindSocketJoin, m.Kind == wire.KindSocketEnter, m.Kind == wire.KindSocketLeave:
		return now
	case m.Kind == wire.KindRead || m.Kind == wire.KindHint || m.Kind == wire.KindTake:
		return now
	case m.Kind == wire.KindData && now == stateAnswered:
		return now
	default:
		return stateEnded
	}
}

// Stacks asks the worker what runs behind these streams, for a log. It waits at most patience.
func (w *WorkerConn) Stacks(streams []uint32, patience time.Duration) string {
	return w.control.stacks(streams, patience)
}

// Snapshot asks the worker for all its stacks, Profile to be sampled for some time: JSON, as docs/protocol.md has it.
func (w *WorkerConn) Snapshot(ctx context.Context) ([]byte, error) {
	return w.control.report(ctx, stackPatience, func(b *wire.Batch, token uint32) { b.Add(wire.KindSnapshot, token) })
}

// Profile is documented with Snapshot. Where ctx ends before, sampling ends too.
func (w *WorkerConn) Profile(ctx context.Context, during time.Duration, rate int) ([]byte, error) {
	milliseconds := max(1, int(during.Milliseconds()))
	answer, err := w.control.report(ctx, during+profilePatience, func(b *wire.Batch, token uint32) {
		b.AddProfile(token, milliseconds, rate)
	})
	if ctx.Err() != nil {
		w.control.send(func(b *wire.Batch) { b.AddProfile(0, 0, 0) })
	}
	return answer, err
}

func (d *Dispatcher) logStack(level slog.Level, text string, w *WorkerConn, streams []uint32, args ...any) {
	stack := w.Stacks(streams, stackPatience)
	args = append(args, "worker", w.Name, "stack", stack)
	d.log.Log(nil, level, text, args...) //nolint:staticcheck // no context to pass
}
