package control

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"sync"
	"time"

	"backline"
)

// Options are what a server answers with.
type Options struct {
	Identity func() Identity
	Status   func() Status
	// Stacks and Profile ask workers, one or, for "", all; they take as long as those do, or until ctx ends.
	Stacks  func(ctx context.Context, worker string) ([]Stacks, error)
	Profile func(ctx context.Context, worker string, how Sampling) ([]Profile, error)
	// Session speaks with a process that has channels, until the connection or ctx ends. nil: there are none.
	Session func(ctx context.Context, conn net.Conn) error
	// Sessions is how many of these there may be; more get 503.
	Sessions int
	Log      *slog.Logger
}

// The bounds: people ask here, one command at a time.
const (
	atOnce   = 16 // requests; more get 503
	patience = 5 * time.Second
)

// Server answers on a control socket. Open makes it without a name, Claim gives it one, Run serves.
type Server struct {
	options  Options
	place    Place
	listener *net.UnixListener
	private  string // the folder that the socket is made in
	path     string // "" before Claim
	made     os.FileInfo
	room     chan struct{}
	sessions sync.WaitGroup
	seats    chan struct{} // one for each session
}

// Open makes the socket where nobody finds it yet: in a folder that only this user can enter, so that there is no
// moment in which somebody else could open it.
func Open(place Place, options Options) (*Server, error) {
	folder := place.folder()
	for _, path := range []string{place.candidates()[0], filepath.Join(folder, ".backline-1234567890", "s")} {
		if len(path) >= pathLimit {
			return nil, tooLong(path)
		}
	}
	if place.Path == "" {
		if err := os.MkdirAll(folder, 0o700); err != nil {
			return nil, err
		}
	}
	private, err := os.MkdirTemp(folder, ".backline-")
	if err != nil {
		return nil, err
	}
	s := &Server{options: options, place: place, private: private, room: make(chan struct{}, atOnce),
		seats: make(chan struct{}, options.Sessions)}
	s.listener, err = net.ListenUnix("unix", &net.UnixAddr{Name: s.hidden(), Net: "unix"})
	if err == nil {
		s.listener.SetUnlinkOnClose(false)
		err = os.Chmod(s.hidden(), 0o600)
	}
	if err != nil {
		s.Close()
		return nil, err
	}
	return s, nil
}

func (s *Server) hidden() string { return filepath.Join(s.private, "s") }

// Path is where commands find the server; "" before Claim.
func (s *Server) Path() string { return s.path }

// Claim gives the socket its name. What a server that has gone left there is replaced, and so is the socket of
// predecessor (a process number, 0 for none), in whose place this process serves.
func (s *Server) Claim(predecessor int) error {
	return locked(s.place.folder(), func() error {
		path, err := s.choose(predecessor)
		if err != nil {
			return err
		}
		if s.made, err = os.Lstat(s.hidden()); err != nil {
			return err
		}
		if err = os.Rename(s.hidden(), path); err != nil {
			return err
		}
		s.path = path
		return os.Remove(s.private)
	})
}

// choose finds the name: the predecessor's, else the first that no server has.
func (s *Server) choose(predecessor int) (string, error) {
	chosen := ""
	for _, path := range s.place.candidates() {
		what, err := probe(path)
		switch {
		case what == live && predecessor != 0 && pidOf(path) == predecessor:
			return path, nil
		case what == foreign && s.place.Path != "":
			return "", err
		case (what == free || what == stale) && chosen == "":
			chosen = path
		}
		if chosen != "" && predecessor == 0 || what == free {
			break
		}
	}
	if chosen != "" {
		return chosen, nil
	}
	return "", &backline.Error{
		Op: "name the control socket", Code: backline.CodeUsage,
		Message: fmt.Sprintf("another server answers on %s", s.place.candidates()[0]),
		Hint:    "give each server a --control-socket of its own, or leave it out",
	}
}

// pidOf asks a server for its process number; 0 if it does not tell.
func pidOf(path string) int {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	who, err := dial(path).Identity(ctx)
	if err != nil {
		return 0
	}
	return who.PID
}

