// Command nethttp is HTTP/2 as net/http has it, without anything of ours: what h2spec finds in both, we cannot mend.
//
//	nethttp CERTFILE KEYFILE
//
// It prints the port that it listens on.
package main

import (
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"time"
)

func main() {
	if err := serve(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(args []string) error {
	if len(args) != 2 {
		return fmt.Errorf("expected a certificate and its key, got %d arguments", len(args))
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	_, port, err := net.SplitHostPort(l.Addr().String())
	if err != nil {
		return err
	}
	fmt.Fprintln(os.Stdout, port)
	var protocols http.Protocols
	protocols.SetHTTP2(true)
	server := http.Server{
		Protocols: &protocols, ReadHeaderTimeout: time.Minute, ErrorLog: slog.NewLogLogger(slog.DiscardHandler, 0),
		HTTP2: &http.HTTP2Config{MaxReadFrameSize: 16 << 10},
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, err := io.Copy(io.Discard, r.Body); err == nil {
				_, _ = io.WriteString(w, "hello")
			}
		}),
	}
	return server.ServeTLS(l, args[0], args[1])
}
