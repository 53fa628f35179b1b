"""Every published weakness of servers like this one, and every class of attack on HTTP, as a test of the same name."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import socket
import struct
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import frames
import pytest
from attacks import ATTACKS, EVIL, Attack
from frames import CONTINUATION, DATA, HEADERS, RST_STREAM, SETTINGS, WINDOW_UPDATE, frame, request, setting
from harness import BINARY, PATIENCE, Client, Server, eventually
from proxies import connect
from sockets import TEXT, ask
from sockets import connect as websocket

# What each must come to. A test below compares these names with those of the tests and tables.
REQUIRED = """
cve_2018_1000164  gunicorn: line breaks in the application's header fields are a 500, never written
cve_2024_1135     gunicorn: conflicting or several Transfer-Encoding fields are refused
cve_2024_6827     gunicorn: an unknown Transfer-Encoding does not fall back to Content-Length
gunicorn_26_unread_body          a body that nobody reads is not the next request
gunicorn_26_two_hosts            nor are two Host fields taken
gunicorn_26_list_of_lengths      nor a list as Content-Length
gunicorn_26_control_characters   nor control characters in values
gunicorn_26_framing_in_trailers  nor trailers that frame or route
gunicorn_26_cut_chunks           a body without its last chunk is no body
gunicorn_26_proxy_header         the PROXY header is for those who may send it
cve_2020_7694     uvicorn: escape sequences are quoted in the access log
cve_2020_7695     uvicorn: no answer is split by a header field's name or value
cve_2025_43859    h11: a chunk ends in exactly CRLF
cve_2025_57804    h2: line breaks and NUL in a field of HTTP/2 reach no other protocol
cve_2026_42544    granian: a subprotocol that is not ASCII ends no worker
cve_2026_42545    granian: a header field that cannot be is a 500, and the worker lives
cve_2026_44545    daphne: WebSocket messages and frames are bounded
cve_2026_44546    daphne: characters that some take for line breaks are refused in values, on upgrades too
daphne_497        daphne: names of header fields are tokens
hypercorn_146     hypercorn: rapid reset
cve_2019_16785    waitress: a line does not end in LF alone
cve_2019_16786    waitress: a Transfer-Encoding ends in chunked
cve_2019_16789    waitress: no whitespace of other kinds around it
cve_2019_16792    waitress: Content-Length comes once
cve_2020_5236     waitress: no header takes more than linear time
cve_2022_24761    waitress: sizes are digits, whatever int() takes
cve_2022_31015    waitress: a socket that closes at the wrong moment stops nothing
cve_2024_49768    waitress: what is pipelined after a mistake is not executed
cve_2024_49769    waitress: sockets that are half closed or gone cost no CPU
waitress_451      waitress: forwarded fields of strangers do not reach the application
cve_2022_2255     mod_wsgi: nor does X-Client-IP
cve_2014_0240     mod_wsgi: a setuid that fails
cve_2014_0242     mod_wsgi: no request sees memory of another one's header
cve_2018_7490     uWSGI: no path leaves the folder of static files
cve_2018_6758     uWSGI: a long path is an answer, not an overflow
cve_2023_27522    mod_proxy_uwsgi: the worker's answer splits nothing
cve_2020_11984    mod_proxy_uwsgi: fields longer than 16 bits count arrive whole
cve_2025_1695     Unit: lengths of WebSocket frames are validated
cve_2023_41419    gevent: trailers carry no request
cve_2025_58068    eventlet: trailers are discarded to their end
cve_2022_24801    Twisted: sizes, chunks and names as RFC 9112 has them
cve_2023_46137    Twisted: pipelined answers in order
cve_2024_41671    Twisted: the request behind a chunked body in order
cve_2025_8671     HTTP/2: MadeYouReset, resets that the server itself is made to send
cve_2024_27316    HTTP/2: CONTINUATION flood
cve_2023_45288    net/http: the same
cve_2023_39325    net/http: rapid reset
cve_2023_44487    HTTP/2: rapid reset
cve_2025_22871    net/http: a chunk's line does not end in LF alone
cve_2023_39326    net/http: chunk extensions are bounded
cve_2022_1705     net/http: no Transfer-Encoding that is nearly chunked
cve_2022_2880     net/http: a query that cannot be parsed arrives as it came
cve_2022_32148    net/http: X-Forwarded-For of strangers is removed
cve_2023_24534    net/http: many small fields are bounded by their number
cve_2025_58186    net/http: cookies cost no more than their bytes
cve_2025_47910    net/http: CrossOriginProtection
cve_2026_27141    x/net: frames of unknown kinds do nothing
cve_2026_33814    net/http: SETTINGS_MAX_FRAME_SIZE of 0
cve_2026_56853    net/http: header_timeout holds for the preface of HTTP/2
cve_2026_56862    crypto/tls: KeyUpdate flood
cve_2026_78669    net/http: SETTINGS flood of window sizes
cve_2026_97032    net/http: race in HPACK
cve_2025_59530    quic-go
cve_2025_64702    quic-go
cve_2026_40898    quic-go
desync_h2_cl      PortSwigger: a Content-Length that HTTP/2's frames belie
desync_h2_te      a Transfer-Encoding in HTTP/2
desync_h2_0       a body of HTTP/2 that nobody reads
desync_h2_host    a Host that is not :authority
desync_h2_spaces  whitespace around values of HTTP/2
desync_h2_names   names and pseudo-fields of HTTP/2 that would be lines elsewhere
desync_cl_te      Content-Length and Transfer-Encoding, either way
desync_te_cl
desync_te_te      a Transfer-Encoding that one of two does not see
desync_te_0       what follows a chunked body is a request
desync_cl_0       a body where none is expected
desync_0_cl       a length that one of two does not see
desync_hidden_field   fields that one of two does not see
desync_visible_field
desync_expect         Expect, plain and obfuscated
desync_expect_obfuscated
desync_early_answer   an answer before the body has come
desync_pause          a body that pauses until somebody gives up
desync_connection_state   the second request is judged as the first one was
desync_connection_names_length   Connection removes no framing
desync_http_10    chunked is not for HTTP/1.0
desync_absolute_target   the target's host is the request's
desync_upgrade    an upgrade to what is not spoken changes nothing
desync_chunk_extension   line breaks hidden in extensions
"""

# HTTP Garden's findings, by their numbers: those in servers, and those in proxies, of which there is no number 8.
GARDEN = [f"garden_s{n}" for n in range(1, 49)] + [f"garden_t{n}" for n in range(1, 26) if n != 8]

NOT_APPLICABLE = {
    "cve_2014_0240": "the server never changes its user: whoever starts it decides that",
    "cve_2025_47910": "CrossOriginProtection is not used; requests of other origins are the application's to judge",
}

# What shows only inside a library, or not from outside at all: the first versions without it, in the binary itself.
VERSIONS = {
    "cve_2026_56862": ("go", (1, 26, 6)),
    "cve_2026_78669": ("go", (1, 27, 2)),
    "cve_2026_97032": ("go", (1, 27, 2)),
    "cve_2025_59530": ("github.com/quic-go/quic-go", (0, 59, 1)),
    "cve_2025_64702": ("github.com/quic-go/quic-go", (0, 59, 1)),
    "cve_2026_40898": ("github.com/quic-go/quic-go", (0, 59, 1)),
}

Serve = Callable[..., Server]
APPS = ("attacked:wsgi", "attacked:asgi")
STRANGER = "127.0.0.9"
BEGUN = b"GET / HT", b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 9\r\n\r\na"
RESET = struct.pack("ii", 1, 0)  # SO_LINGER: closing sends RST


@pytest.fixture(params=APPS)
def server(shared: Serve, request: pytest.FixtureRequest) -> Server:
    return shared(request.param, "-w", "1", "--http2-cleartext")


def served(server: Server) -> None:
    assert server.get("/last").text == "GET /last b''"


def names(attacks: tuple[Attack, ...]) -> list[str]:
    """Their ids, numbered where there are several."""
    ids = [attack.id for attack in attacks]
    return [f"{name}-{ids[:n].count(name) + 1}" if ids.count(name) > 1 else name for n, name in enumerate(ids)]


@pytest.mark.parametrize("attack", ATTACKS, ids=names(ATTACKS))
@pytest.mark.parametrize("piece", [0, 1], ids=["whole", "bytewise"])
def test_attack(server: Server, attack: Attack, piece: int) -> None:
    sent = attack.sent.encode("latin-1")
    at = len(server.lines)
    with server.connect() as client:
        if piece and len(sent) < 1_000:
            for n in range(len(sent)):
                send_before_refusal(client, sent[n : n + 1])
        else:
            client.send(sent)
        for expected in attack.answers:
            answer = client.answer()
            assert answer.complete
            assert expected == (answer.text if answer.status == 200 else answer.status), answer
        unread = bool(piece) and "/unread" in attack.sent and answer.header("connection") == "close"
        if unread or isinstance(attack.answers[-1], int):
            assert answer.header("connection") == "close"
            assert client.at_end()
        else:
            assert client.request("GET", "/last").text == "GET /last b''"
    assert not [line for line in server.lines[at:] if "called '/evil'" in line]


def send_before_refusal(client: Client, data: bytes) -> None:
    """The server may refuse before it has the last byte; what it said is then still to be read."""
    with contextlib.suppress(BrokenPipeError, ConnectionResetError):
        client.send(data)


def test_gunicorn_26_cut_chunks(server: Server) -> None:
    at = len(server.lines)
    with server.connect() as client:
        client.send_request("POST", "/cut", {"Transfer-Encoding": "chunked"}, b"3\r\nabc\r\n0\r\n")
        client.sock.shutdown(socket.SHUT_WR)
        answers = []
        while client.fill():
            answers.append(client.buffer)
        assert not client.buffer.startswith(b"HTTP/1.1 200"), answers
    served(server)
    if "wsgi" in server.log.partition("\n")[0]:
        assert "called '/cut'" not in "\n".join(server.lines[at:])


SPLITS = ["X:a%0d%0aEvil:b", "X:a%0aEvil:b", "X:a%0dEvil:b", "X%0d%0aEvil:b", "X%20:b", ":b", "X:%00", "X%ff:b"]


def split(server: Server, field: str) -> None:
    """A header field of the application's that cannot be: 500, none of it sent, and the same worker goes on."""
    worker = server.get("/pid").text
    with server.connect() as client:
        answer = client.request("GET", f"/split?{field}")
        assert answer.status == 500, answer
        assert answer.header("evil") is None
        assert b"Evil" not in answer.body
    with server.connect() as client:  # the handshake of a WebSocket is an answer too
        ask(client, f"/split?{field}")
        answer = client.answer()
        assert answer.status in (403, 500), answer
        assert answer.header("evil") is None
    assert server.get("/pid").text == worker


