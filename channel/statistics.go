package channel

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// counts are kept by everybody, without a lock.
type counts struct {
	groups, members, enlisted, histories, waits, historyBytes, waiting, waitingBytes atomic.Int64

	published, delivered, sent, expired, lost, unremembered atomic.Uint64
}

// Statistics are what the hub has and has done.
type Statistics struct {
	Groups, Members, Processes int64
	// Waiting are the messages in channels that nobody owns.
	Waiting, WaitingBytes int64
	// Histories are the groups that were told to remember, Waits those that remember for a moment because somebody waited
	// for them, HistoryBytes what all of them do.
	Histories, Waits, HistoryBytes int64
	// Users and Sockets are those who are present.
	Present int64

	// Published counts publications, Delivered each member that got one, Sent messages to channels.
	Published, Delivered, Sent uint64
	// Expired counts messages that waited too long, Lost those for a process that has ended.
	Expired, Lost uint64
	// Unremembered counts groups that should have a history for which there was no room (HistoryGroups).
	Unremembered uint64
}

// Statistics gives what the hub has and has done.
func (h *Hub) Statistics() Statistics {
	h.processes.mu.RLock()
	processes := len(h.processes.byID)
	h.processes.mu.RUnlock()
	h.presence.mu.Lock()
	present := h.presence.sockets
	h.presence.mu.Unlock()
	c := &h.counts
	return Statistics{
		Groups: c.groups.Load(), Members: c.members.Load(), Processes: int64(processes),
		Waiting: c.waiting.Load(), WaitingBytes: c.waitingBytes.Load(),
		Histories: c.histories.Load(), Waits: c.waits.Load(), HistoryBytes: c.historyBytes.Load(), Present: int64(present),
		Published: c.published.Load(), Delivered: c.delivered.Load(), Sent: c.sent.Load(),
		Expired: c.expired.Load(), Lost: c.lost.Load(), Unremembered: c.unremembered.Load(),
	}
}

// Drop is how many messages a channel, or publications the members of a group, did not get for want of room.
type Drop struct {
	// Kind is "channel" or "group". Name is empty for all those that came after the first maxDropNames.
	Kind, Name string
	Count      uint64
}

const (
	dropChannel = "channel"
	dropGroup   = "group"
	// maxDropNames bounds how many names are counted apart: there are as many as an application makes up.
	maxDropNames = 100
	// logEvery is how often drops are logged: there are as many as there are messages.
	logEvery = 10 * time.Second
	// namesInLog is how many names a line has.
	namesInLog = 5
)

type dropKey struct{ kind, name string }

// drops counts what was lost for want of room.
type drops struct {
	mu     sync.Mutex
	byName map[dropKey]uint64
	news   map[dropKey]uint64 // since the last line, nil for nothing
	logged time.Time
}

// Dropped counts messages to a group that a process had no room for in channels of its own.
func (h *Hub) Dropped(group string, n int) { h.dropped(dropGroup, group, n) }

func (h *Hub) dropped(kind, name string, n int) {
	d := &h.drops
	d.mu.Lock()
	key := dropKey{kind, name}
	if _, known := d.byName[key]; !known && len(d.byName) >= maxDropNames {
		key.name = ""
	}
	d.byName[key] += uint64(n)
	first := d.news == nil
	if first {
		d.news = map[dropKey]uint64{}
	}
	d.news[key] += uint64(n)
	d.mu.Unlock()
	if first {
		h.rouse()
	}
}

// Drops gives what was lost for want of room, by name.
func (h *Hub) Drops() []Drop {
	h.drops.mu.Lock()
	defer h.drops.mu.Unlock()
	all := make([]Drop, 0, len(h.drops.byName))
	for key, n := range h.drops.byName {
		all = append(all, Drop{key.kind, key.name, n})
	}
	return all
}

// report logs what was lost since the last line, and gives when there will be another one; zero for not at all.
func (d *drops) report(now time.Time, log *slog.Logger) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.news == nil {
		return time.Time{}
	}
	if due := d.logged.Add(logEvery); now.Before(due) {
		return due
	}
	keys := slices.SortedFunc(maps.Keys(d.news), func(a, b dropKey) int {
		return cmp.Or(cmp.Compare(d.news[b], d.news[a]), strings.Compare(a.name, b.name))
	})
	total, where := uint64(0), []string{}
	for i, key := range keys {
		total += d.news[key]
		if i < namesInLog {
			where = append(where, fmt.Sprintf("%s %s: %d", key.kind, cmp.Or(key.name, "(others)"), d.news[key]))
		}
	}
	d.news, d.logged = nil, now
	log.Warn("messages were dropped: their readers are slower than their senders", "count", total,
		"where", strings.Join(where, ", "))
	return time.Time{}
}
