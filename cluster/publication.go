package cluster

import (
	"encoding/binary"
	"time"

	"backline/channel"
	"backline/wire"
)

// The forms that a publication has, as bits of its first byte.
const (
	hasMessage = 1 << iota
	hasSocket
	hasText // the socket's message is text
	hasResponse
	hasStream
	hasActions // instead of sending, of which forms: a byte for each action
	hasFilters
	hasControl // the socket's message is a pong if hasText is set too, else a ping
)

const (
	maxFields  = 1000 // of a response
	maxFilters = 100  // and of meta

	patches = 1 << 16 // beside a response's status: its body is a patch
)

// appendPublication encodes a publication, without its position: that is each node's own.
func appendPublication(dst []byte, p *channel.Publication) ([]byte, error) {
	var message []byte
	if p.Message != nil {
		var err error
		if message, err = p.Message.In(wire.Msgpack); err != nil {
			return dst, err
		}
	}
	dst = append(dst, forms(p))
	dst = appendText(appendText(dst, p.ID), p.PrevID)
	if p.Close|p.Refresh != 0 {
		dst = append(dst, byte(p.Close), byte(p.Refresh))
		if f := p.Farewell; f != nil {
			dst = appendText(binary.AppendUvarint(dst, uint64(f.Code)), f.Reason)
		} else {
			dst = append(dst, 0) // no code is
		}
	}
	dst = appendMeta(dst, p)
	if p.Message != nil {
		dst = appendTerms(dst, p.Message.Terms())
		dst = appendText(dst, message)
	}
	if p.Socket != nil {
		dst = appendText(dst, p.Socket.Data)
	}
	if r := p.Response; r != nil {
		status := uint64(r.Status)
		if r.Patches {
			status |= patches
		}
		dst = appendText(binary.AppendUvarint(dst, status), r.Reason)
		dst = binary.AppendUvarint(dst, uint64(len(r.Header)))
		for _, field := range r.Header {
			dst = appendText(appendText(dst, field[0]), field[1])
		}
		dst = appendText(dst, r.Body)
	}
	if p.Stream != nil {
		dst = appendText(dst, p.Stream)
	}
	return dst, nil
}

func forms(p *channel.Publication) (bits byte) {
	mark := func(bit byte, has bool) {
		if has {
			bits |= bit
		}
	}
	mark(hasMessage, p.Message != nil)
	mark(hasSocket, p.Socket != nil)
	mark(hasText, p.Socket != nil && (p.Socket.Text || p.Socket.Control == "pong"))
	mark(hasControl, p.Socket != nil && p.Socket.Control != "")
	mark(hasResponse, p.Response != nil)
	mark(hasStream, p.Stream != nil)
	mark(hasActions, p.Close|p.Refresh != 0)
	mark(hasFilters, p.Filters != nil)
	return bits
}

func appendMeta(dst []byte, p *channel.Publication) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(p.Meta)))
	for key, value := range p.Meta {
		dst = appendText(appendText(dst, key), value)
	}
	if p.Filters == nil {
		return dst
	}
	for form := channel.FormResponse; form <= channel.FormSocket; form <<= 1 {
		names := p.Filters.Of(form)
		dst = binary.AppendUvarint(dst, uint64(len(names)))
		for _, name := range names {
			dst = appendText(dst, name)
		}
	}
	return dst
}

func appendTerms(dst []byte, t channel.Terms) []byte {
	dst = binary.AppendUvarint(dst, uint64(max(t.Capacity, 0)))
	return binary.AppendUvarint(dst, uint64(max(t.Expiry, 0).Milliseconds()))
}

// publication reads what appendPublication wrote. It copies nothing but texts.
func (r *reader) publication() *channel.Publication {
	bits := r.byte()
	p := &channel.Publication{ID: r.text(), PrevID: r.text()}
	if bits&hasActions != 0 {
		p.Close, p.Refresh = channel.Forms(r.byte())&channel.FormsAll, channel.Forms(r.byte())&channel.FormsAll
		if code := r.uint(); code != 0 {
			p.Farewell = &channel.Farewell{Code: int(code & 0xffff), Reason: r.text()}
		}
	}
	if n := r.count(maxFilters); n > 0 {
		p.Meta = make(map[string]string, n)
		for range n {
			key := r.text()
			p.Meta[key] = r.text()
		}
	}
	if bits&hasFilters != 0 {
		p.Filters = &channel.Filters{Response: r.texts(), Stream: r.texts(), Socket: r.texts()}
	}
	if bits&hasMessage != 0 {
		p.Message = r.message()
	}
	if bits&hasSocket != 0 {
		p.Socket = r.socket(bits)
	}
	if bits&hasResponse != 0 {
		p.Response = r.response()
	}
	if bits&hasStream != 0 {
		p.Stream = r.bytes()
	}
	return p
}

func (r *reader) texts() (all []string) {
	for range r.count(maxFilters) {
		all = append(all, r.text())
	}
	return all
}

func (r *reader) socket(bits byte) *channel.SocketMessage {
	m := &channel.SocketMessage{Data: r.bytes(), Text: bits&hasText != 0}
	if bits&hasControl != 0 {
		if m.Control = "ping"; m.Text {
			m.Control, m.Text = "pong", false
		}
	}
	return m
}

func (r *reader) response() *channel.Response {
	status := r.uint()
	response := &channel.Response{Status: int(status & 0xffff), Patches: status&patches != 0, Reason: r.text()}
	for range r.count(maxFields) {
		response.Header = append(response.Header, [2]string{r.text(), r.text()})
	}
	response.Body = r.bytes()
	return response
}

// longest bounds what another node says of time.
const longest = 365 * 24 * time.Hour

func (r *reader) message() *channel.Message {
	capacity := int(r.uint() & 0x7fffffff)
	expiry := time.Duration(min(r.uint(), uint64(longest.Milliseconds()))) * time.Millisecond
	return channel.NewMessageOn(channel.Terms{Capacity: capacity, Expiry: expiry}, wire.Msgpack, r.bytes())
}
