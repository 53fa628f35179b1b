// Package accesslog turns a finished request into one line and takes the line to a file.
//
// Read compile.go for the format's syntax, this file for what each atom prints, json.go for the other form, and
// sink.go for how lines reach the disk without a request ever waiting for it. The only goroutine is the one that calls
// Sink.Run.
package accesslog

import (
	"strconv"
	"time"

	"backline"
)

// Record is what is known of a request when it is over.
type Record struct {
	Scope    *backline.Scope  // nil where the bytes never became a request
	Status   int              // of the answer; 0 where none was sent
	Bytes    int64            // body bytes sent, without the header block and chunk framing
	Start    time.Time        // first byte of the request head
	Duration time.Duration    // from Start to the last byte handed to the socket
	Queue    time.Duration    // waited for a worker, a part of Duration
	Worker   string           // "web.1"; empty where no worker took part
	PID      int              // of that worker; 0 where no worker took part
	Answer   []backline.Field // header fields of the answer; only read when Format.NeedsAnswer()
	Aborted  string           // why it ended early: "client", or a dispatch.Failure's name; empty for a whole answer
}

// Format is a compiled line format. It never changes, so any number of goroutines may share it.
type Format struct {
	steps []step // empty for JSON
	json  bool
}

// A step appends one piece of the line. Everything that can be decided before the first request is decided in Compile:
// names are lower-cased, variables resolved to the atom that means the same.
type step struct {
	atom atom
	text string // opText: the literal; requestField and answerField: the field's name in lower case
}

// An atom is the letter people write. Those without a letter lie above ASCII.
type atom byte

const (
	opText       atom = 0
	requestField atom = 'i'
	answerField  atom = 'o'
	rawTarget    atom = 0x80
	clientPort   atom = 0x81
	serverHost   atom = 0x82
	serverPort   atom = 0x83
	rootPath     atom = 0x84
	scheme       atom = 0x85
)

// commonLogTime is Apache's %t.
const commonLogTime = "[02/Jan/2006:15:04:05 -0700]"

// letters are the atoms that stand alone: gunicorn's in its order, then ours.
const letters = "hlutrmUqHsBbfaTDMLp" + "dQWx"

// NeedsAnswer says whether Append will read Record.Answer, so that nobody keeps an answer's fields for nothing.
func (f *Format) NeedsAnswer() bool {
	for _, s := range f.steps {
		if s.atom == answerField {
			return true
		}
	}
	return false
}

// Append adds r as one line, "\n" included, and nothing in it but that "\n" ends a line: see appendEscaped.
//
// The atoms are a switch and not a table of functions, because a call through a table would move every caller's Record
// to the heap.
func (f *Format) Append(dst []byte, r *Record) []byte {
	scope := r.Scope
	if scope == nil {
		scope = &backline.Scope{}
	}
	if f.json {
		return appendJSON(dst, r, scope)
	}
	for i := range f.steps {
		s := &f.steps[i]
		switch s.atom {
		case opText:
			dst = append(dst, s.text...)
		case 't', 'T', 'D', 'M', 'L', 'd', 'Q':
			dst = appendTiming(dst, s.atom, r)
		case 's', 'B', 'b', 'p', 'W', 'x', answerField:
			dst = appendAnswer(dst, s, r)
		case rawTarget, clientPort, serverHost, serverPort, rootPath, scheme:
			dst = appendVariable(dst, s.atom, scope)
		default:
			dst = appendRequest(dst, s, scope)
		}
	}
	return append(dst, '\n')
}

func appendRequest(dst []byte, s *step, scope *backline.Scope) []byte {
	switch s.atom {
	case 'h':
		return appendOrDash(dst, scope.Client.Host)
	case 'u':
		return appendUser(dst, scope)
	case 'r':
		return appendRequestLine(dst, scope)
	case 'm':
		return appendOrDash(dst, scope.Method)
	case 'U':
		return appendOrDash(dst, scope.Path)
	case 'q': // empty, not "-": gunicorn's, and "?-" would be a query
		return appendEscaped(dst, scope.Query)
	case 'H':
		return appendProtocol(dst, scope)
	case 'f':
		return appendOrDash(dst, find(scope.Fields, "referer"))
	case 'a':
		return appendOrDash(dst, find(scope.Fields, "user-agent"))
	case requestField:
		return appendOrDash(dst, find(scope.Fields, s.text))
	default: // 'l', the name identd would give: nobody runs one
		return append(dst, '-')
	}
}

