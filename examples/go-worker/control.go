package main

import (
	"crypto/rand"
	"fmt"
	"os"
	"strings"

	"github.com/vmihailenco/msgpack/v5"
)

// lines is the channel that this worker reads; Python sends to it with channels.send("go.lines", {...}).
const lines = "go.lines"

// ahead is how many messages may be on their way to us.
const ahead = 16

// serveControl reads the control connection: questions about the worker, and messages of channels.
func serveControl(conn *connection) {
	err := conn.send(message{attach, 1, rand.Text()}, message{channelRead, ahead, lines})
	for err == nil {
		var packet []message
		packet, err = conn.receive()
		for _, m := range packet {
			if err == nil {
				err = control(conn, m)
			}
		}
	}
	os.Exit(1) // the server has gone: nobody waits for what this process does
}

func control(conn *connection, m message) error {
	switch m.kind() {
	case stacks: // a worker need not be able to tell what it does
		return conn.send(message{trace, m[1], ""})
	case snapshot:
		return conn.send(message{report, m[1], `{"stacks": [], "more": 0}`})
	case profile:
		return conn.send(message{report, m[1], `{"error": "go-worker cannot be sampled"}`})
	case channelTake:
		return take(conn, m.bytes(3))
	case verdict:
		if outcome := m.int(2); outcome != 0 {
			return fmt.Errorf("the server gave question %d the verdict %d", m.int(1), outcome)
		}
	}
	return nil
}

// take answers a message {"text": ..., "reply": channel} with {"text": ...} in capitals, and makes room for another.
func take(conn *connection, data []byte) error {
	var asked struct {
		Text  string `msgpack:"text"`
		Reply string `msgpack:"reply"`
	}
	if err := msgpack.Unmarshal(data, &asked); err != nil || asked.Reply == "" {
		fmt.Fprintln(os.Stderr, "expected a message with text and reply, got", string(data))
		return conn.send(message{channelRead, 1, lines})
	}
	answer, err := msgpack.Marshal(map[string]string{"text": strings.ToUpper(asked.Text), "by": "go"})
	if err != nil {
		return err
	}
	return conn.send(message{channelSend, 0, asked.Reply, answer, 0, 0}, message{channelRead, 1, lines})
}
