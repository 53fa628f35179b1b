package channel

import (
	"sync"

	"backline/wire"
)

// Message is a dictionary on its way from process to process, in the codec of the process that sent it. It is immutable
// and may be shared.
type Message struct {
	codec wire.Codec
	data  []byte

	once  sync.Once
	other []byte // the same in the other codec
	err   error
}

// NewMessage takes a dictionary as its sender has encoded it. It keeps data.
func NewMessage(codec wire.Codec, data []byte) *Message { return &Message{codec: codec, data: data} }

// Size is how many bytes it has in its sender's encoding.
func (m *Message) Size() int { return len(m.data) }

// In gives the dictionary in a codec, which is worked out once. An error means that the sender wrote something else
// than a dictionary of plain values.
func (m *Message) In(codec wire.Codec) ([]byte, error) {
	if codec == m.codec {
		return m.data, nil
	}
	m.once.Do(func() { m.other, m.err = wire.Transcode(nil, m.data, m.codec, codec) })
	return m.other, m.err
}