// Run answers until ctx ends, then removes the socket, unless another process has its name by now.
func (s *Server) Run(ctx context.Context) error {
	server := &http.Server{
		Handler: s.handler(), ReadHeaderTimeout: patience, IdleTimeout: patience, MaxHeaderBytes: 8 << 10,
		ErrorLog:    slog.NewLogLogger(s.options.Log.Handler(), slog.LevelDebug),
		BaseContext: func(net.Listener) context.Context { return ctx },
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(s.listener) }()
	select {
	case err := <-ended: // nobody can ask any more, which is no reason to stop serving
		s.options.Log.Error("the control socket answers no more", "error", err)
		<-ctx.Done()
	case <-ctx.Done():
		// The handlers' contexts end with ctx, so they are on their way.
		limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		if server.Shutdown(limited) != nil {
			_ = server.Close()
		}
		if err := <-ended; !errors.Is(err, http.ErrServerClosed) {
			s.options.Log.Warn("the control socket", "error", err)
		}
	}
	s.sessions.Wait() // their contexts have ended too, and http.Server knows nothing of connections that were taken over
	s.Close()
	return nil
}

// Close gives the socket up, for a server that does not come to Run.
func (s *Server) Close() {
	if s.listener != nil {
		_ = s.listener.Close()
	}
	if s.path == "" {
		_ = os.RemoveAll(s.private)
		return
	}
	_ = locked(s.place.folder(), func() error {
		if now, err := os.Lstat(s.path); err == nil && os.SameFile(now, s.made) {
			return os.Remove(s.path)
		}
		return nil
	})
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /v1/server", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.options.Identity()) })
	mux.HandleFunc("GET /v1/status", func(w http.ResponseWriter, _ *http.Request) { answer(w, s.options.Status()) })
	mux.HandleFunc("GET /v1/stacks", func(w http.ResponseWriter, r *http.Request) {
		stacks, err := s.options.Stacks(r.Context(), r.FormValue("worker"))
		answerOr(w, stacks, err)
	})
	mux.HandleFunc("POST /v1/profile", func(w http.ResponseWriter, r *http.Request) {
		how, err := readSampling(r)
		if err != nil {
			refuse(w, http.StatusBadRequest, err)
			return
		}
		profiles, err := s.options.Profile(r.Context(), r.FormValue("worker"), how)
		answerOr(w, profiles, err)
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		refuse(w, http.StatusNotFound, &backline.Error{
			Message: fmt.Sprintf("this server (version %s) does not know %s %s",
				s.options.Identity().Version, r.Method, r.URL.Path),
			Hint: "use the backline of the server's version",
		})
	})
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == channelsPath {
			s.session(w, r) // for hours, maybe: not one of the commands
			return
		}
		select {
		case s.room <- struct{}{}:
			defer func() { <-s.room }()
			mux.ServeHTTP(w, r)
		default:
			refuse(w, http.StatusServiceUnavailable, &backline.Error{
				Message: fmt.Sprintf("%d other commands ask the server right now", atOnce), Hint: "try again later",
			})
		}
	})
}

// readSampling takes the numbers of a profile out of a request.
func readSampling(r *http.Request) (how Sampling, err error) {
	seconds, badSeconds := strconv.ParseFloat(r.FormValue("seconds"), 64)
	how.Rate, err = strconv.Atoi(r.FormValue("rate"))
	how.For = time.Duration(seconds * float64(time.Second))
	if err = errors.Join(badSeconds, err); err != nil {
		return how, err
	}
	return how, how.Check()
}

func answerOr(w http.ResponseWriter, value any, err error) {
	if err != nil {
		refuse(w, http.StatusConflict, err)
		return
	}
	answer(w, value)
}

func answer(w http.ResponseWriter, value any) { write(w, http.StatusOK, value) }

func refuse(w http.ResponseWriter, status int, err error) {
	e := backline.AsError(err)
	said := Failure{Message: e.Error(), Hint: e.Hint}
	write(w, status, said)
}

func write(w http.ResponseWriter, status int, value any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if err := json.NewEncoder(w).Encode(value); err != nil {
		return // a command that has gone needs no answer
	}
}
