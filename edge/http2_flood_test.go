package edge

import (
	"bytes"
	"errors"
	"sync"
	"testing"

	h2 "golang.org/x/net/http2"
	"golang.org/x/net/http2/hpack"

	"backline/dispatch"
	"backline/dispatch/dispatchtest"
)

// flooding is a server under attack: its one worker never ends a request for "/held" by itself.
type flooding struct {
	*bundle
	kind string
	d    *dispatch.Dispatcher

	mu   sync.Mutex
	most int // requests that the worker has had at a time
}

func underAttack(t *testing.T, kind string, options Options) *flooding {
	t.Helper()
	d := dispatch.New(dispatch.Options{QueueSize: 10_000})
	a := &flooding{bundle: start(t, over(kind, options), d), kind: kind, d: d}
	attach(t, d, "wsgi", func(w *worker, m dispatchtest.Message) {
		a.mu.Lock()
		a.most = max(a.most, d.InFlight())
		a.mu.Unlock()
		if m.Path() != "/held" {
			w.Answer(m.Stream, "served")
		}
	})
	eventually(t, "the worker is up", d.WSGI)
	return a
}

// expectServed wants another client to be served while the attack goes on.
func (a *flooding) expectServed() {
	a.t.Helper()
	if _, body := fetch(a.t, a.client(a.kind), "GET", a.url(a.kind, "/other"), nil); body != "served" {
		a.t.Errorf("another client got %q", body)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if limit := a.options.Streams + 1; a.most > limit || a.d.Waiting() > 0 {
		a.t.Errorf("%d requests at the worker at a time and %d waiting, expected %d at most", a.most, a.d.Waiting(), limit)
	}
}

// flood writes what next gives until the server ends the connection, or times, and tells whether it did.
func (f *framed) flood(times int, next func(i int) error) (ended bool) {
	f.t.Helper()
	var group sync.WaitGroup
	defer group.Wait()
	defer f.Close()
	gone := make(chan struct{})
	group.Go(func() {
		defer close(gone)
		for {
			if _, err := f.ReadFrame(); err != nil {
				return
			}
		}
	})
	for i := range times {
		if err := next(i); err != nil {
			return true
		}
		select {
		case <-gone:
			return true
		default:
		}
	}
	return false
}

var heldPost = []string{":method: POST", ":scheme: https", ":path: /held", ":authority: x"}

// TestFloods: frames that cost the server more than the client end the connection, soon enough for everybody else.
func TestFloods(t *testing.T) {
	t.Parallel()
	held := []string{":method: GET", ":scheme: https", ":path: /held", ":authority: x"}
	for name, attack := range map[string]func(f *framed) func(int) error{
		"ping": func(f *framed) func(int) error {
			return func(i int) error { return f.WritePing(false, [8]byte{byte(i)}) }
		},
		"ping answers": func(f *framed) func(int) error {
			return func(i int) error { return f.WritePing(true, [8]byte{byte(i)}) }
		},
		"settings": func(f *framed) func(int) error {
			return func(i int) error { return f.WriteSettings(h2.Setting{ID: h2.SettingInitialWindowSize, Val: uint32(i)}) }
		},
		"priority": func(f *framed) func(int) error {
			return func(int) error { return f.WritePriority(9, h2.PriorityParam{StreamDep: 3}) }
		},
		"unknown": func(f *framed) func(int) error {
			return func(int) error { return f.WriteRawFrame(0xbe, 0, 0, nil) }
		},
		"empty data": func(f *framed) func(int) error {
			f.open(false, heldPost...)
			return func(int) error { return f.WriteData(1, false, nil) }
		},
		"continuation": func(f *framed) func(int) error {
			f.must(f.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: f.fields(held...)}))
			return func(int) error { return f.WriteContinuation(1, false, f.fields("a: b")) }
		},
		"empty continuation": func(f *framed) func(int) error {
			f.must(f.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: f.fields(held...)}))
			return func(int) error { return f.WriteContinuation(1, false, nil) }
		},
		"rapid reset": func(f *framed) func(int) error {
			return func(int) error {
				f.next += 2
				err := f.WriteHeaders(h2.HeadersFrameParam{StreamID: f.next, BlockFragment: f.fields(held...), EndStream: true, EndHeaders: true})
				if err != nil {
					return err
				}
				return f.WriteRSTStream(f.next, h2.ErrCodeCancel)
			}
		},
		// MadeYouReset (CVE-2025-8671): frames that make the server itself reset streams.
		"zero window updates": func(f *framed) func(int) error {
			f.AllowIllegalWrites = true
			return func(int) error {
				f.next += 2
				err := f.WriteHeaders(h2.HeadersFrameParam{StreamID: f.next, BlockFragment: f.fields(held...), EndStream: true, EndHeaders: true})
				if err != nil {
					return err
				}
				return f.WriteWindowUpdate(f.next, 0)
			}
		},
		"overflowing window updates": func(f *framed) func(int) error {
			return func(int) error {
				f.next += 2
				err := f.WriteHeaders(h2.HeadersFrameParam{StreamID: f.next, BlockFragment: f.fields(held...), EndStream: true, EndHeaders: true})
				if err != nil {
					return err
				}
				return f.WriteWindowUpdate(f.next, 1<<31-1)
			}
		},
		"data after the end": func(f *framed) func(int) error {
			return func(int) error {
				f.next += 2
				err := f.WriteHeaders(h2.HeadersFrameParam{StreamID: f.next, BlockFragment: f.fields(held...), EndStream: true, EndHeaders: true})
				if err != nil {
					return err
				}
				return f.WriteData(f.next, true, []byte("x"))
			}
		},
		"self dependency": func(f *framed) func(int) error {
			f.AllowIllegalWrites = true
			return func(int) error {
				f.next += 2
				return f.WriteHeaders(h2.HeadersFrameParam{
					StreamID: f.next, BlockFragment: f.fields(held...), EndStream: true, EndHeaders: true, Priority: h2.PriorityParam{StreamDep: f.next, Weight: 1},
				})
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a := underAttack(t, "h2", Options{Streams: 20})
			f := a.frames("h2")
			if !f.flood(200_000, attack(f)) {
				t.Error("the server puts up with it")
			}
			a.expectServed()
		})
	}
}

