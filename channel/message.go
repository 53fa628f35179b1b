package channel

import (
	"sync"
	"sync/atomic"
	"time"

	"backline/wire"
)

// Message is a dictionary on its way from process to process, in the codec of the process that sent it. It is immutable
// and may be shared.
type Message struct {
	codec wire.Codec
	data  []byte
	terms Terms

	deadline atomic.Int64 // in Unix nanoseconds; 0 until it waits in a channel that nobody owns

	once  sync.Once
	other []byte // the same in the other codec
	err   error
}

// Terms are what the sender's configuration says of the channels that nobody owns (channel_capacity, expiry): it is the
// sender who is told that a channel is full, and different applications may share one hub. Zero: the hub's Options.
type Terms struct {
	Capacity int
	Expiry   time.Duration
}

// NewMessage takes a dictionary as its sender has encoded it. It keeps data.
func NewMessage(codec wire.Codec, data []byte) *Message { return &Message{codec: codec, data: data} }

// NewMessageOn is NewMessage with terms of the sender's own.
func NewMessageOn(terms Terms, codec wire.Codec, data []byte) *Message {
	return &Message{codec: codec, data: data, terms: terms}
}

// Size is how many bytes it has in its sender's encoding.
func (m *Message) Size() int { return len(m.data) }

// Codec is the sender's.
func (m *Message) Codec() wire.Codec { return m.codec }

// Terms are the sender's.
func (m *Message) Terms() Terms { return m.terms }

// In gives the dictionary in a codec, which is worked out once. An error means that the sender wrote something else
// than a dictionary of plain values.
func (m *Message) In(codec wire.Codec) ([]byte, error) {
	if codec == m.codec {
		return m.data, nil
	}
	m.once.Do(func() { m.other, m.err = wire.Transcode(nil, m.data, m.codec, codec) })
	return m.other, m.err
}

// expires gives the moment at which it is no longer worth reading, which is fixed when it first waits: to be given back
// does not make it younger.
func (m *Message) expires(now time.Time, expiry time.Duration) int64 {
	if m.terms.Expiry > 0 {
		expiry = m.terms.Expiry
	}
	m.deadline.CompareAndSwap(0, now.Add(expiry).UnixNano())
	return m.deadline.Load()
}
