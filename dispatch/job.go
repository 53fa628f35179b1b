package dispatch

import (
	"bytes"
	"time"

	"backline"
	"backline/wire"
)

// Job is what an exchange carries that is no client's request: a function which a worker wants run elsewhere. The
// exchange goes through the dispatcher of another pool as requests do, and its client is the worker that wants it.
type Job struct {
	Function  []byte
	Arguments []byte
	Deadline  time.Time // for all of it, waiting included; its process is then killed
}

// Jobs takes what workers offload: the dispatcher of another pool, or what starts that pool first.
type Jobs interface{ Submit(ex *Exchange) }

// overdueJob tells whether the exchange is a job whose time is up.
func (ex *Exchange) overdueJob(now time.Time) bool {
	return ex.Job != nil && now.After(ex.Job.Deadline)
}

// caller is the client of a job: the worker that offloaded it and waits on its control connection.
type caller struct {
	control *control
	token   uint32
}

// offload gives a worker's job to the pool for it. Called on the goroutine that reads the control connection.
func (w *WorkerConn) offload(m *wire.Message) {
	jobs := w.dispatcher.options.Jobs
	if jobs == nil {
		w.control.send(func(b *wire.Batch) { b.AddResult(m.Stream, wire.OutcomeRefused, nil) })
		return
	}
	ex := w.dispatcher.offloaded.New()
	ex.Client = caller{w.control, m.Stream}
	ex.Job = &Job{
		Function: bytes.Clone(m.Reason), Arguments: bytes.Clone(m.Data),
		Deadline: time.Now().Add(time.Duration(m.N) * time.Millisecond),
	}
	if !w.control.begin(m.Stream, ex) {
		w.dispatcher.log.Error("a worker broke the worker protocol; it is replaced", "worker", w.Name,
			"error", "two jobs have the same token")
		ex.Release()
		w.dispatcher.mu.Lock()
		w.replace(RetireProtocol)
		w.dispatcher.mu.Unlock()
		return
	}
	jobs.Submit(ex)
}

// cancelJobs drops what a worker that has gone had offloaded; on the goroutine that called offload. A function under
// way goes on until its deadline, for nobody: it cannot be stopped but by killing its process.
func (w *WorkerConn) cancelJobs() {
	for _, ex := range w.control.abandon() {
		ex.Disconnect()
		ex.Release()
	}
}

// Answer implements Client: the function has returned or raised.
func (c caller) Answer(ex *Exchange, m *wire.Message) { c.end(ex, wire.Outcome(m.Status), m.Data) }

// Fail implements Client.
func (c caller) Fail(ex *Exchange, why *Failure) {
	outcome := wire.OutcomeLost
	switch why {
	case FailTimeout, FailQueueTime:
		outcome = wire.OutcomeTimeout
	case FailQueueFull:
		outcome = wire.OutcomeBusy
	case FailStopping:
		outcome = wire.OutcomeRefused
	}
	c.end(ex, outcome, nil)
}

// Data, End, Hint and Wanted implement Client; no worker sends them for a job.

func (caller) Data(*Exchange, []byte)           {}
func (caller) End(*Exchange)                    {}
func (caller) Hint(*Exchange, []backline.Field) {}
func (caller) Wanted(*Exchange, int, bool)      {}

// end tells the worker, if it still waits.
func (c caller) end(ex *Exchange, outcome wire.Outcome, data []byte) {
	if c.control.finish(c.token, ex) {
		c.control.send(func(b *wire.Batch) { b.AddResult(c.token, outcome, data) })
		ex.Release()
	}
}
