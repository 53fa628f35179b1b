package edge

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"sync"
	"sync/atomic"
	"time"
	"unique"

	"github.com/quic-go/quic-go"
	quich3 "github.com/quic-go/quic-go/http3"

	"backline"
)

// http3 is HTTP/3 by quic-go. Its requests are streams like those of HTTP/2; its connections have no sockets, but they
// are counted with the others and end by the same rules.
type http3 struct {
	server      *Server
	net         quich3.Server
	ports       atomic.Pointer[[]*quicPort]
	sessions    roster[*quicSession]
	handshaking atomic.Int64
	drained     atomic.Int64 // when clients were told to leave, by the server's clock; 0 before
	running     sync.WaitGroup
}

// quicPort is a UDP port that is served.
type quicPort struct {
	packets   net.PacketConn
	transport *quic.Transport
	listener  *quic.Listener
	local     backline.Addr
	told      string // Alt-Svc for the clients of the TCP port with the same number
}

// quicSession is one connection.
type quicSession struct {
	session
	conn        *quic.Conn
	idle        idleness
	slots       chan struct{}         // has a value for each request that is served
	shaken      func()                // called at the end of the handshake
	certificate unique.Handle[string] // keeps tls.Server one string for all connections
}

// How long a client may be out of reach: QUIC itself asks for signs of life, which TCP leaves to the kernel. So an
// answer may pause for as long as it likes.
const (
	quicSilence = 30 * time.Second
	quicPing    = quicSilence / 2
)

// unverified is how many handshakes may be under way before clients first have to show that they are where they say
// (Retry, RFC 9000 8.1.2). That takes a round trip, and keeps a packet with a forged sender from costing more than an
// answer.
const unverified = 100

// controlStreams is how many streams a client may have besides its requests: control and QPACK, and some whose kind
// nobody knows (RFC 9114 6.2).
const controlStreams = 8

// headOverhead is what HTTP/2 and HTTP/3 count besides the bytes of header fields: 32 for each (RFC 9113 6.5.2). It
// keeps their limits above h1's, which has the better answer.
const headOverhead = 32 * 128

// farewell is how long a client that has been told to leave has for doing so before an idle connection is closed.
const farewell = time.Second

// ListenPackets opens the UDP port with the listener's number, for HTTP/3; it does nothing where there is no such
// number. The processes of an upgrade do not share it: each would get packets of the other's connections.
func (l *Listener) ListenPackets(ctx context.Context) error {
	if l.local.Port == 0 {
		return nil
	}
	var config net.ListenConfig
	packets, err := config.ListenPacket(ctx, "udp", l.Addr().String())
	if err != nil {
		return explainBind("udp://"+l.Addr().String(), err)
	}
	l.packets = packets
	return nil
}

func newHTTP3(s *Server) *http3 {
	h := &http3{server: s}
	h.net = quich3.Server{
		Handler: http.HandlerFunc(h.serve), MaxHeaderBytes: s.headRoom + headOverhead, Logger: s.options.Log,
	}
	return h
}

// ServePackets serves the UDP port of one of Run's listeners that got one after Run had begun, and before its context
// ended: a process that takes another's place has to wait for that one's.
func (s *Server) ServePackets(l *Listener) error {
	if l.packets == nil {
		return nil
	}
	return s.http3.open(l)
}

// open serves a listener's UDP port from now on.
func (h *http3) open(l *Listener) error {
	o := &h.server.options
	port := &quicPort{
		packets: l.packets, local: l.local,
		told: fmt.Sprintf(`h3=":%d"; ma=86400`, orDefault(o.HTTP3Port, l.local.Port)), // for a day
	}
	l.packets = nil
	port.transport = &quic.Transport{
		Conn:                port.packets,
		VerifySourceAddress: func(net.Addr) bool { return h.handshaking.Load() >= unverified },
		ConnContext: func(ctx context.Context, info *quic.ClientInfo) (context.Context, error) {
			return h.admit(ctx, udpAddress(info.RemoteAddr))
		},
	}
	window := uint64(o.UploadWindow)
	var err error
	port.listener, err = port.transport.Listen(quich3.ConfigureTLSConfig(o.TLS), &quic.Config{
		HandshakeIdleTimeout:           o.HandshakeTimeout / 2, // quic-go gives the whole handshake twice as long
		MaxIdleTimeout:                 quicSilence,
		KeepAlivePeriod:                quicPing,
		InitialStreamReceiveWindow:     window,
		MaxStreamReceiveWindow:         window,
		InitialConnectionReceiveWindow: 2 * window,
		MaxConnectionReceiveWindow:     windows * window,
		MaxIncomingStreams:             int64(o.Streams),
		MaxIncomingUniStreams:          controlStreams,
	})
	if err != nil {
		return errors.Join(err, port.packets.Close())
	}
	all := append(slices.Clone(h.opened()), port)
	h.ports.Store(&all)
	h.running.Go(func() { h.accept(port) })
	return nil
}

