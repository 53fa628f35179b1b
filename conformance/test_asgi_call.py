"""How an application is called: A1, A2 and A12 of the checklist, and what the two event loops must not change."""

from __future__ import annotations

import json

import pytest
from asgi_variants import LOOPS, VARIANTS, SharedServers, Variant, seen
from harness import Server, in_parallel


@pytest.fixture(params=VARIANTS, ids=str)
def variant(request: pytest.FixtureRequest) -> Variant:
    found: Variant = request.param
    return found


@pytest.fixture
def server(shared: SharedServers, variant: Variant) -> Server:
    return shared("asgi_scope:app", *variant.flags)


def test_a1_one_loop_in_the_main_thread_and_a_task_for_each_call(server: Server, variant: Variant) -> None:
    found = [json.loads(server.get("/where").body) for _ in range(3)]
    assert all(one["main"] and one["task"] for one in found)
    assert len({one["loop_id"] for one in found}) == 1
    assert found[0]["loop"].startswith("uvloop" if variant.uvloop else "asyncio"), found[0]


def test_a1_a_call_begins_as_soon_as_its_request_has_come(server: Server) -> None:
    """Where Python can (3.12): its first line runs while the loop reads, not when it turns the next time."""
    for _ in range(3):
        found = json.loads(server.get("/where").body)
        assert found["eager"] is (found["python"] >= [3, 12]), found


def test_a1_one_call_for_each_request(server: Server) -> None:
    before = len(json.loads(server.get("/seen?calls").body))
    with server.connect() as client:
        for _ in range(5):
            assert client.request("GET", "/count").text == "counted"
    assert len(seen(server, "calls")) == before + 5


@pytest.mark.parametrize("app", ["Class", "function"])
def test_a2_applications_of_asgi_2(shared: SharedServers, variant: Variant, app: str) -> None:
    server = shared(f"asgi_double:{app}", *variant.flags)
    assert server.request("POST", "/twice", body=b"called").text == "/twice called"


def test_a12_context_variables_of_one_call_are_not_those_of_another(server: Server) -> None:
    with server.connect() as client:
        for n in range(3):
            found = json.loads(client.request("POST", f"/context?{n}", body=b"x").body)
            assert found == [None, str(n)]

    def one(n: int) -> None:
        found = json.loads(server.request("POST", f"/context?{n}", body=b"x" * n).body)
        assert found == [None, str(n)]

    in_parallel(8, one)


def test_a1_pipelined_requests_are_answered_in_order(shared: SharedServers) -> None:
    server = shared("asgi_scope:app", *LOOPS[0].flags)
    with server.connect() as client:
        client.send(b"".join(b"GET /p%d HTTP/1.1\r\nHost: testserver\r\n\r\n" % n for n in range(10)))
        for n in range(10):
            assert f"'/p{n}'" in client.answer().text
