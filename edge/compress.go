package edge

import (
	"backline/dispatch"
	"backline/negotiate"
	"backline/wire"
)

// compress decides whether an answer is compressed, and changes m's fields, and its body if that is whole,
// accordingly. A body that streams is left to outgoing.encode, piece by piece. buffer, if not nil, holds the new body
// and is to be given back when that has been written.
func (s *Server) compress(ex *dispatch.Exchange, a *outgoing, m *wire.Message) (buffer *[]byte) {
	c := s.options.Compress
	if c == nil {
		return nil
	}
	whole, length := m.Kind != wire.KindStart, int64(-1)
	if whole && (len(m.Data) > 0 || !a.head) {
		length = int64(len(m.Data)) // an application that leaves the body out of its answer to HEAD does not mean 0
	}
	plan := c.Plan(&ex.Scope, m.Status, m.Fields, length)
	if plan.Coding != negotiate.Identity && a.head {
		m.Data = nil // or its length would be told
	} else if plan.Coding != negotiate.Identity {
		encoder := c.Encoder(plan.Coding)
		switch {
		case encoder == nil:
			plan.Coding = negotiate.Identity // too many at once
		case !whole:
			a.encoder, a.promised = encoder, plan.Length
		default:
			buffer = s.answerBuffer()
			*buffer = encoder.Close(encoder.Append((*buffer)[:0], m.Data, false))
			if len(*buffer) < len(m.Data) {
				m.Data = *buffer
			} else {
				plan.Coding = negotiate.Identity
			}
		}
	}
	m.Fields = plan.Fields(m.Fields)
	return buffer
}

// encode gives a piece of the body as it leaves. Each is flushed, so that the client has everything that the
// application has sent: event streams, and pages that come while they are made, rely on it.
func (a *outgoing) encode(scratch *[]byte, data []byte) []byte {
	if a.encoder == nil || len(data) == 0 {
		return data
	}
	*scratch = a.encoder.Append((*scratch)[:0], data, true)
	a.sent += int64(len(*scratch) - len(data))
	return *scratch
}

// encodeEnd gives what ends a compressed body, nothing for others.
func (a *outgoing) encodeEnd(scratch *[]byte) []byte {
	if a.encoder == nil {
		return nil
	}
	*scratch = a.encoder.Close((*scratch)[:0])
	a.encoder = nil
	a.sent += int64(len(*scratch))
	return *scratch
}

// release gives back what an answer that is over has borrowed.
func (a *outgoing) release() {
	a.encoder.Release()
	a.encoder = nil
}
