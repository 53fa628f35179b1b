package grip_test

import (
	"reflect"
	"strings"
	"testing"

	"backline/channel"
	"backline/grip"
)

func TestPassage(t *testing.T) {
	t.Parallel()
	l := &grip.Listener{
		Channels: []grip.Channel{
			{Name: "room", Filters: []string{"skip-self", "var-subst", "http-check", "http-modify", "var-subst"}},
			{Name: "plain", Filters: []string{"var-subst"}},
		},
		Meta: map[string]string{"url": "/f", "user": "a\u00e9\U0001f600\n\x7f\"<"},
	}
	if !l.Asks("room") || l.Asks("plain") || l.Asks("unknown") {
		t.Error("which channels ask")
	}
	what := &channel.Publication{Meta: map[string]string{"b": "2", "a": "1"}}
	p := l.Enter("room", []byte("100%% for %(url)s, %%(user)s"))
	q, asks, err := p.Next(l, what)
	meta := [][2]string{{"Sub-Meta", `{"url":"/f","user":"a\u00e9\ud83d\ude00\n\u007f\"\u003c"}`}, {"Pub-Meta", `{"a":"1","b":"2"}`}}
	if want := (grip.Question{URL: "/f", Fields: meta}); err != nil || !asks || !reflect.DeepEqual(q, want) {
		t.Fatalf("%+v %v", q, err)
	}
	if again, _, err := p.Next(l, what); err != nil || !reflect.DeepEqual(q, again) {
		t.Errorf("asked again: %+v %v", again, err)
	}
	if sent, err := p.Take(200, fields("Action: keep"), []byte("not this")); !sent || err != nil {
		t.Fatal(sent, err)
	}
	q, asks, err = p.Next(l, &channel.Publication{})
	meta[1][1] = "{}"
	if want := (grip.Question{URL: "/f", Fields: meta, Body: []byte("100% for /f, %(user)s"), Modify: true}); err != nil || !asks || !reflect.DeepEqual(q, want) {
		t.Fatalf("%+v %v", q, err)
	}
	if sent, err := p.Take(200, nil, []byte("%(url)s")); !sent || err != nil {
		t.Fatal(sent, err)
	}
	if _, asks, err = p.Next(l, what); asks || err != nil || string(p.Content) != "/f" {
		t.Errorf("%v %v %q", asks, err, p.Content)
	}
	if sent, err := p.Take(200, nil, nil); sent || err == nil {
		t.Error("an answer to nothing")
	}
}

func TestAnswersToFilters(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		filter string
		status int
		fields string
		sent   bool
		wrong  string
		want   string
	}{
		{"http-check", 200, "", true, "", "old"},
		{"http-check", 204, "", true, "", "old"},
		{"http-check", 200, "Action: drop", false, "", "old"},
		{"http-check", 204, "ACTION: drop", false, "", "old"},
		{"http-check", 200, "Action: Drop", true, "", "old"},
		{"http-modify", 200, "", true, "", "new"},
		{"http-modify", 204, "", true, "", "old"},
		{"http-modify", 200, "action: drop", false, "", "old"},
		{"http-modify", 201, "", false, "answered with 201", "old"},
		{"http-check", 404, "Action: drop", false, "answered with 404", "old"},
	} {
		l := &grip.Listener{Channels: []grip.Channel{{Name: "a", Filters: []string{c.filter}}}, Meta: map[string]string{"url": "/f"}}
		p := l.Enter("a", []byte("old"))
		if _, asks, err := p.Next(l, &channel.Publication{}); err != nil || !asks {
			t.Fatal(err)
		}
		all := fields()
		if c.fields != "" {
			all = fields(c.fields)
		}
		sent, err := p.Take(c.status, all, []byte("new"))
		if sent != c.sent || (err != nil) != (c.wrong != "") || err != nil && !strings.Contains(err.Error(), c.wrong) || string(p.Content) != c.want {
			t.Errorf("%+v: %v %v %q", c, sent, err, p.Content)
		}
	}
}

// TestPassagesThatEnd: for want of a URL or a value; and what publications name is not done to listeners without it.
func TestPassagesThatEnd(t *testing.T) {
	t.Parallel()
	for filter, want := range map[string]string{"http-check": "has no URL", "http-modify": "has no URL", "var-subst": "no variable"} {
		l := &grip.Listener{Channels: []grip.Channel{{Name: "a", Filters: []string{filter}}}}
		p := l.Enter("a", []byte("%(url)s"))
		if q, _, err := p.Next(l, &channel.Publication{}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v %v", filter, q, err)
		}
	}
	l := &grip.Listener{Channels: []grip.Channel{{Name: "a"}}}
	if got, err := l.Render("a", &channel.Publication{Filters: &channel.Filters{Socket: []string{"http-modify"}}}, channel.FormSocket, []byte("x")); err == nil {
		t.Errorf("delivered as %q", got)
	}
	p := l.Enter("unknown", []byte("x"))
	if q, asks, err := p.Next(l, &channel.Publication{}); asks || err != nil {
		t.Error(q, err)
	}
}
