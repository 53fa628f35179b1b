package main

import (
	"context"
	"errors"
	"log/slog"
	"sync"

	"backline/accesslog"
	"backline/compress"
	"backline/config"
	"backline/dispatch"
	"backline/edge"
	"backline/h1"
	"backline/negotiate"
	"backline/supervisor"
	"backline/websocket"
)

// prefetch is how many requests beyond its concurrency a fast worker may hold.
const prefetch = 64

// urgentAtMost is how many requests of health_paths may wait beside the queue: more than ask in earnest, and few enough
// that whoever floods them takes little from others.
const urgentAtMost = 64

func dispatchOptions(c *config.Config, log *slog.Logger) dispatch.Options {
	options := dispatch.Options{
		QueueSize: c.QueueSize, UrgentSize: urgentAtMost, QueueTimeout: c.QueueTimeout,
		Timeout: c.Timeout, StreamTimeout: c.StreamTimeout,
		DisconnectGrace: c.DisconnectGrace, BusyStall: c.BusyStall, Retry: c.Retry == "safe",
		Redeliver: c.WebSocketRedeliver, Prefetch: prefetch,
		MaxRequests: c.MaxRequests, MaxRequestsJitter: c.MaxRequestsJitter, Log: log,
	}
	if c.Sticky != "off" {
		options.Sticky, options.StickySize, options.StickyTime = c.Sticky, c.StickySessions, c.StickyTimeout
	}
	if c.QueueTimeout == 0 {
		// Who may not wait at all needs no queue; the dispatcher's own 0 is "without limit".
		options.QueueSize, options.UrgentSize = 0, 0
	}
	return options
}

func edgeOptions(c *config.Config, room capacity, a *access, log *slog.Logger) edge.Options {
	options := edge.Options{
		Head: h1.Limits{
			RequestLine: int(c.LimitRequestLine), HeaderBlock: int(c.LimitHeaderBlock), HeaderFields: c.LimitRequestFields,
		},
		MaxBody: c.LimitRequestBody, HeaderTimeout: c.HeaderTimeout, KeepAlive: orNone(c.KeepAlive),
		BodyRate: int(orNone(c.BodyMinRate)), BodyWindow: c.BodyRateWindow, WriteTimeout: c.WriteTimeout,
		MaxConnections: room.connections, BodyMemory: int(orNone(c.BodyMemory)),
		AnswerMemory: int(c.AnswerMemory), AnswerFile: orNone(c.AnswerFile),
		TempDir: c.TempDir, HideServer: !c.ServerHeader, HideDate: !c.DateHeader, Log: log,
	}
	options.HTTP2, options.HTTP2Cleartext, options.HTTP3Port = c.HTTP2, c.HTTP2Cleartext, c.HTTP3Port
	options.Streams, options.UploadWindow = c.HTTP2MaxStreams, int(c.HTTP2Window)
	options.ControlFrames = c.HTTP2MaxControlFrames
	options.WebSockets = edge.WebSockets{
		MaxMessage: int(c.WebSocketMaxMessage), MaxFragments: c.WebSocketMaxFragments,
		Deflate: websocket.DeflateSettings{
			Off: !c.WebSocketCompression, Level: c.WebSocketCompressionLevel, MinSize: int(c.WebSocketCompressionMinSize),
			WindowBits: c.WebSocketCompressionWindow,
		},
		Window: int(c.WebSocketWindow), Groups: c.WebSocketGroups, Queue: int(c.WebSocketQueue), Drain: c.WebSocketDrain,
		WriteTimeout: c.WebSocketWriteTimeout,
		PingInterval: orNone(c.WebSocketPingInterval), PingTimeout: orNone(c.WebSocketPingTimeout),
		Keep: !c.WebSocketHandover,
	}
	options.Posts = edge.Posts{Reply: int(c.WebSocketOverHTTPReply), Retries: c.WebSocketOverHTTPRetries}
	if a != nil {
		options.Access = a
	}
	return options
}

