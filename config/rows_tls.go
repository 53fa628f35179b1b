package config

import "slices"

// defaultAuthority is Let's Encrypt.
const defaultAuthority = "https://acme-v02.api.letsencrypt.org/directory"

func tlsRows() []Setting {
	return slices.Concat(certificateRows("TLS"), handshakeRows("TLS"), clientCertificateRows("TLS"), acmeRows("TLS"), plainRows("TLS"))
}

func certificateRows(group string) []Setting {
	return []Setting{
		{
			Key: "certfile", Flags: []string{"certfile", "ssl-certfile", "ssl-certificate"}, Kind: KindStrings, Unit: "file", Group: group,
			Zero: "no certificates from files",
			Help: "Certificate to serve https with, PEM, followed by the chain that leads to its authority. Repeatable: clients get the one for the name " +
				"they ask for, and the first where none fits. Files are read again when they change; a wrong new one is refused, and the old certificate stays.",
			field: func(c *Config) any { return &c.CertFile },
		},
		{
			Key: "keyfile", Flags: []string{"keyfile", "ssl-keyfile"}, Kind: KindStrings, Unit: "file", Group: group,
			Zero: "the key is in the certfile",
			Help: "Private key of the certfile, PEM, without a passphrase. Repeatable, in the order of the certfiles. Others on the machine must not be able " +
				"to read it: who has the key can pose as the site.",
			field: func(c *Config) any { return &c.KeyFile },
		},
		{
			Key: "tls_min", Flags: []string{"tls-min", "ssl-protocol-min"}, Kind: KindChoice, Default: "1.2", Unit: "version",
			Choices: []string{"1.2", "1.3"}, Group: group, check: checkTLSVersion,
			Help: "Oldest version of TLS that is spoken. 1.3 shuts out clients from before 2018 or so, among them many devices. The cipher suites are Go's, in " +
				"Go's order: all of them keep earlier connections secret if the key is lost.",
			field: func(c *Config) any { return &c.TLSMin },
		},
		{
			Key: "dev_tls", Flags: []string{"dev-tls"}, Kind: KindBool, Default: "false", Unit: "switch", Group: group,
			Help: "Serve https with a certificate for localhost, 127.0.0.1, ::1 and this machine's name, from an authority of its own that is kept in the " +
				"state folder. For development: browsers warn until they are told to trust the authority, and how is said at start.",
			field: func(c *Config) any { return &c.DevTLS },
		},
	}
}

func handshakeRows(group string) []Setting {
	return []Setting{
		{
			Key: "tls_handshake_timeout", Flags: []string{"tls-handshake-timeout", "ssl-handshake-timeout"}, Kind: KindDuration, Default: "10s",
			Unit: "seconds", Min: "100ms", Max: longest, Group: group,
			Help: "Time a client has from connecting to the end of the TLS handshake; then it is cut off. Too little shuts out clients far away or on slow " +
				"networks, whose handshake takes three journeys.",
			field: func(c *Config) any { return &c.TLSHandshakeTimeout },
		},
		{
			Key: "tls_handshakes", Flags: []string{"tls-handshakes"}, Kind: KindInt, Default: "0", Unit: "handshakes", Max: "10000", Group: group,
			Zero: "as many as there are processors",
			Help: "TLS handshakes that are computed at a time; more clients wait their turn, within tls_handshake_timeout. Each takes a processor for about a " +
				"millisecond: with many at a time, requests wait behind clients that have only just come.",
			field: func(c *Config) any { return &c.TLSHandshakes },
		},
	}
}

func clientCertificateRows(group string) []Setting {
	return []Setting{
		{
			Key: "ca_certs", Flags: []string{"ca-certs", "ssl-ca-certs", "ssl-ca"}, Kind: KindString, Unit: "file", Group: group,
			Zero: "clients are not asked for certificates",
			Help: "Authorities whose client certificates are accepted, PEM, one after another. Read again when it changes. Whoever gets a certificate from " +
				"any of them gets in, so a public authority has no place here. It needs cert_reqs.",
			field: func(c *Config) any { return &c.CACerts },
		},
		{
			Key: "cert_reqs", Flags: []string{"cert-reqs", "ssl-cert-reqs"}, Kind: KindChoice, Default: "none", Unit: "word",
			Choices: []string{"none", "optional", "required"}, Group: group, check: checkCertReqs,
			Help: "Whether clients present a certificate; gunicorn's 0, 1 and 2 are understood. With required, who has none is refused before any request; with " +
				"optional, the application sees whether there was one, and one that proves nothing is refused all the same.",
			field: func(c *Config) any { return &c.CertReqs },
		},
	}
}

