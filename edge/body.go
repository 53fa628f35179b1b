package edge

import (
	"time"

	"backline/dispatch"
	"backline/h1"
	"backline/wire"
)

// incoming is what is known of a request's body.
type incoming struct {
	chunked bool
	chunks  h1.Chunked
	left    int64 // bytes to come, when not chunked
	total   int64 // bytes so far
	done    bool  // nothing more comes

	arrived int   // bytes read from the socket since the rate was last looked at
	since   int64 // when that was

	spool   spool // collected bytes
	spooled bool  // the worker gets it from the spool

	window int    // bytes that the worker can take
	passed int64  // bytes that it has been given, when not spooled
	ask    bool   // "100 Continue" is sent when the worker first wants some
	piece  []byte // being sent by opSendBody
	used   int    // bytes of in that piece was made of
}

func (b *incoming) reset(s *Server) {
	b.spool.discard(s)
	*b = incoming{done: true}
}

// tooSlow tells whether the body has come more slowly than BodyRate over the last BodyWindow.
func (b *incoming) tooSlow(now int64, o *Options) bool {
	elapsed := time.Duration(now - b.since)
	if elapsed < o.BodyWindow {
		return false
	}
	slow := float64(b.arrived) < float64(o.BodyRate)*elapsed.Seconds()
	b.since, b.arrived = now, 0
	return slow
}

// beginBody decides by the framing (RFC 9112 6.3), which h1 has checked, and by the kind of application how the body
// gets to it.
func (c *conn) beginBody(req *h1.Request) operation {
	b := &c.body
	*b = incoming{chunked: req.Chunked, left: max(req.ContentLength, 0), since: c.server.clock.Load()}
	b.done = !b.chunked && b.left == 0
	if no := c.server.gate(&c.ex.Scope); no != nil {
		return c.refuse(no)
	}
	if c.serveFile() {
		return opNone
	}
	if op, is := c.handshake(req); is {
		return op
	}
	c.route = c.server.choose(c.ex, &c.answer)
	if c.ws != nil {
		c.offerUpgrade()
	}
	if b.left > c.server.options.MaxBody {
		c.reject(tooLarge())
		return opNone
	}
	if b.done {
		c.ex.More = wire.BodyWhole
		return c.submit()
	}
	inSession := !b.chunked && c.server.holds.known.concern(&c.ex.Scope, b.left)
	if req.ExpectContinue && c.off == len(c.in) {
		if !inSession && (!c.answer.wsgi || !b.chunked) {
			// The application is asked first, whatever its kind: the point of the question is that it may say no. When it
			// reads, the body streams to it.
			b.ask = true
			c.ex.More = wire.BodyOnRead
			return c.submit()
		}
		// Without a length Django takes a body for empty, so it has to be collected, and for that to come ("curl -T -").
		c.write([]byte(continueLine))
	}
	if c.answer.wsgi || inSession {
		c.phase = phaseCollect
		c.touch()
		return opNone
	}
	c.ex.More = wire.BodyFollows
	if whole := c.wholeBody(); whole != nil {
		c.ex.Body, c.ex.More = whole, wire.BodyWhole
	}
	return c.submit()
}

func tooLarge() *h1.Error {
	return &h1.Error{Status: 413, Reason: "the request's body is longer than this server takes"}
}

// wholeBody gives the body if all of it came with the head: then it travels with the request.
func (c *conn) wholeBody() []byte {
	b := &c.body
	if b.chunked || b.left > int64(len(c.in)-c.off) || b.left > wire.MaxPiece {
		return nil
	}
	whole := c.in[c.off : c.off+int(b.left)]
	c.off += int(b.left)
	b.total, b.left, b.done = b.left, 0, true
	return whole
}

// decode takes at most limit bytes of body from in. It gives them and what they take up in in.
func (c *conn) decode(limit int) (data []byte, used int, err *h1.Error) {
	b, src := &c.body, c.in[c.off:]
	if !b.chunked {
		n := min(int64(len(src)), b.left, int64(limit))
		b.left -= n
		b.done = b.left == 0
		data, used = src[:n], int(n)
	} else {
		var failure error
		data, used, b.done, failure = b.chunks.Next(src[:min(len(src), limit)])
		if failure != nil {
			return nil, 0, asH1Error(failure)
		}
	}
	b.total += int64(len(data))
	if b.total > c.server.options.MaxBody {
		return nil, 0, tooLarge()
	}
	return data, used, nil
}

