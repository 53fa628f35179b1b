package dispatch

import (
	"context"
	"errors"
	"maps"
	"math"
	"net"
	"slices"
	"sync"
	"time"

	"backline/wire"
)

// How long a worker may take. It needs the interpreter's lock, which a thread in a tight loop gives up every 5 ms.
const (
	stackPatience   = 3 * time.Second
	profilePatience = 10 * time.Second // beyond the time that it samples: to write down what it has
)

// control is the worker's second connection, served there by a thread that the application cannot occupy. Its mutex
// guards what the fields below it say; it is never held together with the dispatcher's.
type control struct {
	conn    net.Conn
	codec   wire.Codec
	offload func(*wire.Message)
	session func(*wire.Message)

	mu      sync.Mutex
	token   uint32
	waiting map[uint32]chan string
	jobs    map[uint32]*Exchange // what the worker has offloaded, by its own tokens
	ready   *sync.Cond
	pending wire.Batch // what the next packet will carry
	gifts   []gift     // which have a packet each
	ended   bool
}

func newControl(conn net.Conn, codec wire.Codec) *control {
	c := &control{conn: conn, codec: codec, waiting: map[uint32]chan string{}, jobs: map[uint32]*Exchange{}}
	c.ready = sync.NewCond(&c.mu)
	c.pending.Reset(codec)
	return c
}

// send puts a message into the next packet. It never waits: results come from goroutines that read other workers.
// What can queue is bounded by what the worker asked for.
func (c *control) send(add func(*wire.Batch)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	add(&c.pending)
	c.ready.Signal()
}

// writeLoop sends what is pending, until the connection ends.
func (c *control) writeLoop() {
	var writing wire.Batch
	writing.Reset(c.codec)
	c.mu.Lock()
	defer c.mu.Unlock()
	for {
		for c.pending.Len() == 0 && len(c.gifts) == 0 && !c.ended {
			c.ready.Wait()
		}
		gifts := c.gifts
		c.gifts = nil
		if c.ended {
			dropAll(gifts)
			return
		}
		c.pending, writing = writing, c.pending
		c.mu.Unlock()
		var err error
		if writing.Len() > 0 {
			_, err = c.conn.Write(writing.Packet())
			writing.Reset(c.codec)
		}
		if err == nil {
			err = c.giveAll(gifts)
		}
		dropAll(gifts)
		c.mu.Lock()
		c.ended = c.ended || err != nil // the reader learns of it too
	}
}

// begin notes a job; false if its token is another one's.
func (c *control) begin(token uint32, ex *Exchange) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.jobs[token] != nil {
		return false
	}
	c.jobs[token] = ex
	return true
}

// finish forgets a job, and tells whether its worker still waited.
func (c *control) finish(token uint32, ex *Exchange) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.jobs[token] != ex {
		return false
	}
	delete(c.jobs, token)
	return true
}

// abandon forgets all jobs and gives them.
func (c *control) abandon() []*Exchange {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Collect(maps.Values(c.jobs))
	c.jobs = nil
	return all
}

// readLoop passes answers to those who asked, and what the worker tells by itself on, until the connection ends or what
// comes cannot be read: nobody knows then who waits for what.
func (c *control) readLoop(told func(kind wire.Kind, number uint32, elapsed time.Duration, stack string)) error {
	reader := wire.NewReader(c.conn)
	var messages wire.Messages
	var m wire.Message
	for {
		payload, err := reader.Next()
		if err == nil {
			err = messages.Open(payload)
		}
		for err == nil {
			var more bool
			if more, err = messages.Next(&m); !more || err != nil {
				break
			}
			switch m.Kind {
			case wire.KindTrace, wire.KindReport:
				c.answer(m.Stream, string(m.Data))
			case wire.KindOffload:
				c.offload(&m)
			case wire.KindStall, wire.KindCrowd:
				told(m.Kind, m.Stream, time.Duration(m.N)*time.Millisecond, string(m.Data))
			default:
				if m.Kind >= firstOfSession && m.Kind <= lastOfSession {
					c.session(&m)
				}
			}
		}
		if err != nil {
			c.end()
			return err
		}
	}
}

// end closes the connection; those who wait for an answer have none.
func (c *control) end() {
	_ = c.conn.Close()
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ended = true
	c.ready.Signal()
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
	text, err := c.ask(context.Background(), patience, func(b *wire.Batch, token uint32) { b.AddStacks(token, streams) })
	if err != nil {
		return "(" + err.Error() + ")"
	}
	return text
}

// report asks for something that is answered with JSON.
func (c *control) report(
	ctx context.Context, patience time.Duration, question func(b *wire.Batch, token uint32),
) ([]byte, error) {
	text, err := c.ask(ctx, patience, question)
	if text == workerGone {
		err = errors.New("it has gone")
	}
	return []byte(text), err
}

// ask sends a question and waits for its answer.
func (c *control) ask(
	ctx context.Context, patience time.Duration, question func(b *wire.Batch, token uint32),
) (string, error) {
	token, answer := c.expect()
	if answer == nil {
		return workerGone, nil
	}
	timer := time.NewTimer(patience)
	defer timer.Stop()
	var err error
	c.send(func(b *wire.Batch) { question(b, token) })
	select {
	case text := <-answer:
		return text, nil
	case <-ctx.Done():
		err = ctx.Err()
	case <-timer.C:
		err = errors.New("no answer: something in the process holds the interpreter's lock and never lets go, " +
			"such as a loop in C code")
	}
	c.mu.Lock()
	delete(c.waiting, token)
	c.mu.Unlock()
	return "", err
}

// expect makes room for an answer; nil where none will come.
func (c *control) expect() (token uint32, answer chan string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.waiting == nil {
		return 0, nil
	}
	c.token = (c.token + 1) & math.MaxInt32
	answer = make(chan string, 1)
	c.waiting[c.token] = answer
	return c.token, answer
}
