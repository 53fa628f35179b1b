"""A Django site in one file, served by ASGI."""

import asyncio
import os
import tempfile
import threading
import time

import django
from asgi_notes import NOTES, note
from django.conf import settings

settings.configure(
    SECRET_KEY="conformance",
    ALLOWED_HOSTS=["*"],
    ROOT_URLCONF="asgi_django",
    MIDDLEWARE=["django.middleware.common.CommonMiddleware"],
    DATABASES={
        "default": {
            "ENGINE": "django.db.backends.sqlite3",
            "NAME": os.path.join(tempfile.gettempdir(), "asgi-django.sqlite3"),
            "CONN_MAX_AGE": None,
        }
    },
)
django.setup()

from asgiref.sync import async_to_sync, sync_to_async  # noqa: E402
from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.signals import request_finished, request_started  # noqa: E402
from django.db import connection  # noqa: E402
from django.db.backends.signals import connection_created  # noqa: E402
from django.http import FileResponse, HttpResponse, JsonResponse, StreamingHttpResponse  # noqa: E402
from django.urls import path  # noqa: E402

barriers = {}
lock = threading.Lock()


def opened(**_):
    note("connections", threading.get_ident())


def thread_of(kind):
    def noted(**_):
        note(kind, threading.get_ident())

    return noted


started, finished = thread_of("request_started"), thread_of("request_finished")
connection_created.connect(opened)
request_started.connect(started)
request_finished.connect(finished)


def seen(request):
    return JsonResponse(NOTES[request.META["QUERY_STRING"]], safe=False)


def plain(request):
    return HttpResponse(f"{request.method} {request.path} {threading.get_ident()}")


def together(request, name, count):
    """A sync view that only goes on when ``count`` of it run at once."""
    with lock:
        barrier = barriers.setdefault(name, threading.Barrier(count, timeout=10))
    try:
        barrier.wait()
    except threading.BrokenBarrierError:
        return HttpResponse("alone", status=500)
    return HttpResponse(str(threading.get_ident()))


def query(request):
    """Every view of a thread uses the same connection, which stays open (CONN_MAX_AGE)."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    return JsonResponse([threading.get_ident(), id(connection.connection)], safe=False)


async def same_thread(request):
    """All synchronous work of one request runs on one thread, also across async code."""
    idents = [await sync_to_async(threading.get_ident)() for _ in range(3)]
    nested = await sync_to_async(lambda: async_to_sync(inner)())()
    return JsonResponse([*idents, *nested], safe=False)


async def inner():
    return [await sync_to_async(threading.get_ident)() for _ in range(2)]


def form(request):
    return JsonResponse({"post": request.POST.dict(), "length": len(request.body)})


def upload(request):
    file = request.FILES["file"]
    return JsonResponse({"name": file.name, "size": file.size})


async def asleep(request, name):
    """An async view: cancelled when its client goes."""
    note(name, "sleeping")
    try:
        await asyncio.sleep(30)
    except asyncio.CancelledError:
        note(name, "cancelled")
        raise
    return HttpResponse("slept")


async def stream(request, name):
    """An event stream of a view that has used its thread before (the middleware has, too)."""
    await sync_to_async(note)(name, "began")

    async def events():
        yield b"data: first\n\n"
        while "stop" not in NOTES[name]:
            await asyncio.sleep(0.01)
        ident = await sync_to_async(threading.get_ident)()
        yield f"data: last {ident}\n\n".encode()

    return StreamingHttpResponse(events(), content_type="text/event-stream")


def stop(request, name):
    note(name, "stop")
    return HttpResponse("stopped")


async def outlives(request, name):
    """A task that goes on after the answer and still needs a thread."""

    async def later():
        await asyncio.sleep(0.05)
        note(name, await sync_to_async(lambda: "ran")())

    NOTES[name + "task"].append(None)
    tasks.add(asyncio.ensure_future(later()))
    return HttpResponse("answered")


tasks = set()


def blocks(request, seconds):
    time.sleep(seconds / 1000)
    return HttpResponse(str(threading.get_ident()))


def broken(request):
    raise ZeroDivisionError("in a view")


def file(request):
    return FileResponse(open(__file__, "rb"), filename="asgi_django.py")


def cookies(request):
    response = JsonResponse(request.COOKIES)
    response.set_cookie("a", "1")
    response.set_cookie("b", "2")
    return response


urlpatterns = [
    path("seen", seen),
    path("plain/<path:rest>", lambda request, rest: plain(request)),
    path("together/<name>/<int:count>", together),
    path("query", query),
    path("same-thread", same_thread),
    path("form", form),
    path("upload", upload),
    path("asleep/<name>", asleep),
    path("stream/<name>", stream),
    path("stop/<name>", stop),
    path("outlives/<name>", outlives),
    path("blocks/<int:seconds>", blocks),
    path("broken", broken),
    path("file", file),
    path("cookies", cookies),
]

app = get_asgi_application()
