package edge

import (
	"encoding/binary"
	"strings"
	"unicode/utf8"

	"backline/channel"
	"backline/grip"
	"backline/websocket"
	"backline/wire"
)

// read carries out what an answer to events says. It gives what is wrong with it, empty where that is nothing.
func (p *posts) read(got *unfinished) (wrong string) {
	c := p.conn
	isEvents := false
	for _, f := range got.fields {
		isEvents = isEvents || grip.IsEvents(f)
	}
	c.mu.Lock()
	opened := p.opened
	c.mu.Unlock()
	if got.status != 200 || !isEvents {
		if opened {
			return "answers a WebSocket's events with no answer of 200 and the type " + grip.EventsType
		}
		p.refuse(got)
		p.settle(-1)
		return ""
	}
	events, err := grip.ParseEvents(got.body, p.server.options.Posts.Reply)
	if err != nil {
		return "answers a WebSocket's events with what cannot be read: " + err.Error()
	}
	head, err := grip.ReadEventsHead(got.fields)
	if err != nil {
		return "answers a WebSocket's events with fields that cannot be read: " + err.Error()
	}
	p.note(&head)
	if !opened {
		if len(events) == 0 || events[0].Type != "OPEN" {
			p.refuse(nil)
			p.settle(-1)
			return ""
		}
		p.open(got, &head)
	}
	p.settle(head.Accepted)
	for _, e := range events {
		if wrong := p.act(e); wrong != "" {
			return wrong
		}
	}
	return ""
}

// note takes over what the fields say.
func (p *posts) note(head *grip.EventsHead) {
	p.conn.mu.Lock()
	p.asked = p.server.clock.Load()
	if head.KeepAlive > 0 {
		p.interval = int64(head.KeepAlive)
	}
	p.hurry()
	p.conn.mu.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	p.idle = head.Accepted == 0 && contentOf(p.sending) > 0
	if !p.idle {
		p.tries = 0
	}
	for _, m := range head.SetMeta {
		p.setMeta(m[0], m[1])
	}
}

// setMeta has what every POST carries; it is replaced, for one that is under way has it too.
func (p *posts) setMeta(name, value string) {
	meta := make([][2]string, 0, len(p.meta)+1)
	for _, m := range p.meta {
		if m[0] != name {
			meta = append(meta, m)
		}
	}
	if value != "" {
		meta = append(meta, [2]string{name, value})
	}
	p.meta = meta
}

// refuse answers the handshake with the application's own answer, where it has given one.
func (p *posts) refuse(got *unfinished) {
	c := p.conn
	c.mu.Lock()
	if c.ws != nil && c.ws.posts == p && c.phase == phaseAnswer {
		switch {
		case got == nil:
			c.page(403, "The application refused this WebSocket.", 0)
			c.endAnswer()
		case got.status < 300:
			p.server.complain(c.ex, "answers a WebSocket's events as if it did not know WebSocket-over-HTTP")
			c.page(404, "There is no WebSocket here.", 0)
			c.endAnswer()
		default:
			m := &wire.Message{Kind: wire.KindAnswer, Status: got.status, Reason: got.reason, Data: got.body}
			for _, f := range got.fields {
				if !grip.Reserved(f.Name) {
					m.Fields = append(m.Fields, f)
				}
			}
			c.startAnswer(m)
		}
	}
	c.proceed()
}

// open accepts the socket. Its client may have left meanwhile: the application is told so like of any other end.
func (p *posts) open(got *unfinished, head *grip.EventsHead) {
	c := p.conn
	m := &wire.Message{Kind: wire.KindAccept}
	for _, f := range got.fields {
		switch name := strings.ToLower(string(f.Name)); {
		case name == "sec-websocket-protocol":
			m.Data = f.Value
		case name == "content-type", name == "keep-alive-interval", name == "content-bytes-accepted",
			strings.HasPrefix(name, "set-meta-"), grip.Reserved(f.Name):
		default:
			m.Fields = append(m.Fields, f)
		}
	}
	p.server.talks.Add(1)
	c.mu.Lock()
	p.opened, p.control, p.prefix = true, head.Grip, head.Prefix
	if c.ws != nil && c.ws.posts == p && c.phase == phaseAnswer {
		if c.server.options.Access == nil {
			c.ex.Scope.Fields, c.ex.Scope.Query = nil, nil // nobody asks for them any more
		}
		c.accept(m)
		c.ws.window = c.server.options.WebSockets.Queue
		p.hurry()
		c.proceed()
		return
	}
	c.mu.Unlock()
	p.push(grip.Event{Type: "DISCONNECT"})
}

