"""The worker protocol: the vectors that the server's own tests read too, packets in pieces, what marshal refuses."""

from __future__ import annotations

import http
import json
import marshal
import re
import struct
from pathlib import Path
from typing import Any

import pytest

from backline import wire

ROOT = Path(__file__).parents[2]


def vectors(name: str) -> list[Any]:
    read = json.loads((ROOT / "wire/testdata" / name).read_text(encoding="utf-8"))
    assert read
    return [pytest.param(vector, id=vector["name"]) for vector in read]


def plain(value: Any) -> Any:
    """What a vector's JSON stands for: {"$bytes": hex} and {"$tuple": [...]} are what they say."""
    if isinstance(value, list):
        return [plain(item) for item in value]
    if not isinstance(value, dict):
        return value
    if "$bytes" in value:
        return bytes.fromhex(value["$bytes"])
    if "$tuple" in value:
        return tuple(plain(item) for item in value["$tuple"])
    return {key: plain(item) for key, item in value.items()}


def packet(payload: bytes) -> bytes:
    return struct.pack("<I", len(payload)) + payload


def strict(value: Any) -> Any:
    """With types, so that True is not 1 and a list no tuple."""
    if isinstance(value, (list, tuple)):
        return type(value), [strict(item) for item in value]
    if isinstance(value, dict):
        return dict, {key: strict(item) for key, item in value.items()}
    return type(value), value


@pytest.mark.parametrize("vector", vectors("requests.json"))
def test_what_the_server_writes_is_the_request(vector: Any) -> None:
    message = marshal.loads(bytes.fromhex(vector["marshal"]))
    expected = (wire.REQUEST, 0, plain(vector["expected"]), bytes.fromhex(vector["body"]), vector["more"])
    assert strict(message) == strict(expected)


@pytest.mark.parametrize("vector", vectors("requests.json"))
def test_an_environ_is_native_strings(vector: Any) -> None:
    """PEP 3333, "A Note On String Types": str, and nothing that latin-1 does not have."""
    if not vector["wsgi"]:
        return
    environ = marshal.loads(bytes.fromhex(vector["marshal"]))[2]
    assert type(environ) is dict
    for key, value in environ.items():
        assert (type(key), type(value)) == (str, str)
        value.encode("latin-1")
    assert environ["PATH_INFO"] == "" or environ["PATH_INFO"][0] == "/"
    assert environ.get("SERVER_NAME", "default") and environ.get("SERVER_PORT", "80").isdecimal()


@pytest.mark.parametrize("vector", vectors("answers.json"))
def test_answers_are_written_as_the_server_reads_them(vector: Any) -> None:
    assert wire.encode(plain(vector["value"])).hex() == packet(bytes.fromhex(vector["marshal"])).hex()


@pytest.mark.parametrize("vector", vectors("handshakes.json"))
def test_handshakes_both_ways(vector: Any) -> None:
    kind, value = vector["kind"], vector["value"]
    (from_server,) = wire.Decoder().feed(packet(bytes.fromhex(vector["marshal"])))
    assert strict(from_server) == strict((kind, value))
    assert wire.encode([(kind, value)]).hex() == packet(bytes.fromhex(vector["python"])).hex()


MESSAGES: list[list[wire.Outgoing]] = [
    [(wire.REQUEST, 1, {"a": "b" * 300}, b"", 0), (wire.BODY, 1, b"x" * 70000, True)],
    [],
    [(wire.STOP, 0)],
    [(wire.CREDIT, 2, 65536)],
]


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 7, 64, 4096, 10**6])
def test_packets_in_pieces_of_any_size(size: int) -> None:
    data = b"".join(wire.encode(batch) for batch in MESSAGES)
    decoder = wire.Decoder()
    got: list[Any] = []
    for at in range(0, len(data), size):
        got += decoder.feed(data[at : at + size])
    assert got == [message for batch in MESSAGES for message in batch]


