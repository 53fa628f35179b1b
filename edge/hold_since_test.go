package edge

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"backline/channel"
	"backline/dispatch"
	"backline/grip"
)

// goingOn serves streams of events of the groups in the query, from the Last-Event-ID on.
func goingOn(ex *dispatch.Exchange) {
	last := ""
	for _, f := range ex.Scope.Fields {
		if strings.EqualFold(string(f.Name), "last-event-id") {
			last = string(f.Value)
		}
	}
	say(ex, 200, "", "Content-Type: text/event-stream", "Grip-Hold: stream", "Grip-Channel: "+string(ex.Scope.Query),
		"Backline-Since: "+last)
}

// eventSource is what a browser's does: it has the last id, and says it when it opens the stream again.
type eventSource struct {
	t      *testing.T
	client *http.Client
	url    string
	last   string
	close  func()
	from   *bufio.Reader
}

func (b *bundle) eventSource(t *testing.T, kind, groups string) *eventSource {
	return &eventSource{t: t, client: b.oneOf(kind), url: urlOf(b, kind, "/?"+groups), close: func() {}}
}

func (e *eventSource) open() {
	e.t.Helper()
	e.close()
	ctx, cancel := context.WithCancel(context.Background())
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, e.url, nil)
	if err != nil {
		e.t.Fatal(err)
	}
	if e.last != "" {
		request.Header.Set("Last-Event-ID", e.last)
	}
	answer, err := e.client.Do(request)
	if err != nil {
		cancel()
		e.t.Fatal(err)
	}
	for name := range answer.Header {
		if strings.HasPrefix(name, "Backline-") {
			e.t.Errorf("the client sees %s", name)
		}
	}
	e.from = bufio.NewReader(answer.Body)
	e.close = func() { cancel(); _ = answer.Body.Close() }
	e.t.Cleanup(e.close)
}

// next gives the next event as "type data", or "" for what only says an id.
func (e *eventSource) next() (string, error) {
	kind, data, some := "", []string(nil), false
	for {
		text, err := e.from.ReadString('\n')
		if err != nil {
			return "", err
		}
		name, value, _ := strings.Cut(strings.TrimRight(text, "\r\n"), ": ")
		switch name {
		case "id":
			e.last, some = value, true
		case "event":
			kind = value + " "
		case "data":
			data = append(data, value)
		case "":
			if some || data != nil {
				return kind + strings.Join(data, "\n"), nil
			}
		}
	}
}

func (e *eventSource) expect(want ...string) {
	e.t.Helper()
	for _, each := range want {
		if got, err := e.next(); err != nil || got != each {
			e.t.Fatalf("got %q, %v; expected %q", got, err, each)
		}
	}
}

func happen(hub *channel.Hub, group, text string) {
	hub.Publish(group, &channel.Publication{Stream: []byte("data: " + text + "\n\n")})
}

// sinceOver runs a test with a server whose groups "room" and "other" remember n publications.
func sinceOver(t *testing.T, n int, test func(t *testing.T, b *bundle, hub *channel.Hub, kind string)) {
	t.Helper()
	for _, kind := range append([]string{"h1"}, everyMultiplexed()...) {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			options, hub := holding()
			for _, group := range []string{"room", "other"} {
				hub.Keep(group, channel.Retention{Size: n, Age: time.Hour})
			}
			test(t, start(t, over(kind, options), handler{answer: goingOn}), hub, kind)
		})
	}
}

func TestStreamGoesOnFromItsLastEvent(t *testing.T) {
	t.Parallel()
	sinceOver(t, 10, func(t *testing.T, b *bundle, hub *channel.Hub, kind string) {
		happen(hub, "room", "0")
		e := b.eventSource(t, kind, "room")
		e.open()
		e.expect("0", "") // a first visit: all that is remembered
		happen(hub, "room", "1")
		e.expect("1")
		first := e.last
		happen(hub, "room", "2")
		e.expect("2")
		e.close()
		b.held(0)
		happen(hub, "room", "3")
		e.open()
		e.expect("3", "")
		happen(hub, "room", "4")
		e.expect("4")
		e.last = first
		e.open()
		e.expect("2", "3", "4", "")
		happen(hub, "room", "5")
		e.expect("5")
	})
}

// One that has got nothing yet but the stream's beginning misses nothing either.
func TestStreamGoesOnBeforeItsFirstEvent(t *testing.T) {
	t.Parallel()
	sinceOver(t, 10, func(t *testing.T, b *bundle, hub *channel.Hub, kind string) {
		e := b.eventSource(t, kind, "room,other")
		e.open()
		e.expect("")
		e.close()
		b.held(0)
		happen(hub, "room", "1")
		happen(hub, "other", "2")
		e.open()
		e.expect("1", "2", "")
	})
}

