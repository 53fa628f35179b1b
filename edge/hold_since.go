package edge

import (
	"bytes"
	"slices"
	"sync"

	"backline/channel"
	"backline/grip"
)

// This file is streams of events whose clients go on from where they were (grip.Since): each event has the positions
// in all groups as its id, which browsers say when they come back, and a stream begins with what was missed since.

// elsewhere is what all holds share to wait for other servers, which may know what was missed.
type elsewhere struct {
	group *sync.WaitGroup
	stop  <-chan struct{} // closed when nobody waits any longer
}

// resumption is what a stream has for that.
type resumption struct {
	// Only touched by the owner, as most of hold.
	places []grip.Place
	begun  int // of how many groups the past is over

	// Guarded by hold.mu.
	staged  map[string][]arrival // of groups that are being joined: their past has to come first
	pending int                  // how many those are
	allowed int                  // how much more may wait than the backlog: what was missed, all of it
	ended   bool
}

// resume prepares a stream whose answer says so.
func (h *hold) resume() {
	if h.in.Since == nil {
		return
	}
	r := &resumption{places: h.in.Places(), staged: map[string][]arrival{}}
	r.pending = len(r.places)
	for i := range r.places {
		r.staged[r.places[i].Group] = nil
	}
	h.resumed = r
}

// stage keeps what is delivered while its group is being joined, and tells whether it does. Called under mu.
func (r *resumption) stage(group string, p *channel.Publication) bool {
	waiting, staged := r.staged[group]
	if staged && streams(p) {
		r.staged[group] = append(waiting, arrival{group, p})
	}
	return staged || !streams(p)
}

// streams tells whether a publication is for streams that ask nobody.
func streams(p *channel.Publication) bool { return p.Stream != nil || closes(p) }

func closes(p *channel.Publication) bool { return p.Close.Has(channel.FormStream) }

// room is how much may wait. Called under mu.
func (h *hold) room() int {
	if h.resumed == nil {
		return h.holds.Backlog
	}
	return h.holds.Backlog + h.resumed.allowed
}

// joinSince makes a stream a member of its groups, each from where its client was. Where other servers have to be asked
// first, the stream goes on meanwhile with the other groups.
func (h *hold) joinSince() {
	for _, place := range slices.Clone(h.resumed.places) { // the owner moves them from the first join on
		answered := make(chan channel.Recall, 1)
		from, first, known := place.Position()
		if !known {
			h.joinFrom(place.Group, channel.Position{Sequence: h.cursor}, true)
			continue
		}
		h.holds.Hub.Recall(place.Group, channel.Streams, from, func(found channel.Recall) { answered <- found })
		select {
		case found := <-answered:
			h.joinAfter(place.Group, from, first, found)
		default:
			h.holds.elsewhere.group.Go(func() {
				var found channel.Recall
				select {
				case found = <-answered:
				case <-h.holds.elsewhere.stop:
				}
				h.joinAfter(place.Group, from, first, found)
			})
		}
	}
}

// joinAfter joins a group now that all was asked who may know. A group that remembers nothing is joined from where its
// application looked, as by a stream without positions.
func (h *hold) joinAfter(group string, from channel.Position, first bool, found channel.Recall) {
	if first && found.Now.Epoch == 0 {
		from = channel.Position{Sequence: h.cursor}
	}
	h.joinFrom(group, from, false)
}

// joinFrom joins a group, and puts its past, a mark for the end of that, and what has come since into the inbox.
func (h *hold) joinFrom(group string, from channel.Position, gap bool) {
	recall := h.holds.Hub.JoinFrom(group, h, channel.Streams, from)
	past := 0
	for _, p := range recall.Missed {
		if streams(p) {
			past++
		}
	}
	end := &channel.Publication{Position: recall.Now}
	if gap || !recall.Complete && from != (channel.Position{}) {
		end.ID = gapEvent
	}
	h.mu.Lock()
	r := h.resumed
	all, ended := r.staged[group], r.ended
	delete(r.staged, group)
	for _, a := range all[:min(past, len(all))] {
		if !closes(a.p) { // it was for those who were there
			h.inbox = append(h.inbox, a)
		}
	}
	h.inbox = append(h.inbox, arrival{group, end})
	r.allowed = len(h.inbox)
	for _, a := range all[min(past, len(all)):] {
		if len(h.inbox) >= h.room() {
			h.lost = true
			break
		}
		h.inbox = append(h.inbox, a)
	}
	r.pending--
	joined := r.pending == 0
	h.mu.Unlock()
	if ended {
		h.holds.Hub.Leave(group, h) // perhaps it was not yet a member when the stream ended
		return
	}
	if joined {
		h.holds.joins.Add(1)
	}
	h.wake()
}

// caughtUp ends the allowance when nothing waits any more. Called under mu.
func (h *hold) caughtUp() {
	if h.resumed != nil {
		h.resumed.allowed = 0
	}
}

// endResume tells whoever still joins groups that the stream has ended.
func (h *hold) endResume() {
	if h.resumed == nil {
		return
	}
	h.mu.Lock()
	h.resumed.ended = true
	h.mu.Unlock()
}

// gapEvent is the type of the event that says of a group that what was missed is not known any more.
const gapEvent = "backline.gap"

// arrive notes where the client is by what it is about to be sent. It gives what is to be sent at the end of a group's
// past, for which a publication without any form stands: of a gap that there is one, and when all groups have been
// joined an id, for clients that lose the stream before its first event.
func (h *hold) arrive(a *arrival, now int64) (data []byte, ends bool) {
	r := h.resumed
	if r == nil || a.p == nil {
		return nil, false
	}
	i := slices.IndexFunc(r.places, func(p grip.Place) bool { return p.Group == a.group })
	if i < 0 {
		return nil, false
	}
	r.places[i].Move(a.p.Position)
	if streams(a.p) {
		return nil, false
	}
	r.begun++
	switch {
	case a.p.ID == gapEvent:
		data = h.identify([]byte("event: " + gapEvent + "\ndata: " + a.group + "\n\n"))
	case r.begun == len(r.places):
		data = r.appendID(nil, "\n")
	default:
		return nil, true
	}
	h.sent(now)
	return data, true
}

// identify puts the id into the last event of a piece, as its last line: it counts more than one that the publisher
// gave. In a piece that does not end with an event nothing is changed; the next one says it.
func (h *hold) identify(data []byte) []byte {
	if h.resumed == nil {
		return data
	}
	for _, end := range [...]string{"\r\n", "\n", "\r"} {
		if event, is := bytes.CutSuffix(data, []byte(end+end)); is {
			dst := make([]byte, 0, len(data)+len("\nid: ")+idRoom*len(h.resumed.places))
			return h.resumed.appendID(append(append(dst, event...), end...), end)
		}
	}
	return data
}

// idRoom is about how long the position in one group is.
const idRoom = 48

// appendID writes the id as the end of an event.
func (r *resumption) appendID(dst []byte, end string) []byte {
	dst = grip.AppendPlaces(append(dst, "id: "...), r.places)
	return append(append(dst, end...), end...)
}
