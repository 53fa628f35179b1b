package websocket

import (
	"encoding/binary"
	"strconv"
	"unicode/utf8"
)

// Codes of a close (RFC 6455 7.4.1, and IANA's registry for those after 1011).
const (
	CloseNormal      = 1000
	CloseGoingAway   = 1001 // the server shuts down, or a page was left
	CloseProtocol    = 1002 // the peer broke RFC 6455
	CloseUnsupported = 1003 // a kind of message that the application does not take
	CloseNoStatus    = 1005 // never sent: a close frame came without a code
	CloseAbnormal    = 1006 // never sent: the connection ended without a close frame
	CloseInvalid     = 1007 // text that is not UTF-8, or data that does not inflate
	ClosePolicy      = 1008
	CloseTooBig      = 1009 // a message beyond a limit
	CloseInternal    = 1011 // the server, or its application, failed
	CloseRestart     = 1012 // the service restarts: connect again
	CloseTryLater    = 1013 // the service is overloaded
)

// maxControl is the longest payload of a control frame (RFC 6455 5.5), maxReason what a close frame has left after its
// code.
const (
	maxControl = 125
	maxReason  = maxControl - 2
)

// CloseError is a mistake of the peer, and what to answer: send AppendClose(Code, Reason), then end the connection. The
// reason is fit for the peer.
type CloseError struct {
	Code   int
	Reason string
}

// Error gives code and reason: "1002 frame is not masked".
func (e *CloseError) Error() string { return strconv.Itoa(e.Code) + " " + e.Reason }

func violation(reason string) *CloseError { return &CloseError{CloseProtocol, reason} }
func tooBig(reason string) *CloseError    { return &CloseError{CloseTooBig, reason} }
func invalid(reason string) *CloseError   { return &CloseError{CloseInvalid, reason} }

// ValidCode tells whether a close frame may carry code: those that RFC 6455 7.4 and IANA's registry define for it, and
// the ranges for libraries (3000) and applications (4000). 1004 has no meaning; 1005, 1006 and 1015 only name what
// happened without a frame.
func ValidCode(code int) bool {
	switch {
	case code >= 3000 && code < 5000:
		return true
	case code >= CloseInvalid && code <= 1014:
		return true
	default:
		return code >= CloseNormal && code <= CloseUnsupported
	}
}

// parseClose reads the payload of a close frame (RFC 6455 5.5.1).
func parseClose(payload []byte) (Event, *CloseError) {
	if len(payload) == 0 {
		return Event{Kind: Close, Code: CloseNoStatus}, nil
	}
	if len(payload) == 1 {
		return Event{}, violation("close frame with half a code")
	}
	code, reason := int(binary.BigEndian.Uint16(payload)), payload[2:]
	if !ValidCode(code) {
		return Event{}, violation("close frame with a code that may not be sent")
	}
	if !utf8.Valid(reason) {
		return Event{}, invalid("reason of a close frame is not UTF-8")
	}
	return Event{Kind: Close, Code: code, Data: reason}, nil
}

// AppendClose appends a close frame. A code that may not be sent, such as CloseNoStatus, gives one without a code and
// reason. A reason that is too long is cut between two characters; where it is not UTF-8 it is left out, as the peer
// would have to take it for our mistake.
func AppendClose(dst []byte, code int, reason string) []byte {
	if !ValidCode(code) {
		return appendHeader(dst, finBit|byte(Close), 0)
	}
	if len(reason) > maxReason {
		end := maxReason
		for end > 0 && !utf8.RuneStart(reason[end]) {
			end--
		}
		reason = reason[:end]
	}
	if !utf8.ValidString(reason) {
		reason = ""
	}
	dst = appendHeader(dst, finBit|byte(Close), 2+len(reason))
	dst = binary.BigEndian.AppendUint16(dst, uint16(code))
	return append(dst, reason...)
}
