package session

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"backline/channel"
	"backline/wire"
)

var _ channel.Process = (*Session)(nil)

// Options are what sessions may take. The zero value of a field means what its comment says.
type Options struct {
	// Window is how many bytes may wait for a process that is slow to read. Default 16 MiB.
	Window int
	// MaxMessage is how long a message may be. Default 4 MiB.
	MaxMessage int
	// Log hears of what is dropped, at most once in ten seconds a process.
	Log *slog.Logger
	// Publish takes the items of KindItems, and nothing of them where one is not right. nil: there is no such thing here.
	Publish func(items []byte) error
	// Dropped counts what slow processes lose, of all sessions. nil: nobody asks.
	Dropped *atomic.Uint64
}

// The defaults.
const (
	DefaultWindow     = 16 << 20
	DefaultMaxMessage = 4 << 20
)

// Output is where a session's messages go.
type Output interface {
	// Add puts messages into the next packet, unless more than limit bytes wait already. 0: in any case. It never waits.
	Add(limit int, add func(*wire.Batch)) bool
}

// Session is one process, as the hub sees it. Take and its kind are called by whoever sends, Handle and Close by the
// one goroutine that reads what the process writes.
type Session struct {
	hub     Hub
	options Options
	codec   wire.Codec
	output  Output
	who     string // for people

	id     string              // "" before KindAttach; Handle's and Close's
	joined map[string]struct{} // the groups that it is in: Handle's and Close's
	// refused is when the log last heard of a publication that was: Handle's.
	refused time.Time

	mu      sync.Mutex
	token   uint32
	waiting map[uint32]func(error) // those who asked the process
	ended   bool
	lost    int       // publications since the last line in the log
	logged  time.Time // when that was
}

// New makes the session of a process that writes and reads codec. who names it for people.
func New(hub Hub, who string, codec wire.Codec, output Output, options Options) *Session {
	if options.Window == 0 {
		options.Window = DefaultWindow
	}
	if options.MaxMessage == 0 {
		options.MaxMessage = DefaultMaxMessage
	}
	if options.Log == nil {
		options.Log = slog.New(slog.DiscardHandler)
	}
	return &Session{
		hub: hub, options: options, codec: codec, output: output, who: who,
		joined: map[string]struct{}{}, waiting: map[uint32]func(error){},
	}
}

// Handle does what the process asks. What m holds may be used again afterwards. An error is for the one who broke the
// protocol, and ends the session.
func (s *Session) Handle(m *wire.Message) error {
	if s.id == "" && m.Kind != wire.KindAttach {
		return fmt.Errorf("a message of kind %d before ATTACH", m.Kind)
	}
	name := string(m.Reason)
	switch m.Kind {
	case wire.KindAttach:
		return s.attach(m.Stream, name)
	case wire.KindChannelSend:
		if message := s.message(m, termsOf(m)); message != nil {
			s.hub.Send(name, message, s.verdictFor(m.Stream))
		}
	case wire.KindPublish:
		if message := s.message(m, channel.Terms{}); message != nil {
			s.hub.Publish(name, &channel.Publication{Message: message})
			s.answer(m.Stream, wire.VerdictDone, 0)
		}
	case wire.KindBroadcast:
		s.broadcast(m, name)
	case wire.KindItems:
		s.publish(m)
	case wire.KindJoin:
		s.joined[name] = struct{}{}
		s.hub.Join(name, s)
		s.answer(m.Stream, wire.VerdictDone, 0)
	case wire.KindLeave:
		delete(s.joined, name)
		s.hub.Leave(name, s)
	case wire.KindChannelRead:
		s.hub.Read(name, s, int(m.Stream))
	case wire.KindChannelUnread:
		s.hub.Read(name, s, -int(m.Stream))
	case wire.KindDropped:
		s.hub.Dropped(name, int(m.Stream))
	case wire.KindGiveBack:
		s.hub.GiveBack(name, channel.NewMessage(s.codec, bytes.Clone(m.Data)))
	case wire.KindEnlist, wire.KindStrike:
		s.hub.Enlist(name, string(m.Data), m.Kind == wire.KindEnlist, s.verdictFor(m.Stream))
	case wire.KindFlush:
		s.hub.Flush()
		clear(s.joined)
		s.answer(m.Stream, wire.VerdictDone, 0)
	case wire.KindOutcome:
		s.settle(m.Stream, wire.Verdict(m.Status), m.N)
	default:
		if s.handleRecall(m) {
			return nil
		}
		return fmt.Errorf("a message of kind %d, which is none of a session's", m.Kind)
	}
	return nil
}

