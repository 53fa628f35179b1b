// Package channeltest is what every channel.Layer has to do, as tests.
package channeltest

import (
	"errors"
	"slices"
	"sync"
	"testing"

	"backline/channel"
	"backline/wire"
)

// Run tests a layer; open makes an empty one, which ends with the test.
func Run(t *testing.T, open func(t *testing.T) channel.Layer) {
	t.Helper()
	for name, test := range map[string]func(*testing.T, channel.Layer){
		"OneReaderGetsAMessage":    oneReader,
		"MessagesWaitForAReader":   messagesWait,
		"CapacityIsTheSendersLoss": capacity,
		"GroupsReachTheirMembers":  groups,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			test(t, open(t))
		})
	}
}

// Process is a process that notes what it gets.
type Process struct {
	mu    sync.Mutex
	taken []string
	got   []string
}

// Deliver implements channel.Member.
func (p *Process) Deliver(group string, pub *channel.Publication) bool {
	data, _ := pub.Message.In(wire.Marshal)
	p.mu.Lock()
	defer p.mu.Unlock()
	p.got = append(p.got, group+":"+string(data))
	return true
}

// Take implements channel.Process.
func (p *Process) Take(name string, m *channel.Message, done func(error)) {
	data, _ := m.In(wire.Marshal)
	p.mu.Lock()
	p.taken = append(p.taken, name+":"+string(data))
	p.mu.Unlock()
	done(nil)
}

// Enlist implements channel.Process.
func (p *Process) Enlist(_, _ string, _ bool, done func(error)) { done(nil) }

// Flushed implements channel.Process.
func (p *Process) Flushed() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.taken, p.got = nil, nil
}

func (p *Process) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Concat(p.taken, p.got)
}

func message(text string) *channel.Message { return channel.NewMessage(wire.Marshal, []byte(text)) }

func oneReader(t *testing.T, l channel.Layer) {
	var a, b Process
	l.Read("thumbs", &a, 1)
	l.Read("thumbs", &b, 1)
	for _, text := range []string{"1", "2"} {
		l.Send("thumbs", message(text), func(err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	if got := slices.Concat(a.all(), b.all()); !slices.Equal(got, []string{"thumbs:1", "thumbs:2"}) {
		t.Errorf("the readers got %q", got)
	}
}

func messagesWait(t *testing.T, l channel.Layer) {
	var a Process
	for _, text := range []string{"1", "2", "3"} {
		l.Send("thumbs", message(text), func(error) {})
	}
	l.Read("thumbs", &a, 2)
	if got := a.all(); !slices.Equal(got, []string{"thumbs:1", "thumbs:2"}) {
		t.Errorf("the reader got %q", got)
	}
}

func capacity(t *testing.T, l channel.Layer) {
	var last error
	for range channel.DefaultCapacity + 1 {
		l.Send("thumbs", message("1"), func(err error) { last = err })
	}
	if full, ok := errors.AsType[*channel.FullError](last); !ok || full.Capacity != channel.DefaultCapacity {
		t.Errorf("one too many: %v", last)
	}
}

func groups(t *testing.T, l channel.Layer) {
	var a, b Process
	l.Join("room", &a)
	l.Join("room", &b)
	l.Leave("room", &b)
	l.Publish("room", &channel.Publication{Message: message("hello")})
	if got := a.all(); !slices.Equal(got, []string{"room:hello"}) || len(b.all()) > 0 {
		t.Errorf("the member got %q, the other %q", got, b.all())
	}
}
