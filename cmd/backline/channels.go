package main

import (
	"context"
	"net"
	"sync/atomic"

	"backline/channel"
	"backline/channel/session"
	"backline/config"
	"backline/dispatch"
	"backline/wire"
)

// channels joins processes to the hub, of which there is one a server: workers of every pool, and those that connect to
// the control socket. It implements dispatch.Sessions.
type channels struct {
	hub     *channel.Hub
	options session.Options
	dropped atomic.Uint64 // group messages that processes did not read in time
}

func newChannels(c *config.Config, log *journal) *channels {
	made := &channels{hub: channel.New(hubOptions(c, log))}
	made.options = session.Options{
		Window: int(c.ChannelWindow), MaxMessage: int(c.ChannelMaxMessage), Log: log.Logger, Dropped: &made.dropped,
	}
	made.options.Publish = made.publish
	return made
}

func hubOptions(c *config.Config, log *journal) channel.Options {
	options := channel.Options{
		Capacity: c.ChannelCapacity, Expiry: c.ChannelExpiry, WaitingBytes: c.ChannelMemory, GroupExpiry: c.GroupExpiry,
		HistoryBytes: c.HistoryMemory, HistoryGroupBytes: int(c.HistoryGroupMemory), HistoryGroups: c.HistoryGroups,
		Presences: c.PresenceSockets, LeaveDelay: c.PresenceLeaveDelay, Log: log.Logger,
	}
	for _, text := range c.History {
		if h, err := config.ParseHistory(text); err == nil { // the table has checked it
			options.History = append(options.History, channel.HistoryRule{
				Pattern: h.Pattern, Size: h.Count, Age: h.Age,
			})
		}
	}
	return options
}

// Open implements dispatch.Sessions.
func (c *channels) Open( //nolint:ireturn // the interface says so
	worker string, codec wire.Codec, out dispatch.SessionOutput,
) dispatch.Session {
	return session.New(c.hub, worker, codec, out, c.options)
}

// serve is the session of a process that is no worker.
func (c *channels) serve(ctx context.Context, conn net.Conn) error {
	return session.Serve(ctx, conn, c.hub, "on the control socket", c.options)
}
