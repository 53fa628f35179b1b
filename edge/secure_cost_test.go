package edge

import (
	"crypto/tls"
	"io"
	"net"
	"syscall"
	"testing"
	"time"
)

// descriptor is a socket as a net.Conn that costs the heap next to nothing: what is measured is the server's end.
type descriptor int

func (d descriptor) Read(p []byte) (int, error) {
	n, err := syscall.Read(int(d), p)
	if n == 0 && err == nil {
		return 0, io.EOF
	}
	return max(n, 0), err
}

func (d descriptor) Write(p []byte) (int, error)      { return syscall.Write(int(d), p) }
func (d descriptor) Close() error                     { return syscall.Close(int(d)) }
func (d descriptor) LocalAddr() net.Addr              { return &net.TCPAddr{} }
func (d descriptor) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (d descriptor) SetDeadline(time.Time) error      { return nil }
func (d descriptor) SetReadDeadline(time.Time) error  { return nil }
func (d descriptor) SetWriteDeadline(time.Time) error { return nil }

// dialDescriptor connects one to a server on 127.0.0.1.
func (b *bundle) dialDescriptor() descriptor {
	b.t.Helper()
	tcp, err := net.ResolveTCPAddr("tcp", b.address)
	if err != nil {
		b.t.Fatal(err)
	}
	fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM, 0)
	if err != nil {
		b.t.Fatal(err)
	}
	// Without it a client's first request waits for the acknowledgment of its handshake, which the kernel delays.
	if err := syscall.SetsockoptInt(fd, syscall.IPPROTO_TCP, syscall.TCP_NODELAY, 1); err != nil {
		b.t.Fatal(err)
	}
	if err := syscall.Connect(fd, &syscall.SockaddrInet4{Port: tcp.Port, Addr: [4]byte{127, 0, 0, 1}}); err != nil {
		b.t.Fatal(err)
	}
	return descriptor(fd)
}

// TestIdleSecureConnections keeps 2,000 clients that have had an answer over TLS, and forgets everything of them but their
// sockets.
func TestIdleSecureConnections(t *testing.T) {
	const clients = 2000
	needDescriptors(t, 2*clients)
	b := start(t, Options{Access: noAccess, TLS: serverTLS(), Handshakes: 4}, nothing())
	sockets := make([]descriptor, 0, clients)
	defer func() {
		for _, each := range sockets {
			_ = each.Close()
		}
	}()
	before := inUse()
	answer := make([]byte, 4096)
	config := clientTLS()
	for range clients {
		socket := b.dialDescriptor()
		sockets = append(sockets, socket)
		client := tls.Client(socket, config)
		if _, err := client.Write([]byte("GET / HTTP/1.1\r\nHost: x\r\n\r\n")); err != nil {
			t.Fatal(err)
		}
		if n, err := client.Read(answer); err != nil || n == 0 {
			t.Fatalf("%d bytes, %v", n, err)
		}
	}
	each := float64(inUse()-before) / clients
	t.Logf("%.0f bytes for an idle connection with TLS", each)
	if each > idleSecureCost {
		t.Errorf("%.0f bytes for an idle connection with TLS, expected %d at most", each, idleSecureCost)
	}
}

// BenchmarkSecureKeepAlive is BenchmarkKeepAlive with TLS.
func BenchmarkSecureKeepAlive(b *testing.B) {
	s := start(b, Options{Access: noAccess, TLS: serverTLS()}, nothing())
	ask := s.loop(1)
	ask()
	b.ReportAllocs()
	for b.Loop() {
		ask()
	}
}

// BenchmarkHandshake is what a new client costs both ends: "full" with a signature, "resumed" without.
func BenchmarkHandshake(b *testing.B) {
	for name, sessions := range map[string]tls.ClientSessionCache{"full": nil, "resumed": tls.NewLRUClientSessionCache(1)} {
		b.Run(name, func(b *testing.B) {
			s := start(b, Options{Access: noAccess, TLS: serverTLS()}, nothing())
			config := clientTLS()
			config.ClientSessionCache = sessions
			b.ReportAllocs()
			for b.Loop() {
				c := s.dialTLS(config)
				c.get("/")
				_ = c.Close()
			}
		})
	}
}
