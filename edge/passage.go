package edge

import (
	"backline"
	"backline/grip"
)

// passage is a publication to a channel whose filters ask about it, until they have answered. What is published behind
// it to the same listener waits, so that the order is kept. It is guarded by its listener's lock.
type passage struct {
	grip.Passage
	arrival
	next     grip.Question // to be asked
	wrong    error         // why there is nothing to be asked
	question *question     // under way
	last     []string      // what the listener had seen before

	// What noting the publication's id has changed, for when it is not delivered after all.
	before string
	live   bool

	misfit bool // a patch for another answer than the one that is held
}

// progress is how far a passage has come.
type progress uint8

const (
	progressWait    progress = iota
	progressAsk              // next is to be asked
	progressThrough          // Content is for the listener
	progressDropped          // it is not, because a filter says so
	progressFailed           // nobody can say
)

// advance goes on with what has been answered.
func (w *passage) advance(l *grip.Listener) progress {
	if w.question != nil {
		sent, over, failed := w.question.outcome(&w.Passage)
		switch {
		case !over:
			return progressWait
		case failed:
			return progressFailed
		case !sent:
			return progressDropped
		}
		w.question = nil
	}
	var asks bool
	if w.next, asks, w.wrong = w.Next(l, w.p); !asks && w.wrong == nil {
		return progressThrough
	}
	return progressAsk
}

// ask asks what is next. scope is the listener's request.
func (w *passage) ask(s *Server, scope *backline.Scope, wake func()) {
	if w.wrong != nil {
		w.question = &question{server: s, over: true, why: w.wrong.Error()}
		return
	}
	w.question = s.question(&w.next, scope, w.last, wake)
	w.next = grip.Question{}
}

// forget is for a listener that wants no outcome any more.
func (w *passage) forget() {
	if w != nil && w.question != nil {
		w.question.server.holds.filters.forget(w.question)
	}
}
