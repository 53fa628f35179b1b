package edge

import (
	"encoding/binary"
	"errors"
	"time"
)

// toll counts, in one direction of an HTTP/2 connection, the frames of a client that is up to nothing good. net/http
// bounds the memory that they cost, but it answers them, and so computes, for as long as they come. More than
// ControlFrames of them in tollTime end the connection.
//
// From the client these are frames that neither ask for anything nor carry anything (PING, SETTINGS, RST_STREAM,
// PRIORITY, CONTINUATION, empty DATA, unknown ones; how many WINDOW_UPDATE it needs depends on what we send), to the
// client resets that it has provoked: how to make the server reset streams has been found out in many ways
// (CVE-2025-8671), but they all end in RST_STREAM.
type toll struct {
	taxed   func(f *frameStart) bool
	frame   frameStart
	have    int // bytes of it
	payload int // bytes of the frame that are still to come after them
	count   int
	since   int64
}

// frameStart is a frame's header (RFC 9113 4.1) and, of RST_STREAM, also the payload: its error code.
type frameStart [frameHeader + resetPayload]byte

const (
	frameHeader  = 9
	resetPayload = 4

	frameData         = 0
	frameHeaders      = 1
	frameReset        = 3
	frameWindowUpdate = 8
	flagEndStream     = 1
)

func (f *frameStart) length() int     { return int(binary.BigEndian.Uint32(f[:]) >> 8) }
func (f *frameStart) kind() byte      { return f[3] }
func (f *frameStart) endStream() bool { return f[4]&flagEndStream != 0 }
func (f *frameStart) code() uint32    { return binary.BigEndian.Uint32(f[frameHeader:]) }

// tollTime is over how long frames are counted.
const tollTime = 10 * time.Second

var errToll = errors.New("its client sends too many frames without a request, or provokes too many resets")

// newTolls expects the client's preface first.
func newTolls(now int64) (in, out toll) {
	return toll{taxed: isIdle, payload: len(preface), since: now}, toll{taxed: isProvoked, since: now}
}

func isIdle(f *frameStart) bool {
	switch f.kind() {
	case frameData:
		return f.length() == 0 && !f.endStream()
	case frameHeaders, frameWindowUpdate:
		return false
	}
	return true
}

// isProvoked leaves out the resets that say nothing against the client: it need not send the rest of a body, or the
// application has failed.
func isProvoked(f *frameStart) bool {
	const noError, internalError = 0, 2
	return f.kind() == frameReset && f.code() != noError && f.code() != internalError
}

// pay looks at bytes in the order in which they come, and tells whether it may go on.
func (t *toll) pay(p []byte, limit int, now int64) bool {
	for len(p) > 0 {
		if t.payload > 0 {
			n := min(t.payload, len(p))
			t.payload -= n
			p = p[n:]
			continue
		}
		need := frameHeader
		if t.have >= frameHeader {
			need = len(t.frame)
		}
		n := copy(t.frame[t.have:need], p)
		p = p[n:]
		t.have += n
		if t.have < need || t.have == frameHeader && t.frame.kind() == frameReset && t.frame.length() == resetPayload {
			continue
		}
		t.payload = t.frame.length() - (t.have - frameHeader)
		t.have = 0
		if t.taxed(&t.frame) {
			t.count++
		}
	}
	if now-t.since > int64(tollTime) {
		t.count, t.since = 0, now
	}
	return t.count <= limit
}