@pytest.mark.parametrize("field", SPLITS[:3])
def test_cve_2018_1000164(server: Server, field: str) -> None:
    split(server, field)


@pytest.mark.parametrize("field", SPLITS)
def test_cve_2020_7695(server: Server, field: str) -> None:
    split(server, field)


@pytest.mark.parametrize("field", SPLITS[5:])
def test_cve_2026_42545(server: Server, field: str) -> None:
    split(server, field)


def test_cve_2023_27522(server: Server) -> None:
    """An answer within an answer's field, as a worker that is not trusted would send it."""
    split(server, "X:a%0d%0a%0d%0aHTTP/1.1%20200%20OK%0d%0aContent-Length:%200%0d%0a%0d%0a")


def test_cve_2020_7694(serve: Serve, tmp_path: Path) -> None:
    log = tmp_path / "access.log"
    server = serve(APPS[0], "-w", "1", "--access-logfile", str(log))
    fields = {"User-Agent": '\x9b31m"\xe9', "Referer": "\xc2\x9b2J"}
    with server.connect() as client:
        client.send_request("GET", '/%1b[31m"\\x?%0a', fields)
        assert client.answer().status == 200
    line = eventually(log.read_bytes, "a line in the access log")
    assert isinstance(line, bytes)
    assert line.endswith(b"\n") and line.count(b"\n") == 1
    assert not re.search(rb"[\x00-\x09\x0b-\x1f\x7f-\xff]", line), line
    assert line.count(b'"') == 6, line  # around the request, Referer and User-Agent


