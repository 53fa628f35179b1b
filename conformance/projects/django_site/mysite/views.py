"""One view for each thing that servers get wrong."""

import hashlib
from collections.abc import AsyncIterator, Iterator

from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest, HttpResponse, JsonResponse, StreamingHttpResponse
from django.shortcuts import redirect
from django.template import engines
from django.views.decorators.csrf import csrf_exempt

from .models import Note

PAGE = """<form method="post">{% csrf_token %}<input name="text"></form>
<ul>{% for note in notes %}<li>{{ note }}</li>{% endfor %}</ul>"""


def notes(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        Note.objects.create(text=request.POST["text"])
        return redirect("/notes/")
    page = engines["django"].from_string(PAGE)
    return HttpResponse(page.render({"notes": Note.objects.order_by("pk")}, request))


@csrf_exempt
def upload(request: HttpRequest) -> JsonResponse:
    file = request.FILES["file"]
    digest = hashlib.sha1(usedforsecurity=False)
    for chunk in file.chunks():
        digest.update(chunk)
    return JsonResponse(
        {"name": file.name, "size": file.size, "sha1": digest.hexdigest(), "kept": type(file).__name__,
         "note": request.POST["note"]}
    )  # fmt: skip


def stream(request: HttpRequest) -> StreamingHttpResponse:
    pieces = _pieces_async() if isinstance(request, ASGIRequest) else _pieces()
    return StreamingHttpResponse(pieces, content_type="text/plain")


def _pieces() -> Iterator[bytes]:
    for n in range(1000):
        yield b"piece %d\n" % n


async def _pieces_async() -> AsyncIterator[bytes]:
    for piece in _pieces():
        yield piece


def fail(request: HttpRequest) -> HttpResponse:
    raise ValueError("this view always fails")
