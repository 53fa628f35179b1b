package edge

import (
	"maps"
	"net/http"
	"sync"

	"backline/dispatch"
	"backline/h1"
)

// stream is one request of a connection that carries many: HTTP/2 by net/http, HTTP/3 by quic-go. It lives on the
// goroutine that they have made for the request, which reads the head, hands it on, and then does nothing but write the
// answer. Writing to an http.ResponseWriter blocks, and whoever calls a dispatch.Client must not be kept: those methods
// leave a note under mu and wake the goroutine. Which rules hold for heads, bodies and answers is decided by the
// functions that conn uses too.
type stream struct {
	server  *Server
	session *session
	w       http.ResponseWriter
	r       *http.Request
	ex      *dispatch.Exchange
	route   *Route        // where the request goes, once that is known
	woken   chan struct{} // gets a value when there may be something to write
	wanted  chan struct{} // the same for the pump, when the worker can take more of the body
	pumping sync.WaitGroup

	mu         sync.Mutex
	phase      phase
	submitted  bool
	broken     bool // the client has gone
	cut        bool // the answer cannot be completed: the stream is reset after what waits
	writing    bool // the goroutine is inside w
	expired    bool // the body came too slowly
	since      int64
	body       incoming
	answer     outgoing
	unfinished *unfinished // as in conn
	hold       *hold
	interim    []interim   // written before the answer
	head       []headField // to be written; nil when it has been, or there is none yet
	out        outbox
	piece      *[]byte // what is being written
	unflushed  bool    // w may have kept something back

	// life guards over: w must not be touched once the handler has returned. No other lock is taken under it.
	life sync.Mutex
	over bool
}

// headField is one header field as net/http has it: the name in its canonical form. On the wire it is lower case,
// whatever the application's spelling was (RFC 9113 8.2).
type headField struct{ name, value string }

// interim is an answer before the answer: 100 or 103.
type interim struct {
	status int
	head   http.Header
}

// maxInterim is how many of them may wait for a client that takes nothing; further ones are dropped, being only hints.
const maxInterim = 16

// streamPiece is how much is written at a time. A client that does not take a piece within WriteTimeout is cut off;
// many streams share a connection, and with a larger piece that would hit clients that are merely far away.
const streamPiece = 16 << 10

// serveStream serves one request. It panics with http.ErrAbortHandler where the client is to see that the answer is not
// whole: that is how a handler resets its stream.
func (s *Server) serveStream(session *session, w http.ResponseWriter, r *http.Request) {
	st := &stream{server: s, session: session, w: w, r: r, ex: s.exchanges.New(), woken: make(chan struct{}, 1)}
	st.ex.Start, st.ex.Client, st.ex.Settled = s.now(), st, st.woken
	st.touch()
	if !s.streams.add(st) {
		panic(http.ErrAbortHandler) // the server ends
	}
	defer s.streams.remove(st)
	var how step
	if protocol, is := isTunnel(r); is {
		how = st.serveTunnel(protocol)
	} else {
		st.begin()
		how = st.deliver()
	}
	if st.end(how) {
		panic(http.ErrAbortHandler)
	}
}

// begin reads the request and hands it on, or gets an answer of the server's own ready.
func (st *stream) begin() {
	req, err := st.readHead()
	if err != nil {
		st.reject(err)
		return
	}
	if no := st.server.gate(&st.ex.Scope); no != nil {
		st.mu.Lock()
		defer st.mu.Unlock()
		st.page(no.status, no.reason, no.wait, no.fields...)
		st.answer.failed = "refused"
		return
	}
	if st.serveFile() {
		return
	}
	st.route = st.server.choose(st.ex, &st.answer)
	if err := st.beginBody(req); err != nil {
		st.reject(err)
	}
}

// reject answers a request that breaks HTTP's rules.
func (st *stream) reject(err *h1.Error) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.page(err.Status, reasonFor(err), 0)
	st.answer.failed = "client"
}

// submit hands the request to the application's side.
func (st *stream) submit() {
	st.mu.Lock()
	st.phase, st.submitted = phaseAnswer, true
	st.touch()
	st.mu.Unlock()
	st.route.Handler.Submit(st.ex)
}

// step is what the stream's goroutine does next.
type step uint8

const (
	stepWait step = iota
	stepInterim
	stepHead
	stepPiece
	stepFlush
	stepJoin
	stepFetch
	stepAgain // look once more
	stepWhole // the client has the whole answer
	stepCut   // it has to see that it will not get one
	stepGone  // it has gone
)

// deliver writes the answer as it comes, until the last step, which it gives.
func (st *stream) deliver() step {
	for {
		next, piece := st.next()
		var err error
		switch next {
		case stepWait:
			st.wait()
		case stepInterim:
			st.writeInterim()
		case stepHead:
			st.writeHead()
		case stepPiece:
			err = st.writePiece(piece)
		case stepJoin:
			st.hold.join()
		case stepFetch:
			st.server.ask(st.hold, &st.ex.Scope, st.hold.asks(), st.hold.last())
		case stepAgain:
		case stepFlush:
			err = http.NewResponseController(st.w).Flush()
		default:
			return next
		}
		if err != nil {
			st.breakOff()
		}
	}
}

