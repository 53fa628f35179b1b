"""Workers that have channels: plain WSGI, backline.channels and no Django."""

import json
import os
import threading

from backline import channels

NAMES = {}  # by what clients call them
lock = threading.Lock()


def join(group, name):
    channel = channels.new_channel()
    channels.group_add(group, channel)
    with lock:
        NAMES[name] = channel
    return channel


def receive(seconds, name):
    with lock:
        channel = NAMES.get(name, name)
    try:
        return channels.receive(channel, timeout=float(seconds))
    except TimeoutError:
        return None


def enlist(group, channel):
    channels.group_add(group, channel)
    return "enlisted"


def strike(group, channel):
    channels.group_discard(group, channel)
    return "struck"


def say(group, text):
    channels.group_send(group, {"text": text})
    return "said"


def put(channel, text):
    channels.send(channel, {"text": text})
    return "put"


def django_says(group, text):
    from asgiref.sync import async_to_sync
    from backline.layer import BacklineChannelLayer

    async_to_sync(BacklineChannelLayer().group_send)(group, {"text": text})
    return "said"


def forked(group, text):
    """From a child of the worker, which has a connection of its own."""
    pid = os.fork()
    if pid == 0:
        try:
            channels.group_send(group, {"text": text})
        except BaseException as error:
            print("the child:", repr(error), flush=True)
            os._exit(1)
        os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


ACTIONS = {each.__name__: each for each in (join, enlist, strike, receive, say, put, django_says, forked)}


def app(environ, start_response):
    action, group, name = environ["PATH_INFO"].strip("/").split("/")
    answer = [os.getpid(), ACTIONS[action](group, name)]
    start_response("200 OK", [("Content-Type", "application/json")])
    return [json.dumps(answer).encode()]
