package ratelimit

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

const start = time.Hour // any time but 0

var alice, bob = netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("192.0.2.2")

// allowed counts how many of n requests at one moment may go on.
func allowed(r *Requests, a netip.Addr, now time.Duration, n int) (count int) {
	for range n {
		if r.Take(a, now) == 0 {
			count++
		}
	}
	return count
}

func TestRequests(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		rate       string
		burst      int
		first      int           // requests at once
		after      time.Duration // then how many more after this time
		more       int
		wait, idle time.Duration // for the next one then; until everything is allowed again
	}{
		{"10/s", 0, 10, 100 * time.Millisecond, 1, 100 * time.Millisecond, time.Second},
		{"10/s", 1, 1, 350 * time.Millisecond, 1, 100 * time.Millisecond, 100 * time.Millisecond},
		{"10/s", 5, 5, 250 * time.Millisecond, 2, 50 * time.Millisecond, 500 * time.Millisecond},
		{"600/m", 0, 600, time.Second, 10, 100 * time.Millisecond, time.Minute},
		{"60/h", 3, 3, 90 * time.Second, 1, 30 * time.Second, 3 * time.Minute},
		{"1/h", 0, 1, 59 * time.Minute, 0, time.Minute, time.Hour},
		{"1000000/s", 1, 1, 10 * time.Microsecond, 1, time.Microsecond, time.Microsecond},
	} {
		rate, err := ParseRate(c.rate)
		if err != nil {
			t.Fatal(err)
		}
		r := NewRequests(rate, c.burst, 0)
		now := start
		if n := allowed(r, alice, now, c.first+5); n != c.first {
			t.Errorf("%s, burst %d: %d at once, expected %d", c.rate, c.burst, n, c.first)
		}
		now += c.after
		if n := allowed(r, alice, now, c.first+5); n != c.more {
			t.Errorf("%s, burst %d: %d more after %v, expected %d", c.rate, c.burst, n, c.after, c.more)
		}
		if wait := r.Take(alice, now); wait != c.wait {
			t.Errorf("%s, burst %d: wait %v, expected %v", c.rate, c.burst, wait, c.wait)
		}
		if r.Take(alice, now+c.wait-1) == 0 || r.Take(alice, now+c.wait) != 0 {
			t.Errorf("%s, burst %d: the wait of %v was not what it takes", c.rate, c.burst, c.wait)
		}
		if n := allowed(r, bob, now, c.first+5); n != c.first {
			t.Errorf("%s, burst %d: %d for another address, expected %d", c.rate, c.burst, n, c.first)
		}
		if n := allowed(r, alice, now+c.wait+c.idle, c.first+5); n != c.first {
			t.Errorf("%s, burst %d: %d after a rest, expected %d", c.rate, c.burst, n, c.first)
		}
	}
}

// TestSteady: whoever keeps to the rate is never refused, and whoever does not gets the rate.
func TestSteady(t *testing.T) {
	t.Parallel()
	r := NewRequests(Rate{Requests: 10, Per: time.Second}, 1, 0)
	taken := 0
	for now := start; now < start+time.Minute; now += 10 * time.Millisecond {
		if now%(100*time.Millisecond) == 0 && r.Take(alice, now) != 0 {
			t.Fatalf("refused after %v although it keeps to the rate", now-start)
		}
		if r.Take(bob, now) == 0 {
			taken++
		}
	}
	if taken != 600 {
		t.Errorf("%d requests in a minute, expected 600", taken)
	}
}

func TestAddresses(t *testing.T) {
	t.Parallel()
	same := func(a, b string) bool { return keyOf(netip.MustParseAddr(a)) == keyOf(netip.MustParseAddr(b)) }
	for _, c := range []struct {
		a, b string
		want bool
	}{
		{"192.0.2.1", "192.0.2.1", true},
		{"192.0.2.1", "192.0.2.2", false},
		{"192.0.2.1", "::ffff:192.0.2.1", true},
		{"2001:db8::1", "2001:db8::ffff:ffff:ffff:ffff", true},
		{"2001:db8::1", "2001:db8:0:1::1", false},
		{"2001:db8::1", "192.0.2.1", false},
		{"fe80::1", "fe80::2", true},
	} {
		if same(c.a, c.b) != c.want {
			t.Errorf("%s and %s: one address is %v, expected %v", c.a, c.b, !c.want, c.want)
		}
	}
}

// nth gives a different address for each n.
func nth(n int) netip.Addr {
	var b [16]byte
	b[0] = 0x20
	binary.BigEndian.PutUint32(b[4:], uint32(n))
	return netip.AddrFrom16(b)
}

