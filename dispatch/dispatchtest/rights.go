package dispatchtest

import (
	"net"
	"os"
	"syscall"

	"backline/wire"
)

// rights reads a connection and keeps the descriptors that come with the bytes.
type rights struct {
	conn  *net.UnixConn
	files chan *os.File
}

// Read implements io.Reader.
func (r *rights) Read(p []byte) (int, error) {
	beside := make([]byte, syscall.CmsgSpace(4*16))
	n, m, _, _, err := r.conn.ReadMsgUnix(p, beside)
	if err != nil {
		return n, err
	}
	messages, err := syscall.ParseSocketControlMessage(beside[:m])
	for i := range messages {
		descriptors, _ := syscall.ParseUnixRights(&messages[i])
		for _, each := range descriptors {
			r.files <- os.NewFile(uintptr(each), "given")
		}
	}
	if n == 0 && err == nil {
		err = net.ErrClosed // ReadMsgUnix has no io.EOF
	}
	return n, err
}

// drop closes what no test has taken.
func (r *rights) drop() {
	close(r.files)
	for each := range r.files {
		_ = each.Close()
	}
}

// NextGiven gives the next answer to KindTake: its token, and the connection, nil where the server keeps that.
func (w *Worker) NextGiven() (token uint32, conn net.Conn) {
	w.tb.Helper()
	m := w.next(w.stacks, "an answer to KindTake")
	if m.Kind != wire.KindGiven {
		w.tb.Fatalf("expected an answer to KindTake, got %+v", m)
	}
	if m.N == 0 {
		return m.Stream, nil
	}
	file := <-w.given.files
	defer file.Close()
	conn, err := net.FileConn(file)
	if err != nil {
		w.tb.Fatalf("what was given is no connection: %v", err)
	}
	return m.Stream, conn
}
