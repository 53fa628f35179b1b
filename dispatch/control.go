package dispatch

import (
	"net"
	"sync"
	"time"

	"backline/wire"
)

// stackPatience is how long a worker may take to print its stacks: it needs the interpreter's lock, which a thread in a
// tight loop gives up every 5 ms.
const stackPatience = 3 * time.Second

// control is the worker's second connection, served there by a thread that the application cannot occupy. Its mutex
// guards what the fields below it say; it is never held together with the dispatcher's.
type control struct {
	conn  net.Conn
	codec wire.Codec

	mu      sync.Mutex
	token   uint32
	waiting map[uint32]chan string
}

func newControl(conn net.Conn, codec wire.Codec) *control {
	return &control{conn: conn, codec: codec, waiting: map[uint32]chan string{}}
}

// readLoop passes traces to those who asked, until the connection ends.
func (c *control) readLoop() {
	reader := wire.NewReader(c.conn)
	var messages wire.Messages
	var m wire.Message
	for {
		payload, err := reader.Next()
		if err != nil || messages.Open(payload) != nil {
			break
		}
		for {
			if more, err := messages.Next(&m); !more || err != nil {
				break
			}
			if m.Kind == wire.KindTrace {
				c.answer(m.Stream, string(m.Data))
			}
		}
	}
	_ = c.conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	for token, waiting := range c.waiting {
		waiting <- workerGone
		delete(c.waiting, token)
	}
	c.waiting = nil
}

const workerGone = "(the worker has gone)"

func (c *control) answer(token uint32, text string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if waiting := c.waiting[token]; waiting != nil {
		waiting <- text
		delete(c.waiting, token)
	}
}

// stacks asks for stacks and waits for them.
func (c *control) stacks(streams []uint32, patience time.Duration) string {
	c.mu.Lock()
	if c.waiting == nil {
		c.mu.Unlock()
		return workerGone
	}
	c.token++
	token, answer := c.token, make(chan string, 1)
	c.waiting[token] = answer
	c.mu.Unlock()
	var batch wire.Batch
	batch.Reset(c.codec)
	batch.AddStacks(token, streams)
	_ = c.conn.SetWriteDeadline(time.Now().Add(patience))
	if _, err := c.conn.Write(batch.Packet()); err != nil {
		return workerGone
	}
	select {
	case text := <-answer:
		return text
	case <-time.After(patience):
		c.mu.Lock()
		delete(c.waiting, token)
		c.mu.Unlock()
		return "(no answer: something in the process holds the interpreter's lock and never lets go, " +
			"such as a loop in C code)"
	}
}
