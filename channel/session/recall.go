package session

import (
	"slices"
	"time"

	"backline/channel"
	"backline/wire"
)

// Hub is what sessions need: channels and groups, what was, and who is there.
type Hub interface {
	channel.Layer
	channel.Recaller
	channel.Presence
	// Dropped counts n messages to a group that a process had no room for.
	Dropped(group string, n int)
}

// handleRecall does what a process asks about the past and about presence; false for another kind of message.
func (s *Session) handleRecall(m *wire.Message) bool {
	group := string(m.Reason)
	switch m.Kind {
	case wire.KindKeep:
		s.hub.Keep(group, channel.Retention{
			Size: min(max(m.Status, 1), maxKept), Age: time.Duration(max(m.N, 1)) * time.Second,
		})
		s.answer(m.Stream, wire.VerdictDone, 0)
	case wire.KindHistory:
		s.recall(m.Stream, group, string(m.Data))
	case wire.KindEnter:
		who := channel.Here{User: string(m.Data), Socket: string(m.Fields[0].Name), Info: string(m.Fields[0].Value)}
		s.verdictFor(m.Stream)(s.hub.Enter(group, s, who))
	case wire.KindExit:
		s.hub.Exit(group, channel.Here{User: string(m.Data), Socket: string(m.Fields[0].Name)})
	case wire.KindPresence:
		s.present(m.Stream, group, m.N)
	default:
		return false
	}
	return true
}

// maxKept is how many messages a process may have a group remember. The bounds of memory hold besides.
const maxKept = 100_000

// maxPosition bounds what is read of a position, which clients say: with the most servers one has 933 bytes.
const maxPosition = 1024

// recall answers with what the window has room for: of more the newest, and then it is not complete.
func (s *Session) recall(token uint32, group, text string) {
	var from channel.Position
	valid := len(text) <= maxPosition
	if valid {
		from, valid = channel.ParsePosition(text)
	}
	if valid {
		s.hub.Recall(group, channel.Messages, from, func(found channel.Recall) { s.recalled(token, text != "", found) })
		return
	}
	s.recalled(token, true, channel.Recall{Now: s.hub.Since(group, channel.Messages, from).Now})
}

func (s *Session) recalled(token uint32, after bool, found channel.Recall) {
	var messages []wire.Recalled
	size := 0
	for _, p := range slices.Backward(found.Missed) {
		data, err := p.Message.In(s.codec)
		if size += len(data); err != nil || size > s.options.Window {
			found.Complete = false
			break
		}
		messages = append(messages, wire.Recalled{Position: p.Position.String(), Message: data})
	}
	if !found.Complete && after {
		messages = nil
	}
	slices.Reverse(messages)
	now := found.Now.String()
	if !s.output.Add(s.options.Window, func(b *wire.Batch) { b.AddRecall(token, found.Complete, now, messages) }) {
		s.output.Add(0, func(b *wire.Batch) { b.AddRecall(token, false, now, nil) })
	}
}

func (s *Session) present(token uint32, group string, limit int) {
	users, sockets := s.hub.CountPresent(group)
	var who []wire.Attendant
	size := 0
	for _, user := range s.hub.Present(group, limit) {
		each := wire.Attendant{User: user.Name, Milliseconds: user.Since.UnixMilli()}
		for _, socket := range user.Sockets {
			each.Seats = append(each.Seats, wire.Seat{Socket: socket.Socket, Info: socket.Info})
			size += len(socket.Socket) + len(socket.Info)
		}
		if size += len(user.Name); size > s.options.Window {
			break // the counts tell of the others
		}
		who = append(who, each)
	}
	if !s.output.Add(s.options.Window, func(b *wire.Batch) { b.AddPresent(token, users, sockets, who) }) {
		s.output.Add(0, func(b *wire.Batch) { b.AddPresent(token, users, sockets, nil) })
	}
}
