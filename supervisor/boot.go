package supervisor

import (
	"errors"
	"fmt"
	"io"
	"time"

	"backline"
	"backline/wire"
)

// lastWords is how long a process may take to end by itself once its boot has failed, so that what it prints last is
// not lost, and how long its connection is read once the process has ended.
const lastWords = time.Second

// boot waits for the worker's hello and for its application. When it fails, the process has ended and the error is for
// people.
func (w *Worker) boot() error {
	result := make(chan error, 1)
	go func() { result <- w.handshake() }()
	var timeout <-chan time.Time
	if w.opts.BootTimeout > 0 {
		timer := time.NewTimer(w.opts.BootTimeout)
		defer timer.Stop()
		timeout = timer.C
	}
	select {
	case err := <-result:
		if err == nil {
			return nil
		}
		return w.explain(err)
	case <-w.process.ended:
		// The reason of the end may still be on its way: a worker reports, then exits.
		_ = w.Conn.SetDeadline(time.Now().Add(lastWords))
		if err := <-result; err != nil {
			return w.explain(err)
		}
		return w.explain(io.EOF)
	case <-timeout:
		standsAt := w.stacks()
		w.abort(result)
		return w.timedOut(standsAt)
	case <-w.stops:
	case <-w.quit:
	}
	w.abort(result)
	return w.bootError(backline.CodeWorker, "stopped before it was up", "")
}

// handshake is the conversation: hello, welcome, up.
func (w *Worker) handshake() error {
	hello, err := wire.ReadHello(w.Conn, w.opts.Version)
	if err != nil {
		return err
	}
	w.Hello = hello
	w.setState(Importing)
	if err := wire.WriteWelcome(w.Conn, hello.Codec, w.opts.Version, w.opts.Settings); err != nil {
		return err
	}
	up, err := wire.ReadUp(w.Conn, hello.Codec)
	if err != nil {
		return err
	}
	w.Up = up
	return nil
}

// abort ends the process and the handshake with it.
func (w *Worker) abort(result <-chan error) {
	w.killAndWait()
	// A descendant in a process group of its own may hold the other end.
	_ = w.Conn.SetDeadline(time.Now())
	<-result //nolint:errcheck // it says what we have just done
}

// explain ends the process, if it has not ended by itself, and makes of err an error for people.
func (w *Worker) explain(err error) error {
	fault, isApp := errors.AsType[*wire.BootError](err)
	ours, isOurs := errors.AsType[*backline.Error](err)
	if !isOurs {
		// Either the connection has ended, and then so does the process; or the worker has said why it ends.
		w.wait(nil, lastWords)
	}
	w.killAndWait()
	switch {
	case isApp:
		return &backline.Error{Op: "start the application", Code: backline.CodeApp, Message: fault.Message,
			Hint: fault.Hint, Detail: fault.Traceback}
	case isOurs:
		return ours
	}
	status := w.process.status(true)
	if State(w.state.Load()) == Importing {
		return w.bootError(backline.CodeApp, "the process ended while it imported the application: "+status,
			"something in the application ends the interpreter; see what it printed")
	}
	return w.bootError(backline.CodeWorker, "the process ended before it said hello: "+status,
		w.expected())
}

func (w *Worker) timedOut(standsAt string) error {
	if State(w.state.Load()) != Importing {
		return w.bootError(backline.CodeWorker, fmt.Sprintf("the process did not say hello within %v", w.opts.BootTimeout),
			w.expected())
	}
	err := w.bootError(backline.CodeApp,
		fmt.Sprintf("the application was not imported and started within %v", w.opts.BootTimeout),
		"find what its import or its lifespan waits for, or raise --worker-boot-timeout")
	if standsAt != "" {
		err.Detail = standsAt
	}
	return err
}

// stacks asks the worker where its import or its lifespan stands. "" if it does not say so in time.
func (w *Worker) stacks() string {
	if State(w.state.Load()) != Importing {
		return "" // it has not said hello, so it does not listen yet
	}
	_ = w.Control.SetDeadline(time.Now().Add(lastWords))
	var ask wire.Batch
	ask.Reset(w.Hello.Codec)
	ask.AddStacks(0, nil)
	if _, err := w.Control.Write(ask.Packet()); err != nil {
		return ""
	}
	var messages wire.Messages
	var m wire.Message
	payload, err := wire.NewReader(w.Control).Next()
	if err != nil || messages.Open(payload) != nil {
		return ""
	}
	if more, err := messages.Next(&m); err != nil || !more || m.Kind != wire.KindTrace {
		return ""
	}
	return string(m.Data)
}

// bootError shows what the worker printed last, which is all that is known.
func (w *Worker) bootError(code backline.Code, message, hint string) *backline.Error {
	return &backline.Error{Op: "start worker " + w.Name, Code: code, Message: message, Hint: hint,
		Detail: w.process.output.lastLines()}
}

// expected is what to look for where a process has never said hello.
func (w *Worker) expected() string {
	if w.opts.Other {
		return "expected a program that speaks the worker protocol on its descriptor 3; see docs/protocol.md"
	}
	return fmt.Sprintf("expected a Python 3.10 or newer that runs the worker; try it: %s --version", w.opts.Command[0])
}
