// Command edge_hello answers every request with "hello" in Go, by Backline's edge or by net/http, so that run.sh can
// compare the two on one core.
//
//	edge_hello edge|net/http ADDRESS http|https
package main

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"math/big"
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
	var secure *tls.Config
	if len(args) != 3 || args[2] != "http" && args[2] != "https" {
		return fmt.Errorf("expected \"edge\" or \"net/http\", an address, and \"http\" or \"https\", got %q", args)
	}
	if args[2] == "https" {
		cert, err := selfSigned()
		if err != nil {
			return err
		}
		secure = &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS12}
	}
	switch args[0] {
	case "edge":
		l, err := edge.Listen(ctx, args[1], 0)
		if err != nil {
			return err
		}
		return edge.New(edge.Options{TLS: secure}, hello{}).Run(ctx, time.Second, l)
	case "net/http":
		return serveNetHTTP(ctx, args[1], secure)
	}
	return fmt.Errorf("expected \"edge\" or \"net/http\", got %q", args[0])
}

// selfSigned makes a certificate of the kind that authorities issue today; wrk does not look at it.
func selfSigned() (cert tls.Certificate, err error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return cert, err
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, err
}

// hello answers as an application would: the same header fields on both sides.
type hello struct{}

func (hello) WSGI() bool { return false }

func (hello) WebSockets() bool { return false }

func (hello) Submit(ex *dispatch.Exchange) {
	fields := [...]backline.Field{{Name: []byte("Content-Type"), Value: []byte("text/plain")}}
	ex.Client.Answer(ex, &wire.Message{
		Kind: wire.KindAnswer, Status: http.StatusOK, Fields: fields[:], Data: []byte("hello"),
	})
}

func serveNetHTTP(ctx context.Context, address string, secure *tls.Config) error {
	server := &http.Server{
		Addr: address, TLSConfig: secure,
		ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 75 * time.Second, // as the edge's are
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/plain")
			_, _ = w.Write([]byte("hello"))
		}),
	}
	stop := context.AfterFunc(ctx, func() { _ = server.Close() })
	defer stop()
	serve := server.ListenAndServe
	if secure != nil {
		serve = func() error { return server.ListenAndServeTLS("", "") }
	}
	if err := serve(); ctx.Err() == nil {
		return err
	}
	return nil
}
