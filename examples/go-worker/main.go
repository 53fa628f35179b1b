// Command go-worker is a worker of Backline that is not Python, written from docs/protocol.md alone: it answers requests
// under whatever route leads to its pool, and one channel. In backline.toml:
//
//	[pool.go]
//	command = ["./go-worker"]
//
//	[[route]]
//	path = "/go/"
//	pool = "go"
package main

import (
	"fmt"
	"os"
	"runtime"
)

// Descriptors that the server opens in every worker.
const (
	requestsAt = 3
	controlAt  = 4
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "go-worker:", err)
		os.Exit(1)
	}
}

func run() error {
	requests, err := open(requestsAt)
	if err != nil {
		return fmt.Errorf("it is started by `backline serve`, not by hand: %w", err)
	}
	control, err := open(controlAt)
	if err != nil {
		return err
	}
	settings, err := handshake(requests)
	if err != nil {
		return err
	}
	go serveControl(control)
	return newWorker(requests, settings).run()
}

// handshake says who we are, and hears how to serve.
func handshake(conn *connection) (map[string]any, error) {
	if err := conn.send(message{hello, map[string]any{"protocol": 1, "language": "go", "pid": os.Getpid()}}); err != nil {
		return nil, err
	}
	packet, err := conn.receive()
	if err != nil {
		return nil, err // the server's log says what does not fit
	}
	settings, ok := packet[0].dictionary(1)["settings"].(map[string]any)
	if !ok {
		return nil, fmt.Errorf("the server sent %v; expected WELCOME", packet)
	}
	return settings, conn.send(message{up, map[string]any{
		"interface": "asgi", "loop": "goroutines", "concurrency": settings["worker_connections"],
		"interpreter": runtime.Version(), "application": "go-worker", "notes": []string{},
	}})
}
