package control

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"

	"backline"
)

// A process that is no worker reaches the hub over this path, which upgrades its connection to the packets of the
// worker protocol: docs/protocol.md, "Channels".
const (
	channelsPath  = "/v1/channels"
	channelsToken = "backline-channels"
)

// session takes the connection over and serves it.
func (s *Server) session(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodGet || r.Header.Get("Upgrade") != channelsToken || s.options.Session == nil {
		w.Header().Set("Upgrade", channelsToken)
		refuse(w, http.StatusUpgradeRequired, &backline.Error{
			Message: fmt.Sprintf("%s %s without Upgrade: %s", r.Method, r.URL.Path, channelsToken),
			Hint:    "use the backline package of the server's version",
		})
		return
	}
	select {
	case s.seats <- struct{}{}:
	default:
		refuse(w, http.StatusServiceUnavailable, &backline.Error{
			Message: fmt.Sprintf("%d processes have connections for channels, which is channel_sessions", s.options.Sessions),
			Hint:    "let processes end, or allow more with --channel-sessions",
		})
		return
	}
	s.sessions.Add(1)
	defer func() {
		<-s.seats
		s.sessions.Done()
	}()
	conn, buffered, err := http.NewResponseController(w).Hijack()
	if err != nil {
		refuse(w, http.StatusInternalServerError, err)
		return
	}
	_, err = io.WriteString(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: "+
		channelsToken+"\r\n\r\n")
	if err != nil {
		_ = conn.Close()
		return
	}
	err = s.options.Session(r.Context(), buffer{conn, buffered.Reader})
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, net.ErrClosed) && r.Context().Err() == nil {
		s.options.Log.Warn("a process with channels broke off", "error", err)
	}
}

// buffer is a connection of which some bytes have been read.
type buffer struct {
	net.Conn
	reader *bufio.Reader
}

// Read implements net.Conn.
func (b buffer) Read(p []byte) (int, error) { return b.reader.Read(p) }
