package edge

import (
	"bytes"
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"backline"
	_ "backline/edge/extendedconnect" // WebSockets
	"backline/h1"
)

// session is one connection that carries many requests at a time, over HTTP/2 or HTTP/3: what they have in common.
type session struct {
	client, local   backline.Addr
	version, scheme string
	tls             *backline.TLS
}

// http2 is HTTP/2 by net/http, which is given no HTTP/1 to speak: what speaks that stays with h1, so that there is one
// parser with one opinion. Its connections are goroutines; they arrive through feed and are counted with all others.
type http2 struct {
	server   *Server
	net      http.Server
	feed     feed
	carriers roster[*carrier]
	noted    notice // that one of them was closed because of its toll
}

// carrier is one of its connections, as net/http reads and writes it.
type carrier struct {
	net.Conn
	session *session
	http2   *http2
	early   []byte // what the client sent before the connection was given to net/http
	idle    idleness
	written atomic.Int64 // when the write that is under way began, by the server's clock; 0: there is none
	in, out toll         // each only touched by whoever reads or writes, of which net/http has one at a time
	closing sync.Once
	release func() // counts it out; nil where whoever accepted it does
}

// encrypted is a carrier whose TLS handshake is over. For net/http, ConnectionState makes the difference.
type encrypted struct {
	*carrier
	tls *tls.Conn
}

func (e encrypted) ConnectionState() tls.ConnectionState { return e.tls.ConnectionState() }

// carried is what both are to the hooks of net/http.
type carried interface{ self() *carrier }

func (c *carrier) self() *carrier { return c }

// windows is how many request bodies that nobody reads a connection may carry before it is full: its window is as many
// times that of a stream. Fewer, and a few uploads that wait for a busy worker would hold up all others.
const windows = 8

// minFrameSize is the least that a longest frame may have (RFC 9113 6.5.2). A connection keeps a buffer of this size,
// and net/http would let clients make it a mebibyte.
const minFrameSize = 16 << 10

func newHTTP2(s *Server) *http2 {
	o := &s.options
	h := &http2{server: s, feed: feed{conns: make(chan net.Conn), closed: make(chan struct{})}}
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	protocols.SetUnencryptedHTTP2(true)
	h.net = http.Server{
		Handler:   http.HandlerFunc(h.serve),
		Protocols: &protocols,
		HTTP2: &http.HTTP2Config{
			MaxConcurrentStreams:          o.Streams,
			MaxReceiveBufferPerStream:     o.UploadWindow,
			MaxReadFrameSize:              minFrameSize,
			MaxReceiveBufferPerConnection: windows * o.UploadWindow,
		},
		// Clients' priorities could keep a stream waiting for as long as another lasts, and WriteTimeout would then cut off
		// somebody who is only patient. In turns, every stream moves.
		DisableClientPriority:        true,
		DisableGeneralOptionsHandler: true, // "OPTIONS *" is the application's
		IdleTimeout:                  o.idleTime(),
		ReadHeaderTimeout:            o.HeaderTimeout,
		MaxHeaderBytes:               s.headRoom + headOverhead,
		// Twice, because cookies are joined before h1 counts.
		MaxHeaderValueCount: 2 * orDefault(o.Head.HeaderFields, h1.DefaultHeaderFields),
		ConnContext: func(ctx context.Context, c net.Conn) context.Context {
			known, _ := c.(carried)
			return context.WithValue(ctx, carrierKey{}, known.self())
		},
		// Clients' mistakes, and how many of them is the clients' choice.
		ErrorLog: slog.NewLogLogger(o.Log.Handler(), slog.LevelDebug),
	}
	return h
}

type carrierKey struct{}

// attached gives what this package has put into the context of a connection.
func attached[T any](ctx context.Context, key any) T {
	value, _ := ctx.Value(key).(T)
	return value
}

func (h *http2) serve(w http.ResponseWriter, r *http.Request) {
	c := attached[*carrier](r.Context(), carrierKey{})
	c.idle.interrupt()
	defer c.idle.resume(h.server)
	h.server.serveStream(c.session, w, r)
}

// run serves what is fed until stop.
func (h *http2) run() { _ = h.net.Serve(&h.feed) } // it only ever ends with ErrServerClosed

// drain lets connections end as their requests end (GOAWAY, RFC 9113 6.8). What it gives cuts those that are left.
func (h *http2) drain() (cut func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var group sync.WaitGroup
	group.Go(func() { h.shutDown(ctx) })
	return func() {
		cancel()
		group.Wait()
		h.cut()
	}
}

// shutDown returns when no connection is left, or ctx has ended. Shutdown tells those that its HTTP/2 half knows, once;
// one that was given to it in that moment would never hear of it, so it is called again and again.
func (h *http2) shutDown(ctx context.Context) {
	for left := true; left && ctx.Err() == nil; {
		turn, cancel := context.WithTimeout(ctx, tick)
		left = h.net.Shutdown(turn) != nil
		cancel()
	}
}

