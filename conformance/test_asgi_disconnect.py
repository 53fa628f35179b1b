"""Clients that go away: H31, A7 and A11 of the checklist, and when an application is cancelled."""

from __future__ import annotations

import socket
import uuid

import pytest
from asgi_variants import LOOPS, VARIANTS, SharedServers, Variant, seen
from harness import Server


@pytest.fixture(params=VARIANTS, ids=str)
def variant(request: pytest.FixtureRequest) -> Variant:
    found: Variant = request.param
    return found


@pytest.fixture
def server(shared: SharedServers, variant: Variant) -> Server:
    return shared("asgi_streams:app", *variant.flags)


@pytest.fixture
def name() -> str:
    return uuid.uuid4().hex


def leave(server: Server, target: str, name: str) -> None:
    """Ask, wait until the application has noted something, and go."""
    with server.connect() as client:
        client.send_request("GET", target)
        seen(server, name)


def test_h31_a_client_that_goes_is_a_disconnect_each_time(server: Server, name: str) -> None:
    leave(server, f"/watches?name={name}", name)
    assert seen(server, name, 2) == ["waiting", ["http.disconnect", "http.disconnect"]]


def test_a7_h31_send_raises_an_oserror_that_is_not_logged(server: Server, name: str) -> None:
    lines = len(server.lines)
    leave(server, f"/sends-after?name={name}", name)
    assert seen(server, name, 3) == ["waiting", "ClientDisconnected", "ClientDisconnected"]
    assert server.get("/plain").text == "plain"
    assert not [line for line in server.lines[lines:] if "Error" in line or "error" in line]


def test_h31_a_send_that_waits_for_the_client_raises_when_it_goes(server: Server, name: str) -> None:
    with server.connect() as client:
        client.send_request("GET", f"/endless?name={name}&size=65536")
        client.head()
    assert seen(server, name) == ["ClientDisconnected"]


@pytest.mark.parametrize("kind", ["own", "from", "group"])
def test_a7_errors_that_frameworks_make_of_it_are_not_logged(server: Server, name: str, kind: str) -> None:
    lines = len(server.lines)
    leave(server, f"/translates?name={name}&kind={kind}", name)
    assert seen(server, name, 2)[1] == "raising"
    assert server.get("/plain").text == "plain"
    assert not [line for line in server.lines[lines:] if "error while" in line]


def test_a7_a_mistake_that_the_disconnect_brings_to_light_is_logged(server: Server, name: str) -> None:
    lines = len(server.lines)
    leave(server, f"/translates?name={name}&kind=mistake", name)
    seen(server, name, 2)
    server.wait_for("NameError", after=lines)


def test_a_client_that_goes_does_not_cancel_the_application(shared: SharedServers, variant: Variant, name: str) -> None:
    """gunicorn 3484: cancelling at once broke applications that were about to finish."""
    server = shared("asgi_streams:app", *variant.flags)
    leave(server, f"/sleeps?name={name}&for=0.4", name)
    assert seen(server, name, 3) == ["sleeping", "slept", "cleaned"]


def test_an_application_that_goes_on_is_cancelled_after_the_grace(
    shared: SharedServers, variant: Variant, name: str
) -> None:
    server = shared("asgi_streams:app", *variant.flags, "--disconnect-grace", "0.3")
    lines = len(server.lines)
    leave(server, f"/sleeps?name={name}", name)
    notes = seen(server, name, 3)
    kind, after = notes[1]
    assert kind == "cancelled"
    assert 0.25 < after < 5
    assert notes[2] == "cleaned"
    assert not [line for line in server.lines[lines:] if "error while" in line]


def test_a11_disconnect_comes_first_then_cancelled_error_out_of_what_it_waits_for(
    shared: SharedServers, variant: Variant, name: str
) -> None:
    server = shared("asgi_streams:app", *variant.flags, "--disconnect-grace", "0.3")
    leave(server, f"/stubborn?name={name}", name)
    assert seen(server, name, 3) == ["waiting", "blocked", "CancelledError"]


def test_a11_an_application_that_takes_too_long_is_cancelled_and_its_client_told(
    shared: SharedServers, name: str
) -> None:
    server = shared("asgi_streams:app", *LOOPS[0].flags, "--timeout", "0.5")
    lines = len(server.lines)
    answer = server.get(f"/sleeps?name={name}")
    assert answer.status in (500, 503, 504)
    notes = seen(server, name, 3)
    assert notes[1][0] == "cancelled"
    server.wait_for("took too long", after=lines)
    assert server.get("/plain").text == "plain"


def test_a11_polling_for_the_disconnect_leaves_nothing_behind(server: Server, name: str) -> None:
    first = int(server.get(f"/polls?name={name}").text)
    assert first < 100


def test_h20_a_client_that_half_closes_has_gone(server: Server, name: str) -> None:
    with server.connect() as client:
        client.send_request("GET", f"/watches?name={name}")
        seen(server, name)
        client.sock.shutdown(socket.SHUT_WR)
        assert seen(server, name, 2)[1] == ["http.disconnect", "http.disconnect"]


def test_the_worker_lives_through_many_clients_that_leave(server: Server, name: str) -> None:
    for n in range(30):
        with server.connect() as client:
            client.send_request("GET", f"/endless?name={name}{n}&size=1000")
            if n % 3:
                client.head()
    assert server.get("/plain").text == "plain"
    assert "worker ended" not in server.log
