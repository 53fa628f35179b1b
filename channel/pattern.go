package channel

import (
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// patterns are what processes read that do not know the channels' names. A channel in which messages wait, because
// nobody reads it by its name, stands in the row of each pattern that fits; a reader with room gets the first message
// of the first channel, which then goes to the end of the row, so that no channel waits for what is in another one.
type patterns struct {
	some atomic.Bool // there are any: without, sending looks no further

	mu  sync.Mutex
	all []*pattern
}

// pattern is one of them, until the last process that reads it is detached.
type pattern struct {
	text      string
	processes map[Process]struct{}
	readers   []reader // those that have room

	row    deque[string]
	in     map[string]struct{} // what stands in the row, which may hold no message any more
	missed bool                // there was no room in the row
}

// longestRow bounds the names that a pattern keeps. For others the channels are looked through when its row is empty.
const longestRow = 10_000

// IsPattern tells the name of a channel from a pattern, which ends with a * for any characters.
func IsPattern(channel string) bool { return strings.HasSuffix(channel, "*") }

func fits(pattern, channel string) bool { return strings.HasPrefix(channel, pattern[:len(pattern)-1]) }

// readPattern is Read for a pattern.
func (h *Hub) readPattern(text string, p Process, n int) {
	a, attached := h.hold(p)
	if !attached {
		return
	}
	all := &h.patterns
	all.mu.Lock()
	each := all.open(text)
	each.processes[p] = struct{}{}
	each.readers = room(each.readers, p, n)
	all.mu.Unlock()
	a.release()
	h.passPatterns()
}

// open gives a pattern. A new one has yet to learn what waits already. The caller holds the lock.
func (p *patterns) open(text string) *pattern {
	for _, each := range p.all {
		if each.text == text {
			return each
		}
	}
	made := &pattern{text: text, processes: map[Process]struct{}{}, in: map[string]struct{}{}, missed: true}
	p.all = append(p.all, made)
	p.some.Store(true)
	return made
}

// announce puts a channel in which something waits into the rows. The caller may hold the channel's lock.
func (p *patterns) announce(channel string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, each := range p.all {
		if fits(each.text, channel) {
			each.add(channel)
		}
	}
}

func (p *pattern) add(channel string) {
	if _, known := p.in[channel]; known {
		return
	}
	if p.row.len() >= longestRow {
		p.missed = true
		return
	}
	p.in[channel] = struct{}{}
	p.row.push(channel)
}

// passPatterns gives what waits to readers of patterns, until there is nothing or nobody has room. It is called without
// locks.
func (h *Hub) passPatterns() {
	if !h.patterns.some.Load() {
		return
	}
	for {
		each, channel, to := h.patterns.next()
		switch {
		case each == nil:
			return
		case to == nil:
			h.lookFor(each)
		case !h.handOver(channel, to):
			h.patterns.giveRoom(each, to)
		}
	}
}

// next gives a reader and the channel that it gets a message of; no reader: what waits for the pattern has to be
// looked for.
func (p *patterns) next() (*pattern, string, Process) { //nolint:ireturn // whoever reads
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, each := range p.all {
		switch {
		case len(each.readers) == 0:
		case each.row.len() > 0:
			channel := each.row.pop()
			delete(each.in, channel)
			var to reader
			to, each.readers = turn(each.readers)
			return each, channel, to.process
		case each.missed:
			each.missed = false
			return each, "", nil
		}
	}
	return nil, "", nil
}

// lookFor finds the channels in which something waits for a pattern.
func (h *Hub) lookFor(p *pattern) {
	for i := range h.queues {
		s := &h.queues[i]
		s.mu.Lock()
		h.patterns.mu.Lock()
		for channel, q := range s.queues {
			if q.messages.len() > 0 && fits(p.text, channel) {
				p.add(channel)
			}
		}
		h.patterns.mu.Unlock()
		s.mu.Unlock()
	}
}

// handOver gives a process the next message of a channel; false: there is none any more.
func (h *Hub) handOver(channel string, to Process) bool {
	s := h.queueShard(channel)
	s.mu.Lock()
	q := s.queues[channel]
	if q != nil {
		h.expireQueue(q, time.Now())
	}
	if q == nil || q.messages.len() == 0 {
		if q != nil {
			s.tidy(channel, q)
		}
		s.mu.Unlock()
		return false
	}
	m := q.messages.pop()
	h.waited(m)
	q.sent.push(handover{to, m, ignore})
	if q.messages.len() > 0 {
		h.patterns.announce(channel)
	}
	h.pass(s, channel, q)
	return true
}

// giveRoom takes back what next took, from a reader that is still there.
func (p *patterns) giveRoom(each *pattern, to Process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if _, reads := each.processes[to]; reads {
		each.readers = room(each.readers, to, 1)
	}
}

// forget ends all reading of a process.
func (p *patterns) forget(process Process) {
	p.mu.Lock()
	defer p.mu.Unlock()
	kept := p.all[:0]
	for _, each := range p.all {
		delete(each.processes, process)
		each.readers = room(each.readers, process, -everything)
		if len(each.processes) > 0 {
			kept = append(kept, each)
		}
	}
	clear(p.all[len(kept):])
	p.all = kept
	p.some.Store(len(kept) > 0)
}

// everything is more room than any process has.
const everything = 1 << 40
