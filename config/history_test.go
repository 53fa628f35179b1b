package config

import (
	"strings"
	"testing"
	"time"
)

func TestHistory(t *testing.T) {
	t.Parallel()
	h, err := ParseHistory(" chat.* = 100 / 5m ")
	if err != nil || h != (History{"chat.*", 100, 5 * time.Minute}) || h.String() != "chat.*=100/300s" {
		t.Errorf("%v, %v", h, err)
	}
	for text, want := range map[string]string{
		"chat.*":         "expected PATTERN=COUNT/AGE",
		"chat.*=100":     "expected PATTERN=COUNT/AGE",
		"=100/5m":        "expected PATTERN=COUNT/AGE",
		"[a=100/5m":      "[ without a ]",
		"a=0/5m":         "count from 1",
		"a=many/5m":      "count from 1",
		"a=1000000/5m":   "count from 1",
		"a=100/whenever": "no age",
		"a=100/0":        "no age",
	} {
		if _, err := ParseHistory(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v; want %q", text, err, want)
		}
	}
}
