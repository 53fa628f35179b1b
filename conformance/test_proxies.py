"""Behind proxies: who the client is, whatever it claims, with a real nginx and a real HAProxy in front."""

from __future__ import annotations

import ast
import json
import socket
import ssl
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import trustme
from harness import BINARY, Answer, Client, Server
from proxies import UPGRADE, USUAL, connect, haproxy, nginx
from sockets import connect as websocket

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="clients get addresses of 127.0.0.0/8, which Linux has")

Serve = Callable[..., Server]
APP = "wsgi_environ:raw"
CLIENT = "127.0.0.9"  # not one of those that are believed
SPOOFED = {
    "X-Forwarded-For": "198.51.100.1",
    "X-Forwarded-Proto": "https",
    "X-Forwarded-Host": "evil.example",
    "X-Forwarded-Port": "666",
    "Forwarded": "for=198.51.100.2;proto=https;host=evil.example",
    "X-Real-IP": "198.51.100.3",
    "X-Client-IP": "198.51.100.4",
}


def environ(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.body
    return {key: value for key, (_, value) in json.loads(answer.body).items()}


def claims(seen: dict[str, Any]) -> list[str]:
    """Which fields about the client the application can see."""
    return [key for key in seen if "FORWARDED" in key or key in ("HTTP_X_REAL_IP", "HTTP_X_CLIENT_IP")]


def ask(client: Client, headers: dict[str, str] | None = None) -> dict[str, Any]:
    with client:
        return environ(client.request("GET", "/", {"Host": "www.example.org", **(headers or {})}))


def test_strangers_are_not_believed(shared: Serve) -> None:
    server = shared(APP, "-w", "1")
    seen = ask(connect(server.port, CLIENT), SPOOFED)
    assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"], seen["HTTP_HOST"]) == (CLIENT, "http", "www.example.org")
    assert claims(seen) == []
    assert "HTTPS" not in seen


def test_local_proxies_are_believed(shared: Serve) -> None:
    server = shared(APP, "-w", "1")
    told = {"X-Forwarded-For": "1.1.1.1, 203.0.113.7", "X-Forwarded-Proto": "https"}
    seen = ask(connect(server.port, "127.0.0.1"), told)
    assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"], seen["HTTPS"]) == ("203.0.113.7", "https", "on")
    assert seen["HTTP_X_FORWARDED_FOR"] == "1.1.1.1, 203.0.113.7"


def test_asgi_scope(serve: Serve) -> None:
    server = serve("asgi_scope:app", "-w", "1", "--forwarded-headers", "forwarded")
    fields = {
        "Forwarded": 'for="[2001:db8::7]:4711";proto=https;host=www.example.org:8443',
        "X-Forwarded-For": "1.1.1.1",
    }
    seen = ast.literal_eval(server.request("GET", "/", fields).text)
    assert (seen["client"], seen["scheme"]) == (("2001:db8::7", 4711), "https")
    assert seen["server"] == ("www.example.org", 8443)
    assert (b"host", b"www.example.org:8443") in seen["headers"]


def test_websocket_scheme(shared: Serve) -> None:
    """A handshake that came by https is wss to the application, whatever the proxy calls it."""
    server = shared("asgi_websocket:app", "-w", "1")
    for told in ("https", "wss"):
        with websocket(server, "/scope", {"X-Forwarded-Proto": told, "X-Forwarded-For": "203.0.113.7"}) as found:
            seen = ast.literal_eval(str(found.message()))
        assert (seen["scheme"], seen["client"]) == ("wss", ("203.0.113.7", 0))


def test_variable_of_other_servers(serve: Serve) -> None:
    server = serve(APP, "-w", "1", env={"FORWARDED_ALLOW_IPS": "127.0.0.8,127.0.0.9"})
    told = {"X-Forwarded-For": "203.0.113.7"}
    assert ask(connect(server.port, CLIENT), told)["REMOTE_ADDR"] == "203.0.113.7"
    assert ask(connect(server.port, "127.0.0.1"), told)["REMOTE_ADDR"] == "127.0.0.1"
    server.wait_for("forwarded header fields are removed.*sender=127.0.0.1.*add --forwarded-allow-ips 127.0.0.1")


@pytest.mark.parametrize("over", ["tcp", "unix"])
def test_nginx(serve: Serve, tmp_path: Path, over: str) -> None:
    if over == "unix":
        server = serve(APP, "-w", "1", bind=f"unix:{tmp_path}/app.sock")
        to = f"http://unix:{tmp_path}/app.sock"
    else:
        server = serve(APP, "-w", "1")
        to = f"http://127.0.0.1:{server.port}"
    with nginx(tmp_path, to) as proxy:
        seen = ask(proxy.connect(CLIENT))
        assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"], seen["HTTP_HOST"]) == (CLIENT, "http", "www.example.org")
        seen = ask(proxy.connect(CLIENT), SPOOFED)
        assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"], seen["HTTP_HOST"]) == (CLIENT, "http", "www.example.org")
        assert seen["HTTP_X_FORWARDED_FOR"] == f"198.51.100.1, {CLIENT}"


def test_nginx_that_tells_the_host(serve: Serve, tmp_path: Path) -> None:
    names = ",".join(f"x-forwarded-{what}" for what in ("for", "proto", "host", "port"))
    server = serve(APP, "-w", "1", "--forwarded-headers", names)
    more = """
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Proto https;
        proxy_set_header X-Forwarded-Host $host;
        proxy_set_header X-Forwarded-Port 8443;
    """
    with nginx(tmp_path, f"http://127.0.0.1:{server.port}", more) as proxy:
        seen = ask(proxy.connect(CLIENT), SPOOFED)
    assert (seen["HTTP_HOST"], seen["SERVER_NAME"], seen["SERVER_PORT"]) == (
        "www.example.org:8443",
        "www.example.org",
        "8443",
    )
    assert (seen["wsgi.url_scheme"], seen["REMOTE_ADDR"]) == ("https", CLIENT)


def test_websocket_behind_nginx(serve: Serve, tmp_path: Path) -> None:
    server = serve("asgi_websocket:app", "-w", "1")
    with nginx(tmp_path, f"http://127.0.0.1:{server.port}", USUAL + UPGRADE) as proxy:
        server.port = proxy.port
        with websocket(server, "/scope", SPOOFED) as found:
            seen = ast.literal_eval(str(found.message()))
    # The client of this test has the address of a proxy, so what it says of its own client is believed.
    assert (seen["scheme"], seen["client"]) == ("ws", ("198.51.100.1", 0))


def test_nginx_that_nobody_believes(serve: Serve, tmp_path: Path) -> None:
    server = serve(APP, "-w", "1", "--forwarded-allow-ips", "10.0.0.1")
    with nginx(tmp_path, f"http://127.0.0.1:{server.port}") as proxy:
        seen = ask(proxy.connect(CLIENT))
    assert (seen["REMOTE_ADDR"], claims(seen)) == ("127.0.0.1", [])


@pytest.mark.parametrize(
    "how", ["send-proxy", "send-proxy-v2", "send-proxy-v2 proxy-v2-options crc32c,unique-id,authority"]
)
def test_haproxy(serve: Serve, tmp_path: Path, how: str) -> None:
    """In TCP mode it understands nothing of HTTP: the header that it sends first is all there is."""
    server = serve(APP, "-w", "1", "--proxy-protocol", "--access-logfile", "-")
    # On a busy machine a check may take longer than the 100 ms it has: that must not take the server out of use.
    to = f"127.0.0.1:{server.port} {how} check check-send-proxy inter 100ms fall 1000"
    with haproxy(tmp_path, to, more="option httpchk GET /check") as proxy:
        server.wait_for(r"127\.0\.0\.1 .*GET /check")  # its own connections are nobody else's
        with proxy.connect(CLIENT) as client:
            for _ in range(2):
                seen = environ(client.request("GET", "/", SPOOFED))
                assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"], claims(seen)) == (CLIENT, "http", [])
                assert seen["REMOTE_PORT"] == str(client.sock.getsockname()[1])
                assert (seen["SERVER_NAME"], seen["SERVER_PORT"]) == ("127.0.0.1", str(proxy.port))


def test_haproxy_that_ends_tls(serve: Serve, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "site.pem"))
    server = serve(APP, "-w", "1", "--proxy-protocol")
    context = ssl.create_default_context()
    authority.configure_trust(context)
    bind = f" ssl crt {tmp_path}/site.pem"
    with haproxy(tmp_path, f"127.0.0.1:{server.port} send-proxy-v2-ssl", bind=bind) as proxy:
        plain = proxy.connect(CLIENT)
        with Client(context.wrap_socket(plain.sock, server_hostname="localhost")) as client:
            seen = environ(client.request("GET", "/"))
    assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"], seen["HTTPS"]) == (CLIENT, "https", "on")


