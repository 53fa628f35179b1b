package wire_test

import (
	"testing"

	"backline/wire"
)

func TestBegun(t *testing.T) {
	t.Parallel()
	const known, beyond = 7, 1 << 16
	memory := make([]byte, wire.BegunSize)
	b := wire.NewBegun(memory)
	if b.Untouched(known) {
		t.Error("a worker that has not said that it keeps marks is believed")
	}
	memory[wire.BegunSize-1] = 1 // it says so
	if !b.Untouched(known) {
		t.Error("a stream without a mark counts as begun")
	}
	memory[known] = 1
	if b.Untouched(known) {
		t.Error("a stream with a mark counts as not begun")
	}
	b.Clear(known)
	if !b.Untouched(known) {
		t.Error("Clear left the mark of the number's last request")
	}
	if !b.TakeBack(known) || memory[known] != 2 {
		t.Error("TakeBack of a stream without a mark left no mark for the worker")
	}
	if b.TakeBack(known) || b.Untouched(known) {
		t.Error("a stream that was taken back is there to be taken again")
	}
	b.Clear(beyond)
	if b.Untouched(beyond) {
		t.Error("a stream that has no byte counts as not begun")
	}
	var none *wire.Begun
	none.Clear(known)
	if none.Untouched(known) {
		t.Error("a worker without memory is believed")
	}
}
