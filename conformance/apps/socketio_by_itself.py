"""Flask-SocketIO as its first page shows it: what it runs on is left to it."""

from __future__ import annotations

from flask import Flask
from flask_socketio import SocketIO

app = Flask(__name__)
socketio = SocketIO(app)
