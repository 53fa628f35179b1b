package edge

import (
	"errors"
	"io"
	"net/http"
	"time"

	"backline/dispatch"
	"backline/h1"
	"backline/wire"
)

// beginBody decides how the body gets to the application, and hands the request on.
func (st *stream) beginBody(req *h1.Request) *h1.Error {
	b, ex := &st.body, st.ex
	st.mu.Lock()
	*b = incoming{left: st.r.ContentLength, done: st.isEmpty(), since: st.server.clock.Load()}
	b.ask = req.ExpectContinue && st.r.ContentLength != 0
	st.mu.Unlock()
	switch {
	case b.left > st.server.options.MaxBody:
		return tooLarge()
	case b.done:
		ex.More = wire.BodyWhole
		st.submit()
	case b.ask:
		// Only on HTTP/3: net/http answers the question by itself, at the first read.
		ex.More = wire.BodyOnRead
		st.stream()
	case st.collects():
		return st.collect()
	default:
		ex.More = wire.BodyFollows
		st.stream()
	}
	return nil
}

// isEmpty tells whether the request has ended with its head. One that says a length of 0 may have a body all the same,
// for which it is refused when its end is looked for (RFC 9113 8.1.1).
func (st *stream) isEmpty() bool {
	return st.r.ContentLength == 0 && len(st.r.Header["Content-Length"]) == 0
}

// collects tells whether the body is waited for before the application is called. quic-go does not say that a request
// has no body until it has looked for its end; asking for that in advance leaves the requests that may be repeated so.
func (st *stream) collects() bool {
	return st.answer.wsgi || st.r.ContentLength == 0 || st.r.ContentLength < 0 && st.r.ProtoMajor == 3 && st.ex.Safe() ||
		st.server.holds.known.concern(&st.ex.Scope, st.r.ContentLength)
}

func bodyCut() *h1.Error { return &h1.Error{Status: 400, Reason: "the body is not whole"} }

// collect reads the body into the spool and submits the request when it is whole.
func (st *stream) collect() *h1.Error {
	st.mu.Lock()
	st.phase = phaseCollect
	st.mu.Unlock()
	buffer := st.server.bodyBuffer()
	defer st.server.recycle(buffer)
	for {
		n, whole, fault := st.read(*buffer)
		if fault != nil {
			return fault
		}
		if err := st.body.spool.add((*buffer)[:n], st.server); err != nil {
			st.server.options.Log.Error("a request's body cannot be kept", "error", err)
			return &h1.Error{Status: 500, Reason: "the request's body cannot be stored"}
		}
		if whole {
			break
		}
	}
	st.mu.Lock()
	st.body.done = true
	st.body.hand(st.ex, st.server)
	st.mu.Unlock()
	st.submit()
	return nil
}

// read waits for some of the body. It tells why there will be no more, if that is not because it is whole.
func (st *stream) read(p []byte) (n int, whole bool, fault *h1.Error) {
	n, err := st.r.Body.Read(p)
	st.mu.Lock()
	defer st.mu.Unlock()
	b := &st.body
	b.arrived += n
	b.total += int64(n)
	switch {
	case b.total > st.server.options.MaxBody:
		fault = tooLarge()
	case errors.Is(err, io.EOF):
		whole = true
	case err != nil && st.expired:
		fault = slowBody()
	case err != nil:
		// Half a body: the application must not take it for a whole one.
		fault = bodyCut()
		st.broken = st.broken || st.r.Context().Err() != nil
	}
	return n, whole, fault
}

// stream hands the request on and its body as it comes.
func (st *stream) stream() {
	st.wanted = make(chan struct{}, 1)
	st.pumping.Go(st.carry)
	st.submit()
}

