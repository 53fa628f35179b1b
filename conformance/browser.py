"""A real browser: headless Chromium, driven over its DevTools protocol with a WebSocket client that is not ours."""

from __future__ import annotations

import base64
import json
import os
import re
import shutil
import subprocess
import tempfile
import threading
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from harness import PATIENCE
from websockets.sync.client import connect

# Without these it looks for its maker's services at every start, which a closed network answers slowly.
QUIET = (
    "--headless", "--disable-gpu", "--no-first-run", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--disable-quic", "--disable-dev-shm-usage",
)  # fmt: skip

# By timer: a tab behind another one gets no animation frames.
WAITING = """
new Promise((resolve, reject) => {
  const late = setTimeout(() => reject(new Error("not so: " + document.body.innerText)), %d);
  const look = () => {
    const found = (() => { try { return %s; } catch (error) { return false; } })();
    if (found) { clearTimeout(late); resolve(found); } else { setTimeout(look, 20); }
  };
  look();
})
"""


def find() -> str | None:
    """Where Chromium is."""
    return shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")


class Page:
    """One tab; the browser itself is driven in the same way."""

    def __init__(self, url: str) -> None:
        self._open = ExitStack()
        self._socket = self._open.enter_context(connect(url, max_size=None, compression=None))
        self._number = 0
        self.complaints: list[str] = []

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """Send one command and wait for what comes of it. What the page complains about meanwhile is kept."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": params}))
        while True:
            message = json.loads(self._socket.recv(timeout=2 * PATIENCE))
            if message.get("id") == self._number:
                assert "error" not in message, message
                result: dict[str, Any] = message["result"]
                return result
            if message.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(json.dumps(message["params"]))

    def evaluate(self, expression: str) -> Any:
        """The value of a JavaScript expression, of a promise once it is kept."""
        done = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def open(self, url: str) -> None:
        self.call("Page.navigate", url=url)
        self.wait(f"location.href === {json.dumps(url)} && document.readyState === 'complete'")

    def wait(self, condition: str) -> Any:
        """Wait until a JavaScript condition holds, and give its value."""
        return self.evaluate(WAITING % (1000 * PATIENCE, condition))

    def resize(self, width: int, height: int, *, dark: bool = False) -> None:
        screen = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 600}
        self.call("Emulation.setDeviceMetricsOverride", **screen)
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def picture(self, path: Path) -> None:
        """Keep what it looks like, for people."""
        self.call("Page.bringToFront")  # a tab behind another one is not painted
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", captureBeyondViewport=True)["data"]))

    def close(self) -> None:
        """Close the tab, as a user does."""
        self.call("Page.close")
        self.disconnect()

    def disconnect(self) -> None:
        self._open.close()


class Browser:
    """One Chromium with a profile of its own. Use it as a context."""

    def __enter__(self) -> Browser:
        program = find()
        assert program
        self._folder = tempfile.TemporaryDirectory(prefix="backline-browser-", ignore_cleanup_errors=True)
        command = [program, *QUIET, f"--user-data-dir={self._folder.name}", "--remote-debugging-port=0", "about:blank"]
        if os.geteuid() == 0:
            command.insert(1, "--no-sandbox")
        self._process = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
        assert self._process.stderr is not None
        for line in self._process.stderr:
            if found := re.search(r"DevTools listening on ((ws://\S+)/devtools/browser\S+)", line):
                self._control, self._address = Page(found[1]), found[2]
                break
        else:
            raise AssertionError("Chromium ended before it listened")
        threading.Thread(target=self._process.stderr.read, daemon=True).start()  # or it would wait for a reader
        return self

    def __exit__(self, *_: object) -> None:
        self._control.disconnect()
        self._process.terminate()
        self._process.wait(PATIENCE)
        self._folder.cleanup()

    def visit(self, address: str, width: int) -> Page:
        """A page of that width, when it has been read."""
        page = self.page()
        page.resize(width, 900)
        page.open(address)
        return page

    def page(self) -> Page:
        """A new tab."""
        target = self._control.call("Target.createTarget", url="about:blank")["targetId"]
        page = Page(f"{self._address}/devtools/page/{target}")
        for domain in ("Runtime", "Log", "Page"):
            page.call(domain + ".enable")
        return page
