package admin

import (
	"encoding/json"

	"backline"
	"backline/dispatch"
	"backline/wire"
)

// Handler answers the requests of an edge.Server.
type Handler struct {
	health  func() Health
	metrics func() ([]byte, error)
	publish *Publishing
}

// New makes a handler. health and metrics (in Prometheus's text format) are called for each request, on the goroutine
// that reads the connection: they must not wait. publish is nil where nothing can be published.
func New(health func() Health, metrics func() ([]byte, error), publish *Publishing) *Handler {
	return &Handler{health: health, metrics: metrics, publish: publish}
}

// WSGI implements edge.Handler: the edge takes no body that streams, and no WebSocket, for a handler that says so.
func (h *Handler) WSGI() bool { return true }

// WebSockets implements edge.Handler.
func (h *Handler) WebSockets() bool { return false }

// Submit implements edge.Handler.
func (h *Handler) Submit(ex *dispatch.Exchange) {
	verdict, known := verdicts(string(ex.Scope.Path))
	scrape := string(ex.Scope.Path) == "/-/metrics"
	switch {
	case h.publish != nil && isPublish(string(ex.Scope.Path)):
		h.publish.take(ex)
	case !known && !scrape:
		respond(ex, 404, textPlain, []byte("There is /-/health, /-/health/live, /-/health/ready and /-/metrics.\n"))
	case string(ex.Scope.Method) != "GET" && string(ex.Scope.Method) != "HEAD":
		respond(ex, 405, textPlain, []byte("This can be asked for with GET and HEAD.\n"), field("Allow", "GET, HEAD"))
	case scrape:
		text, err := h.metrics()
		if err != nil {
			respond(ex, 500, textPlain, []byte(err.Error()+"\n"))
			return
		}
		respond(ex, 200, prometheusText, text, field("Cache-Control", "no-store"))
	default:
		health := h.health()
		status := 503
		if verdict(health) {
			status = 200
		}
		body, err := json.Marshal(health)
		if err != nil {
			body = []byte(err.Error()) // of numbers, switches and texts there is none
		}
		respond(ex, status, "application/json", append(body, '\n'), field("Cache-Control", "no-store"))
	}
}

// verdicts gives what a path asks.
func verdicts(path string) (verdict func(Health) bool, known bool) {
	switch path {
	case "/-/health", "/-/health/":
		return func(h Health) bool { return h.Live && h.Ready }, true
	case "/-/health/live":
		return func(h Health) bool { return h.Live }, true
	case "/-/health/ready":
		return func(h Health) bool { return h.Ready }, true
	}
	return nil, false
}

const (
	textPlain      = "text/plain; charset=utf-8"
	prometheusText = "text/plain; version=0.0.4; charset=utf-8"
)

func field(name, value string) backline.Field {
	return backline.Field{Name: []byte(name), Value: []byte(value)}
}

func respond(ex *dispatch.Exchange, status int, kind string, body []byte, more ...backline.Field) {
	fields := append([]backline.Field{field("Content-Type", kind)}, more...)
	ex.Client.Answer(ex, &wire.Message{Kind: wire.KindAnswer, Status: status, Fields: fields, Data: body})
}
