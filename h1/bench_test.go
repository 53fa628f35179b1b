package h1

import (
	"strings"
	"testing"
	"time"
)

const wrkRequest = "GET /json HTTP/1.1\r\nHost: 127.0.0.1:8000\r\nAccept: application/json\r\nConnection: keep-alive\r\n\r\n"

// browserRequest is what Chromium sends to a logged-in Django page.
var browserRequest = strings.ReplaceAll(`GET /accounts/profile/?next=%2Fdashboard%2F&tab=recent HTTP/1.1
Host: www.example.org
Connection: keep-alive
Cache-Control: max-age=0
sec-ch-ua: "Chromium";v="140", "Not=A?Brand";v="24"
sec-ch-ua-mobile: ?0
sec-ch-ua-platform: "Linux"
Upgrade-Insecure-Requests: 1
User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36
Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8
Sec-Fetch-Site: same-origin
Sec-Fetch-Mode: navigate
Referer: https://www.example.org/dashboard/
Accept-Encoding: gzip, deflate, br, zstd
Accept-Language: en-GB,en;q=0.9,de;q=0.8
Cookie: csrftoken=4Wm1yN8v0aZr6QkT2sXh7LcB9dEfGjKp; sessionid=q8r7s6t5u4v3w2x1y0z9a8b7c6d5e4f3; theme=dark

`, "\n", "\r\n")

func BenchmarkParse(b *testing.B) {
	for name, text := range map[string]string{"wrk": wrkRequest, "browser": browserRequest} {
		b.Run(name, func(b *testing.B) {
			var p Parser
			var r Request
			buf := []byte(text)
			b.ReportAllocs()
			b.SetBytes(int64(len(buf)))
			for b.Loop() {
				if n, err := p.Parse(buf, &r); n != len(buf) || err != nil {
					b.Fatal(n, err)
				}
			}
		})
	}
}

// Arriving in small pieces must cost about twice as much as arriving whole, and not its square.
func BenchmarkParseByteByByte(b *testing.B) {
	var p Parser
	var r Request
	buf := []byte(browserRequest)
	b.SetBytes(int64(len(buf)))
	for b.Loop() {
		for i := range buf {
			if _, err := p.Parse(buf[:i+1], &r); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkChunked(b *testing.B) {
	body := AppendChunk(nil, make([]byte, 16))
	body = AppendChunk(body, make([]byte, 4096))
	body = append(body, LastChunk...)
	b.ReportAllocs()
	b.SetBytes(int64(len(body)))
	for b.Loop() {
		var c Chunked
		for rest, done := body, false; !done; {
			var n int
			var err error
			if _, n, done, err = c.Next(rest); err != nil || n == 0 {
				b.Fatal(n, err)
			}
			rest = rest[n:]
		}
	}
}

func BenchmarkAnswer(b *testing.B) {
	var dates DateCache
	now := time.Now()
	buf := make([]byte, 0, 256)
	b.ReportAllocs()
	for b.Loop() {
		buf = AppendStatusLine(buf[:0], 200, nil)
		buf = AppendField(buf, "Content-Type", "text/plain")
		buf = append(buf, "Date: "...)
		buf = dates.Append(buf, now)
		buf = append(buf, "\r\n"...)
	}
}
