package edge

import (
	"bytes"
	"unicode/utf8"

	"backline"
	"backline/channel"
)

// sieve is what a WebSocket by POST has whose channels have filters that ask the application: what is published to the
// socket waits here, in order, while one publication is asked about. It is guarded by the connection's lock.
type sieve struct {
	posts   *posts
	waiting []arrival // nil when none does
	passage *passage  // nil when nothing is asked about
	full    bool      // what has come through waits until the client has taken what there is
}

// sift has a publication wait for filters, where its channel has such, or for another one that does. taken is false
// where it is none of theirs; room is false where as much waits as may.
func (p *posts) sift(group string, what *channel.Publication) (taken, room bool) {
	s := p.sieve
	if s == nil {
		return false, true
	}
	if idle := s.passage == nil && len(s.waiting) == 0; idle && !p.inbox.Asks(group) {
		return false, true
	}
	if len(s.waiting) >= p.server.holds.Backlog {
		return true, false
	}
	s.waiting = append(s.waiting, arrival{group, what})
	if s.passage == nil && len(s.waiting) == 1 {
		p.server.holds.ready.add(s)
	}
	return true, true
}

// resume implements waiter: something has come, or has been answered.
func (s *sieve) resume() {
	c := s.posts.conn
	c.mu.Lock()
	c.budget = turnBytes
	s.advance()
	c.proceed()
}

// advance goes on until a filter is asked, or nothing waits any more.
func (s *sieve) advance() {
	p := s.posts
	for p.live() {
		if s.passage == nil && !s.next() {
			return
		}
		switch s.passage.advance(&p.inbox) {
		case progressWait:
			return
		case progressAsk:
			scope := p.scope
			scope.Target, scope.Fields = p.target, []backline.Field{{Name: []byte("Host"), Value: p.host}}
			s.passage.ask(p.server, &scope, func() { p.server.holds.ready.add(s) })
			return
		case progressThrough:
			if s.full = !s.deliver(s.passage); s.full {
				return
			}
			s.saw(&s.passage.arrival)
		case progressDropped:
			s.saw(&s.passage.arrival)
		case progressFailed:
		}
		s.passage = nil
	}
	s.drop()
}

// next begins with what has waited longest.
func (s *sieve) next() bool {
	l := &s.posts.inbox
	for len(s.waiting) > 0 {
		a := s.waiting[0]
		s.waiting[0] = arrival{}
		if s.waiting = s.waiting[1:]; len(s.waiting) == 0 {
			s.waiting = nil
		}
		if !l.Wants(a.group, a.p) {
			s.saw(&a)
			continue
		}
		var data []byte
		if a.p.Socket != nil && !a.p.Close.Has(channel.FormSocket) {
			data = a.p.Socket.Data
		}
		s.passage = &passage{Passage: l.Enter(a.group, data), arrival: a}
		return true
	}
	return false
}

// saw has the session know what has been dealt with.
func (s *sieve) saw(a *arrival) {
	p := s.posts
	p.server.holds.known.saw(p.session, a.group, a.p.ID, p.server.clock.Load())
}

// deliver sends what has come through. False: there is no room for it now.
func (s *sieve) deliver(w *passage) bool {
	c := s.posts.conn
	if w.p.Close.Has(channel.FormSocket) {
		c.closeSocket(closesWith(w.p))
		return true
	}
	m := w.p.Socket
	if !bytes.Equal(w.Content, m.Data) {
		if m.Text && !utf8.Valid(w.Content) {
			s.posts.server.filterFailed(s.posts.inbox.Meta["url"], "it makes a text of what is not UTF-8")
			return true
		}
		m = &channel.SocketMessage{Data: w.Content, Text: m.Text, Control: m.Control}
	}
	return c.share(m)
}

// drop forgets everything: the socket has ended.
func (s *sieve) drop() {
	if s != nil {
		s.passage.forget()
		s.waiting, s.passage, s.full = nil, nil, false
	}
}
