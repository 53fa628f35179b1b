package supervisor

import (
	"fmt"
	"time"
)

// State is how far a worker's life has come.
type State uint8

// The states, in order. A worker may leave any of them for Ended.
const (
	Starting  State = iota // the interpreter starts
	Importing              // it said hello and imports the application
	Up                     // it can be sent requests
	Draining               // it finishes its requests
	Lingering              // it keeps its WebSockets
	Stopping               // it has been told to end
	Ended                  // its process is gone
)

// String is the state's name in the status and in metrics.
func (s State) String() string {
	switch s {
	case Starting:
		return "starting"
	case Importing:
		return "importing"
	case Up:
		return "up"
	case Draining:
		return "draining"
	case Lingering:
		return "lingering"
	case Stopping:
		return "stopping"
	case Ended:
		return "ended"
	default:
		return fmt.Sprintf("state %d", uint8(s))
	}
}

// WorkerStatus describes one worker at one moment.
type WorkerStatus struct {
	Name     string
	PID      int
	State    State
	Age      time.Duration // since its process was started
	Restarts int           // how many workers had its place before, for whatever reason
	RSS      int64         // resident memory in bytes, 0 if unknown
}

// Count is how many processes are in each state. It costs next to nothing.
func (s *Supervisor) Count() map[State]int {
	count := map[State]int{}
	for _, w := range *s.workers.Load() {
		count[State(w.state.Load())]++
	}
	return count
}

// Snapshot lists the processes that have not been reaped, oldest first: those that boot and those that drain
// included. It reads the memory of each, so it is for people and scrapers, not for every request.
func (s *Supervisor) Snapshot() []WorkerStatus {
	workers := *s.workers.Load()
	all := make([]WorkerStatus, 0, len(workers))
	for _, w := range workers {
		all = append(all, WorkerStatus{
			Name: w.Name, PID: w.PID, State: State(w.state.Load()), Age: time.Since(w.started),
			Restarts: w.restarts, RSS: memory(w.PID),
		})
	}
	return all
}
