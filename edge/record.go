package edge

import (
	"bytes"
	"time"

	"backline"
	"backline/accesslog"
	"backline/wire"
)

// record writes the request to the access log. It is called once, when its answer has been taken or has failed.
func (c *conn) record(failed string) {
	access := c.server.options.Access
	if access == nil || c.ex == nil {
		return
	}
	a := &c.answer
	if a.failed == "" {
		a.failed = failed
	}
	scope := &c.ex.Scope
	if len(scope.Method) == 0 {
		scope = nil // the bytes never became a request
	}
	access.Write(&accesslog.Record{
		Scope: scope, Status: a.status, Bytes: a.sent, Start: c.ex.Start, Duration: time.Since(c.ex.Start),
		Queue: c.ex.Queued, Worker: c.ex.WorkerName, PID: c.ex.WorkerPID, Answer: a.fields, Aborted: a.failed,
	})
}

// keepFields copies the answer's fields for the access log: they point into the worker's packet.
func (c *conn) keepFields(m *wire.Message) {
	for _, f := range m.Fields {
		c.answer.fields = append(c.answer.fields, backline.Field{Name: bytes.Clone(f.Name), Value: bytes.Clone(f.Value)})
	}
}
