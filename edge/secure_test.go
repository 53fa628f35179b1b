package edge

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"strings"
	"syscall"
	"testing"

	"backline/dispatch"
	"backline/wire"
)

// TestTLSForgetsTemporaryErrors is about crypto/tls: what secure.go relies on without its documentation promising it. A
// client's records come byte by byte, and after each byte Read finds the socket empty.
func TestTLSForgetsTemporaryErrors(t *testing.T) {
	t.Parallel()
	c, client := pipe(t, &turns{}, tls.VersionTLS13)
	s := c.secure
	records := recorded(t, c, client, "first", "second")
	p := make([]byte, 100)
	var got []byte
	for at := range records {
		n, err := s.tls.Read(p)
		got = append(got, p[:n]...)
		if wanted := n == 0 && errors.Is(err, syscall.EAGAIN) || n == 5 && err == nil; !wanted {
			t.Fatalf("before byte %d: %d bytes, %v; expected EAGAIN, or a record that is whole", at, n, err)
		}
		s.early, c.canRead = records[at:at+1], true
	}
	n, err := s.tls.Read(p)
	if got = append(got, p[:n]...); err != nil || string(got) != "firstsecond" {
		t.Fatalf("got %q, %v", got, err)
	}
	if n, err := s.tls.Write([]byte("answer")); n != 6 || err != nil {
		t.Fatalf("wrote %d bytes, %v", n, err)
	}
	if err := s.flush(); err != nil {
		t.Fatal(err)
	}
	if n, err := io.ReadFull(client, p[:6]); err != nil {
		t.Fatalf("the client got %q, %v", p[:n], err)
	}
}

// overhead is header, type and tag of a record of TLS 1.3.
const overhead = 5 + 1 + 16

