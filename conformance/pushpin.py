"""Pushpin, the GRIP proxy that others are measured by: a real one, with a configuration and a folder of the test's."""

from __future__ import annotations

import re
import socketserver
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from wsgiref.simple_server import ServerHandler, WSGIRequestHandler, WSGIServer

from harness import PATIENCE
from ports import free_port
from proxies import program

# The addresses are those of /usr/lib/pushpin/internal.conf; what goes out is done by a zurl of its own, and not by
# Debian's service. message_wait is shorter than the 5 s that are the default.
CONFIG = """
[global]
include={{libdir}}/internal.conf
rundir={folder}/run
ipc_prefix=
port_offset=0
stats_connection_ttl=120

[runner]
services=condure,zurl,pushpin-proxy,pushpin-handler
http_port=127.0.0.1:{port}
logdir={folder}/log
log_level=2
client_buffer_size=8192
client_maxconn=500
condure_bin=condure
zurl_bin=zurl

[proxy]
routesfile={folder}/routes
debug=false
sig_iss={key[0]}
sig_key={key[1]}
updates_check=off
zurl_out_specs=ipc://{{rundir}}/zurl-in
zurl_out_stream_specs=ipc://{{rundir}}/zurl-in-stream
zurl_in_specs=ipc://{{rundir}}/zurl-out

[handler]
push_in_spec=ipc://{{rundir}}/push
push_in_sub_specs=ipc://{{rundir}}/sub
push_in_http_addr=127.0.0.1
push_in_http_port={control}
stats_spec=ipc://{{rundir}}/stats
command_spec=ipc://{{rundir}}/command
message_rate=2500
message_hwm=25000
message_wait={wait}
id_cache_ttl=60
connection_subscription_max=20
subscription_linger=60
stats_connection_ttl=120
"""


class Pushpin:
    """One that runs, its log, and where it takes publications."""

    def __init__(self, process: subprocess.Popen[str], port: int, control: int) -> None:
        self.process, self.port, self.control = process, port, control
        self.lines: list[str] = []
        self.arrived = threading.Condition()
        threading.Thread(target=self._read, args=(process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            with self.arrived:
                self.lines.append(line.rstrip("\n"))
                self.arrived.notify_all()

    def wait_for(self, pattern: str) -> None:
        """Until a line of the log is about it."""
        compiled, deadline = re.compile(pattern), time.monotonic() + PATIENCE
        with self.arrived:
            while not any(compiled.search(line) for line in self.lines):
                assert self.arrived.wait(max(0.0, deadline - time.monotonic())), (pattern, "\n".join(self.lines[-30:]))


@contextmanager
def pushpin(folder: Path, to: int, wait: int, key: tuple[str, str]) -> Iterator[Pushpin]:
    """In front of the server at port ``to``. ``wait`` is how many milliseconds a publication waits for another one."""
    port, control = free_port(), free_port()
    (folder / "run").mkdir()
    (folder / "log").mkdir()
    (folder / "routes").write_text(f"* 127.0.0.1:{to},over_http\n")
    (folder / "pushpin.conf").write_text(CONFIG.format(folder=folder, port=port, control=control, wait=wait, key=key))
    process = subprocess.Popen(
        [program("pushpin"), "--merge-output", f"--config={folder}/pushpin.conf"],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
    )  # fmt: skip
    try:
        proxy = Pushpin(process, port, control)
        for part in ("handler", "proxy", "zurl"):
            proxy.wait_for(rf"\[{part}\] started")
        proxy.wait_for(r"\[condure\] started")
        yield proxy
    finally:
        process.terminate()
        process.wait(PATIENCE)


class _Threaded(socketserver.ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    """Of HTTP/1.0, which is what wsgiref speaks; nothing goes to the test's output."""

    def log_message(self, *_: Any) -> None:
        pass


@contextmanager
def wsgiref_server(application: Callable[..., Any]) -> Iterator[int]:
    """An application behind the standard library's server; gives its port."""
    ServerHandler.server_software = ""  # no Server field
    with _Threaded(("127.0.0.1", 0), _Handler) as server:
        server.set_app(application)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield server.server_address[1]
        finally:
            server.shutdown()
