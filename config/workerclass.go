package config

import (
	"fmt"
	"slices"
)

// workerClasses are the names of this release and the one announced; the order is that of the documentation.
func workerClasses() []string { return []string{"auto", "threads", "asyncio", "gevent"} }

// foreignClass says what a name of gunicorn's --worker-class or uvicorn's --interface means here.
func foreignClass(name string) (class string, known bool) {
	switch name {
	case "sync", "gunicorn.workers.sync.SyncWorker", "gthread", "gunicorn.workers.gthread.ThreadWorker", "wsgi":
		return "threads", true
	case "asgi", "asgi3", "uvicorn", "uvicorn.workers.UvicornWorker", "uvicorn.workers.UvicornH11Worker",
		"uvicorn_worker.UvicornWorker", "uvicorn_worker.UvicornH11Worker":
		return "asyncio", true
	case "gevent_pywsgi", "gevent_wsgi", "gunicorn.workers.ggevent.GeventWorker":
		return "gevent", true
	}
	return "", false
}

// isSync tells gunicorn's worker of one request at a time apart from gthread: applications that chose it may not be
// safe for threads, so it brings threads = 1 along (see combine.go).
func isSync(name string) bool { return name == "sync" || name == "gunicorn.workers.sync.SyncWorker" }

// checkWorkerClass turns every name into one of ours.
func checkWorkerClass(text string) (string, error) {
	switch text {
	case "eventlet":
		return "", fmt.Errorf("%q is not served here, and eventlet itself is retired: expected threads, "+
			"with --threads for the number of requests at once", text)
	case "tornado", "meinheld":
		return "", fmt.Errorf("%q is not served here: expected threads for a WSGI application or asyncio "+
			"for an ASGI one", text)
	case "asgi2":
		return "", fmt.Errorf("%q is the two-step ASGI that asgiref 3 ended: wrap the application in "+
			"asgiref.compatibility.guarantee_single_callable and use asyncio", text)
	}
	class := text
	if ours, known := foreignClass(text); known {
		class = ours
	}
	if class == "gevent" {
		return "", fmt.Errorf("%q comes with a later release: until then use threads, "+
			"with --threads for the number of requests at once", text)
	}
	if !slices.Contains(workerClasses(), class) {
		return "", fmt.Errorf("%q is not a worker class: expected auto, threads or asyncio%s", text,
			didYouMean(text, knownClasses()))
	}
	return class, nil
}

// knownClasses are all names worth proposing to somebody who mistyped one.
func knownClasses() []string {
	return append(workerClasses(), "sync", "gthread", "asgi", "uvicorn", "uvicorn.workers.UvicornWorker",
		"uvicorn_worker.UvicornWorker")
}
