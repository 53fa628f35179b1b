package certs

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"backline"
)

const (
	// authorityLasts is how long a browser that was told to trust the authority needs not be told again.
	authorityLasts = 10 * 365 * 24 * time.Hour
	// leafLasts is below 398 days, from where on browsers refuse certificates.
	leafLasts = 397 * 24 * time.Hour
	// leafAtLeast is how long a certificate that is used again must still be good for: longer than anybody leaves a
	// development server running.
	leafAtLeast = 30 * 24 * time.Hour
)

// Local is what is served with in development.
type Local struct {
	Pair      Pair
	Authority string   // the file that clients have to trust
	Names     []string // what the certificate is for
	New       bool     // the authority was made just now: nobody trusts it yet
}

// Develop gives a certificate for localhost, 127.0.0.1, ::1 and the machine's own name, and makes it, and the authority
// that it is from, where folder has none that will do. The authority may speak for these names alone, so that its key,
// which lies on the disk, is worth nothing to anybody else. Two servers may do this at the same time.
func Develop(folder, machine string) (Local, error) {
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return Local{}, developError(err)
	}
	names := localNames(machine)
	root, made, err := openRoot(folder, names)
	if err != nil {
		return Local{}, developError(err)
	}
	local := Local{
		Pair:  Pair{Cert: filepath.Join(folder, "localhost.pem")},
		Names: names, Authority: filepath.Join(folder, "authority.pem"), New: made,
	}
	if err := replace(local.Authority, encode(root.Certificate[0], nil), 0o644); err != nil {
		return Local{}, developError(err)
	}
	if usable(local.Pair, root.Leaf, names, leafAtLeast) {
		return local, nil
	}
	leaf, err := issue(leafTemplate(names), root)
	if err == nil {
		err = replace(local.Pair.Cert, leaf, 0o600)
	}
	if err != nil {
		return Local{}, developError(err)
	}
	return local, nil
}

func developError(err error) error {
	return &backline.Error{
		Op: "make a development certificate", Code: backline.CodeUsage, Err: err,
		Hint: "let this user write to the state folder, or name another: --state-dir FOLDER",
	}
}

// localNames leaves out a machine's name that no certificate can hold.
func localNames(machine string) []string {
	names := []string{"localhost", "127.0.0.1", "::1"}
	name := canonical(machine)
	strange := func(r rune) bool { return !strings.ContainsRune("abcdefghijklmnopqrstuvwxyz0123456789-.", r) }
	if name != "" && name != "localhost" && !strings.ContainsFunc(name, strange) && net.ParseIP(name) == nil {
		names = append(names, name)
	}
	return names
}

// openRoot gives the authority, and whether it had to be made. Of two that are made at once, the one whose file is
// there first is everybody's.
func openRoot(folder string, names []string) (*tls.Certificate, bool, error) {
	pair := Pair{Cert: filepath.Join(folder, "authority-key.pem")}
	if usableRoot(pair, names) {
		root, err := pair.load()
		return root, false, err
	}
	made, err := issue(rootTemplate(names), nil)
	if err != nil {
		return nil, false, err
	}
	if _, err := os.Stat(pair.Cert); err == nil {
		// Too old, or for another machine's name: with it goes what clients were told to trust.
		if err := replace(pair.Cert, made, 0o600); err != nil {
			return nil, false, err
		}
	} else if err := create(pair.Cert, made); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, false, err
	}
	root, err := pair.load()
	return root, true, err
}

func usableRoot(pair Pair, names []string) bool {
	root, err := pair.load()
	if err != nil || time.Until(root.Leaf.NotAfter) < leafLasts {
		return false
	}
	hosts, _ := split(names)
	return !slices.ContainsFunc(hosts, func(name string) bool {
		return !slices.Contains(root.Leaf.PermittedDNSDomains, name)
	})
}