// TestToll counts the same however the bytes come, and forgets with time.
func TestToll(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	said.WriteString(h2.ClientPreface)
	fr := h2.NewFramer(&said, nil)
	var block bytes.Buffer
	_ = hpack.NewEncoder(&block).WriteField(hpack.HeaderField{Name: "a", Value: "b"})
	for _, write := range []func() error{
		func() error { return fr.WriteSettings() },
		func() error {
			return fr.WriteHeaders(h2.HeadersFrameParam{StreamID: 1, BlockFragment: block.Bytes(), EndHeaders: true})
		},
		func() error { return fr.WriteData(1, false, make([]byte, 9000)) },
		func() error { return fr.WriteData(1, false, nil) },
		func() error { return fr.WriteWindowUpdate(0, 9) },
		func() error { return fr.WriteData(1, true, nil) },
		func() error { return fr.WritePing(false, [8]byte{}) },
		func() error { return fr.WriteRSTStream(1, h2.ErrCodeCancel) },
	} {
		if err := write(); err != nil {
			t.Fatal(err)
		}
	}
	const taxed = 4
	for size := range 40 {
		for limit, want := range map[int]bool{taxed: true, taxed - 1: false} {
			counter, _ := newTolls(1)
			ok := true
			for rest := said.Bytes(); len(rest) > 0 && ok; {
				n := min(len(rest), size+1)
				ok = counter.pay(rest[:n], limit, 1)
				rest = rest[n:]
			}
			if ok != want {
				t.Errorf("in pieces of %d with a limit of %d: %v, %d counted", size+1, limit, ok, counter.count)
			}
			if !counter.pay(nil, 0, int64(tollTime)+2) {
				t.Error("old frames still count")
			}
		}
	}
}

// TestTollOfResets counts those that a client has provoked, and no others.
func TestTollOfResets(t *testing.T) {
	t.Parallel()
	var said bytes.Buffer
	fr := h2.NewFramer(&said, nil)
	for _, code := range []h2.ErrCode{
		h2.ErrCodeNo, h2.ErrCodeProtocol, h2.ErrCodeInternal, h2.ErrCodeFlowControl, h2.ErrCodeStreamClosed,
	} {
		if err := errors.Join(fr.WriteRSTStream(1, code), fr.WriteData(1, false, make([]byte, 20))); err != nil {
			t.Fatal(err)
		}
	}
	for size := range 40 {
		_, counter := newTolls(1)
		for rest := said.Bytes(); len(rest) > 0; {
			n := min(len(rest), size+1)
			counter.pay(rest[:n], 100, 1)
			rest = rest[n:]
		}
		if counter.count != 3 {
			t.Errorf("in pieces of %d: %d counted, expected 3", size+1, counter.count)
		}
	}
}

// FuzzToll: no bytes make it panic or count more frames than there can be.
func FuzzToll(f *testing.F) {
	f.Add([]byte(h2.ClientPreface+"\x00\x00\x00\x04\x00\x00\x00\x00\x00"), 3)
	f.Fuzz(func(t *testing.T, said []byte, size int) {
		counter, _ := newTolls(1)
		counter.payload = 0
		for rest := said; len(rest) > 0; {
			n := min(len(rest), max(1, size))
			counter.pay(rest[:n], len(said), 1)
			rest = rest[n:]
		}
		if counter.count > len(said)/frameHeader {
			t.Errorf("%d frames in %d bytes", counter.count, len(said))
		}
	})
}
