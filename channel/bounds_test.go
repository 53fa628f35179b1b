package channel_test

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"backline/channel"
	"backline/wire"
)

// refuses has no room.
type refuses struct{ n atomic.Uint64 }

func (r *refuses) Deliver(string, *channel.Publication) bool { r.n.Add(1); return false }

// buffer is one that a goroutine writes while another one reads.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(text []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(text)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

func TestDropsAreCountedAndLogged(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		log := &buffer{}
		h := running(t, channel.Options{Log: slog.New(slog.NewTextHandler(log, nil))})
		lines := func() int { synctest.Wait(); return strings.Count(log.String(), "\n") }
		for i := range 150 {
			h.Join(fmt.Sprint("room", i), &refuses{})
		}
		publish(h, "room0", "x")
		if lines() != 1 || !strings.Contains(log.String(), "group room0: 1") {
			t.Errorf("logged at once: %s", log.String())
		}
		for i := range 150 {
			publish(h, fmt.Sprint("room", i), "x")
		}
		if lines() != 1 {
			t.Errorf("logged at a limited rate: %s", log.String())
		}
		time.Sleep(11 * time.Second)
		if lines() != 2 || !strings.Contains(log.String(), "count=150") || !strings.Contains(log.String(), "(others): 50") {
			t.Errorf("logged ten seconds later: %s", log.String())
		}
		time.Sleep(time.Minute)
		if lines() != 2 {
			t.Errorf("logged although nothing was dropped: %s", log.String())
		}
		total, others := uint64(0), uint64(0)
		for _, each := range h.Drops() {
			total += each.Count
			if each.Name == "" {
				others = each.Count
			}
		}
		if total != 151 || others != 50 || len(h.Drops()) != 101 {
			t.Errorf("%d drops, %d of them without a name, %d names", total, others, len(h.Drops()))
		}
	})
}

func TestWhatWaitsIsBounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := running(t, channel.Options{WaitingBytes: 10_000})
		var refused error
		send := func(i int) {
			m := channel.NewMessage(wire.Marshal, make([]byte, 800))
			h.Send(fmt.Sprint("thumbs", i), m, func(err error) { refused = err })
		}
		for i := range 11 {
			if refused != nil {
				t.Errorf("message %d: %v", i, refused)
			}
			send(i)
		}
		if !errors.Is(refused, channel.ErrNoRoom) {
			t.Errorf("one too many: %v", refused)
		}
		if s := h.Statistics(); s.Waiting != 10 || s.WaitingBytes != 10_000 {
			t.Errorf("statistics: %+v", s)
		}
		time.Sleep(80 * time.Second)
		if s := h.Statistics(); s.Waiting != 0 || s.WaitingBytes != 0 || s.Expired != 10 {
			t.Errorf("once expired: %+v", s)
		}
	})
}

func TestMembershipsWithoutOwnerExpire(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := running(t, channel.Options{})
		h.Enlist("room", "thumbs", true, func(error) {})
		time.Sleep(23 * time.Hour)
		h.Enlist("room", "thumbs", true, func(error) {})
		time.Sleep(23 * time.Hour)
		if s := h.Statistics(); s.Groups != 1 {
			t.Errorf("renewed: %+v", s)
		}
		time.Sleep(time.Hour + time.Minute)
		if s := h.Statistics(); s.Groups != 0 {
			t.Errorf("a day later: %+v", s)
		}
	})
}

// TestInterest: a bus is told when a group begins and when it ends, in this order.
func TestInterest(t *testing.T) {
	t.Parallel()
	told := map[string]string{}
	h := channel.New(channel.Options{Interest: func(group string, begins bool) {
		told[group] += map[bool]string{true: "+", false: "-"}[begins]
	}})
	a, b := &member{}, &member{}
	h.Join("room", a)
	h.Join("room", b)
	h.Leave("room", a)
	h.Leave("room", b)
	h.Join("room", a)
	publish(h, "other", "x")
	if told["room"] != "+-+" || told["other"] != "" {
		t.Errorf("told %v", told)
	}
}