func TestStreamIsToldOfAGap(t *testing.T) {
	t.Parallel()
	sinceOver(t, 2, func(t *testing.T, b *bundle, hub *channel.Hub, kind string) {
		e := b.eventSource(t, kind, "room")
		e.open()
		e.expect("")
		seen := e.last
		for _, text := range []string{"1", "2", "3"} {
			happen(hub, "room", text)
			e.expect(text)
		}
		for _, last := range []string{seen, "1f-7", "7", "nonsense"} {
			e.last = last
			e.open()
			e.expect("backline.gap room")
			happen(hub, "room", "on")
			e.expect("on")
			e.open() // and from there it goes on
			happen(hub, "room", "more")
			if got, err := e.next(); err != nil || got == "" {
				e.expect("more")
			}
		}
	})
}

// One text stands for the positions in several groups; the gap in one of them is no gap in another.
func TestStreamOfSeveralGroupsGoesOn(t *testing.T) {
	t.Parallel()
	sinceOver(t, 2, func(t *testing.T, b *bundle, hub *channel.Hub, kind string) {
		e := b.eventSource(t, kind, "room,other")
		e.open()
		e.expect("")
		happen(hub, "room", "a1")
		e.expect("a1")
		happen(hub, "other", "b1")
		e.expect("b1")
		e.close()
		b.held(0)
		happen(hub, "other", "b2")
		for n := range 3 {
			happen(hub, "room", fmt.Sprint("a", n+2))
		}
		e.open()
		e.expect("backline.gap room", "b2", "")
		happen(hub, "room", "a5")
		e.expect("a5")
	})
}

// What was missed may be more than hold_backlog, and then the bound holds again.
func TestStreamGetsMoreThanItsBacklog(t *testing.T) {
	t.Parallel()
	options, hub := holding()
	options.Holds.Backlog = 2
	hub.Keep("room", channel.Retention{Size: 1000, Age: time.Hour})
	b := start(t, options, handler{answer: goingOn})
	e := b.eventSource(t, "h1", "room")
	want := make([]string, 500)
	for i := range want {
		want[i] = fmt.Sprint(i)
		happen(hub, "room", want[i])
	}
	e.open()
	e.expect(want...)
	e.expect("")
	h := &hold{holds: &b.holds, wake: func() {}, resumed: &resumption{}}
	for n := range 4 {
		if took := h.Deliver("room", &channel.Publication{Stream: []byte("x")}); took != (n < 2) {
			t.Errorf("%d: %v", n, took)
		}
	}
	if !h.lost {
		t.Error("nothing says that something is lost")
	}
}

// Publications without a form for streams are not theirs, one that closes them is for those who are there, and the id
// that a publisher gives does not take the place of the server's.
func TestWhatOfAGroupIsForStreams(t *testing.T) {
	t.Parallel()
	options, hub := holding()
	hub.Keep("room", channel.Retention{Size: 10, Age: time.Hour})
	b := start(t, options, handler{answer: goingOn})
	e := b.eventSource(t, "h1", "room")
	e.open()
	e.expect("")
	begin := e.last
	hub.Publish("room", answerWith("for polls"))
	hub.Publish("room", &channel.Publication{Socket: &channel.SocketMessage{Data: []byte("for sockets")}})
	hub.Publish("room", &channel.Publication{ID: "7", Stream: []byte("event: news\r\nid: 7\r\ndata: a\r\n\r\n")})
	e.expect("news a")
	named := e.last
	if named == "7" {
		t.Error("the browser would say the publisher's id, of which the server knows nothing")
	}
	hub.Publish("room", &channel.Publication{Stream: []byte("data: half")}) // of an event: its position is not told
	hub.Publish("room", &channel.Publication{Stream: []byte(" and half\n\n")})
	e.expect("half and half")
	hub.Publish("room", &channel.Publication{Close: channel.FormStream})
	if got, err := e.next(); !errors.Is(err, io.EOF) {
		t.Fatalf("%q, %v", got, err)
	}
	e.open()
	e.expect("")
	happen(hub, "room", "b")
	e.expect("b")
	for last, want := range map[string][]string{begin: {"news a", "half and half", "b", ""}, named: {"half and half", "b", ""}} {
		e.last = last
		e.open()
		e.expect(want...)
	}
}

// A group that remembers nothing: what was missed is never known, and what is published while the view works is not
// missed.
func TestStreamOfAGroupWithoutHistory(t *testing.T) {
	t.Parallel()
	options, hub := holding()
	during := make(chan string, 1)
	b := start(t, options, handler{answer: func(ex *dispatch.Exchange) {
		select {
		case text := <-during:
			happen(hub, "plain", text)
		default:
		}
		goingOn(ex)
	}})
	e := b.eventSource(t, "h1", "plain")
	e.open()
	e.expect("")
	happen(hub, "plain", "1")
	e.expect("1")
	e.last = ""
	during <- "while it looked"
	e.open()
	e.expect("while it looked", "")
	e.open()
	e.expect("backline.gap plain")
	happen(hub, "plain", "2")
	e.expect("2")
}

// distant is a hub that answers when it is told to, as if other servers had to be asked.
type distant struct {
	*channel.Hub
	asked chan func()
}

