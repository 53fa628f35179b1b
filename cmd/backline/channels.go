package main

import (
	"context"
	"net"
	"sync/atomic"

	"backline/channel"
	"backline/channel/session"
	"backline/cluster"
	"backline/config"
	"backline/dispatch"
	"backline/wire"
)

// channels joins processes to the hub, of which there is one a server: workers of every pool, and those that connect to
// the control socket. It implements dispatch.Sessions.
type channels struct {
	hub       *channel.Hub
	layer     session.Hub   // what processes see: the hub, or with other servers the node
	node      *cluster.Node // nil without a bus
	options   session.Options
	publisher *publisher
	dropped   atomic.Uint64 // group messages that processes did not read in time
}

func newChannels(loaded *config.Loaded, log *journal) (*channels, error) {
	c := &loaded.Config
	made := &channels{}
	if c.Bus == "" {
		made.hub = channel.New(hubOptions(c, log))
		made.layer = made.hub
	} else {
		node, err := newNode(loaded, log)
		if err != nil {
			return nil, err
		}
		made.node, made.layer, made.hub = node, node, node.Hub()
	}
	made.options = session.Options{
		Window: int(c.ChannelWindow), MaxMessage: int(c.ChannelMaxMessage), Log: log.Logger, Dropped: &made.dropped,
	}
	made.options.Publish = made.publish
	made.publisher = newPublisher(c, made.layer.Publish)
	return made, nil
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

// start runs the hub, and joins it to others.
func (c *channels) start(all *parts) {
	all.start(c.hub.Run)
	all.start(c.publisher.Run)
	if c.node != nil {
		all.start(c.node.Run)
	}
}

// Open implements dispatch.Sessions.
func (c *channels) Open( //nolint:ireturn // the interface says so
	worker string, codec wire.Codec, out dispatch.SessionOutput,
) dispatch.Session {
	return session.New(c.layer, worker, codec, out, c.options)
}

// serve is the session of a process that is no worker.
func (c *channels) serve(ctx context.Context, conn net.Conn) error {
	return session.Serve(ctx, conn, c.layer, "on the control socket", c.options)
}
