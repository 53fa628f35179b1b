package wire

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"backline"
)

// maxHandshake bounds the packets of the handshake: a traceback is the largest thing in one.
const maxHandshake = 4 << 20

// Hello is what a worker says first.
type Hello struct {
	Protocol int
	Package  string // version of its backline package
	Language string // "python"
	PID      int
	Codec    Codec
}

// Up is what a worker says when its application is imported and its lifespan has started.
type Up struct {
	Interface   string // "wsgi", "asgi" or "tcp"; "compute" for a worker that runs what others offload
	Loop        string // "threads", "asyncio", "gevent" or "compute"
	EventLoop   bool   // one loop runs all requests: it gives signs of life, and ends a request that is cancelled
	Concurrency int    // requests it runs at once
	Interpreter string // "CPython 3.13.0"
	Application string // as it was found: "mysite.wsgi:application"
	Notes       []string
}

// BootError is what a worker says when its application cannot be served. The application is to blame.
type BootError struct {
	Kind      string // "no-module", "no-attribute", "not-callable", "raised", "bad-spec", "wrong-interface", "lifespan"
	Message   string
	Hint      string
	Traceback string // the application's own frames only
}

func (e *BootError) Error() string { return e.Message }

// ReadHello reads the worker's first packet and checks that both ends speak the same protocol and carry the same
// package.
func ReadHello(r io.Reader, version string) (Hello, error) {
	c, fields, err := readHandshake(r, KindHello)
	if err != nil {
		return Hello{}, err
	}
	hello := Hello{Codec: c}
	hello.Protocol, _ = fields["protocol"].(int)
	hello.PID, _ = fields["pid"].(int)
	hello.Package, _ = fields["package"].(string)
	hello.Language, _ = fields["language"].(string)
	return hello, hello.check(version)
}

// check says which of the two ends is the older one, because that is the one to upgrade.
func (h *Hello) check(version string) error {
	switch {
	case h.Protocol < ProtocolVersion:
		return mismatch("upgrade the worker's package: pip install --upgrade backline=="+version,
			"the worker speaks protocol %d, this server protocol %d: the worker is the older one", h.Protocol, ProtocolVersion)
	case h.Protocol > ProtocolVersion:
		return mismatch("upgrade the backline binary, or install the worker's package of version "+version,
			"the worker speaks protocol %d, this server protocol %d: the server is the older one", h.Protocol, ProtocolVersion)
	case h.Language != "python" || h.Package == version:
		return nil
	case olderVersion(h.Package, version):
		return mismatch("upgrade the worker's package: pip install --upgrade backline=="+version+
			"; or uninstall it: the binary brings its own",
			"the worker runs backline %.40q, this server is %s: the worker is the older one", h.Package, version)
	default:
		return mismatch("upgrade the backline binary to the package's version; or uninstall the package: "+
			"the binary brings its own",
			"the worker runs backline %.40q, this server is %s: the server is the older one", h.Package, version)
	}
}

// olderVersion compares versions number by number. A part that is not a number alone ("2rc1") counts by the number it
// begins with; a version with less behind it is the later one of two such ("1.0.dev3" comes before "1.0").
func olderVersion(a, b string) bool {
	for a != "" || b != "" {
		var partA, partB string
		partA, a, _ = strings.Cut(a, ".")
		partB, b, _ = strings.Cut(b, ".")
		numberA, restA := leadingNumber(partA)
		numberB, restB := leadingNumber(partB)
		switch {
		case numberA != numberB:
			return numberA < numberB
		case restA != restB:
			return restB == "" || restA != "" && restA < restB
		}
	}
	return false
}

func leadingNumber(part string) (n int, rest string) {
	rest = strings.TrimLeft(part, "0123456789")
	n, _ = strconv.Atoi(part[:len(part)-len(rest)])
	return n, rest
}

func mismatch(hint, format string, args ...any) error {
	return &backline.Error{
		Op: "start a worker", Code: backline.CodeProtocol, Message: fmt.Sprintf(format, args...), Hint: hint,
	}
}

