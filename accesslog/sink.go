package accesslog

import (
	"bytes"
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"sync"
	"time"

	"backline"
)

const (
	// flushDelay is how long a line may wait for company. At 100,000 requests a second one write then carries thousands
	// of lines; a person following the log does not see the difference.
	flushDelay = 100 * time.Millisecond
	// flushSize ends the wait early.
	flushSize = 64 << 10
	// maxPending is what waits in memory while the disk is slower than the log, in bytes: some ten seconds at 2,000
	// requests a second. Lines beyond are dropped and counted.
	maxPending = 4 << 20
	// filePerm lets a log collector's group read: lines hold addresses and queries, so not the whole machine.
	filePerm = 0o640
	// reportEvery limits how often Lost is called.
	reportEvery = 10 * time.Second
)

// Sink collects lines and writes them to one file from the goroutine that calls Run. Write never waits for the disk, so
// a slow one costs lines and never answers.
type Sink struct {
	// Lost is called by Run when lines could not be written, with how many since the last call and, where writing
	// failed, the error; at most every 10 s. To be set before Run; nil means they are only counted.
	Lost func(lines uint64, err error)

	path string
	wake chan struct{} // cap 1: pending is no longer empty
	full chan struct{} // cap 1: pending has reached flushSize

	mu      sync.Mutex // guards the lines that wait
	pending []byte
	dropped uint64 // lines since Open

	// Lock order: out before mu. Nothing is called from outside under either.
	out   sync.Mutex // guards the file, held while writing
	file  *os.File
	spare []byte // the buffer that takes turns with pending
	torn  bool   // the last write ended inside a line
	err   error  // of the last write, nil again once one succeeds
}

// Open prepares the log at path ("-" is standard output); a file is appended to. Nothing is written before Run.
func Open(path string) (*Sink, error) {
	s := &Sink{path: path, wake: make(chan struct{}, 1), full: make(chan struct{}, 1)}
	file, err := s.open()
	if err != nil {
		return nil, err
	}
	s.file = file
	return s, nil
}

func (s *Sink) open() (*os.File, error) {
	if s.path == "-" {
		return os.Stdout, nil
	}
	file, err := os.OpenFile(s.path, os.O_APPEND|os.O_CREATE|os.O_WRONLY, filePerm)
	if err == nil {
		return file, nil
	}
	hint := "Give a file that can be written, or - for standard output."
	switch {
	case errors.Is(err, fs.ErrNotExist):
		hint = "Create the folder first: mkdir -p " + filepath.Dir(s.path)
	case errors.Is(err, fs.ErrPermission):
		hint = "Let the user who runs backline write there, choose another file, or - for standard output."
	}
	// The cause without Go's "open path:" in front, which Op says already.
	if cause, ok := errors.AsType[*fs.PathError](err); ok {
		err = cause.Err
	}
	return nil, &backline.Error{Op: "open access log " + s.path, Code: backline.CodeUsage, Hint: hint, Err: err}
}

// Write takes one or more whole lines. It always takes them (the error is nil): when maxPending waits already they are
// dropped and counted, since whoever calls has an answer to send.
func (s *Sink) Write(lines []byte) (int, error) {
	s.mu.Lock()
	waiting := len(s.pending)
	now := waiting + len(lines)
	if now > maxPending {
		s.dropped += countLines(lines)
		s.mu.Unlock()
		return len(lines), nil
	}
	s.pending = append(s.pending, lines...)
	s.mu.Unlock()
	if waiting == 0 {
		signal(s.wake)
	}
	if waiting < flushSize && now >= flushSize {
		signal(s.full)
	}
	return len(lines), nil
}

// Dropped says how many lines never reached the file, since Open.
func (s *Sink) Dropped() uint64 {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.dropped
}

// Run writes what waits, at most flushDelay after it came, until ctx ends; then it writes the rest and returns nil. It
// sleeps while there is nothing to write. A failing disk does not end it: the next write may work again.
func (s *Sink) Run(ctx context.Context) error {
	timer := time.NewTimer(0)
	defer timer.Stop()
	var report report
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-s.wake:
			timer.Reset(flushDelay)
			select {
			case <-ctx.Done():
			case <-s.full:
			case <-timer.C:
			}
		}
		s.flush()
		report.send(s, time.Now())
	}
	s.flush() // what came while the last one was under way
	report.at = time.Time{}
	report.send(s, time.Now())
	return nil
}

// report remembers what Lost was told.
type report struct {
	told uint64
	at   time.Time
}

func (r *report) send(s *Sink, now time.Time) {
	dropped := s.Dropped()
	if s.Lost == nil || dropped == r.told || !r.at.IsZero() && now.Sub(r.at) < reportEvery {
		return
	}
	s.out.Lock()
	err := s.err
	s.out.Unlock()
	s.Lost(dropped-r.told, err)
	r.told, r.at = dropped, now
}

// flush writes what waits now. Writers meanwhile fill the other buffer.
func (s *Sink) flush() {
	s.out.Lock()
	defer s.out.Unlock()
	s.flushLocked()
}

func (s *Sink) flushLocked() {
	s.mu.Lock()
	lines := s.pending
	s.pending = s.spare[:0]
	s.mu.Unlock()
	s.spare = lines
	// A signal for lines that are being written now would only make the next wait shorter.
	select {
	case <-s.full:
	default:
	}
	if len(lines) == 0 {
		return
	}
	lost := s.write(lines)
	s.mu.Lock()
	s.dropped += lost
	s.mu.Unlock()
}

// write sends lines to the file and says how many of them are lost. A full disk can cut a line: the next write starts
// with a line's end, so that only that one is spoiled.
func (s *Sink) write(lines []byte) (lost uint64) {
	if s.torn {
		if _, s.err = s.file.WriteString("\n"); s.err != nil {
			return countLines(lines)
		}
		s.torn = false
	}
	var n int
	n, s.err = s.file.Write(lines)
	if s.err == nil {
		return 0
	}
	s.torn = n > 0 && lines[n-1] != '\n'
	return countLines(lines[n:])
}

// Reopen writes what waits to the old file and goes on in a new one of the same name, for log rotation. Where that
// cannot be opened the old one stays in use. Standard output has nothing to reopen.
func (s *Sink) Reopen() error {
	if s.path == "-" {
		return nil
	}
	file, err := s.open()
	if err != nil {
		return err
	}
	s.out.Lock()
	defer s.out.Unlock()
	s.flushLocked()
	old := s.file
	s.file, s.torn = file, false
	return old.Close()
}

// Close writes what still waits and closes the file. To be called when Run has returned.
func (s *Sink) Close() error {
	s.out.Lock()
	defer s.out.Unlock()
	s.flushLocked()
	if s.path == "-" {
		return s.err
	}
	return errors.Join(s.err, s.file.Close())
}

// signal leaves a mark that one receiver will find; a mark that is there already says the same.
func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

func countLines(lines []byte) uint64 { return uint64(bytes.Count(lines, []byte("\n"))) }
