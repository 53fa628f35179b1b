package config

import (
	"io/fs"
	"time"
)

// Config is every setting with its final value: validated, in Go's types, in our own names where an older spelling was
// given. The rows of the table (rows_*.go) say what each one means, its unit, its limits and what 0 does; the
// comments here add only what a reader of the value has to know.
type Config struct {
	App        string   // "module:attribute", empty when none was given: the command decides whether it needs one
	Django     string   // settings module, or the path of a manage.py that names it; empty unless asked for
	Command    []string // the workers' program and its arguments; empty: ours, in Python
	Factory    bool     // App names a function that makes the application
	Chdir      string   // as written, relative to Loader.Dir; empty for that folder itself
	PythonPath []string // in the order in which they are searched, before sys.path
	Python     string   // empty: the active virtual environment, ./.venv, python3
	Env        []string // KEY=VALUE for the workers; a later one wins
	RootPath   string   // "" or "/prefix", never with a final slash

	Bind       []string    // every address to listen on; Host, Port, UDS, PORT and InsecureBind are already folded in
	Host       string      // as written; use Bind
	Port       int         // as written; use Bind
	UDS        string      // as written; use Bind
	SocketMode fs.FileMode // permission bits of Unix sockets
	Backlog    int
	TCP        []string // HOST:PORT=module:function, each listened on for raw connections
	AdminBind  string   // empty: none

	ControlSocket string // "off" for none; empty: below StateDir

	CertFile []string // each with the key of the same place in KeyFile
	KeyFile  []string // as many as CertFile, or none: then each certificate's file holds its key
	TLSMin   string   // 1.2 or 1.3
	DevTLS   bool

	TLSHandshakeTimeout time.Duration
	TLSHandshakes       int // 0: the number of processors

	CACerts       string // never empty where CertReqs asks for certificates
	CertReqs      string // none, optional or required
	ACME          []string
	ACMEEmail     string // empty: none is told
	ACMEAuthority string
	ACMERoots     string // empty: the system's
	ACMECheck     time.Duration
	InsecureBind  []string // as written; use Bind
	HTTPRedirect  string   // on or off: auto is already worked out
	StateDir      string   // empty where nothing says where: no such setting, no $XDG_STATE_HOME, no $HOME

	ForwardedAllowIPs []string
	ForwardedHeaders  []string // forwarded.ParseHeaders judges them
	AllowedHosts      []string // edge.ParseHosts judges them; empty: every host
	ProxyProtocol     bool
	ProxyAllowFrom    []string

	Workers           int    // never 0: the default is already worked out
	WorkerClass       string // auto, threads, gevent or asyncio
	Threads           int
	WorkerConnections int
	ParallelLimit     int // of gather and spawn; 0: the worker chooses
	ComputeWorkers    int // never 0: the default is already worked out
	ComputeQueueSize  int
	ComputeNice       int   // how much lower the priority of these processes is
	MaxRequests       int   // 0: no limit
	MaxRequestsJitter int   // 0: none
	MaxWorkerMemory   int64 // bytes of one process; 0: no limit
	WorkerBootTimeout time.Duration
	Lifespan          string // auto, on or off
	ASGISpecVersion   string // 2.3 or 2.4
	Preload           bool
	Reload            bool
	ReloadDirs        []string // empty: the folder of the application

	Timeout         time.Duration // 0: off
	StreamTimeout   time.Duration // 0: off
	GracefulTimeout time.Duration // 0: stop at once
	DisconnectGrace time.Duration // 0: cancel at once
	KeepAlive       time.Duration // 0: close after every answer
	HeaderTimeout   time.Duration
	WriteTimeout    time.Duration
	LoopStall       time.Duration // 0: off
	BusyStall       time.Duration // 0: off

	QueueSize    int           // 0: nothing waits
	QueueTimeout time.Duration // 0: nothing waits
	HealthPaths  []string      // requests of these wait in front
	Retry        string        // safe or off

	Sticky         string // the name of a query's parameter and a JSON answer's member; "off"
	StickySessions int
	StickyTimeout  time.Duration

	LimitConnections   int // what "ulimit -n" allows may be less; the edge says so at start
	LimitRequestLine   int64
	LimitHeaderBlock   int64
	LimitRequestFields int
	LimitRequestBody   int64
	BodyMinRate        int64 // bytes per second; 0: off
	BodyRateWindow     time.Duration

	LimitConnectionsPerAddress int    // 0: no limit
	LimitRate                  string // "" for no limit, or what ratelimit.ParseRate has yet to judge
	LimitBurst                 int    // 0: as many as LimitRate names
	LimitAddresses             int
	LimitExempt                []string // forwarded.ParsePeers judges these lists of addresses

	HTTP2                 bool // over TLS
	HTTP2Cleartext        bool
	HTTP3                 bool
	HTTP3Port             int // 0: the one that is listened on
	HTTP2MaxStreams       int
	HTTP2Window           int64
	HTTP2MaxControlFrames int

	WebSocketApp     string // "module:attribute"; empty: App answers WebSockets too
	WebSocketWorkers int
	Grip             bool
	GripKeys         []string
	LimitHolds       int
	HoldChannels     int
	HoldBody         int64
	HoldBacklog      int
	HoldSessions     int
	HoldSessionLife  time.Duration
	HoldSessionRules int
	FilterRequests   int
	FilterTimeout    time.Duration
	FilterReply      int64

	WebSocketMaxMessage          int64
	WebSocketMaxFragments        int
	WebSocketWindow              int64
	WebSocketQueue               int64
	WebSocketState               int64
	WebSocketRedeliver           bool
	PublishMaxBody               int64
	PublishRemember, PublishWait time.Duration
	PublishPending, PublishIDs   int
	WebSocketOverHTTP            bool
	WebSocketOverHTTPReply       int64
	WebSocketOverHTTPRetries     int
	WebSocketGroups              int
	WebSocketCompression         bool
	WebSocketHandover            bool
	WebSocketCompressionLevel    int
	WebSocketCompressionMinSize  int64
	WebSocketCompressionWindow   int
	WebSocketPingInterval        time.Duration // 0: never
	WebSocketPingTimeout         time.Duration // 0: for ever
	WebSocketWriteTimeout        time.Duration
	WebSocketDrain               time.Duration // 0: at once

	Channels          []string // of a pool that works them off; empty for all others
	ChannelMaxMessage int64
	ChannelWindow     int64
	ChannelSessions   int // 0: only workers have channels

	ChannelCapacity    int
	ChannelExpiry      time.Duration
	ChannelMemory      int64
	GroupExpiry        time.Duration
	History            []string // texts that ParseHistory reads
	HistoryMemory      int64
	HistoryGroupMemory int64
	HistoryGroups      int
	PresenceSockets    int
	PresenceLeaveDelay time.Duration // 0: at once

	Bus        string // empty: none
	BusName    string // empty: the machine's
	BusPrefix  string
	BusListen  string
	BusPeers   []string
	BusSecret  string
	BusCA      string
	BusCert    string // with its key
	BusTimeout time.Duration
	BusBuffer  int64
	BusKeep    time.Duration

	BodyMemory   int64 // 0: every body goes to a file
	AnswerMemory int64
	AnswerFile   int64 // 0: no file, the worker waits when AnswerMemory is full
	StreamWindow int64

	Static            []string // PREFIX=FOLDER, the folder as written: relative to Chdir
	StaticIndex       bool
	StaticFallthrough bool
	StaticMaxAge      time.Duration // 0: clients ask every time
	StaticOpenFiles   int           // 0: none is remembered
	SendfileRoot      []string      // as written: relative to Chdir
	Accel             []string      // as Static
	Sendfile          bool

	Compress         bool
	CompressCodings  []string // zstd, gzip or br
	CompressTypes    []string // in lower case
	CompressMinSize  int64    // 0: every answer that is not empty
	CompressLevel    string   // fast, balanced or small
	CompressEncoders int

	ServerHeader bool
	DateHeader   bool

	AccessLog       bool   // as written; use AccessLogfile
	AccessLogfile   string // "" off, "-" standard output, or a path; AccessLog is already folded in
	AccessLogformat string // "" for the default, "json", or a format that accesslog.Compile has yet to judge
	LogLevel        string // debug, info, warning or error
	LogFile         string // "-" standard error, or a path
	LogFormat       string // text or json

	File    string // the settings file that was read; empty when there was none
	PID     string // empty: no file is written
	TempDir string // empty: the system's
}
