package control

// Identity says which server answers.
type Identity struct {
	PID       int      `json:"pid"`
	Version   string   `json:"version"`
	App       string   `json:"app"`
	Folder    string   `json:"folder"` // the application's
	Addresses []string `json:"addresses"`
	Uptime    float64  `json:"uptime"` // seconds, as all times here
	Stage     string   `json:"stage"`  // "starting", "working", "upgraded", "stopping"
}

// Status is what a server does at one moment.
type Status struct {
	Identity
	Pools   []Pool  `json:"pools"`
	Sockets Sockets `json:"sockets"`
}

// Sockets are the WebSockets that the server itself holds: their applications are called with events.
type Sockets struct {
	Held    int        `json:"held"`
	Waiting int        `json:"waiting"` // events behind one that is being dealt with
	Lost    uint64     `json:"lost"`    // messages that went with a worker
	Dropped []Overflow `json:"dropped,omitempty"`
}

// Overflow is how many messages the members of a group missed for want of room.
type Overflow struct {
	Group string `json:"group"` // empty for all after the first hundred
	Count uint64 `json:"count"`
}

// Pool is the workers of one application, and the requests that wait for one of them.
type Pool struct {
	Name     string   `json:"name"`
	Channels []string `json:"channels,omitempty"` // that it works off; then it has no requests
	Workers  []Worker `json:"workers"`
	Waiting  Waiting  `json:"waiting"`
}

// Worker is one process.
type Worker struct {
	Name        string  `json:"name"`
	PID         int     `json:"pid"`
	State       string  `json:"state"`
	Uptime      float64 `json:"uptime"`
	Memory      int64   `json:"memory"` // resident bytes, 0 if unknown
	Restarts    int     `json:"restarts"`
	Interface   string  `json:"interface"` // empty until it is up, as the following
	Loop        string  `json:"loop"`
	Concurrency int     `json:"concurrency"`
	Served      uint64  `json:"served"`
	InFlight    int     `json:"in_flight"`
	Sockets     int     `json:"sockets"`
	Stalls      Stalls  `json:"stalls"`

	Requests []Request `json:"requests"` // the oldest of those in flight and of the WebSockets
}

// Stalls counts episodes in which a worker could not go on with what waited for it.
type Stalls struct {
	Loop uint64 `json:"loop"` // its event loop did not turn
	Busy uint64 `json:"busy"` // every thread was busy while requests waited
}

// Request is one that a worker holds, or that waits.
type Request struct {
	Method string  `json:"method"`
	Target string  `json:"target"`
	State  string  `json:"state"` // "running", "answering", "websocket", "ending" or "waiting"
	Age    float64 `json:"age"`
	Stream uint32  `json:"stream"`
}

// Waiting is a pool's queue.
type Waiting struct {
	Count    int       `json:"count"`
	Oldest   float64   `json:"oldest"` // seconds that the oldest has waited
	Requests []Request `json:"requests"`
}

// Failure is what is said instead of an answer.
type Failure struct {
	Message string `json:"message"`
	Hint    string `json:"hint"`
}
