package cluster

import (
	"encoding/binary"
	"sync"
	"time"
)

// ring remembers what this node has published, for those who missed it.
type ring struct {
	limit int           // bytes
	age   time.Duration // for how long

	mu        sync.Mutex
	seq       uint64
	items     []item // the oldest first
	bytes     int
	groups    map[string]*trail
	forgotten uint64 // no group that is not in the table has published anything later
	forgotAt  time.Time
}

type item struct {
	seq    uint64
	at     time.Time
	trail  *trail
	packet []byte
}

// trail is what is known of a group's publications.
type trail struct {
	group     string
	last      uint64
	kept      int // items
	evicted   uint64
	evictedAt time.Time // when the last one that is gone was published
}

// maxTrails bounds the groups whose last number is known exactly. Of others it is known only that it is at most
// forgotten, so that their members may be told of a gap that is none, but never miss one.
const maxTrails = 100_000

// add numbers a packet and keeps it. send is called with the lock held, so that packets leave in the order of their
// numbers. A packet of nil is one that cannot leave: it has a number, so that the others find that it is missing.
func (r *ring) add(group string, packet []byte, now time.Time, send func()) (seq, prev uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seq++
	t := r.groups[group]
	if t == nil {
		r.tidy()
		t = &trail{group: group, last: r.forgotten, evicted: r.forgotten, evictedAt: r.forgotAt}
		r.groups[group] = t
	}
	seq, prev = r.seq, t.last
	t.last = seq
	if packet == nil {
		t.evicted, t.evictedAt = seq, now
		return seq, prev
	}
	binary.BigEndian.PutUint64(packet[seqAt:], seq)
	binary.BigEndian.PutUint64(packet[seqAt+8:], prev)
	t.kept++
	r.items = append(r.items, item{r.seq, now, t, packet})
	r.bytes += len(packet) + itemCost
	r.expire(now)
	send()
	return seq, prev
}

// last gives the number of the last publication to a group, 0 where there was none, and that of the last one at all.
func (r *ring) last(group string) (ofGroup, ofAll uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if t := r.groups[group]; t != nil {
		return t.last, r.seq
	}
	return r.forgotten, r.seq
}

// itemCost is what an item takes besides its packet.
const itemCost = 64

func (r *ring) expire(now time.Time) {
	for len(r.items) > 0 && (r.bytes > r.limit || now.Sub(r.items[0].at) > r.age) {
		oldest := r.items[0]
		r.items[0] = item{}
		r.items = r.items[1:]
		r.bytes -= len(oldest.packet) + itemCost
		oldest.trail.kept--
		if t := oldest.trail; oldest.seq > t.evicted {
			t.evicted, t.evictedAt = oldest.seq, oldest.at
		}
	}
}

// tidy makes room in the table of groups.
func (r *ring) tidy() {
	if len(r.groups) < maxTrails {
		return
	}
	for name, t := range r.groups {
		if t.kept == 0 {
			r.forgotten = max(r.forgotten, t.last)
			if t.evictedAt.After(r.forgotAt) {
				r.forgotAt = t.evictedAt
			}
			delete(r.groups, name)
		}
		if len(r.groups) < maxTrails*9/10 {
			return
		}
	}
}

// missed gives what was published to a group after a number, or, without one, in the last while. The number upto is
// that of the last publication of this node: what is neither among the packets nor later was not published to it.
func (r *ring) missed(w want, now time.Time) (packets [][]byte, complete bool, upto uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.expire(now)
	upto = r.seq
	since := now.Add(-min(time.Duration(min(w.age, uint64(longest.Milliseconds())))*time.Millisecond, longest))
	t := r.groups[w.group]
	if t == nil {
		if w.after > 0 {
			return nil, r.forgotten <= w.after, upto
		}
		return nil, !r.forgotAt.After(since), upto
	}
	if w.after > 0 {
		complete = t.evicted <= w.after
	} else {
		complete = !t.evictedAt.After(since)
	}
	if t.last <= w.after {
		return nil, complete, upto
	}
	for i := len(r.items) - 1; i >= 0; i-- { // the newest first: what is missed is seldom old
		each := &r.items[i]
		if each.seq <= w.after || w.after == 0 && each.at.Before(since) {
			break
		}
		if each.trail == t {
			packets = append(packets, each.packet)
		}
	}
	for i, j := 0, len(packets)-1; i < j; i, j = i+1, j-1 {
		packets[i], packets[j] = packets[j], packets[i]
	}
	return packets, complete, upto
}

func (r *ring) size() (bytes, items int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.bytes, len(r.items)
}
