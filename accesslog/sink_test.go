package accesslog_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"backline"
	"backline/accesslog"
)

// patience is how long a test waits for something that ought to take milliseconds.
const patience = 20 * time.Second

// start runs a sink for path until stop is called, which closes it.
func start(t *testing.T, path string) (sink *accesslog.Sink, stop func()) {
	t.Helper()
	sink, err := accesslog.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	return sink, run(t, sink)
}

func run(t *testing.T, sink *accesslog.Sink) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- sink.Run(ctx) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := await(t, ended); err != nil {
			t.Errorf("Run: %v", err)
		}
		if err := sink.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
}

func await[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	select {
	case value := <-c:
		return value
	case <-time.After(patience):
		t.Fatal("waited too long")
		panic("unreachable")
	}
}

func put(t *testing.T, sink *accesslog.Sink, text string) {
	t.Helper()
	if n, err := sink.Write([]byte(text)); n != len(text) || err != nil {
		t.Fatalf("Write: %d, %v", n, err)
	}
}

func content(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// pipe makes a named pipe and gives the lines that arrive in it: a file whose reader decides how fast it is.
func pipe(t *testing.T) (path string, reader *os.File) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "log")
	if err := syscall.Mkfifo(path, 0o600); err != nil {
		t.Fatal(err)
	}
	// For reading and writing, so that neither end waits for the other to open.
	reader, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = reader.Close() })
	return path, reader
}

// lines gives each line of reader, until it is closed.
func lines(reader *os.File) <-chan string {
	found := make(chan string)
	go func() {
		defer close(found)
		for scanner := bufio.NewScanner(reader); scanner.Scan(); {
			found <- scanner.Text()
		}
	}()
	return found
}

func TestLinesArriveWithoutBeingAskedFor(t *testing.T) {
	t.Parallel()
	path, reader := pipe(t)
	sink, stop := start(t, path)
	defer stop()
	arrived := lines(reader)
	for _, text := range []string{"one", "two"} { // the second shows that it wakes up again
		put(t, sink, text+"\n")
		if got := await(t, arrived); got != text {
			t.Errorf("got %q, want %q", got, text)
		}
	}
}