def test_proxy_header_is_for_proxies(serve: Serve) -> None:
    server = serve(APP, "-w", "1", "--proxy-protocol")
    header = b"PROXY TCP4 203.0.113.7 198.51.100.2 51234 443\r\n"
    request = b"GET / HTTP/1.1\r\nHost: h\r\n\r\n"
    with connect(server.port, "127.0.0.1") as client:
        client.send(header + request)
        assert environ(client.answer())["REMOTE_ADDR"] == "203.0.113.7"
    with connect(server.port, "127.0.0.1") as client:
        client.send(request)
        assert client.at_end()  # a proxy that does not say who its client is
    with connect(server.port, CLIENT) as client:
        client.send(header + request)
        assert client.at_end()  # a client that says who it would like to be
    assert ask(connect(server.port, CLIENT))["REMOTE_ADDR"] == CLIENT
    server.wait_for("a connection was closed because of its beginning")


def test_proxy_header_without_the_setting(shared: Serve) -> None:
    server = shared(APP, "-w", "1")
    for header in (b"PROXY TCP4 203.0.113.7 198.51.100.2 1 2\r\n", b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0"):
        with connect(server.port, "127.0.0.1") as client:
            client.send(header + b"GET / HTTP/1.1\r\nHost: h\r\n\r\n")
            assert client.answer().status == 400
            assert client.at_end()


def test_proxy_header_before_tls(serve: Serve, tmp_path: Path) -> None:
    authority = trustme.CA()
    certificate = authority.issue_cert("localhost")
    certificate.private_key_and_cert_chain_pem.write_to_path(str(tmp_path / "site.pem"))
    server = serve(APP, "-w", "1", "--proxy-protocol", "--certfile", str(tmp_path / "site.pem"))
    context = ssl.create_default_context()
    authority.configure_trust(context)
    plain = connect(server.port, "127.0.0.1")
    plain.send(b"PROXY TCP6 2001:db8::7 2001:db8::1 51234 443\r\n")
    with Client(context.wrap_socket(plain.sock, server_hostname="localhost")) as client:
        seen = environ(client.request("GET", "/"))
    assert (seen["REMOTE_ADDR"], seen["wsgi.url_scheme"]) == ("2001:db8::7", "https")


def test_allowed_hosts(serve: Serve) -> None:
    server = serve(APP, "-w", "1", "--allowed-hosts", "www.example.org,.example.com", "--allowed-hosts", "127.0.0.1")
    with server.connect() as client:
        for host, status in [
            ("www.example.org", 200),
            ("WWW.example.org.:8000", 200),
            ("example.com", 200),
            ("a.b.example.com", 200),
            ("127.0.0.1", 200),
            ("example.org", 421),
            ("notexample.com", 421),
            ("localhost", 421),
        ]:
            assert client.request("GET", "/", {"Host": host}).status == status, host


def test_connections_of_one_address(serve: Serve, tmp_path: Path) -> None:
    server = serve(APP, "-w", "1", "--limit-connections-per-address", "3")
    kept = [connect(server.port, CLIENT) for _ in range(3)]
    for client in kept:
        environ(client.request("GET", "/"))
    with connect(server.port, CLIENT) as client:
        assert client.at_end()
    server.wait_for(f"more connections than limit_connections_per_address allows.*address={CLIENT}.*limit=3")
    assert ask(connect(server.port, "127.0.0.10"))["REMOTE_ADDR"] == "127.0.0.10"
    with nginx(tmp_path, f"http://127.0.0.1:{server.port}") as proxy:  # its connections are those of all its clients
        held = [proxy.connect(CLIENT) for _ in range(6)]
        for client in held:
            assert environ(client.request("GET", "/"))["REMOTE_ADDR"] == CLIENT
        for client in held:
            client.close()
    for client in kept:
        client.close()


def test_requests_of_one_address(serve: Serve, tmp_path: Path) -> None:
    server = serve(APP, "-w", "1", "--limit-rate", "5/h", "--limit-exempt", "127.0.0.11")

    def served(client: Client) -> list[int]:
        with client:
            return [client.request("GET", "/", SPOOFED).status for _ in range(7)]

    assert served(connect(server.port, CLIENT)) == [200] * 5 + [429] * 2
    with connect(server.port, CLIENT) as client:
        refused = client.request("GET", "/")
    assert (refused.status, refused.complete) == (429, True)
    assert 600 <= int(refused.header("retry-after") or 0) <= 720
    assert served(connect(server.port, "127.0.0.11")) == [200] * 7
    with nginx(tmp_path, f"http://127.0.0.1:{server.port}") as proxy:
        assert served(proxy.connect(CLIENT)) == [429] * 7  # the same client by another way
        assert served(proxy.connect("127.0.0.12")) == [200] * 5 + [429] * 2
    server.wait_for("more requests than limit_rate allows")


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (["--forwarded-allow-ips", "localhost"], '"localhost" is neither an address'),
        (["--proxy-allow-from", "10.0.0.1/8"], "expected 10.0.0.1 or 10.0.0.0/8"),
        (["--forwarded-headers", "x-real-ip"], "is not a field that can be believed"),
        (["--allowed-hosts", "example.com:80"], "without a port"),
        (["--limit-rate", "100"], "such as 100/s"),
        (["--limit-exempt", "x"], "is neither an address"),
        (["--proxy-headers"], "the proxies of --forwarded-allow-ips are always believed"),
    ],
    ids=lambda value: value[0] if isinstance(value, list) else "",
)
def test_mistakes(flags: list[str], message: str) -> None:
    for command in ("serve", "check"):
        done = subprocess.run(
            [str(BINARY), command, APP, *flags], check=False, capture_output=True, text=True, timeout=60
        )
        assert done.returncode == 2
        assert message in done.stderr, done.stderr
        assert "Traceback" not in done.stderr


def test_several_addresses(serve: Serve, tmp_path: Path) -> None:
    server = serve(
        APP, "-w", "1", "--bind", "127.0.0.2:0", "--bind", f"unix:{tmp_path}/a.sock", "--socket-mode", "0640"
    )
    path = tmp_path / "a.sock"
    assert path.stat().st_mode & 0o7777 == 0o640
    seen = [ask(connect(server.port, "127.0.0.1"))["REMOTE_ADDR"]]
    other = int(server.wait_for(r"http://127\.0\.0\.2:\d+").rpartition(":")[2])
    with Client(socket.create_connection(("127.0.0.2", other))) as client:
        seen.append(environ(client.request("GET", "/"))["SERVER_NAME"])
    sock = socket.socket(socket.AF_UNIX)
    sock.connect(str(path))
    with Client(sock) as client:
        seen.append(environ(client.request("GET", "/"))["REMOTE_ADDR"])
    assert seen == ["127.0.0.1", "127.0.0.2", ""]
    assert server.stop() == 0
    assert not path.exists()
