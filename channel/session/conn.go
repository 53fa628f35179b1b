package session

import (
	"context"
	"net"
	"sync"

	"backline/wire"
)

// Serve runs the session of a process over a connection of its own, until that or ctx ends.
func Serve(ctx context.Context, conn net.Conn, hub Hub, who string, options Options) error {
	ended := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer ended()
	defer conn.Close()
	reader := wire.NewReader(conn)
	payload, err := reader.Next()
	if err != nil {
		return err
	}
	out := newOutput(conn, wire.CodecOf(payload))
	var writing sync.WaitGroup
	writing.Go(out.run)
	s := New(hub, who, out.codec, out, options)
	defer func() {
		s.Close()
		out.end()
		_ = conn.Close() // the writer may be in the middle of a packet
		writing.Wait()
	}()
	for ; err == nil; payload, err = reader.Next() {
		if err := handle(s, payload); err != nil {
			return err
		}
	}
	return err
}

// handle does what one packet asks for.
func handle(s *Session, payload []byte) error {
	var messages wire.Messages
	var m wire.Message
	if err := messages.Open(payload); err != nil {
		return err
	}
	for {
		if more, err := messages.Next(&m); !more || err != nil {
			return err
		}
		if err := s.Handle(&m); err != nil {
			return err
		}
	}
}

// output writes packets: while one is under way the next fills.
type output struct {
	conn  net.Conn
	codec wire.Codec

	mu      sync.Mutex
	ready   *sync.Cond
	pending wire.Batch
	writing wire.Batch // only run touches it, but for its size
	ended   bool
}

func newOutput(conn net.Conn, codec wire.Codec) *output {
	o := &output{conn: conn, codec: codec}
	o.ready = sync.NewCond(&o.mu)
	o.pending.Reset(codec)
	o.writing.Reset(codec)
	return o
}

// Add implements Output.
func (o *output) Add(limit int, add func(*wire.Batch)) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if limit > 0 && o.pending.Size() > limit {
		return false
	}
	add(&o.pending)
	o.ready.Signal()
	return true
}

func (o *output) run() {
	o.mu.Lock()
	defer o.mu.Unlock()
	for {
		for o.pending.Len() == 0 && !o.ended {
			o.ready.Wait()
		}
		if o.ended {
			return
		}
		o.pending, o.writing = o.writing, o.pending
		o.mu.Unlock()
		_, err := o.conn.Write(o.writing.Packet())
		o.writing.Reset(o.codec)
		o.mu.Lock()
		if err != nil {
			o.ended = true // the reader learns of it too
			return
		}
	}
}

func (o *output) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	o.ready.Signal()
}
