package wire

// Begun is memory that the server shares with one worker, its descriptor 5: a byte for each of the first 65536 stream
// numbers, which the worker sets to 1 before it calls the application with that stream's request, and one more, which
// it sets to 1 when it comes up to say that it does so.
//
// What is in it outlives kill -9. So a request that had been sent to a worker that died, but had not reached the
// application, can go to another worker whatever its method. A message instead of a byte would cost a system call for
// every request, before the application may begin.
//
// A nil *Begun stands for a worker without such memory.
type Begun struct{ memory []byte }

// BegunSize is the length of the memory.
const BegunSize = begunStreams + 1

const begunStreams = 1 << 16

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
