"""Tasks of Celery that tell a group, as projects write them."""

import os

from asgiref.sync import async_to_sync
from backline import channels
from backline.layer import BacklineChannelLayer
from celery import Celery

app = Celery("tasks", broker=os.environ["BROKER"])
app.conf.broker_connection_retry_on_startup = True
layer = BacklineChannelLayer()  # in the parent of a pool of processes, as Channels' own would be


@app.task
def announce(group, text):
    async_to_sync(layer.group_send)(group, {"text": text, "pid": os.getpid()})


@app.task
def plainly(group, text):
    channels.group_send(group, {"text": text, "pid": os.getpid()})