// tend closes connections whose clients take nothing at all. net/http would do so by a deadline for each write, which
// costs more than the write.
func (h *http2) tend() {
	now, limit := h.server.clock.Load(), int64(h.server.options.WriteTimeout)
	h.carriers.each(func(c *carrier) {
		if began := c.written.Load(); began != 0 && now-began > limit {
			_ = c.Close()
		}
	})
}

// cut ends every connection at once.
func (h *http2) cut() {
	_ = h.net.Close()
	h.carriers.each(func(c *carrier) { _ = c.Close() })
}

// adopt serves a connection whose client and we have agreed on HTTP/2. It is called on a goroutine of the connection's
// own, and conn may be read and written like any other; its end is conn.Close.
func (s *Server) adopt(conn *tls.Conn, client, local backline.Addr) {
	about := &session{client: client, local: local, version: "2", scheme: "https", tls: tlsOf(conn)}
	c := &carrier{Conn: conn, session: about, http2: s.http2}
	s.http2.take(c, encrypted{c, conn})
}

// take feeds a connection to net/http.
func (h *http2) take(c *carrier, conn net.Conn) {
	now := h.server.clock.Load()
	c.idle.begin(now)
	c.in, c.out = newTolls(now)
	h.carriers.add(c)
	h.feed.give(conn)
}

// isPreface tells whether what has come from a client without TLS is the beginning of HTTP/2 (RFC 9113 3.3), or may be.
func (c *conn) isPreface() (may, whole bool) {
	if !c.server.options.HTTP2Cleartext || c.secure != nil {
		return false, false
	}
	said := c.in[c.off:]
	n := min(len(said), len(preface))
	may = string(said[:n]) == preface[:n]
	return may, may && n == len(preface)
}

const preface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"

// turnToHTTP2 gives a connection to net/http whose client has begun with the preface.
func (c *conn) turnToHTTP2() {
	s := c.server
	socket, err := c.netConn()
	if err != nil {
		s.options.Log.Error("a connection cannot be given to HTTP/2", "error", err)
		c.close()
		return
	}
	about := &session{client: c.client, local: c.local, version: "2", scheme: c.scheme()}
	early := bytes.Clone(c.in[c.off:])
	next := &carrier{Conn: socket, session: about, http2: s.http2, early: early, release: c.passOn()}
	c.watcher.detach(c)
	c.close()
	c.mu.Unlock()
	s.http2.take(next, next)
	c.mu.Lock()
}

// Read implements net.Conn.
func (c *carrier) Read(p []byte) (n int, err error) {
	if len(c.early) > 0 {
		n = copy(p, c.early)
		c.early = c.early[n:]
	} else {
		n, err = c.Conn.Read(p)
	}
	if !c.pay(&c.in, p[:n]) {
		return 0, errToll
	}
	return n, err
}

// Write implements net.Conn.
func (c *carrier) Write(p []byte) (n int, err error) {
	if !c.pay(&c.out, p) {
		_ = c.Close()
		return 0, errToll
	}
	c.written.Store(c.http2.server.clock.Load())
	defer c.written.Store(0)
	return c.Conn.Write(p)
}

func (c *carrier) pay(t *toll, p []byte) bool {
	s := c.http2.server
	now := s.clock.Load()
	may := t.pay(p, s.options.ControlFrames, now)
	if !may && c.http2.noted.due(now, time.Minute) {
		s.options.Log.Warn("an HTTP/2 connection is closed: "+errToll.Error(), "client", c.session.client.Host,
			"http2_max_control_frames", s.options.ControlFrames)
	}
	return may
}

// Close implements net.Conn.
func (c *carrier) Close() (err error) {
	c.closing.Do(func() {
		err = c.Conn.Close()
		c.http2.carriers.remove(c)
		if c.release != nil {
			c.release()
		}
	})
	return err
}

// closeIfIdle ends a connection that has had no request for so long, and tells whether it did.
func (c *carrier) closeIfIdle(now int64, age time.Duration) bool {
	idle := c.idle.longer(now, age)
	if idle {
		_ = c.Close()
	}
	return idle
}

// feed is the listener that net/http accepts from.
type feed struct {
	conns   chan net.Conn
	closed  chan struct{}
	closing sync.Once
}

// give closes the connection if nobody accepts any more.
func (f *feed) give(c net.Conn) {
	select {
	case f.conns <- c:
	case <-f.closed:
		_ = c.Close()
	}
}

// Accept implements net.Listener.
func (f *feed) Accept() (net.Conn, error) {
	select {
	case c := <-f.conns:
		return c, nil
	case <-f.closed:
		return nil, net.ErrClosed
	}
}

// Close implements net.Listener.
func (f *feed) Close() error {
	f.closing.Do(func() { close(f.closed) })
	return nil
}

// Addr implements net.Listener.
func (f *feed) Addr() net.Addr { return &net.TCPAddr{} }
