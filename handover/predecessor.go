package handover

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"

	"backline"
)

// Predecessor is the process whose sockets this one was given. The methods of nil are those of a process that was
// given none.
type Predecessor struct {
	pipe *os.File
	left []inherited // not taken yet
}

type inherited struct {
	address    string
	descriptor int
}

// Inherit finds what a predecessor has left for this process. rest is the environment without it: no process that
// this one starts is meant.
func Inherit(environ []string) (rest []string, p *Predecessor, err error) {
	value, found := "", false
	for _, entry := range environ {
		if after, ours := strings.CutPrefix(entry, variable+"="); ours {
			value, found = after, true
		} else {
			rest = append(rest, entry)
		}
	}
	if !found {
		return environ, nil, nil
	}
	p, err = open(value)
	if err != nil {
		return rest, nil, &backline.Error{
			Op: "take over", Code: backline.CodeUsage, Err: err,
			Message: variable + " is not what a server that is upgraded has left",
			Hint:    "unset it: a server sets it for its own successor, and nobody else",
		}
	}
	return rest, p, nil
}

func open(value string) (*Predecessor, error) {
	var from legacy
	if err := json.Unmarshal([]byte(value), &from); err != nil {
		return nil, err
	}
	p := &Predecessor{}
	for i, address := range from.Sockets {
		descriptor := firstDescriptor + i
		listening, err := syscall.GetsockoptInt(descriptor, syscall.SOL_SOCKET, syscall.SO_ACCEPTCONN)
		if err != nil || listening == 0 {
			return nil, fmt.Errorf("descriptor %d is no listening socket, expected that of %s", descriptor, address)
		}
		syscall.CloseOnExec(descriptor) // workers are not meant
		p.left = append(p.left, inherited{address, descriptor})
	}
	syscall.CloseOnExec(pipeDescriptor)
	p.pipe = os.NewFile(pipeDescriptor, "predecessor")
	return p, nil
}

// Take gives the descriptor of the socket for an address, which is the caller's from then on. Of several sockets for
// one address (port 0 may stand twice) it gives the first one that is left.
func (p *Predecessor) Take(address string) (descriptor int, found bool) {
	if p == nil {
		return 0, false
	}
	for i, socket := range p.left {
		if socket.address == address {
			p.left = append(p.left[:i], p.left[i+1:]...)
			return socket.descriptor, true
		}
	}
	return 0, false
}

// Relieve tells the predecessor that this process serves, so that it stops accepting. Sockets that were not taken are
// closed, and the paths of Unix sockets among them removed: nobody listens there any more.
func (p *Predecessor) Relieve() error {
	if p == nil {
		return nil
	}
	_, err := p.pipe.WriteString(serving)
	err = errors.Join(err, p.pipe.Close())
	for _, socket := range p.left {
		_ = syscall.Close(socket.descriptor)
		if path, local := strings.CutPrefix(socket.address, "unix:"); local && !strings.HasPrefix(path, "@") {
			_ = os.Remove(path)
		}
	}
	p.left = nil
	if err != nil {
		return fmt.Errorf("tell the predecessor that this process serves: %w", err)
	}
	return nil
}
