package control

// Stacks is what runs in one worker.
type Stacks struct {
	Worker string  `json:"worker"`
	PID    int     `json:"pid"`
	Error  string  `json:"error,omitempty"` // why there are none
	Stacks []Stack `json:"stacks"`
	More   int     `json:"more,omitempty"` // how many others were left out
}

// Stack is one, of as many threads, tasks or greenlets as have the same.
type Stack struct {
	Kind     string    `json:"kind"` // "thread", "task" or "greenlet"
	Count    int       `json:"count"`
	Names    []string  `json:"names"`          // of the first of them
	Note     string    `json:"note,omitempty"` // such as "runs on the event loop"
	Requests []Request `json:"requests,omitempty"`
	Streams  []uint32  `json:"streams,omitempty"` // of the requests, before the server has looked them up
	Text     string    `json:"text"`              // as a traceback has it, innermost last
}
