"""start_response and write, used rightly and wrongly, and errors of the application (PEP 3333)."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from apps.wsgi_wrong import FORGIVEN, HOP_BY_HOP, WRONG
from harness import Server
from wsgi_loops import GEVENT, WSGI_LOOPS


@pytest.fixture(params=WSGI_LOOPS)
def server(request: pytest.FixtureRequest, shared: Callable[..., Server]) -> Server:
    return shared("wsgi_start:app", "--workers", "1", *request.param)


@pytest.fixture(params=WSGI_LOOPS)
def raw(request: pytest.FixtureRequest, shared: Callable[..., Server]) -> Server:
    """Without wsgiref's validator, which would find the mistakes before the server does."""
    return shared("wsgi_start:raw", "--workers", "1", *request.param)


@pytest.mark.parametrize("flags", [("-k", "threads", "--threads", "8"), ("-k", "threads", "--threads", "1"), GEVENT])
def test_g15_exactly_two_positional_arguments(serve: Callable[..., Server], flags: tuple[str, ...]) -> None:
    assert serve("wsgi_start:arguments", *flags).get("/").text == "2 0"


def test_g16_status_and_headers_as_given(server: Server) -> None:
    answer = server.get("/good")
    assert (answer.status, answer.reason, answer.text) == (201, "Made Here", "good")
    assert answer.all("x-one") == ["1", "2"]
    assert ("x-low", "a b") in answer.headers


def test_g16_arguments_are_positional(raw: Server) -> None:
    assert raw.get("/keywords").text == "positional only"


def test_g16_the_headers_list_is_copied(server: Server) -> None:
    answer = server.get("/changed")
    assert (answer.header("x-kept"), answer.header("x-injected")) == ("1", None)


TYPES = [what for what, (*_, error) in WRONG.items() if error is TypeError]


@pytest.mark.parametrize("what", TYPES)
def test_g16_wrong_types_are_type_errors(raw: Server, what: str) -> None:
    assert raw.get(f"/wrong?what={what}").text.startswith("TypeError: start_response: expected ")
    assert raw.get(f"/raised?what={what}").status == 500


def test_g17_second_call_without_exc_info(raw: Server) -> None:
    answer = raw.get("/twice")
    assert answer.text.startswith("AssertionError: start_response was called a second time")


def test_g18_exc_info_before_the_answer_replaces_it(server: Server) -> None:
    answer = server.get("/replaced")
    assert (answer.status, answer.reason, answer.text) == (503, "Sorry", "instead")
    assert answer.header("x-first") is None


def test_g18_exc_info_after_the_answer_is_raised_again(server: Server) -> None:
    at = len(server.lines)
    answer = server.get("/reraised")
    assert (answer.status, answer.body, answer.complete) == (200, b"part", False)
    server.wait_for("KeyError: 'too late'", after=at)


def test_g18_no_reference_to_exc_info_is_kept(raw: Server) -> None:
    assert raw.get("/reference").text == "dropped"


VALUES = [what for what, (*_, error) in WRONG.items() if error is ValueError]


@pytest.mark.parametrize("what", VALUES)
def test_g21_what_would_split_the_answer_is_a_value_error(raw: Server, what: str) -> None:
    with raw.connect() as client:
        answer = client.request("GET", f"/wrong?what={what}")
        assert answer.text.startswith("ValueError: start_response: ")
        assert answer.header("set-cookie") is None
        assert client.request("GET", f"/raised?what={what}").status == 500
        assert client.request("GET", "/good").status == 201


@pytest.mark.parametrize("what", HOP_BY_HOP)
def test_g22_hop_by_hop_fields_never_reach_the_client(raw: Server, what: str) -> None:
    with raw.connect() as client:
        for _ in range(2):  # the second time the fields are known
            answer = client.request("GET", f"/forgiven?what={what.lower()}")
            assert (answer.status, answer.text, answer.header(what)) == (200, "forgiven", None)


@pytest.mark.parametrize("what", [what for what in FORGIVEN if what in ("tuple", "list")])
def test_g16_other_sequences_are_taken_as_other_servers_take_them(raw: Server, what: str) -> None:
    answer = raw.get(f"/forgiven?what={what}")
    assert (answer.status, answer.header("content-type"), answer.text) == (200, "text/plain", "forgiven")


@pytest.mark.parametrize("path", ["/fails", "/fails-first", "/none"])
def test_g29_error_before_the_answer_is_500(server: Server, path: str) -> None:
    at = len(server.lines)
    with server.connect() as client:
        answer = client.request("GET", path)
        assert (answer.status, answer.complete) == (500, True)
        assert answer.header("content-type") == "text/plain; charset=utf-8"
        assert b"Traceback" not in answer.body
        assert b"bug" not in answer.body
        server.wait_for(f"error while answering GET {path}", after=at)
        server.wait_for("RuntimeError: the application has a bug|AssertionError", after=at)
        assert client.request("GET", "/good").status == 201  # the connection stays


def test_g29_the_traceback_shows_the_application_only(raw: Server) -> None:
    at = len(raw.lines)
    assert raw.get("/fails").status == 500
    raw.wait_for("RuntimeError: the application has a bug", after=at)
    logged = "\n".join(raw.lines[at:])
    assert "wsgi_start.py" in logged
    assert "backline/wsgi.py" not in logged


def test_g29_error_within_the_answer_cuts_it(server: Server) -> None:
    at = len(server.lines)
    with server.connect() as client:
        answer = client.request("GET", "/fails-late")
        assert (answer.status, answer.body, answer.complete) == (200, b"some of it", False)
        assert client.at_end()
    server.wait_for("RuntimeError: the application has a late bug", after=at)


def test_g29_system_exit_ends_the_request_not_the_worker(server: Server) -> None:
    assert server.get("/exits").status == 500
    assert server.get("/good").status == 201
    assert server.count("worker .* (ended|died|crashed)") == 0


@pytest.mark.parametrize("path", ["/generator", "/lazy"])
def test_g31_start_response_may_come_with_the_first_piece(server: Server, path: str) -> None:
    answer = server.get(path)
    assert (answer.status, answer.text) == (202, "lazily")


def test_g31_no_second_piece_is_asked_for_without_start_response(raw: Server) -> None:
    at = len(raw.lines)
    assert raw.get("/unstarted").status == 500
    raw.wait_for("AssertionError: the application sent a body before calling start_response", after=at)
    assert raw.get("/unstarted?advanced=1").text == "1"


def test_g34_stop_iteration_means_that_no_answer_comes(raw: Server) -> None:
    """gunicorn's sign of an application that has taken the socket: nothing is sent, nothing is logged as an error."""
    at = len(raw.lines)
    with raw.connect() as client:
        client.send_request("GET", "/took")
        assert client.at_end()
    assert raw.get("/good").status == 201
    assert "Traceback" not in "\n".join(raw.lines[at:])
