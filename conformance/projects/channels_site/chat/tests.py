"""Tests as a project has them: a browser would be where urllib and the WebSocket client are."""

import json
from urllib.request import urlopen

from asgiref.sync import async_to_sync
from backline.testing import BacklineServerProcess, ChannelsLiveServerTestCase
from channels.layers import get_channel_layer
from channels.testing import ChannelsLiveServerTestCase as OfChannels
from django.contrib.auth.models import User
from websockets.sync.client import connect


class Pages:
    def get(self, path):
        with urlopen(self.live_server_url + path, timeout=20) as answer:
            return answer.read().decode(), answer.headers

    def test_pages_have_the_database_of_the_test(self):
        User.objects.create(username="anna")
        text, headers = self.get("/")
        self.assertEqual(text, "1 users")
        self.assertEqual(headers["Server"], "backline")

    def test_static_files(self):
        self.assertIn("navy", self.get("/static/site.css")[0])

    def test_chat(self):
        where = self.live_server_ws_url + "/room"
        with connect(where, origin=self.live_server_url) as one, connect(where, origin=self.live_server_url) as other:
            one.send(json.dumps({"text": "hello"}))
            self.assertEqual([json.loads(each.recv(20)) for each in (one, other)], [{"text": "hello"}] * 2)
            # The test has the server's channel layer.
            async_to_sync(get_channel_layer().group_send)("room", {"type": "said", "text": "from the test"})
            self.assertEqual(json.loads(other.recv(20)), {"text": "from the test"})


class ReadyMade(Pages, ChannelsLiveServerTestCase):
    server_settings = {"limit_request_line": "1KiB"}  # noqa: RUF012

    def test_settings(self):
        with self.assertRaisesRegex(OSError, "414"):
            self.get("/" + "x" * 2000)


class WithChannelsOwn(Pages, OfChannels):
    ProtocolServerProcess = BacklineServerProcess
