package edge

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"backline/static"
)

func storing(memory int, file int64) *Server {
	return New(Options{BodyMemory: memory, AnswerMemory: memory, AnswerFile: file}, handler{})
}

// TestOutboxKeepsOrder adds and takes at random, through memory, file and the ring's seam, and compares every byte.
func TestOutboxKeepsOrder(t *testing.T) {
	t.Parallel()
	s := storing(100, 1000)
	data := pattern(4 * int(ringSize(s)))
	var o outbox
	var got []byte
	wrapped := false
	for in := 0; in < len(data) || !o.empty(); {
		if n := min(rand.IntN(200<<10), len(data)-in); n > 0 && o.waiting()+int64(n) <= ringSize(s) {
			if err := o.add(data[in:in+n], s); err != nil {
				t.Fatal(err)
			}
			in += n
		}
		if o.empty() {
			continue
		}
		piece, err := o.peek(s)
		if err != nil || len(piece) == 0 {
			t.Fatalf("%d bytes wait, but peek gives %d and %v", o.waiting(), len(piece), err)
		}
		n := 1 + rand.IntN(len(piece))
		got = append(got, piece[:n]...)
		o.advance(n)
		wrapped = wrapped || o.file != nil && o.size > o.ring
		if o.empty() {
			o.settle(s)
		}
	}
	if !bytes.Equal(got, data) {
		t.Errorf("%d bytes came out of %d, or not the same", len(got), len(data))
	}
	if !wrapped {
		t.Error("the ring never began again at its front")
	}
	if o.file != nil || o.memory != nil || o.buffer != nil {
		t.Error("an empty outbox keeps something")
	}
}

func TestOutboxIsFull(t *testing.T) {
	t.Parallel()
	s := storing(100, 1000)
	var o outbox
	defer o.discard()
	if err := o.add(make([]byte, 100), s); err != nil || o.file != nil {
		t.Fatalf("what fits memory: %v", err)
	}
	if err := o.add(make([]byte, ringSize(s)), s); err != nil || o.file == nil {
		t.Fatalf("what fits the file: %v", err)
	}
	if err := o.add([]byte{1}, s); err == nil {
		t.Error("one more byte was taken")
	}
	if got := o.waiting(); got != 100+ringSize(s) {
		t.Errorf("%d wait", got)
	}
}

func TestOutboxSendsAFile(t *testing.T) {
	t.Parallel()
	s := storing(100, 1000)
	data := pattern(200 << 10)
	name := filepath.Join(t.TempDir(), "f")
	if err := os.WriteFile(name, data, 0o600); err != nil {
		t.Fatal(err)
	}
	file, err := static.New(static.Options{}).Send(name, 0, -1)
	if err != nil {
		t.Fatal(err)
	}
	var o outbox
	if err := o.add([]byte("head"), s); err != nil {
		t.Fatal(err)
	}
	o.send(file, int64(len(data)))
	if o.add([]byte("x"), s) == nil {
		// Memory is still short of its limit, but what is added would overtake the file.
		t.Error("something was added behind a file that is sent as it is")
	}
	if err := os.Truncate(name, 150<<10); err != nil {
		t.Fatal(err)
	}
	var got []byte
	for !o.empty() {
		piece, err := o.peek(s)
		if err != nil {
			break
		}
		got = append(got, piece...)
		o.advance(len(piece))
	}
	if want := append([]byte("head"), data[:150<<10]...); !bytes.Equal(got, want) || o.empty() {
		t.Errorf("%d bytes of a file that became shorter, expected %d and then an error", len(got), len(want))
	}
	o.discard()
}

func TestSpool(t *testing.T) {
	t.Parallel()
	for _, memory := range []int{1, 1000, 1 << 20} {
		s := storing(memory, 1)
		data := pattern(200 << 10)
		var body spool
		for rest := data; len(rest) > 0; {
			n := min(1+rand.IntN(9000), len(rest))
			if err := body.add(rest[:n], s); err != nil {
				t.Fatal(err)
			}
			rest = rest[n:]
		}
		if onDisk := body.file != nil; onDisk != (memory < len(data)) {
			t.Errorf("memory %d: on disk: %t", memory, onDisk)
		}
		for range 2 {
			var got []byte
			for piece := make([]byte, 3000); !body.empty(); {
				n, err := body.read(piece)
				if err != nil {
					t.Fatal(err)
				}
				got = append(got, piece[:n]...)
			}
			if !bytes.Equal(got, data) {
				t.Fatalf("memory %d: not what was put in", memory)
			}
			if n, err := body.read(make([]byte, 1)); n != 0 || err != nil {
				t.Errorf("at the end: %d bytes, %v", n, err)
			}
			body.rewind()
		}
		body.discard(s)
	}
}

func TestTemporaryFilesHaveNoName(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file, err := temporaryFile(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if left, _ := os.ReadDir(dir); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if _, err := temporaryFile(filepath.Join(dir, "missing")); err == nil {
		t.Error("no error for a folder that does not exist")
	}
}
