"""The same application by itself behind Pushpin, and over Backline: clients get the same.

Where they do not, ``DELIBERATE`` says why.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import time
from collections.abc import Iterator
from typing import Any

import jwt
import pytest
from apps.scripted import application
from grip_cases import ALONE, CASES, SOCKETS, Case, SocketCase
from harness import PATIENCE, Answer, Client, Server, eventually
from pushpin import Pushpin, pushpin, wsgiref_server
from sockets import TEXT, Socket, connect
from test_realtime import admin_port

KEY = ("backline", "32 bytes are what a key of HS256 has")
BASIC = "Basic " + base64.b64encode(":".join(KEY).encode()).decode()
WAIT = 1500  # milliseconds that a publication waits for the one before it

# Fields that are each server's own, and those of one connection.
OWN = {"date", "server", "connection", "keep-alive", "transfer-encoding", "content-length", "sec-websocket-accept"}

# What Backline does otherwise, by the name of the case, and why. Beside these, mistakes of the application's are
# answered with 500 as all of them, and by Pushpin with 502, as by a proxy.
DELIBERATE = {
    "an unknown code": "a status that nobody has named gets no reason; Pushpin says Undefined Reason",
    "close": "ends long polls too, with what the view gave; Pushpin lets them wait on",
    "content-filters that the channel has not": "are applied; Pushpin ends the answer, so that its client comes back",
    "wrong stream from a prev-id without a link": "is refused; Pushpin sends what there is and cuts it off",
    "a control that is none": "ends the WebSocket (1011) and is logged; Pushpin passes over it",
}


class Site:
    """One of the two servers."""

    def __init__(self, port: int, control: int, server: Server | Pushpin) -> None:
        self.port, self.control, self.server = port, control, server

    @property
    def log(self) -> str:
        return "\n".join(self.server.lines)

    def connect(self) -> Client:
        return Client(socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE))

    def publish(self, item: Any, status: int = 200) -> None:
        with Client(socket.create_connection(("127.0.0.1", self.control), timeout=PATIENCE)) as client:
            body = json.dumps({"items": [item]}).encode()
            answer = client.request("POST", "/publish/", {"Authorization": BASIC}, body)
            assert answer.status == status, (answer, self.log)

    def subscribed(self, channel: str, count: int) -> None:
        """Until somebody waits for so many channels, of which this is one."""
        if isinstance(self.server, Pushpin):
            self.server.wait_for(rf"subscribe .*channel={re.escape(channel)}$")
        else:
            eventually(lambda: self.members() == count, f"{count} memberships")

    def members(self) -> int:
        """How many memberships Backline has. Those of the case before may be about to end."""
        with Client(socket.create_connection(("127.0.0.1", self.control), timeout=PATIENCE)) as client:
            found = re.search(r"^backline_group_members (\d+)", client.request("GET", "/-/metrics").text, re.MULTILINE)
        assert found
        return int(found[1])


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Site, Site]]:
    flags = ("--workers", "1", "--threads", "4", "--admin-bind", "127.0.0.1:0", "--websocket-over-http")
    more = ("--grip-key", "=".join(KEY), "--publish-wait", f"{WAIT}ms", "--websocket-ping-interval", "60s")
    with (
        wsgiref_server(application) as port,
        pushpin(tmp_path_factory.mktemp("p"), port, WAIT, KEY) as other,
        Server("scripted", *flags, *more) as server,
    ):
        yield Site(server.port, admin_port(server), server), Site(other.port, other.control, other)


def own(text: str, name: str) -> str:
    """A case's channels are its own."""
    return text.replace("CHANNEL", name.replace(" ", "-"))


def script(said: Any, name: str) -> str:
    """The target of a request that is answered like this. A link in it is to what LINK says."""
    text = own(json.dumps({k: v for k, v in said.items() if k != "link"}), name)
    if "link" in said:
        text = text.replace("LINK", script(said["link"], name))
    path = "/" + name.replace(" ", "-")
    return f"{path}?script={base64.urlsafe_b64encode(text.encode()).decode()}"


def shown(answer: Answer) -> list[Any]:
    fields = sorted((name.lower(), value) for name, value in answer.headers if name.lower() not in OWN)
    return [answer.status, answer.reason, fields]


