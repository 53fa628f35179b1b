package certs

import (
	"context"
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"backline"
)

// Store has the certificates. Handshakes read what the last load has left in files and clients, without a lock.
type Store struct {
	options   Options
	authority *authority // nil without ACME
	files     atomic.Pointer[chest]
	clients   atomic.Pointer[clients]

	mu     sync.Mutex // one load at a time
	stamps []stamp    // what the files were like at the last try, whether it went well or not
}

// New reads the files. Whatever is wrong with them is an error here; later, when they change, it is a line in the log
// and the certificates stay as they were.
func New(options Options) (*Store, error) {
	options.setDefaults()
	s := &Store{options: options}
	if len(options.Pairs) == 0 && options.ACME == nil {
		return nil, &backline.Error{
			Op: "certificates", Code: backline.CodeInternal, Message: "neither files nor names were given",
		}
	}
	if err := s.load(); err != nil {
		return nil, err
	}
	if options.ACME != nil {
		var err error
		if s.authority, err = newAuthority(*options.ACME, options.Log); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// load reads every file and, if all are right, puts them in place of what there was: a new certificate with an old key
// beside it must not be served, and neither must half of a list.
func (s *Store) load() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.stamps = s.stamps[:0]
	for _, path := range s.paths() {
		s.stamps = append(s.stamps, stampOf(path)) // before the file is read: what comes in between is a change
	}
	all := make([]*tls.Certificate, 0, len(s.options.Pairs))
	var errs []error
	for _, pair := range s.options.Pairs {
		cert, err := pair.load()
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, cert)
	}
	accepted, err := newClients(s.options, s.clients.Load())
	if errs = append(errs, err); errors.Join(errs...) != nil {
		return errors.Join(errs...)
	}
	s.files.Store(newChest(all))
	s.clients.Store(accepted)
	for i, cert := range all {
		if text, good := validity(cert, time.Now()); !good {
			s.options.Log.Warn("clients will refuse a certificate: "+text,
				"file", s.options.Pairs[i].Cert, "names", strings.Join(namesOf(cert), " "))
		}
	}
	return nil
}

// paths are the files that are looked at.
func (s *Store) paths() []string {
	var all []string
	for _, pair := range s.options.Pairs {
		all = append(all, pair.Cert, pair.Key)
	}
	if s.options.ClientAuth != tls.NoClientCert {
		all = append(all, s.options.ClientCAs)
	}
	return slices.DeleteFunc(all, func(path string) bool { return path == "" })
}

// Reload reads the files again, whether they have changed or not. If one of them is wrong, everything stays as it is
// and the log says why. Connections that are open keep what they have.
func (s *Store) Reload() {
	if len(s.paths()) == 0 {
		return
	}
	if err := s.load(); err != nil {
		s.options.Log.Error("the certificates on disk cannot be used; those in memory stay in use", "error", err)
		return
	}
	for _, cert := range s.certificates() {
		s.options.Log.Info("certificate read", "names", strings.Join(namesOf(cert), " "),
			"valid_until", cert.Leaf.NotAfter.Format(time.DateTime))
	}
}

// certificates gives those of files, each once.
func (s *Store) certificates() []*tls.Certificate {
	var all []*tls.Certificate
	for _, named := range s.files.Load().byName {
		for _, cert := range named {
			if !slices.Contains(all, cert) {
				all = append(all, cert)
			}
		}
	}
	return all
}

// Run looks after the certificates until ctx ends. Files are looked at from time to time, because the system's
// notices of changes miss what people do here: a link that is turned elsewhere (certbot, Kubernetes), a folder mounted
// anew (Docker), another machine's write (NFS).
func (s *Store) Run(ctx context.Context) error {
	var group sync.WaitGroup
	if s.authority != nil {
		group.Go(func() { s.authority.run(ctx) })
	}
	defer group.Wait()
	ticker := time.NewTicker(s.options.Interval)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
			if s.changed() {
				s.Reload()
			}
		}
	}
}

func (s *Store) changed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.stamps, stamp.changed)
}

// Loaded is closed when the certificates that were obtained earlier are in memory. Who serves before Run has got
// there refuses clients for no reason.
func (s *Store) Loaded() <-chan struct{} {
	if s.authority != nil {
		return s.authority.loaded
	}
	done := make(chan struct{})
	close(done)
	return done
}

// Begin says that the addresses are served, so that what is missing can be obtained: an authority that comes to look
// for its challenge is not kept waiting until an application has started.
func (s *Store) Begin() {
	if s.authority != nil {
		s.authority.once.Do(func() { close(s.authority.begun) })
	}
}

// Config gives what listeners encrypt with. Set NextProtos on it, not on a copy of it: it makes further ones from
// itself, where the authorities of clients have changed since.
func (s *Store) Config() *tls.Config {
	config := &tls.Config{MinVersion: s.options.MinVersion, GetCertificate: s.certificate}
	s.clients.Load().apply(config)
	first := s.clients.Load()
	config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
		if s.authority != nil && isChallenge(hello) {
			return s.authority.challengeConfig(), nil
		}
		if now := s.clients.Load(); now != first {
			return now.derive(config), nil
		}
		return nil, nil //nolint:nilnil // "use the original one"
	}
	return config
}

// certificate chooses for one handshake. A name that an authority is to give a certificate for is never answered with
// another one: people learn to click warnings away, and clients remember the wrong certificate.
func (s *Store) certificate(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
	files := s.files.Load()
	if s.authority != nil && (s.authority.owns(hello.ServerName) || files.first == nil && hello.ServerName == "") {
		return s.authority.certificate(hello)
	}
	return files.choose(hello), nil // nil: the client is told that the name is not known here
}

// Serves tells whether there is, or will be, a certificate for a host.
func (s *Store) Serves(name string) bool {
	return s.authority != nil && s.authority.owns(name) || len(s.files.Load().find(canonical(name))) > 0
}