def test_messages_come_as_soon_as_their_packet_is_whole() -> None:
    decoder = wire.Decoder()
    first, second = wire.encode([(wire.DISCONNECT, 1)]), wire.encode([(wire.DISCONNECT, 2)])
    assert decoder.feed(first + second[:-1]) == [(wire.DISCONNECT, 1)]
    assert decoder.feed(b"") == []
    assert decoder.feed(second[-1:] + first[:2]) == [(wire.DISCONNECT, 2)]
    assert decoder.feed(first[2:] + second) == [(wire.DISCONNECT, 1), (wire.DISCONNECT, 2)]


class Text(str):
    """What Django's SafeString is."""


class Ratio(float):
    pass


def test_values_that_only_look_plain() -> None:
    headers = ((Text("X-Name"), Text("v")) for _ in range(1))
    sent: list[wire.Outgoing] = [
        (wire.ANSWER, 1, http.HTTPStatus.OK, headers, memoryview(b"body")),
        (wire.UP, {Text("key"): Ratio(1.5)}),
    ]
    (answer, up) = wire.Decoder().feed(wire.encode(sent))
    assert strict(answer) == strict([wire.ANSWER, 1, 200, [["X-Name", "v"]], b"body"])
    assert strict(up) == strict([wire.UP, {"key": 1.5}])


def test_what_cannot_be_sent_says_so() -> None:
    with pytest.raises(
        ValueError, match="of the type object cannot be sent to the server; expected a number, str, bytes or None"
    ):
        wire.encode([(wire.ERROR, 1, object())])


def test_no_packet_is_larger_than_the_server_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(wire, "MAX_PACKET", 1000)
    sent = [(wire.DATA, stream, b"x" * 300) for stream in range(20)]
    data = wire.encode(list(sent))
    sizes, at = [], 0
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        sizes.append(size)
        at += 4 + size
    assert at == len(data)
    assert len(sizes) > 5 and max(sizes) <= 1000
    assert wire.Decoder().feed(data) == sent


CONSTANT = re.compile(r"^(?:const )?(\w+) *(?:Kind)?(?:: Final)? = (.+?)(?: *(?://|#).*)?$", re.MULTILINE)


def test_limits_are_the_servers() -> None:
    text = "".join((ROOT / "wire" / name).read_text(encoding="utf-8") for name in ("messages.go", "answer.go"))
    theirs = dict(CONSTANT.findall(re.sub("(?m)^\t", "", text)))

    def value(name: str) -> int:
        number, _, shift = theirs[name].partition("<<")
        return int(number) << int(shift or 0)

    assert value("ProtocolVersion") == wire.PROTOCOL_VERSION
    assert (value("Window"), value("MaxPiece"), value("MaxPacket")) == (wire.WINDOW, wire.MAX_PIECE, wire.MAX_PACKET)
    assert value("MessageCost") == wire.MESSAGE_COST
    bodies = (wire.BODY_WHOLE, wire.BODY_FOLLOWS, wire.BODY_ON_READ)
    assert (value("BodyWhole"), value("BodyFollows"), value("BodyOnRead")) == bodies


ROW = re.compile(r"^\| (\d+) \| `([A-Z_]+)` \|", re.MULTILINE)


def test_the_document_has_every_kind() -> None:
    """The server's tests compare the same table with its own."""
    document = {
        name: int(number) for number, name in ROW.findall((ROOT / "docs/protocol.md").read_text(encoding="utf-8"))
    }
    kinds = {
        name: number
        for name, number in vars(wire).items()
        if name.isupper()
        and isinstance(number, int)
        and not name.startswith(
            ("_", "BODY_", "MAX_", "OUTCOME_", "VERDICT_", "MESSAGE_COST", "NO_STREAM", "WINDOW", "PROTOCOL")
        )
    }
    assert document == kinds


@pytest.mark.parametrize(
    "vector", [each for name in ("jobs", "channels", "recall", "events") for each in vectors(f"{name}.json")]
)
def test_what_the_server_writes_is_the_job(vector: Any) -> None:
    payload = bytes.fromhex(vector["marshal"])
    assert wire.Decoder().feed(packet(payload)) == plain(vector["value"])
