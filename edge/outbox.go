package edge

import (
	"errors"
	"os"

	"backline/wire"
)

// outbox keeps what a client has not taken yet: in memory, then in a temporary file, or from a file that is sent as
// it is. The order is memory, then file; while there is a file, new bytes go behind it.
type outbox struct {
	memory []byte
	off    int
	file   *os.File
	read   int64 // file[read:size] waits
	size   int64
	ring   int64 // how long the file becomes before it begins again at its front
	fixed  bool  // the file is somebody else's: nothing can be added
	buffer *[]byte
	piece  []byte // what peek gave: unsent part of buffer
}

var errOutboxFull = errors.New("more waits for the client than answer_memory and answer_file allow")

func (o *outbox) empty() bool { return o.waiting() == 0 }

// waiting is the number of bytes that have not left.
func (o *outbox) waiting() int64 {
	return int64(len(o.memory)-o.off) + o.size - o.read
}

// add appends p.
func (o *outbox) add(p []byte, s *Server) error {
	if o.file == nil && len(o.memory)-o.off+len(p) <= s.options.AnswerMemory {
		if o.off > 0 && len(o.memory)+len(p) > cap(o.memory) {
			o.memory = o.memory[:copy(o.memory, o.memory[o.off:])]
			o.off = 0
		}
		o.memory = append(o.memory, p...)
		return nil
	}
	if o.fixed || o.size-o.read+int64(len(p)) > ringSize(s) {
		return errOutboxFull
	}
	if o.file == nil {
		file, err := temporaryFile(s.options.TempDir)
		if err != nil {
			return err
		}
		o.file, o.ring = file, ringSize(s)
	}
	return o.store(p)
}

// store writes p behind what is in the file, as in a ring: a client that is always a little behind would otherwise make
// the file as long as the whole answer.
func (o *outbox) store(p []byte) error {
	for len(p) > 0 {
		at := o.size % o.ring
		n, err := o.file.WriteAt(p[:min(int64(len(p)), o.ring-at)], at)
		o.size += int64(n)
		p = p[n:]
		if err != nil {
			return err
		}
	}
	return nil
}

// sendFile makes size bytes of file the rest of what is sent.
func (o *outbox) sendFile(file *os.File, size int64) {
	o.file, o.read, o.size, o.ring, o.fixed = file, 0, size, size, true
}

// ringSize leaves room above the limits for what a worker may send before it learns that it has to wait: a mebibyte,
// which becomes six when it comes in pieces of one byte, each framed as a chunk. AnswerMemory counts because, once
// there is a file, everything that waits can be in it.
func ringSize(s *Server) int64 {
	return int64(s.options.AnswerMemory) + s.options.AnswerFile + 8*4*wire.Window
}

// peek gives the next bytes to send.
func (o *outbox) peek(s *Server) ([]byte, error) {
	if o.off < len(o.memory) {
		return o.memory[o.off:], nil
	}
	if len(o.piece) > 0 {
		return o.piece, nil
	}
	if o.buffer == nil {
		o.buffer = s.bodyBuffer()
	}
	at := o.read % o.ring
	n, err := o.file.ReadAt((*o.buffer)[:min(int64(cap(*o.buffer)), o.size-o.read, o.ring-at)], at)
	if n == 0 && err == nil {
		err = errors.New("the file has become shorter")
	}
	o.piece = (*o.buffer)[:n]
	if n > 0 {
		err = nil
	}
	return o.piece, err
}

// advance forgets n bytes that peek gave.
func (o *outbox) advance(n int) {
	if o.off < len(o.memory) {
		o.off += n
		if o.off == len(o.memory) {
			o.memory, o.off = nil, 0
		}
	} else {
		o.piece = o.piece[n:]
		o.read += int64(n)
	}
}

// settle gives buffers and an emptied file back. The caller has seen it empty.
func (o *outbox) settle(s *Server) {
	if o.buffer != nil {
		s.recycle(o.buffer)
	}
	if o.file != nil {
		_ = o.file.Close()
	}
	*o = outbox{}
}

func (o *outbox) discard() {
	if o.file != nil {
		_ = o.file.Close()
	}
	*o = outbox{}
}
