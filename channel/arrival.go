package channel

import (
	"cmp"
	"encoding/json"
	"maps"
	"slices"
	"time"

	"backline/wire"
)

// Arrival is somebody who has come to a group or left it.
type Arrival struct {
	Group, User, Info string
	Left              bool
}

// list gives those who have sockets. Whoever is left out because his have just gone is told anew when he comes back:
// the reader of this list does not know him.
func (c *crowd) list(limit int) []User {
	visitors := slices.SortedFunc(maps.Keys(c.users), func(a, b string) int {
		return cmp.Compare(c.users[a].order, c.users[b].order)
	})
	var users []User
	for _, name := range visitors {
		v := c.users[name]
		if len(v.sockets) == 0 {
			v.missed = true
			continue
		}
		if limit > 0 && len(users) == limit {
			break
		}
		user := User{Name: name, Since: v.since}
		for _, id := range slices.SortedFunc(maps.Keys(v.sockets), func(a, b string) int {
			return cmp.Compare(v.sockets[a].order, v.sockets[b].order)
		}) {
			user.Sockets = append(user.Sockets, Here{User: name, Socket: id, Info: v.sockets[id].info})
		}
		users = append(users, user)
	}
	return users
}

// announce tells the watchers what has happened and gives the moment at which it has to be called again; zero for none.
// Run calls it and nobody else: whoever enters and leaves may hold locks that members take.
func (h *Hub) announce(now time.Time) time.Time {
	p := &h.presence
	for {
		p.mu.Lock()
		p.depart(now)
		if p.news.len() == 0 {
			var next time.Time
			if p.leaving.len() > 0 {
				next = p.leaving.at(0).at
			}
			p.mu.Unlock()
			return next
		}
		each := p.news.pop()
		p.mu.Unlock()
		h.Publish(Watchers(each.Group), each.publication())
	}
}

// depart makes news of those whose delay is over.
func (p *presence) depart(now time.Time) {
	for p.leaving.len() > 0 && !p.leaving.at(0).at.After(now) {
		each := p.leaving.pop()
		c := p.groups[each.group]
		if c == nil || c.users[each.user] == nil {
			continue
		}
		v := c.users[each.user]
		if len(v.sockets) > 0 || !v.until.Equal(each.at) {
			continue // back again
		}
		delete(c.users, each.user)
		if len(c.users) == 0 {
			delete(p.groups, each.group)
		}
		p.news.push(Arrival{Group: each.group, User: each.user, Info: v.info, Left: true})
	}
}

// publication says it to processes as a message, to sockets as JSON, and to event streams as an event.
func (a Arrival) publication() *Publication {
	kind := "presence.join"
	if a.Left {
		kind = "presence.leave"
	}
	info := json.RawMessage(a.Info)
	if a.Info == "" {
		info = json.RawMessage("null")
	}
	text, err := json.Marshal(struct {
		Type  string          `json:"type"`
		Group string          `json:"group"`
		User  string          `json:"user"`
		Info  json.RawMessage `json:"info"`
	}{kind, a.Group, a.User, info})
	if err != nil {
		text = nil // Enter has looked: there is none
	}
	message := wire.AppendDictionary(nil, wire.Msgpack, map[string]string{
		"type": kind, "group": a.Group, "user": a.User, "info": string(info),
	})
	return &Publication{
		Message: NewMessage(wire.Msgpack, message),
		Socket:  &SocketMessage{Data: text, Text: true},
		Stream:  slices.Concat([]byte("event: "+kind+"\ndata: "), text, []byte("\n\n")),
	}
}