def test_cve_2020_11984(serve: Serve) -> None:
    server = serve(APPS[0], "-w", "1", "--limit-header-block", "1MiB")
    for size in ((1 << 16) - 1, 1 << 16, (1 << 16) + 1, 500_000):
        value = "x" * size
        assert json.loads(server.get("/fields", **{"X-Long": value}).body)["x-long"] == value


@pytest.mark.parametrize("app", APPS)
def test_cve_2014_0242(shared: Serve, app: str) -> None:
    server = shared(app, "-w", "1", "--http2-cleartext")
    with server.connect() as client:
        for n in range(200):
            sent = {f"x-secret-{n}": "s" * (n % 50)} if n % 2 == 0 else {}
            seen = json.loads(client.request("GET", "/fields", sent).body)
            assert seen == {"host": "testserver", **sent}


def test_waitress_451(server: Server) -> None:
    forged = {"X-Forwarded-For": "::1", "X-Forwarded-Proto": "https", "X-Forwarded-Host": "b", "Forwarded": "for=[::1]"}
    with connect(server.port, STRANGER) as client:
        seen = json.loads(client.request("GET", "/fields", forged).body)
    assert not [name for name in seen if "forwarded" in name], seen


@pytest.mark.parametrize("name", ["X-Client-IP", "X-Real-IP", "x-client-ip", "X_Client_IP"])
def test_cve_2022_2255(server: Server, name: str) -> None:
    with connect(server.port, STRANGER) as client:
        seen = json.loads(client.request("GET", "/fields", {name: "127.0.0.1"}).body)
    assert list(seen) == ["host"]


