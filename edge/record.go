package edge

import (
	"bytes"
	"time"

	"backline"
	"backline/accesslog"
	"backline/dispatch"
	"backline/wire"
)

// record writes the request to the access log.
func (c *conn) record(failed string) { c.server.record(c.ex, &c.answer, failed) }

// record writes a request to the access log. It is called once, when its answer has been taken or has failed.
func (s *Server) record(ex *dispatch.Exchange, a *outgoing, failed string) {
	access := s.options.Access
	if access == nil || ex == nil {
		return
	}
	if a.failed == "" {
		a.failed = failed
	}
	scope := &ex.Scope
	if len(scope.Method) == 0 {
		scope = nil // the bytes never became a request
	}
	access.Write(&accesslog.Record{
		Scope: scope, Status: a.status, Bytes: a.sent, Start: ex.Start, Duration: time.Since(ex.Start),
		Queue: ex.Queued, Worker: ex.WorkerName, PID: ex.WorkerPID, Answer: a.fields, Aborted: a.failed,
	})
}

// keep copies the answer's fields for the access log: they point into the worker's packet.
func (a *outgoing) keep(m *wire.Message) {
	for _, f := range m.Fields {
		a.fields = append(a.fields, backline.Field{Name: bytes.Clone(f.Name), Value: bytes.Clone(f.Value)})
	}
}
