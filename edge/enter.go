package edge

import (
	"slices"
	"time"

	"backline/channel"
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
	placed   []string          // groups whose messages have their positions with them
	users    map[string]string // by group, as whom it is present there
	recalls  bool              // what it has missed is being delivered
	recalled int64             // how much of that there was, until all of it has gone
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
		if user, present := e.users[name]; present {
			layer.Exit(name, channel.Here{User: user, Socket: c.talk.id})
			delete(e.users, name)
		}
		e.placed = slices.DeleteFunc(e.placed, func(each string) bool { return each == name })
	}
	m.groups = slices.Delete(m.groups, i, i+1)
}

// enterTalk makes the socket a member that is present, or that gets what it has missed, or both. It is called without
// the lock, which Deliver takes while the layer says what was missed.
func (c *conn) enterTalk(t *talk, a *wire.Action) {
	c.mu.Lock()
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
	refused := c.present(group, t.id, a)
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

// present says who is there. Another user by the same socket takes the place of the one before.
func (c *conn) present(group, socket string, a *wire.Action) error {
	if a.User == nil {
		return nil
	}
	layer, e, user := c.server.options.Layer, c.ws.membership.entry, string(a.User)
	if before, present := e.users[group]; present && before != user {
		layer.Exit(group, channel.Here{User: before, Socket: socket})
		delete(e.users, group)
	}
	if err := layer.Enter(group, c, channel.Here{User: user, Socket: socket, Info: string(a.Info)}); err != nil {
		return err
	}
	if e.users == nil {
		e.users = map[string]string{}
	}
	e.users[group] = user
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
		complete := c.server.options.Layer.JoinFrom(group, c, from).Complete
		c.recalling(false)
		c.recalled(t, group, complete || since == "")
	}
	answered := make(chan struct{})
	c.server.options.Layer.Recall(group, from, func(channel.Recall) { close(answered) })
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
	if !complete {
		t.gap(group)
	}
	c.mu.Lock()
	if c.phase != phaseSocket || c.ws.closing || c.index([]byte(group)) < 0 {
		c.server.options.Layer.Leave(group, c) // perhaps before it was a member
	}
	c.proceed()
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