def played(site: Site, case: Case) -> list[Any]:
    """What the client of a case gets."""
    name = case.name
    if not isinstance(site.server, Pushpin):
        eventually(lambda: site.members() == 0, "the case before is over")
    with site.connect() as client:
        client.send_request("GET", script(case.script, name))
        if case.steps or case.stream:
            site.subscribed(own("CHANNEL", name), case.channels)
        if not case.stream:
            for step in case.steps:
                if isinstance(step, int) and isinstance(site.server, Server):
                    asked, server = rf"(?m)asked /{name.replace(' ', '-')}$", site.server
                    eventually(lambda: server.count(asked) >= step, "the view is asked again")  # noqa: B023
                else:
                    site.publish(json.loads(own(json.dumps(step), name)))
            answer = client.answer()
            return [*shown(answer), answer.body]
        head, chunks, body = client.head(), client.chunks(), b""
        for step in [*case.steps, case.end]:
            if isinstance(step, str):
                while step.encode() not in body:
                    more = next(chunks, None)
                    assert more is not None, (step, body, site.log[-3000:])
                    body += more
            else:
                site.publish(json.loads(own(json.dumps(step), name)))
        for more in chunks:
            body += b"<cut>" if more is None else more
        return [*shown(head), body]


def agree(name: str, ours: list[Any], theirs: list[Any]) -> None:
    if name.startswith("wrong "):
        assert ours[0] == 500, ours  # and never a part of what was meant
        assert theirs[0] == 502 or name in DELIBERATE, theirs
    elif name in DELIBERATE:
        assert ours != theirs, f"{name}: no difference any more"
    else:
        assert ours == theirs


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name.replace(" ", "-"))
def test_held_answers(sites: tuple[Site, Site], case: Case) -> None:
    ours, theirs = (played(site, case) for site in sites)
    agree(case.name, ours, theirs)
    if case.expected is not None:
        assert ours[3] == case.expected


@pytest.mark.parametrize("case", ALONE, ids=lambda case: case.name.replace(" ", "-"))
def test_what_cannot_be_compared(sites: tuple[Site, Site], case: Case) -> None:
    got = played(sites[0], case)
    assert got[0] == 500 if case.expected is None else got[3] == case.expected


def talked(site: Site, case: SocketCase) -> list[Any]:
    name, got = case.name, []
    path = script(case.script, name)
    with connect(site, path) as ws:  # type: ignore[arg-type]
        ws.client.sock.settimeout(2 * PATIENCE)  # nobody is asked by and by more often than every 20 s
        got += shown(ws.answer)
        for step in case.steps:
            if isinstance(step, int):
                got += [frame_of(ws) for _ in range(step)]
            elif isinstance(step, str):
                ws.send(step)
            elif "channel" in step:
                if isinstance(site.server, Pushpin):  # Backline obeys an answer's events in their order
                    site.subscribed(own("CHANNEL", name), 1)
                site.publish(json.loads(own(json.dumps(step), name)))
            elif "frame" in step:
                ws.frame(step["frame"], step.get("payload", b""))
            else:
                ws.frame(TEXT, own(json.dumps(step), name).encode())
    return got


def frame_of(ws: Socket) -> tuple[int, bytes]:
    got = ws.next_frame()
    return got.opcode, got.payload


@pytest.mark.parametrize("case", SOCKETS, ids=lambda case: case.name.replace(" ", "-"))
def test_websockets_over_http(sites: tuple[Site, Site], case: SocketCase) -> None:
    ours, theirs = (talked(site, case) for site in sites)
    agree(case.name, ours, theirs)


def test_requests_are_signed_for_an_hour(sites: tuple[Site, Site]) -> None:
    for site in sites:
        with site.connect() as client:
            token = client.request("GET", script({"answer": {"body": "{Grip-Sig}"}}, "signed")).text
        claims = jwt.decode(token, KEY[1], algorithms=["HS256"], issuer=KEY[0])
        assert 3000 - 60 < claims["exp"] - time.time() <= 3601, claims


def test_features(sites: tuple[Site, Site]) -> None:
    """What Pushpin of this version does and says it does, Backline does and says."""
    both, target = [], script({"answer": {"body": "{Grip-Feature}"}}, "feature")
    for site in sites:
        with site.connect() as client:
            both.append(set(client.request("GET", target).text.split(",")))
    assert both[1] <= both[0]
