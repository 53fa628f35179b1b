package tcp

import (
	"crypto/tls"
	"log/slog"
	"net"
	"time"

	"backline/forwarded"
)

// Options describe one listener and how its clients are treated.
type Options struct {
	// Listener is where clients connect, by TCP. Required; the server closes it.
	Listener net.Listener
	// TLS is what clients are encrypted with. nil: they are not.
	TLS *tls.Config
	// HandshakeTimeout is how long a client may take for what comes before its own first byte: the PROXY header and
	// TLS's handshake. It has a place at a worker meanwhile. 0 means 10 s.
	HandshakeTimeout time.Duration
	// WriteTimeout is how long a client of TLS may take for what is left when its function has returned. 0 means 30 s.
	WriteTimeout time.Duration
	// Patience is how long a client that has been accepted may wait for another worker when the one that had room for
	// it has gone; then it is closed. 0: not at all.
	Patience time.Duration
	// Announced has proxies tell with a PROXY header who connects; those in Announcers must.
	Announced  bool
	Announcers forwarded.Peers
	// MaxConnections is after how many connections a worker is replaced, give or take up to MaxConnectionsJitter. 0:
	// never.
	MaxConnections, MaxConnectionsJitter int
	// Log receives what people should know. nil: nothing is logged.
	Log *slog.Logger
}

func (o *Options) setDefaults() {
	if o.HandshakeTimeout == 0 {
		o.HandshakeTimeout = 10 * time.Second
	}
	if o.WriteTimeout == 0 {
		o.WriteTimeout = 30 * time.Second
	}
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}
