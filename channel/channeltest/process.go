package channeltest

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"backline/channel"
	"backline/wire"
)

// Process is a process that notes what it gets.
type Process struct {
	layer   channel.Layer
	id      string
	changed chan struct{} // has something in it after each change

	full atomic.Bool // it has no room for publications

	mu       sync.Mutex
	got      []string // channel:text or group:text
	probes   []string
	given    []*channel.Message
	enlisted []string
	flushed  int
}

// owned is a channel of the process's own.
func (p *Process) owned() string { return "specific." + p.id + "!x" }

// Deliver implements channel.Member.
func (p *Process) Deliver(group string, pub *channel.Publication) bool {
	text := textOf(pub.Message)
	if strings.HasPrefix(text, "probe") {
		p.note(func() { p.probes = append(p.probes, text) })
		return true
	}
	if p.full.Load() {
		return false
	}
	p.note(func() { p.got = append(p.got, group+":"+text) })
	return true
}

// Take implements channel.Process.
func (p *Process) Take(name string, m *channel.Message, done func(error)) {
	text := textOf(m)
	p.note(func() {
		if strings.HasPrefix(text, "probe") {
			p.probes = append(p.probes, text)
			return
		}
		p.got = append(p.got, name+":"+text)
		p.given = append(p.given, m)
	})
	done(nil)
}

// Enlist implements channel.Process.
func (p *Process) Enlist(group, name string, in bool, done func(error)) {
	verb := " leaves "
	if in {
		verb = " joins "
	}
	p.note(func() { p.enlisted = append(p.enlisted, name+verb+group) })
	done(nil)
}

// Flushed implements channel.Process.
func (p *Process) Flushed() {
	p.note(func() { p.got, p.given, p.flushed = nil, nil, p.flushed+1 })
}

func (p *Process) note(change func()) {
	p.mu.Lock()
	change()
	p.mu.Unlock()
	select {
	case p.changed <- struct{}{}:
	default:
	}
}

// all gives what it has got.
func (p *Process) all() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.got)
}

func (p *Process) count() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.got)
}

// has tells whether it has got these, in this order and nothing else.
func (p *Process) has(want ...string) func() bool {
	return func() bool { return slices.Equal(p.all(), want) }
}

func (p *Process) hasProbe(probe string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Contains(p.probes, probe)
}

// last takes the message that it was given last.
func (p *Process) last() *channel.Message {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.given[len(p.given)-1]
}

// message is {"text": text}.
func message(text string) *channel.Message { return messageOn(channel.Terms{}, wire.Marshal, text) }

func messageOn(terms channel.Terms, codec wire.Codec, text string) *channel.Message {
	return channel.NewMessageOn(terms, codec, wire.AppendDictionary(nil, codec, map[string]string{"text": text}))
}

// textOf gives what message was made of, from whichever codec the receiver speaks: half of them speak the other one.
func textOf(m *channel.Message) string {
	data, err := m.In(wire.Msgpack)
	if err != nil {
		return err.Error()
	}
	data = data[len(wire.AppendDictionary(nil, wire.Msgpack, map[string]string{}))+len("\xa4text"):]
	switch {
	case data[0]&0xe0 == 0xa0:
		return string(data[1:])
	case data[0] == 0xd9:
		return string(data[2:])
	default:
		return string(data[5:])
	}
}
