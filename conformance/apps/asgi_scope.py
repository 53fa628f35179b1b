"""Answers with its scope, written as Python values so that the types can be seen."""

import asyncio
import contextvars
import sys
import threading

from asgi_notes import answer, answer_json, note, route, whole_body

leaked = contextvars.ContextVar("leaked", default=None)


async def scope_(scope, receive, send):
    await answer(send, 200, repr(scope).encode())


async def types(scope, receive, send):
    """The exact types, since bytes-like and str-like are not enough (A4)."""
    found = {key: type(value).__name__ for key, value in scope.items()}
    found["keys"] = sorted({type(key).__name__ for key in scope})
    found["header"] = sorted({type(item).__name__ for header in scope["headers"] for item in header})
    await answer_json(send, found)


async def mutate(scope, receive, send):
    """Spoil everything that another call could see (A3)."""
    before = repr(scope)
    scope["asgi"]["version"] = "spoilt"
    scope["extensions"]["spoilt"] = {}
    scope["headers"].append((b"spoilt", b"1"))
    scope["path"] = scope["new"] = "spoilt"
    await answer(send, 200, before.encode())


def callers():
    """The names of the functions that this one was called from, innermost first."""
    frame = sys._getframe(1)
    while frame is not None:
        yield frame.f_code.co_name
        frame = frame.f_back


async def where(scope, receive, send):
    """In which loop, thread and task this runs (A1), and from where its first line was called."""
    loop = asyncio.get_running_loop()
    await answer_json(
        send,
        {
            "loop": f"{type(loop).__module__}.{type(loop).__name__}",
            "loop_id": id(loop),
            "main": threading.current_thread() is threading.main_thread(),
            "task": asyncio.current_task() is not None,
            "eager": "data_received" in callers(),
            "python": sys.version_info[:2],
        },
    )


async def context(scope, receive, send):
    """What an earlier call left in a context variable, before and after waiting (A12)."""
    before = leaked.get()
    leaked.set(scope["query_string"].decode())
    await whole_body(receive)
    await asyncio.sleep(0)
    await answer_json(send, [before, leaked.get()])


async def count(scope, receive, send):
    note("calls", scope["path"])
    await answer(send, 200, b"counted")


app = route(
    {"/types": types, "/mutate": mutate, "/where": where, "/context": context, "/count": count, "*": scope_},
)
