package channel_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"backline/channel"
	"backline/wire"
)

// counter is the cheapest member there is.
type counter struct{ n atomic.Uint64 }

func (c *counter) Deliver(string, *channel.Publication) bool { c.n.Add(1); return true }

func crowded(members int, options channel.Options) *channel.Hub {
	h := channel.New(options)
	for range members {
		h.Join("room", &counter{})
	}
	return h
}

// TestPublishDoesNotAllocate: ten thousand members cost no memory for a publication.
func TestPublishDoesNotAllocate(t *testing.T) {
	for _, members := range []int{0, 1, 10_000} {
		h := crowded(members, channel.Options{})
		p := &channel.Publication{}
		if n := testing.AllocsPerRun(20, func() { h.Publish("room", p) }); n > 0 {
			t.Errorf("%d members: %v allocations", members, n)
		}
	}
}

func BenchmarkPublish(b *testing.B) {
	for _, members := range []int{0, 1, 100, 10_000} {
		b.Run(fmt.Sprint("members=", members), func(b *testing.B) {
			h := crowded(members, channel.Options{})
			p := &channel.Publication{}
			b.ReportAllocs()
			for b.Loop() {
				h.Publish("room", p)
			}
		})
	}
}

// BenchmarkPublishApart has every processor publish to groups of its own.
func BenchmarkPublishApart(b *testing.B) {
	h := channel.New(channel.Options{})
	var made atomic.Uint64
	b.ReportAllocs()
	b.RunParallel(func(pb *testing.PB) {
		name := fmt.Sprint("room", made.Add(1))
		h.Join(name, &counter{})
		p := &channel.Publication{}
		for pb.Next() {
			h.Publish(name, p)
		}
	})
}

func BenchmarkPublishWithHistory(b *testing.B) {
	options := channel.Options{History: []channel.HistoryRule{{Pattern: "*", Size: 100, Age: time.Hour}}}
	h := crowded(1, options)
	text := []byte("news")
	b.ReportAllocs()
	for b.Loop() {
		h.Publish("room", &channel.Publication{Stream: text})
	}
}

func BenchmarkJoinLeave(b *testing.B) {
	for _, members := range []int{0, 10_000} {
		b.Run(fmt.Sprint("members=", members), func(b *testing.B) {
			h, m := crowded(members, channel.Options{}), &counter{}
			b.ReportAllocs()
			for b.Loop() {
				h.Join("room", m)
				h.Leave("room", m)
			}
		})
	}
}

func BenchmarkSendRead(b *testing.B) {
	h, p := channel.New(channel.Options{}), &process{}
	if err := h.Attach("p", p); err != nil {
		b.Fatal(err)
	}
	m := channel.NewMessage(wire.Marshal, []byte("{0"))
	ignore := func(error) {}
	for name, each := range map[string]func(){
		"waiting reader":  func() { h.Read("thumbs", p, 1); h.Send("thumbs", m, ignore) },
		"waiting message": func() { h.Send("thumbs", m, ignore); h.Read("thumbs", p, 1) },
		"owned":           func() { h.Send("specific.p!x", m, ignore) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				each()
			}
		})
	}
}
