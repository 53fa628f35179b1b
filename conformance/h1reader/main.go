// Command h1reader says how package h1 reads what a client sends; test_differential.py compares that with others.
//
// On standard input each stream is its length, as four bytes, and itself. On standard output it is a line of JSON.
package main

import (
	"bufio"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"backline/h1"
)

// verdict is what was read of a stream.
type verdict struct {
	Requests []request `json:"requests"` // those that are whole
	Mistake  string    `json:"mistake"`  // what ended it; "" where it is only incomplete, or at its end
}

type request struct {
	Method  string `json:"method"`
	Target  string `json:"target"`
	Minor   int    `json:"minor"`
	Chunked bool   `json:"chunked"`
	Close   bool   `json:"close"` // the connection ends with it
	Body    []byte `json:"body"`
	End     int    `json:"end"` // where the next one begins
}

func main() {
	if err := run(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "h1reader:", err)
		os.Exit(1)
	}
}

func run(from io.Reader, to io.Writer) error {
	in, out := bufio.NewReader(from), bufio.NewWriter(to)
	encoder := json.NewEncoder(out)
	for {
		var length uint32
		if err := binary.Read(in, binary.BigEndian, &length); errors.Is(err, io.EOF) {
			return out.Flush()
		} else if err != nil {
			return fmt.Errorf("reading a length: %w", err)
		}
		stream := make([]byte, length)
		if _, err := io.ReadFull(in, stream); err != nil {
			return fmt.Errorf("reading a stream of %d bytes: %w", length, err)
		}
		if err := encoder.Encode(read(stream)); err != nil {
			return err
		}
	}
}

// read takes requests one after another, as a connection does.
func read(stream []byte) verdict {
	v := verdict{Requests: []request{}}
	var p h1.Parser
	var r h1.Request
	for at := 0; ; {
		n, err := p.Parse(stream[at:], &r)
		if n == 0 {
			v.Mistake = text(err)
			return v
		}
		content, size, whole, err := body(stream[at+n:], &r)
		if !whole {
			v.Mistake = text(err)
			return v
		}
		at += n + size
		v.Requests = append(v.Requests, request{
			Method: string(r.Method), Target: string(r.Target), Minor: r.Minor,
			Chunked: r.Chunked, Close: !r.KeepAlive, Body: content, End: at,
		})
		if !r.KeepAlive {
			return v
		}
	}
}

// body gives a request's body and how many bytes of the stream it takes; whole is false if it has a mistake or no end.
func body(stream []byte, r *h1.Request) (content []byte, size int, whole bool, err error) {
	if !r.Chunked {
		length := max(r.ContentLength, 0)
		if length > int64(len(stream)) {
			return nil, 0, false, nil
		}
		return stream[:length], int(length), true, nil
	}
	var c h1.Chunked
	for {
		piece, n, done, err := c.Next(stream[size:])
		content, size = append(content, piece...), size+n
		if err != nil || done || n == 0 {
			return content, size, done, err
		}
	}
}

func text(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}
