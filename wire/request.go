package wire

import (
	"encoding/binary"
	"net/netip"
	"strconv"
	"strings"

	"backline"
)

// Request is what AppendRequest writes: one request as the worker's interface wants it. The scope comes from a parser:
// Method, Target and Query are printable ASCII, so is Path but where it is percent-encoded, names of fields are tokens.
type Request struct {
	Scope   *backline.Scope
	Body    []byte // whole, or empty when More says that pieces follow
	More    int    // BodyWhole, BodyFollows or BodyOnRead
	Length  int64  // length of a body that was collected; -1: as the header fields say
	WSGI    bool   // an environ instead of an ASGI scope
	Default *Defaults
}

// Defaults are the entries that most requests share. The welcome tells them to the worker once, and a request only
// carries what differs.
type Defaults struct {
	Scheme   string
	Server   backline.Addr
	RootPath string
}

// streamAt is where the stream's number stands in a request's encoding: after the tuple's header, the kind and the
// number's own type byte.
func (c Codec) streamAt() int {
	if c == Msgpack {
		return 1 + 5 + 1
	}
	return 2 + 5 + 1
}

// AppendRequest encodes a KindRequest message with stream number 0; Batch.AddRequest fills the number in. So a request
// is encoded once, outside any lock, and can be sent again to another worker.
func (c Codec) AppendRequest(dst []byte, r *Request) []byte {
	dst = c.appendTuple(dst, 5)
	dst = c.appendInt(dst, int(KindRequest))
	dst = c.appendInt(dst, 0)
	if r.WSGI {
		dst = c.appendEnviron(dst, r)
	} else {
		dst = c.appendScope(dst, r)
	}
	dst = c.appendBytes(dst, r.Body)
	return c.appendInt(dst, r.More)
}

// AppendJob encodes a KindJob message with stream number 0, as AppendRequest does. The function is named in text.
func (c Codec) AppendJob(dst, function, arguments []byte) []byte {
	dst = c.appendTuple(dst, 4)
	dst = c.appendInt(dst, int(KindJob))
	dst = c.appendInt(dst, 0)
	return c.appendBytes(c.appendUTF8(dst, validUTF8(function)), arguments)
}

// AddResult appends what has become of an offloaded function.
func (b *Batch) AddResult(token uint32, outcome Outcome, data []byte) {
	b.begin(KindResult, token, 4)
	b.buf = b.codec.appendBytes(b.codec.appendInt(b.buf, int(outcome)), data)
}

// AddRequest appends an encoded request, or job, under a stream's number.
func (b *Batch) AddRequest(encoded []byte, stream uint32) {
	at := len(b.buf) + b.codec.streamAt()
	b.buf = append(b.buf, encoded...)
	if b.codec == Msgpack {
		binary.BigEndian.PutUint32(b.buf[at:], stream)
	} else {
		binary.LittleEndian.PutUint32(b.buf[at:], stream)
	}
	b.count++
}

// AddBody appends a piece of a request's body.
func (b *Batch) AddBody(stream uint32, data []byte, more bool) {
	b.begin(KindBody, stream, 4)
	b.buf = b.codec.appendBool(b.codec.appendBytes(b.buf, data), more)
}

// AddCredit allows a worker n more bytes of an answer.
func (b *Batch) AddCredit(stream uint32, n int) {
	b.begin(KindCredit, stream, 3)
	b.buf = b.codec.appendInt(b.buf, n)
}

// AddReceive appends a piece of a WebSocket message from the client, the last one or not.
func (b *Batch) AddReceive(stream uint32, data []byte, text, last bool) {
	kind := KindPart
	if last {
		kind = KindReceive
	}
	b.begin(kind, stream, 3)
	if text {
		b.buf = b.codec.appendUTF8(b.buf, data)
	} else {
		b.buf = b.codec.appendBytes(b.buf, data)
	}
}

