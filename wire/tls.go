package wire

import "backline"

// appendExtensions writes what a scope has besides the worker's own extensions: "tls", over TLS only (ASGI "TLS
// Extension" 0.2).
func (c Codec) appendExtensions(dst []byte, t *backline.TLS) []byte {
	dst, outer := c.beginMap(dst)
	dst, inner := c.beginMap(c.appendKey(dst, "tls"))
	dst = c.appendPEM(c.appendKey(dst, "server_cert"), t.Server)
	dst = c.appendList(c.appendKey(dst, "client_cert_chain"), len(t.Client))
	for _, cert := range t.Client {
		dst = c.appendPEM(dst, cert)
	}
	dst = c.appendOptional(c.appendKey(dst, "client_cert_name"), t.Name)
	dst = c.appendOptional(c.appendKey(dst, "client_cert_error"), t.Mistrust)
	dst = c.appendInt(c.appendKey(dst, "tls_version"), int(t.Version))
	dst = c.appendInt(c.appendKey(dst, "cipher_suite"), int(t.CipherSuite))
	return c.endMap(c.endMap(dst, inner, 6), outer, 1)
}

// appendOptional writes None for an empty string.
func (c Codec) appendOptional(dst []byte, s string) []byte {
	if s == "" {
		return c.appendNone(dst)
	}
	return c.appendText(dst, s)
}

// appendPEM writes a certificate, which is ASCII without looking.
func (c Codec) appendPEM(dst []byte, s string) []byte {
	if s == "" {
		return c.appendNone(dst)
	}
	return append(c.appendASCIIHeader(dst, len(s)), s...)
}

// appendClientCertificate writes the variables that Apache's mod_ssl has for the client's certificate, where clients
// are asked for one. WSGI itself knows none.
func (c Codec) appendClientCertificate(dst []byte, t *backline.TLS) ([]byte, int) {
	if t == nil || !t.Asked {
		return dst, 0
	}
	dst = c.appendKey(dst, "SSL_CLIENT_VERIFY")
	if len(t.Client) == 0 {
		return c.appendKey(dst, "NONE"), 1
	}
	if t.Mistrust == "" {
		dst = c.appendKey(dst, "SUCCESS")
	} else {
		dst = c.appendLatin1(dst, []byte("FAILED:"+t.Mistrust))
	}
	dst = c.appendLatin1(c.appendKey(dst, "SSL_CLIENT_S_DN"), []byte(t.Name))
	return c.appendPEM(c.appendKey(dst, "SSL_CLIENT_CERT"), t.Client[0]), 3
}
