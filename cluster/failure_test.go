package cluster_test

import (
	"fmt"
	"net"
	"os/exec"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"backline/bus"
	"backline/bus/bustest"
	"backline/channel"
)

// socket is a member that notes what it gets.
type socket struct {
	mu  sync.Mutex
	got []string
}

// Deliver implements channel.Member.
func (s *socket) Deliver(_ string, p *channel.Publication) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.got = append(s.got, string(p.Socket.Data))
	return true
}

func (s *socket) has(want ...string) func() bool {
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return slices.Equal(s.got, want)
	}
}

func (s *socket) last(want string) func() bool {
	return func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return len(s.got) > 0 && s.got[len(s.got)-1] == want
	}
}

func say(n running, text string) {
	n.Publish("room", &channel.Publication{Socket: &channel.SocketMessage{Data: []byte(text), Text: true}})
}

// joined puts a socket into the room of each node, and waits until a word of each reaches all.
func joined(t *testing.T, nodes []running) []*socket {
	t.Helper()
	sockets := make([]*socket, len(nodes))
	for i := range nodes {
		sockets[i] = &socket{}
		nodes[i].Join("room", sockets[i])
	}
	for i := range nodes {
		word := fmt.Sprint("hello", i)
		say(nodes[i], word) // at once: what the bus does not yet know that we want is asked for
		for _, s := range sockets {
			eventually(t, "a first word of "+nodes[i].Name(), s.last(word))
		}
	}
	for _, s := range sockets {
		s.mu.Lock()
		s.got = nil
		s.mu.Unlock()
	}
	return sockets
}

func enter(t *testing.T, n running, user string) {
	t.Helper()
	if err := n.Enter("room", &socket{}, channel.Here{User: user, Socket: user + "'s"}); err != nil {
		t.Fatal(err)
	}
}

func present(n running, want ...string) func() bool {
	return func() bool {
		var got []string
		for _, u := range n.Present("room", 0) {
			got = append(got, u.Name)
		}
		slices.Sort(got)
		return slices.Equal(got, want)
	}
}

// One of three is killed, and one cannot hear the others: what they had ends, what they missed comes when they are back.
func TestOneKilledOnePartitioned(t *testing.T) {
	t.Parallel()
	var network bustest.Network
	cables := []*bustest.Bus{network.Open(), network.Open(), network.Open()}
	prefix := newPrefix()
	nodes := run(t, []bus.Bus{cables[0], cables[1], cables[2]}, prefix, channel.Options{})
	sockets := joined(t, nodes)
	for i, user := range []string{"ann", "ben", "cid"} {
		enter(t, nodes[i], user)
	}
	for _, n := range nodes {
		eventually(t, "everybody sees everybody", present(n, "ann", "ben", "cid"))
	}

	cables[2].Cut() // as if it were killed: it says no goodbye
	nodes[2].stop()
	cables[1].Deafen()
	say(nodes[0], "1")
	say(nodes[0], "2")
	say(nodes[1], "3") // still heard
	eventually(t, "what the deaf one says is heard", sockets[0].has("1", "2", "3"))
	eventually(t, "the dead one's presence ends", present(nodes[0], "ann", "ben"))
	eventually(t, "the deaf one is alone", present(nodes[1], "ben"))
	if !sockets[1].has("3")() {
		t.Errorf("the deaf one has %q", sockets[1].got)
	}

	cables[1].Mend()
	say(nodes[0], "4")
	eventually(t, "the deaf one gets what it missed, once and in order", sockets[1].has("3", "1", "2", "4"))
	eventually(t, "both are present again", present(nodes[1], "ann", "ben"))
	if s := nodes[1].Statistics(); s.Filled < 2 || s.Gaps > 0 {
		t.Errorf("%+v", s)
	}
	again := begin(t, network.Open(), prefix, "node 2", channel.Options{})
	eventually(t, "a node that comes back hears who is there", present(again, "ann", "ben"))
}

// A bus that is away keeps nobody from publishing, and nothing is lost by it.
func TestTheBusIsAwayForAWhile(t *testing.T) {
	t.Parallel()
	var network bustest.Network
	cables := []*bustest.Bus{network.Open(), network.Open()}
	nodes := run(t, []bus.Bus{cables[0], cables[1]}, newPrefix(), channel.Options{})
	sockets := joined(t, nodes)
	cables[0].Cut()
	eventually(t, "the node knows", func() bool { return !nodes[0].Statistics().Up })
	want := make([]string, 500)
	for i := range want {
		want[i] = fmt.Sprint(i)
		say(nodes[0], want[i])
	}
	if !sockets[0].has(want...)() {
		t.Error("members of the same node got less")
	}
	cables[0].Mend()
	eventually(t, "the other node gets all of it", sockets[1].has(want...))
}

