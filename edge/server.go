package edge

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"backline/dispatch"
	"backline/h1"
	"backline/ratelimit"
	"backline/websocket"
)

// Server holds the clients' connections. Make one with New; Run serves listeners until its context ends.
type Server struct {
	options     Options
	only        Route // where requests go that are not chosen for
	headRoom    int   // how large the buffer for a request's head may become
	needsAnswer bool
	date        h1.DateCache
	clock       atomic.Int64 // Unix nanoseconds, as of the last tick: what deadlines and Date need no better
	draining    atomic.Bool
	retiring    atomic.Bool // answers are the last of their connections
	retireOnce  sync.Once
	retired     chan struct{} // closed by Retire
	shut        chan struct{} // closed when nobody new is accepted
	released    chan struct{} // closed when nothing but WebSockets is left after that
	connected   atomic.Int64
	lost        atomic.Uint64             // their messages that workers took with them
	events      atomic.Int64              // what waits for their applications
	talks       atomic.Int64              // WebSockets whose application gets further events
	silent      chan struct{}             // closed when there are none any more, after released
	couriers    []*courier                // set by Run, before anybody connects
	watchers    atomic.Pointer[[]watcher] // set by Run, used by Cut too
	emptied     chan struct{}             // gets a value when the last connection ends while draining
	roomy       chan struct{}             // gets a value when a connection ends: the listeners may have waited for it

	started time.Time
	crowd   *ratelimit.Connections // nil without a limit for each address
	notices notices

	http2   *http2
	http3   *http3
	tunnels atomic.Uint32   // how many there were
	streams roster[*stream] // the requests of HTTP/2 and HTTP/3
	ended   chan struct{}   // closed when nobody is waited for any more

	exchanges     dispatch.Exchanges
	holds         holds
	asking        sync.WaitGroup // what waits for other servers to say what a socket has missed
	retries       retries
	codecs        *websocket.Codecs
	handshakes    handshakes
	bodyBuffers   sync.Pool
	answerBuffers sync.Pool
}

// tick is how exact the server's clock is.
const tick = 250 * time.Millisecond

// New makes a server that gives its requests to handler.
func New(options Options, handler Handler) *Server {
	options.setDefaults()
	s := &Server{options: options, only: Route{Handler: handler, RootPath: options.RootPath},
		emptied: make(chan struct{}, 1), roomy: make(chan struct{}, 1),
		retired: make(chan struct{}), shut: make(chan struct{}), released: make(chan struct{}), silent: make(chan struct{}),
		ended: make(chan struct{})}
	s.headRoom = orDefault(options.Head.RequestLine, h1.DefaultRequestLine) +
		orDefault(options.Head.HeaderBlock, h1.DefaultHeaderBlock) + 64
	s.needsAnswer = options.Access != nil && options.Access.NeedsAnswer()
	s.holds.Holds, s.holds.ready.signal = options.Holds, make(chan struct{}, 1)
	s.holds.random, s.holds.elsewhere = rand.Int64N, elsewhere{&s.asking, s.shut}
	s.holds.known = sessions{Sessions: options.Holds.Sessions, channels: options.Holds.Channels, body: options.Holds.Body}
	s.codecs = websocket.NewCodecs(options.WebSockets.Settings)
	s.handshakes.prepare(&s.options)
	if most := options.Gate.PerAddress; most > 0 {
		s.crowd = ratelimit.NewConnections(most)
	}
	s.started = time.Now()
	s.clock.Store(s.started.UnixNano())
	s.http2, s.http3 = newHTTP2(s), newHTTP3(s)
	return s
}

func orDefault(n, fallback int) int {
	if n == 0 {
		return fallback
	}
	return n
}

// Run serves until ctx ends. Then it closes the listeners and the idle connections, lets requests that have begun
// finish for at most grace, cuts what is left, and returns.
func (s *Server) Run(ctx context.Context, grace time.Duration, listeners ...*Listener) error {
	inner, stop := context.WithCancel(context.WithoutCancel(ctx))
	defer stop()
	if err := s.openWatchers(); err != nil {
		return err
	}
	var group sync.WaitGroup
	for _, w := range *s.watchers.Load() {
		group.Go(func() { w.run(inner) })
	}
	for _, k := range s.couriers {
		group.Go(func() { k.run(inner) })
	}
	group.Go(func() { s.keepTime(inner) })
	group.Go(s.http2.run)
	if s.holds.Hub != nil {
		for range runtime.GOMAXPROCS(0) {
			group.Go(func() { s.holds.ready.serve(inner.Done()) })
		}
	}
	for _, l := range listeners {
		if err := s.ServePackets(l); err != nil {
			return err
		}
	}
	entering, shut := context.WithCancel(inner)
	defer shut()
	var accepting sync.WaitGroup
	failed := make(chan error, len(listeners))
	for _, l := range listeners {
		accepting.Go(func() { failed <- l.accept(entering, s) })
	}
	var err error
	retired := false
	select {
	case <-ctx.Done():
	case err = <-failed:
	case <-s.retired:
		retired = true
	}
	for _, l := range listeners {
		err = errors.Join(err, l.Close())
	}
	close(s.shut)
	if retired {
		// What the loops have accepted must be among the connections before these are looked at. One that waits for
		// room may wait in vain.
		limit := time.AfterFunc(lastCall, shut)
		accepting.Wait()
		limit.Stop()
		s.letGo(ctx, grace)
	}
	s.drain(grace)
	stop()
	accepting.Wait()
	group.Wait()
	s.asking.Wait()
	s.handshakes.wait(s)
	s.streams.end()
	return err
}