// usable tells whether the certificate on disk is the authority's, for all names, and lasts.
func usable(pair Pair, root *x509.Certificate, names []string, atLeast time.Duration) bool {
	cert, err := pair.load()
	if err != nil || time.Until(cert.Leaf.NotAfter) < atLeast || cert.Leaf.CheckSignatureFrom(root) != nil {
		return false
	}
	return !slices.ContainsFunc(names, func(name string) bool { return cert.Leaf.VerifyHostname(name) != nil })
}

// split sorts names into hosts and addresses.
func split(names []string) (hosts []string, addresses []net.IP) {
	for _, name := range names {
		if ip := net.ParseIP(name); ip != nil {
			addresses = append(addresses, ip)
		} else {
			hosts = append(hosts, name)
		}
	}
	return hosts, addresses
}

func rootTemplate(names []string) *x509.Certificate {
	hosts, addresses := split(names)
	template := &x509.Certificate{
		Subject:  pkix.Name{CommonName: "Backline development on " + hosts[len(hosts)-1], Organization: []string{"Backline"}},
		NotAfter: time.Now().Add(authorityLasts), IsCA: true, MaxPathLenZero: true,
		KeyUsage: x509.KeyUsageCertSign, PermittedDNSDomainsCritical: true, PermittedDNSDomains: hosts,
	}
	for _, ip := range addresses {
		if four := ip.To4(); four != nil {
			ip = four
		}
		bits := 8 * len(ip)
		template.PermittedIPRanges = append(template.PermittedIPRanges, &net.IPNet{IP: ip, Mask: net.CIDRMask(bits, bits)})
	}
	return template
}

func leafTemplate(names []string) *x509.Certificate {
	hosts, addresses := split(names)
	return &x509.Certificate{
		Subject:  pkix.Name{CommonName: "localhost", Organization: []string{"Backline development"}},
		NotAfter: time.Now().Add(leafLasts), DNSNames: hosts, IPAddresses: addresses,
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
}

// issue makes a key and a certificate for it, signed by parent, or by itself where that is nil; both as PEM.
func issue(template *x509.Certificate, parent *tls.Certificate) ([]byte, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return nil, err
	}
	template.NotBefore = time.Now().Add(-time.Hour) // the clock of a container or a phone may be behind
	template.BasicConstraintsValid = true
	issuer, signer := template, any(key)
	if parent != nil {
		issuer, signer = parent.Leaf, parent.PrivateKey
	}
	der, err := x509.CreateCertificate(rand.Reader, template, issuer, key.Public(), signer)
	if err != nil {
		return nil, err
	}
	return encode(der, key), nil
}

// encode writes a certificate and, where there is one, its key.
func encode(der []byte, key *ecdsa.PrivateKey) []byte {
	var out bytes.Buffer
	_ = pem.Encode(&out, &pem.Block{Type: "CERTIFICATE", Bytes: der}) // into memory nothing fails
	if key != nil {
		if der, err := x509.MarshalPKCS8PrivateKey(key); err == nil { // it does for unknown kinds of keys alone
			_ = pem.Encode(&out, &pem.Block{Type: "PRIVATE KEY", Bytes: der})
		}
	}
	return out.Bytes()
}

// replace puts a whole file in the place of what there is.
func replace(path string, data []byte, mode fs.FileMode) error {
	temporary, err := beside(path, data, mode)
	if err != nil {
		return err
	}
	return errors.Join(os.Rename(temporary, path), removeIfThere(temporary))
}

// create makes a file, whole from the first moment on, unless there is one: then fs.ErrExist.
func create(path string, data []byte) error {
	temporary, err := beside(path, data, 0o600)
	if err != nil {
		return err
	}
	return errors.Join(os.Link(temporary, path), removeIfThere(temporary))
}

// beside writes a file of a name of its own in the same folder.
func beside(path string, data []byte, mode fs.FileMode) (string, error) {
	file, err := os.CreateTemp(filepath.Dir(path), filepath.Base(path)+".") // for this user alone
	if err != nil {
		return "", err
	}
	_, err = file.Write(data)
	return file.Name(), errors.Join(err, file.Chmod(mode), file.Close())
}

func removeIfThere(path string) error {
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}
