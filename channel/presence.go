package channel

import (
	"encoding/json"
	"fmt"
	"sync"
	"time"
)

// Presence tells who is in a group. It is apart from membership: who is there is a matter of users, of whom an
// application knows, and who may have several sockets; what is a member is a matter of delivery.
type Presence interface {
	// Enter says that a user is in a group by a socket, until Exit, or until Gone is said of the holder: the process
	// (Detach says it) or the socket that the edge has. The same socket may be said twice; its last info counts. An error
	// means that it is not noted.
	Enter(group string, holder Member, who Here) error
	Exit(group string, who Here)
	Gone(holder Member)
	// Present gives who is there, in the order in which they came, at most limit of them (0: all).
	Present(group string, limit int) []User
	// CountPresent gives how many users are there, by how many sockets.
	CountPresent(group string) (users, sockets int)
}

// Here is a socket of a user. Both are names of the application's, or the process's, own.
type Here struct {
	User, Socket string
	// Info is JSON, or empty.
	Info string
}

// User is somebody who is in a group.
type User struct {
	Name    string
	Since   time.Time
	Sockets []Here // the oldest first
}

// Watchers is the group that is told who comes to a group and goes (Arrival), apart from it because its members may not
// know these messages: a consumer of Channels fails at a type that it has no method for.
func Watchers(group string) string { return group + ".presence" }

// MaxInfo bounds what is said of a socket, which all watchers get.
const MaxInfo = 4096

// presence is who is where.
type presence struct {
	mu      sync.Mutex
	groups  map[string]*crowd
	holders map[Member]map[place]struct{}
	sockets int
	leaving deque[departure] // in order: all wait for the same time
	news    deque[Arrival]
}

// crowd is who is in one group.
type crowd struct {
	users   map[string]*visitor
	order   uint64 // counts visitors and sockets, so that they can be listed in order
	sockets int
}

// visitor is a user in a group. One without sockets is about to leave: he is not listed any more, and is told to have
// left when the delay is over and he has not come back.
type visitor struct {
	order   uint64
	since   time.Time
	info    string // the last that was said
	sockets map[string]*socket
	until   time.Time // when a visitor without sockets has left
	missed  bool      // somebody was given a list without him
}

type socket struct {
	order  uint64
	holder Member
	info   string
}

// place is where a holder has a socket.
type place struct{ group, user, socket string }

type departure struct {
	group, user string
	at          time.Time
}

func (p *presence) init() {
	p.groups, p.holders = map[string]*crowd{}, map[Member]map[place]struct{}{}
}

// Enter implements Presence.
func (h *Hub) Enter(name string, holder Member, who Here) error {
	switch {
	case len(who.Info) > MaxInfo:
		return fmt.Errorf("the info of %.40q has %d bytes; at most %d may be told to everybody",
			who.User, len(who.Info), MaxInfo)
	case who.Info != "" && !json.Valid([]byte(who.Info)):
		return fmt.Errorf("the info of %.40q is not JSON", who.User)
	}
	a, attached := h.hold(holder)
	if !attached {
		return fmt.Errorf("%.40q cannot enter %.99q: its process has ended", who.User, name)
	}
	defer a.release()
	p := &h.presence
	p.mu.Lock()
	defer p.mu.Unlock()
	c := p.groups[name]
	if c != nil && c.users[who.User] != nil && c.users[who.User].sockets[who.Socket] != nil {
		p.drop(c, c.users[who.User], place{name, who.User, who.Socket})
	} else if p.sockets >= h.options.Presences {
		return ErrNoRoom
	}
	if c == nil {
		c = &crowd{users: map[string]*visitor{}}
		p.groups[name] = c
	}
	p.enter(name, c, holder, who)
	h.rouse()
	return nil
}

func (p *presence) enter(name string, c *crowd, holder Member, who Here) {
	v := c.users[who.User]
	c.order++
	if v == nil {
		v = &visitor{order: c.order, since: time.Now(), sockets: map[string]*socket{}, missed: true}
		c.users[who.User] = v
	}
	v.until, v.info = time.Time{}, who.Info
	if v.missed {
		v.missed = false
		p.news.push(Arrival{Group: name, User: who.User, Info: who.Info})
	}
	v.sockets[who.Socket] = &socket{c.order, holder, who.Info}
	c.sockets++
	p.sockets++
	places := p.holders[holder]
	if places == nil {
		places = map[place]struct{}{}
		p.holders[holder] = places
	}
	places[place{name, who.User, who.Socket}] = struct{}{}
}

// Exit implements Presence.
func (h *Hub) Exit(name string, who Here) {
	h.presence.mu.Lock()
	defer h.presence.mu.Unlock()
	h.exit(place{name, who.User, who.Socket})
}

// Gone implements Presence.
func (h *Hub) Gone(holder Member) {
	h.presence.mu.Lock()
	defer h.presence.mu.Unlock()
	for at := range h.presence.holders[holder] {
		h.exit(at)
	}
}

// exit ends one socket's presence, if there is such a one. The caller holds the lock.
func (h *Hub) exit(at place) {
	p := &h.presence
	c := p.groups[at.group]
	if c == nil || c.users[at.user] == nil || c.users[at.user].sockets[at.socket] == nil {
		return
	}
	v := c.users[at.user]
	p.drop(c, v, at)
	if len(v.sockets) == 0 {
		v.until = time.Now().Add(h.options.LeaveDelay)
		p.leaving.push(departure{at.group, at.user, v.until})
		h.rouse()
	}
}

// drop takes a socket out of all tables.
func (p *presence) drop(c *crowd, v *visitor, at place) {
	holder := v.sockets[at.socket].holder
	delete(v.sockets, at.socket)
	c.sockets--
	p.sockets--
	delete(p.holders[holder], at)
	if len(p.holders[holder]) == 0 {
		delete(p.holders, holder)
	}
}

// Present implements Presence.
func (h *Hub) Present(name string, limit int) []User {
	h.presence.mu.Lock()
	defer h.presence.mu.Unlock()
	c := h.presence.groups[name]
	if c == nil {
		return nil
	}
	return c.list(limit)
}

// CountPresent implements Presence.
func (h *Hub) CountPresent(name string) (users, sockets int) {
	h.presence.mu.Lock()
	defer h.presence.mu.Unlock()
	c := h.presence.groups[name]
	if c == nil {
		return 0, 0
	}
	for _, v := range c.users {
		if len(v.sockets) > 0 {
			users++
		}
	}
	return users, c.sockets
}

func (p *presence) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.init()
	p.sockets, p.leaving, p.news = 0, deque[departure]{}, deque[Arrival]{}
}