// What the publisher no longer has is reported, and positions before it are of another life.
func TestAGapIsReported(t *testing.T) {
	t.Parallel()
	var network bustest.Network
	cables := []*bustest.Bus{network.Open(), network.Open()}
	nodes := run(t, []bus.Bus{cables[0], cables[1]}, newPrefix(), channel.Options{
		History: []channel.HistoryRule{{Pattern: "room", Size: 100, Age: patience}},
	})
	sockets := joined(t, nodes)
	before := nodes[1].Since("room", channel.Sockets, channel.Position{}).Now
	cables[1].Deafen()
	large := string(make([]byte, 4<<20))
	for range 5 {
		say(nodes[0], large) // 20 MiB, of which the ring holds 16
	}
	cables[1].Mend()
	say(nodes[0], "last")
	eventually(t, "it goes on", sockets[1].last("last"))
	if s := nodes[1].Statistics(); s.Gaps != 1 {
		t.Errorf("%+v", s)
	}
	if r := nodes[1].Since("room", channel.Sockets, before); r.Complete || r.Now.Epoch == before.Epoch {
		t.Errorf("its history looks whole: %+v", r.Now)
	}
}

// A part of the answer to what was missed may be lost as well: it is asked for again, or reported, whatever came of the
// parts behind it.
func TestAPartOfTheAnswerIsLost(t *testing.T) {
	t.Parallel()
	for missing, kept := range []int{3, 5} { // 4 MiB each; the ring holds 16
		t.Run(fmt.Sprint("missing ", missing), func(t *testing.T) {
			t.Parallel()
			var network bustest.Network
			cables := []*bustest.Bus{network.Open(), network.Open()}
			nodes := run(t, []bus.Bus{cables[0], cables[1]}, newPrefix(), channel.Options{})
			sockets := joined(t, nodes)
			cables[1].Deafen()
			large := string(make([]byte, 4<<20))
			for range kept {
				say(nodes[0], large)
			}
			lost := 0
			cables[1].Lose(func(data []byte) bool {
				if lost > 0 || len(data) < 1<<19 { // a piece of the first part
					return false
				}
				lost++
				return true
			})
			cables[1].Mend()
			say(nodes[0], "last")
			eventually(t, "it goes on", sockets[1].last("last"))
			want := []string{large, large, large, "last"}
			if s := nodes[1].Statistics(); s.Gaps != uint64(missing) || !sockets[1].has(want...)() {
				t.Errorf("%+v, %d came", s, len(sockets[1].got))
			}
		})
	}
}

// A real server is killed and started again.
func TestTheServerIsStartedAgain(t *testing.T) {
	t.Parallel()
	out, err := exec.Command("../ci/nats.sh").Output()
	if err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(string(out[:len(out)-1]), "nats-server")
	for name, each := range map[string]struct {
		open    func(url string) medium
		scheme  string
		command func(port string) []string
	}{
		"NATS": {overNATS, "nats://", func(port string) []string { return []string{program, "-a", "127.0.0.1", "-p", port} }},
		"Redis": {overRedis, "redis://", func(port string) []string {
			return []string{"redis-server", "--port", port, "--save", "", "--bind", "127.0.0.1"}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			address := freeAddress(t)
			_, port, _ := net.SplitHostPort(address)
			buses, prefix := each.open(each.scheme+address)(t, 2)
			nodes := []running{
				begin(t, buses[0], prefix, "a", channel.Options{}), begin(t, buses[1], prefix, "b", channel.Options{}),
			}
			say(nodes[0], "nobody hears it") // there is no server yet: nothing waits for it
			args := each.command(port)
			server := start(t, address, args[0], args[1:]...)
			for _, n := range nodes {
				eventually(t, "they find each other", func() bool { return n.Peers() == 1 })
			}
			sockets := joined(t, nodes)
			server.Process.Kill()
			for _, n := range nodes {
				eventually(t, "they know that it is away", func() bool { return !n.Statistics().Up })
			}
			say(nodes[0], "1")
			say(nodes[0], "2")
			start(t, address, args[0], args[1:]...)
			eventually(t, "what was published meanwhile comes", sockets[1].has("1", "2"))
			say(nodes[0], "3")
			eventually(t, "and what is published then", sockets[1].has("1", "2", "3"))
		})
	}
}
