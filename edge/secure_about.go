package edge

import (
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"encoding/pem"
	"unique"

	"backline"
)

// describe gives what applications may know of a connection. It is made once and shared by all its requests. The handle
// keeps about.Server one string for all connections.
func describe(config *tls.Config, state *tls.ConnectionState) (about *backline.TLS, certificate unique.Handle[string]) {
	about = &backline.TLS{
		Version: state.Version, CipherSuite: state.CipherSuite, Asked: config.ClientAuth != tls.NoClientCert,
	}
	if len(state.LocalCertificate) > 0 {
		certificate = unique.Make(encodePEM(state.LocalCertificate[0]))
		about.Server = certificate.Value()
	}
	for _, cert := range state.PeerCertificates {
		about.Client = append(about.Client, encodePEM(cert.Raw))
	}
	if len(state.PeerCertificates) > 0 {
		about.Name = nameOf(state.PeerCertificates[0])
		if len(state.VerifiedChains) == 0 {
			about.Mistrust = "the certificate was not verified"
		}
	}
	return about, certificate
}

func encodePEM(der []byte) string {
	return string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
}

// nameOf writes the subject as RFC 4514 has it. pkix.Name would bring its parts into another order.
func nameOf(cert *x509.Certificate) string {
	var name pkix.RDNSequence
	if rest, err := asn1.Unmarshal(cert.RawSubject, &name); err != nil || len(rest) > 0 {
		return cert.Subject.String()
	}
	return name.String()
}

// tlsOf gives what the applications of a connection that adopt was given may know of it.
func tlsOf(conn *tls.Conn) *backline.TLS {
	if s, ok := conn.NetConn().(*secure); ok {
		return s.about
	}
	return nil
}
