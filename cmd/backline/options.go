package main

import (
	"log/slog"
	"sync"
	"time"

	"backline/accesslog"
	"backline/config"
	"backline/dispatch"
	"backline/edge"
	"backline/h1"
	"backline/supervisor"
)

// prefetch is how many requests beyond its concurrency a fast worker may hold.
const prefetch = 64

func dispatchOptions(c *config.Config, log *slog.Logger) dispatch.Options {
	return dispatch.Options{
		QueueSize: c.QueueSize, QueueTimeout: c.QueueTimeout, Timeout: c.Timeout, StreamTimeout: c.StreamTimeout,
		DisconnectGrace: c.DisconnectGrace, Retry: c.Retry == "safe", Prefetch: prefetch,
		MaxRequests: c.MaxRequests, MaxRequestsJitter: c.MaxRequestsJitter, Log: log,
	}
}

func edgeOptions(c *config.Config, a *access, log *slog.Logger) edge.Options {
	options := edge.Options{
		Head:    h1.Limits{RequestLine: int(c.LimitRequestLine), HeaderBlock: int(c.LimitHeaderBlock), HeaderFields: c.LimitRequestFields},
		MaxBody: c.LimitRequestBody, HeaderTimeout: c.HeaderTimeout, KeepAlive: c.KeepAlive,
		BodyRate: int(c.BodyMinRate), BodyWindow: c.BodyRateWindow, WriteTimeout: c.WriteTimeout,
		MaxConnections: c.LimitConnections, BodyMemory: int(c.BodyMemory), AnswerMemory: int(c.AnswerMemory), AnswerFile: c.AnswerFile,
		TempDir: c.TempDir, RootPath: c.RootPath, HideServer: !c.ServerHeader, HideDate: !c.DateHeader, Log: log,
	}
	if a != nil {
		options.Access = a
	}
	return options
}

// orNever turns the settings' "0: not at all" into the supervisor's.
func orNever(d time.Duration) time.Duration {
	if d == 0 {
		return -1
	}
	return d
}

// access writes the access log.
type access struct {
	format *accesslog.Format
	sink   *accesslog.Sink
}

func openAccess(loaded *config.Loaded) (*access, error) {
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
	return &access{format, sink}, nil
}

// Write implements edge.AccessLog.
func (a *access) Write(r *accesslog.Record) {
	var line [512]byte
	_, _ = a.sink.Write(a.format.Append(line[:0], r))
}

// NeedsAnswer implements edge.AccessLog.
func (a *access) NeedsAnswer() bool { return a.format.NeedsAnswer() }

// observer introduces the workers that the supervisor brings up to the dispatcher: the two do not know each other.
type observer struct {
	dispatcher *dispatch.Dispatcher

	mu    sync.Mutex
	links map[*supervisor.Worker]*dispatch.WorkerConn
}

func newObserver(d *dispatch.Dispatcher) *observer {
	return &observer{dispatcher: d, links: map[*supervisor.Worker]*dispatch.WorkerConn{}}
}

// WorkerUp implements supervisor.Observer.
func (o *observer) WorkerUp(w *supervisor.Worker) supervisor.Link {
	link := o.dispatcher.Attach(w.Name, w.Hello, w.Up, w.Conn, w.Control, func(why dispatch.Retirement) { w.Retire(reasons[why]) })
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

var reasons = map[dispatch.Retirement]supervisor.Reason{ //nolint:gochecknoglobals // a constant table
	dispatch.RetireMaxRequests: supervisor.MaxRequests, dispatch.RetireStuck: supervisor.Stuck, dispatch.RetireProtocol: supervisor.Broken,
}
