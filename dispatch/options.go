package dispatch

import (
	"log/slog"
	"time"

	"backline/wire"
)

// Options are the dispatcher's bounds. The zero value of a field means what its comment says.
type Options struct {
	// QueueSize is how many requests may wait for a worker; more get 503 at once. 0: none waits.
	QueueSize int
	// UrgentSize is how many urgent requests may wait besides; more get 503 as well. 0: none waits.
	UrgentSize int
	// QueueTimeout is how long a request may wait before it gets 503. 0: without limit.
	QueueTimeout time.Duration
	// Timeout is how long an application may take to begin its answer, counted from the moment it has the request and
	// what there is of its body. Then the client gets 504 and the log the stack. 0: without limit.
	Timeout time.Duration
	// StreamTimeout is how long an answer that has begun may be silent while its client waits. 0: without limit.
	StreamTimeout time.Duration
	// DisconnectGrace is how long an ASGI application may go on after its client has gone before its task is
	// cancelled. Cancelling at once breaks applications that clean up on http.disconnect. 0: at once.
	DisconnectGrace time.Duration
	// Retry lets GET, HEAD and OPTIONS that a dead worker had not begun to answer go to another worker, once. Such
	// requests may then reach the application twice, which RFC 9110 9.2.2 allows.
	Retry bool
	// Redeliver lets a message of a WebSocket whose handler a dead worker had begun go to another worker, once. Handlers
	// may then see a message twice. Without it the message is lost, and that is logged.
	Redeliver bool
	// Prefetch is how many requests beyond its concurrency a worker may hold while its requests take well under a
	// millisecond. 0: none, and a fast application waits a round trip for every batch.
	Prefetch int
	// MaxRequests is after how many requests a worker is replaced, give or take up to MaxRequestsJitter. 0: never.
	MaxRequests, MaxRequestsJitter int
	// Jobs takes what the workers offload. nil: they get an error.
	Jobs Jobs
	// Sessions joins what the workers have of channels to the hub. nil: they get no channels.
	Sessions Sessions
	// BusyStall is how long a request may wait for a worker whose every thread is busy before that is logged, with what
	// the threads do. 0: it is not.
	BusyStall time.Duration
	// Sticky names the member of an answer's JSON, and the parameter of queries, by which a session's requests come to
	// the worker that began it. Empty: requests go to any worker.
	Sticky string
	// StickySize is how many sessions are remembered, and StickyTime for how long each when no request is of it.
	StickySize int
	StickyTime time.Duration
	// Defaults are what the workers were told in their welcome.
	Defaults wire.Defaults
	// Log receives what people should know. nil: nothing is logged.
	Log *slog.Logger
}
