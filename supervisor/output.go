package supervisor

import (
	"bufio"
	"bytes"
	"errors"
	"io"
	"strings"
	"sync"
)

const (
	// maxLine bounds a line of output; a longer one is handed on in pieces. Large enough for a traceback in one JSON
	// record.
	maxLine = 64 << 10
	// tailLines and tailBytes bound what is kept to explain a failed boot: a traceback of some depth.
	tailLines = 60
	tailBytes = 16 << 10
)

// output turns what one worker prints into lines, and remembers the last of them.
type output struct {
	worker string
	emit   func(worker, stream string, line []byte)

	mu   sync.Mutex
	tail []string
	size int
}

func newOutput(worker string, emit func(worker, stream string, line []byte)) *output {
	return &output{worker: worker, emit: emit}
}

// read hands on the lines of r until it ends. A last line without a newline counts.
func (o *output) read(stream string, r io.Reader) {
	lines := bufio.NewReaderSize(r, maxLine)
	for {
		line, err := lines.ReadSlice('\n')
		if len(line) > 0 {
			line = bytes.TrimSuffix(bytes.TrimSuffix(line, []byte("\n")), []byte("\r"))
			o.remember(line)
			o.emit(o.worker, stream, line)
		}
		if err != nil && !errors.Is(err, bufio.ErrBufferFull) {
			return
		}
	}
}

func (o *output) remember(line []byte) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.tail = append(o.tail, string(line[:min(len(line), tailBytes)]))
	o.size += len(o.tail[len(o.tail)-1])
	for len(o.tail) > tailLines || o.size > tailBytes {
		o.size -= len(o.tail[0])
		o.tail = o.tail[1:]
	}
}

// lastLines is what the worker printed last.
func (o *output) lastLines() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return strings.Join(o.tail, "\n")
}