// WriteWelcome answers a hello with what to import and how to run it. Values are None, bool, int, float, str, lists
// and dictionaries.
func WriteWelcome(w io.Writer, c Codec, version string, settings map[string]any) error {
	return writeHandshake(w, c, KindWelcome, map[string]any{
		"protocol": ProtocolVersion, "package": version, "settings": settings,
	})
}

// ReadUp waits for the application of a worker that said hello in codec c. The error is a *BootError when the worker
// reports one.
func ReadUp(r io.Reader, c Codec) (Up, error) {
	codec, fields, err := readHandshake(r, KindUp)
	if err != nil {
		return Up{}, err
	}
	if codec != c {
		return Up{}, mismatch("", "the worker said hello in %s and goes on in %s; expected one codec for a connection",
			c, codec)
	}
	var up Up
	up.Interface, _ = fields["interface"].(string)
	up.Loop, _ = fields["loop"].(string)
	up.EventLoop, _ = fields["event_loop"].(bool)
	up.Concurrency, _ = fields["concurrency"].(int)
	up.Interpreter, _ = fields["interpreter"].(string)
	up.Application, _ = fields["application"].(string)
	notes, _ := fields["notes"].([]any)
	for _, note := range notes {
		up.Notes = append(up.Notes, fmt.Sprint(note))
	}
	up.EventLoop = up.EventLoop || up.Interface == "asgi"
	if !slices.Contains([]string{"wsgi", "asgi", "sockets", "tcp", "compute"}, up.Interface) || up.Concurrency < 1 {
		return up, mismatch("", "the worker came up with interface %.40q and concurrency %d; "+
			"expected \"wsgi\", \"asgi\", \"sockets\", \"tcp\" or \"compute\" and at least 1", up.Interface, up.Concurrency)
	}
	return up, nil
}

// readHandshake reads one packet of one message (kind, {...}). It never reads beyond it: what follows belongs to the
// connection's next reader.
func readHandshake(r io.Reader, want Kind) (Codec, map[string]any, error) {
	var header [4]byte
	if _, err := io.ReadFull(r, header[:]); err != nil {
		return 0, nil, err
	}
	size := binary.LittleEndian.Uint32(header[:])
	if size > maxHandshake {
		return 0, nil, mismatch("something else may have written to file descriptor 3, which is the worker's connection",
			"the worker's handshake announces a packet of %d bytes; expected at most %d", size, maxHandshake)
	}
	payload := make([]byte, size)
	if _, err := io.ReadFull(r, payload); err != nil {
		return 0, nil, err
	}
	kind, fields, codec, err := decodeHandshake(payload)
	switch {
	case err != nil:
		return codec, nil, mismatch("", "the worker's handshake cannot be read: %v", err)
	case kind == KindFailed:
		return codec, nil, bootError(fields)
	case kind != want:
		return codec, nil, mismatch("", "the worker sent message kind %d where %d was expected", kind, want)
	}
	return codec, fields, nil
}

func decodeHandshake(payload []byte) (Kind, map[string]any, Codec, error) {
	c := newCursor(payload)
	if c.sequence() != 1 || c.sequence() != 2 {
		c.fail(errors.New("expected one message of a kind and a dictionary"))
	}
	kind := c.kind()
	fields, _ := c.any(0).(map[string]any)
	if c.err == nil && (fields == nil || c.off != len(payload)) {
		c.fail(errors.New("expected a dictionary and nothing after it"))
	}
	return kind, fields, c.codec, c.err
}

func bootError(fields map[string]any) error {
	e := &BootError{}
	e.Kind, _ = fields["kind"].(string)
	e.Message, _ = fields["message"].(string)
	e.Hint, _ = fields["hint"].(string)
	e.Traceback, _ = fields["traceback"].(string)
	return e
}

func writeHandshake(w io.Writer, c Codec, kind Kind, fields map[string]any) error {
	packet := c.appendInt(c.appendTuple(c.appendList(make([]byte, 4, 1024), 1), 2), int(kind))
	packet, err := c.appendAny(packet, fields)
	if err != nil {
		return fmt.Errorf("write message kind %d: %w", kind, err)
	}
	binary.LittleEndian.PutUint32(packet, uint32(len(packet)-4))
	_, err = w.Write(packet)
	return err
}
