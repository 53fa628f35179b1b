"""The HTTP connection scope (ASGI www 2.1): H1 to H15, and A3, A4 of the checklist."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asgi_variants import LOOPS, VARIANTS, SharedServers, scope_of
from harness import Server

GET = b"GET %s HTTP/1.1\r\nHost: testserver\r\n%s\r\n"


@pytest.fixture(params=VARIANTS, ids=str)
def server(shared: SharedServers, request: pytest.FixtureRequest) -> Server:
    return shared("asgi_scope:app", *request.param.flags)


def scope(server: Server, target: bytes = b"/", fields: bytes = b"") -> dict[str, Any]:
    return scope_of(server, GET % (target, fields))


def test_h1_h2_h3_h4_the_kind_of_request(server: Server) -> None:
    found = scope(server)
    assert (found["type"], found["http_version"], found["method"], found["scheme"]) == ("http", "1.1", "GET", "http")
    old = scope_of(server, b"OPTIONS / HTTP/1.0\r\n\r\n")
    assert (old["http_version"], old["method"]) == ("1.0", "OPTIONS")


def test_h3_methods_of_the_applications_own_arrive_unchanged(server: Server) -> None:
    for method in (b"PROPFIND", b"M-SEARCH", b"PATCH"):
        found = scope_of(server, method + b" / HTTP/1.1\r\nHost: testserver\r\n\r\n")
        assert found["method"] == method.decode()


@pytest.mark.parametrize(
    ("target", "path", "raw_path", "query"),
    [
        (b"/", "/", b"/", b""),
        (b"/a/b", "/a/b", b"/a/b", b""),
        (b"/a%20b?x=%20&y", "/a b", b"/a%20b", b"x=%20&y"),
        (b"/a%2Fb", "/a/b", b"/a%2Fb", b""),
        (b"/caf%C3%A9", "/café", b"/caf%C3%A9", b""),
        (b"/%F0%9F%98%80", "/\N{GRINNING FACE}", b"/%F0%9F%98%80", b""),
        (b"/a%3Fb?c?d", "/a?b", b"/a%3Fb", b"c?d"),
        (b"/a+b", "/a+b", b"/a+b", b""),
        (b"/a?", "/a", b"/a", b""),
        (b"//a//b/../c/.", "//a//b/../c/.", b"//a//b/../c/.", b""),
        (b"/%2525", "/%25", b"/%2525", b""),
        (b"/?q=%FF%00%zz", "/", b"/", b"q=%FF%00%zz"),
    ],
)
def test_h5_h6_h7_path_is_decoded_once_and_raw_path_and_query_never(
    server: Server, target: bytes, path: str, raw_path: bytes, query: bytes
) -> None:
    found = scope(server, target)
    assert (found["path"], found["raw_path"], found["query_string"]) == (path, raw_path, query)


def test_h5_a_path_that_is_not_utf8_arrives_as_a_str_that_can_be_encoded(server: Server) -> None:
    found = scope(server, b"/a%FFb%C3")
    assert found["raw_path"] == b"/a%FFb%C3"
    assert found["path"].startswith("/a") and "b" in found["path"]
    found["path"].encode()  # no surrogates: they would break templates and logs


def test_h5_bytes_outside_ascii_are_refused_or_decoded_but_never_kill_the_worker(server: Server) -> None:
    with server.connect() as client:
        client.send(b"GET /caf\xc3\xa9\xff HTTP/1.1\r\nHost: testserver\r\n\r\n")
        answer = client.answer()
    assert answer.status in (200, 400)
    assert scope(server)["path"] == "/"
    assert "broke the worker protocol" not in server.log


def test_h8_root_path_is_empty_without_a_setting(server: Server) -> None:
    assert scope(server)["root_path"] == ""


@pytest.mark.parametrize(
    ("target", "path"),
    [
        (b"/site/a", "/site/a"),  # a proxy that forwards the path as it is
        (b"/a", "/site/a"),  # one that takes the prefix off
        (b"/site", "/site"),
        (b"/sitemap.xml", "/site/sitemap.xml"),  # not under the prefix, though it begins with it
        (b"/site%20x", "/site/site x"),
    ],
)
def test_h5_h8_path_includes_root_path_once(shared: SharedServers, target: bytes, path: str) -> None:
    server = shared("asgi_scope:app", *LOOPS[0].flags, "--root-path", "/site")
    found = scope(server, target)
    assert (found["root_path"], found["path"], found["raw_path"]) == ("/site", path, target)


def test_h9_headers_keep_order_and_duplicates_and_get_lower_case_names(server: Server) -> None:
    found = scope(server, b"/", b"X-One: 1\r\nACCEPT: a\r\nx-one:  2 \r\nX-Empty:\r\nX-Bytes: caf\xe9\r\n")
    assert [tuple(pair) for pair in found["headers"]] == [
        (b"host", b"testserver"),
        (b"x-one", b"1"),
        (b"accept", b"a"),
        (b"x-one", b"2"),
        (b"x-empty", b""),
        (b"x-bytes", b"caf\xe9"),
    ]


def test_h10_an_absolute_target_gives_one_host_and_no_pseudo_header(server: Server) -> None:
    """RFC 9112 3.2.2 lets a client send the whole URL; one whose Host says something else is refused."""
    found = scope_of(server, b"GET http://other:81/a?b HTTP/1.1\r\nHost: other:81\r\nX: 1\r\n\r\n")
    assert [tuple(pair) for pair in found["headers"]] == [(b"host", b"other:81"), (b"x", b"1")]
    assert (found["path"], found["raw_path"], found["query_string"]) == ("/a", b"/a", b"b")


def test_h11_cookies_of_several_fields_arrive_in_order(server: Server) -> None:
    """Over HTTP/1.1 the fields stay as they are; joining them is for HTTP/2, where clients split them."""
    found = scope(server, b"/", b"Cookie: a=1; b=2\r\nCookie: c=3\r\n")
    cookies = [value for name, value in found["headers"] if name == b"cookie"]
    assert b"; ".join(cookies) == b"a=1; b=2; c=3"


def test_h12_h13_client_and_server_are_the_ends_of_the_connection(server: Server) -> None:
    with server.connect() as client:
        mine = client.sock.getsockname()
        client.send_request("GET", "/")
        text = client.answer().text
    assert repr(tuple(mine)) in text
    found = scope(server)
    assert list(found["server"]) == ["127.0.0.1", server.port]
    assert found["client"][0] == "127.0.0.1"
    assert isinstance(found["client"][1], int)


def test_h12_h13_over_a_unix_socket(serve: Callable[..., Server], tmp_path: Path) -> None:
    path = tmp_path / "socket"
    server = serve("asgi_scope:app", *LOOPS[0].flags, bind=f"unix:{path}")
    found = scope(server)
    assert found["client"] is None
    assert list(found["server"]) == [str(path), None]


def test_h14_state_is_absent_without_a_lifespan(server: Server) -> None:
    assert "state" not in scope(server)


def test_h15_extensions_are_a_dict_of_dicts(server: Server) -> None:
    found = scope(server)["extensions"]
    assert found == {"http.response.pathsend": {}, "http.response.early_hint": {}}


def test_h1_the_versions_that_the_scope_names(server: Server) -> None:
    assert scope(server)["asgi"] == {"version": "3.0", "spec_version": "2.4"}


def test_h1_an_application_can_be_told_an_older_version(shared: SharedServers) -> None:
    server = shared("asgi_scope:app", *LOOPS[0].flags, "--asgi-spec-version", "2.3")
    assert scope(server)["asgi"]["spec_version"] == "2.3"


def test_a4_types_are_exact(server: Server) -> None:
    found = json.loads(server.get("/types?x").body)
    assert (found["keys"], found["header"]) == (["str"], ["bytes"])
    for key, kind in {
        "type": "str", "http_version": "str", "method": "str", "scheme": "str", "path": "str", "raw_path": "bytes",
        "query_string": "bytes", "root_path": "str", "headers": "list", "asgi": "dict", "extensions": "dict",
    }.items():  # fmt: skip
        assert found[key] == kind, key


def test_a3_a_spoilt_scope_is_spoilt_for_its_own_call_only(server: Server) -> None:
    for _ in range(3):
        assert "spoilt" not in server.get("/mutate").text