// carry is the pump: it passes body on, as much as the worker can take. It ends with the body or the stream.
func (st *stream) carry() {
	buffer := st.server.bodyBuffer()
	defer st.server.recycle(buffer)
	for whole := false; !whole; {
		room := st.room()
		if room == 0 {
			if _, open := <-st.wanted; !open {
				return
			}
			continue
		}
		n, last, fault := st.read((*buffer)[:min(room, len(*buffer))])
		if fault != nil {
			st.rejectBody(fault)
			return
		}
		whole = last
		st.ex.SendBody((*buffer)[:n], st.passed(n, whole), !whole)
	}
}

// room is how many bytes of body the worker can take.
func (st *stream) room() int {
	st.mu.Lock()
	defer st.mu.Unlock()
	return max(st.body.window, 0)
}

// passed notes that n bytes are passed on, and gives where in the body they begin.
func (st *stream) passed(n int, whole bool) int64 {
	st.mu.Lock()
	defer st.mu.Unlock()
	b := &st.body
	at := b.passed
	b.passed += int64(n)
	b.window -= n
	b.done = whole
	return at
}

// rejectBody ends an exchange whose body breaks the rules while the application already has its beginning.
func (st *stream) rejectBody(err *h1.Error) {
	st.mu.Lock()
	if st.phase != phaseAnswer {
		st.mu.Unlock()
		return
	}
	if st.answer.begun {
		st.abort()
	} else {
		st.page(err.Status, reasonFor(err), 0)
	}
	st.answer.failed = "client"
	st.mu.Unlock()
	st.ex.Disconnect()
	notify(st.woken)
}

// Wanted implements dispatch.Client.
func (st *stream) Wanted(ex *dispatch.Exchange, n int, rewind bool) {
	st.mu.Lock()
	defer st.mu.Unlock()
	if st.phase != phaseAnswer {
		return
	}
	b := &st.body
	b.allow(n, rewind, st.server.clock.Load())
	if b.ask && !st.answer.begun {
		b.ask = false
		st.addInterim(http.StatusContinue, nil)
		notify(st.woken)
	}
	if b.spooled {
		st.sendSpool(ex)
	} else if st.wanted != nil {
		notify(st.wanted)
	}
}

// sendSpool passes on what the worker can take of a collected body. The caller holds mu. The dispatcher never calls
// Wanted twice at once for an exchange, so the pieces are in order; the end may come between, and leaves none.
func (st *stream) sendSpool(ex *dispatch.Exchange) {
	buffer := st.server.bodyBuffer()
	defer st.server.recycle(buffer)
	for b := &st.body; b.window > 0 && !b.done; {
		piece, at, err := b.fromSpool(*buffer)
		if err != nil {
			st.server.options.Log.Error(complaintSpool, "error", err)
			st.broken = true
			notify(st.woken)
			return
		}
		more := !b.done
		st.mu.Unlock()
		ex.SendBody(piece, at, more)
		st.mu.Lock()
	}
}

// checkDeadline ends what has taken too long. It runs once a second for every stream.
func (st *stream) checkDeadline() {
	st.mu.Lock()
	now, o, b := st.server.clock.Load(), &st.server.options, &st.body
	waited := time.Duration(now-st.since) - tick // as in conn.checkDeadline
	streams := st.phase == phaseAnswer && !b.done && !b.spooled && b.window > 0
	slow := (st.phase == phaseCollect || streams) && b.tooSlow(now, o)
	stuck := st.writing && waited > o.WriteTimeout
	if slow {
		st.expired = true
	}
	if st.phase == phaseHold && (now >= st.hold.due || st.server.leavingHolds()) {
		notify(st.woken)
	}
	if stuck {
		st.answer.failed = "client"
	}
	st.mu.Unlock()
	if slow {
		_ = st.r.Body.Close() // whoever reads it learns of it
	}
	if stuck {
		st.reset()
	}
}

// reset ends the goroutine's wait for a client that takes nothing.
func (st *stream) reset() {
	st.life.Lock()
	defer st.life.Unlock()
	if !st.over {
		_ = http.NewResponseController(st.w).SetWriteDeadline(time.Unix(1, 0))
	}
}