// recorded takes what a client has written for some texts off the socket.
func recorded(t *testing.T, c *conn, client *tls.Conn, texts ...string) []byte {
	t.Helper()
	size := 0
	for _, text := range texts {
		size += overhead + len(text)
		if _, err := client.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	return unread(t, c, size)
}

// unread takes so many bytes off the socket.
func unread(t *testing.T, c *conn, size int) []byte {
	t.Helper()
	all := make([]byte, 0, size)
	eventually(t, "all bytes are here", func() bool {
		n, _ := readSocket(c.fd, all[len(all):size])
		all = all[:len(all)+max(n, 0)]
		return len(all) == size
	})
	return all
}

// TestReceive: less than there is room for means that nothing is left, and an end behind data is told after it.
func TestReceive(t *testing.T) {
	t.Parallel()
	c, client := pipe(t, &turns{}, tls.VersionTLS13)
	read := func(room, want int, failure error, canRead bool) {
		t.Helper()
		n, err := c.receive(make([]byte, room))
		if n != want || !errors.Is(err, failure) {
			t.Errorf("%d bytes, %v; expected %d, %v", n, err, want, failure)
		}
		if n > 0 && c.canRead && !c.mayHaveMore(n, room) {
			t.Error("there may be more, which the caller will not look for")
		}
		if c.canRead != canRead {
			t.Errorf("after %d bytes: may have more: %t", n, c.canRead)
		}
	}
	c.secure.early, c.canRead = recorded(t, c, client, "one", strings.Repeat("2", 1000), "three"), true
	read(100, 100, nil, true)
	read(908, 908, nil, true)
	read(100, 0, syscall.EAGAIN, false)
	last := recorded(t, c, client, "last")
	if err := client.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	last = append(last, unread(t, c, overhead+2)...)
	c.secure.early, c.canRead = last, true
	read(100, 4, nil, true)
	if !c.ending {
		t.Error("the end of input is forgotten")
	}
	read(100, 0, nil, true)
}

// TestTurnsOfSmallRecords: what counts is what has to be decrypted, not what comes out.
func TestTurnsOfSmallRecords(t *testing.T) {
	t.Parallel()
	const records, turn = 500, 1000
	w := &turns{}
	c, client := pipe(t, w, tls.VersionTLS13)
	for range records {
		if _, err := client.Write([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	all := make([]byte, records*(overhead+1))
	eventually(t, "all is here", func() bool {
		n, _ := peekSocket(c.fd, all)
		return n == len(all)
	})
	c.canRead, c.budget = true, turn
	if n, err := c.receive(all); n == 0 || n == records || err != nil || w.asked != 1 {
		t.Errorf("%d of %d records in one turn, %v; asked %d times for another", n, records, err, w.asked)
	}
}

// TestTransmit sends a long text in the way of the outbox to a client that takes its time. Bytes count when they have left,
// nothing is encrypted behind ciphertext that waits, and other connections have their turn.
func TestTransmit(t *testing.T) {
	t.Parallel()
	w := &turns{}
	c, client := pipe(t, w, tls.VersionTLS13)
	want := pattern(16 << 20)
	rest := want
	blocked := func() bool {
		n, err := c.transmit(rest)
		if err != nil && !errors.Is(err, syscall.EAGAIN) {
			t.Fatal(err)
		}
		rest = rest[n:]
		if waiting := c.secure.sealed; waiting != nil && len(*waiting)-c.secure.sent > maxSealed {
			t.Fatalf("%d bytes of ciphertext wait", len(*waiting))
		}
		return c.secure.sealed != nil
	}
	for !blocked() && len(rest) > 0 {
		if w.asked == 0 {
			t.Fatal("the socket takes more, but nobody will ask")
		}
	}
	if len(rest) == 0 || c.secure.taken == 0 {
		t.Fatalf("%d bytes are left, of which %d are encrypted; expected the socket to be full", len(rest), c.secure.taken)
	}
	got := make(chan []byte, 1)
	go func() {
		all, _ := io.ReadAll(client)
		got <- all
	}()
	eventually(t, "all has left", func() bool { return !blocked() && len(rest) == 0 })
	if c.secure.sealed != nil || c.secure.taken != 0 {
		t.Error("an idle connection keeps a buffer")
	}
	c.mu.Lock()
	c.linger()
	c.mu.Unlock()
	if all := <-got; !bytes.Equal(all, want) {
		t.Errorf("%d bytes came of %d, or not the same", len(all), len(want))
	}
}

// TestSealedIsBounded: TLS has a say of its own, whether the client listens or not.
func TestSealedIsBounded(t *testing.T) {
	t.Parallel()
	c, _ := pipe(t, &turns{}, tls.VersionTLS13)
	var err error
	for n := 0; err == nil; n++ {
		if _, err = c.secure.Write(make([]byte, 100)); n > maxSealed/100 {
			t.Fatalf("%d bytes wait", len(*c.secure.sealed))
		}
	}
	if !errors.Is(err, errSealed) {
		t.Error(err)
	}
}

// TestLastWordWaits: close_notify is not cut off by the end of our side when the socket is full.
func TestLastWordWaits(t *testing.T) {
	t.Parallel()
	c, client := pipe(t, &turns{}, tls.VersionTLS12)
	fill := make([]byte, 1<<20)
	for {
		if n, err := c.transmit(fill); err != nil && c.secure.sealed != nil && n == 0 {
			break
		}
	}
	c.secure.taken = 0 // as if it had been the whole answer
	c.mu.Lock()
	c.linger()
	c.mu.Unlock()
	ended := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, client)
		ended <- err
	}()
	eventually(t, "everything has left", func() bool {
		c.onEvent(event{writable: true})
		return c.secure.sealed == nil
	})
	if err := <-ended; err != nil {
		t.Errorf("the client's end is %v", err)
	}
	if got := client.NetConn().(*tap).lastRecord(t); got != typeAlert {
		t.Errorf("the last record has type %d, expected %d", got, typeAlert)
	}
}

// typeAlert is what close_notify's record says it is, where TLS 1.2 does not hide that.
const typeAlert = 21

// TestCloseNotify looks at the types of records: an answer that is whole ends with an alert,
// one that is cut off does not.
func TestCloseNotify(t *testing.T) {
	t.Parallel()
	for path, want := range map[string]bool{"/whole": true, "/cut": false} {
		t.Run(path[1:], func(t *testing.T) {
			t.Parallel()
			b := start(t, Options{TLS: serverTLS()}, handler{wsgi: true, answer: func(ex *dispatch.Exchange) {
				ex.Client.Answer(ex, &wire.Message{Kind: wire.KindStart, Status: 200, Data: []byte("begins")})
				if string(ex.Scope.Path) == "/whole" {
					ex.Client.End(ex)
				} else {
					ex.Client.Fail(ex, dispatch.FailApp)
				}
			}})
			plain := b.dialPlain()
			tap := &tap{Conn: plain.Conn}
			plain.Conn = tap
			config := clientTLS()
			config.MaxVersion = tls.VersionTLS12
			c := plain.encrypt(config)
			c.say("GET " + path + " HTTP/1.0\r\n\r\n")
			if rest, _ := io.ReadAll(c.in); !strings.HasSuffix(string(rest), "begins") {
				t.Errorf("the answer is %q", rest)
			}
			if got := tap.lastRecord(t) == typeAlert; got != want {
				t.Errorf("close_notify: %t, expected %t", got, want)
			}
		})
	}
}
