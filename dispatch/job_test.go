package dispatch

import (
	"testing"
	"time"

	"backline/dispatch/dispatchtest"
	"backline/wire"
)

// offloading is a dispatcher whose workers offload, beside the one whose workers compute.
type offloading struct {
	*bundle // the one that computes
	web     *bundle
	worker  *attached // of web
}

func setupJobs(t *testing.T, options Options) *offloading {
	t.Helper()
	b := setup(t, options)
	web := &bundle{t: t, logs: b.logs, Dispatcher: New(Options{QueueSize: 8, Jobs: b.Dispatcher})}
	return &offloading{b, web, web.attach("wsgi", 4)}
}

// offload has the worker ask for a job.
func (o *offloading) offload(token int, arguments string, timeout time.Duration) {
	o.worker.SendControl(dispatchtest.Tuple{
		wire.KindOffload, token, "shop:draw", []byte(arguments), int(timeout.Milliseconds()),
	})
}

// expectResult wants the next result.
func (o *offloading) expectResult(token uint32, outcome wire.Outcome, data string) {
	o.t.Helper()
	m := o.worker.NextStacks()
	if m.Kind != wire.KindResult || m.Stream != token || m.N != int(outcome) || string(m.Data) != data {
		o.t.Fatalf("got %+v; expected the result %d of %d, %q", m, outcome, token, data)
	}
}

// expectJob wants the next message to be this job.
func (a *attached) expectJob(t *testing.T, arguments string) uint32 {
	t.Helper()
	m := a.Expect(wire.KindJob)
	if m.Function != "shop:draw" || string(m.Data) != arguments {
		t.Fatalf("got %+v; expected shop:draw with %q", m, arguments)
	}
	return m.Stream
}

func (a *attached) returns(stream uint32, outcome wire.Outcome, data string) {
	a.Send(dispatchtest.Tuple{wire.KindReturn, stream, int(outcome), []byte(data)})
}

func TestJobsGoToAnotherPoolAndBack(t *testing.T) {
	o := setupJobs(t, Options{QueueSize: 8})
	o.offload(7, "first", time.Minute)
	o.offload(8, "second", time.Minute)
	eventually(t, "both jobs wait", func() bool { return o.Waiting() == 2 })
	compute := o.attach("compute", 1)
	stream := compute.expectJob(t, "first")
	if !compute.Quiet() {
		t.Error("a worker got a second job before the first had ended")
	}
	compute.returns(stream, wire.OutcomeReturned, "drawn")
	o.expectResult(7, wire.OutcomeReturned, "drawn")
	compute.returns(compute.expectJob(t, "second"), wire.OutcomeRaised, "no ink")
	o.expectResult(8, wire.OutcomeRaised, "no ink")
	o.offload(7, "again", time.Minute)
	compute.returns(compute.expectJob(t, "again"), wire.OutcomeReturned, "")
	o.expectResult(7, wire.OutcomeReturned, "")
}

func TestJobsBeyondTheQueueAreRefused(t *testing.T) {
	o := setupJobs(t, Options{QueueSize: 1})
	o.offload(1, "waits", time.Minute)
	o.offload(2, "too many", time.Minute)
	o.expectResult(2, wire.OutcomeBusy, "")
	o.Stop()
	o.expectResult(1, wire.OutcomeRefused, "")
	o.offload(3, "late", time.Minute)
	o.expectResult(3, wire.OutcomeRefused, "")
}

func TestWorkersWithoutAComputePoolAreToldSo(t *testing.T) {
	b := setup(t, Options{})
	o := &offloading{b, b, b.attach("asgi", 1)}
	o.offload(1, "", time.Minute)
	o.expectResult(1, wire.OutcomeRefused, "")
}

func TestAJobsTimeIncludesItsWait(t *testing.T) {
	o := setupJobs(t, Options{QueueSize: 8})
	o.offload(1, "waits", time.Second)
	eventually(t, "the job waits", func() bool { return o.Waiting() == 1 })
	o.look(time.Now())
	if o.Waiting() != 1 {
		t.Fatal("a job was given up before its time")
	}
	o.look(later(time.Second))
	o.expectResult(1, wire.OutcomeTimeout, "")
}

