package edge

import (
	"net/http"
	"strings"
	"testing"

	"backline/channel"
	"backline/dispatch"
)

// TestLongPollsAreAskedAgain: where something has been missed, or a publication hints, the application answers the
// request once more, with what has been seen last. What cannot be asked again gets what its view gave.
func TestLongPollsAreAskedAgain(t *testing.T) {
	t.Parallel()
	news := func(id, prev string) *channel.Publication {
		return &channel.Publication{ID: id, PrevID: prev, Response: &channel.Response{Status: 200, Body: []byte("news")}}
	}
	hint := func(id, prev string) *channel.Publication {
		return &channel.Publication{ID: id, PrevID: prev, Refresh: channel.FormResponse}
	}
	for _, kind := range []string{"h1", "h2"} { // outside: a publication is of one hub
		for name, c := range map[string]struct {
			method  string
			publish []*channel.Publication
			want    string
		}{
			"nothing is missed":    {"GET", []*channel.Publication{news("8", "7")}, "200 news"},
			"something is missed":  {"GET", []*channel.Publication{news("9", "8")}, "203 again a; last-id=7, b; last-id=1"},
			"a hint":               {"GET", []*channel.Publication{hint("8", "7")}, "203 again a; last-id=8, b; last-id=1"},
			"a hint without an id": {"GET", []*channel.Publication{hint("", "")}, "203 again a; last-id=7, b; last-id=1"},
			"a POST":               {"POST", []*channel.Publication{hint("", "")}, "200 held"},
			"another form's hint": {
				"GET", []*channel.Publication{{Refresh: channel.FormStream}, {Close: channel.FormSocket}, news("", "")}, "200 news",
			},
			"a close": {"GET", []*channel.Publication{{Close: channel.FormResponse}}, "200 held"},
		} {
			t.Run(name+" "+kind, func(t *testing.T) {
				t.Parallel()
				options, hub := holding()
				b := start(t, over(kind, options), handler{answer: func(ex *dispatch.Exchange) {
					var last []string
					for _, f := range ex.Scope.Fields {
						if strings.EqualFold(string(f.Name), "Grip-Last") {
							last = append(last, string(f.Value))
						}
					}
					if last != nil {
						say(ex, 203, "again "+strings.Join(last, ", "))
						return
					}
					say(ex, 200, "held", holdFor("a; prev-id=7, b; prev-id=1")...)
				}})
				answered := make(chan string, 1)
				go func() {
					answer, body := fetch(t, b.oneOf(kind), c.method, urlOf(b, kind, "/poll"), nil)
					answered <- answer.Status[:4] + body
				}()
				b.joined(1)
				for _, p := range c.publish {
					hub.Publish("a", p)
				}
				if got := <-answered; got != c.want {
					t.Errorf("%q, expected %q", got, c.want)
				}
				b.held(0)
			})
		}
	}
}

// A channel on which more comes than is remembered has a poll's view asked again once, and then its client.
func TestALongPollIsAskedAgainOnceForWhatIsMissed(t *testing.T) {
	t.Parallel()
	options, hub := holding()
	b := start(t, options, handler{answer: func(ex *dispatch.Exchange) {
		say(ex, 200, "held", holdFor("a; prev-id=7")...)
	}})
	answered := make(chan string, 1)
	go func() {
		_, body := fetch(t, b.oneOf("h1"), http.MethodGet, urlOf(b, "h1", "/poll"), nil)
		answered <- body
	}()
	for round := 1; round <= 2; round++ {
		b.joined(round)
		hub.Publish("a", &channel.Publication{
			ID: "9", PrevID: "8", Response: &channel.Response{Status: 200, Body: []byte("wrong")},
		})
	}
	if got := <-answered; got != "held" {
		t.Errorf("%q", got)
	}
	b.held(0)
}

// TestPublishedAnswersInherit: the view's fields count where the publication has none of that name, but for those that
// are about a body which is not sent.
func TestPublishedAnswersInherit(t *testing.T) {
	t.Parallel()
	got := inherited(
		[][2]string{{"Content-Type", "a"}, {"Content-Length", "1"}, {"Set-Cookie", "x=1"}, {"Set-Cookie", "y=2"}, {"ETag", "e"}, {"X-A", "1"}},
		[][2]string{{"x-a", "2"}, {"x-a", "3"}, {"content-length", "9"}},
	)
	want := [][2]string{{"Content-Type", "a"}, {"Set-Cookie", "x=1"}, {"Set-Cookie", "y=2"}, {"x-a", "2"}, {"x-a", "3"}}
	if len(got) != len(want) {
		t.Fatalf("%v", got)
	}
	for i := range got {
		if got[i] != want[i] {
			t.Errorf("%v, expected %v", got[i], want[i])
		}
	}
}
