package channel_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"backline/channel"
)

// process is one that only joins.
type process struct{ member }

func (*process) Take(_ string, _ *channel.Message, done func(error)) { done(nil) }
func (*process) Enlist(_, _ string, _ bool, done func(error))        { done(nil) }
func (*process) Flushed()                                            {}

func enter(t *testing.T, h *channel.Hub, holder channel.Member, user, socket string) {
	t.Helper()
	err := h.Enter("room", holder, channel.Here{User: user, Socket: socket, Info: `{"tab": "` + socket + `"}`})
	if err != nil {
		t.Error(err)
	}
}

// present writes who is there as "user:socket,socket user:socket".
func present(h *channel.Hub) string {
	var users []string
	for _, user := range h.Present("room", 0) {
		var sockets []string
		for _, socket := range user.Sockets {
			sockets = append(sockets, socket.Socket)
		}
		users = append(users, user.Name+":"+strings.Join(sockets, ","))
	}
	return strings.Join(users, " ")
}

// news gives what watchers were told.
func (m *member) news() []string {
	synctest.Wait()
	m.mu.Lock()
	defer m.mu.Unlock()
	var all []string
	for _, p := range m.got {
		all = append(all, string(p.Socket.Data))
	}
	return all
}

func told(kind, user, info string) string {
	return fmt.Sprintf(`{"type":"presence.%s","group":"room","user":"%s","info":%s}`, kind, user, info)
}

func TestPresence(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := running(t, channel.Options{LeaveDelay: 5 * time.Second})
		watcher, socket := &member{}, &member{}
		h.Join(channel.Watchers("room"), watcher)
		enter(t, h, socket, "ann", "1")
		enter(t, h, socket, "bob", "2")
		enter(t, h, socket, "ann", "3")
		enter(t, h, socket, "ann", "3")
		if got := present(h); got != "ann:1,3 bob:2" {
			t.Errorf("present: %q", got)
		}
		if users, sockets := h.CountPresent("room"); users != 2 || sockets != 3 {
			t.Errorf("%d users, %d sockets", users, sockets)
		}
		joined := []string{told("join", "ann", `{"tab":"1"}`), told("join", "bob", `{"tab":"2"}`)}
		if got := watcher.news(); !slices.Equal(got, joined) {
			t.Errorf("told: %q", got)
		}
		h.Exit("room", channel.Here{User: "ann", Socket: "1"})
		h.Exit("room", channel.Here{User: "bob", Socket: "2"})
		h.Exit("room", channel.Here{User: "bob", Socket: "2"})
		h.Exit("room", channel.Here{User: "nobody", Socket: "2"})
		if users, sockets := h.CountPresent("room"); users != 1 || sockets != 1 {
			t.Errorf("%d users, %d sockets", users, sockets)
		}
		time.Sleep(4 * time.Second)
		enter(t, h, socket, "bob", "4")
		time.Sleep(time.Minute)
		if got := watcher.news(); !slices.Equal(got, joined) {
			t.Errorf("one who came back in time: told %q", got)
		}
		h.Gone(socket)
		if got := present(h); got != "" {
			t.Errorf("present once all have gone: %q", got)
		}
		time.Sleep(6 * time.Second)
		got := watcher.news()[len(joined):]
		slices.Sort(got)
		if !slices.Equal(got, []string{told("leave", "ann", `{"tab":"3"}`), told("leave", "bob", `{"tab":"4"}`)}) {
			t.Errorf("told: %q", got)
		}
		if s := h.Statistics(); s.Present != 0 {
			t.Errorf("statistics: %+v", s)
		}
	})
}

// TestWhoWasLeftOutIsToldAnew: a list without somebody who has gone for a moment is set right when he is back.
func TestWhoWasLeftOutIsToldAnew(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		h := running(t, channel.Options{LeaveDelay: 5 * time.Second})
		watcher, socket := &member{}, &member{}
		h.Join(channel.Watchers("room"), watcher)
		enter(t, h, socket, "ann", "1")
		h.Gone(socket)
		if got := present(h); got != "" {
			t.Errorf("present: %q", got)
		}
		enter(t, h, socket, "ann", "2")
		if got := watcher.news(); !slices.Equal(got, []string{told("join", "ann", `{"tab":"1"}`), told("join", "ann", `{"tab":"2"}`)}) {
			t.Errorf("told: %q", got)
		}
	})
}

// TestPresenceEndsWithTheProcess: at once, whatever the delay.
func TestPresenceEndsWithTheProcess(t *testing.T) {
	t.Parallel()
	h := channel.New(channel.Options{LeaveDelay: time.Hour})
	p, other := &process{}, &process{}
	for id, each := range map[string]*process{"p": p, "other": other} {
		if err := h.Attach(id, each); err != nil {
			t.Fatal(err)
		}
	}
	enter(t, h, p, "ann", "1")
	enter(t, h, other, "ann", "2")
	enter(t, h, p, "bob", "3")
	h.Detach("p")
	if got := present(h); got != "ann:2" {
		t.Errorf("present: %q", got)
	}
	if err := h.Enter("room", p, channel.Here{User: "late"}); err == nil {
		t.Error("a process that has ended can enter")
	}
}

func TestPresenceIsBounded(t *testing.T) {
	t.Parallel()
	h := channel.New(channel.Options{Presences: 2})
	m := &member{}
	enter(t, h, m, "ann", "1")
	enter(t, h, m, "ann", "2")
	enter(t, h, m, "ann", "2")
	for _, who := range []channel.Here{
		{User: "ann", Socket: "3"}, {User: "ann", Socket: "1", Info: "no JSON"},
		{User: "ann", Socket: "1", Info: `"` + strings.Repeat("x", channel.MaxInfo) + `"`},
	} {
		if err := h.Enter("room", m, who); err == nil {
			t.Errorf("%.50v was let in", who)
		}
	}
	if got := h.Present("room", 1); len(got) != 1 || len(got[0].Sockets) != 2 {
		t.Errorf("present: %v", got)
	}
}
