package main

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"reflect"
	"sync"

	"github.com/vmihailenco/msgpack/v5"
)

// The kinds of messages that this worker sends and understands.
const (
	hello      = 1
	up         = 3
	request    = 16
	body       = 17
	disconnect = 19
	cancel     = 20
	stop       = 21
	stacks     = 22
	snapshot   = 29
	profile    = 30
	answer     = 32
	done       = 37
	read       = 39
	alive      = 42
	trace      = 43
	report     = 57

	attach      = 64
	channelSend = 65
	channelRead = 69
	verdict     = 80
	channelTake = 81
)

// message is a kind, a stream, and what belongs to it.
type message []any

func (m message) kind() int { return m.int(0) }

func (m message) int(i int) int {
	n := reflect.ValueOf(m[i]) // the server writes each number as short as it can be
	switch {
	case n.CanInt():
		return int(n.Int())
	case n.CanUint():
		return int(n.Uint())
	}
	return -1
}

func (m message) bytes(i int) []byte {
	b, _ := m[i].([]byte)
	return b
}

func (m message) dictionary(i int) map[string]any {
	d, _ := m[i].(map[string]any)
	return d
}

// connection carries packets of messages.
type connection struct {
	conn   net.Conn
	reader *bufio.Reader

	mu sync.Mutex // one packet at a time
}

// open takes a connected socket over.
func open(descriptor uintptr) (*connection, error) {
	file := os.NewFile(descriptor, "worker")
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		return nil, err
	}
	return &connection{conn: conn, reader: bufio.NewReader(conn)}, nil
}

// receive waits for a packet.
func (c *connection) receive() ([]message, error) {
	var length [4]byte
	if _, err := io.ReadFull(c.reader, length[:]); err != nil {
		return nil, err
	}
	payload := make([]byte, binary.LittleEndian.Uint32(length[:]))
	if _, err := io.ReadFull(c.reader, payload); err != nil {
		return nil, err
	}
	var packet []message
	if err := msgpack.Unmarshal(payload, &packet); err != nil {
		return nil, fmt.Errorf("a packet from the server: %w", err)
	}
	return packet, nil
}

// send writes messages as one packet; from any goroutine.
func (c *connection) send(messages ...message) error {
	payload, err := msgpack.Marshal(messages)
	if err != nil {
		return err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	_, err = c.conn.Write(append(binary.LittleEndian.AppendUint32(nil, uint32(len(payload))), payload...))
	return err
}
