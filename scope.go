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
	Version  string  // "1.0", "1.1", "2" or "3"
	Scheme   string  // "http" or "https"
	Fields   []Field // in order, duplicates kept, names with "_" already dropped
	Client   Addr
	Server   Addr
	RootPath string // where the application is mounted: "" or "/prefix"
	TLS      *TLS   // nil where the connection is not encrypted, or not by us

	WebSocket bool     // a WebSocket's handshake; for ASGI Scheme is "ws" or "wss" then
	Protocols []string // the subprotocols that its client offers, in its order

	// Cursor is the position of what was published last when the request was handed on; 0: the application is not told.
	Cursor uint64
}

// TLS is what an application may know of its client's TLS connection (ASGI "TLS Extension"). Nothing changes it: all
// requests of a connection share one.
type TLS struct {
	Version     uint16 // 0x0304 for 1.3
	CipherSuite uint16
	Server      string   // our certificate as PEM; empty where a session was resumed, for which none is sent
	Asked       bool     // clients are asked for a certificate
	Client      []string // the client's certificate as PEM, then what else of its chain it sent
	Name        string   // whose it is (RFC 4514): "CN=ada,O=Example"
	Mistrust    string   // why the client's certificate proves nothing; empty where it does, or there is none
}
