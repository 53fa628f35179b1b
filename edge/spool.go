package edge

import (
	"errors"
	"io"
	"os"
)

// spool keeps bytes first in memory and then in a temporary file, and gives them back in order. The file has no name:
// it is removed as soon as it is open, so that nothing is left behind, whatever ends this process.
type spool struct {
	memory []byte
	file   *os.File
	size   int64 // bytes in file
	at     int64 // bytes read so far, of memory and file together
}

// add appends p.
func (s *spool) add(p []byte, server *Server) error {
	if s.file == nil && len(s.memory)+len(p) <= server.options.BodyMemory {
		s.memory = append(s.memory, p...)
		return nil
	}
	if s.file == nil {
		file, err := temporaryFile(server.options.TempDir)
		if err != nil {
			return err
		}
		s.file = file
	}
	n, err := s.file.WriteAt(p, s.size)
	s.size += int64(n)
	return err
}

// read gives the next bytes; 0 at the end.
func (s *spool) read(p []byte) (int, error) {
	if s.at < int64(len(s.memory)) {
		n := copy(p, s.memory[s.at:])
		s.at += int64(n)
		return n, nil
	}
	if s.file == nil {
		return 0, nil
	}
	n, err := s.file.ReadAt(p[:min(int64(len(p)), s.left())], s.at-int64(len(s.memory)))
	s.at += int64(n)
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return n, err
}

func (s *spool) left() int64 { return int64(len(s.memory)) + s.size - s.at }

func (s *spool) empty() bool { return s.left() == 0 }

// rewind begins again.
func (s *spool) rewind() { s.at = 0 }

func (s *spool) discard(*Server) {
	if s.file != nil {
		_ = s.file.Close()
	}
	*s = spool{}
}

func temporaryFile(dir string) (*os.File, error) {
	file, err := os.CreateTemp(dir, "backline-")
	if err != nil {
		return nil, err
	}
	return file, os.Remove(file.Name())
}