func acmeRows(group string) []Setting {
	return []Setting{
		{
			Key: "acme", Flags: []string{"acme"}, Kind: KindStrings, Unit: "host name", Group: group, Zero: "no certificates are obtained",
			check: checkACMEName,
			Help: "Name to obtain and renew a certificate for, repeatable. It must lead to this server, with ports 443 and 80 open to the authority; without " +
				"bind these two are listened on, and port 80 redirects to https. You agree to the authority's terms. Until a certificate is there, clients of the " +
				"name are refused.",
			field: func(c *Config) any { return &c.ACME },
		},
		{
			Key: "acme_email", Flags: []string{"acme-email"}, Kind: KindString, Unit: "address", Group: group, Zero: "none is told",
			check: checkEmail,
			Help:  "Mail address that the authority is told, for notices about certificates that run out. With a wrong one they go to a stranger.",
			field: func(c *Config) any { return &c.ACMEEmail },
		},
		{
			Key: "acme_ca", Flags: []string{"acme-ca"}, Kind: KindString, Default: defaultAuthority, Unit: "URL", Group: group,
			check: checkACMEAuthority, Zero: "Let's Encrypt's",
			Help: "Directory of the ACME authority. For trials take https://acme-staging-v02.api.letsencrypt.org/directory, which no browser trusts and which " +
				"does not mind mistakes: the real one refuses after a few.",
			field: func(c *Config) any { return &c.ACMEAuthority },
		},
		{
			Key: "acme_ca_root", Flags: []string{"acme-ca-root"}, Kind: KindString, Unit: "file", Group: group, Zero: "the system's",
			Help: "Root certificates, PEM, by which the authority's own https is recognised. For an authority in one's own network; without the right one it " +
				"cannot be asked for anything.",
			field: func(c *Config) any { return &c.ACMERoots },
		},
		{
			Key: "acme_check", Flags: []string{"acme-check"}, Kind: KindDuration, Default: "10m", Unit: "seconds", Min: "1s", Max: longest,
			Group: group,
			Help: "How often obtained certificates are looked at for renewal. They are renewed in the last third of their time, or when the authority says so, and " +
				"at any rate five of these periods before their end: too long a one renews certificates of a few days all the time.",
			field: func(c *Config) any { return &c.ACMECheck },
		},
	}
}

func plainRows(group string) []Setting {
	return []Setting{
		{
			Key: "insecure_bind", Flags: []string{"insecure-bind"}, Kind: KindStrings, Unit: "address", Group: group, Zero: "none",
			check: checkInsecureBind,
			Help: "Address that speaks plain http while the others speak https, repeatable, as hypercorn spells it. It is the same as bind with http:// in front " +
				"of the address.",
			field: func(c *Config) any { return &c.InsecureBind },
		},
		{
			Key: "http_redirect", Flags: []string{"http-redirect"}, Kind: KindChoice, Default: "auto", Unit: "word",
			Choices: []string{"auto", "on", "off"}, Group: group, check: checkSwitchOrAuto,
			Help: "Whether plain http addresses send clients on to https (308) instead of serving the application. auto: with acme. Only hosts that there is a " +
				"certificate for are sent on, others get 421. Unix sockets serve the application in any case, a proxy is in front of them.",
			field: func(c *Config) any { return &c.HTTPRedirect },
		},
	}
}

// stateRows stand behind the other files.
func stateRows() []Setting {
	return []Setting{
		{
			Key: "state_dir", Flags: []string{"state-dir"}, Kind: KindString, Unit: "folder", Group: "Files",
			Env: []string{"BACKLINE_STATE", "STATE_DIRECTORY"}, fromEnv: firstFolder,
			Zero: "backline in $XDG_STATE_HOME, else ~/.local/state/backline",
			Help: "Folder for what has to outlive a restart: the certificates and accounts of acme, the authority of dev_tls, and for the control socket. It is made when it is needed, for " +
				"this user alone. If it is lost, certificates are obtained anew, and an authority allows that a few times a week.",
			field: func(c *Config) any { return &c.StateDir },
		},
	}
}