func TestAJobThatTakesTooLongEndsItsProcess(t *testing.T) {
	o := setupJobs(t, Options{QueueSize: 8})
	compute := o.attach("compute", 1)
	o.offload(1, "endless", time.Second)
	compute.expectJob(t, "endless")
	o.look(later(time.Second))
	o.expectResult(1, wire.OutcomeTimeout, "")
	o.offload(2, "innocent", time.Minute)
	eventually(t, "the next job waits for another process", func() bool { return o.Waiting() == 1 })
	compute.returns(0, wire.OutcomeReturned, "too late")
	compute.traced()
	compute.expectRetired(t, RetireTimeout)
	if o.Waiting() != 1 {
		t.Error("a process that is to be killed got another job")
	}
	if !o.logs.contain("in loop") || !o.logs.contain("shop:draw") {
		t.Error("the log does not say what was stuck where")
	}
	compute.Die()
	await(t, "the worker's end", compute.link.Gone())
	other := o.attach("compute", 1)
	other.returns(other.expectJob(t, "innocent"), wire.OutcomeReturned, "fine")
	o.expectResult(2, wire.OutcomeReturned, "fine")
}

func TestAJobIsLostWithItsProcessUnlessItHasNotBegun(t *testing.T) {
	o := setupJobs(t, Options{QueueSize: 8, Retry: true})
	for _, begun := range []byte{0, 1} {
		compute := o.attach("compute", 1)
		o.offload(1, "deadly", time.Minute)
		compute.expectJob(t, "deadly")
		o.Dispatcher.mu.Lock() // for the race detector: a worker is another process
		compute.marks[wire.BegunSize-1], compute.marks[0] = 1, begun
		o.Dispatcher.mu.Unlock()
		compute.Die()
		await(t, "the worker's end", compute.link.Gone())
		if begun == 0 {
			other := o.attach("compute", 1)
			other.returns(other.expectJob(t, "deadly"), wire.OutcomeReturned, "done")
			o.expectResult(1, wire.OutcomeReturned, "done")
			other.link.Drain()
			continue
		}
		o.expectResult(1, wire.OutcomeLost, "")
	}
}

func TestJobsOfAWorkerThatHasGoneAreCancelled(t *testing.T) {
	o := setupJobs(t, Options{QueueSize: 8})
	compute := o.attach("compute", 1)
	o.offload(1, "runs", time.Second)
	stream := compute.expectJob(t, "runs")
	o.offload(2, "waits", time.Minute)
	eventually(t, "the second job waits", func() bool { return o.Waiting() == 1 })
	o.worker.Die()
	eventually(t, "the job that waited is dropped", func() bool { return o.Waiting() == 0 })
	compute.Expect(wire.KindDisconnect)
	compute.returns(stream, wire.OutcomeReturned, "for nobody")
	eventually(t, "the worker is free", func() bool { return o.InFlight() == 0 })

	again := &offloading{o.bundle, o.web, o.web.attach("wsgi", 1)}
	again.offload(1, "runs on", time.Second)
	compute.expectJob(t, "runs on")
	again.worker.Die()
	compute.Expect(wire.KindDisconnect)
	o.look(later(time.Second))
	compute.traced()
	compute.expectRetired(t, RetireTimeout) // its time limit holds though nobody waits
	compute.Die()
	await(t, "the worker's end", compute.link.Gone())
}

func TestWhatNoComputeWorkerSays(t *testing.T) {
	for name, say := range map[string]dispatchtest.Tuple{
		"an answer":         {wire.KindAnswer, 0, 200, []dispatchtest.Tuple{}, []byte("x")},
		"a job's arguments": {wire.KindOffload, 0, "a:b", []byte(""), 5},
		"another outcome":   {wire.KindReturn, 0, 3, []byte("")},
	} {
		t.Run(name, func(t *testing.T) {
			o := setupJobs(t, Options{QueueSize: 8})
			compute := o.attach("compute", 1)
			o.offload(1, "", time.Minute)
			compute.expectJob(t, "")
			compute.Send(say)
			compute.expectRetired(t, RetireProtocol)
			await(t, "the worker's end", compute.link.Gone())
			o.expectResult(1, wire.OutcomeLost, "")
		})
	}
}

func TestARequestDoesNotReturn(t *testing.T) {
	b := setup(t, Options{})
	w := b.attach("wsgi", 1)
	client := b.submit("POST", "/")
	w.Expect(wire.KindRequest)
	w.Send(dispatchtest.Tuple{wire.KindReturn, 0, 0, []byte("")})
	w.expectRetired(t, RetireProtocol)
	client.expect("fail worker")
}

func TestTwoJobsWithOneToken(t *testing.T) {
	o := setupJobs(t, Options{QueueSize: 8})
	o.offload(1, "one", time.Minute)
	o.offload(1, "two", time.Minute)
	o.worker.expectRetired(t, RetireProtocol)
	o.Stop()
	o.expectResult(1, wire.OutcomeRefused, "")
}
