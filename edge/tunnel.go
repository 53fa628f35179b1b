package edge

import (
	"bufio"
	"bytes"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"
	"syscall"

	"backline"
	"backline/h1"
)

// A WebSocket over HTTP/2 (RFC 8441) or HTTP/3 (RFC 9220) is, behind an extended CONNECT, the same bytes as over a
// connection of its own. So it gets one: a pair of sockets, at one end a conn, to which all of this looks like HTTP/1.1
// and Upgrade, at the other this goroutine, which carries bytes from and to the stream. What a WebSocket may do is
// decided in one place, and a stream of them costs two more copies.

// tunnelPiece is how much is carried at a time.
const tunnelPiece = 16 << 10

// isTunnel tells whether a request is an extended CONNECT, and for what. net/http and quic-go tell it each in its own
// way.
func isTunnel(r *http.Request) (protocol string, is bool) {
	if r.Method != http.MethodConnect {
		return "", false
	}
	if values := r.Header[pseudoProtocol]; len(values) > 0 {
		return values[0], true
	}
	if r.ProtoMajor == 3 && r.RequestURI != "" && r.RequestURI[0] == '/' {
		return r.Proto, true
	}
	return "", false
}

// serveTunnel serves an extended CONNECT until both sides have ended. It tells how.
func (st *stream) serveTunnel(protocol string) step {
	st.ex.Scope.Method, st.ex.Scope.Target = []byte(st.r.Method), []byte(st.r.RequestURI) // for the access log
	if protocol != "websocket" {
		st.reject(&h1.Error{Status: 501, Reason: "of what CONNECT can ask for, only WebSocket is supported"})
		return st.deliver()
	}
	head, fault := st.upgradeHead()
	if fault != nil {
		st.reject(fault)
		return st.deliver()
	}
	far, err := st.server.openTunnel(st.session)
	if err != nil {
		st.server.options.Log.Error("a WebSocket over HTTP/2 or 3 cannot be given a socket", "error", err)
		st.reject(&h1.Error{Status: 503, Reason: "the server has no room for another WebSocket"})
		return st.deliver()
	}
	defer far.Close()
	if _, err := far.Write(head); err != nil {
		return stepCut
	}
	// The answer is waited for even if the client goes: until the application has decided, the request counts.
	in := bufio.NewReaderSize(far, tunnelPiece)
	answer, err := http.ReadResponse(in, nil)
	if err != nil {
		return stepCut
	}
	defer answer.Body.Close()
	if st.r.Context().Err() != nil {
		return stepGone
	}
	switch {
	case answer.StatusCode == http.StatusSwitchingProtocols:
	case answer.StatusCode < http.StatusMultipleChoices: // would mean that there is a WebSocket (RFC 8441 5)
		st.reject(&h1.Error{Status: 501, Reason: "there is no WebSocket here"})
		return st.deliver()
	default:
		return st.relay(answer.StatusCode, answer.Header, answer.Body)
	}
	var carrying sync.WaitGroup
	carrying.Go(func() { st.carryIn(far) })
	how := st.relay(http.StatusOK, answer.Header, in)
	_ = far.Close()
	_ = st.r.Body.Close()
	carrying.Wait()
	return how
}

// upgradeHead writes the request as one of HTTP/1.1 that asks for what the stream has asked for.
func (st *stream) upgradeHead() ([]byte, *h1.Error) {
	asked := st.r.Clone(st.r.Context())
	asked.Method = http.MethodGet
	for _, name := range []string{pseudoProtocol, keyField} {
		delete(asked.Header, name)
	}
	head, fault := appendHead(nil, asked)
	if fault != nil {
		return nil, fault
	}
	var key [16]byte // proves something only where caches and proxies do not know WebSockets
	_, _ = rand.Read(key[:])
	head = head[:len(head)-len("\r\n")]
	head = append(head, "Connection: Upgrade\r\nUpgrade: websocket\r\n"+keyField+": "...)
	head = base64.StdEncoding.AppendEncode(head, key[:])
	return append(head, "\r\n\r\n"...), nil
}

// unwrap takes what upgradeHead has added off the request again: the application sees what its client has sent.
func (about *session) unwrap(scope *backline.Scope) {
	scope.Version = about.version
	scope.Fields = slices.DeleteFunc(scope.Fields, func(f backline.Field) bool {
		known := h1.Lookup(f.Name)
		return known == h1.Connection || known == h1.Upgrade || bytes.EqualFold(f.Name, []byte(keyField))
	})
}

// keyField is the one field that a handshake over HTTP/2 does not have.
const keyField = "Sec-Websocket-Key"

// relay sends an answer's head and then its bytes as they come.
func (st *stream) relay(status int, fields http.Header, from io.Reader) step {
	header := st.w.Header()
	for name, values := range fields {
		switch h1.Lookup([]byte(name)) {
		case h1.Connection, h1.Upgrade, h1.TransferEncoding, h1.KeepAlive:
		default:
			if name != "Sec-Websocket-Accept" {
				header[name] = values
			}
		}
	}
	if _, has := header["Content-Type"]; !has {
		header["Content-Type"] = nil
	}
	st.w.WriteHeader(status)
	control, buffer := http.NewResponseController(st.w), make([]byte, tunnelPiece)
	err := st.timed(control.Flush)
	for err == nil {
		var n int
		if n, err = from.Read(buffer); n > 0 {
			failed := st.timed(func() error {
				_, err := st.w.Write(buffer[:n])
				if err == nil {
					err = control.Flush()
				}
				return err
			})
			if failed != nil {
				return stepGone
			}
		}
	}
	if st.r.Context().Err() != nil {
		return stepGone
	}
	return stepWhole
}

// timed writes under the eye of the clock: who takes nothing is cut off.
func (st *stream) timed(write func() error) error {
	st.mu.Lock()
	st.writing = true
	st.touch()
	st.mu.Unlock()
	err := write()
	st.mu.Lock()
	st.writing = false
	st.mu.Unlock()
	return err
}

// carryIn carries what the client sends.
func (st *stream) carryIn(far *net.UnixConn) {
	_, err := io.CopyBuffer(onlyWriter{far}, st.r.Body, make([]byte, tunnelPiece))
	if err == nil {
		_ = far.CloseWrite()
	} else {
		_ = far.Close() // a reset, which is not the end of anything
	}
}

// onlyWriter keeps io.Copy from looking for splice(2), for which a stream has no socket.
type onlyWriter struct{ io.Writer }

// openTunnel makes a connection of the server's own, for a client of the session's, and gives its other end.
func (s *Server) openTunnel(about *session) (*net.UnixConn, error) {
	syscall.ForkLock.RLock()
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err != nil {
		syscall.ForkLock.RUnlock()
		return nil, err
	}
	for _, fd := range fds {
		syscall.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err := syscall.SetNonblock(fds[0], true); err != nil {
		return nil, errors.Join(err, syscall.Close(fds[0]), syscall.Close(fds[1]))
	}
	file := os.NewFile(uintptr(fds[1]), "tunnel")
	defer file.Close()
	socket, err := net.FileConn(file)
	if err != nil {
		_ = syscall.Close(fds[0])
		return nil, err
	}
	far, _ := socket.(*net.UnixConn)
	c, err := s.wrap(fds[0], func() {})
	if err != nil {
		_ = far.Close()
		return nil, err
	}
	c.client, c.local, c.tunnel = about.client, about.local, about
	watchers := *s.watchers.Load()
	c.watcher = watchers[int(s.tunnels.Add(1))%len(watchers)]
	c.parser.Limits = s.options.Head
	s.admit(c)
	return far, nil
}
