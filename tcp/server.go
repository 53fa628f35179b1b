package tcp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Server gives the connections of one listener to workers. Make one with New; Run serves until its context ends.
type Server struct {
	options Options
	retired chan struct{} // closed by Retire
	once    sync.Once

	// mu guards everything below, and what workers say is guarded by it. No call leaves the package under it, and no
	// system call is made.
	mu       sync.Mutex
	workers  []*Worker     // those that may be given connections
	live     []*Worker     // all whose connection is open, draining ones included
	reserved int           // places at workers that are kept for connections on their way
	changed  chan struct{} // closed when there may be room, and made again
	warned   time.Time     // when a refused beginning was last logged
}

// New makes a server without workers.
func New(options Options) *Server {
	options.setDefaults()
	return &Server{options: options, retired: make(chan struct{}), changed: make(chan struct{})}
}

// Run accepts connections until ctx ends or Retire is called, and carries those of TLS until ctx ends, which cuts them.
func (s *Server) Run(ctx context.Context) error {
	stop := context.AfterFunc(ctx, s.Retire)
	defer stop()
	ctx, cut := context.WithCancel(ctx)
	defer cut()
	var serving sync.WaitGroup
	err := s.accept(ctx, &serving)
	if err == nil {
		<-ctx.Done()
	}
	cut()
	serving.Wait()
	return err
}

// Retire accepts no more connections. What the kernel has accepted and nobody has taken is reset, unless another
// process has the same listening socket.
func (s *Server) Retire() {
	s.once.Do(func() {
		close(s.retired)
		_ = s.options.Listener.Close()
	})
}

// Addr is where the server listens.
func (s *Server) Addr() net.Addr { return s.options.Listener.Addr() }

// Connections is how many connections workers have.
func (s *Server) Connections() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := s.reserved
	for _, w := range s.live {
		n += len(w.open)
	}
	return n
}

// Load is how many connections a worker has had, and how many it has.
func (s *Server) Load(name string) (served uint64, open int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, w := range s.live {
		if w.name == name {
			return w.served, len(w.open)
		}
	}
	return 0, 0
}

// pause is how long a listener rests that could not accept: mostly there are no descriptors left.
const pause = 250 * time.Millisecond

// accept takes connections as long as workers have room: those that nobody can serve yet are better off in the kernel,
// where they cost nothing, have a bound (the backlog) and are not lost when another process takes the listener over.
func (s *Server) accept(ctx context.Context, serving *sync.WaitGroup) error {
	for s.reserve() {
		conn, err := s.options.Listener.Accept()
		switch {
		case err == nil:
			serving.Go(func() { s.serve(ctx, conn) })
			continue
		case s.isRetired():
			return nil
		case errors.Is(err, net.ErrClosed), errors.Is(err, syscall.EBADF), errors.Is(err, syscall.EINVAL):
			return fmt.Errorf("accept on %s: %w", s.Addr(), err)
		case !errors.Is(err, syscall.ECONNABORTED):
			s.options.Log.Warn("a connection could not be accepted; new ones wait a moment",
				"on", s.Addr().String(), "error", err)
			select {
			case <-time.After(pause):
			case <-s.retired:
			}
		}
		s.release()
	}
	return nil
}

// reserve waits until a worker has room for one more connection, and keeps the place. False after Retire.
func (s *Server) reserve() bool {
	for {
		s.mu.Lock()
		room := 0
		for _, w := range s.workers {
			room += w.concurrency - len(w.open)
		}
		changed := s.changed
		if room > s.reserved && !s.isRetired() {
			s.reserved++
			s.mu.Unlock()
			return true
		}
		s.mu.Unlock()
		select {
		case <-changed:
		case <-s.retired:
			return false
		}
	}
}

// release gives a place back that no connection has come to take.
func (s *Server) release() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reserved--
	s.change()
}

// change wakes whoever waits for room. The caller holds the lock.
func (s *Server) change() {
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Server) isRetired() bool {
	select {
	case <-s.retired:
		return true
	default:
		return false
	}
}

// serve brings one connection to a worker.
func (s *Server) serve(ctx context.Context, conn net.Conn) {
	defer conn.Close()
	uncut := context.AfterFunc(ctx, func() { _ = conn.Close() })
	defer uncut()
	client, secure, err := s.begin(ctx, conn)
	if err != nil {
		s.release()
		s.refuse(client, err)
		return
	}
	w, stream, over := s.place(ctx)
	switch {
	case w == nil:
		s.options.Log.Warn("a connection was closed: no worker had room for it in time", "client", client.String(),
			"waited", s.options.Patience)
	case secure != nil:
		s.carry(ctx, w, stream, over, client, secure)
	default:
		w.give(stream, client, conn)
	}
}

// begin does what comes before the client's own first byte. It tells who the client is, and gives the encrypted
// connection where it is one.
func (s *Server) begin(ctx context.Context, conn net.Conn) (client netip.AddrPort, secure *tls.Conn, err error) {
	if peer, ok := conn.RemoteAddr().(*net.TCPAddr); ok {
		client = netip.AddrPortFrom(peer.AddrPort().Addr().Unmap(), peer.AddrPort().Port())
	}
	_ = conn.SetDeadline(time.Now().Add(s.options.HandshakeTimeout))
	if s.options.Announced && s.options.Announcers.Contains(client.Addr()) {
		if client, err = readAnnouncement(conn, client); err != nil {
			return client, nil, err
		}
	}
	if s.options.TLS != nil {
		secure = tls.Server(conn, s.options.TLS)
		if err = secure.HandshakeContext(ctx); err != nil {
			return client, nil, err
		}
	}
	return client, secure, conn.SetDeadline(time.Time{})
}

// refusals are logged at most this often: whoever scans ports should not fill the log.
const refusals = time.Minute

// refuse tells of a connection that no worker has seen.
func (s *Server) refuse(client netip.AddrPort, why error) {
	s.mu.Lock()
	due := time.Since(s.warned) >= refusals
	if due {
		s.warned = time.Now()
	}
	s.mu.Unlock()
	if due && !s.isRetired() {
		s.options.Log.Warn("a connection was closed because of its beginning",
			"client", client.String(), "reason", why.Error())
	}
}

// place gives the kept place at the worker with the fewest connections to a connection. nil if none has room in time:
// the one that had has gone meanwhile.
func (s *Server) place(ctx context.Context) (*Worker, uint32, <-chan struct{}) {
	timer := time.NewTimer(s.options.Patience)
	defer timer.Stop()
	for {
		s.mu.Lock()
		if w := s.leastBusy(); w != nil {
			s.reserved--
			stream, over := w.take()
			s.mu.Unlock()
			return w, stream, over
		}
		changed := s.changed
		s.mu.Unlock()
		select {
		case <-changed:
			continue
		case <-timer.C:
		case <-ctx.Done():
		}
		s.release()
		return nil, 0, nil
	}
}

// leastBusy is the worker with the fewest connections, if it has room. The caller holds the lock.
func (s *Server) leastBusy() *Worker {
	var best *Worker
	for _, w := range s.workers {
		if len(w.open) < w.concurrency && (best == nil || len(w.open) < len(best.open)) {
			best = w
		}
	}
	return best
}

// remove keeps further connections away from a worker. The caller holds the lock.
func (s *Server) remove(w *Worker) {
	s.workers = slices.DeleteFunc(s.workers, func(each *Worker) bool { return each == w })
}
