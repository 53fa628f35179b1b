package edge

import (
	"errors"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"backline/forwarded"
	"backline/proxyproto"
)

// A PROXY header comes before everything else, TLS included. It is looked at while it still lies in the kernel, and
// only its own bytes are taken from there once it is whole: whoever reads next finds the connection as if it had begun
// then.

// readAnnouncement waits until it is known whether the connection begins with a PROXY header. It tells whether the
// connection moved on.
func (c *conn) readAnnouncement() bool {
	if !c.canRead {
		return false
	}
	buffer := c.server.bodyBuffer()
	defer c.server.recycle(buffer)
	n, err := peekSocket(c.fd, (*buffer)[:proxyproto.MaxHeader])
	if errors.Is(err, syscall.EAGAIN) {
		c.canRead = false
		return false
	}
	if n <= 0 {
		c.close()
		return false
	}
	header, size, err := proxyproto.Parse((*buffer)[:n])
	from := &c.server.options.Gate.Announcers
	expected := from.Contains(forwarded.Address(c.client))
	switch {
	case errors.Is(err, proxyproto.ErrAbsent) && !expected:
		c.beginConnection()
		return true
	case err != nil:
		c.refuseAnnouncement(err.Error())
		return false
	case size == 0:
		c.canRead = false
		if c.ending {
			c.close()
		}
		return false
	case !expected:
		c.refuseAnnouncement("PROXY protocol: the sender is not one of proxy_allow_from")
		return false
	}
	if _, err := readSocket(c.fd, (*buffer)[:size]); err != nil {
		c.close()
		return false
	}
	return c.believe(&header)
}

// believe takes over what the header says. It tells whether the connection lives on.
func (c *conn) believe(h *proxyproto.Header) bool {
	if !h.Local {
		c.client, c.overTLS = h.Source, h.TLS
		if h.Destination.Host != "" {
			c.local = h.Destination
		}
		if !c.server.enter(c) {
			c.close()
			return false
		}
	}
	c.beginConnection()
	return true
}

// scheme is that of a connection without TLS of ours.
func (c *conn) scheme() string {
	if c.overTLS {
		return "https"
	}
	return c.server.options.Scheme
}

// beginConnection lets the connection's own bytes be read.
func (c *conn) beginConnection() {
	c.phase = c.first
	c.touch()
}

// refuseAnnouncement ends a connection. It gets no answer: nobody knows whether it is one of HTTP or of TLS.
func (c *conn) refuseAnnouncement(reason string) {
	if c.server.notices.announced.due(c.server.clock.Load(), time.Minute) {
		c.server.options.Log.Warn("a connection was closed because of its beginning", "peer", c.client.Host, "reason", reason)
	}
	c.close()
}

// peekSocket reads without taking away.
func peekSocket(fd int, p []byte) (int, error) {
	for {
		n, _, err := unix.Recvfrom(fd, p, unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if !errors.Is(err, unix.EINTR) {
			return n, err
		}
	}
}
