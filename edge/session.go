package edge

import (
	"bytes"
	"container/list"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"backline"
	"backline/dispatch"
	"backline/grip"
	"backline/h1"
)

// Sessions are the bounds of GRIP's sessions.
type Sessions struct {
	// Most is how many are known; then the one that has been quiet for longest is forgotten. Default 10,000.
	Most int
	// Life is how long one is known in which nothing happens. Default 5 minutes.
	Life time.Duration
	// Rules is how many rules are known by which requests are found to be of a session; then the oldest is forgotten.
	// Default 100.
	Rules int
}

func (o *Sessions) setDefaults() {
	setDefault(&o.Most, 10_000)
	setDefault(&o.Life, 5*time.Minute)
	setDefault(&o.Rules, 100)
}

// sessions is what each has seen last of its channels. No lock is taken under mu.
type sessions struct {
	Sessions
	channels int // of one
	body     int // how long a request may be in which one is looked for

	rules atomic.Pointer[[]rule] // never written, but replaced: every request with a body looks at them

	mu     sync.Mutex
	byID   map[string]*list.Element
	recent list.List // of *gripSession, the one that was touched last in front
}

type rule struct {
	host string
	grip.Detect
}

type gripSession struct {
	id    string
	until int64
	last  []grip.Last
}

// learn takes over what an answer to a request says of its session.
func (s *sessions) learn(scope *backline.Scope, said *grip.Session, now int64) {
	if len(said.Detects) > 0 {
		s.add(hostName(scope.Fields), said.Detects)
	}
	if said.ID == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	one := s.touch(said.ID, now, true)
	for _, l := range said.Last {
		one.saw(l, s.channels)
	}
}

// add learns rules. Those that are known already are the rule: nothing is replaced for them.
func (s *sessions) add(host string, detects []grip.Detect) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var known []rule
	if old := s.rules.Load(); old != nil {
		known = *old
	}
	fresh := slices.Clone(known)
	for _, d := range detects {
		if each := (rule{host, d}); !slices.Contains(fresh, each) {
			fresh = append(fresh, each)
		}
	}
	if len(fresh) != len(known) {
		fresh = fresh[max(0, len(fresh)-s.Rules):]
		s.rules.Store(&fresh)
	}
}

// concern tells whether a request may be found to belong to a session by its body of that length (below 0: not known),
// which must then be whole before the application gets it.
func (s *sessions) concern(scope *backline.Scope, length int64) bool {
	rules := s.rules.Load()
	if rules == nil || length <= 0 || length > int64(s.body) {
		return false
	}
	host := hostName(scope.Fields)
	return slices.ContainsFunc(*rules, func(r rule) bool { return r.is(host, scope.Path) })
}

func (r *rule) is(host string, path []byte) bool {
	return r.host == host && len(path) >= len(r.Prefix) && string(path[:len(r.Prefix)]) == r.Prefix
}

// tell adds to a request what its session has seen last.
func (s *sessions) tell(ex *dispatch.Exchange, body []byte, now int64) {
	rules := s.rules.Load()
	if rules == nil || len(body) == 0 || len(body) > s.body {
		return
	}
	host := hostName(ex.Scope.Fields)
	for _, r := range *rules {
		if !r.is(host, ex.Scope.Path) {
			continue
		}
		if id := r.Find(body); id != "" {
			for _, l := range s.last(id, now) {
				ex.Scope.Fields = appendLast(ex.Scope.Fields, l.Field())
			}
			return
		}
	}
}

// appendLast adds a Grip-Last. Names and ids may be of JSON, where anything can stand: what no field can carry is left
// out.
func appendLast(fields []backline.Field, value string) []backline.Field {
	if !backline.ValidFieldValue([]byte(value)) {
		return fields
	}
	return append(fields, backline.Field{Name: []byte("Grip-Last"), Value: []byte(value)})
}

func (s *sessions) last(id string, now int64) []grip.Last {
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.touch(id, now, false); one != nil {
		return slices.Clone(one.last)
	}
	return nil
}

// saw notes that a session has been sent a publication, if it is in one.
func (s *sessions) saw(id, group, publication string, now int64) {
	if id == "" || publication == "" {
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if one := s.touch(id, now, false); one != nil {
		one.saw(grip.Last{Channel: group, ID: publication}, s.channels)
	}
}

func (one *gripSession) saw(l grip.Last, most int) {
	one.last = slices.DeleteFunc(one.last, func(old grip.Last) bool { return old.Channel == l.Channel })
	one.last = append(one.last, l)
	one.last = one.last[max(0, len(one.last)-most):]
}

// touch gives a session and lets it live on; nil if it is not known, and not to be made. The caller holds mu.
func (s *sessions) touch(id string, now int64, create bool) *gripSession {
	for back := s.recent.Back(); back != nil && now >= sessionAt(back).until; back = s.recent.Back() {
		s.forget(back)
	}
	at := s.byID[id]
	if at == nil {
		if !create {
			return nil
		}
		if s.byID == nil {
			s.byID = map[string]*list.Element{}
		}
		at = s.recent.PushFront(&gripSession{id: id})
		if s.byID[id] = at; len(s.byID) > s.Most {
			s.forget(s.recent.Back())
		}
	}
	s.recent.MoveToFront(at)
	one := sessionAt(at)
	one.until = now + int64(s.Life)
	return one
}

func (s *sessions) forget(at *list.Element) {
	s.recent.Remove(at)
	delete(s.byID, sessionAt(at).id)
}

func sessionAt(at *list.Element) *gripSession {
	return at.Value.(*gripSession) //nolint:forcetypeassert // the list has nothing else
}

// hostName is the Host of a request, in lower case and without a port.
func hostName(fields []backline.Field) string {
	for _, f := range fields {
		if h1.Lookup(f.Name) == h1.Host {
			host := f.Value
			if colon := bytes.LastIndexByte(host, ':'); colon > bytes.LastIndexByte(host, ']') {
				host = host[:colon]
			}
			return strings.ToLower(string(host))
		}
	}
	return ""
}
