package main

import (
	"github.com/prometheus/client_golang/prometheus"

	"backline/cluster"
)

// busMetrics are what the node of a cluster counts.
type busMetrics struct {
	node *cluster.Node
	rows []busMetric
}

type busMetric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(*cluster.Statistics) float64
}

func newBusMetrics(node *cluster.Node) *busMetrics {
	m := &busMetrics{node: node}
	row := func(kind prometheus.ValueType, name, help string, of func(*cluster.Statistics) float64) {
		m.rows = append(m.rows, busMetric{prometheus.NewDesc("backline_bus_"+name, help, nil, nil), kind, of})
	}
	gauge := func(name, help string, of func(*cluster.Statistics) int) {
		row(prometheus.GaugeValue, name, help, func(s *cluster.Statistics) float64 { return float64(of(s)) })
	}
	counter := func(name, help string, of func(*cluster.Statistics) uint64) {
		row(prometheus.CounterValue, name, help, func(s *cluster.Statistics) float64 { return float64(of(s)) })
	}
	type s = *cluster.Statistics
	row(prometheus.GaugeValue, "up", "Whether the bus is there.", func(s s) float64 {
		if s.Up {
			return 1
		}
		return 0
	})
	gauge("servers", "Other servers that are heard.", func(s s) int { return s.Peers })
	gauge("groups", "Groups that this server listens to.", func(s s) int { return s.Groups })
	gauge("waiting_bytes", "What waits to leave.", func(s s) int { return s.WaitingBytes })
	gauge("kept_bytes", "What is kept for servers that missed it.", func(s s) int { return s.KeptBytes })
	counter("publications_sent_total", "Messages to groups that were given to the bus.",
		func(s s) uint64 { return s.Sent })
	counter("messages_received_total", "Messages to groups and channels that came from other servers.",
		func(s s) uint64 { return s.Received })
	counter("repeated_total", "Messages to groups that came again and were dropped.",
		func(s s) uint64 { return s.Repeated })
	counter("filled_total", "Messages to groups that were missed, asked for, and came.",
		func(s s) uint64 { return s.Filled })
	counter("gaps_total", "Times that messages to a group were missed for good.", func(s s) uint64 { return s.Gaps })
	counter("catch_ups_total", "Times that another server was asked what was missed.",
		func(s s) uint64 { return s.CatchUps })
	counter("silences_total", "Times that another server fell silent.", func(s s) uint64 { return s.Deaths })
	counter("interruptions_total", "Times that the bus went away.", func(s s) uint64 { return s.Away })
	counter("dropped_total", "Packets that had no room, or came while the bus was away.",
		func(s s) uint64 { return s.Dropped })
	counter("overruns_total", "Times that this server was too slow to read.", func(s s) uint64 { return s.Overrun })
	counter("too_large_total", "Messages that other servers could not be told.", func(s s) uint64 { return s.TooLarge })
	counter("sends_lost_total", "Messages to channels of which it is not known whether they were read.",
		func(s s) uint64 { return s.LostSends })
	counter("unreadable_total", "Packets that could not be read.", func(s s) uint64 { return s.Strange })
	return m
}

// Describe implements prometheus.Collector.
func (m *busMetrics) Describe(into chan<- *prometheus.Desc) {
	for _, each := range m.rows {
		into <- each.desc
	}
}

// Collect implements prometheus.Collector.
func (m *busMetrics) Collect(into chan<- prometheus.Metric) {
	statistics := m.node.Statistics()
	for _, each := range m.rows {
		into <- prometheus.MustNewConstMetric(each.desc, each.kind, each.of(&statistics))
	}
}