// broadcast publishes what WebSockets get without their process.
func (s *Session) broadcast(m *wire.Message, group string) {
	switch {
	case m.Bad != nil:
		s.answer(m.Stream, wire.VerdictInvalid, 0)
	case len(m.Data) > s.options.MaxMessage:
		s.answer(m.Stream, wire.VerdictTooLarge, s.options.MaxMessage)
	default:
		s.hub.Publish(group, &channel.Publication{Socket: &channel.SocketMessage{Data: bytes.Clone(m.Data), Text: m.Text}})
		s.answer(m.Stream, wire.VerdictDone, 0)
	}
}

// publish publishes what those get who hold answers.
func (s *Session) publish(m *wire.Message) {
	switch {
	case len(m.Data) > s.options.MaxMessage:
		s.answer(m.Stream, wire.VerdictTooLarge, s.options.MaxMessage)
	case s.options.Publish == nil:
		s.refuse(m.Stream, errors.New("nobody takes publications here"))
	default:
		if err := s.options.Publish(m.Data); err != nil {
			s.refuse(m.Stream, err)
			return
		}
		s.answer(m.Stream, wire.VerdictDone, 0)
	}
}

// refuse says no to a publication. The process hears only that, so the log says why.
func (s *Session) refuse(token uint32, err error) {
	if now := time.Now(); now.Sub(s.refused) > dropInterval {
		s.refused = now
		s.options.Log.Warn("a publication is refused", "process", s.who, "error", err)
	}
	s.answer(token, wire.VerdictInvalid, 0)
}

func (s *Session) attach(token uint32, id string) error {
	switch {
	case s.id != "":
		return errors.New("ATTACH came twice")
	case id == "" || strings.ContainsAny(id, ".!"):
		return fmt.Errorf("the id %q; expected letters and digits", id)
	}
	verdict, n := wire.VerdictDone, s.options.MaxMessage
	if s.hub.Attach(id, s) == nil {
		s.id = id
	} else {
		verdict, n = wire.VerdictTaken, 0
	}
	s.answer(token, verdict, n)
	return nil
}

// message gives what the process sends; nil when it is too long, which it is told.
func (s *Session) message(m *wire.Message, terms channel.Terms) *channel.Message {
	if len(m.Data) > s.options.MaxMessage {
		s.answer(m.Stream, wire.VerdictTooLarge, s.options.MaxMessage)
		return nil
	}
	return channel.NewMessageOn(terms, s.codec, bytes.Clone(m.Data))
}

// termsOf are the message's own, where it has any: one process may have several layers.
func termsOf(m *wire.Message) channel.Terms {
	return channel.Terms{Capacity: m.Status, Expiry: time.Duration(m.N) * time.Millisecond}
}

// answer is not bounded: what waits is what the process asked for.
func (s *Session) answer(token uint32, verdict wire.Verdict, n int) {
	if token != 0 {
		s.output.Add(0, func(b *wire.Batch) { b.AddVerdict(token, verdict, n) })
	}
}

// verdictFor gives what a layer calls with the outcome.
func (s *Session) verdictFor(token uint32) func(error) {
	return func(err error) {
		full, isFull := errors.AsType[*channel.FullError](err)
		large, isLarge := errors.AsType[*channel.TooLargeError](err)
		switch {
		case err == nil:
			s.answer(token, wire.VerdictDone, 0)
		case isFull:
			s.answer(token, wire.VerdictFull, full.Capacity)
		case isLarge:
			s.answer(token, wire.VerdictBeyondBus, large.Limit)
		case errors.Is(err, channel.ErrNoRoom):
			s.answer(token, wire.VerdictFull, 0)
		case errors.Is(err, channel.ErrAway):
			s.answer(token, wire.VerdictAway, 0)
		default:
			s.answer(token, wire.VerdictInvalid, 0)
		}
	}
}