// collect reads a WSGI request's body into the spool and submits the request when it is whole.
func (c *conn) collect() (operation, bool) {
	b := &c.body
	if c.broken {
		return opNone, c.endOfInput()
	}
	for c.off < len(c.in) && !b.done {
		data, used, err := c.decode(len(c.in) - c.off)
		if err == nil {
			if failure := b.spool.add(data, c.server); failure != nil {
				c.server.options.Log.Error("a request's body cannot be kept", "error", failure)
				err = &h1.Error{Status: 500, Reason: "the request's body cannot be stored"}
			}
		}
		if err != nil {
			c.reject(err)
			return opNone, true
		}
		if used == 0 {
			break
		}
		c.off += used
	}
	if !b.done {
		return opNone, c.fill(bodyRoom)
	}
	return c.submitCollected(), false
}

// bodyRoom is how many bytes of a body are read at a time.
const bodyRoom = 64 << 10

func (c *conn) submitCollected() operation {
	c.body.hand(c.ex, c.server)
	return c.submit()
}

// hand gives a collected body to the exchange: with the request if it is short, else as the worker wants it.
func (b *incoming) hand(ex *dispatch.Exchange, s *Server) {
	if b.spool.file == nil {
		s.holds.known.tell(ex, b.spool.memory, s.clock.Load())
	}
	whole := s.options.WholeBody
	ex.Length, ex.Replayable = b.total, true
	if b.total <= int64(whole) && b.spool.file == nil {
		ex.Body, ex.More = b.spool.memory, wire.BodyWhole
	} else {
		ex.More = wire.BodyFollows
		b.spooled, b.done = true, false
	}
}

// stream passes body on as it comes, as much as the worker can take.
func (c *conn) stream() (operation, bool) {
	b := &c.body
	if c.eof {
		return opDisconnect, false // half a body: the application must not take it for a whole one
	}
	if b.window <= 0 {
		return opNone, false
	}
	if c.off < len(c.in) {
		data, used, err := c.decode(b.window)
		if err != nil {
			return c.rejectBody(err), false
		}
		if used > 0 {
			b.piece, b.used = data, used
			b.window -= len(data)
			if len(data) > 0 || b.done {
				return opSendBody, false
			}
			c.consumed()
			return opNone, true
		}
	}
	return opNone, c.fill(bodyRoom)
}

// sendBody passes on the piece that stream has found.
func (c *conn) sendBody(ex *dispatch.Exchange) {
	data, at, more := c.body.piece, c.body.passed, !c.body.done
	c.mu.Unlock()
	ex.SendBody(data, at, more)
	c.mu.Lock()
	c.body.piece = nil
	c.body.passed += int64(len(data))
	c.consumed()
}

// consumed moves past what has been passed on.
func (c *conn) consumed() {
	c.off += c.body.used
	c.body.used = 0
}

// rejectBody ends an exchange whose body breaks the rules while the application already has its beginning.
func (c *conn) rejectBody(err *h1.Error) operation {
	if !c.answer.begun {
		c.page(err.Status, err.Reason, 0)
	}
	c.broken = true
	return opDisconnect
}

// sendSpool passes on the next piece of a collected body.
func (c *conn) sendSpool(ex *dispatch.Exchange) {
	buffer := c.server.bodyBuffer()
	piece, at, err := c.body.fromSpool(*buffer)
	if err != nil {
		c.server.options.Log.Error(complaintSpool, "error", err)
		c.broken = true
	}
	more := !c.body.done
	c.mu.Unlock()
	ex.SendBody(piece, at, more)
	c.server.recycle(buffer)
	c.mu.Lock()
}

const complaintSpool = "a collected request body cannot be read"

// fromSpool reads the next piece of a collected body into buffer, as much as the worker can take, and says where in the
// body it begins.
func (b *incoming) fromSpool(buffer []byte) (piece []byte, at int64, err error) {
	at = b.spool.at
	n, err := b.spool.read(buffer[:min(b.window, len(buffer), wire.MaxPiece)])
	b.window -= n
	b.done = b.spool.empty()
	return buffer[:n], at, err
}

// allow notes that the worker can take n more bytes, and with rewind that it is another worker, which wants the body
// from its beginning.
func (b *incoming) allow(n int, rewind bool, now int64) {
	if rewind {
		b.window = 0
	}
	if rewind && b.spooled {
		b.spool.rewind()
		b.done = false
	}
	if b.window <= 0 {
		b.since, b.arrived = now, 0 // until now it was not the client that was slow
	}
	b.window += n
}

// Wanted implements dispatch.Client.
func (c *conn) Wanted(ex *dispatch.Exchange, n int, rewind bool) {
	c.mu.Lock()
	if c.ex != ex || c.phase != phaseAnswer && c.phase != phaseSocket {
		c.mu.Unlock()
		return
	}
	if ws := c.ws; ws != nil {
		if rewind {
			ws.window = 0
		}
		ws.window += n
		c.proceed()
		return
	}
	b := &c.body
	b.allow(n, rewind, c.server.clock.Load())
	if b.ask && !c.answer.begun {
		b.ask = false
		c.write([]byte(continueLine))
	}
	c.proceed()
}

const continueLine = "HTTP/1.1 100 Continue\r\n\r\n"
