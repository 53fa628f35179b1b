package edge

import (
	"errors"
	"syscall"

	"backline/channel"
	"backline/dispatch"
	"backline/websocket"
)

// shared are frames that wait for a client and are other clients' too: what a slow one keeps of them is a reference.
// They wait behind the outbox's memory, and what comes after them is put behind them.
type shared struct {
	frames [][]byte // never empty, and none of them is
	size   int64
}

func (q *shared) waiting() int64 {
	if q == nil {
		return 0
	}
	return q.size
}

func (q *shared) add(frame []byte) {
	q.frames = append(q.frames, frame)
	q.size += int64(len(frame))
}

// advance forgets n bytes.
func (q *shared) advance(n int) {
	q.size -= int64(n)
	for n > 0 {
		first := &q.frames[0]
		if n < len(*first) {
			*first = (*first)[n:]
			return
		}
		n -= len(*first)
		*first = nil
		q.frames = q.frames[1:]
	}
}

// share appends a frame without copying it, where that is possible: never behind a file.
func (o *outbox) share(frame []byte, s *Server) error {
	if o.shared == nil {
		if o.file != nil {
			return o.add(frame, s)
		}
		o.shared = &shared{}
	}
	o.shared.add(frame)
	return nil
}

// gathered is how many bytes of shared frames are copied together, to be sent by one system call: that costs as much as
// copying some 30 KB.
const gathered = 16 << 10

// gathers tells whether several shared frames are next and go together.
func (o *outbox) gathers() bool {
	return o.off == len(o.memory) && o.shared != nil && len(o.shared.frames) > 1 &&
		len(o.shared.frames[0])+len(o.shared.frames[1]) <= gathered
}

// sendShared sends as many shared frames as go together.
func (c *conn) sendShared() (n int, more bool) {
	buffer := c.server.answerBuffer()
	defer c.server.recycleAnswer(buffer)
	*buffer = (*buffer)[:0]
	for _, each := range c.out.shared.frames {
		if len(*buffer)+len(each) > gathered {
			break
		}
		*buffer = append(*buffer, each...)
	}
	n, err := c.transmit(*buffer)
	n = max(n, 0)
	c.out.advance(n)
	c.broken = c.broken || err != nil && !errors.Is(err, syscall.EAGAIN)
	return n, err == nil && n == len(*buffer)
}

// membership is what a WebSocket knows of its groups.
type membership struct {
	groups []string
	later  [][]byte // frames that have come within a message of the application's
	entry  *entry   // nil for one that has only joined
}

// Join implements dispatch.Socket. What is published before the socket is accepted is not for it.
func (c *conn) Join(ex *dispatch.Exchange, group []byte) {
	c.mu.Lock()
	if c.mayJoin(ex) && c.server.options.Layer != nil {
		c.join(group)
	}
	c.proceed()
}

func (c *conn) join(group []byte) {
	if i := c.note(group); i >= 0 && c.phase == phaseSocket {
		c.server.options.Layer.Join(c.ws.membership.groups[i], c) // again, where it was flushed
	}
}

// note counts a group among those that the socket leaves when it ends, and gives where it stands; -1: in too many.
func (c *conn) note(group []byte) int {
	if c.ws.membership == nil {
		c.ws.membership = &membership{}
	}
	m, i := c.ws.membership, c.index(group)
	if i < 0 {
		if len(m.groups) >= c.server.options.WebSockets.Groups {
			c.server.complain(c.ex, complaintGroups) // Python's side does not let it come to this
			return -1
		}
		i = len(m.groups)
		m.groups = append(m.groups, string(group))
	}
	return i
}

const complaintGroups = "put a WebSocket into more groups than websocket_groups allows; it is not in the last one"

// Leave implements dispatch.Socket.
func (c *conn) Leave(ex *dispatch.Exchange, group []byte) {
	c.mu.Lock()
	if i := c.index(group); c.mayJoin(ex) && i >= 0 {
		c.leaveGroup(i)
	}
	c.proceed()
}

func (c *conn) mayJoin(ex *dispatch.Exchange) bool {
	return c.ex == ex && c.ws != nil && (c.phase == phaseAnswer || c.phase == phaseSocket && !c.ws.closing)
}

// index is where a group stands among those of the socket, or -1.
func (c *conn) index(group []byte) int {
	if c.ws != nil && c.ws.membership != nil {
		for i, each := range c.ws.membership.groups {
			if each == string(group) {
				return i
			}
		}
	}
	return -1
}

