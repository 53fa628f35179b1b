package edge

import (
	"bytes"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"

	"backline"
	"backline/dispatch"
	"backline/grip"
	"backline/h1"
	"backline/wire"
)

// post is one POST of events. It implements dispatch.Client, whose methods are never called two at once.
type post struct {
	payload
	posts *posts
	ex    *dispatch.Exchange

	got *unfinished
	bad bool // the answer is too long, or a file
}

// send makes a POST of what waits. It is called without any lock, by whoever has made the socket busy.
func (p *posts) send() {
	p.mu.Lock()
	p.sending, p.waiting = p.waiting, nil
	events, meta, replayed := p.sending, p.meta, p.replayed
	p.mu.Unlock()
	one := &post{posts: p, ex: p.server.exchanges.New()}
	for _, e := range events {
		one.body = grip.AppendEvent(one.body, e)
	}
	ex := one.ex
	ex.Client, ex.Start = one, p.server.now()
	opening := len(events) > 0 && events[0].Type == "OPEN"
	ex.Head = p.appendPost(ex.Head[:0], meta, len(one.body), replayed, opening)
	req := h1.Request{Fields: ex.Scope.Fields[:0]}
	var parser h1.Parser
	if n, err := parser.Parse(ex.Head, &req); err != nil || n != len(ex.Head) {
		p.server.complain(ex, "sets more with Set-Meta-... for a WebSocket than a request's header has room for")
		ex.Release()
		p.abort(dispatch.FailApp)
		return
	}
	own := &ex.Scope
	*own = p.scope
	own.Method, own.Target, own.Path, own.Query, own.Fields = req.Method, req.Target, req.Path, req.Query, req.Fields
	own.Version = "1.1"
	one.load(ex, p.server.options.WholeBody)
	var a outgoing
	p.server.mark(ex, &a)
	p.route.take(ex, &a)
	p.route.Handler.Submit(ex)
}

// appendPostFields writes those of a handshake's header fields that every POST has: all but what concerns the
// handshake, and what only the edge may say.
func appendPostFields(dst []byte, fields []backline.Field) []byte {
	for _, f := range fields {
		switch name := string(bytes.ToLower(f.Name)); name {
		case "content-length", "content-type", "content-encoding", "transfer-encoding", "expect", "connection", "upgrade",
			"te", "trailer", "keep-alive", "accept", "accept-encoding", "sec-websocket-key", "sec-websocket-version",
			"sec-websocket-extensions", "connection-id", "content-bytes-replayed":
		default:
			if !strings.HasPrefix(name, "meta-") && !grip.Reserved(f.Name) {
				dst = h1.AppendField(dst, f.Name, f.Value)
			}
		}
	}
	return dst
}

func (p *posts) appendPost(dst []byte, meta [][2]string, length, replayed int, opening bool) []byte {
	dst = append(append(append(dst, "POST "...), p.target...), " HTTP/1.1\r\n"...)
	dst = append(dst, p.head...)
	dst = append(dst, "Content-Type: "+grip.EventsType+"\r\nAccept: "+grip.EventsType+"\r\nConnection-Id: "...)
	dst = append(append(dst, p.id...), "\r\nContent-Length: "...)
	dst = append(strconv.AppendInt(dst, int64(length), 10), "\r\n"...)
	if opening {
		dst = append(dst, "Sec-WebSocket-Extensions: grip\r\n"...)
	}
	if replayed > 0 {
		dst = append(strconv.AppendInt(append(dst, "Content-Bytes-Replayed: "...), int64(replayed), 10), "\r\n"...)
	}
	for _, m := range meta {
		dst = append(append(append(append(append(dst, "Meta-"...), m[0]...), ": "...), m[1]...), "\r\n"...)
	}
	return append(dst, "\r\n"...)
}

// Answer implements dispatch.Client.
func (one *post) Answer(_ *dispatch.Exchange, m *wire.Message) {
	one.got = gather(m)
	one.bad = m.Kind == wire.KindFile || len(m.Data) > one.posts.server.options.Posts.Reply
	if m.Kind != wire.KindStart {
		one.finish()
	}
}

