package tcp

import (
	"context"
	"crypto/tls"
	"io"
	"net"
	"net/netip"
	"os"
	"sync"
	"syscall"
	"time"
)

// piece is how much is carried at a time: a record of TLS has no more.
const piece = 16 << 10

// carry gives the worker one end of a pair of sockets, and carries bytes between the other and the client until both
// are done. Each side sees the other's end: the client's close_notify is end of file for the worker, and the other way
// round.
func (s *Server) carry(ctx context.Context, w *Worker, stream uint32, over <-chan struct{}, client netip.AddrPort,
	secure *tls.Conn,
) {
	near, far, err := socketPair()
	if err != nil {
		s.options.Log.Error("a connection of TLS cannot be given a socket, and is closed",
			"client", client.String(), "error", err)
		w.close(stream)
		return
	}
	defer near.Close()
	w.give(stream, client, far)
	_ = far.Close()
	uncut := context.AfterFunc(ctx, func() { _ = near.Close() })
	defer uncut()
	var carrying sync.WaitGroup
	carrying.Go(func() {
		_ = transfer(near, secure)
		_ = near.CloseWrite()
	})
	written := make(chan struct{})
	carrying.Go(func() {
		defer close(written)
		if transfer(secure, near) != nil {
			_ = near.Close() // the client has gone, which the worker learns when it writes again
			return
		}
		_ = secure.CloseWrite()
	})
	select {
	case <-over:
	case <-ctx.Done():
	}
	// Nobody reads what the client still sends; what the worker had sent may take a while to leave. A process that the
	// application has started may hold the other end open for ever.
	limit := time.Now().Add(s.options.WriteTimeout)
	_ = secure.SetWriteDeadline(limit)
	_ = near.SetReadDeadline(limit)
	<-written
	_ = secure.Close()
	_ = near.Close()
	carrying.Wait()
}

// transfer copies until the end of from. The wrappers hide io.Copy's shortcuts, which have buffers of twice the size.
func transfer(to io.Writer, from io.Reader) error {
	_, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, make([]byte, piece))
	return err
}

// socketPair gives two connected sockets, our end and the one that is to be given away.
func socketPair() (near *net.UnixConn, far *os.File, err error) {
	syscall.ForkLock.RLock() // macOS cannot make sockets with the flag set
	pair, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM, 0)
	if err == nil {
		syscall.CloseOnExec(pair[0])
		syscall.CloseOnExec(pair[1])
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	ours := os.NewFile(uintptr(pair[0]), "client")
	far = os.NewFile(uintptr(pair[1]), "worker")
	conn, err := net.FileConn(ours) // a duplicate
	_ = ours.Close()
	if err != nil {
		_ = far.Close()
		return nil, nil, err
	}
	near, _ = conn.(*net.UnixConn)
	return near, far, nil
}
