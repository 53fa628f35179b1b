package edge

import (
	"crypto/tls"
	"log/slog"
	"time"

	"backline/accesslog"
	"backline/dispatch"
	"backline/h1"
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
	// AnswerMemory and AnswerFile are how much of a WSGI answer may wait for its client, in memory and then in a
	// temporary file; after that the worker waits. Defaults 1 MiB and 1 GiB.
	AnswerMemory int
	AnswerFile   int64
	// TempDir holds these files, which have no name there. Default: the system's.
	TempDir string
	// TLS encrypts every TCP listener's connections. nil: none. NextProtos is the edge's to set.
	TLS *tls.Config
	// Scheme and RootPath are what applications are told. Default scheme "http".
	Scheme, RootPath string
	// HideServer and HideDate leave these header fields out of answers.
	HideServer, HideDate bool
	// Pollers is how many goroutines wait for clients' sockets (Linux). Default: half the processors, at least one.
	Pollers int
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

// Handler is who answers requests: the dispatcher.
type Handler interface {
	// Submit takes an exchange; the answer comes to its Client.
	Submit(ex *dispatch.Exchange)
	// WSGI tells whether request bodies are to be collected first.
	WSGI() bool
}

// version and server name are what the Server field says: no version, which would only help those who look for old
// ones.
const serverName = "backline"

func (o *Options) setDefaults() {
	setDefault(&o.MaxBody, 1<<30)
	setDefault(&o.HeaderTimeout, 10*time.Second)
	setDefault(&o.KeepAlive, 75*time.Second)
	setDefault(&o.BodyRate, 1024)
	setDefault(&o.BodyWindow, 30*time.Second)
	setDefault(&o.WriteTimeout, time.Minute)
	setDefault(&o.MaxConnections, 20_000)
	setDefault(&o.BodyMemory, 1<<20)
	setDefault(&o.AnswerMemory, 1<<20)
	setDefault(&o.AnswerFile, 1<<30)
	setDefault(&o.Scheme, "http")
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
}

func setDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