// compressor gives what compresses answers; nil when off.
func compressor(c *config.Config) *compress.Compressor {
	if !c.Compress {
		return nil
	}
	options := compress.Options{Types: c.CompressTypes, MinSize: c.CompressMinSize, Encoders: c.CompressEncoders}
	for _, name := range c.CompressCodings {
		options.Codings = append(options.Codings, map[string]negotiate.Coding{
			"zstd": negotiate.Zstd, "gzip": negotiate.Gzip, "br": negotiate.Brotli,
		}[name])
	}
	options.Level = map[string]compress.Level{
		"fast": compress.Fast, "balanced": compress.Balanced, "small": compress.Small,
	}[c.CompressLevel]
	return compress.New(options)
}

// orNone turns the settings' 0, which means none, off or never, into that of the parts' options, whose 0 is their
// default.
func orNone[T ~int64](n T) T {
	if n == 0 {
		return -1
	}
	return n
}

// access writes the access log.
type access struct {
	format *accesslog.Format
	sink   *accesslog.Sink
}

func openAccess(loaded *config.Loaded, log *slog.Logger) (*access, error) {
	c := &loaded.Config
	format, err := accesslog.Compile(c.AccessLogformat)
	if err != nil {
		return nil, loaded.Mistake("access_logformat", err)
	}
	if c.AccessLogfile == "" {
		return nil, nil //nolint:nilnil // off
	}
	sink, err := accesslog.Open(c.AccessLogfile)
	if err != nil {
		return nil, err
	}
	sink.Lost = func(lines uint64, err error) { log.Warn("the access log lost lines", "lines", lines, "error", err) }
	return &access{format, sink}, nil
}

// run writes lines until ctx ends, then the rest.
func (a *access) run(ctx context.Context) error {
	return errors.Join(a.sink.Run(ctx), a.sink.Close())
}

// Write implements edge.AccessLog.
func (a *access) Write(r *accesslog.Record) {
	var line [512]byte
	_, _ = a.sink.Write(a.format.Append(line[:0], r))
}

// NeedsAnswer implements edge.AccessLog.
func (a *access) NeedsAnswer() bool { return a.format.NeedsAnswer() }

// observer introduces the workers that the supervisor brings up to who gives them work: the two do not know each other.
type observer struct {
	attach func(*supervisor.Worker) link

	mu    sync.Mutex
	links map[*supervisor.Worker]link
}

// link is a dispatcher's, or a listener's, connection to one worker.
type link interface {
	supervisor.Link
	// Close is for a worker whose process has gone.
	Close()
}

func newObserver(attach func(*supervisor.Worker) link) *observer {
	return &observer{attach: attach, links: map[*supervisor.Worker]link{}}
}

// attachTo gives what introduces workers to a dispatcher.
func attachTo(d *dispatch.Dispatcher) func(*supervisor.Worker) link {
	return func(w *supervisor.Worker) link {
		retire := func(why dispatch.Retirement) {
			if why == dispatch.RetireTimeout {
				w.Kill(supervisor.TimedOut)
				return
			}
			w.Retire(reasonFor(why))
		}
		return d.Attach(w.Name, w.Hello, w.Up, w.Conn, w.Control, w.Begun, retire)
	}
}

// WorkerUp implements supervisor.Observer.
func (o *observer) WorkerUp(w *supervisor.Worker) supervisor.Link { //nolint:ireturn // the interface says so
	link := o.attach(w)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.links[w] = link
	return link
}

// WorkerDown implements supervisor.Observer.
func (o *observer) WorkerDown(w *supervisor.Worker, _ supervisor.Reason) {
	o.mu.Lock()
	link := o.links[w]
	delete(o.links, w)
	o.mu.Unlock()
	link.Close()
}

// reasonFor gives the supervisor's word for the dispatcher's.
func reasonFor(why dispatch.Retirement) supervisor.Reason {
	switch why {
	case dispatch.RetireMaxRequests:
		return supervisor.MaxRequests
	case dispatch.RetireStuck:
		return supervisor.Stuck
	default:
		return supervisor.Broken
	}
}
