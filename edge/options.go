package edge

import (
	"crypto/tls"
	"log/slog"
	"runtime"
	"time"

	"backline"
	"backline/accesslog"
	"backline/compress"
	"backline/dispatch"
	"backline/h1"
	"backline/static"
	"backline/wire"
)

// Options are the edge's bounds and habits. New fills in the defaults for zero values where a comment names one.
type Options struct {
	// Head bounds request lines and header fields; over them 414 and 431. Defaults 8 KiB, 64 KiB, 100 fields.
	Head h1.Limits
	// MaxBody is the longest request body in bytes; over it 413. Default 1 GiB.
	MaxBody int64
	// HeaderTimeout is how long a request's head may take to arrive from its first byte; then 408. Default 10 s.
	HeaderTimeout time.Duration
	// KeepAlive is how long a connection may idle between requests, and before its first. Default 75 s; negative: every
	// answer closes its connection.
	KeepAlive time.Duration
	// BodyRate in bytes a second is how fast a body must arrive, averaged over BodyWindow; below it 408. Defaults
	// 1024 over 30 s.
	BodyRate   int
	BodyWindow time.Duration
	// WriteTimeout is how long a client may take nothing of what waits for it; then it is cut off. Default 60 s.
	WriteTimeout time.Duration
	// MaxConnections is how many clients may be connected; further ones wait in the kernel's backlog until an idle
	// one has been closed in their favour. Default 20,000.
	MaxConnections int
	// BodyMemory is how much of a collected request body stays in memory before it goes to a file. Default 1 MiB.
	BodyMemory int
	// WholeBody is how long a collected body may be that the handler gets at once, with the request. Default: what a
	// worker takes in one message.
	WholeBody int
	// AnswerMemory and AnswerFile are how much of a WSGI answer may wait for its client, in memory and then in a
	// temporary file; after that the worker waits. Defaults 1 MiB and 1 GiB.
	AnswerMemory int
	AnswerFile   int64
	// TempDir holds these files, which have no name there. Default: the system's.
	TempDir string
	// TLS encrypts the connections of every listener that is not Plain. nil: none. NextProtos is the edge's to set.
	TLS *tls.Config
	// Plain may answer a request that came without TLS in the application's stead: a redirect to https, or what an
	// authority that is to give a certificate wants to see. nil, from it or in its place: the application answers.
	Plain func(scope *backline.Scope) *Page
	// HTTP2 offers HTTP/2 to clients with TLS. HTTP2Cleartext takes it from clients without that begin with it ("prior
	// knowledge"), as proxies inside a network do.
	HTTP2, HTTP2Cleartext bool
	// HTTP3 is spoken on the UDP ports of listeners that have one (Listener.ListenPackets). HTTP3Port is the port that
	// clients of HTTP/1.1 and HTTP/2 are told, for servers that are reached by another one than they listen on. Default:
	// that of the listener.
	HTTP3Port int
	// Streams is how many requests of one HTTP/2 or HTTP/3 connection are served at a time; further ones are refused, and
	// clients know the number. Default 100.
	Streams int
	// UploadWindow is how many bytes of one request's body a client of HTTP/2 or HTTP/3 may send before somebody has read
	// them. Small, it slows uploads from far away; large, it is memory of the server. Default 256 KiB.
	UploadWindow int
	// ControlFrames is how many frames that belong to no request an HTTP/2 client may send in 10 s; then its connection is
	// closed. Too few would hit clients that cancel much. Default 1000.
	ControlFrames int
	// HandshakeTimeout is how long a client may take from connecting to the end of the TLS handshake; then it is cut off.
	// Default 10 s.
	HandshakeTimeout time.Duration
	// Handshakes is how many TLS handshakes are computed at once; others wait, those that wait for their client are not
	// counted. Default: the number of processors.
	Handshakes int
	// Gate says who is believed about clients, and who is let in.
	Gate Gate
	// Scheme and RootPath are what applications are told. Default scheme "http".
	Scheme, RootPath string
	// HideServer and HideDate leave these header fields out of answers.
	HideServer, HideDate bool
	// Route chooses where a request goes that has been let in; webSocket says that its client asks for a WebSocket. nil
	// from it: that cannot be had, so the request is asked about once more, as any other. nil in its place: every request
	// goes to the server's handler.
	Route func(scope *backline.Scope, webSocket bool) *Route
	// Pollers is how many goroutines wait for clients' sockets (Linux). Default: half the processors, at least one.
	Pollers int
	// Holds says how answers are held for what is published.
	Holds Holds
	// WebSockets are the bounds for connections that become WebSockets.
	WebSockets WebSockets
	// Posts are the bounds of WebSocket-over-HTTP.
	Posts Posts
	// Layer has the groups that WebSockets may be in. nil: there are no groups.
	Layer Groups
	// Files answers requests for static files, and opens those that applications name. Default: no static files, and
	// applications may send whatever they may read.
	Files *static.Files
	// CopyFiles sends files by reading and writing them, for file systems on which sendfile(2) is broken.
	CopyFiles bool
	// Compress compresses what applications answer. nil: nothing is compressed.
	Compress *compress.Compressor
	// Access receives a record of every finished request. nil: nothing is recorded.
	Access AccessLog
	// Log receives what people should know. nil: nothing is logged.
	Log *slog.Logger
}

