package edge

import (
	"backline/dispatch"
	"backline/wire"
)

// payload is the body of a request of the edge's own. It implements the part of dispatch.Client that is about bodies.
type payload struct {
	body []byte
	at   int // how much of it the worker has, where it does not go with the request
	room int // how much more the worker can take
}

// load puts it into the request, or says that it follows where it is longer than whole.
func (p *payload) load(ex *dispatch.Exchange, whole int) {
	ex.Length, ex.Replayable = int64(len(p.body)), true
	if len(p.body) <= whole {
		ex.Body, ex.More = p.body, wire.BodyWhole
	} else {
		ex.More = wire.BodyFollows
	}
}

// Wanted implements dispatch.Client.
func (p *payload) Wanted(ex *dispatch.Exchange, n int, rewind bool) {
	if rewind {
		p.at, p.room = 0, 0
	}
	p.room += n
	for p.room > 0 && p.at < len(p.body) {
		piece := p.body[p.at:min(len(p.body), p.at+min(p.room, wire.MaxPiece))]
		at := p.at
		p.at += len(piece)
		p.room -= len(piece)
		ex.SendBody(piece, int64(at), p.at < len(p.body))
	}
}
