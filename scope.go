package backline

// Field is one header field. Name is as the client spelled it; whoever needs it lower- or upper-cased does so while
// copying. Both alias the buffer they were parsed from and live as long as it does.
type Field struct {
	Name, Value []byte
}

// Addr is one end of a connection. Port is 0 and Host the path for a Unix socket; Host is empty where nothing is known.
type Addr struct {
	Host string
	Port int
}

// Scope describes one request as the application will see it (ASGI "HTTP connection scope", PEP 3333 "environ
// variables"). Byte slices alias the request's own buffer.
type Scope struct {
	Method   []byte  // upper case by rule of the client, never changed: "GET"
	Target   []byte  // the request target as received: "/a%20b?x=1"
	Path     []byte  // its path, still percent-encoded: "/a%20b"
	Query    []byte  // what follows the "?", undecoded, empty where there is none
	Version  string  // "1.0", "1.1" or "2"
	Scheme   string  // "http" or "https"
	Fields   []Field // in order, duplicates kept, names with "_" already dropped
	Client   Addr
	Server   Addr
	RootPath string // where the application is mounted: "" or "/prefix"

	WebSocket bool     // a WebSocket's handshake; Scheme is "ws" or "wss" then
	Protocols []string // the subprotocols that its client offers, in its order
}
