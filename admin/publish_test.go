package admin_test

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"backline/admin"
	"backline/edge"
	"backline/grip"
)

const maxPublish = 1 << 20

// publishTo runs a server that takes publications, and gives its address and what it took.
func publishTo(t *testing.T, keys ...grip.Key) (url string, took chan string) {
	t.Helper()
	took = make(chan string, 1)
	listener, err := edge.Listen(t.Context(), "127.0.0.1:0", 0o600)
	if err != nil {
		t.Fatal(err)
	}
	options := edge.Options{MaxBody: maxPublish, WholeBody: maxPublish, BodyMemory: maxPublish}
	publishing := &admin.Publishing{Keys: keys, Publish: func(items []byte) error {
		if len(items) == 0 {
			return errors.New("nothing to publish")
		}
		took <- string(items)
		return nil
	}, Recover: func() { took <- "recover" }}
	server := edge.New(options, admin.New(nil, nil, publishing))
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, time.Second, listener) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return listener.Name + "/publish/", took
}

func post(t *testing.T, url, body, authorization string) (status int, said string) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	request.Header.Set("Authorization", authorization)
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	answer, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, _ := io.ReadAll(answer.Body)
	return answer.StatusCode, string(text)
}

func TestPublish(t *testing.T) {
	t.Parallel()
	url, took := publishTo(t)
	long := strings.Repeat("x", maxPublish)
	for _, body := range []string{"{}", long} {
		if status, said := post(t, url, body, ""); status != 200 || said != "Published\n" {
			t.Fatalf("%d bytes: %d %q", len(body), status, said)
		}
		if got := <-took; got != body {
			t.Errorf("%d bytes are taken of %d", len(got), len(body))
		}
	}
	if status, _ := post(t, url, long+"x", ""); status != 413 {
		t.Errorf("one that is too long: %d", status)
	}
	if status, said := post(t, url, "", ""); status != 400 || said != "nothing to publish\n" {
		t.Errorf("one that is wrong: %d %q", status, said)
	}
	if status, fields, _ := ask(t, http.MethodGet, url, nil); status != 405 || fields.Get("Allow") != "POST" {
		t.Errorf("GET: %d %v", status, fields)
	}
}

func TestPublishWithKeys(t *testing.T) {
	t.Parallel()
	first, second := grip.Key{Issuer: "a", Secret: []byte("one")}, grip.Key{Issuer: "b", Secret: []byte("two")}
	stranger := grip.Key{Issuer: "a", Secret: []byte("two")}
	url, took := publishTo(t, first, second)
	basic := func(pair string) string { return "Basic " + base64.StdEncoding.EncodeToString([]byte(pair)) }
	now := time.Now()
	for authorization, status := range map[string]int{
		"Bearer " + first.Sign(now): 200, "bearer " + second.Sign(now): 200, basic("b:two"): 200,
		"": 401, "Bearer ": 401, "Bearer " + stranger.Sign(now): 401, "Bearer " + first.Sign(now.Add(-2*time.Hour)): 401,
		basic("a:two"): 401, basic("a"): 401, "Basic ?": 401, "Digest x": 401,
	} {
		if got, said := post(t, url, "{}", authorization); got != status {
			t.Errorf("%q: %d %q, expected %d", authorization, got, said, status)
		} else if got == 200 {
			<-took
		}
	}
}

// TestRecover: for whoever may publish, and nobody else.
func TestRecover(t *testing.T) {
	t.Parallel()
	url, took := publishTo(t, grip.Key{Issuer: "me", Secret: []byte("secret")})
	url = strings.TrimSuffix(url, "/publish/") + "/recover/"
	if status, _ := post(t, url, "", "Bearer x"); status != 401 || len(took) != 0 {
		t.Error(status)
	}
	if status, said := post(t, url, "", "Basic "+base64.StdEncoding.EncodeToString([]byte("me:secret"))); status != 200 || said != "Updated\n" || <-took != "recover" {
		t.Error(status, said)
	}
}
