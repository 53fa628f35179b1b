package cluster_test

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"backline/bus"
	"backline/bus/bustest"
	"backline/bus/embedded"
	"backline/bus/nats"
	"backline/bus/redis"
	"backline/channel"
	"backline/cluster"
)

const patience = 20 * time.Second

func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !is(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// medium makes buses that reach each other, apart from those of other calls.
type medium func(t *testing.T, n int) (buses []bus.Bus, prefix string)

var prefixes atomic.Int64

func newPrefix() string { return fmt.Sprintf("test%d", prefixes.Add(1)) }

func memory(_ *testing.T, n int) ([]bus.Bus, string) {
	var network bustest.Network
	buses := make([]bus.Bus, n)
	for i := range buses {
		buses[i] = network.Open()
	}
	return buses, newPrefix()
}

func overNATS(url string) medium {
	return func(_ *testing.T, n int) ([]bus.Bus, string) {
		buses := make([]bus.Bus, n)
		for i := range buses {
			buses[i] = nats.New(nats.Options{URL: url, Name: fmt.Sprint(i)})
		}
		return buses, newPrefix()
	}
}

func overRedis(url string) medium {
	return func(t *testing.T, n int) ([]bus.Bus, string) {
		buses := make([]bus.Bus, n)
		for i := range buses {
			b, err := redis.New(redis.Options{URL: url, Name: fmt.Sprint(i)})
			if err != nil {
				t.Fatal(err)
			}
			buses[i] = b
		}
		return buses, newPrefix()
	}
}

// servers bounds the clusters of servers in this process that run at once: they start slowly, and each takes addresses
// that were free a moment before.
var servers = make(chan struct{}, 4)

func inProcess(t *testing.T, n int) ([]bus.Bus, string) {
	t.Helper()
	servers <- struct{}{}
	t.Cleanup(func() { <-servers })
	buses, prefix, addresses := make([]bus.Bus, n), newPrefix(), make([]string, n)
	for i := range addresses {
		addresses[i] = freeAddress(t)
	}
	for i := range buses {
		b, err := embedded.New(embedded.Options{
			Name: fmt.Sprintf("%s-%d", prefix, i), Cluster: prefix, Listen: addresses[i], Peers: addresses, Secret: "s3cret/:@",
		})
		if err != nil {
			t.Fatal(err)
		}
		buses[i] = b
	}
	return buses, prefix
}

// freeAddress gives an address that nobody has. It is not one of those that systems choose from for connections that go
// out: those tests make so many that one has it by the time that its server is there.
func freeAddress(t *testing.T) string {
	t.Helper()
	for {
		l, err := net.Listen("tcp", fmt.Sprint("127.0.0.1:", 15_000+rand.IntN(17_000)))
		if err == nil {
			defer l.Close()
			return l.Addr().String()
		}
	}
}

// natsServer starts the server that ci/nats.sh builds.
func natsServer(t *testing.T) string {
	t.Helper()
	out, err := exec.Command("../ci/nats.sh").Output()
	if err != nil {
		t.Fatal(err)
	}
	address := freeAddress(t)
	host, port, _ := net.SplitHostPort(address)
	program := filepath.Join(string(out[:len(out)-1]), "nats-server")
	start(t, address, program, "-a", host, "-p", port)
	return "nats://" + address
}

func redisServer(t *testing.T) string {
	t.Helper()
	address := freeAddress(t)
	_, port, _ := net.SplitHostPort(address)
	start(t, address, "redis-server", "--port", port, "--save", "", "--bind", "127.0.0.1", "--dir", t.TempDir())
	return "redis://" + address
}

func start(t *testing.T, address, program string, args ...string) *exec.Cmd {
	t.Helper()
	command := exec.Command(program, args...)
	if testing.Verbose() {
		command.Stderr = os.Stderr
	}
	if err := command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		command.Process.Kill()
		command.Wait()
	})
	eventually(t, program+" listens", func() bool {
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err == nil
	})
	return command
}

// running is a node that runs, and stop ends it.
type running struct {
	*cluster.Node
	stop func()
}

// run starts a node for each bus and waits until they know each other.
func run(t *testing.T, buses []bus.Bus, prefix string, hub channel.Options) []running {
	t.Helper()
	nodes := make([]running, len(buses))
	for i, b := range buses {
		nodes[i] = begin(t, b, prefix, fmt.Sprint("node", i), hub)
	}
	for _, n := range nodes {
		<-n.Up()
		eventually(t, "nodes find each other", func() bool { return n.Peers() == len(nodes)-1 })
	}
	return nodes
}

func begin(t *testing.T, b bus.Bus, prefix, name string, hub channel.Options) running {
	t.Helper()
	o := cluster.Options{Bus: b, Prefix: prefix, Name: name, Timeout: timeout}
	if testing.Verbose() {
		o.Log = slog.New(slog.NewTextHandler(os.Stderr, nil)).With("me", name)
	}
	n := cluster.New(o, hub)
	ctx, cancel := context.WithCancel(context.Background())
	var all sync.WaitGroup
	all.Go(func() {
		if err := n.Run(ctx); err != nil {
			t.Error(err)
		}
	})
	all.Go(func() { n.Hub().Run(ctx) })
	stop := sync.OnceFunc(func() {
		cancel()
		all.Wait()
	})
	t.Cleanup(stop)
	return running{n, stop}
}

// timeout is long: many tests share two processors.
const timeout = 3 * time.Second

func open(m medium) func(*testing.T, int, channel.Options) []channel.Layer {
	return func(t *testing.T, n int, options channel.Options) []channel.Layer {
		buses, prefix := m(t, n)
		var layers []channel.Layer
		for _, each := range run(t, buses, prefix, options) {
			layers = append(layers, each.Node)
		}
		return layers
	}
}