// AddGap says that what a WebSocket has missed of a group is not known.
func (b *Batch) AddGap(stream uint32, group string) {
	b.begin(KindGap, stream, 3)
	b.buf = b.codec.appendText(b.buf, group)
}

// AddClosed says how a WebSocket has ended.
func (b *Batch) AddClosed(stream uint32, code int, reason string) {
	b.begin(KindClosed, stream, 4)
	b.buf = b.codec.appendText(b.codec.appendInt(b.buf, code), reason)
}

// Add appends a message that has nothing but its kind and stream: KindDisconnect, KindCancel, KindStop.
func (b *Batch) Add(kind Kind, stream uint32) { b.begin(kind, stream, 2) }

// AddStacks asks for the stacks behind streams; no streams means all.
func (b *Batch) AddStacks(token uint32, streams []uint32) {
	b.begin(KindStacks, token, 3)
	b.buf = b.codec.appendList(b.buf, len(streams))
	for _, s := range streams {
		b.buf = b.codec.appendInt(b.buf, int(s))
	}
}

// AddProfile asks for a profile.
func (b *Batch) AddProfile(token uint32, milliseconds, rate int) {
	b.begin(KindProfile, token, 4)
	b.buf = b.codec.appendInt(b.codec.appendInt(b.buf, milliseconds), rate)
}

// AddGiven answers KindTake; where the connection is given, the packet has to carry its descriptor.
func (b *Batch) AddGiven(token uint32, given bool) {
	b.begin(KindGiven, token, 3)
	n := 0
	if given {
		n = 1
	}
	b.buf = b.codec.appendInt(b.buf, n)
}

// AddConnect hands a client's connection over; the packet has to carry its descriptor.
func (b *Batch) AddConnect(stream uint32, client netip.AddrPort) {
	b.begin(KindConnect, stream, 3)
	address := client.Addr()
	host := []byte(address.WithZone("").String())
	if !address.Is6() {
		b.buf = b.codec.appendASCII(b.codec.appendTuple(b.buf, 2), host)
		b.buf = b.codec.appendInt(b.buf, int(client.Port()))
		return
	}
	// The zone is left out: its number is 0 for all but link-local addresses, and the connection itself knows it.
	b.buf = b.codec.appendASCII(b.codec.appendTuple(b.buf, 4), host)
	for _, n := range []int{int(client.Port()), 0, 0} {
		b.buf = b.codec.appendInt(b.buf, n)
	}
}

func (b *Batch) begin(kind Kind, stream uint32, size int) {
	b.buf = b.codec.appendTuple(b.buf, size)
	b.buf = b.codec.appendInt(b.buf, int(kind))
	b.buf = b.codec.appendInt(b.buf, int(stream))
	b.count++
}

// appendScope writes the entries of an ASGI connection scope that the worker cannot know (ASGI www 2.1, 2.4): the
// worker adds asgi, state and extensions.
func (c Codec) appendScope(dst []byte, r *Request) []byte {
	s, n := r.Scope, 5
	dst, at := c.beginMap(dst)
	scheme := r.Default.Scheme
	if s.WebSocket {
		dst = c.appendKey(c.appendKey(dst, "type"), "websocket")
		scheme = webSocketScheme(scheme)
		if len(s.Protocols) > 0 {
			dst, n = c.appendProtocols(c.appendKey(dst, "subprotocols"), s.Protocols), n+1
		}
	} else {
		dst = c.appendASCII(c.appendKey(dst, "method"), s.Method)
	}
	dst = c.appendPath(c.appendKey(dst, "path"), s)
	dst = c.appendBytes(c.appendKey(dst, "raw_path"), s.Path)
	dst = c.appendClient(c.appendKey(dst, "client"), s.Client)
	dst = c.appendHeaders(c.appendKey(dst, "headers"), s.Fields)
	if len(s.Query) > 0 {
		dst, n = c.appendBytes(c.appendKey(dst, "query_string"), s.Query), n+1
	}
	if s.Version != "1.1" {
		dst, n = c.appendKey(c.appendKey(dst, "http_version"), s.Version), n+1
	}
	if s.Scheme != scheme {
		dst, n = c.appendKey(c.appendKey(dst, "scheme"), s.Scheme), n+1
	}
	if s.RootPath != r.Default.RootPath {
		dst, n = c.appendText(c.appendKey(dst, "root_path"), s.RootPath), n+1
	}
	if s.Server != r.Default.Server {
		dst, n = c.appendServer(c.appendKey(dst, "server"), s.Server), n+1
	}
	if s.Cursor != 0 {
		dst, n = c.appendInt64(c.appendKey(dst, "backline.cursor"), int64(s.Cursor)), n+1
	}
	if s.TLS != nil {
		dst, n = c.appendExtensions(c.appendKey(dst, "extensions"), s.TLS), n+1
	}
	return c.endMap(dst, at, n)
}

