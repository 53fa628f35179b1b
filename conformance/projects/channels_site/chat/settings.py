"""A site with a page, a chat and a database in a file."""

import os
from pathlib import Path

DATA = Path(os.environ["DATA"])
SECRET_KEY = "conformance"
DEBUG = False
ALLOWED_HOSTS = []
INSTALLED_APPS = ["django.contrib.auth", "django.contrib.contenttypes", "django.contrib.staticfiles", "channels"]
ROOT_URLCONF = "chat.urls"
ASGI_APPLICATION = "chat.asgi.application"
STATIC_URL = "/static/"
STATICFILES_DIRS = [Path(__file__).parent / "static"]
DATABASES = {
    "default": {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": DATA / "db.sqlite3",
        "TEST": {"NAME": DATA / "test.sqlite3"},
    }
}
CHANNEL_LAYERS = {"default": {"BACKEND": "backline.layer.BacklineChannelLayer"}}
