package config

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"strings"
)

// checkTLSVersion takes "TLSv1.2" and granian's "tls1.2" as well.
func checkTLSVersion(text string) (string, error) {
	return strings.TrimPrefix(strings.TrimPrefix(strings.ToLower(text), "tls"), "v"), nil
}

// checkCertReqs takes the numbers and names of Python's ssl module, which gunicorn and uvicorn ask for.
func checkCertReqs(text string) (string, error) {
	switch word := strings.ToLower(text); word {
	case "0", "cert_none", "ssl.cert_none":
		return "none", nil
	case "1", "cert_optional", "ssl.cert_optional":
		return "optional", nil
	case "2", "cert_required", "ssl.cert_required":
		return "required", nil
	default:
		return word, nil
	}
}

// checkSwitchOrAuto lets a choice of auto, on and off be written as the switch that it mostly is.
func checkSwitchOrAuto(text string) (string, error) {
	if on, err := parseBool(text); err == nil {
		if on {
			return "on", nil
		}
		return "off", nil
	}
	return strings.ToLower(text), nil
}

// checkACMEName wants the name of a host. What else people write in its place has an answer of its own.
func checkACMEName(text string) (string, error) {
	name := strings.TrimSuffix(strings.ToLower(text), ".")
	switch {
	case name == "":
		return "", errors.New("an empty name: expected a host name such as example.com")
	case strings.Contains(name, "://"):
		return "", fmt.Errorf("%q is a URL: expected the host name alone, such as example.com", text)
	case strings.HasPrefix(name, "*."):
		return "", fmt.Errorf("%q is a wildcard, which authorities give out over DNS only (DNS-01), and that is not "+
			"supported: name each host, or get the certificate with another program and name its files (certfile)", text)
	case net.ParseIP(strings.Trim(name, "[]")) != nil:
		return "", fmt.Errorf("%q is an address: expected a host name such as example.com", text)
	case strings.Contains(name, ":"):
		return "", fmt.Errorf("%q has a port: a certificate is for a host, whatever the port", text)
	case strings.ContainsFunc(name, func(r rune) bool { return r > 127 }):
		return "", fmt.Errorf("%q is not ASCII: expected what DNS has, such as xn--bcher-kva.example", text)
	case len(name) > 253 || strings.Contains(name, "..") ||
		strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789-.") != "" || strings.Trim(name, "-.") != name:
		return "", fmt.Errorf("%q is no host name: expected letters, digits, - and dots, such as example.com", text)
	}
	return name, nil
}

func checkEmail(text string) (string, error) {
	address := strings.TrimPrefix(text, "mailto:")
	user, host, found := strings.Cut(address, "@")
	if address != "" && (!found || user == "" || host == "" || strings.ContainsAny(address, " ,")) {
		return "", fmt.Errorf("%q is no mail address: expected one such as admin@example.com", text)
	}
	return address, nil
}

// checkACMEAuthority wants https: what goes over the wire decides who the site is.
func checkACMEAuthority(text string) (string, error) {
	if text == "" {
		return defaultAuthority, nil
	}
	u, err := url.Parse(text)
	if err != nil || u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("%q is no https URL: expected an authority's directory, such as %s", text, defaultAuthority)
	}
	return text, nil
}

// checkInsecureBind gives the address as bind has it.
func checkInsecureBind(text string) (string, error) {
	address, err := ParseAddress(text)
	switch {
	case err != nil:
		return "", err
	case address.Network == "unix" || address.Scheme == "https":
		return "", fmt.Errorf("%q is not what plain http is listened on: expected HOST:PORT, :PORT or fd://N", text)
	}
	address.Scheme = "http"
	return address.String(), nil
}

// firstFolder is what systemd's StateDirectory= says: a list, where a unit names several.
func firstFolder(list string) string {
	first, _, _ := strings.Cut(list, ":")
	return first
}
