package config

// combineHTTP looks at what the versions of HTTP need besides their own settings.
func (run *loading) combineHTTP() {
	c := &run.result.Config
	switch {
	case c.HTTP3 && !c.TLS():
		run.fail("http3 is always encrypted, and there is no certificate",
			"write --certfile and --keyfile, --acme or --dev-tls as well")
	case !c.HTTP3 && run.source("http3_port") > SourceDefault:
		run.warn("http3_port has no effect without http3")
	}
}
