package config

import (
	"strings"
	"testing"
)

func TestWorkerClassNames(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"auto": "auto", "threads": "threads", "asyncio": "asyncio", "sync": "threads", "gthread": "threads", "wsgi": "threads",
		"asgi": "asyncio", "asgi3": "asyncio", "uvicorn": "asyncio", "uvicorn.workers.UvicornWorker": "asyncio",
		"gevent": "gevent", "ggevent": "gevent", "gevent_pywsgi": "gevent", "gunicorn.workers.ggevent.GeventWorker": "gevent",
		"uvicorn.workers.UvicornH11Worker": "asyncio", "uvicorn_worker.UvicornWorker": "asyncio",
	} {
		if got, err := checkWorkerClass(text); err != nil || got != want {
			t.Errorf("checkWorkerClass(%q) = %q, %v, want %q", text, got, err, want)
		}
	}
	for text, want := range map[string]string{
		"eventlet":                      "expected gevent",
		"tornado":                       "expected gevent or threads for a WSGI application, asyncio",
		"meinheld":                      "expected gevent or threads for a WSGI application, asyncio",
		"asgi2":                         "asgiref",
		"gthraed":                       "did you mean gthread?",
		"uvicorn.worker.UvicornWorker":  "did you mean uvicorn.workers.UvicornWorker?",
		"mysite.workers.SpecialWorker1": "expected auto, threads, gevent or asyncio",
		"":                              "expected auto",
	} {
		if got, err := checkWorkerClass(text); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("checkWorkerClass(%q) = %q, %v, want an error with %q", text, got, err, want)
		}
	}
}

func TestEditDistance(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		a, b string
		want int
	}{
		{"", "", 0}, {"", "abc", 3}, {"abc", "", 3}, {"workers", "workers", 0}, {"worker", "workers", 1}, {"wrokers", "workers", 1},
		{"timeout", "time_out", 1}, {"kitten", "sitting", 3}, {"ca", "abc", 3},
	} {
		if got := editDistance(c.a, c.b); got != c.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d", c.a, c.b, got, c.want)
		}
		if got := editDistance(c.b, c.a); got != c.want {
			t.Errorf("editDistance(%q, %q) = %d, want %d as the other way round", c.b, c.a, got, c.want)
		}
	}
}

func TestNearestProposesOnlyWhatIsNear(t *testing.T) {
	t.Parallel()
	names := []string{"workers", "threads", "timeout", "graceful_timeout"}
	for word, want := range map[string]string{
		"worker": "workers", "THREADS": "threads", "tiemout": "timeout", "graceful_time": "graceful_timeout",
		"zebra": "", "": "", "x": "", strings.Repeat("workers", 100): "",
	} {
		if got := nearest(word, names); got != want {
			t.Errorf("nearest(%q) = %q, want %q", word, got, want)
		}
	}
}
