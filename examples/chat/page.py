"""The chat's page, by WSGI and without a framework."""

from collections.abc import Callable, Iterable
from typing import Any

PAGE = b"""<!doctype html>
<meta charset="utf-8">
<title>Chat</title>
<ul id="said"></ul>
<form><input autofocus autocomplete="off" placeholder="say something"></form>
<script>
  const name = prompt("Your name?") || "somebody"
  const scheme = location.protocol === "https:" ? "wss" : "ws"
  const input = document.querySelector("input")
  let socket
  function connect() {
    socket = new WebSocket(`${scheme}://${location.host}/chat/lobby?name=${encodeURIComponent(name)}`)
    socket.onmessage = event => {
      const {by, text} = JSON.parse(event.data)
      const line = document.createElement("li")
      line.textContent = by ? `${by}: ${text}` : text
      document.getElementById("said").append(line)
    }
    socket.onclose = () => setTimeout(connect, 1000 + 2000 * Math.random())
  }
  document.querySelector("form").onsubmit = event => {
    event.preventDefault()
    socket.send(input.value)
    input.value = ""
  }
  connect()
</script>
"""


def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    found = environ["PATH_INFO"] == "/"
    start_response("200 OK" if found else "404 Not Found", [("Content-Type", "text/html; charset=utf-8")])
    return [PAGE if found else b"<p>There is nothing here."]
