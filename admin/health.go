package admin

// Health is how a server is at one moment.
type Health struct {
	Live   bool   `json:"live"`
	Ready  bool   `json:"ready"`
	Reason string `json:"reason,omitempty"` // why it is not ready, or not live

	Version     string   `json:"version"`
	PID         int      `json:"pid"`
	Uptime      int      `json:"uptime"` // in seconds
	Connections int      `json:"connections"`
	Workers     Workers  `json:"workers"`
	Requests    Requests `json:"requests"`

	Pools []Pool `json:"pools,omitempty"` // where there are several
}

// Pool is how one group of workers is.
type Pool struct {
	Name     string   `json:"name"`
	Workers  Workers  `json:"workers"`
	Requests Requests `json:"requests"`
}

// Workers counts worker processes by what they do.
type Workers struct {
	Serving  int `json:"serving"`
	Starting int `json:"starting"`
	Ending   int `json:"ending"` // they finish their requests, or keep their WebSockets
}

// Requests counts requests by where they are.
type Requests struct {
	Running int `json:"running"`
	Waiting int `json:"waiting"` // for a worker
}