// AccessLog is who writes the access log.
type AccessLog interface {
	// Write takes one record, which is only valid during the call. It must not block.
	Write(r *accesslog.Record)
	// NeedsAnswer tells whether records need the answer's header fields.
	NeedsAnswer() bool
}

// Route is where requests of one kind go.
type Route struct {
	Handler Handler
	// RootPath is what the application is told of where it is mounted.
	RootPath string
	// Urgent requests wait in front of all others.
	Urgent bool
	// Posts has the application asked by POST about WebSockets (WebSocket-over-HTTP), where answers are held (Holds.Hub).
	Posts bool
}

// Handler is who answers requests: the dispatcher.
type Handler interface {
	// Submit takes an exchange; the answer comes to its Client.
	Submit(ex *dispatch.Exchange)
	// WSGI tells whether request bodies are to be collected first.
	WSGI() bool
	// WebSockets tells whether requests may become WebSockets.
	WebSockets() bool
}

// version and server name are what the Server field says: no version, which would only help those who look for old
// ones.
const serverName = "backline"

func (o *Options) setDefaults() {
	setDefault(&o.MaxBody, 1<<30)
	setDefault(&o.HeaderTimeout, 10*time.Second)
	setDefault(&o.KeepAlive, 75*time.Second)
	setDefault(&o.HandshakeTimeout, 10*time.Second)
	setDefault(&o.Handshakes, runtime.GOMAXPROCS(0))
	setDefault(&o.BodyRate, 1024)
	setDefault(&o.BodyWindow, 30*time.Second)
	setDefault(&o.WriteTimeout, time.Minute)
	setDefault(&o.MaxConnections, 20_000)
	setDefault(&o.BodyMemory, 1<<20)
	setDefault(&o.WholeBody, wire.MaxPiece)
	setDefault(&o.AnswerMemory, 1<<20)
	setDefault(&o.AnswerFile, 1<<30)
	setDefault(&o.Streams, 100)
	setDefault(&o.UploadWindow, 256<<10)
	setDefault(&o.ControlFrames, 1000)
	setDefault(&o.Scheme, "http")
	o.WebSockets.setDefaults()
	o.Holds.setDefaults()
	o.Posts.setDefaults()
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Files == nil {
		o.Files = static.New(static.Options{Log: o.Log})
	}
}

// shortIdle is how long a connection that carries many requests idles where others are closed after each answer.
const shortIdle = time.Second

// idleTime is how long a connection that carries many requests may be without one.
func (o *Options) idleTime() time.Duration {
	if o.KeepAlive < 0 {
		return shortIdle
	}
	return o.KeepAlive
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
