package config

import (
	"fmt"
	"slices"
)

// workerClasses are our own names, in the order of the documentation.
func workerClasses() []string { return []string{"auto", "threads", "gevent", "asyncio"} }

// foreignClass says what a name of gunicorn's --worker-class or uvicorn's --interface means here.
func foreignClass(name string) (class string, known bool) {
	switch name {
	case "sync", "gunicorn.workers.sync.SyncWorker", "gthread", "gunicorn.workers.gthread.ThreadWorker", "wsgi":
		return "threads", true
	case "asgi", "asgi3", "uvicorn", "uvicorn.workers.UvicornWorker", "uvicorn.workers.UvicornH11Worker",
		"uvicorn_worker.UvicornWorker", "uvicorn_worker.UvicornH11Worker":
		return "asyncio", true
	case "ggevent", "gevent_pywsgi", "gevent_wsgi", "gunicorn.workers.ggevent.GeventWorker",
		"gunicorn.workers.ggevent.GeventPyWSGIWorker":
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
	case "eventlet", "gunicorn.workers.geventlet.EventletWorker":
		return "", fmt.Errorf("%q is not served here, and eventlet itself is retired: expected gevent, "+
			"which runs the same applications, or threads", text)
	case "tornado", "meinheld", "gunicorn.workers.gtornado.TornadoWorker":
		return "", fmt.Errorf("%q is not served here: expected gevent or threads for a WSGI application, asyncio "+
			"for an ASGI one", text)
	case "asgi2":
		return "", fmt.Errorf("%q is the two-step ASGI that asgiref 3 ended: wrap the application in "+
			"asgiref.compatibility.guarantee_single_callable and use asyncio", text)
	}
	class := text
	if ours, known := foreignClass(text); known {
		class = ours
	}
	if !slices.Contains(workerClasses(), class) {
		return "", fmt.Errorf("%q is not a worker class: expected auto, threads, gevent or asyncio%s", text,
			didYouMean(text, knownClasses()))
	}
	return class, nil
}

// knownClasses are all names worth proposing to somebody who mistyped one.
func knownClasses() []string {
	return append(workerClasses(), "sync", "gthread", "asgi", "uvicorn", "uvicorn.workers.UvicornWorker",
		"uvicorn_worker.UvicornWorker")
}
