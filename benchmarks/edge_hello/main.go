// Command edge_hello answers every request with "hello" in Go, by Backline's edge or by net/http, so that run.sh can
// compare the two on one core.
//
//	edge_hello edge|net/http ADDRESS
package main

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"backline"
	"backline/dispatch"
	"backline/edge"
	"backline/wire"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "edge_hello:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("expected \"edge\" or \"net/http\" and an address, got %q", args)
	}
	switch args[0] {
	case "edge":
		l, err := edge.Listen(ctx, args[1], 0)
		if err != nil {
			return err
		}
		return edge.New(edge.Options{}, hello{}).Run(ctx, time.Second, l)
	case "net/http":
		return serveNetHTTP(ctx, args[1])
	}
	return fmt.Errorf("expected \"edge\" or \"net/http\", got %q", args[0])
}

// hello answers as an application would: the same header fields on both sides.
type hello struct{}

func (hello) WSGI() bool { return false }

func (hello) Submit(ex *dispatch.Exchange) {
	fields := [...]backline.Field{{Name: []byte("Content-Type"), Value: []byte("text/plain")}}
	ex.Client.Answer(ex, &wire.Message{
		Kind: wire.KindAnswer, Status: http.StatusOK, Fields: fields[:], Data: []byte("hello"),
	})
}

func serveNetHTTP(ctx context.Context, address string) error {
	server := &http.Server{
		Addr: address, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 75 * time.Second, // as the edge's are
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = w.Write([]byte("hello"))
		}),
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	if err := server.ListenAndServe(); ctx.Err() == nil {
		return err
	}
	return nil
}