func appendVariable(dst []byte, a atom, scope *backline.Scope) []byte {
	switch a {
	case rawTarget:
		return appendOrDash(dst, scope.Target)
	case clientPort:
		return appendPort(dst, scope.Client.Port)
	case serverHost:
		return appendOrDash(dst, scope.Server.Host)
	case serverPort:
		return appendPort(dst, scope.Server.Port)
	case rootPath:
		return appendEscaped(dst, scope.RootPath)
	default:
		return appendOrDash(dst, scope.Scheme)
	}
}

func appendAnswer(dst []byte, s *step, r *Record) []byte {
	switch s.atom {
	case 's':
		return strconv.AppendInt(dst, int64(r.Status), 10)
	case 'B':
		return strconv.AppendInt(dst, r.Bytes, 10)
	case 'b': // the Common Log Format writes "-" for none
		if r.Bytes == 0 {
			return append(dst, '-')
		}
		return strconv.AppendInt(dst, r.Bytes, 10)
	case 'p':
		if r.PID == 0 {
			return append(dst, '-')
		}
		return append(strconv.AppendInt(append(dst, '<'), int64(r.PID), 10), '>')
	case 'W':
		return appendOrDash(dst, r.Worker)
	case 'x':
		return appendOrDash(dst, r.Aborted)
	default:
		return appendOrDash(dst, find(r.Answer, s.text))
	}
}

func appendTiming(dst []byte, a atom, r *Record) []byte {
	took := max(r.Duration, 0)
	switch a {
	case 't':
		return r.Start.AppendFormat(dst, commonLogTime)
	case 'T':
		return strconv.AppendInt(dst, int64(took/time.Second), 10)
	case 'D':
		return strconv.AppendInt(dst, took.Microseconds(), 10)
	case 'M':
		return strconv.AppendInt(dst, took.Milliseconds(), 10)
	case 'L':
		return appendFixed(dst, took.Microseconds(), 6)
	case 'd':
		return appendMilliseconds(dst, took)
	default:
		return appendMilliseconds(dst, r.Queue)
	}
}

func appendRequestLine(dst []byte, scope *backline.Scope) []byte {
	if len(scope.Method) == 0 {
		return append(dst, '-') // the request line could not be parsed
	}
	dst = append(appendEscaped(dst, scope.Method), ' ')
	dst = append(appendEscaped(dst, scope.Target), ' ')
	return appendProtocol(dst, scope)
}

func appendProtocol(dst []byte, scope *backline.Scope) []byte {
	if scope.Version == "" {
		return append(dst, '-')
	}
	return append(append(dst, "HTTP/"...), scope.Version...)
}

func appendPort(dst []byte, port int) []byte {
	if port == 0 {
		return append(dst, '-')
	}
	return strconv.AppendInt(dst, int64(port), 10)
}

// appendMilliseconds writes three decimals: whole milliseconds would make every quick request a 0.
func appendMilliseconds(dst []byte, d time.Duration) []byte {
	return appendFixed(dst, max(d, 0).Microseconds(), 3)
}

// appendFixed writes n, not negative, with its last digits behind a point: (12345, 3) is "12.345". Three times as fast
// as strconv.AppendFloat, and exact.
func appendFixed(dst []byte, n int64, digits int) []byte {
	unit := int64(1)
	for range digits {
		unit *= 10
	}
	dst = append(strconv.AppendInt(dst, n/unit, 10), '.')
	for rest := n % unit; unit > 1; rest %= unit {
		unit /= 10
		dst = append(dst, byte('0'+rest/unit))
	}
	return dst
}
