package dispatch

// Failure is why no (whole) answer came from the application. It is shared by the answer to the client, the access log
// and the metrics.
type Failure struct {
	Status int    // what the client gets if nothing was answered yet; 0, and else: its connection is cut
	Name   string // one word for logs: "queue-full"
	Reason string // one sentence for the client; says nothing about the inside
	Wait   int    // seconds for Retry-After, 0 for none
	Close  int    // the code with which an accepted WebSocket ends (RFC 6455 7.4)
}

// Codes with which WebSockets end (RFC 6455 7.4.1 and the registry it made).
const (
	CloseLost     = 1006 // never sent: there was no close frame
	CloseInternal = 1011
	CloseRestart  = 1012
)

// The failures. They are values, compared by address.
//
//nolint:gochecknoglobals // never written; Go has no constants of a struct type
var (
	FailQueueFull = &Failure{
		503, "queue-full", "The server is busy and its queue is full. Try again in a moment.", 1, CloseRestart,
	}
	FailQueueTime = &Failure{503, "queue-timeout", "The server is busy. Try again in a moment.", 1, CloseRestart}
	FailStopping  = &Failure{503, "stopping", "The server is being restarted. Try again in a moment.", 1, CloseRestart}
	FailWorker    = &Failure{502, "worker", "The process that ran this request ended unexpectedly.", 0, CloseInternal}
	FailTimeout   = &Failure{504, "timeout", "The application took too long to answer.", 0, CloseInternal}
	FailSilent    = &Failure{504, "stream-timeout", "The application stopped sending its answer.", 0, CloseInternal}
	FailApp       = &Failure{500, "application", "The application failed to answer this request.", 0, CloseInternal}
	FailRestart   = &Failure{503, "restart", "The server is being restarted. Try again in a moment.", 1, CloseRestart}
	FailNoAnswer  = &Failure{0, "no-answer", "", 0, CloseInternal}
)