func (s *Server) openWatchers() error {
	n := s.options.Pollers
	if n == 0 {
		n = max(1, runtime.GOMAXPROCS(0)/2)
	}
	all := make([]watcher, 0, n)
	for range n {
		w, err := newWatcher(s)
		if err != nil {
			return err
		}
		all = append(all, w)
		s.couriers = append(s.couriers, newCourier())
	}
	s.watchers.Store(&all)
	return nil
}

// Cut ends every connection at once, for those who cannot wait for Run to drain.
func (s *Server) Cut() {
	s.draining.Store(true)
	s.each((*conn).cut)
	s.http2.cut()
	s.http3.cut()
}

// drain ends connections as their requests end.
func (s *Server) drain(grace time.Duration) {
	s.draining.Store(true)
	s.each((*conn).finishSoon)
	defer s.http3.leave()() // waits for its handlers, and so comes last
	defer close(s.ended)
	defer s.http2.drain()()
	deadline := time.NewTimer(grace)
	defer deadline.Stop()
	for !s.empty() {
		select {
		case <-s.emptied:
		case <-deadline.C:
			s.warnOfCut(int(s.connected.Load()), grace)
			s.each((*conn).cut)
			return
		}
	}
}

// empty tells whether nobody is connected, and applications know of it.
func (s *Server) empty() bool { return s.connected.Load() == 0 && s.talks.Load() == 0 }

func (s *Server) warnOfCut(connections int, grace time.Duration) {
	s.options.Log.Warn("some requests did not end in time; their connections are cut",
		"connections", connections, "graceful_timeout", grace)
}

func (s *Server) each(do func(*conn)) {
	all := s.watchers.Load()
	if all == nil {
		return // Run has not begun
	}
	for _, w := range *all {
		w.each(do)
	}
}

// eachDue calls do for the connections whose deadline may have come.
func (s *Server) eachDue(now int64, do func(*conn)) {
	for _, w := range *s.watchers.Load() {
		w.eachDue(now, do)
	}
}

// left counts a connection out.
func (s *Server) left() {
	n := s.connected.Add(-1)
	if s.draining.Load() && s.empty() {
		notify(s.emptied)
	}
	if n >= int64(s.options.MaxConnections)-1 {
		notify(s.roomy)
	}
}

func notify(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// keepTime moves the clock and looks at deadlines.
func (s *Server) keepTime(ctx context.Context) {
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for n := 0; ; n++ {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			s.clock.Store(now.UnixNano())
			s.holds.again(&s.retries, now.UnixNano())
			s.holds.filters.expire(now.UnixNano(), s.holds.Filters.Timeout)
			if n%4 == 0 {
				s.eachDue(now.UnixNano(), (*conn).checkDeadline)
				s.streams.each((*stream).checkDeadline)
				s.http2.tend()
				s.http3.tend()
			}
		}
	}
}

// now is the time for a request's record: exact where it is recorded, else the server's clock, which costs nothing.
func (s *Server) now() time.Time {
	if s.options.Access != nil {
		return time.Now()
	}
	return time.Unix(0, s.clock.Load())
}

// Connections is how many clients are connected.
func (s *Server) Connections() int { return int(s.connected.Load()) }

// Held is how many answers are held for what will be published.
func (s *Server) Held() int { return int(s.holds.held.Load()) }

// bodyBuffer lends a buffer of bodyRoom bytes; recycle takes it back.
func (s *Server) bodyBuffer() *[]byte {
	if b, ok := s.bodyBuffers.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, bodyRoom)
	return &b
}

func (s *Server) recycle(b *[]byte) { s.bodyBuffers.Put(b) }

// answerBuffer lends a buffer for the bytes of an answer.
func (s *Server) answerBuffer() *[]byte {
	if b, ok := s.answerBuffers.Get().(*[]byte); ok {
		return b
	}
	b := make([]byte, 0, headBuffer)
	return &b
}

// recycleAnswer takes the buffer back, unless one long answer has made it too large to keep.
func (s *Server) recycleAnswer(b *[]byte) {
	if cap(*b) <= 2*bodyRoom {
		s.answerBuffers.Put(b)
	}
}
