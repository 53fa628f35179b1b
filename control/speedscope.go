package control

import (
	"errors"
	"fmt"
)

// Speedscope is a file that https://www.speedscope.app opens, of sampled profiles, one for each thread:
// https://github.com/jlfwong/speedscope/wiki/Importing-from-custom-sources.
type Speedscope struct {
	Schema   string    `json:"$schema"`
	Shared   Shared    `json:"shared"`
	Profiles []Sampled `json:"profiles"`
	Name     string    `json:"name"`
	Exporter string    `json:"exporter"`
	Active   int       `json:"activeProfileIndex"` //nolint:tagliatelle // speedscope's own name
}

// Shared is what all profiles refer to.
type Shared struct {
	Frames []Frame `json:"frames"`
}

// Sampled is one profile.
type Sampled struct {
	Type    string    `json:"type"` // "sampled"
	Name    string    `json:"name"`
	Unit    string    `json:"unit"`
	Start   float64   `json:"startValue"` //nolint:tagliatelle // speedscope's own names
	End     float64   `json:"endValue"`   //nolint:tagliatelle // as above
	Samples [][]int   `json:"samples"`    // of indexes of Shared.Frames, outermost first
	Weights []float64 `json:"weights"`
}

// SpeedscopeSchema names the format.
const SpeedscopeSchema = "https://www.speedscope.app/file-format-schema.json"

// Validate finds out whether what a worker sent refers to what is there.
func (p *Profile) Validate() error {
	for _, stack := range p.Stacks {
		for _, frame := range stack {
			if frame < 0 || frame >= len(p.Frames) {
				return fmt.Errorf("a stack has the frame %d of %d", frame, len(p.Frames))
			}
		}
	}
	for _, lane := range p.Threads {
		if len(lane.Stacks) != len(lane.Weights) {
			return fmt.Errorf("%s has %d samples and %d weights", lane.Name, len(lane.Stacks), len(lane.Weights))
		}
		for _, stack := range lane.Stacks {
			if stack < 0 || stack >= len(p.Stacks) {
				return fmt.Errorf("%s has the stack %d of %d", lane.Name, stack, len(p.Stacks))
			}
		}
	}
	if len(p.Frames) == 0 {
		return errors.New("a profile without frames")
	}
	return nil
}

// ToSpeedscope puts profiles of workers into one file: a profile for each of their threads, the busiest shown first.
func ToSpeedscope(name, exporter string, all []Profile) *Speedscope {
	file := &Speedscope{Schema: SpeedscopeSchema, Name: name, Exporter: exporter, Profiles: []Sampled{}}
	known := map[Frame]int{}
	file.Shared.Frames = []Frame{}
	busiest := 0.0
	for i := range all {
		p := &all[i]
		index := make([]int, len(p.Frames))
		for n, frame := range p.Frames {
			at, found := known[frame]
			if !found {
				at = len(file.Shared.Frames)
				known[frame] = at
				file.Shared.Frames = append(file.Shared.Frames, frame)
			}
			index[n] = at
		}
		for _, lane := range p.Threads {
			sampled, busy := p.sampled(&lane, index)
			if busy > busiest {
				busiest, file.Active = busy, len(file.Profiles)
			}
			file.Profiles = append(file.Profiles, sampled)
		}
	}
	return file
}

// sampled makes one thread's profile, and says for how long it did something.
func (p *Profile) sampled(lane *Lane, index []int) (one Sampled, busy float64) {
	one = Sampled{
		Type: "sampled", Name: p.Worker + ": " + lane.Name, Unit: "seconds",
		Samples: make([][]int, len(lane.Stacks)), Weights: lane.Weights,
	}
	for n, number := range lane.Stacks {
		stack := p.Stacks[number]
		one.Samples[n] = make([]int, len(stack))
		for k, frame := range stack {
			one.Samples[n][k] = index[frame]
		}
		one.End += lane.Weights[n]
		if len(stack) > 0 && p.Frames[stack[0]].File != "" { // the frame of a thread that waits has no file
			busy += lane.Weights[n]
		}
	}
	return one, busy
}