type quicKey struct{}

var errCrowded = errors.New("too many connections")

// admit counts a connection whose first packet has come, or refuses it; then nothing is kept of it.
func (h *http3) admit(ctx context.Context, client backline.Addr) (context.Context, error) {
	s := h.server
	counted, ok := s.enterAddress(client)
	release := s.count(client, counted)
	if ok && s.connected.Load() > int64(s.options.MaxConnections) {
		s.makeRoom()
	}
	if !ok || s.connected.Load() > int64(s.options.MaxConnections) {
		release()
		return nil, errCrowded
	}
	h.handshaking.Add(1)
	one := &quicSession{
		client: client, version: "3", scheme: "https",
		slots:  make(chan struct{}, s.options.Streams),
		shaken: sync.OnceFunc(func() { h.handshaking.Add(-1) }),
	}
	context.AfterFunc(ctx, func() {
		one.shaken()
		release()
	})
	return context.WithValue(ctx, quicKey{}, one), nil
}

// accept serves the connections of a port whose handshake is over, until its listener is closed.
func (h *http3) accept(port *quicPort) {
	for {
		conn, err := port.listener.Accept(context.Background())
		if err != nil {
			return
		}
		h.running.Go(func() { h.carry(port, conn) })
	}
}

// carry serves a connection until its end.
func (h *http3) carry(port *quicPort, conn *quic.Conn) {
	s, one := h.server, attached[*quicSession](conn.Context(), quicKey{})
	one.shaken()
	one.conn, one.local = conn, port.local
	if local := udpAddress(conn.LocalAddr()); local.Host != "" {
		one.local.Host = local.Host // the port may be that of every address
	}
	state := conn.ConnectionState().TLS
	one.tls, one.certificate = describe(s.options.TLS, &state)
	one.idle.begin(s.clock.Load())
	if !h.sessions.add(one) {
		one.close()
		return
	}
	defer h.sessions.remove(one)
	_ = h.net.ServeQUICConn(conn)
}

// serve serves a request. QUIC counts streams, but a stream has ended for it when both sides have let go, and a worker
// may still be busy with the request; so requests are counted too.
func (h *http3) serve(w http.ResponseWriter, r *http.Request) {
	one := attached[*quicSession](r.Context(), quicKey{})
	one.idle.interrupt()
	defer one.idle.resume(h.server)
	select {
	case one.slots <- struct{}{}:
		defer func() { <-one.slots }()
	case <-r.Context().Done():
		panic(http.ErrAbortHandler)
	}
	h.server.serveStream(&one.session, w, r)
}

// tend ends connections that idle: for longer than KeepAlive, or because clients have been told to leave.
func (h *http3) tend() {
	s := h.server
	limit := s.options.idleTime()
	if since := h.drained.Load(); since != 0 && s.clock.Load()-since > int64(farewell) {
		limit = 0
	}
	h.sessions.each(func(one *quicSession) { one.closeIfIdle(s.clock.Load(), limit) })
}

func (one *quicSession) close() {
	_ = one.conn.CloseWithError(quic.ApplicationErrorCode(quich3.ErrCodeNoError), "")
}

// closeIfIdle ends a connection that has had no request for so long, and tells whether it did.
func (one *quicSession) closeIfIdle(now int64, age time.Duration) bool {
	idle := one.idle.longer(now, age)
	if idle {
		one.close()
	}
	return idle
}

// leave refuses new connections and requests (GOAWAY, RFC 9114 5.2), and lets those that have begun end. What it gives
// cuts them.
func (h *http3) leave() (cut func()) {
	ports := h.opened()
	if len(ports) == 0 {
		return func() {}
	}
	h.drained.Store(h.server.clock.Load())
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	for _, port := range ports {
		_ = port.listener.Close()
	}
	group.Go(func() { _ = h.net.Shutdown(ctx) })
	return func() {
		h.cut()
		cancel()
		group.Wait()
		h.running.Wait()
		for _, port := range ports {
			_ = port.transport.Close()
			_ = port.packets.Close()
		}
		h.ports.Store(nil)
	}
}

// cut ends every connection at once.
func (h *http3) cut() { h.sessions.each((*quicSession).close) }

// opened are the ports that are served.
func (h *http3) opened() []*quicPort {
	if ports := h.ports.Load(); ports != nil {
		return *ports
	}
	return nil
}

func udpAddress(a net.Addr) backline.Addr {
	udp, is := a.(*net.UDPAddr)
	if !is || udp.IP.IsUnspecified() {
		return backline.Addr{}
	}
	return backline.Addr{Host: udp.AddrPort().Addr().Unmap().String(), Port: udp.Port}
}

// told is what clients of the TCP port are told: that there is HTTP/3, and where (RFC 7838). Empty: there is none.
func (h *http3) told(port int) string {
	for _, each := range h.opened() {
		if each.local.Port == port && h.drained.Load() == 0 {
			return each.told
		}
	}
	return ""
}
