package dispatch

// Failure is why no (whole) answer came from the application. It is shared by the answer to the client, the access log
// and the metrics.
type Failure struct {
	Status int    // what the client gets if nothing was answered yet; 0, and else: its connection is cut
	Name   string // one word for logs: "queue-full"
	Reason string // one sentence for the client; says nothing about the inside
	Wait   int    // seconds for Retry-After, 0 for none
}

// The failures. They are values, compared by address.
//
//nolint:gochecknoglobals // never written; Go has no constants of a struct type
var (
	FailQueueFull = &Failure{503, "queue-full", "The server is busy and its queue is full. Try again in a moment.", 1}
	FailQueueTime = &Failure{503, "queue-timeout", "The server is busy. Try again in a moment.", 1}
	FailStopping  = &Failure{503, "stopping", "The server is being restarted. Try again in a moment.", 1}
	FailWorker    = &Failure{502, "worker", "The process that ran this request ended unexpectedly.", 0}
	FailTimeout   = &Failure{504, "timeout", "The application took too long to answer.", 0}
	FailSilent    = &Failure{504, "stream-timeout", "The application stopped sending its answer.", 0}
	FailApp       = &Failure{500, "application", "The application failed to answer this request.", 0}
	FailNoAnswer  = &Failure{0, "no-answer", "", 0}
)