// Take implements channel.Process.
func (s *Session) Take(name string, m *channel.Message, done func(error)) {
	data, err := m.In(s.codec)
	if err != nil {
		done(err)
		return
	}
	if _, owned := channel.Owner(name); !owned {
		// It has room: it said so. What waits is bounded by that.
		s.output.Add(0, func(b *wire.Batch) { b.AddTake(0, name, data) })
		done(nil)
		return
	}
	s.ask(done, &channel.FullError{Channel: name}, func(b *wire.Batch, token uint32) { b.AddTake(token, name, data) })
}

// Enlist implements channel.Process.
func (s *Session) Enlist(group, name string, in bool, done func(error)) {
	s.ask(done, &channel.FullError{Channel: name}, func(b *wire.Batch, token uint32) {
		b.AddEnlisted(token, group, name, in)
	})
}

// ask has the process answer done, which gets refusal where too much waits for it already. A process that has gone says
// yes to everything, since nobody can tell any more.
func (s *Session) ask(done func(error), refusal error, add func(b *wire.Batch, token uint32)) {
	s.mu.Lock()
	if s.ended {
		s.mu.Unlock()
		done(nil)
		return
	}
	s.token = s.token%(1<<31-1) + 1
	token := s.token
	s.waiting[token] = done
	s.mu.Unlock()
	if s.output.Add(s.options.Window, func(b *wire.Batch) { add(b, token) }) {
		return
	}
	if done := s.withdraw(token); done != nil {
		done(refusal)
	}
}

// settle passes on what the process answered.
func (s *Session) settle(token uint32, verdict wire.Verdict, n int) {
	done := s.withdraw(token)
	switch {
	case done == nil:
	case verdict == wire.VerdictFull:
		done(&channel.FullError{Capacity: n})
	default:
		done(nil)
	}
}

func (s *Session) withdraw(token uint32) func(error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	done := s.waiting[token]
	delete(s.waiting, token)
	return done
}

// Deliver implements channel.Member.
func (s *Session) Deliver(group string, p *channel.Publication) bool {
	if p.Message == nil {
		return true
	}
	data, err := p.Message.In(s.codec)
	if position := p.Position.String(); position != "" {
		data = wire.AppendPair(nil, s.codec, data, channel.PositionKey, position)
	}
	if err != nil || s.output.Add(s.options.Window, func(b *wire.Batch) { b.AddDeliver(group, data) }) {
		return true
	}
	s.drop(group)
	return false
}

// dropInterval is how often the log hears of a slow process.
const dropInterval = 10 * time.Second

func (s *Session) drop(group string) {
	if s.options.Dropped != nil {
		s.options.Dropped.Add(1)
	}
	s.mu.Lock()
	s.lost++
	lost, now := s.lost, time.Now()
	tell := now.Sub(s.logged) > dropInterval
	if tell {
		s.lost, s.logged = 0, now
	}
	s.mu.Unlock()
	if tell {
		s.options.Log.Warn("messages to groups are dropped: a process does not read them", "process", s.who,
			"group", group, "messages", lost, "bytes waiting", s.options.Window)
	}
}

// Flushed implements channel.Process.
func (s *Session) Flushed() { s.output.Add(0, func(b *wire.Batch) { b.Add(wire.KindFlushed, 0) }) }

// Close ends it: its channels and memberships are gone.
func (s *Session) Close() {
	s.mu.Lock()
	waiting := s.waiting
	s.waiting, s.ended = nil, true
	s.mu.Unlock()
	if s.id != "" {
		for name := range s.joined {
			s.hub.Leave(name, s)
		}
		s.hub.Detach(s.id)
	}
	for _, done := range waiting {
		done(nil)
	}
}
