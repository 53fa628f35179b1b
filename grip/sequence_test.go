package grip_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"backline/channel"
	"backline/grip"
)

func newSequence() *grip.Sequence {
	return &grip.Sequence{Remember: time.Minute, Wait: 5 * time.Second, Pending: 3, IDs: 1000}
}

// item is "id", "id<prev" or "id<prev!" for one out of order, of the channel a, or "b/id".
func item(text string) grip.Item {
	one := grip.Item{Channel: "a", Publication: &channel.Publication{}}
	if name, rest, found := strings.Cut(text, "/"); found {
		one.Channel, text = name, rest
	}
	text, one.Unordered = strings.CutSuffix(text, "!")
	one.Publication.ID, one.Publication.PrevID, _ = strings.Cut(text, "<")
	return one
}

func ids(items []grip.Item) string {
	var all []string
	for _, each := range items {
		all = append(all, each.Publication.ID)
	}
	return strings.Join(all, " ")
}

func TestPublicationsAreOrdered(t *testing.T) {
	t.Parallel()
	begin := time.Unix(1e9, 0)
	for _, c := range []struct{ name, said string }{
		{"in order", "0:1<0=1 0:2<1=2 0:3<2=3"},
		{"what comes again is left out", "0:1=1 0:1= 0:b/1=1 59:1= 61:1=1"},
		{"without ids everything passes", "0:= 0:="},
		{"out of order", "0:1=1 1:3<2= 2:4<3= 3:2<1=2,3,4"},
		{"what waits and comes again", "0:1=1 1:3<2= 1:3<2= 2:2<1=2,3"},
		{"channels do not wait for each other", "0:1=1 0:b/1=1 1:3<2= 1:b/2<1=2"},
		{"no-seq passes, and nothing follows it", "0:1=1 1:9<8!=9 2:2<1=2"},
		{"without prev-id it passes, and others follow it", "0:1=1 1:7=7 2:8<7=8"},
		{"too many wait", "0:1=1 1:3<2= 1:5<4= 1:7<6= 1:9<8=3"},
		{"after a minute nothing is known", "0:1=1 61:9<8=9"},
	} {
		s := newSequence()
		for step := range strings.FieldsSeq(c.said) {
			at, rest, _ := strings.Cut(step, ":")
			one, want, _ := strings.Cut(rest, "=")
			var seconds int
			_, _ = fmt.Sscan(at, &seconds)
			if got := ids(s.Take(item(one), begin.Add(time.Duration(seconds)*time.Second))); got != strings.ReplaceAll(want, ",", " ") {
				t.Errorf("%s: %s gives %q", c.name, step, got)
			}
		}
	}
}

func TestPublicationsWaitForSoLong(t *testing.T) {
	t.Parallel()
	begin, s := time.Unix(1e9, 0), newSequence()
	s.Take(item("1"), begin)
	if _, waits := s.Due(); waits {
		t.Error("nothing waits")
	}
	s.Take(item("4<3"), begin.Add(time.Second))
	s.Take(item("5<4"), begin.Add(2*time.Second))
	if due, waits := s.Due(); !waits || !due.Equal(begin.Add(6*time.Second)) {
		t.Error(due, waits)
	}
	if got := ids(s.Expire(begin.Add(5 * time.Second))); got != "" {
		t.Error(got)
	}
	if got := ids(s.Expire(begin.Add(6 * time.Second))); got != "4 5" {
		t.Error(got)
	}
	if got := ids(s.Take(item("6<5"), begin.Add(7*time.Second))); got != "6" {
		t.Error(got)
	}
}

// TestAnIDThatIsUsedForSomethingElse: it is another publication, and what follows it does.
func TestAnIDThatIsUsedForSomethingElse(t *testing.T) {
	t.Parallel()
	begin, s := time.Unix(1e9, 0), newSequence()
	for _, digest := range []uint64{1, 1, 2} {
		kick, end := item("kick-1"), item("kick-2<kick-1")
		kick.Digest, end.Digest = digest, digest
		if digest == 1 && len(s.Take(kick, begin)) == 0 {
			continue // the second time
		}
		if digest == 2 && ids(s.Take(kick, begin)) != "kick-1" || ids(s.Take(end, begin)) != "kick-2" {
			t.Error(digest)
		}
	}
	if got := ids(s.Take(item("1"), begin)) + ids(s.Take(item("1"), begin)); got != "1" {
		t.Error(got)
	}
}

// TestSequenceIsBounded: ids are forgotten, the oldest first, and then may come again.
func TestSequenceIsBounded(t *testing.T) {
	t.Parallel()
	begin, s := time.Unix(1e9, 0), newSequence()
	s.IDs = 2
	for _, each := range []string{"1", "2", "3"} {
		s.Take(item(each), begin)
	}
	if got := ids(s.Take(item("3"), begin)) + "," + ids(s.Take(item("1"), begin)); got != ",1" {
		t.Error(got)
	}
	s.Remember, s.Wait = 0, 0
	if got := ids(s.Take(item("9"), begin)) + ids(s.Take(item("9<8"), begin)); got != "99" {
		t.Error(got)
	}
}