// next decides under the lock what is done without it. piece is what stepPiece writes.
func (st *stream) next() (what step, piece []byte) {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.writing = false
	switch {
	case st.broken:
		return stepGone, nil
	case len(st.interim) > 0:
		what = stepInterim
	case st.head != nil:
		what = stepHead
	case !st.out.empty():
		waiting, err := st.out.peek(st.server)
		if err != nil {
			st.server.unreadable(st.ex, &st.answer, err)
			return stepCut, nil
		}
		// A copy, because others may rearrange the outbox while it is written.
		st.piece = st.server.bodyBuffer()
		what, piece = stepPiece, (*st.piece)[:copy((*st.piece)[:streamPiece], waiting)]
	case st.unflushed && (st.phase == phaseAnswer || st.phase == phaseHold || st.cut || st.answer.head):
		// Otherwise the handler's return flushes, and in one go with the end. After HEAD quic-go would invent a length then.
		what = stepFlush
	case st.cut:
		return stepCut, nil
	case st.phase == phaseFlush:
		return stepWhole, nil
	case st.phase == phaseHold:
		return st.keepHold(), nil
	default:
		return stepWait, nil
	}
	st.writing = true
	if what != stepInterim { // which net/http flushes itself; to flush once more would begin the answer with 200
		st.unflushed = what != stepFlush
	}
	st.touch()
	return what, piece
}

func (st *stream) wait() {
	select {
	case <-st.woken:
	case <-st.r.Context().Done():
		st.breakOff()
	}
}

// breakOff notes that the client has gone.
func (st *stream) breakOff() {
	st.mu.Lock()
	defer st.mu.Unlock()
	st.broken = true
}

func (st *stream) writeInterim() {
	st.mu.Lock()
	first := st.interim[0]
	st.interim = st.interim[1:]
	st.mu.Unlock()
	header := st.w.Header()
	maps.Copy(header, first.head)
	st.w.WriteHeader(first.status)
	clear(header)
}

func (st *stream) writeHead() {
	st.mu.Lock()
	status, head := st.answer.status, st.head
	st.head = nil
	st.mu.Unlock()
	header, values := st.w.Header(), make([]string, len(head))
	for i, f := range head {
		if before, again := header[f.name]; again {
			header[f.name] = append(before, f.value)
			continue
		}
		values[i] = f.value
		header[f.name] = values[i : i+1 : i+1]
	}
	// nil keeps net/http and quic-go from adding these by themselves.
	for _, name := range []string{"Content-Type", "Date"} {
		if _, has := header[name]; !has {
			header[name] = nil
		}
	}
	st.w.WriteHeader(status)
}

// writePiece writes some of the body and lets the worker send as much.
func (st *stream) writePiece(piece []byte) error {
	n, err := st.w.Write(piece)
	st.mu.Lock()
	st.server.recycle(st.piece)
	st.piece = nil
	st.out.advance(n)
	if st.out.empty() {
		st.out.settle(st.server)
	}
	st.creditAndUnlock(n)
	return err
}

// end lets go of everything and tells whether the stream is to be reset. When the client has gone, that is only when no
// worker is busy with its request any more: the handlers of a connection are counted, so a client that opens streams
// and resets them as fast as it can has never more requests at the workers than it may have streams.
func (st *stream) end(how step) (reset bool) {
	st.mu.Lock()
	st.endHold()
	st.phase = phaseClosed
	st.mu.Unlock()
	_ = st.r.Body.Close() // a pump that reads ends
	if st.wanted != nil {
		close(st.wanted) // and one that waits
	}
	st.pumping.Wait()
	failed := ""
	if how != stepWhole {
		failed = "client"
		if st.submitted {
			st.ex.Disconnect()
			st.settle()
		}
	}
	if st.submitted || st.answer.begun { // otherwise the conn at the end of a tunnel has recorded it
		st.server.record(st.ex, &st.answer, failed)
	}
	st.out.discard()
	st.answer.release()
	st.mu.Lock()
	st.body.reset(st.server) // not under the hands of who still passes some of it on
	st.mu.Unlock()
	st.ex.Release()
	st.life.Lock()
	defer st.life.Unlock()
	st.over = true
	return how != stepWhole
}

// settle waits until nobody else holds the exchange, or the server ends.
func (st *stream) settle() {
	for st.ex.Held() {
		select {
		case <-st.woken:
		case <-st.server.ended:
			return
		}
	}
}

// touch notes that something happened, for the deadlines.
func (st *stream) touch() { st.since = st.server.clock.Load() }
