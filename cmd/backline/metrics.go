package main

import (
	"bytes"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"backline/edge"
)

// metrics gives /-/metrics: what the parts count anyway, read when somebody asks.
type metrics struct {
	pools    *pools
	registry *prometheus.Registry

	edge *edge.Server // what it holds

	stalls, workers, inFlight, waiting, holds, sockets, events, lost *prometheus.Desc
}

func newMetrics(p *pools, clients *edge.Server) (*metrics, error) {
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("backline_"+name, help, labels, nil)
	}
	m := &metrics{
		pools: p, edge: clients, registry: prometheus.NewPedanticRegistry(),
		stalls: describe("stalls_total",
			"Episodes in which a worker could not go on with what waited: loop (its event loop did not turn), "+
				"busy (all that it runs at once was under way while requests waited).", "pool", "kind"),
		workers:  describe("workers", "Worker processes by what they do.", "pool", "state"),
		inFlight: describe("requests_in_flight", "Requests that workers hold.", "pool"),
		waiting:  describe("requests_waiting", "Requests that wait for a worker.", "pool"),
		holds:    describe("holds", "Answers that are held for what will be published."),
		sockets:  describe("sockets", "WebSockets that the server holds for applications of backline.sockets."),
		events:   describe("socket_events_waiting", "Events of these that wait for the one before to be dealt with."),
		lost:     describe("socket_messages_lost_total", "Messages of these that were lost with a worker."),
	}
	if err := m.registry.Register(newChannelMetrics(p.channels)); err != nil {
		return nil, err
	}
	if p.channels.node != nil {
		if err := m.registry.Register(newBusMetrics(p.channels.node)); err != nil {
			return nil, err
		}
	}
	return m, m.registry.Register(m)
}

// Describe implements prometheus.Collector.
func (m *metrics) Describe(into chan<- *prometheus.Desc) {
	for _, each := range []*prometheus.Desc{
		m.stalls, m.workers, m.inFlight, m.waiting, m.holds, m.sockets, m.events, m.lost,
	} {
		into <- each
	}
}

// Collect implements prometheus.Collector.
func (m *metrics) Collect(into chan<- prometheus.Metric) {
	number := func(d *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		into <- prometheus.MustNewConstMetric(d, kind, value, labels...)
	}
	number(m.holds, prometheus.GaugeValue, float64(m.edge.Held()))
	number(m.sockets, prometheus.GaugeValue, float64(m.edge.Talks()))
	number(m.events, prometheus.GaugeValue, float64(m.edge.WaitingEvents()))
	number(m.lost, prometheus.CounterValue, float64(m.edge.LostMessages()))
	for _, each := range m.pools.all {
		stalls := each.dispatcher.Stalls()
		number(m.stalls, prometheus.CounterValue, float64(stalls.Loop), each.name, "loop")
		number(m.stalls, prometheus.CounterValue, float64(stalls.Busy), each.name, "busy")
		for state, n := range each.supervisor.Count() {
			number(m.workers, prometheus.GaugeValue, float64(n), each.name, state.String())
		}
		number(m.inFlight, prometheus.GaugeValue, float64(each.inFlight()), each.name)
		number(m.waiting, prometheus.GaugeValue, float64(each.dispatcher.Waiting()), each.name)
	}
}

// text is what a scraper reads.
func (m *metrics) text() ([]byte, error) {
	families, err := m.registry.Gather()
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	for _, family := range families {
		if _, err := expfmt.MetricFamilyToText(&text, family); err != nil {
			return nil, err
		}
	}
	return text.Bytes(), nil
}