// act carries out one event of the application's. It gives what is wrong with it.
func (p *posts) act(e grip.Event) (wrong string) {
	c := p.conn
	data := e.Content
	switch e.Type {
	case "TEXT", "BINARY":
		if p.control {
			if command, is := strings.CutPrefix(string(data), "c:"); is && e.Type == "TEXT" {
				return p.obey(command)
			}
			if len(data) < len(p.prefix) || string(data[:len(p.prefix)]) != p.prefix {
				return "" // a message of a kind that is not for the client
			}
			data = data[len(p.prefix):]
		}
		if e.Type == "TEXT" && !utf8.Valid(data) {
			return "sends a WebSocket a TEXT that is not UTF-8"
		}
		p.say(strings.ToLower(e.Type), data)
	case "PING", "PONG":
		p.say(strings.ToLower(e.Type), data)
	case "CLOSE":
		code, reason := websocket.CloseNoStatus, ""
		if len(data) >= 2 {
			code, reason = int(binary.BigEndian.Uint16(data)), string(data[2:])
		}
		if !websocket.ValidCode(code) {
			code = websocket.CloseNoStatus // django-grip's 0 is for none
		}
		c.mu.Lock()
		if p.live() {
			p.closed = true
			c.closeSocket(code, reason)
		}
		c.proceed()
	case "DISCONNECT":
		c.mu.Lock()
		if p.live() {
			p.closed, c.broken = true, true
		}
		c.proceed()
	}
	return ""
}

// live tells under the connection's lock whether its WebSocket is this one and goes on.
func (p *posts) live() bool {
	c := p.conn
	return c.phase == phaseSocket && c.ws.posts == p && !c.ws.closing
}

// say sends a message or a control frame to the client.
func (p *posts) say(kind string, data []byte) {
	c := p.conn
	if kind == "text" || kind == "binary" {
		c.say(data, kind == "text")
	} else {
		c.mu.Lock()
		if p.live() {
			c.write(controlFrame(kind, data))
		}
		c.proceed()
	}
	c.mu.Lock()
	if p.keep.due != 0 && p.keep.Mode != "interval" {
		p.keep.due = p.server.clock.Load() + int64(p.keep.Timeout)
	}
	c.mu.Unlock()
}

// controlFrame is a frame of the kind "ping" or "pong"; nil where the kind is another one.
func controlFrame(kind string, data []byte) []byte {
	data = data[:min(len(data), channel.MaxControl)]
	switch kind {
	case "ping":
		return websocket.AppendFrame(nil, websocket.Ping, data)
	case "pong":
		return websocket.AppendFrame(nil, websocket.Pong, data)
	}
	return nil
}

