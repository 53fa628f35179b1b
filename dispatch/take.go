package dispatch

import (
	"errors"
	"fmt"
	"net"
	"syscall"
	"time"

	"backline/wire"
)

// A worker whose application speaks RFC 6455 itself asks for the client's connection with KindTake. Its descriptor goes
// over the control connection: the worker reads that with a thread of its own, so that its main connection, the path of
// every request, need not be read with recvmsg. The two connections have no order between them, and a stream's number
// is used again; that is why what is given is known by a token of the worker's.

// Claim makes the exchange an accepted WebSocket whose connection is about to be given away. False: the worker that has
// asked for it does not have the request any more.
func (ex *Exchange) Claim() bool {
	d := ex.dispatcher
	if d == nil {
		return false
	}
	d.mu.Lock()
	defer d.unlock()
	if !ex.taking || ex.worker == nil || ex.state != stateSent {
		return false
	}
	ex.state, ex.clock = stateOpen, time.Now()
	ex.worker.park(ex)
	d.feed()
	return true
}

// Give hands a descriptor to the worker, after Claim. It is closed in any case.
func (ex *Exchange) Give(descriptor int) {
	if w, token := ex.taker(); w == nil || !w.control.give(token, descriptor) {
		_ = syscall.Close(descriptor)
	}
}

// Keep answers a worker that its client's connection is not to be had: it goes on with messages.
func (ex *Exchange) Keep() {
	if w, token := ex.taker(); w != nil {
		w.control.send(func(b *wire.Batch) { b.AddGiven(token, false) })
	}
}

// taker is the worker that waits for the answer to KindTake.
func (ex *Exchange) taker() (*WorkerConn, uint32) {
	d := ex.dispatcher
	if d == nil {
		return nil, 0
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if !ex.taking {
		return nil, 0
	}
	ex.taking = false
	return ex.worker, ex.token
}

// gift is a descriptor on its way to a worker.
type gift struct {
	token      uint32
	descriptor int
}

// give queues a descriptor, which belongs to the connection from then on. False: the worker has gone.
func (c *control) give(token uint32, descriptor int) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ended {
		return false
	}
	c.gifts = append(c.gifts, gift{token, descriptor})
	c.ready.Signal()
	return true
}

// giveAll sends each gift in a packet of its own: a worker has room for few descriptors at once.
func (c *control) giveAll(gifts []gift) error {
	if len(gifts) == 0 {
		return nil
	}
	conn, ok := c.conn.(*net.UnixConn)
	if !ok {
		return fmt.Errorf("a control connection is a %T; expected a Unix socket", c.conn)
	}
	var packet wire.Batch
	for _, each := range gifts {
		packet.Reset(c.codec)
		packet.AddGiven(each.token, true)
		bytes := packet.Packet()
		n, _, err := conn.WriteMsgUnix(bytes, syscall.UnixRights(each.descriptor), nil)
		if err == nil && n < len(bytes) { // the kernel takes so few bytes whole or not at all
			_, err = conn.Write(bytes[n:])
		}
		if err != nil {
			return errors.Join(err, conn.Close()) // half a packet may have gone out; the worker ends when it sees the end
		}
	}
	return nil
}

// dropAll closes what has been sent, or will not be. A connection that nobody has got ends with that.
func dropAll(gifts []gift) {
	for _, each := range gifts {
		_ = syscall.Close(each.descriptor)
	}
}