// TestFlood: a hundred times as many addresses as there is room for, a request or two each, do not free one that has
// used its bucket up, and are not refused themselves.
func TestFlood(t *testing.T) {
	t.Parallel()
	const room = 1024
	r := NewRequests(Rate{Requests: 10, Per: time.Hour}, 10, room)
	used := make([]netip.Addr, 0, 64)
	for n := range 64 {
		a := nth(1_000_000 + n)
		allowed(r, a, start, 10)
		used = append(used, a)
	}
	for n := range 100 * room {
		if got := allowed(r, nth(n), start+time.Duration(n), 2); got != 2 {
			t.Fatalf("newcomer %d may send %d requests, expected 2", n, got)
		}
	}
	free := 0
	for _, a := range used {
		if r.Take(a, start+time.Minute) == 0 {
			free++
		}
	}
	if free > 0 {
		t.Errorf("%d of %d addresses that had used their buckets up were forgotten", free, len(used))
	}
}

// TestRoom: as many addresses as are asked for fit, give or take those whom the hash puts together.
func TestRoom(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ addresses, groups int }{{0, 64}, {1, 64}, {512, 64}, {513, 128}, {1 << 16, 1 << 13}, {1<<16 + 1, 1 << 14}} {
		if n := len(NewRequests(Rate{Requests: 1, Per: time.Second}, 1, c.addresses).groups); n != c.groups {
			t.Errorf("%d addresses: %d groups of %d, expected %d", c.addresses, n, places, c.groups)
		}
	}
	const some = 4096
	r := NewRequests(Rate{Requests: 1, Per: time.Hour}, 1, 2*some)
	for n := range some {
		r.Take(nth(n), start)
	}
	forgotten := 0
	for n := range some {
		if r.Take(nth(n), start) == 0 {
			forgotten++
		}
	}
	if forgotten > some/20 {
		t.Errorf("%d of %d addresses were forgotten although the table has twice the room", forgotten, some)
	}
}

func TestAtOnce(t *testing.T) {
	t.Parallel()
	r := NewRequests(Rate{Requests: 1, Per: time.Hour}, 500, 0)
	var taken atomic.Int64
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() { taken.Add(int64(allowed(r, alice, start, 100))) })
	}
	group.Wait()
	if taken.Load() != 500 {
		t.Errorf("%d requests, expected 500", taken.Load())
	}
}

func TestParseRate(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		text string
		want Rate
		word string
	}{
		{text: "100/s", want: Rate{100, time.Second}},
		{text: "600 / m", want: Rate{600, time.Minute}},
		{text: "1/h", want: Rate{1, time.Hour}},
		{text: "1000000/s", want: Rate{1000000, time.Second}},
		{text: "100", word: "expected requests per second"},
		{text: "100/d", word: "no unit"},
		{text: "100/", word: "no unit"},
		{text: "/s", word: "no number"},
		{text: "0/s", word: "no number"},
		{text: "-1/s", word: "no number"},
		{text: "1.5/s", word: "no number"},
		{text: "1000001/s", word: "more than can be counted"},
		{text: "99999999999999999999/s", word: "more than can be counted"},
	} {
		got, err := ParseRate(c.text)
		if c.word == "" && (err != nil || got != c.want) || c.word != "" && (err == nil || !strings.Contains(err.Error(), c.word)) {
			t.Errorf("%q: %v, %v; expected %v, something with %q", c.text, got, err, c.want, c.word)
		}
	}
}

func FuzzParseRate(f *testing.F) {
	f.Add("100/s")
	f.Add("1 /h")
	f.Fuzz(func(t *testing.T, text string) {
		rate, err := ParseRate(text)
		if err == nil && (rate.Requests < 1 || rate.Per/time.Duration(rate.Requests) < time.Microsecond) {
			t.Errorf("%q is %v", text, rate)
		}
	})
}

func TestAllocations(t *testing.T) {
	r, c := NewRequests(Rate{Requests: 100, Per: time.Second}, 0, 0), NewConnections(10)
	c.Enter(alice)
	n := testing.AllocsPerRun(100, func() {
		r.Take(alice, start)
		c.Enter(alice)
		c.Leave(alice)
	})
	if n > 0 {
		t.Errorf("%.0f allocations", n)
	}
}

func BenchmarkTake(b *testing.B) {
	r := NewRequests(Rate{Requests: 100, Per: time.Second}, 0, 1<<16)
	b.ReportAllocs()
	for n := 0; b.Loop(); n++ {
		r.Take(nth(n&0xffff), start+time.Duration(n))
	}
}