def test_cve_2022_32148(server: Server) -> None:
    for value in ("127.0.0.1", "", ", ,", "unknown", "\xff" * 9):
        with connect(server.port, STRANGER) as client:
            seen = json.loads(client.request("GET", "/fields", {"X-Forwarded-For": value}).body)
        assert list(seen) == ["host"]


def test_cve_2022_31015(server: Server) -> None:
    for sent in (b"", *BEGUN, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"):
        for _ in range(50):
            with server.connect() as client:
                client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
                client.send(sent)
    served(server)
    assert server.process.poll() is None


def cpu(pid: int) -> int:
    """Processor time of a process in clock ticks."""
    return sum(int(ticks) for ticks in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[11:13])


def test_cve_2024_49769(serve: Serve) -> None:
    server = serve(APPS[0], "-w", "1")
    clients = [server.connect() for _ in range(60)]
    for n, client in enumerate(clients):
        client.send((b"", *BEGUN)[n % 3])
        if n % 2:
            client.sock.shutdown(socket.SHUT_WR)
    served(server)

    def at_rest() -> bool:
        """Half a second in which a busy loop would have had most of a processor."""
        before = cpu(server.process.pid)
        threading.Event().wait(0.5)
        return cpu(server.process.pid) - before < 0.1 * os.sysconf("SC_CLK_TCK")

    eventually(at_rest, "a server that rests")
    for client in clients:
        client.close()


@pytest.mark.parametrize("name", [
    "../secret", "..%2fsecret", "%2e%2e/secret", "..%5csecret", "%2e%2e%2fsecret", "/../secret", "./../secret",
    "sub/../../secret", "..;/secret", "%00/../secret", "link", "%252e%252e/secret", "/etc/passwd", "\\..\\secret",
    "a/" * 2_000, "a" * 5_000,
])  # fmt: skip
def test_cve_2018_7490(shared: Serve, tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    root = tmp_path_factory.getbasetemp() / "advisories"
    if not root.exists():
        (root / "public" / "sub").mkdir(parents=True)
        (root / "secret").write_text("secret")
        (root / "public" / "file").write_text("public")
        (root / "public" / "link").symlink_to(root / "secret")
    server = shared(APPS[0], "-w", "1", "--static", f"/static/={root / 'public'}")
    assert server.get("/static/file").text == "public"
    answer = server.get(f"/static/{name}")
    assert answer.status in (200, 400, 404), answer
    assert b"secret" not in answer.body.replace(b"/secret", b"") and b"root:" not in answer.body
    assert answer.status != 200 or answer.text.startswith("GET "), "a path that leaves the prefix is the application's"


@pytest.mark.parametrize("offered", ["\xe9", "\xff\xfe", "chat, \xe9", "\x85", '"chat"', ",", "a" * 3_000])
def test_cve_2026_42544(shared: Serve, offered: str) -> None:
    server = shared(APPS[1], "-w", "1", "--http2-cleartext")
    worker = server.get("/pid").text
    for _ in range(9):
        with server.connect() as client:
            ask(client, "/", {"Sec-WebSocket-Protocol": offered})
            assert client.head().status in (101, 400)
    assert server.get("/pid").text == worker


def test_cve_2026_44545(shared: Serve) -> None:
    """A length beyond the limit is refused when it is announced: nobody waits for the payload, or makes room for it."""
    server = shared(APPS[1], "-w", "1", "--http2-cleartext")
    with websocket(server, "/") as client:
        client.client.send(b"\x82\xff" + ((16 << 20) + 1).to_bytes(8, "big") + b"mask")
        assert client.closed()[0] == 1009
    with websocket(server, "/") as client:  # in many frames
        part = b"x" * (1 << 20)
        client.frame(TEXT, part, final=False)
        for _ in range(16):
            send_before_refusal(client.client, frame_of(part))
        assert client.closed()[0] == 1009


def frame_of(part: bytes) -> bytes:
    return b"\x00\xff" + len(part).to_bytes(8, "big") + bytes(4) + part


@pytest.mark.parametrize("length", [1 << 63, (1 << 64) - 1, (1 << 63) - 1], ids=hex)
def test_cve_2025_1695(shared: Serve, length: int) -> None:
    server = shared(APPS[1], "-w", "1", "--http2-cleartext")
    with websocket(server, "/") as client:
        client.client.send(b"\x82\xff" + length.to_bytes(8, "big") + b"mask")
        assert client.closed()[0] in (1002, 1009)
    served(server)


@pytest.mark.parametrize("character", "\x0b\x0c\x1c\x1d\x1e\x85\r\n\x00")
def test_cve_2026_44546(server: Server, character: str) -> None:
    with server.connect() as client:
        ask(client, "/", {"X": f"a{character}Evil: b"})
        assert client.answer().status == 400
        assert client.at_end()


def test_desync_early_answer(server: Server) -> None:
    """The answer comes before the body. What follows it is body still, then the connection is for the next request."""
    with server.connect() as client:
        client.send_request("POST", "/unread", {"Content-Length": str(len(EVIL)), "Expect": "100-continue"})
        head = client.head()
        if head.status == 100:  # WSGI's bodies are collected before the application is asked
            client.send(EVIL.encode())
            assert client.answer().text == "POST /unread b''"
            assert client.request("GET", "/last").text == "GET /last b''"
        else:
            client.send(EVIL.encode())
            body, _ = client.read_exactly(int(head.header("content-length") or 0))
            assert body == b"POST /unread b''"
            assert client.at_end()
    assert server.count("called '/evil'") == 0


@pytest.mark.parametrize("app", APPS)
def test_desync_pause(serve: Serve, app: str) -> None:
    server = serve(app, "-w", "1", "--body-min-rate", "1000", "--body-rate-window", "1")
    with server.connect() as client:
        client.send_request("POST", "/unread", {"Content-Length": str(len(EVIL) + 1)}, b"x")
        answer = client.answer()  # 408, or an answer without the body
        send_before_refusal(client, EVIL.encode())
        assert answer.status == 408 or answer.text == "POST /unread b''"
        assert b"HTTP/1.1" not in client.buffer and client.at_end()
    assert server.count("called '/evil'") == 0


# HTTP/2, on the same port. A request's fields, and what becomes of it: a status, a reset or the end of the connection.
REQUESTS: list[tuple[str, tuple[tuple[bytes, bytes], ...], dict[str, bytes]]] = [
    *(("cve_2025_57804", ((name, value),), {}) for name, value in [
        (b"x", b"a\r\nb: c"), (b"x", b"a\nb"), (b"x", b"a\rb"), (b"x", b"a\0b"), (b"x\r\ny", b"1"), (b"x\0", b"1"),
    ]),
    ("cve_2025_57804", (), {"path": b"/ HTTP/1.1\r\nHost: b"}),
    ("cve_2025_57804", (), {"method": b"GET / HTTP/1.1\r\nX: GET"}),
    *(("cve_2026_44546", ((b"x", b"a" + character + b"b"),), {}) for character in [
        b"\x0b", b"\x0c", b"\x1c", b"\x1d", b"\x1e", b"\x85", b"\x7f", b"\x01",
    ]),
    *(("desync_h2_names", ((name, value),), {}) for name, value in [
        (b"", b"1"), (b"x:", b"1"), (b"x y", b"1"), (b"X-Upper", b"1"), (b":path", b"/evil"), (b":evil", b"1"),
        (b"connection", b"content-length"), (b"upgrade", b"h2c"), (b"x\xe9", b"1"),
    ]),
    ("desync_h2_names", (), {"path": b"evil"}),
    ("desync_h2_names", (), {"path": b""}),
    ("desync_h2_te", ((b"transfer-encoding", b"chunked"),), {}),
    ("desync_h2_te", ((b"te", b"chunked"),), {}),
]  # fmt: skip


@pytest.mark.parametrize(("id", "more", "usual"), REQUESTS, ids=[f"{case[0]}-{n}" for n, case in enumerate(REQUESTS)])
def test_http2_request(server: Server, id: str, more: tuple[tuple[bytes, bytes], ...], usual: dict[str, bytes]) -> None:
    client = frames.connect(server)
    client.client.send(request(1, *more, method=usual.get("method", b"GET"), path=usual.get("path", b"/")))
    assert client.outcome(1) in (400, "reset", "ended")
    client.client.close()
    assert server.count("called '/evil'") == 0
    served(server)


def test_desync_h2_host(server: Server) -> None:
    """A Host field beside :authority says nothing (RFC 9113 8.3.1); several say no more."""
    for hosts in ([b"evil"], [b"evil", b"a"], [b"a", b"a"], [b""], [b"evil:80"]):
        client = frames.connect(server)
        client.client.send(request(1, *((b"host", host) for host in hosts), path=b"/fields"))
        outcome = client.outcome(1)
        if outcome == 200:
            assert json.loads(client.body(1))["host"] == "a", hosts
        else:
            assert outcome in (400, "reset", "ended"), hosts
        client.client.close()


@pytest.mark.parametrize("value", [b" a", b"a ", b"\ta\t", b" \t a \t "])
def test_desync_h2_spaces(server: Server, value: bytes) -> None:
    """Whitespace around a value is refused or gone, as over HTTP/1.1: nobody is to compare with it and be wrong."""
    client = frames.connect(server)
    client.client.send(request(1, (b"x", value), path=b"/fields"))
    outcome = client.outcome(1)
    if outcome == 200:
        assert json.loads(client.body(1))["x"] == "a"
    else:
        assert outcome in (400, "reset", "ended")
    client.client.close()
    served(server)


@pytest.mark.parametrize("length", [b"0", b"3", b"99", b"-1", b"5, 5", b"+5", b""])
def test_desync_h2_cl(server: Server, length: bytes) -> None:
    client = frames.connect(server)
    more = request(1, (b"content-length", length), end=False, method=b"POST", path=b"/belied")
    client.client.send(more + frame(DATA, frames.END_STREAM, 1, b"five!"))
    assert client.outcome(1) in (400, "reset", "ended")
    client.client.close()
    served(server)


def test_desync_h2_0(server: Server) -> None:
    client = frames.connect(server)
    client.client.send(request(1, end=False, method=b"POST", path=b"/unread"))
    client.client.send(frame(DATA, frames.END_STREAM, 1, EVIL.encode()))
    assert client.outcome(1) == 200
    client.client.send(request(3))
    assert client.outcome(3) == 200
    client.client.close()
    assert server.count("called '/evil'") == 0


def reset_at_once(n: int) -> bytes:
    return request(2 * n + 1) + frame(RST_STREAM, 0, 2 * n + 1, (8).to_bytes(4, "big"))


def continued(n: int) -> bytes:
    if n == 0:
        return frame(HEADERS, 0, 1, frames.fields())
    return frame(CONTINUATION, 0, 1, frames.literal(b"x", b"y"))


FLOODS: list[tuple[str, Callable[[int], bytes]]] = [
    *((id, reset_at_once) for id in ("hypercorn_146", "cve_2023_39325", "cve_2023_44487")),
    *((id, continued) for id in ("cve_2024_27316", "cve_2023_45288")),
    ("cve_2024_27316", lambda n: continued(0) if n == 0 else frame(CONTINUATION, 0, 1)),
    ("cve_2025_8671", lambda n: request(2 * n + 1) + frame(WINDOW_UPDATE, 0, 2 * n + 1, bytes(4))),
    ("cve_2025_8671", lambda n: request(2 * n + 1) + frame(WINDOW_UPDATE, 0, 2 * n + 1, b"\x7f\xff\xff\xff")),
    ("cve_2025_8671", lambda n: request(2 * n + 1) + frame(DATA, 1, 2 * n + 1, b"x")),
    (
        "cve_2025_8671",
        lambda n: request(2 * n + 1) + frame(HEADERS, frames.END_HEADERS | 1, 2 * n + 1, frames.fields()),
    ),
    ("cve_2025_8671", lambda n: request(2 * n + 1) + frame(frames.PRIORITY, 0, 2 * n + 1, b"\0")),
    ("cve_2026_78669", lambda n: setting(frames.INITIAL_WINDOW_SIZE, n)),
    ("cve_2026_78669", lambda n: frame(SETTINGS)),
    ("cve_2026_27141", lambda n: frame(0x0A + n % 6, n % 256, 0, b"x" * (n % 9))),
]


@pytest.mark.parametrize(("id", "one"), FLOODS, ids=[f"{case[0]}-{n}" for n, case in enumerate(FLOODS)])
def test_http2_flood(shared: Serve, id: str, one: Callable[[int], bytes]) -> None:
    server = shared(APPS[0], "-w", "1", "--http2-cleartext")
    assert frames.connect(server).flood(100_000, one), "the server puts up with it"
    served(server)


def test_cve_2026_27141(server: Server) -> None:
    client = frames.connect(server)
    client.client.send(b"".join(frame(kind, 0xFF, 0, b"x" * 9) for kind in range(0x0A, 0x10)) + request(1))
    assert client.outcome(1) == 200
    client.client.close()


@pytest.mark.parametrize("size", [0, 1, 1 << 24, (1 << 32) - 1])
def test_cve_2026_33814(server: Server, size: int) -> None:
    client = frames.connect(server)
    client.client.send(setting(frames.MAX_FRAME_SIZE, size) + request(1))
    assert client.outcome(1) == "ended"
    client.client.close()
    served(server)


@pytest.mark.parametrize("sent", [frames.PREFACE[:3], frames.PREFACE[:18], frames.PREFACE[:-1]])
def test_cve_2026_56853(shared: Serve, sent: bytes) -> None:
    server = shared(APPS[0], "-w", "1", "--http2-cleartext", "--header-timeout", "1")
    with server.connect() as client:
        client.send(sent)
        while client.fill():
            pass
    served(server)


@pytest.fixture(scope="module")
def built() -> dict[str, tuple[int, ...]]:
    """What the binary is made of: the compiler, as "go", and modules."""
    go = shutil.which("go") or pytest.fail("no go found, which tells what is in a binary")
    told = subprocess.run(
        [go, "version", "-m", str(BINARY)], check=True, capture_output=True, text=True, timeout=3 * PATIENCE
    ).stdout
    found = [("go", *re.findall(r": go([\d.]+)", told)), *re.findall(r"\tdep\t(\S+)\tv([\d.]+)", told)]
    return {name: tuple(int(part) for part in version.strip(".").split(".")) for name, version in found}


@pytest.mark.parametrize("id", VERSIONS)
def test_version(built: dict[str, tuple[int, ...]], id: str) -> None:
    name, version = VERSIONS[id]
    assert built[name] >= version


def test_every_advisory_has_its_test() -> None:
    required = {line.split()[0] for line in REQUIRED.strip().splitlines()} | set(GARDEN)
    assert len(required) == len(REQUIRED.strip().splitlines()) + len(GARDEN), "one is listed twice"
    functions = {name for name in globals() if re.match("test_(cve|desync|gunicorn|waitress)_", name)}
    tested = {name.removeprefix("test_") for name in functions} | {attack.id for attack in ATTACKS} | set(VERSIONS)
    tested |= {id for id, *_ in REQUESTS} | {id for id, _ in FLOODS}
    assert tested | set(NOT_APPLICABLE) == required
    assert tested.isdisjoint(NOT_APPLICABLE)