func (d *distant) Recall(group string, kind channel.Kind, from channel.Position, done func(channel.Recall)) {
	if group == "room" {
		d.asked <- func() { d.Hub.Recall(group, kind, from, done) }
		return
	}
	d.Hub.Recall(group, kind, from, done)
}

func TestStreamGoesOnWhileOthersAreAsked(t *testing.T) {
	t.Parallel()
	options, hub := holding()
	far := &distant{hub, make(chan func(), 1)}
	options.Holds.Hub = far
	for _, group := range []string{"room", "other"} {
		hub.Keep(group, channel.Retention{Size: 10, Age: time.Hour})
	}
	b := start(t, options, handler{answer: goingOn})
	e := b.eventSource(t, "h1", "room,other")
	e.open()
	answer := <-far.asked
	happen(hub, "room", "a1")
	happen(hub, "other", "b1")
	e.expect("b1")
	e.open() // before it knows where it was in room: then it still has seen nothing of that
	answer()
	answer = <-far.asked
	happen(hub, "other", "b2")
	e.expect("b2")
	answer()
	e.expect("a1", "")
	happen(hub, "room", "a2")
	e.expect("a2")
	e.open()
	answer = <-far.asked
	e.close()
	b.held(0)
	answer()
	eventually(t, "who has gone is in no group", func() bool { return hub.Statistics().Members == 0 })
}

// Clients that lose their streams all the time, while others publish, get everything once and in order.
func TestStreamsMissNothing(t *testing.T) {
	t.Parallel()
	sinceOver(t, 1000, func(t *testing.T, b *bundle, hub *channel.Hub, kind string) {
		const many, clients, ahead = 200, 4, 10
		var group sync.WaitGroup
		slot := make(chan struct{}, many) // so that what is published meets streams that begin
		group.Go(func() {
			b.joined(clients)
			for n := range many {
				if n >= ahead {
					<-slot
				}
				happen(hub, []string{"room", "other"}[n%2], fmt.Sprint(n))
				if n%10 == 0 {
					hub.Publish("room", answerWith("for polls"))
				}
			}
		})
		for client := range clients {
			group.Go(func() {
				e := b.eventSource(t, kind, "room,other")
				got := map[bool][]string{}
				for count, opened := 0, 0; count < many; opened++ {
					e.open()
					for before := count; count < many && (count == before || count%(7+client+opened%5) != 0); {
						text, err := e.next()
						if err != nil || strings.Contains(text, "gap") {
							t.Errorf("%q %v", text, err)
							return
						}
						if text != "" {
							n := 0
							_, _ = fmt.Sscan(text, &n)
							got[n%2 == 0] = append(got[n%2 == 0], text)
							if count++; client == 0 {
								slot <- struct{}{}
							}
						}
					}
				}
				for _, even := range []bool{true, false} {
					for i, text := range got[even] {
						if n := 2 * i; text != fmt.Sprint(n) && text != fmt.Sprint(n+1) {
							t.Errorf("%d: %v", i, got[even])
							return
						}
					}
				}
			})
		}
		group.Wait()
	})
}

// A stream without positions has no part in any of this.
func TestStreamWithoutPositions(t *testing.T) {
	t.Parallel()
	options, hub := holding()
	hub.Keep("room", channel.Retention{Size: 10, Age: time.Hour})
	b := start(t, options, handler{answer: func(ex *dispatch.Exchange) {
		say(ex, 200, "", "Content-Type: text/event-stream", "Grip-Hold: stream", "Grip-Channel: room")
	}})
	happen(hub, "room", "before")
	e := b.eventSource(t, "h1", "room")
	e.open()
	b.joined(1)
	happen(hub, "room", "1")
	e.expect("1")
	if e.last != "" {
		t.Errorf("it has the id %q", e.last)
	}
	if h := (&hold{}); !slices.Equal(h.identify([]byte("data: 1\n\n")), []byte("data: 1\n\n")) {
		t.Error("it is changed")
	}
}

// What an event costs more where it has its position.
func BenchmarkIdentify(b *testing.B) {
	data := []byte("data: " + strings.Repeat("x", 100) + "\n\n")
	for _, groups := range []int{0, 1, 5} {
		b.Run(fmt.Sprint(groups), func(b *testing.B) {
			h := &hold{in: &grip.Instruct{}}
			if groups > 0 {
				h.in.Since, h.in.Channels = &grip.Since{}, make([]grip.Channel, groups)
			}
			for i := range h.in.Channels {
				h.in.Channels[i].Name = fmt.Sprint("room-", i)
			}
			h.resume()
			a := arrival{"room-0", &channel.Publication{Stream: data, Position: channel.Position{Epoch: 1 << 52, Offset: 12345}}}
			b.ReportAllocs()
			for b.Loop() {
				h.arrive(&a, 0)
				if len(h.identify(data)) < len(data) {
					b.Fatal("it is shorter")
				}
			}
		})
	}
}
