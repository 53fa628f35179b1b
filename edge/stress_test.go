package edge

import (
	"bufio"
	"crypto/tls"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"backline/dispatch"
	"backline/dispatch/dispatchtest"
	"backline/wire"
)

// TestStress lets 200 clients misbehave in every way against workers that do the same. What must hold: nobody gets
// another one's answer, in the end there are no connections, and (setup) no goroutines. Exchange.Release panics when one
// is released once too often, and the race detector sees who uses one that is another's already.
func TestStress(t *testing.T) {
	t.Parallel()
	for _, kind := range []string{"wsgi", "asgi"} {
		t.Run(kind, func(t *testing.T) {
			t.Parallel()
			b := withWorker(t, kind, Options{AnswerMemory: 5000, AnswerFile: 50_000, BodyMemory: 3000, Pollers: 3, MaxConnections: 150, KeepAlive: 3 * time.Second},
				dispatch.Options{Timeout: 2 * time.Second, DisconnectGrace: 50 * time.Millisecond, Prefetch: 4, Retry: true}, misbehave)
			var clients sync.WaitGroup
			for n := range 200 {
				clients.Go(func() {
					for i := range 5 {
						b.torment(fmt.Sprintf("/%d-%d", n, i))
					}
				})
			}
			clients.Wait()
			eventually(t, "all connections are gone", func() bool { return b.Connections() == 0 })
		})
	}
}

// misbehave is a worker's side of one request.
func misbehave(w *worker, m dispatchtest.Message) {
	start := dispatchtest.Tuple{wire.KindStart, m.Stream, 200, []dispatchtest.Tuple{}, []byte(m.Path() + "\n")}
	done := dispatchtest.Tuple{wire.KindDone, m.Stream}
	switch rand.IntN(10) {
	case 0:
		w.Send(dispatchtest.Tuple{wire.KindError, m.Stream, "why"})
	case 1:
		w.Send(start)
		w.Send(dispatchtest.Tuple{wire.KindError, m.Stream, "why"})
	case 2:
		w.Send(dispatchtest.Tuple{wire.KindHint, m.Stream, []dispatchtest.Tuple{{"link", "a"}}})
		w.Send(dispatchtest.Tuple{wire.KindAnswerOpen, m.Stream, 200, []dispatchtest.Tuple{}, []byte(m.Path() + "\n")}, done)
	case 3, 4:
		w.Send(start)
		for range 3 { // within the window
			w.Send(dispatchtest.Tuple{wire.KindData, m.Stream, make([]byte, rand.IntN(60_000))})
		}
		w.Send(dispatchtest.Tuple{wire.KindEnd, m.Stream}, done)
	case 5:
		w.Send(dispatchtest.Tuple{wire.KindRead, m.Stream, 100_000})
		w.Answer(m.Stream, m.Path()+"\n")
	default:
		w.Answer(m.Stream, m.Path()+"\n")
	}
}

// torment is one client's connection.
func (b *bundle) torment(path string) {
	conn, err := net.Dial("tcp", b.address)
	if err != nil {
		b.t.Error(err)
		return
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(patience))
	tcp := conn.(*net.TCPConn)
	if b.options.TLS != nil {
		conn = tls.Client(conn, clientTLS())
	}
	request := "GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n"
	switch rand.IntN(4) {
	case 0:
		n := rand.IntN(100_000)
		request = fmt.Sprintf("POST %s HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", path, n, strings.Repeat("b", n))
	case 1:
		request = fmt.Sprintf("PUT %s HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n", path)
	}
	times := 1 + rand.IntN(3)
	request = strings.Repeat(request, times)
	switch rand.IntN(8) {
	case 0: // leaves in the middle of a request
		_, _ = io.WriteString(conn, request[:rand.IntN(len(request))])
		return
	case 1: // resets
		_, _ = io.WriteString(conn, request)
		_ = tcp.SetLinger(0)
		return
	case 2: // leaves without reading
		_, _ = io.WriteString(conn, request)
		return
	case 3: // in pieces
		for len(request) > 0 {
			n := min(len(request), 1+rand.IntN(40_000))
			if _, err := io.WriteString(conn, request[:n]); err != nil {
				return
			}
			request = request[n:]
		}
	case 4:
		_, _ = io.WriteString(conn, request)
		_ = conn.(interface{ CloseWrite() error }).CloseWrite()
	default:
		_, _ = io.WriteString(conn, request)
	}
	b.readAnswers(conn, path, times)
}

// readAnswers reads as many as come and sees that they are this client's.
func (b *bundle) readAnswers(conn net.Conn, path string, times int) {
	in := bufio.NewReader(conn)
	for range times {
		answer, err := http.ReadResponse(in, nil)
		if err != nil {
			return
		}
		body, err := io.ReadAll(answer.Body)
		_ = answer.Body.Close()
		if answer.StatusCode == http.StatusEarlyHints {
			continue
		}
		if first, _, _ := strings.Cut(string(body), "\n"); err == nil && answer.StatusCode == http.StatusOK && first != path {
			b.t.Errorf("%s got the answer of %.40q", path, first)
		}
		if answer.Close || rand.IntN(10) == 0 {
			return
		}
	}
}
