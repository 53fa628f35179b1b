package edge

import (
	"bytes"
	"errors"
	"io"
	"os"

	"backline/static"
	"backline/wire"
)

// outbox keeps what a client has not taken yet: in memory, then in a temporary file; behind both come the parts of an
// answer from package static, which are sent from where they are. While there is a temporary file, new bytes go behind
// it; behind the parts nothing can be added.
type outbox struct {
	memory []byte
	off    int
	shared *shared // nil but for WebSockets that get what others get too
	file   *os.File
	read   int64 // file[read:size] waits
	size   int64
	ring   int64 // how long the file becomes before it begins again at its front
	answer *static.Answer
	left   int64 // bytes of its parts that wait
	copies bool  // sendfile(2) does not work for them
	buffer *[]byte
	piece  []byte // what peek gave: unsent part of buffer
}

var errShorter = errors.New("the file has become shorter since the answer began")

var errOutboxFull = errors.New("more waits for the client than answer_memory and answer_file allow")

func (o *outbox) empty() bool { return o.waiting() == 0 }

// waiting is the number of bytes that have not left.
func (o *outbox) waiting() int64 {
	return int64(len(o.memory)-o.off) + o.shared.waiting() + o.size - o.read + o.left
}

// add appends p.
func (o *outbox) add(p []byte, s *Server) error {
	if o.shared != nil {
		o.shared.add(bytes.Clone(p)) // a WebSocket's, whose window bounds it
		return nil
	}
	if o.file == nil && o.answer == nil && len(o.memory)-o.off+len(p) <= s.options.AnswerMemory {
		if o.off > 0 && len(o.memory)+len(p) > cap(o.memory) {
			o.memory = o.memory[:copy(o.memory, o.memory[o.off:])]
			o.off = 0
		}
		o.memory = append(o.memory, p...)
		return nil
	}
	if o.answer != nil || o.size-o.read+int64(len(p)) > ringSize(s) {
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

// send makes the first n bytes of the answer's parts the rest of what is sent. It takes the answer over.
func (o *outbox) send(answer *static.Answer, n int64) { o.answer, o.left = answer, n }

// filePart gives the part of a file that is next, if that is next, and how much of it is sent.
func (o *outbox) filePart() (part *static.Part, length int) {
	if o.left == 0 || o.off < len(o.memory) || o.read < o.size || len(o.piece) > 0 || o.answer.Parts[0].File == nil {
		return nil, 0
	}
	part = &o.answer.Parts[0]
	return part, int(min(part.Length, o.left))
}

// ringSize leaves room above the limits for what a worker may send before it learns that it has to wait: a mebibyte,
// which becomes six when it comes in pieces of one byte, each framed as a chunk. AnswerMemory counts because, once
// there is a file, everything that waits can be in it.
func ringSize(s *Server) int64 {
	return int64(s.options.AnswerMemory) + s.options.AnswerFile + 8*4*wire.Window
}

// peek gives the next bytes to send.
func (o *outbox) peek(s *Server) ([]byte, error) {
	switch {
	case o.off < len(o.memory):
		return o.memory[o.off:], nil
	case o.shared != nil:
		return o.shared.frames[0], nil
	case len(o.piece) > 0:
		return o.piece, nil
	case o.read < o.size:
		at := o.read % o.ring
		return o.fill(s, o.file, at, min(o.size-o.read, o.ring-at))
	}
	part := &o.answer.Parts[0]
	if part.File == nil {
		return part.Data[:min(part.Length, o.left)], nil
	}
	return o.fill(s, part.File, part.Offset, min(part.Length, o.left))
}

// fill reads up to n bytes of a file.
func (o *outbox) fill(s *Server, file io.ReaderAt, at, n int64) ([]byte, error) {
	if o.buffer == nil {
		o.buffer = s.bodyBuffer()
	}
	read, err := file.ReadAt((*o.buffer)[:min(int64(cap(*o.buffer)), n)], at)
	o.piece = (*o.buffer)[:read]
	switch {
	case read > 0:
		err = nil
	case err == nil || errors.Is(err, io.EOF):
		err = errShorter
	}
	return o.piece, err
}

// advance forgets n bytes that peek gave, or that went from a file directly.
func (o *outbox) advance(n int) {
	switch {
	case o.off < len(o.memory):
		if o.off += n; o.off == len(o.memory) {
			o.memory, o.off = nil, 0
		}
		return
	case o.shared != nil:
		if o.shared.advance(n); len(o.shared.frames) == 0 {
			o.shared = nil
		}
		return
	case o.read < o.size:
		o.read += int64(n)
	default:
		o.advancePart(int64(n))
	}
	if len(o.piece) > 0 {
		o.piece = o.piece[n:]
	}
}

// advancePart forgets n bytes of the first part.
func (o *outbox) advancePart(n int64) {
	o.left -= n
	part := &o.answer.Parts[0]
	if part.Length -= n; part.Length == 0 {
		o.answer.Parts = o.answer.Parts[1:]
	} else if part.File != nil {
		part.Offset += n
	} else {
		part.Data = part.Data[n:]
	}
}

// settle gives buffers and an emptied file back. The caller has seen it empty.
func (o *outbox) settle(s *Server) {
	if o.buffer != nil {
		s.recycle(o.buffer)
	}
	o.discard()
}

func (o *outbox) discard() {
	o.answer.Close()
	if o.file != nil {
		_ = o.file.Close()
	}
	*o = outbox{}
}
