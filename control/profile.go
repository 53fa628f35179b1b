package control

import (
	"fmt"
	"time"

	"backline"
)

// Sampling is how a profile is taken.
type Sampling struct {
	For  time.Duration
	Rate int // samples a second
}

// The bounds of a profile: the worker holds it in memory until it is done.
const (
	ProfileAtMost = 10 * time.Minute
	RateAtMost    = 1000
)

// Check says what is wrong with how a profile is to be taken.
func (s Sampling) Check() error {
	switch {
	case s.For <= 0 || s.For > ProfileAtMost:
		return &backline.Error{
			Code:    backline.CodeUsage,
			Message: fmt.Sprintf("a profile of %v; expected more than 0 and at most %v", s.For, ProfileAtMost),
			Hint:    "--seconds 10 is usual",
		}
	case s.Rate < 1 || s.Rate > RateAtMost:
		return &backline.Error{
			Code:    backline.CodeUsage,
			Message: fmt.Sprintf("%d samples a second; expected 1 to %d", s.Rate, RateAtMost),
			Hint:    "--rate 100 is usual; more slow the application down",
		}
	}
	return nil
}

// Frame is a function that a sample was in.
type Frame struct {
	Name string `json:"name"`
	File string `json:"file,omitempty"`
	Line int    `json:"line,omitempty"`
}

// Profile is what a worker did while it was sampled.
type Profile struct {
	Worker  string  `json:"worker"`
	PID     int     `json:"pid"`
	Error   string  `json:"error,omitempty"` // why there is none
	Frames  []Frame `json:"frames"`
	Stacks  [][]int `json:"stacks"` // indexes of Frames, outermost first
	Threads []Lane  `json:"threads"`
	Samples int     `json:"samples"` // how often it was looked
	Cost    float64 `json:"cost"`    // seconds of processor time that looking took
	Seconds float64 `json:"seconds"`
	Note    string  `json:"note,omitempty"`
}

// Lane is what was sampled of one thread, or of all tasks or greenlets that wait.
type Lane struct {
	Name    string    `json:"name"`
	Stacks  []int     `json:"stacks"`  // indexes of Profile.Stacks
	Weights []float64 `json:"weights"` // seconds
}