func TestEveryLineIsWrittenOnceAndWhole(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")
	if err := os.WriteFile(path, []byte("from before\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sink, stop := start(t, path)
	const writers, each = 8, 2000
	var group sync.WaitGroup
	for writer := range writers {
		group.Go(func() {
			for i := range each {
				_, _ = fmt.Fprintf(sink, "line %d.%d %s\n", writer, i, strings.Repeat("x", 60))
			}
		})
	}
	group.Wait()
	stop()
	found := strings.Split(strings.TrimSuffix(content(t, path), "\n"), "\n")
	if found[0] != "from before" || len(found) != 1+writers*each {
		t.Fatalf("%d lines, the first %q; want %d behind what was there", len(found), found[0], writers*each)
	}
	seen := map[string]bool{}
	for _, text := range found[1:] {
		seen[text] = true
	}
	if len(seen) != writers*each || sink.Dropped() != 0 {
		t.Errorf("%d different lines, %d dropped; want %d, 0", len(seen), sink.Dropped(), writers*each)
	}
}

func TestASlowDiskCostsLinesAndNeverWaits(t *testing.T) {
	t.Parallel()
	path, reader := pipe(t) // nobody reads it yet: the first write fills it and stays there
	sink, err := accesslog.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	told := make(chan uint64, 100)
	sink.Lost = func(n uint64, err error) {
		if err != nil {
			t.Errorf("Lost: %v, want no error: nothing failed", err)
		}
		told <- n
	}
	stop := run(t, sink)
	const total = 200_000
	text := strings.Repeat("x", 99) + "\n" // 20 MB, of which 4 MiB may wait
	for range total {
		put(t, sink, text)
	}
	dropped := sink.Dropped()
	if dropped < total/2 || dropped >= total {
		t.Errorf("%d of %d lines dropped, want most, not all", dropped, total)
	}
	arrived := lines(reader)
	for range total - dropped {
		if got := await(t, arrived); got != text[:99] {
			t.Fatalf("got %q", got)
		}
	}
	if got := await(t, told); got != dropped {
		t.Errorf("Lost was told %d, want %d", got, dropped)
	}
	stop()
}

func TestReopenGoesOnInANewFile(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")
	sink, stop := start(t, path)
	put(t, sink, "old\n")
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	if err := sink.Reopen(); err != nil {
		t.Fatal(err)
	}
	put(t, sink, "new\n")
	stop()
	if old, now := content(t, path+".1"), content(t, path); old != "old\n" || now != "new\n" {
		t.Errorf("old file %q, new file %q", old, now)
	}
}

func TestReopenKeepsTheOldFileWhereANewOneCannotBe(t *testing.T) {
	t.Parallel()
	folder := filepath.Join(t.TempDir(), "logs")
	if err := os.Mkdir(folder, 0o700); err != nil {
		t.Fatal(err)
	}
	sink, stop := start(t, filepath.Join(folder, "access.log"))
	if err := os.Rename(folder, folder+".moved"); err != nil {
		t.Fatal(err)
	}
	if err := sink.Reopen(); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("Reopen: %v, want that the folder does not exist", err)
	}
	put(t, sink, "still here\n")
	stop()
	if got := content(t, filepath.Join(folder+".moved", "access.log")); got != "still here\n" {
		t.Errorf("got %q", got)
	}
}

func TestOpenSaysWhatToDo(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	for path, hint := range map[string]string{
		filepath.Join(folder, "missing", "access.log"): "mkdir -p " + filepath.Join(folder, "missing"),
		folder: "Give a file",
	} {
		_, err := accesslog.Open(path)
		found := backline.AsError(err)
		if found.Code != backline.CodeUsage || !strings.Contains(found.Hint, hint) {
			t.Errorf("%s: code %q, hint %q; want usage and %q", path, found.Code, found.Hint, hint)
		}
		if want := "open access log " + path + ": "; !strings.HasPrefix(err.Error(), want) {
			t.Errorf("got %q, want it to begin with %q", err, want)
		}
	}
}

func TestLogIsNotForTheWholeMachine(t *testing.T) {
	t.Parallel()
	path := filepath.Join(t.TempDir(), "access.log")
	_, stop := start(t, path)
	stop()
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if mode := info.Mode().Perm(); mode&0o137 != 0 {
		t.Errorf("mode %o, want at most 640", mode)
	}
}

func TestStandardOutputHasNothingToReopen(t *testing.T) {
	t.Parallel()
	sink, stop := start(t, "-")
	if err := sink.Reopen(); err != nil {
		t.Errorf("Reopen: %v", err)
	}
	stop()
	if _, err := os.Stdout.Stat(); err != nil {
		t.Errorf("standard output was closed: %v", err)
	}
}

// A device without space is the one full disk that a test can have.
func TestAFullDiskCountsItsLines(t *testing.T) {
	t.Parallel()
	sink, err := accesslog.Open("/dev/full")
	if errors.Is(err, fs.ErrNotExist) {
		t.Skip("this system has no /dev/full")
	}
	if err != nil {
		t.Fatal(err)
	}
	type report struct {
		lines uint64
		err   error
	}
	reports := make(chan report, 10)
	sink.Lost = func(lines uint64, err error) { reports <- report{lines, err} }
	put(t, sink, "one\ntwo\n")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- sink.Run(ctx) }()
	if got := await(t, reports); got.lines != 2 || !errors.Is(got.err, syscall.ENOSPC) {
		t.Errorf("Lost was told %d, %v; want 2, no space", got.lines, got.err)
	}
	cancel()
	if err := await(t, ended); err != nil {
		t.Errorf("Run: %v: a full disk does not end it", err)
	}
	if err := sink.Close(); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("Close: %v, want no space", err)
	}
}

// A line that the disk cut in two is ended before the next one begins.
func TestACutLineSpoilsOnlyItself(t *testing.T) {
	t.Parallel()
	path, reader := pipe(t)
	sink, err := accesslog.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	accesslog.SetTorn(sink)
	stop := run(t, sink)
	arrived := lines(reader)
	put(t, sink, "whole\n")
	if cut, whole := await(t, arrived), await(t, arrived); cut != "" || whole != "whole" {
		t.Errorf("got %q and %q, want the cut line's end and the whole line", cut, whole)
	}
	stop()
}
