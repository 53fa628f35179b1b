package edge

import (
	"time"

	"backline"
	"backline/forwarded"
)

// enter counts a connection towards its address's share; false: it has too many. Proxies have as many as they like, for
// their connections are not theirs; so has a peer whose PROXY header is still to come.
func (s *Server) enter(c *conn) bool {
	if c.counted || c.phase == phaseAnnounced && s.options.Gate.Announcers.Contains(forwarded.Address(c.client)) {
		return true
	}
	var ok bool
	c.counted, ok = s.enterAddress(c.client)
	return ok
}

// enterAddress tells whether an address may have another connection, and whether that was counted.
func (s *Server) enterAddress(client backline.Addr) (counted, ok bool) {
	g, a := &s.options.Gate, forwarded.Address(client)
	switch {
	case s.crowd == nil, !a.IsValid(), g.Exempt.Contains(a), g.Forwarded.Peers.Contains(a):
		return false, true
	case s.crowd.Enter(a):
		return true, true
	}
	if s.notices.crowd.due(s.clock.Load(), time.Minute) {
		s.options.Log.Warn("an address has more connections than limit_connections_per_address allows",
			"address", client.Host, "limit", g.PerAddress, "further_ones", "closed",
			"hint", "if it is a proxy, add it to --forwarded-allow-ips")
	}
	return false, false
}

// passOn counts the connection as its new holder's, who calls what it gives at the connection's end.
func (c *conn) passOn() (release func()) {
	counted := c.counted
	c.counted = false
	return c.server.count(c.client, counted)
}

// count counts a connection until what it gives is called, which also takes it off its address's share.
func (s *Server) count(client backline.Addr, counted bool) (release func()) {
	s.connected.Add(1)
	return func() {
		if counted {
			s.crowd.Leave(forwarded.Address(client))
		}
		s.left()
	}
}