// obey carries out a control message.
func (p *posts) obey(command string) (wrong string) {
	control, err := grip.ParseControl([]byte(command))
	if err != nil {
		return "sends a WebSocket's control message that cannot be obeyed: " + err.Error()
	}
	c := p.conn
	switch control.Type {
	case "subscribe":
		return p.subscribe(control.Channel)
	case "unsubscribe":
		c.leaveTalk([]byte(control.Channel.Name))
		c.mu.Lock()
		p.inbox.Forget(control.Channel.Name)
		c.mu.Unlock()
	case "session":
		p.enter(control.Session)
	case "detach":
		p.mu.Lock()
		p.detached = true
		p.mu.Unlock()
	case "set-meta":
		c.mu.Lock()
		if p.inbox.Meta == nil {
			p.inbox.Meta = map[string]string{}
		}
		if p.inbox.Meta[control.Name] = control.Value; len(p.inbox.Meta) > maxMeta {
			wrong = "sets too much with set-meta for one WebSocket"
		}
		c.mu.Unlock()
	case "keep-alive":
		c.mu.Lock()
		p.keep = later{Control: control}
		if control.Timeout > 0 && (len(control.Data) > 0 || control.Kind == "ping" || control.Kind == "pong") {
			p.keep.due = p.server.clock.Load() + int64(control.Timeout)
		}
		p.hurry()
		c.mu.Unlock()
	case "send-delayed":
		c.mu.Lock()
		p.delayed = later{control, p.server.clock.Load() + int64(control.Timeout)}
		p.hurry()
		c.mu.Unlock()
	case "flush-delayed":
		c.mu.Lock()
		delayed := p.delayed
		p.delayed = later{}
		c.mu.Unlock()
		if delayed.due != 0 {
			p.say(delayed.Kind, delayed.Data)
		}
	}
	return wrong
}

// enter makes the socket one of a session.
func (p *posts) enter(session string) {
	p.conn.mu.Lock()
	defer p.conn.mu.Unlock()
	p.session = session
	p.server.holds.known.learn(nil, &grip.Session{ID: session}, p.server.clock.Load())
}

// maxMeta is how many names set-meta may give values to.
const maxMeta = 100

// subscribe makes the socket one of a channel's. To say it again replaces the filters.
func (p *posts) subscribe(to grip.Channel) (wrong string) {
	c := p.conn
	c.mu.Lock()
	p.inbox.Forget(to.Name)
	if len(p.inbox.Channels) >= p.server.holds.Channels {
		wrong = "subscribes one WebSocket to more channels than hold_channels allows"
	} else {
		p.inbox.Channels = append(p.inbox.Channels, to)
		if p.sieve == nil && to.Asks() {
			p.sieve = &sieve{posts: p}
		}
	}
	c.mu.Unlock()
	if wrong == "" {
		c.joinTalk([]byte(to.Name))
	}
	return wrong
}

// fits gives a publication as this socket gets it, by the filters of its channels. It is called under the connection's
// lock. nil: it does not.
func (p *posts) fits(group string, what *channel.Publication) *channel.SocketMessage {
	p.server.holds.known.saw(p.session, group, what.ID, p.server.clock.Load())
	if !p.inbox.Wants(group, what) {
		return nil
	}
	if what.Socket == nil || !p.inbox.Filters(group, what, channel.FormSocket) {
		return what.Socket
	}
	data, err := p.inbox.Render(group, what, channel.FormSocket, what.Socket.Data)
	if err != nil {
		return nil
	}
	return &channel.SocketMessage{Data: data, Text: what.Socket.Text, Control: what.Socket.Control}
}

// hurry has the deadlines looked at soon. It is called under the connection's lock.
func (p *posts) hurry() {
	if c := p.conn; c.phase == phaseSocket {
		c.watcher.hurry(c)
	}
}

// check does under the connection's lock what is due, and gives when something will be.
func (p *posts) check(now int64) (again int64) {
	again = never
	c := p.conn
	for _, l := range []*later{&p.keep, &p.delayed} {
		if l.due == 0 {
			continue
		}
		if now >= l.due && p.live() && c.out.empty() {
			if frame := controlFrame(l.Kind, l.Data); frame != nil {
				c.write(frame)
			} else {
				c.write(c.ws.writer.Append(nil, kindOf(l.Kind == "text"), l.Data, true))
			}
			if l == &p.delayed {
				*l = later{}
				continue
			}
			l.due = now + int64(l.Timeout)
		}
		again = min(again, l.due)
	}
	if p.interval > 0 {
		due := p.asked + p.interval
		if now >= due {
			p.asked, due = now, now+p.interval
			p.server.holds.ready.add(p)
		}
		again = min(again, due)
	}
	return again
}
