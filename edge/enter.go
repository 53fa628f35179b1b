package edge

import (
	"slices"
	"time"

	"backline/channel"
	"backline/dispatch"
	"backline/wire"
)

// Groups is what WebSockets need of the layer: groups, what was sent to them, and who is there.
type Groups interface {
	channel.Layer
	channel.Recaller
	channel.Presence
}

// entry is what a socket that was entered into groups (wire.DoEnter) knows besides their names. Most have none.
type entry struct {
	placed   []string        // groups whose messages have their positions with them
	seats    map[string]seat // by group, as whom it is present there
	gaps     []string        // groups of which its worker is to be told that what it has missed is not known
	recalls  bool            // what it has missed is being delivered
	recalled int64           // how much of that there was, until all of it has gone
}

// seat is a user, and the name of the socket by which he is present.
type seat struct{ user, socket string }

func (s seat) here(info []byte) channel.Here {
	return channel.Here{User: s.user, Socket: s.socket, Info: string(info)}
}

// form is a publication as the socket is to have it. The caller holds the lock, as for all that follow.
func (m *membership) form(group string, p *channel.Publication) *channel.SocketMessage {
	e := m.entry
	if e == nil || !slices.Contains(e.placed, group) {
		return p.Socket
	}
	return p.Placed()
}

// allowance is how much more than WebSockets.Window may wait: what the socket has missed, of which it gets all or
// nothing. It lies in the group's history, which has a bound, and what waits are references to that.
func (m *membership) allowance(empty bool) int64 {
	switch {
	case m == nil || m.entry == nil:
		return 0
	case m.entry.recalls:
		return 1 << 40
	case empty:
		m.entry.recalled = 0
	}
	return m.entry.recalled
}

// leaveGroup ends the membership that stands at i, and the presence that goes with it.
func (c *conn) leaveGroup(i int) {
	m, layer := c.ws.membership, c.server.options.Layer
	name := m.groups[i]
	if c.phase == phaseSocket {
		layer.Leave(name, c)
	}
	if e := m.entry; e != nil {
		if seat, present := e.seats[name]; present {
			layer.Exit(name, seat.here(nil))
			delete(e.seats, name)
		}
		isIt := func(each string) bool { return each == name }
		e.placed, e.gaps = slices.DeleteFunc(e.placed, isIt), slices.DeleteFunc(e.gaps, isIt)
	}
	m.groups = slices.Delete(m.groups, i, i+1)
}

// Enter implements dispatch.Socket.
func (c *conn) Enter(ex *dispatch.Exchange, a *wire.Action, name string) {
	c.mu.Lock()
	if c.ex != ex {
		c.mu.Unlock()
		return
	}
	c.enter(nil, name, a)
}

// enterTalk is Enter for a socket whose application is called with events, which does not choose its name.
func (c *conn) enterTalk(t *talk, a *wire.Action) {
	c.mu.Lock()
	c.enter(t, t.id, a)
}

// enter makes the socket a member that is present by a name, or that gets what it has missed, or both. It is called
// with the lock and gives it back: Deliver takes it while the layer says what was missed.
func (c *conn) enter(t *talk, name string, a *wire.Action) {
	if c.phase != phaseSocket || c.ws.closing || c.server.options.Layer == nil {
		c.proceed()
		return
	}
	i := c.note(a.Group)
	if i < 0 {
		c.proceed()
		return
	}
	m := c.ws.membership
	if m.entry == nil {
		m.entry = &entry{}
	}
	group := m.groups[i]
	refused := c.present(group, name, a)
	recalls := a.Since != nil && !slices.Contains(m.entry.placed, group)
	if recalls {
		m.entry.placed = append(m.entry.placed, group)
	} else {
		c.server.options.Layer.Join(group, c)
	}
	c.proceed()
	if refused != nil && c.server.notices.presence.due(c.server.clock.Load(), time.Minute) {
		c.server.options.Log.Error("a WebSocket is in its group, and not listed as present there", "reason", refused)
	}
	if recalls {
		c.recall(t, group, string(a.Since))
	}
}

// present says who is there. Another user, or another name, takes the place of the one before.
func (c *conn) present(group, socket string, a *wire.Action) error {
	if a.User == nil {
		return nil
	}
	layer, e, now := c.server.options.Layer, c.ws.membership.entry, seat{string(a.User), socket}
	if before, present := e.seats[group]; present && before != now {
		layer.Exit(group, before.here(nil))
		delete(e.seats, group)
	}
	if err := layer.Enter(group, c, now.here(a.Info)); err != nil {
		return err
	}
	if e.seats == nil {
		e.seats = map[string]seat{}
	}
	e.seats[group] = now
	return nil
}

// recall has the socket join a group after a position. Where others have to be asked first, which is so for a client
// that comes from another server, it joins when they have answered, and its application goes on meanwhile.
func (c *conn) recall(t *talk, group, since string) {
	from, valid := channel.ParsePosition(since)
	if !valid {
		c.server.options.Layer.Join(group, c)
		c.recalled(t, group, false)
		return
	}
	joins := func() {
		c.recalling(true)
		complete := c.server.options.Layer.JoinFrom(group, c, channel.Sockets, from).Complete
		c.recalling(false)
		c.recalled(t, group, complete || since == "")
	}
	answered := make(chan struct{})
	c.server.options.Layer.Recall(group, channel.Sockets, from, func(channel.Recall) { close(answered) })
	select {
	case <-answered:
		joins()
	default:
		c.server.asking.Go(func() {
			select {
			case <-answered:
			case <-c.server.shut:
			}
			joins()
		})
	}
}

// recalled has the application told where something is missing, and leaves the group of a socket that has ended.
func (c *conn) recalled(t *talk, group string, complete bool) {
	if !complete && t != nil {
		t.gap(group)
	}
	c.mu.Lock()
	if c.phase != phaseSocket || c.ws.closing || c.index([]byte(group)) < 0 {
		c.server.options.Layer.Leave(group, c) // perhaps before it was a member
	} else if e := c.ws.membership.entry; !complete && t == nil && !slices.Contains(e.gaps, group) {
		e.gaps = append(e.gaps, group)
	}
	c.proceed()
}

// owesGap tells whether the worker is to be told of something missing.
func (c *conn) owesGap() bool {
	m := c.ws.membership
	return m != nil && m.entry != nil && len(m.entry.gaps) > 0
}

// tellGap tells the worker of one group, without the lock.
func (c *conn) tellGap(ex *dispatch.Exchange) {
	e := c.ws.membership.entry
	group := e.gaps[0]
	e.gaps = e.gaps[1:]
	c.mu.Unlock()
	ex.TellGap(group)
	c.mu.Lock()
}

// recalling begins and ends the time in which what the socket has missed is put behind what waits.
func (c *conn) recalling(begins bool) {
	c.mu.Lock()
	if c.phase == phaseSocket && c.ws.membership != nil && c.ws.membership.entry != nil {
		e := c.ws.membership.entry
		if e.recalls = begins; !begins {
			e.recalled = c.out.waiting() + c.ws.membership.size()
		}
	}
	c.proceed()
}

// gap has the application told that a client has missed what nobody knows any more; once while that waits.
func (t *talk) gap(group string) {
	t.mu.Lock()
	waits := slices.ContainsFunc(t.waiting, func(e wire.Event) bool {
		return e.What == wire.EventGap && e.Group == group
	})
	t.mu.Unlock()
	if !waits {
		t.push(wire.Event{What: wire.EventGap, Group: group})
	}
}
