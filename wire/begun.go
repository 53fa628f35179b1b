package wire

// Begun is memory that the server shares with one worker, its descriptor 5: a byte for each of the first 65536 stream
// numbers, which the worker sets to 1 before it calls the application with that stream's request, and one more, which
// it sets to 1 when it comes up to say that it does so.
//
// What is in it outlives kill -9. So a request that had been sent to a worker that died, but had not reached the
// application, can go to another worker whatever its method. A message instead of a byte would cost a system call for
// every request, before the application may begin.
//
// The server writes too: 0 before it sends a number with a new request, and 2 when it has taken a request back from a
// worker that does not answer. A worker that finds 2 there skips the request.
//
// A nil *Begun stands for a worker without such memory.
type Begun struct{ memory []byte }

// BegunSize is the length of the memory.
const BegunSize = begunStreams + 1

const begunStreams = 1 << 16

// takenBack is the mark of a request that went to another worker.
const takenBack = 2

// NewBegun takes memory of BegunSize bytes.
func NewBegun(memory []byte) *Begun { return &Begun{memory[:BegunSize]} }

// Clear is called before the stream's number is sent with a new request.
func (b *Begun) Clear(stream uint32) {
	if b != nil && stream < begunStreams {
		b.memory[stream] = 0
	}
}

// Untouched tells whether the application has certainly not been called with the stream's request. It is only to be
// relied on after the worker's death.
func (b *Begun) Untouched(stream uint32) bool {
	return b != nil && stream < begunStreams && b.memory[begunStreams] == 1 && b.memory[stream] == 0
}

// TakeBack marks the stream's request for the worker to skip, and tells whether that can work because it has not begun.
// It may be beginning at this very moment: only what may run twice is to be taken back from a living worker.
func (b *Begun) TakeBack(stream uint32) bool {
	if !b.Untouched(stream) {
		return false
	}
	b.memory[stream] = takenBack
	return true
}
