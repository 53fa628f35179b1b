"""A Flask application with one route for each thing that servers get wrong."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from flask import Flask, Response, abort, jsonify, redirect, request, session, stream_with_context, url_for

DATA = Path(os.environ["DATA"])

app = Flask(__name__)
app.secret_key = "not secret: this application is only ever tested"


@app.get("/hello/<name>")
def hello(name: str) -> dict[str, Any]:
    return {"hello": name, "query": request.args.to_dict(flat=False), "url": request.url, "client": request.remote_addr}


@app.post("/cart")
def add() -> Response:
    session["items"] = [*session.get("items", []), request.form["item"]]
    return redirect(url_for("cart"))  # type: ignore[return-value]


@app.get("/cart")
def cart() -> Response:
    return jsonify(session.get("items", []))


@app.post("/json")
def echo() -> Response:
    return jsonify(request.get_json())


@app.post("/upload")
def upload() -> Response:
    file = request.files["file"]
    return jsonify(name=file.filename, sha1=hashlib.sha1(file.read()).hexdigest(), note=request.form["note"])


@app.get("/stream")
def stream() -> Response:
    @stream_with_context
    def pieces() -> Iterator[str]:
        for n in range(int(request.args["n"])):
            yield f"piece {n} of {request.path}\n"

    return Response(pieces(), mimetype="text/plain")


@app.get("/afterwards/<mark>")
def afterwards(mark: str) -> Response:
    answer = Response(f"{mark} will be written\n", mimetype="text/plain")
    answer.call_on_close(lambda: (DATA / mark).write_text("written when the answer had been sent"))
    return answer


@app.get("/fail")
def fail() -> Response:
    return jsonify(1 / 0)


@app.get("/teapot")
def teapot() -> Response:
    abort(418)


@app.errorhandler(404)
def not_found(error: Exception) -> tuple[Response, int]:
    return jsonify(error="not found", path=request.path), 404


@app.errorhandler(ZeroDivisionError)
def no_number(error: Exception) -> tuple[Response, int]:
    return jsonify(error=str(error)), 500
