package edge

import (
	"net"
	"strings"
	"testing"
	"time"
)

func TestVitals(t *testing.T) {
	t.Parallel()
	b := start(t, Options{}, handler{answer: hello})
	b.dial().get("/")
	v := b.Vitals()
	l, err := Listen(t.Context(), "127.0.0.1:0", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for range 3 {
		if err := v.Check([]*Listener{l}); err != nil {
			t.Error(err)
		}
	}
	// Nobody accepts from this listener. The first look may have been before anybody could have.
	waiting, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	if err := v.Check([]*Listener{l}); err != nil {
		t.Errorf("at the first look: %v", err)
	}
	if err := v.Check([]*Listener{l}); err == nil || !strings.Contains(err.Error(), "clients wait at "+l.Name) {
		t.Errorf("at the second look: %v", err)
	}
	l.accepted.Add(1) // somebody did, another waits
	if err := v.Check([]*Listener{l}); err != nil {
		t.Errorf("one was let in: %v", err)
	}
}

func TestVitalsOfAFullServer(t *testing.T) {
	t.Parallel()
	b := start(t, Options{MaxConnections: 1}, handler{answer: hello})
	b.dial().get("/")
	v := b.Vitals()
	l, err := Listen(t.Context(), "127.0.0.1:0", 0)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	waiting, err := net.Dial("tcp", l.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer waiting.Close()
	for range 3 {
		if err := v.Check([]*Listener{l}); err != nil {
			t.Errorf("clients wait because there is no room: %v", err)
		}
	}
}

func TestVitalsOfAClockThatStands(t *testing.T) {
	t.Parallel()
	s := New(Options{}, nothing()) // which does not run
	s.clock.Store(time.Now().Add(-time.Minute).UnixNano())
	if err := s.Vitals().Check(nil); err == nil || !strings.Contains(err.Error(), "has stood still for 1m0s") {
		t.Errorf("%v", err)
	}
}
