package edge

import (
	"encoding/base64"
	"encoding/json"
	"strings"
	"testing"
	"time"

	"backline/grip"
)

// TestSignaturesAreRenewedBeforeTheyRunOut: for three hours, each request's Grip-Sig is valid for another three quarters
// of one, and far fewer are made than requests.
func TestSignaturesAreRenewedBeforeTheyRunOut(t *testing.T) {
	t.Parallel()
	key := grip.Key{Issuer: "backline", Secret: []byte("changeme")}
	made := 0
	s := &Server{}
	s.holds.Sign = func(now time.Time) string {
		made++
		return key.Sign(now)
	}
	var tokens signature
	begin := time.Unix(1_800_000_000, 0)
	for now := begin; now.Before(begin.Add(3 * time.Hour)); now = now.Add(7 * time.Second) {
		s.clock.Store(now.UnixNano())
		token := string(tokens.value(s))
		if !key.Verify(token, now.Add(45*time.Minute)) {
			t.Fatalf("after %s a token comes that does not last", now.Sub(begin))
		}
		payload, _ := base64.RawURLEncoding.DecodeString(strings.Split(token, ".")[1])
		var claims struct {
			Issuer  string `json:"iss"`
			Expires int64  `json:"exp"`
		}
		if err := json.Unmarshal(payload, &claims); err != nil || claims.Issuer != "backline" ||
			claims.Expires > now.Add(time.Hour).Unix() {
			t.Fatalf("%s %v", payload, err)
		}
	}
	if made > 20 {
		t.Errorf("%d tokens in three hours", made)
	}
}
