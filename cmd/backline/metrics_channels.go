package main

import (
	"strconv"
	"unicode/utf8"

	"github.com/prometheus/client_golang/prometheus"

	"backline/channel"
)

// channelMetrics are what the hub counts.
type channelMetrics struct {
	channels *channels
	rows     []channelMetric
	drops    *prometheus.Desc
}

type channelMetric struct {
	desc *prometheus.Desc
	kind prometheus.ValueType
	of   func(channel.Statistics) float64
}

func newChannelMetrics(c *channels) *channelMetrics {
	m := &channelMetrics{channels: c}
	describe := func(name, help string, labels ...string) *prometheus.Desc {
		return prometheus.NewDesc("backline_"+name, help, labels, nil)
	}
	gauge := func(name, help string, of func(channel.Statistics) int64) {
		m.rows = append(m.rows, channelMetric{describe(name, help), prometheus.GaugeValue,
			func(s channel.Statistics) float64 { return float64(of(s)) }})
	}
	counter := func(name, help string, of func(channel.Statistics) uint64) {
		m.rows = append(m.rows, channelMetric{describe(name, help), prometheus.CounterValue,
			func(s channel.Statistics) float64 { return float64(of(s)) }})
	}
	type s = channel.Statistics
	gauge("groups", "Groups that have members or a history.", func(s s) int64 { return s.Groups })
	gauge("group_members", "Memberships: a process counts once in a group, a socket that the server holds once.",
		func(s s) int64 { return s.Members })
	gauge("channel_processes", "Processes that have channels.", func(s s) int64 { return s.Processes })
	gauge("channel_messages_waiting", "Messages that wait in channels without an owner.",
		func(s s) int64 { return s.Waiting })
	gauge("channel_bytes_waiting", "Memory that these take.", func(s s) int64 { return s.WaitingBytes })
	gauge("histories", "Groups that remember what was sent to them.", func(s s) int64 { return s.Histories })
	gauge("history_bytes", "Memory that this takes.", func(s s) int64 { return s.HistoryBytes })
	gauge("present_sockets", "Sockets that are present in groups.", func(s s) int64 { return s.Present })
	counter("group_publications_total", "Messages to groups.", func(s s) uint64 { return s.Published })
	counter("group_deliveries_total", "Members that got one.", func(s s) uint64 { return s.Delivered })
	counter("channel_messages_total", "Messages to channels.", func(s s) uint64 { return s.Sent })
	counter("channel_messages_expired_total", "Messages that nobody read in time.", func(s s) uint64 { return s.Expired })
	counter("channel_messages_lost_total", "Messages to channels whose process has ended.",
		func(s s) uint64 { return s.Lost })
	counter("histories_refused_total", "Groups that remember nothing because history_groups others do.",
		func(s s) uint64 { return s.Unremembered })
	m.drops = describe("channel_drops_total",
		"Messages to a channel, or deliveries to members of a group, for which there was no room. "+
			"The first hundred names have a row each, all others one without a name.", "kind", "name")
	return m
}

// Describe implements prometheus.Collector.
func (m *channelMetrics) Describe(into chan<- *prometheus.Desc) {
	for _, each := range m.rows {
		into <- each.desc
	}
	into <- m.drops
}

// Collect implements prometheus.Collector.
func (m *channelMetrics) Collect(into chan<- prometheus.Metric) {
	statistics := m.channels.hub.Statistics()
	for _, each := range m.rows {
		into <- prometheus.MustNewConstMetric(each.desc, each.kind, each.of(statistics))
	}
	for _, each := range m.channels.hub.Drops() {
		name := each.Name
		if !utf8.ValidString(name) {
			name = strconv.Quote(name) // a process in another language may name a group as it likes, and labels are text
		}
		into <- prometheus.MustNewConstMetric(m.drops, prometheus.CounterValue, float64(each.Count), each.Kind, name)
	}
}
