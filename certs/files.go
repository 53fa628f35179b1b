package certs

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"backline"
)

// load reads one pair. Everything that people get wrong with these two files has an answer of its own: crypto/tls says
// no more than "failed to find any PEM data".
func (p Pair) load() (*tls.Certificate, error) {
	chain, err := readPEM("certfile", p.Cert)
	if err != nil {
		return nil, err
	}
	keys := chain
	if p.Key != "" {
		if keys, err = readPEM("keyfile", p.Key); err != nil {
			return nil, err
		}
	}
	if !chain.has("CERTIFICATE") {
		return nil, noCertificate(p, chain)
	}
	if err := keys.checkKey(p); err != nil {
		return nil, err
	}
	loaded, err := tls.X509KeyPair(chain.data, keys.data)
	if err != nil {
		return nil, noPair(p, chain, keys, err)
	}
	return &loaded, nil
}

// pemFile is a file taken apart.
type pemFile struct {
	data   []byte
	blocks []*pem.Block
}

func readPEM(setting, path string) (pemFile, error) {
	data, err := os.ReadFile(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return pemFile{}, fault(setting, path, "there is no such file", "write the path of a PEM file")
	case errors.Is(err, fs.ErrPermission):
		return pemFile{}, fault(setting, path, "this user may not read it",
			"give the user or group of the server the right to read the file and to enter its folders")
	case err != nil:
		return pemFile{}, unusable(setting, path, "the file cannot be read", err)
	}
	file := pemFile{data: data}
	for rest := data; ; {
		var block *pem.Block
		if block, rest = pem.Decode(rest); block == nil {
			break
		}
		file.blocks = append(file.blocks, block)
	}
	if len(file.blocks) == 0 {
		return pemFile{}, notPEM(setting, path, data)
	}
	return file, nil
}

// notPEM tells binary files apart from what is neither: both are common downloads.
func notPEM(setting, path string, data []byte) error {
	if len(data) == 0 {
		return fault(setting, path, "the file is empty", "")
	}
	if data[0] == 0x30 { // an ASN.1 SEQUENCE, with which DER and PKCS #12 begin
		return fault(setting, path,
			"the file is binary (DER or PKCS #12): expected PEM, text between -----BEGIN and -----END",
			"convert it: openssl x509 -inform der -in FILE -out cert.pem, or openssl pkcs12 -in FILE -nodes -out both.pem")
	}
	return fault(setting, path, "the file holds no PEM block: expected text between -----BEGIN and -----END", "")
}

func (f pemFile) has(kind string) bool { return f.first(kind) != nil }

// first gives the first block whose type ends in kind: keys are PRIVATE KEY, RSA PRIVATE KEY, EC PRIVATE KEY.
func (f pemFile) first(kind string) *pem.Block {
	for _, block := range f.blocks {
		if strings.HasSuffix(block.Type, kind) {
			return block
		}
	}
	return nil
}

// kinds names what a file holds, for messages.
func (f pemFile) kinds() string {
	kinds := make([]string, 0, len(f.blocks))
	for _, block := range f.blocks {
		kinds = append(kinds, block.Type)
	}
	return strings.Join(kinds, ", ")
}

func noCertificate(p Pair, chain pemFile) error {
	hint := ""
	if chain.has("PRIVATE KEY") && p.Key != "" {
		hint = "are certfile and keyfile the wrong way round?"
	}
	return fault("certfile", p.Cert, "the file holds no CERTIFICATE block, only "+chain.kinds(), hint)
}

// checkKey finds a missing and an encrypted key. There is nobody to ask for a passphrase when a server starts, and one
// that stands in a file beside the key protects nothing.
func (f pemFile) checkKey(p Pair) error {
	key := f.first("PRIVATE KEY")
	switch {
	case key == nil && p.Key == "":
		return fault("certfile", p.Cert, "the file holds no private key, and no keyfile was given",
			"name the file that holds it: --keyfile key.pem")
	case key == nil:
		return fault("keyfile", p.Key, "the file holds no private key, only "+f.kinds(), "")
	case key.Type == "ENCRYPTED PRIVATE KEY" || strings.Contains(key.Headers["Proc-Type"], "ENCRYPTED"):
		setting, place := p.keyPlace()
		return fault(setting, place, "the private key is encrypted, and there is nobody to ask for its passphrase",
			"write it without one, readable by the server alone: openssl pkey -in "+place+" -out key.pem")
	}
	return nil
}

// keyPlace is where a pair's key is to be mended.
func (p Pair) keyPlace() (setting, path string) {
	if p.Key == "" {
		return "certfile", p.Cert
	}
	return "keyfile", p.Key
}

// noPair says why a certificate and a key do not go together: the chain in the wrong order, or the key of another
// certificate, such as the last one before a renewal.
func noPair(p Pair, chain, keys pemFile, err error) error {
	for i, block := range chain.blocks {
		if block.Type != "CERTIFICATE" {
			continue
		}
		if _, err := x509.ParseCertificate(block.Bytes); err != nil {
			return unusable("certfile", p.Cert, fmt.Sprintf("certificate %d of the file is broken", i+1), err)
		}
		if _, err := tls.X509KeyPair(pem.EncodeToMemory(block), keys.data); err == nil {
			return fault("certfile", p.Cert, "the file begins with another certificate than the server's",
				"put the server's first, then the intermediate ones, each followed by its issuer's")
		}
	}
	if strings.Contains(err.Error(), "does not match") {
		return fault("certfile", p.Cert, "the private key belongs to another certificate",
			"compare openssl x509 -noout -pubkey -in CERT with openssl pkey -pubout -in KEY")
	}
	setting, place := p.keyPlace()
	return unusable(setting, place, "the private key cannot be used", err)
}

// fault is a mistake in a file that a setting names.
func fault(setting, path, message, hint string) error {
	return &backline.Error{Op: setting + " " + path, Code: backline.CodeUsage, Message: message, Hint: hint}
}

func unusable(setting, path, message string, err error) error {
	return &backline.Error{Op: setting + " " + path, Code: backline.CodeUsage, Message: message, Err: err}
}

// stamp tells versions of a file apart.
type stamp struct {
	path string
	info fs.FileInfo // nil where the file is missing
}

// stampOf follows links, so that one that points elsewhere is a change: certbot and Kubernetes replace links, not
// files.
func stampOf(path string) stamp {
	info, err := os.Stat(path)
	if err != nil {
		info = nil
	}
	return stamp{path, info}
}

func (s stamp) changed() bool {
	now := stampOf(s.path)
	if s.info == nil || now.info == nil {
		return s.info != now.info
	}
	same := os.SameFile(s.info, now.info) && s.info.Size() == now.info.Size()
	return !same || !s.info.ModTime().Equal(now.info.ModTime())
}

// pool reads a file of authorities' certificates.
func pool(setting, path string) (*x509.CertPool, error) {
	file, err := readPEM(setting, path)
	if err != nil {
		return nil, err
	}
	all := x509.NewCertPool()
	for i, block := range file.blocks {
		if block.Type != "CERTIFICATE" {
			continue
		}
		each, err := x509.ParseCertificate(block.Bytes)
		if err != nil {
			return nil, unusable(setting, path, fmt.Sprintf("certificate %d of the file is broken", i+1), err)
		}
		all.AddCert(each)
	}
	if !file.has("CERTIFICATE") {
		return nil, fault(setting, path, "the file holds no CERTIFICATE block, only "+file.kinds(),
			"expected the certificates of authorities, one PEM block after another")
	}
	return all, nil
}