// joinGroups makes a socket that is now accepted a member of what it has joined before.
func (c *conn) joinGroups() {
	if m := c.ws.membership; m != nil {
		for _, each := range m.groups {
			c.server.options.Layer.Join(each, c)
		}
	}
}

// leaveGroups ends the memberships of a socket. One that was not accepted has none, and Leave may be said in vain.
func (c *conn) leaveGroups() {
	if c.ws == nil || c.ws.membership == nil {
		return
	}
	for _, each := range c.ws.membership.groups {
		c.server.options.Layer.Leave(each, c)
	}
	if c.ws.membership.entry != nil {
		c.server.options.Layer.Gone(c)
	}
	c.ws.membership = nil
}

// closesWith is how a publication closes WebSockets.
func closesWith(p *channel.Publication) (code int, reason string) {
	if f := p.Farewell; f != nil && websocket.ValidCode(f.Code) {
		return f.Code, f.Reason
	}
	return 1000, ""
}

// Deliver implements channel.Member. The frame is put where the courier finds it: whoever publishes to ten thousand
// sockets is not to make ten thousand system calls.
func (c *conn) Deliver(group string, p *channel.Publication) bool {
	closes := p.Close.Has(channel.FormSocket)
	if p.Socket == nil && !closes || p.Except == channel.Member(c) {
		return true
	}
	c.mu.Lock()
	if c.phase != phaseSocket || c.ws.closing || c.ws.membership == nil {
		c.mu.Unlock()
		return true
	}
	message := c.ws.membership.form(group, p)
	if posts := c.ws.posts; posts != nil {
		if taken, room := posts.sift(group, p); taken {
			c.mu.Unlock()
			return room
		}
		if message = posts.fits(group, p); message == nil && (!closes || !posts.inbox.Wants(group, p)) {
			c.mu.Unlock()
			return true
		}
	}
	if closes {
		c.closeSocket(closesWith(p))
		c.proceed()
		return true
	}
	room := c.share(message)
	c.mu.Unlock()
	return room
}

// share lets a message wait for the client in the form that others get too. False: as much waits as may.
func (c *conn) share(m *channel.SocketMessage) bool {
	ws := c.ws
	room := int64(c.server.options.WebSockets.Window) + ws.membership.allowance(c.out.empty())
	if c.out.waiting()+ws.membership.size() >= room {
		return false
	}
	if m.Control != "" { // it may stand between the frames of a message (RFC 6455 5.4)
		c.enclose(controlFrame(m.Control, m.Data))
		return true
	}
	frame := m.Form(ws.writer.Framing(), func(data []byte, text bool) []byte {
		return ws.writer.AppendWhole(nil, kindOf(text), data)
	})
	if ws.writer.Within() {
		if ws.membership == nil {
			ws.membership = &membership{}
		}
		ws.membership.later = append(ws.membership.later, frame)
		return true
	}
	c.enclose(frame)
	return true
}

func kindOf(text bool) websocket.Kind {
	if text {
		return websocket.Text
	}
	return websocket.Binary
}

func (m *membership) size() (n int64) {
	if m != nil {
		for _, each := range m.later {
			n += int64(len(each))
		}
	}
	return n
}

// enclose puts a frame behind what waits.
func (c *conn) enclose(frame []byte) {
	waited := !c.out.empty() // then the socket takes nothing now, or the courier is on its way
	if err := c.out.share(frame, c.server); err != nil {
		c.broken = true
		return
	}
	c.answer.sent += int64(len(frame))
	if !waited {
		c.touch()
		c.server.courierFor(c).take(c)
	}
}

// encloseLater goes on with what has come within a message that has ended.
func (c *conn) encloseLater() {
	m := c.ws.membership
	if m == nil || len(m.later) == 0 || c.ws.writer.Within() {
		return
	}
	for _, each := range m.later {
		c.enclose(each)
	}
	m.later = nil
}

// carry is the courier's visit.
func (c *conn) carry() {
	c.mu.Lock()
	if c.phase == phaseClosed || c.out.empty() {
		c.mu.Unlock()
		return
	}
	c.budget = turnBytes
	c.credit(c.drain())
	if !c.out.empty() && c.phase == phaseSocket {
		c.watcher.hurry(c) // its deadline is now how long nothing is taken
	}
	c.proceed()
}
