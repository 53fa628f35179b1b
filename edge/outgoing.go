package edge

import (
	"backline"
	"backline/compress"
	"backline/dispatch"
	"backline/h1"
	"backline/wire"
)

// outgoing is what is known of the answer under way and, in its methods, the rules that hold for it whatever the
// version of HTTP: which of the application's fields go to the client, how the body is held to what was promised, and
// when the worker may send more. conn and stream write what is decided here, each in its own way.
type outgoing struct {
	minor     int  // of the request's HTTP/1.x; 1 for a later version
	head      bool // the request was HEAD
	keepAlive bool
	wsgi      bool // the answer is taken as fast as it is made
	deaf      bool // the client's end of input has been dealt with

	begun    bool // a status line has been written
	chunked  bool
	bodiless bool  // no body may follow, whatever the application sends
	replaced bool  // a file is sent in place of what the application sends
	left     int64 // bytes that Content-Length still promises; -1: no promise

	encoder  *compress.Encoder // nil where the body leaves as it comes
	promised int64             // with one, what Content-Length promised; the client is not told

	status int
	sent   int64 // body bytes
	fields []backline.Field
	failed string // why it ended early, for the access log
	cursor uint64 // the hub's position when the request was handed on

	held int // body bytes taken from the worker and not yet credited
	owed int // body bytes to credit now
}

// begin notes the status.
func (a *outgoing) begin(status int) {
	a.begun, a.status, a.left = true, status, -1
	if a.encoder != nil {
		a.left = a.promised
	}
	a.bodiless = a.head || h1.BodyForbidden(status)
}

// seenFields are the fields that the application gave itself.
type seenFields struct{ length, date, server bool }

// admit tells whether a field of the application's goes to the client. Those that concern the connection are the edge's
// business (PEP 3333, "Other HTTP Features"; ASGI www 2.3.2): of them only "Connection: close" is understood.
func (a *outgoing) admit(f backline.Field, seen *seenFields) bool {
	switch h1.Lookup(f.Name) {
	case h1.ContentLength:
		n, ok := h1.ParseContentLength(f.Value)
		if !ok || seen.length || a.status < 200 || a.status == 204 {
			return false
		}
		seen.length = true
		if !a.bodiless {
			a.left = n
		}
	case h1.TransferEncoding, h1.KeepAlive, h1.Upgrade, h1.Trailer, h1.ProxyConnection:
		return false
	case h1.Connection:
		if isClose(f.Value) {
			a.keepAlive = false
		}
		return false
	case h1.Date:
		seen.date = true
	case h1.Server:
		seen.server = true
	}
	return true
}

// framing is how a client learns where the body ends (RFC 9112 6.3, RFC 9113 8.1.1).
type framing uint8

const (
	framedAlready framing = iota // by the application's own Content-Length, or there is no body
	framedByLength
	framedByEnd // chunks, the end of the connection, or that of the stream
)

// frame decides about the framing when all fields have been admitted. known is the body's whole length, -1 where it is
// not known.
func (a *outgoing) frame(seen seenFields, known int64) framing {
	switch {
	case seen.length, h1.BodyForbidden(a.status):
		return framedAlready
	case known >= 0 && (!a.head || known > 0):
		// The answer to HEAD has the length of GET's body; an application that left the body out did not mean 0.
		a.left = known
		return framedByLength
	case a.head:
		return framedAlready
	default:
		return framedByEnd
	}
}

// take gives what of a piece of the body goes to the client: nothing where none may follow, and no more than
// Content-Length promised. excess says that the application sent more.
func (a *outgoing) take(data []byte) (kept []byte, excess bool) {
	if a.bodiless || a.replaced {
		return nil, false
	}
	if a.left >= 0 {
		if excess = int64(len(data)) > a.left; excess {
			data = data[:a.left]
		}
		a.left -= int64(len(data))
	}
	a.sent += int64(len(data))
	return data, excess
}

// takeFile does the same for a file that is the whole body. short says that it has less than was promised.
func (a *outgoing) takeFile(size int64) (kept int64, short bool) {
	if a.bodiless {
		return 0, false
	}
	if a.left >= 0 {
		kept = min(size, a.left)
		a.left -= kept
	} else {
		kept = size
	}
	a.sent = kept
	return kept, a.left > 0
}

// short tells whether the body has ended before it was as long as promised.
func (a *outgoing) short() bool { return !a.bodiless && a.left > 0 }

// What an application is told in the log when it does not keep its promise.
const (
	complaintExcess    = "sent more body than its Content-Length promised; the rest is dropped"
	complaintShort     = "sent less body than its Content-Length promised; the connection is cut"
	complaintShortFile = "promised more in Content-Length than its file has; the connection is cut"
)

func (s *Server) complain(ex *dispatch.Exchange, text string) {
	s.options.Log.Error("the application "+text, "path", string(ex.Scope.Path), "worker", ex.WorkerName)
}

// credit decides which of the held bytes the worker may send again. WSGI answers are taken off its hands at once, so
// that a slow download holds no worker; an ASGI application's send() waits for the client. sent bytes have just left.
func (a *outgoing) credit(out *outbox, sent int, o *Options) {
	n := 0
	switch {
	case out.empty():
		n = a.held
	case a.wsgi:
		if out.waiting() < int64(o.AnswerMemory)+o.AnswerFile {
			n = a.held
		}
	default:
		n = min(sent, a.held)
	}
	a.held -= n
	a.owed += n
}

// knownLength is the length of the whole body where the answer's first message tells it, else -1.
func knownLength(m *wire.Message) int64 {
	if m.Kind == wire.KindAnswer || m.Kind == wire.KindAnswerOpen {
		return int64(len(m.Data))
	}
	return -1
}

// hintable tells whether a field may be sent ahead of the answer (RFC 8297).
func hintable(f backline.Field) bool {
	return h1.Lookup(f.Name) == h1.Other && backline.ValidFieldName(f.Name) && backline.ValidFieldValue(f.Value)
}
