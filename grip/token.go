package grip

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"strings"
	"time"
)

// Key is a secret that the application and the edge share.
type Key struct {
	Issuer string // the name of who signs; empty: anybody's
	Secret []byte
}

// tokenLife is how long a token may be used.
const tokenLife = time.Hour

// algorithm is the head of every one that is made here.
const algorithm = `{"alg":"HS256","typ":"JWT"}`

type claims struct {
	Issuer  string `json:"iss,omitempty"`
	Expires int64  `json:"exp"`
}

// Sign gives a token (RFC 7519, HS256).
func (k *Key) Sign(now time.Time) string {
	said, _ := json.Marshal(claims{k.Issuer, now.Add(tokenLife).Unix()}) //nolint:errchkjson // a text and a number
	signed := base64.RawURLEncoding.EncodeToString([]byte(algorithm)) + "." + base64.RawURLEncoding.EncodeToString(said)
	return signed + "." + base64.RawURLEncoding.EncodeToString(k.sum(signed))
}

func (k *Key) sum(signed string) []byte {
	mac := hmac.New(sha256.New, k.Secret)
	_, _ = mac.Write([]byte(signed))
	return mac.Sum(nil)
}

// Verify tells whether a token is this key's and may still be used.
func (k *Key) Verify(token string, now time.Time) bool {
	last := strings.LastIndexByte(token, '.')
	first := strings.IndexByte(token, '.')
	if first < 0 || first == last {
		return false
	}
	sum, err := base64.RawURLEncoding.DecodeString(token[last+1:])
	if err != nil || !hmac.Equal(sum, k.sum(token[:last])) {
		return false
	}
	var head struct {
		Algorithm string `json:"alg"`
	}
	var said claims
	if !unpack(token[:first], &head) || head.Algorithm != "HS256" || !unpack(token[first+1:last], &said) {
		return false
	}
	return said.Expires > now.Unix() && (k.Issuer == "" || said.Issuer == k.Issuer)
}

func unpack(part string, into any) bool {
	data, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(data, into) == nil
}

// Is tells whether somebody knows the key itself.
func (k *Key) Is(issuer, secret string) bool {
	return (k.Issuer == "" || k.Issuer == issuer) && hmac.Equal([]byte(secret), k.Secret)
}
