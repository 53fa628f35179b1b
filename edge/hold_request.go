package edge

import (
	"slices"
	"sync"
	"time"

	"backline"
	"backline/dispatch"
	"backline/grip"
)

// mark prepares a request for an application that may hold its answer: it notes up to where it can have seen what was
// published, takes out what a client says in our place, and says that it came through us, where that is wanted.
func (s *Server) mark(ex *dispatch.Exchange, a *outgoing) {
	h := &s.holds
	if h.Hub == nil {
		return
	}
	a.cursor = h.Hub.Sequence()
	if h.used.Load() {
		ex.Scope.Cursor = a.cursor
	}
	fields := ex.Scope.Fields
	for i := range fields {
		if fields[i].Name[0]|0x20 == 'g' && grip.Reserved(fields[i].Name) {
			ex.Scope.Fields = slices.DeleteFunc(fields, func(f backline.Field) bool { return grip.Reserved(f.Name) })
			break
		}
	}
	if h.Sign != nil {
		ex.Scope.Fields = append(ex.Scope.Fields, backline.Field{Name: []byte("Grip-Sig"), Value: h.token.value(s)},
			backline.Field{Name: []byte("Grip-Feature"), Value: []byte(grip.Features)})
	}
}

// signature is the token that requests carry. To sign each would cost more than to parse it.
type signature struct {
	mu    sync.Mutex
	text  []byte
	until int64
}

// signatureLife is how long one is used: a small part of how long it is valid.
const signatureLife = 10 * time.Minute

func (t *signature) value(s *Server) []byte {
	now := s.clock.Load()
	t.mu.Lock()
	defer t.mu.Unlock()
	if now >= t.until {
		t.text, t.until = []byte(s.holds.Sign(time.Unix(0, now))), now+int64(signatureLife)
	}
	return t.text
}
