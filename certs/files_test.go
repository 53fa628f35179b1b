package certs_test

import (
	"bytes"
	"encoding/pem"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"backline"
	"backline/certs"
)

// TestMistakesInFiles: each has its own words, and names the setting and the file.
func TestMistakesInFiles(t *testing.T) {
	t.Parallel()
	ca := newRoot(t, "test")
	good, other := ca.issue(t, "example.com"), ca.issue(t, "example.com")
	der, _ := pem.Decode(good.cert)
	encrypted := pem.EncodeToMemory(&pem.Block{Type: "ENCRYPTED PRIVATE KEY", Bytes: []byte("secret")})
	older := pem.EncodeToMemory(&pem.Block{
		Type: "RSA PRIVATE KEY", Bytes: []byte("secret"), Headers: map[string]string{"Proc-Type": "4,ENCRYPTED"},
	})
	garbled := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: []byte("no certificate")})
	garbledKey := pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: []byte("no key")})
	for _, c := range []struct {
		name      string
		cert, key []byte // nil: no such file; for a key, an empty one that none was named
		setting   string
		message   string
	}{
		{"no certificate file", nil, good.key, "certfile", "there is no such file"},
		{"no key file", good.cert, nil, "keyfile", "there is no such file"},
		{"empty", []byte{}, good.key, "certfile", "the file is empty"},
		{"binary", der.Bytes, good.key, "certfile", "the file is binary (DER or PKCS #12): expected PEM"},
		{"prose", []byte("I am a certificate"), good.key, "certfile", "the file holds no PEM block"},
		{"wrong way round", good.key, good.cert, "certfile", "the file holds no CERTIFICATE block, only PRIVATE KEY"},
		{"key file without a key", good.cert, good.cert, "keyfile", "the file holds no private key, only CERTIFICATE"},
		{"no key at all", good.cert, []byte{}, "certfile", "the file holds no private key, and no keyfile was given"},
		{"encrypted key", good.cert, encrypted, "keyfile", "the private key is encrypted"},
		{"encrypted key, older form", good.cert, older, "keyfile", "the private key is encrypted"},
		{"encrypted key in the same file", append(slices.Clip(good.cert), encrypted...), []byte{}, "certfile", "the private key is encrypted"},
		{"key of another", good.cert, other.key, "certfile", "the private key belongs to another certificate"},
		{"issuer first", append(ca.pem(), good.cert...), good.key, "certfile", "the file begins with another certificate than the server's"},
		{"garbled certificate", garbled, good.key, "certfile", "certificate 1 of the file is broken"},
		{"garbled key", good.cert, garbledKey, "keyfile", "the private key cannot be used"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			pair := certs.Pair{Cert: filepath.Join(t.TempDir(), "cert.pem"), Key: filepath.Join(t.TempDir(), "key.pem")}
			if c.cert != nil {
				write(t, pair.Cert, c.cert)
			}
			switch {
			case c.key == nil:
			case len(c.key) == 0:
				pair.Key = ""
			default:
				write(t, pair.Key, c.key)
			}
			_, err := certs.New(certs.Options{Pairs: []certs.Pair{pair}})
			wants(t, err, c.message)
			wants(t, err, c.setting)
			if failure := backline.AsError(err); failure.Code != backline.CodeUsage {
				t.Errorf("the code is %q", failure.Code)
			}
		})
	}
}

func TestFileThatMayNotBeRead(t *testing.T) {
	t.Parallel()
	if os.Getuid() == 0 {
		t.Skip("root may read everything")
	}
	pair := newRoot(t, "test").issue(t, "example.com").pair(t, t.TempDir(), "site")
	if err := os.Chmod(pair.Key, 0); err != nil {
		t.Fatal(err)
	}
	_, err := certs.New(certs.Options{Pairs: []certs.Pair{pair}})
	wants(t, err, "this user may not read it")
}

func TestFolderInsteadOfFile(t *testing.T) {
	t.Parallel()
	_, err := certs.New(certs.Options{Pairs: []certs.Pair{{Cert: t.TempDir()}}})
	wants(t, err, "cannot be read")
}

// TestFormsOfPairs are those that tools write: both in one file, in either order, with the chain, text in between.
func TestFormsOfPairs(t *testing.T) {
	t.Parallel()
	ca := newRoot(t, "test")
	good := ca.issue(t, "example.com")
	for name, parts := range map[string][][]byte{
		"key after certificate":  {good.cert, good.key},
		"key before certificate": {good.key, good.cert},
		"with the issuer":        {good.cert, ca.pem(), good.key},
		"with text":              {[]byte("subject: example.com\n"), good.cert, []byte("\n# the key\n"), good.key},
		"with DH parameters": {
			good.cert, pem.EncodeToMemory(&pem.Block{Type: "DH PARAMETERS", Bytes: []byte("x")}), good.key,
		},
		"lines of Windows": {bytes.ReplaceAll(append(slices.Clip(good.cert), good.key...), []byte("\n"), []byte("\r\n"))},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := write(t, filepath.Join(t.TempDir(), "both.pem"), bytes.Join(parts, nil))
			if _, err := certs.New(certs.Options{Pairs: []certs.Pair{{Cert: path}}}); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestEveryMistakeIsTold: two broken pairs are one try, not two.
func TestEveryMistakeIsTold(t *testing.T) {
	t.Parallel()
	_, err := certs.New(certs.Options{Pairs: []certs.Pair{{Cert: "/nowhere/a.pem"}, {Cert: "/nowhere/b.pem"}}})
	wants(t, err, "/nowhere/a.pem")
	wants(t, err, "/nowhere/b.pem")
}