// webSocketScheme is ws where the default for HTTP is http, wss for https; the worker concludes the same.
func webSocketScheme(scheme string) string { return "ws" + strings.TrimPrefix(scheme, "http") }

func (c Codec) appendProtocols(dst []byte, protocols []string) []byte {
	dst = c.appendList(dst, len(protocols))
	for _, each := range protocols {
		dst = c.appendText(dst, each)
	}
	return dst
}

// appendPath writes the decoded path. ASGI's path includes root_path; a proxy may have taken the prefix off or not, so
// it is added only where it is missing (always adding it doubles it behind a proxy that forwards the path unchanged).
func (c Codec) appendPath(dst []byte, s *backline.Scope) []byte {
	if !hasEscape(s.Path) && s.RootPath == "" {
		return c.appendASCII(dst, s.Path)
	}
	path := DecodePath(nil, s.Path)
	if !underRoot(path, s.RootPath) {
		path = append([]byte(s.RootPath), path...)
	}
	return c.appendUTF8(dst, validUTF8(path))
}

// appendServer writes (host, port); (path, None) for a Unix socket, None where nothing is known.
func (c Codec) appendServer(dst []byte, a backline.Addr) []byte {
	if a.Host == "" {
		return c.appendNone(dst)
	}
	dst = c.appendHost(c.appendTuple(dst, 2), a.Host)
	if a.Port == 0 {
		return c.appendNone(dst)
	}
	return c.appendInt(dst, a.Port)
}

// appendClient writes (host, port), and None for a client on a Unix socket, which has no address. The port of a client
// behind a proxy may be 0: not known.
func (c Codec) appendClient(dst []byte, a backline.Addr) []byte {
	if !hasAddress(a) {
		return c.appendNone(dst)
	}
	return c.appendInt(c.appendHost(c.appendTuple(dst, 2), a.Host), a.Port)
}

// hasAddress tells an IP address from the path, or the abstract name, of a Unix socket.
func hasAddress(a backline.Addr) bool {
	return a.Host != "" && a.Host[0] != '/' && a.Host[0] != '@'
}

func (c Codec) appendHost(dst []byte, s string) []byte {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return c.appendText(dst, s)
		}
	}
	return append(c.appendASCIIHeader(dst, len(s)), s...)
}

// appendHeaders writes pairs of bytes, names in lower case.
func (c Codec) appendHeaders(dst []byte, fields []backline.Field) []byte {
	dst = c.appendList(dst, len(fields))
	for _, f := range fields {
		dst = c.appendTuple(dst, 2)
		dst = c.appendBytesHeader(dst, len(f.Name))
		for _, b := range f.Name {
			dst = append(dst, lower[b])
		}
		dst = c.appendBytes(dst, f.Value)
	}
	return dst
}

// appendNumber writes a decimal number as a str.
func (c Codec) appendNumber(dst []byte, n int64) []byte {
	var digits [20]byte
	return c.appendASCII(dst, strconv.AppendInt(digits[:0], n, 10))
}
