"""Pebble, an ACME authority for tests, with a name server that says every name is this machine."""

from __future__ import annotations

import json
import os
import re
import socket
import ssl
import subprocess
import threading
import urllib.request
from pathlib import Path

from authority import Authority
from harness import PATIENCE, ROOT, eventually
from ports import free_port


class Pebble:
    """An authority that looks for HTTP-01 challenges at ``http`` and for TLS-ALPN-01 ones at ``tls``."""

    def __init__(self, folder: Path, *, http: int, tls: int, validity: int) -> None:
        programs = _programs()
        self.folder, self.lines = folder, list[str]()
        self.own = Authority(folder)
        self.port, self._management, names, control = (free_port() for _ in range(4))
        self._processes: list[subprocess.Popen[str]] = []
        nowhere = [text for kind in ("http01", "https01", "tlsalpn01", "doh") for text in (f"-{kind}", "")]
        places = ["-dnsserver", f"127.0.0.1:{names}", "-management", f"127.0.0.1:{control}"]
        answers = ["-defaultIPv4", "127.0.0.1", "-defaultIPv6", ""]
        self._start([str(programs / "pebble-challtestsrv"), *answers, *places, *nowhere])
        config = folder / "pebble.json"
        config.write_text(json.dumps({"pebble": self._settings(http, tls, validity)}))
        # Without NOSLEEP it waits up to 15 s before each look, without AUTHZREUSE=0 every other order needs no
        # challenge.
        self._start(
            [str(programs / "pebble"), "-config", str(config), "-dnsserver", f"127.0.0.1:{names}"],
            PEBBLE_VA_NOSLEEP="1",
            PEBBLE_AUTHZREUSE="0",
        )
        try:
            for port in (names, self.port, self._management):
                eventually(lambda port=port: _listens(port), f"a listener at {port}:\n{self.log}")  # type: ignore[misc]
        except BaseException:
            self.stop()
            raise

    def _settings(self, http: int, tls: int, validity: int) -> dict[str, object]:
        cert, key = self.own.issue("pebble", "127.0.0.1")
        return {
            "listenAddress": f"127.0.0.1:{self.port}",
            "managementListenAddress": f"127.0.0.1:{self._management}",
            "certificate": str(cert),
            "privateKey": str(key),
            "httpPort": http,
            "tlsPort": tls,
            "keyAlgorithm": "ecdsa",
            "domainBlocklist": ["blocked.example"],
            "retryAfter": {"authz": 1, "order": 1},
            "profiles": {"default": {"description": "for tests", "validityPeriod": validity}},
        }

    def _start(self, command: list[str], **environ: str) -> None:
        process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env={**os.environ, **environ}
        )
        self._processes.append(process)
        threading.Thread(target=self._read, args=(process,), daemon=True).start()

    def _read(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            self.lines.append(line.rstrip("\n"))

    def stop(self) -> None:
        for process in self._processes:
            process.kill()
            process.wait(PATIENCE)

    def __enter__(self) -> Pebble:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def flags(self) -> list[str]:
        """What tells Backline to obtain certificates here."""
        return ["--acme-ca", f"https://127.0.0.1:{self.port}/dir", "--acme-ca-root", str(self.own.root)]

    def orders(self) -> int:
        """How many certificates were asked for."""
        return len(re.findall(r"Added order ", self.log))

    def root(self) -> Path:
        """The file that clients of the certificates trust: made anew by each Pebble."""
        context = ssl.create_default_context(cafile=self.own.root)
        with urllib.request.urlopen(f"https://127.0.0.1:{self._management}/roots/0", context=context) as answer:
            path = self.folder / "issued-root.pem"
            path.write_bytes(answer.read())
        return path


def _programs() -> Path:
    done = subprocess.run([ROOT / "ci" / "pebble.sh"], check=True, capture_output=True, text=True)
    return Path(done.stdout.strip())


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=PATIENCE):
            return True
    except ConnectionRefusedError:
        return False
