package websocket

import (
	"bytes"
	"strconv"

	"backline"
)

// Window sizes of RFC 7692 7.1.2, as exponents of two.
const (
	minWindowBits = 8
	maxWindowBits = 15
)

// Deflate is what was negotiated for one connection; the zero value is no compression.
type Deflate struct {
	On         bool
	windowBits uint8 // of what the server compresses; 15 unless one of the two ends wants less
}

// deflateOffer is one permessage-deflate of a client's list that could be accepted (RFC 7692 7.1). Whether the client
// could do with a smaller window (client_max_window_bits) is known to be well-formed and otherwise of no interest: an
// inflater of this package has the full window always. The two no_context_takeover are what is answered in any case.
type deflateOffer struct {
	serverBits uint8
}

// Negotiate accepts the client's first offer that can be met, and gives the value of Sec-WebSocket-Extensions, nil
// where there is no compression. Both no_context_takeover are part of every answer: a context kept between messages is
// 32 KiB for each direction of each connection, idle ones included.
func (o *Offer) Negotiate(settings DeflateSettings) (params Deflate, header []byte) {
	if settings.Off || len(o.deflate) == 0 {
		return Deflate{}, nil
	}
	offered := o.deflate[0].serverBits
	params = Deflate{On: true, windowBits: min(offered, settings.windowBits())}
	header = []byte("permessage-deflate; server_no_context_takeover; client_no_context_takeover")
	if params.windowBits < maxWindowBits {
		// May be smaller than what was offered, and may be given where nothing was (RFC 7692 7.1.2.1).
		header = append(header, "; server_max_window_bits="...)
		header = strconv.AppendUint(header, uint64(params.windowBits), 10)
	}
	return params, header
}

// parseExtensions reads the lists of RFC 6455 9.1. A list that does not follow the grammar is refused, as 9.1 demands;
// an offer whose parameters are unknown or make no sense is passed over, as RFC 7692 7 demands.
func parseExtensions(lines [][]byte) (offers []deflateOffer, err *Refusal) {
	for _, line := range lines {
		for s := (scanner{rest: line}); !s.done(); {
			offer, ok := s.extension()
			if s.failed {
				return nil, refuse("malformed Sec-WebSocket-Extensions field")
			}
			// The first one that could be accepted is the one that is: others need not be kept, only be well-formed.
			if ok && len(offers) == 0 {
				offers = append(offers, offer)
			}
		}
	}
	return offers, nil
}

// scanner takes a list of extensions apart.
type scanner struct {
	rest   []byte
	failed bool
}

// done skips what may stand between elements; true at the end of the list.
func (s *scanner) done() bool {
	s.rest = bytes.TrimLeft(s.rest, " \t,")
	return len(s.rest) == 0
}

// extension reads one element: token *( ";" token [ "=" ( token / quoted-string ) ] ). ok for a permessage-deflate that
// can be accepted.
func (s *scanner) extension() (offer deflateOffer, ok bool) {
	ok = string(s.token()) == "permessage-deflate"
	offer.serverBits = maxWindowBits
	var seen parameters
	for s.next(';') {
		name, value, has := s.token(), []byte(nil), false
		if s.next('=') {
			value, has = s.value(), true
		}
		ok = ok && seen.note(name, value, has, &offer)
	}
	if len(s.rest) > 0 && s.rest[0] != ',' {
		s.failed = true
	}
	return offer, ok
}

// token reads a token, which may not be empty.
func (s *scanner) token() []byte {
	s.rest = bytes.TrimLeft(s.rest, " \t")
	end := 0
	for end < len(s.rest) && backline.ValidFieldName(s.rest[end:end+1]) {
		end++
	}
	s.failed = s.failed || end == 0
	token := s.rest[:end]
	s.rest = bytes.TrimLeft(s.rest[end:], " \t")
	return token
}

// next takes c off the rest if it is there.
func (s *scanner) next(c byte) bool {
	if s.failed || len(s.rest) == 0 || s.rest[0] != c {
		return false
	}
	s.rest = s.rest[1:]
	return true
}

// value reads a token, or one in quotes (RFC 6455 9.1: what is quoted must be a token once it is unquoted).
func (s *scanner) value() []byte {
	s.rest = bytes.TrimLeft(s.rest, " \t")
	if !s.next('"') {
		return s.token()
	}
	var unquoted []byte
	for len(s.rest) > 0 && s.rest[0] != '"' {
		if s.rest[0] == '\\' && len(s.rest) > 1 {
			s.rest = s.rest[1:]
		}
		unquoted, s.rest = append(unquoted, s.rest[0]), s.rest[1:]
	}
	s.failed = s.failed || !s.next('"') || !backline.ValidFieldName(unquoted)
	s.rest = bytes.TrimLeft(s.rest, " \t")
	return unquoted
}

// parameters are the ones that an offer has had so far: none may come twice (RFC 7692 7).
type parameters struct{ serverTakeover, clientTakeover, serverBits, clientBits bool }

// note checks one parameter; false declines the offer that it is part of.
func (p *parameters) note(name, value []byte, has bool, offer *deflateOffer) bool {
	switch string(name) {
	case "server_no_context_takeover":
		return first(&p.serverTakeover) && !has
	case "client_no_context_takeover":
		return first(&p.clientTakeover) && !has
	case "server_max_window_bits":
		bits, ok := parseWindowBits(value)
		offer.serverBits = bits
		return first(&p.serverBits) && ok
	case "client_max_window_bits": // alone it says that the client would understand a wish for less
		_, ok := parseWindowBits(value)
		return first(&p.clientBits) && (!has || ok)
	default:
		return false
	}
}

// first is true once for each flag.
func first(seen *bool) bool {
	was := *seen
	*seen = true
	return !was
}

// parseWindowBits reads 8 to 15, without leading zeros (RFC 7692 7.1.2).
func parseWindowBits(value []byte) (uint8, bool) {
	for bits := minWindowBits; bits <= maxWindowBits; bits++ {
		if string(value) == strconv.Itoa(bits) {
			return uint8(bits), true
		}
	}
	return 0, false
}
