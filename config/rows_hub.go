package config

import (
	"fmt"
	"path"
	"slices"
	"strings"
	"time"
)

// hubRows are the bounds of what channels and groups hold in the server.
func hubRows() []Setting { return slices.Concat(queuedRows(), historyRows(), presenceRows()) }

func queuedRows() []Setting {
	const group = "Channels"
	return []Setting{
		{
			Key: "channel_capacity", Flags: []string{"channel-capacity"}, Kind: KindInt, Default: "100", Unit: "messages", Min: "1",
			Max: "1000000", Group: group,
			Help: "Messages that may wait unread in a channel without an owner, such as those that runworker reads, where the sender's own configuration (capacity, channel_capacity) does " +
				"not say it. send raises ChannelFull beyond it.",
			field: func(c *Config) any { return &c.ChannelCapacity },
		},
		{
			Key: "channel_expiry", Flags: []string{"channel-expiry"}, Kind: KindDuration, Default: "60s", Unit: "seconds", Min: "0.001s",
			Max: longest, Group: group,
			Help:  "How long a message waits in a channel without an owner before it is forgotten, where the sender's configuration (expiry) does not say it.",
			field: func(c *Config) any { return &c.ChannelExpiry },
		},
		{
			Key: "channel_memory", Flags: []string{"channel-memory"}, Kind: KindSize, Default: "64MiB", Unit: "bytes", Min: "1KiB",
			Max: "1TiB", Group: group,
			Help:  "Memory for all messages that wait in channels without an owner. Beyond it send raises ChannelFull, whatever the channel.",
			field: func(c *Config) any { return &c.ChannelMemory },
		},
		{
			Key: "group_expiry", Flags: []string{"group-expiry"}, Kind: KindDuration, Default: "86400s", Unit: "seconds", Min: "1s",
			Max: longest, Group: group,
			Help:  "How long a channel without an owner stays in a group after its last group_add. Every other membership ends with the socket, or the process, that it belongs to.",
			field: func(c *Config) any { return &c.GroupExpiry },
		},
	}
}

func historyRows() []Setting {
	const group = "Channels"
	return []Setting{
		{
			Key: "history", Flags: []string{"history"}, Kind: KindStrings, Unit: "PATTERN=COUNT/AGE", Group: group,
			Zero: "groups remember nothing", check: checkHistory,
			Help: "Groups that remember what is sent to them, so that whoever was away for a moment can be given what was missed: `chat.*=100/5m` is the last 100 messages of five minutes, for " +
				"each group with such a name. * stands for anything, ? for one character; the first pattern that fits counts. It is a cache, in memory: a restart forgets it, and those who ask are told so.",
			field: func(c *Config) any { return &c.History },
		},
		{
			Key: "history_memory", Flags: []string{"history-memory"}, Kind: KindSize, Default: "64MiB", Unit: "bytes", Min: "1KiB",
			Max: "1TiB", Group: group,
			Help:  "Memory for the history of all groups. Beyond it each message makes its own group forget the oldest.",
			field: func(c *Config) any { return &c.HistoryMemory },
		},
		{
			Key: "history_group_memory", Flags: []string{"history-group-memory"}, Kind: KindSize, Default: "1MiB", Unit: "bytes",
			Min: "1KiB", Max: "1TiB", Group: group,
			Help:  "Memory for the history of one group. Beyond it the group forgets the oldest of the form that takes the most: of messages, WebSocket messages, events or answers for polls.",
			field: func(c *Config) any { return &c.HistoryGroupMemory },
		},
		{
			Key: "history_groups", Flags: []string{"history-groups"}, Kind: KindInt, Default: "100000", Unit: "groups", Min: "1",
			Max: "10000000", Group: group,
			Help: "Groups that may have a history at a time; further ones remember nothing, which `/-/metrics` counts. As many others remember for a minute what is sent to them while clients are about to wait " +
				"for it; beyond, the application is asked once more where something may have been missed.",
			field: func(c *Config) any { return &c.HistoryGroups },
		},
	}
}

func presenceRows() []Setting {
	const group = "Channels"
	return []Setting{
		{
			Key: "presence_sockets", Flags: []string{"presence-sockets"}, Kind: KindInt, Default: "100000", Unit: "sockets", Min: "1",
			Max: "10000000", Group: group,
			Help:  "Sockets that may be present in groups; a further one is told that there is no room.",
			field: func(c *Config) any { return &c.PresenceSockets },
		},
		{
			Key: "presence_leave_delay", Flags: []string{"presence-leave-delay"}, Kind: KindDuration, Default: "5s", Unit: "seconds",
			Max: longest, Group: group, Zero: "others are told at once",
			Help: "How long somebody whose last socket has gone may take to come back before others are told that he left. Lists and counts are without him at once. With a short one " +
				"everybody whose telephone changes networks leaves and joins.",
			field: func(c *Config) any { return &c.PresenceLeaveDelay },
		},
	}
}

// History is one value of history, taken apart.
type History struct {
	Pattern string
	Count   int
	Age     time.Duration
}

// historyMost bounds what one group may be told to remember.
const historyMost = 100_000

const historyForm = "expected PATTERN=COUNT/AGE, such as chat.*=100/5m"

// ParseHistory reads one value of history.
func ParseHistory(text string) (History, error) {
	pattern, amount, found := strings.Cut(text, "=")
	count, age, both := strings.Cut(amount, "/")
	h := History{Pattern: strings.TrimSpace(pattern)}
	if !found || !both || h.Pattern == "" {
		return h, fmt.Errorf("%q: %s", text, historyForm)
	}
	if _, err := path.Match(h.Pattern, ""); err != nil {
		return h, fmt.Errorf("the pattern %q has a [ without a ]: %s", h.Pattern, historyForm)
	}
	var err error
	if h.Count, err = parseInt(strings.TrimSpace(count)); err != nil || h.Count < 1 || h.Count > historyMost {
		return h, fmt.Errorf("%q is no count from 1 to %d: %s", count, historyMost, historyForm)
	}
	if h.Age, err = parseDuration(strings.TrimSpace(age)); err != nil || h.Age <= 0 {
		return h, fmt.Errorf("%q is no age: %s", age, historyForm)
	}
	return h, nil
}

// String gives the spelling that ParseHistory reads.
func (h History) String() string {
	return fmt.Sprintf("%s=%d/%s", h.Pattern, h.Count, formatDuration(h.Age))
}

func checkHistory(text string) (string, error) {
	h, err := ParseHistory(text)
	if err != nil {
		return "", err
	}
	return h.String(), nil
}
