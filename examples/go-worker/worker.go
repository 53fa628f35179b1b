package main

import "os"

// window is how much of a request's body is asked for at once, where the client waits to be asked.
const window = 262144

// worker runs requests, a goroutine each.
type worker struct {
	conn     *connection
	requests map[int]*incoming // by stream
	stopping bool
	ended    chan int // streams whose requests are answered
}

// incoming is a request whose body has not come whole.
type incoming struct {
	scope   map[string]any
	body    []byte
	running bool
}

func newWorker(conn *connection, settings map[string]any) *worker {
	return &worker{conn: conn, requests: map[int]*incoming{}, ended: make(chan int)}
}

// run takes packets until the server has gone, or wants no more of us and everything is answered.
func (w *worker) run() error {
	packets := make(chan []message)
	go func() {
		for {
			packet, err := w.conn.receive()
			if err != nil {
				os.Exit(1) // the server has gone
			}
			packets <- packet
		}
	}()
	for !w.stopping || len(w.requests) > 0 {
		select {
		case packet := <-packets:
			for _, m := range packet {
				if err := w.take(m); err != nil {
					return err
				}
			}
			// A worker with an event loop answers every packet with one; requests answer in their own time.
			if err := w.conn.send(message{alive, 0}); err != nil {
				return err
			}
		case stream := <-w.ended:
			delete(w.requests, stream)
		}
	}
	return nil
}

func (w *worker) take(m message) error {
	stream := m.int(1)
	in := w.requests[stream]
	switch m.kind() {
	case request:
		in = &incoming{scope: m.dictionary(2), body: m.bytes(3)}
		w.requests[stream] = in
		switch m.int(4) {
		case 0:
			w.begin(stream, in)
		case 2:
			return w.conn.send(message{read, stream, window})
		}
	case body:
		if in == nil {
			return nil
		}
		in.body = append(in.body, m.bytes(2)...)
		if more, _ := m[3].(bool); !more {
			w.begin(stream, in)
			return nil
		}
		return w.conn.send(message{read, stream, len(m.bytes(2))})
	case disconnect, cancel:
		if in != nil && !in.running { // one that runs ends by itself, soon
			delete(w.requests, stream)
			return w.conn.send(message{done, stream})
		}
	case stop:
		w.stopping = true
	}
	return nil
}

// begin runs a request and answers it.
func (w *worker) begin(stream int, in *incoming) {
	in.running = true
	go func() {
		status, headers, text := respond(in.scope, in.body)
		_ = w.conn.send(message{answer, stream, status, headers, text})
		w.ended <- stream
	}()
}