// Data implements dispatch.Client.
func (one *post) Data(ex *dispatch.Exchange, data []byte) {
	ex.Took(len(data))
	one.bad = one.bad || len(one.got.body)+len(data) > one.posts.server.options.Posts.Reply
	if !one.bad {
		one.got.body = append(one.got.body, data...)
	}
}

// End implements dispatch.Client.
func (one *post) End(*dispatch.Exchange) { one.finish() }

// Hint implements dispatch.Client.
func (*post) Hint(*dispatch.Exchange, []backline.Field) {}

func (one *post) finish() {
	p := one.posts
	if one.bad {
		p.server.complain(one.ex, complaintReply)
		one.ex.Release()
		p.abort(dispatch.FailApp)
		return
	}
	wrong := p.read(one.got)
	if wrong != "" {
		p.server.complain(one.ex, wrong)
	}
	one.ex.Release()
	switch again := p.stuck(); {
	case wrong != "":
		p.abort(dispatch.FailApp)
	case again:
		p.again(dispatch.FailApp)
	default:
		p.finish()
	}
}

// stuck tells whether the application has accepted nothing of what it was sent: then it is given time.
func (p *posts) stuck() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.idle
}

const complaintReply = "answers a WebSocket's events with a file, or with more than websocket_over_http_reply allows"

// Fail implements dispatch.Client. What no worker has begun is tried again; a message that has gone with its worker
// does not end the socket, like a talk's.
func (one *post) Fail(_ *dispatch.Exchange, why *dispatch.Failure) {
	p := one.posts
	one.ex.Release()
	p.conn.mu.Lock()
	opened := p.opened
	p.conn.mu.Unlock()
	p.mu.Lock()
	messages := hasMessages(p.sending)
	p.mu.Unlock()
	switch {
	case !opened, why == dispatch.FailStopping:
		p.abort(why)
	case why == dispatch.FailWorker && messages:
		p.server.messageLost(p.target)
		p.settle(-1)
		p.finish()
	case why == dispatch.FailWorker, why.Status == dispatch.FailStopping.Status:
		p.restore()
		p.again(why)
	default:
		p.abort(why)
	}
}

// abort ends the socket, or refuses it, for a failure.
func (p *posts) abort(why *dispatch.Failure) {
	c := p.conn
	p.drop(why == dispatch.FailStopping)
	c.mu.Lock()
	if c.ws != nil && c.ws.posts == p && c.phase == phaseAnswer {
		c.answer.failed = why.Name
		c.page(why.Status, why.Reason, why.Wait)
		c.endAnswer()
	}
	c.proceed()
	p.closeFor(why.Close)
	p.settle(-1)
	p.finish()
}

// settle gives back what the events of a POST took of what may wait, and puts back those that the application has not
// accepted: all behind the first accepted bytes of their contents. A negative number accepts everything.
func (p *posts) settle(accepted int) {
	p.mu.Lock()
	rest, free := p.sending, 0
	for len(rest) > 0 {
		n := len(rest[0].Content)
		if accepted >= 0 && n > accepted {
			rest[0].Content = rest[0].Content[accepted:]
			free += accepted
			break
		}
		if rest[0].Type != "OPEN" {
			free += n + wire.MessageCost
		}
		if accepted >= 0 {
			accepted -= n
		}
		rest = rest[1:]
	}
	p.replayed = contentOf(rest)
	p.sending, p.waiting = nil, append(rest, p.waiting...)
	p.mu.Unlock()
	if free > 0 {
		p.conn.regain(free)
	}
}

// restore puts back everything.
func (p *posts) restore() {
	p.mu.Lock()
	p.sending, p.waiting = nil, append(p.sending, p.waiting...)
	p.mu.Unlock()
}

// again makes the POST again, in a while. After too many the socket is closed.
func (p *posts) again(why *dispatch.Failure) {
	o := &p.server.options.Posts
	p.mu.Lock()
	p.tries++
	enough := p.tries > o.Retries
	p.mu.Unlock()
	if enough {
		p.drop(true)
		p.closeFor(why.Close)
		p.finish()
		return
	}
	p.server.retries.add(p, time.Now().Add(o.Wait+rand.N(o.Wait)).UnixNano())
}
