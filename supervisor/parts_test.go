package supervisor

import (
	"bytes"
	"io"
	"slices"
	"strings"
	"syscall"
	"testing"
	"testing/iotest"
	"time"
)

func (b *bundle) kill(t *testing.T, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

func TestRespawn(t *testing.T) {
	t.Parallel()
	const ms = time.Millisecond
	limits := Backoff{Min: 100 * ms, Max: 700 * ms, Stable: time.Second}
	tests := map[string]struct{ uptimes, want []time.Duration }{
		"never up":          {[]time.Duration{0, 0, 0, 0, 0, 0}, []time.Duration{0, 100 * ms, 200 * ms, 400 * ms, 700 * ms, 700 * ms}},
		"always stable":     {[]time.Duration{time.Hour, time.Second, time.Minute}, []time.Duration{0, 0, 0}},
		"stable in between": {[]time.Duration{0, 999 * ms, time.Second, 0, 0}, []time.Duration{0, 100 * ms, 0, 100 * ms, 200 * ms}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := respawn{limits: limits}
			for i, uptime := range test.uptimes {
				if got := r.after(uptime); got != test.want[i] {
					t.Errorf("pause %d after %v up: %v; expected %v", i+1, uptime, got, test.want[i])
				}
			}
		})
	}
}

func TestOutputLines(t *testing.T) {
	t.Parallel()
	long := strings.Repeat("x", maxLine)
	tests := map[string]struct {
		text string
		want []string
	}{
		"nothing":             {"", nil},
		"lines":               {"one\ntwo\n", []string{"one", "two"}},
		"carriage returns":    {"one\r\n\r\ntwo\n", []string{"one", "", "two"}},
		"no newline at last":  {"one\ntwo", []string{"one", "two"}},
		"longer than allowed": {long + "yy\nz\n", []string{long, "yy", "z"}},
	}
	for name, test := range tests {
		for way, reader := range map[string]func(io.Reader) io.Reader{
			"whole":        func(r io.Reader) io.Reader { return r },
			"byte by byte": iotest.OneByteReader,
		} {
			t.Run(name+" "+way, func(t *testing.T) {
				t.Parallel()
				var got []string
				o := newOutput("web.1", func(worker, stream string, line []byte) {
					if worker != "web.1" || stream != "stderr" {
						t.Errorf("line of %s %s; expected web.1 stderr", worker, stream)
					}
					got = append(got, string(line))
				})
				o.read("stderr", reader(strings.NewReader(test.text)))
				if !slices.Equal(got, test.want) {
					t.Errorf("lines %.100q; expected %.100q", got, test.want)
				}
			})
		}
	}
}

func TestOutputRemembersTheLastLines(t *testing.T) {
	t.Parallel()
	o := newOutput("web.1", func(string, string, []byte) {})
	o.read("stdout", strings.NewReader(strings.Repeat("early\n", 3*tailLines)+"last"))
	if got := strings.Split(o.lastLines(), "\n"); len(got) != tailLines || got[tailLines-1] != "last" {
		t.Errorf("%d lines, the last %q; expected %d, the last of them what was printed last", len(got), got[len(got)-1], tailLines)
	}
	o.read("stdout", bytes.NewReader(bytes.Repeat([]byte("x"), 10*tailBytes)))
	if got := len(o.lastLines()); got > tailBytes+tailLines {
		t.Errorf("%d bytes are remembered; expected at most %d", got, tailBytes)
	}
}

func TestPrintedLinesCarryTheWorkersName(t *testing.T) {
	t.Parallel()
	b := setup(t, "fine", nil)
	b.observer.wait(t, "up web.1|up web.2")
	b.observer.tell(t, "web.1", "print hello there")
	b.observer.tell(t, "web.2", "print-error oh no")
	b.logs.wait(t, 1, "INFO hello there", "worker=web.1", "stream=stdout")
	b.observer.tell(t, "web.2", "exit 1") // its last line has no newline
	b.logs.wait(t, 1, "INFO oh no", "worker=web.2", "stream=stderr")
}

func TestNamesOfReasonsAndStates(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for r := Reason(0); r <= Shutdown; r++ {
		seen[r.String()] = true
	}
	for s := Starting; s <= Ended; s++ {
		seen[s.String()] = true
	}
	if want := int(Shutdown) + 1 + int(Ended) + 1; len(seen) != want {
		t.Errorf("%d names %v; expected %d different ones", len(seen), seen, want)
	}
	for name := range seen {
		if strings.ContainsAny(name, " 0123456789") {
			t.Errorf("name %q; expected a word", name)
		}
	}
}
